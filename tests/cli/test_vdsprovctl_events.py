"""vdsprovctl events: an advise sink for people and scripts."""

import signal
import subprocess
from typing import IO

import msgspec
import pytest

import vdsprovd.cache
from tests.arrays import SimulatedArray
from tests.cli.vdsprovctl import Daemon


def line(stream: IO[str] | None) -> str:
    """The next line that a process prints."""
    assert stream is not None
    return stream.readline()


def interrupt(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Press Ctrl-C; gives the status and what else was said."""
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    return process.returncode, said


def test_sees_a_lun_arrive(shared_daemon: Daemon) -> None:
    """It says when it is established, then a line for each notification, as it comes; Ctrl-C ends it with status 0."""
    with shared_daemon.start("events") as process:
        assert "following the events" in line(process.stderr)
        lun = shared_daemon.make_lun()
        for _ in range(10):
            _, _, event, kind, id = line(process.stdout).split()
            if event == "lun_arrive":
                break
        assert (event, kind, id) == ("lun_arrive", "lun", lun)
        assert interrupt(process) == (0, "")


def test_json(shared_daemon: Daemon) -> None:
    """--json gives an object a line, with the time, the notification and its place."""
    with shared_daemon.start("events", "--json") as process:
        assert "following the events" in line(process.stderr)
        target = shared_daemon.make_target("iqn.2026-11.org.example:seen")
        found = msgspec.json.decode(line(process.stdout))
        assert list(found) == ["time", "objectType", "event", "id", "epoch", "sequence"]
        assert (found["objectType"], found["event"], found["id"]) == ("target", "target_arrive", target)
        assert interrupt(process) == (0, "")


def test_overrun(array: tuple[SimulatedArray, Daemon], monkeypatch: pytest.MonkeyPatch) -> None:
    """When notifications were dropped, it says what to do, and --json prints it too."""
    _, daemon = array
    with daemon.start("events", "--json") as process:
        line(process.stderr)
        monkeypatch.setattr(vdsprovd.cache, "BACKLOG", 0)
        daemon.make_target("iqn.2026-11.org.example:unseen")
        assert msgspec.json.decode(line(process.stdout))["overrun"] is True
        assert "list again" in line(process.stderr)


def test_daemon_ends(array: tuple[SimulatedArray, Daemon]) -> None:
    """When the daemon ends, so does the command: status 3, and where to look."""
    simulated, daemon = array
    with daemon.start("events") as process:
        line(process.stderr)
        simulated.stop()
        _, said = process.communicate(timeout=30)
        simulated.start()
    assert process.returncode == 3
    assert "closed the connection" in said
    assert "journalctl -u vdsprovd" in said
