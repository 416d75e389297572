"""What vdsprovctl says when something is wrong, and its exit statuses."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.arrays import SimulatedArray
from tests.cli.vdsprovctl import PROGRAM, Daemon, answering
from vdsprovd import __version__
from vdsprovd.cli.__main__ import COMMANDS, vdsprovctl
from vdsprovd.client import DEFAULT_SOCKET

DENIED = b'{"error":"org.varlink.service.PermissionDenied"}'
NO_ROLE = (
    b'{"error":"org.vdsprov.AccessDenied","parameters":{"hresult":2147942405,"symbol":"E_ACCESSDENIED",'
    b'"message":"QuerySubSystems needs the role viewer"}}'
)
UNKNOWN = (
    b'{"error":"org.vdsprov.FromTheFuture","parameters":{"hresult":2147785113,"symbol":"VDS_E_FROM_THE_FUTURE",'
    b'"message":"that is not known yet"}}'
)


def test_vds_error(shared_daemon: Daemon) -> None:
    """A VDS error is one line with the message, the symbol and the number; status 6."""
    done = shared_daemon.run("call", "Lun.GetProperties", '{"id": "none"}')
    assert (done.returncode, done.stdout) == (6, "")
    assert done.stderr == (
        "vdsprovctl: cannot call Lun.GetProperties: there is no such object as 'none' "
        "(VDS_E_OBJECT_NOT_FOUND 0x80042405)\n"
    )


def test_unknown_code(tmp_path: Path, shared_daemon: Daemon) -> None:
    """A code that only a newer daemon knows is shown like any other."""
    with answering(tmp_path / "sock", UNKNOWN):
        done = shared_daemon.run_here("--socket", str(tmp_path / "sock"), "lun", "list")
    assert done.returncode == 1
    assert done.stderr == "vdsprovctl: cannot list the LUNs: that is not known yet (VDS_E_FROM_THE_FUTURE 0x80049999)\n"


@pytest.mark.parametrize("arguments", [[], ["lun", "list", "--no-such-option"], ["call"], ["nonsense"]])
def test_usage(shared_daemon: Daemon, arguments: list[str]) -> None:
    """A wrong command line is told with the usage; status 2."""
    done = shared_daemon.run_here(*arguments)
    assert done.returncode == 2
    assert "Usage: vdsprovctl" in done.stderr


@pytest.mark.parametrize("command", ["lun list", "target show web", "events", "recover", "call Provider.GetProperties"])
def test_nobody_there(tmp_path: Path, shared_daemon: Daemon, command: str) -> None:
    """Without a daemon every command says which socket it tried and what to check; status 3."""
    run = shared_daemon.run if command == "lun list" else shared_daemon.run_here
    done = run("--socket", str(tmp_path / "none"), *command.split())
    assert done.returncode == 3
    assert f"cannot connect to vdsprovd at {tmp_path / 'none'}: No such file or directory" in done.stderr
    assert "systemctl status vdsprovd" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_socket_not_allowed(shared_daemon: Daemon, tmp_path: Path) -> None:
    """Who may not open the socket is told of the group; status 3."""
    forbidden = tmp_path / "sock"
    with answering(forbidden, DENIED):
        forbidden.chmod(0o600)
        # The test's folders are closed to others, too, and so is the interpreter: only the user of files changes.
        change = "import gettext, locale, os, runpy; import vdsprovd.cli.nouns.lun, vdsprovd.client; os.setgroups([]); os.setegid(65534); os.seteuid(65534);"
        done = subprocess.run(
            [sys.executable, "-c", f"{change} runpy.run_module('vdsprovd.cli', run_name='__main__')", "lun", "list"],
            env=shared_daemon.environment() | {"VDSPROVD_SOCKET": str(forbidden)},
            capture_output=True,
            text=True,
            check=False,
        )
        shared_daemon.run("--socket", str(forbidden), "lun", "list")
    assert done.returncode == 3
    assert "Permission denied" in done.stderr
    assert "group vdsprov" in done.stderr


def test_connection_lost(tmp_path: Path, shared_daemon: Daemon) -> None:
    """A daemon that goes away during a call is told apart from one that is not there; status 3."""
    with answering(tmp_path / "sock"):
        done = shared_daemon.run_here("--socket", str(tmp_path / "sock"), "lun", "list")
    assert done.returncode == 3
    assert "cannot list the LUNs: vdsprovd at" in done.stderr


@pytest.mark.parametrize("answer", [DENIED, NO_ROLE])
def test_denied(tmp_path: Path, shared_daemon: Daemon, answer: bytes) -> None:
    """Who has no role, or not the one that it takes, is told so; status 5."""
    with answering(tmp_path / "sock", answer):
        done = shared_daemon.run_here("--socket", str(tmp_path / "sock"), "lun", "list")
    assert done.returncode == 5
    assert "E_ACCESSDENIED" in done.stderr


def test_corrupt_cache_and_recovery(array: tuple[SimulatedArray, Daemon]) -> None:
    """With a corrupt cache commands fail with status 4 and name `vdsprovctl recover`, which helps."""
    simulated, daemon = array
    simulated.prove_corruption()
    for run, command in ((daemon.run, "lun"), (daemon.run_here, "target"), (daemon.run_here, "subsystem")):
        done = run(command, "list")
        assert (done.returncode, done.stdout) == (4, "")
        assert done.stderr.count("vdsprovctl recover") == 1
    shown = daemon.shows("recover").splitlines()
    assert [line.split(":")[0] for line in shown[:2]] == ["HwProvider.Reenumerate", "HwProvider.Refresh"]
    assert shown[2:] == ["The provider's cache is sound."]
    assert len(daemon.json("target", "list", "--json")) == 1
    assert [step["method"] for step in daemon.json("recover", "--json")["steps"]] == [
        "HwProvider.Reenumerate",
        "HwProvider.Refresh",
    ]


def test_failed_recovery(array: tuple[SimulatedArray, Daemon], monkeypatch: pytest.MonkeyPatch) -> None:
    """A recovery that fails says which step it was."""
    simulated, daemon = array
    simulated.hardware.scan_fault = OSError("the host cannot be read")  # type: ignore[assignment]  # what no adapter should raise
    done = daemon.run("recover")
    assert done.returncode != 0
    assert done.stdout.endswith("... failed\n")
    assert done.stderr.startswith("vdsprovctl: cannot recover: HwProvider.Reenumerate: ")


def test_closed_pipe(shared_daemon: Daemon) -> None:
    """When the reader of the output has enough, the command ends without a word."""
    with subprocess.Popen(
        [*PROGRAM, "lun", "list"], env=shared_daemon.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_version_and_help(shared_daemon: Daemon) -> None:
    """--version and --help need no daemon; the help has the commands, the socket and the exit statuses."""
    assert shared_daemon.shows("--version") == f"vdsprovctl {__version__}\n"
    shown = shared_daemon.shows("--help")
    for expected in (*COMMANDS, "VDSPROVD_SOCKET", DEFAULT_SOCKET, "Exit status:", "130"):
        assert expected in shown


def test_commands_help(shared_daemon: Daemon) -> None:
    """Each command's help begins like its line in the list of commands."""
    context = vdsprovctl.make_context("vdsprovctl", ["lun", "list"])
    for name, (_, summary) in COMMANDS.items():
        command = vdsprovctl.get_command(context, name)
        assert command is not None
        assert command.help is not None
        assert command.help[:4] == summary[:4]


def test_old_locale(shared_daemon: Daemon) -> None:
    """A name that the locale's encoding lacks is shown with escapes."""
    shared_daemon.make_lun("Größe")
    done = shared_daemon.run("lun", "list", env=shared_daemon.environment() | {"PYTHONIOENCODING": "koi8-r"})
    assert done.returncode == 0
    assert "Gr\\xf6\\xdfe" in done.stdout
