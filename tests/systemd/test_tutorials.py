"""Every command of the tutorials, run in a fresh guest with systemd; follow.py compares what it prints with the document."""

import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
TUTORIALS = sorted(path.name for path in (CHECKOUT / "docs/tutorials").glob("*.md"))

pytestmark = [pytest.mark.boots_lab, pytest.mark.timeout(300)]


@pytest.mark.parametrize("tutorial", TUTORIALS)
def test_a_tutorial_works_as_it_stands(tutorial: str) -> None:
    """From its first command to its last, on a host where the package's files are and nothing is configured."""
    follow = ["python3", str(CHECKOUT / "tests/systemd/follow.py"), str(CHECKOUT / "docs/tutorials" / tutorial)]
    command = [str(CHECKOUT / "scripts/lab"), "--systemd", "--timeout", "240", "--", *follow]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_is_one_for_each_kind_of_user() -> None:
    """Who administers a host, who provisions by program, who writes backup software, who comes from targetcli."""
    assert TUTORIALS == ["administrator.md", "automation.md", "backup.md", "targetcli.md"]
