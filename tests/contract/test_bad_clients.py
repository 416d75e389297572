"""Clients that do not behave: what they cost is bounded, and the others do not notice."""

import json
import resource
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import pytest

from tests.daemon import SimulatedProcess, descriptors, memory

LUNS = 400
MIB = 1 << 20


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedProcess]:
    """A daemon in a process of its own, with many LUNs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    array = SimulatedProcess(tmp_path_factory.mktemp("bad"))
    array.start()
    with closing(raw(array)) as client:
        create = message("SubSystem.CreateLun", id=array.sub_system, type="simple", sizeInBytes=4096)
        for _ in range(LUNS):
            client.sendall(create)
            client.recv(MIB)
    deadline = time.monotonic() + 60
    while len(array.call("SubSystem.QueryLuns", id=array.sub_system)["luns"]) < LUNS:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    yield array
    array.stop()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def raw(array: SimulatedProcess) -> socket.socket:
    """A connection of somebody who knows nothing of Varlink."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(20)
    client.connect(str(array.socket))
    return client


def message(method: str, /, more: bool = False, **parameters: Any) -> bytes:
    """A call as it goes over the wire."""
    return json.dumps({"method": f"org.vdsprov.{method}", "more": more, "parameters": parameters}).encode() + b"\0"


class Other(threading.Thread):
    """Somebody who behaves, reads and writes meanwhile, and must not notice."""

    def __init__(self, array: SimulatedProcess, lun: str) -> None:
        super().__init__(daemon=True)
        self.took: list[float] = []
        self.error = ""
        self._array, self._lun = array, lun
        self._stop_it = threading.Event()

    def run(self) -> None:
        try:
            with self._array.connect() as connection:
                while not self._stop_it.wait(0.005):
                    begin = time.monotonic()
                    connection.call("org.vdsprov.Lun.GetProperties", {"id": self._lun})
                    name = {"id": self._lun, "friendlyName": f"{begin}"}
                    connection.call("org.vdsprov.LunNaming.SetFriendlyName", name)
                    self.took.append(time.monotonic() - begin)
        except Exception as error:
            self.error = repr(error)

    def end(self) -> float:
        """Stop, and give the time in which nine of ten calls were answered."""
        self._stop_it.set()
        self.join(20)
        assert not self.is_alive()
        assert self.error == ""
        return statistics.quantiles(self.took, n=10)[-1]


@contextmanager
def unharmed(array: SimulatedProcess, growth: int) -> Iterator[None]:
    """Meanwhile others are answered as ever; the daemon grows by so many bytes at most; then it has no file more open."""
    lun = array.call("SubSystem.QueryLuns", id=array.sub_system)["luns"][0]["id"]
    files = descriptors(array.pid)

    def other() -> Other:
        found = Other(array, lun)
        found.start()
        return found

    alone = other()
    time.sleep(0.5)
    usual = alone.end()
    before = memory(array.pid)
    meanwhile = other()
    yield
    time.sleep(0.2)
    grown = memory(array.pid) - before
    took = meanwhile.end()
    print(f"grown by {grown >> 10} KiB; others' p90 {1000 * usual:.1f} ms, then {1000 * took:.1f} ms")
    assert grown < growth
    assert took < 50 * usual
    deadline = time.monotonic() + 20
    while descriptors(array.pid) > files:
        assert time.monotonic() < deadline, "connections are left open"
        time.sleep(0.05)


def test_a_thousand_who_say_nothing(process: SimulatedProcess) -> None:
    """A thousand idle connections cost some KiB each, and leave room for everybody else."""
    with unharmed(process, 1000 * 32 * 1024), ExitStack() as stack:
        before = memory(process.pid)
        for _ in range(1000):
            stack.enter_context(closing(raw(process)))
        deadline = time.monotonic() + 20
        while descriptors(process.pid) < 1000:
            assert time.monotonic() < deadline, "not all are let in"
            time.sleep(0.05)
        print(f"{(memory(process.pid) - before) // 1000} bytes for each")
        process.wait(process.call("SubSystemIscsi.CreateTarget", id=process.sub_system))


def test_slow_readers(process: SimulatedProcess) -> None:
    """Fifty that want every LUN again and again, and read a byte now and then."""
    with unharmed(process, 64 * MIB), ExitStack() as stack:
        slow = [stack.enter_context(closing(raw(process))) for _ in range(50)]
        for client in slow:
            client.sendall(message("SubSystem.QueryLuns", more=True, id=process.sub_system) * 60)
        for _ in range(40):
            for client in slow:
                assert client.recv(1)
            time.sleep(0.05)


def test_who_vanishes(process: SimulatedProcess) -> None:
    """Hundreds that go away in the middle of a message, of a call, of a stream, of waiting for an operation."""
    sub_system = process.sub_system
    whole = message("SubSystem.QueryLuns", more=True, id=sub_system)
    with unharmed(process, 16 * MIB), process.slow():
        made = process.call("SubSystemIscsi.CreateTarget", id=sub_system)  # under way for a second
        for _ in range(100):
            for sent in (
                whole[: len(whole) // 2],
                whole,
                message("SubSystem.Reenumerate", id=sub_system),
                message("Service.Advise", more=True),
                message("Async.Wait", more=True, id=made["async"]),
            ):
                with closing(raw(process)) as client:
                    client.sendall(sent)
        with closing(raw(process)) as client:
            client.sendall(whole)
            assert client.recv(1)
        # What they started is done all the same.
        process.wait(made)


def test_who_listens_and_does_not_read(process: SimulatedProcess) -> None:
    """An advise sink that is not read while there are more notifications than are kept for it: what was kept is bounded, and
    it is told to enumerate again when it reads."""
    lun = process.call("SubSystem.QueryLuns", id=process.sub_system)["luns"][1]["id"]
    targets = [process.make_target() for _ in range(200)]
    with unharmed(process, 32 * MIB), closing(raw(process)) as deaf:
        deaf.sendall(message("Service.Advise", more=True))
        assert deaf.recv(1)
        for number in range(100):
            # Each of them is told of: 20,000 notifications.
            process.call("LunIscsi.AssociateTargets", id=lun, targetIds=() if number % 2 else targets)
        assert _until(deaf, b'"overrun":true')


def _read_all(client: socket.socket, messages: int) -> None:
    while messages:
        messages -= client.recv(MIB).count(b"\0")


def _until(client: socket.socket, words: bytes) -> bool:
    found = b""
    while words not in found:
        got = client.recv(MIB)
        if not got:
            return False
        found = found[-len(words) :] + got
    return True


def test_endless_bytes(process: SimulatedProcess) -> None:
    """A message without an end is cut off when it is too long."""
    with unharmed(process, 16 * MIB), closing(raw(process)) as client:
        sent = 0
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            while sent < 64 * MIB:
                sent += client.send(b"x" * 65536)
        assert sent < 4 * MIB


def test_a_thousand_calls_at_once(process: SimulatedProcess) -> None:
    """A thousand calls before the first answer is read are answered one after the other, as they are read."""
    calls = message("SubSystem.QueryLuns", id=process.sub_system) * 1000
    with unharmed(process, 16 * MIB), closing(raw(process)) as client:
        sender = threading.Thread(target=client.sendall, args=(calls,), daemon=True)
        sender.start()
        time.sleep(2)
        grown = memory(process.pid)
        _read_all(client, 1000)
        sender.join(20)
        assert memory(process.pid) < grown + 16 * MIB
