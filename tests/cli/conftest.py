"""Fixtures: vdsprovctl and a daemon for it."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from tests.arrays import SimulatedArray
from tests.cli.vdsprovctl import Daemon
from vdsprovd.cli.session import Session
from vdsprovd.cli.verbs import Verb
from vdsprovd.client import Client, Unreachable
from vdsprovd.client.attempt import Attempt
from vdsprovd.hresult import VdsError


@contextmanager
def _running(folder: Path) -> Iterator[Daemon]:
    socket = folder / "sock"
    log = folder / "log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            [sys.executable, "-m", "vdsprovd", "--simulate", "--socket", str(socket)], stderr=output
        ) as process,
    ):
        try:
            _wait_until_ready(socket, log)
            daemon = Daemon(socket)
            yield daemon
            daemon.client.close()
        finally:
            process.terminate()
            assert process.wait(30) == 0, log.read_text()


def _wait_until_ready(socket: Path, log: Path) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            with Client(socket) as client:
                client.subsystems()
        except (Unreachable, VdsError):
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.02)
        else:
            return


@pytest.fixture(autouse=True)
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The calls that commands in this process make; each verb must have declared its own."""
    counted = Counter[str]()
    invoke = Verb.invoke

    class Counting(Client):
        def _attempt(self, method: str, *, resumable: bool = False, patience: float = 0.0) -> Attempt:
            if method:  # none, while it connects
                counted[method] += 1
            return super()._attempt(method, resumable=resumable, patience=patience)

    def checking(self: Verb, context: click.Context) -> object:
        before = counted.copy()
        try:
            return invoke(self, context)
        finally:
            undeclared = (counted - before).keys() - set(self.calls)
            assert not undeclared, f"{context.command_path} calls {undeclared}"

    monkeypatch.setattr(Session, "connect", lambda self: Counting(self.socket))
    monkeypatch.setattr(Verb, "invoke", checking)
    return counted


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A vdsprovd of one's own: one subsystem, array0, without LUNs and targets."""
    with _running(tmp_path) as found:
        yield found


@pytest.fixture(scope="session")
def shared_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A vdsprovd for tests that do not mind what is there already."""
    with _running(tmp_path_factory.mktemp("daemon")) as found:
        yield found


@pytest.fixture
def array(simulated: SimulatedArray) -> Iterator[tuple[SimulatedArray, Daemon]]:
    """A daemon that a test can reach into, with two subsystems, array0 and array1."""
    daemon = Daemon(simulated.socket)
    yield simulated, daemon
    daemon.client.close()
