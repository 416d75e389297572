"""Programs that tests run."""

import subprocess

MIB = 1 << 20


def run(*command: str, check: bool = True) -> str:
    """Run a program and give its output."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout
