"""What configshell-fb does on its own, and is not to do here."""

import signal
import subprocess
import sys
from pathlib import Path

from tests.cli.vdsprovctl import PROGRAM, Daemon


def test_no_files(daemon: Daemon, home: Path) -> None:
    """Preferences, history and logs: without a terminal nothing is written, and no other place is asked for any."""
    (home / ".vdsprovctl").mkdir()
    environment = daemon.environment() | {"HOME": str(home), "XDG_STATE_HOME": str(home / "state")}
    done = daemon.run("shell", "ls", env=environment)
    assert done.returncode == 0
    assert [path.name for path in home.rglob("*")] == [".vdsprovctl"]


def test_ctrl_c_stays_what_it_was() -> None:
    """Its import does not take the signal: where it was ignored, it stays ignored."""
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); import vdsprovd.shell.session; "
        "print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_no_warnings_of_its_parser(daemon: Daemon) -> None:
    """What it calls in pyparsing has other names by now; nobody is told."""
    done = subprocess.run(
        [PROGRAM[0], "-W", "error", *PROGRAM[1:], "shell", "pwd"],
        env=daemon.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("/\n", "")


def test_output_goes_where_it_is_wanted_now(daemon: Daemon) -> None:
    """And not where standard output was when it was imported; without a terminal it has no colours."""
    done = daemon.run_here("shell", "ls", "/array0/luns")
    assert done.stdout.startswith("o- luns ..")
    assert "\x1b" not in done.stdout


def test_colours(daemon: Daemon) -> None:
    """A terminal has them, unless NO_COLOR is set."""
    assert "\x1b[32m" in daemon.on_terminal(80, "shell", "ls", "/")
    assert "\x1b" not in daemon.on_terminal(80, "shell", "ls", "/", NO_COLOR="1")


def test_without_configshell(daemon: Daemon, tmp_path: Path) -> None:
    """The client can be installed without it; the shell then tells how to get it, and all the rest works."""
    (tmp_path / "configshell_fb.py").write_text("raise ImportError('none here', name='configshell_fb')")
    environment = daemon.environment() | {"PYTHONPATH": str(tmp_path)}
    done = daemon.run("shell", "ls", env=environment)
    assert done.returncode == 1
    assert "pip install 'vdsprovd[shell]'" in done.stderr
    assert daemon.run("--help", env=environment).returncode == 0
    assert daemon.run("shell", "--help", env=environment).returncode == 0
