"""The daemon as a service: what it tells who started it, and a configuration that changes while it serves."""

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.arrays import Reply
from vdsprovd.varlink.client import Connection

CONFIGURATION = """
[[subsystem]]
name = "array0"
iqn-prefix = "iqn.2026-11.org.example"
portals = ["10.77.0.1:3260"]
[[subsystem.pool]]
name = "files0"
kind = "files"
path = "/simulated"
"""


class Service:
    """A daemon, whoever started it, and a client that stays connected."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.file = folder / "vdsprovd.toml"
        self.file.write_text(CONFIGURATION)
        self.told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.told.bind(str(folder / "notify"))
        self.told.settimeout(30)
        self.path = str(folder / "socket")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vdsprovd", "--simulate", "--config", str(self.file), "--socket", self.path],
            env={**os.environ, "NOTIFY_SOCKET": str(folder / "notify"), **environment},
            stderr=subprocess.PIPE,
        )
        try:
            self.next("READY=1")
        except TimeoutError:
            self.end()
            raise
        self.connection = Connection(self.path)
        (found,) = self.connection.call("org.vdsprov.HwProvider.QuerySubSystems", {})["subSystems"]
        self.sub_system: str = found["id"]

    def next(self, assignment: str) -> dict[str, str]:
        """The next message with that assignment; others are passed over."""
        while True:
            lines = self.told.recv(4096).decode().splitlines()
            if assignment in lines:
                return dict(line.split("=", 1) for line in lines)

    def reload(self, old: str, new: str) -> str:
        """Change the file and reload it; gives the status that is told then."""
        self.file.write_text(self.file.read_text().replace(old, new))
        self.process.send_signal(signal.SIGHUP)
        assert int(self.next("RELOADING=1")["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
        return self.next("READY=1")["STATUS"]

    def call(self, method: str, **parameters: object) -> Reply:
        """Call a method of the API."""
        return dict(self.connection.call(f"org.vdsprov.{method}", parameters))

    def make_target(self) -> Reply:
        """The properties of a new target with a generated name."""
        started = self.call("SubSystemIscsi.CreateTarget", id=self.sub_system)
        return self.target(str(self.call("Async.Wait", id=started["async"])["object"]))

    def target(self, id: object) -> Reply:
        """The properties of a target."""
        return dict(self.call("IscsiTarget.GetProperties", id=id)["properties"])

    def end(self) -> None:
        """Stop it."""
        self.process.terminate()
        self.process.communicate(timeout=30)


@contextmanager
def running(folder: Path, **environment: str) -> Iterator[Service]:
    service = Service(folder, **environment)
    try:
        yield service
    finally:
        service.connection.close()
        service.end()
        service.told.close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A daemon that was started without a watchdog."""
    with running(tmp_path) as found:
        yield found


def test_a_reload_takes_in_what_may_change(service: Service) -> None:
    """Whether CHAP is required, of targets that are there and of new ones; prefixes of names, portals, whether there are
    import targets. No client is dropped."""
    before = service.make_target()
    assert before["chapEnabled"] is True
    service.reload('portals = ["10.77.0.1:3260"]', 'portals = ["10.77.0.1:3261"]\nrequire-chap = false')
    status = service.reload("org.example", 'org.other"\nimport-target = false\n#')
    assert status == f"serving {service.path}"
    assert service.target(before["id"])["chapEnabled"] is False
    after = service.make_target()
    assert after["chapEnabled"] is False
    assert str(after["iscsiName"]).startswith("iqn.2026-11.org.other")
    portals = service.call("SubSystemIscsi.QueryPortals", id=service.sub_system)["portals"]
    assert [portal["address"]["port"] for portal in portals] == [3261]


def test_a_reload_without_a_file_names_none(tmp_path: Path) -> None:
    """The daemon that is tried with --simulate alone has a configuration of its own: the log says so."""
    command = [sys.executable, "-m", "vdsprovd", "--simulate", "--socket", str(tmp_path / "socket")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        try:
            for line in process.stderr:
                if "ready: " in line:
                    process.send_signal(signal.SIGHUP)
                if "reloaded" in line:
                    break
        finally:
            process.terminate()
    assert "reloaded --simulate" in line


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("iqn-prefix", "iqn-prefx", "subsystem[0]: Object contains unknown field `iqn-prefx`"),
        ('"array0"', '"array0', "Illegal character"),
        ("/simulated", "/elsewhere", "subsystem[0].pool: to change it takes a restart"),
        ('"array0"', '"array1"', "subsystem[0].name: to change it takes a restart"),
        (
            "[[subsystem]]",
            '[provider]\nstate = "/elsewhere"\n[[subsystem]]',
            "provider.state: to change it takes a restart",
        ),
    ],
)
def test_a_reload_that_cannot_be_changes_nothing(service: Service, old: str, new: str, told: str) -> None:
    """A file that cannot be used, or that changes what only a start takes in, is told with file and key, and nothing of it
    is in force; with the file as it was all is well again."""
    service.file.write_text(service.file.read_text() + "\n")
    before = service.file.read_text()
    text = before.replace("portals", "require-chap = false\nportals")
    service.file.write_text(text)
    status = service.reload(old, new)
    assert f"the configuration stays as it was: {service.file}: " in status
    assert told in status
    assert service.make_target()["chapEnabled"] is True
    service.file.write_text(before)
    assert service.reload("", "") == f"serving {service.path}"


def test_signs_of_life_come_twice_as_often_as_wanted(tmp_path: Path) -> None:
    """They stop with the process, and go on with it."""
    with running(tmp_path, WATCHDOG_USEC="1000000") as service:
        service.next("WATCHDOG=1")
        began = time.monotonic()
        for _ in range(4):
            service.next("WATCHDOG=1")
        assert 1.9 < time.monotonic() - began < 4
        service.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, service.process.pid, os.WSTOPPED | os.WNOWAIT)
        while select.select([service.told], [], [], 0)[0]:
            service.told.recv(4096)
        assert select.select([service.told], [], [], 1.2)[0] == []
        service.process.send_signal(signal.SIGCONT)
        service.next("WATCHDOG=1")


@pytest.mark.parametrize("environment", [{}, {"WATCHDOG_USEC": "200000", "WATCHDOG_PID": "1"}])
def test_without_a_watchdog_there_are_none(tmp_path: Path, environment: dict[str, str]) -> None:
    """Neither when systemd wants none, nor when it wants them of another process."""
    with running(tmp_path, **environment) as service:
        assert select.select([service.told], [], [], 0.5)[0] == []
