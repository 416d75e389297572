"""vdsprovctl completion: real shells complete commands, options and the names of what there is."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.vdsprovctl import Daemon
from tests.terminal import Terminal, on_terminal

IQN = "iqn.2026-11.org.example:completed"
SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
START = {
    "bash": "PS1='READY> '; source <(vdsprovctl completion bash)",
    "zsh": "PS1='READY> '; autoload -U compinit; compinit -D; source <(vdsprovctl completion zsh)",
    "fish": "function fish_prompt; echo 'READY> '; end; vdsprovctl completion fish | source",
}


@pytest.fixture(scope="module")
def named(shared_daemon: Daemon) -> Daemon:
    """A daemon with a LUN and a target."""
    shared_daemon.make_lun("completed-lun")
    shared_daemon.make_lun("with spaces")
    shared_daemon.make_target(IQN)
    return shared_daemon


@contextmanager
def shell(name: str, daemon: Daemon, folder: Path) -> Iterator[Terminal]:
    """A shell with the completion."""
    program = folder / "vdsprovctl"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m vdsprovd.cli "$@"\n')
    program.chmod(0o755)
    environment = daemon.environment() | {
        "PATH": f"{folder}:{daemon.environment()['PATH']}",
        "HOME": str(folder),
        "TERM": "xterm",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    with on_terminal(SHELLS[name], folder, environment) as terminal:
        terminal.type(f"{START[name]}\recho go$((1+0))\r" if name != "fish" else f"{START[name]}\recho go(math 1+0)\r")
        terminal.expect("go1")
        yield terminal


# The lab has all three, and other machines have bash.
@pytest.mark.parametrize("name", ["bash", *(pytest.param(name, marks=pytest.mark.lab) for name in ("zsh", "fish"))])
@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("lun show comp", "leted-lun"),
        ("target show iqn.2026-11.org.example:comp", "leted"),
        ("lun create x --target iqn.2026-11.org.example:complet", "ed"),
        ("portal-gr", "oup"),
        ("lun asso", "ciate"),
        ("lun delete --dry", "-run"),
    ],
)
def test_shells(name: str, typed: str, completed: str, named: Daemon, tmp_path: Path) -> None:
    """Tab completes nouns, verbs, options, and names, iSCSI names with their colons too."""
    with shell(name, named, tmp_path) as terminal:
        terminal.type(f"vdsprovctl {typed}\t")
        terminal.type("\x01echo \x05 END\r")
        expected = f"vdsprovctl {typed}{completed}"
        terminal.expect(f"{expected} END", limit=30)


def test_script_names_no_daemon(named: Daemon, tmp_path: Path) -> None:
    """The scripts are printed without a daemon; without one nothing is completed, and nothing is said."""
    done = named.run_here("--socket", str(tmp_path / "none"), "completion", "bash")
    assert done.returncode == 0
    assert "complete -o nosort -F" in done.stdout
    environment = named.environment() | {
        "VDSPROVD_SOCKET": str(tmp_path / "none"),
        "_VDSPROVCTL_COMPLETE": "bash_complete",
        "COMP_LINE": "vdsprovctl lun show x",
        "COMP_POINT": "21",
    }
    asked = named.run(env=environment)
    assert (asked.stdout, asked.stderr) == ("\n", "")


def test_names_that_need_quotes_are_left_out(named: Daemon) -> None:
    """A name that a shell would break apart is not offered."""
    environment = named.environment() | {
        "_VDSPROVCTL_COMPLETE": "bash_complete",
        "COMP_LINE": "vdsprovctl lun show ",
        "COMP_POINT": "20",
    }
    offered = named.run(env=environment).stdout.splitlines()
    assert "plain,completed-lun" in offered
    assert not any("spaces" in line for line in offered)
