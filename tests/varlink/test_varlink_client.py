"""Our clients against our server, and against servers that misbehave."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.varlink.sample import (
    NAME,
    Color,
    Count,
    Everything,
    Nothing,
    Number,
    Numbers,
    Point,
    method,
    serving,
    serving_in_thread,
    with_methods,
)
from vdsprovd.varlink import client
from vdsprovd.varlink.call import Call
from vdsprovd.varlink.client import AsyncConnection, Connection
from vdsprovd.varlink.interface import More, VarlinkError

EVERYTHING = Everything(
    "text",
    True,
    2**62,
    0.5,
    Point(1),
    Color.DARK_BLUE,
    [Point(1, 2)],
    ("a", "b"),
    {"here": Point(3)},
    {"any": [1, None]},
    msgspec.Raw(b'{"raw":1}'),
    b"\0\xff",
)


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    async def silent(call: Call, parameters: Nothing) -> AsyncIterator[Number]:
        yield Number(0)
        await asyncio.sleep(60)

    with serving_in_thread(tmp_path / "s", with_methods(method("Silent", Nothing, Number, silent, More.REQUIRED))):
        yield tmp_path / "s"


def test_call(path: Path) -> None:
    """A call returns its reply, as a dictionary or as the type that is asked for."""
    with Connection(path) as connection:
        assert connection.call(f"{NAME}.Echo", {"count": 3}) == {"number": 3}
        assert connection.call(f"{NAME}.Echo", Count(4), Number) == Number(4)
        assert connection.call(f"{NAME}.Nothing") == {}
        assert len(connection.call(f"{NAME}.List", Count(16_384), Numbers).numbers) == 16_384


def test_every_type_arrives(path: Path) -> None:
    """A value of each type comes back as it was sent."""
    with Connection(path) as connection:
        answer = connection.call(f"{NAME}.EchoEverything", EVERYTHING, Everything)
        assert bytes(answer.raw) == bytes(EVERYTHING.raw)
        answer.raw = EVERYTHING.raw
        assert answer == EVERYTHING


def test_error(path: Path) -> None:
    """An error is raised with its name and parameters, says its message, and leaves the connection usable."""
    with Connection(path) as connection:
        with pytest.raises(VarlinkError) as caught:
            connection.call(f"{NAME}.Fail", {"count": 5})
        assert caught.value.name == f"{NAME}.Failed"
        assert caught.value.parameters == {"message": "it did not work", "code": 5}
        assert str(caught.value) == f"{NAME}.Failed: it did not work"
        assert connection.call(f"{NAME}.Echo", {"count": 3}) == {"number": 3}


def test_stream(path: Path) -> None:
    """A stream returns all replies, also those to a method that has only one."""
    with Connection(path) as connection:
        assert list(connection.stream(f"{NAME}.UpTo", Count(3), Number)) == [Number(n) for n in range(4)]
        assert list(connection.stream(f"{NAME}.Echo", {"count": 1})) == [{"number": 1}]
        batches = connection.stream(f"{NAME}.List", Count(250), Numbers)
        assert [len(batch.numbers) for batch in batches] == [10, 200, 40]
        with pytest.raises(VarlinkError, match="Failed"):
            list(connection.stream(f"{NAME}.Fail", Count(1)))
        assert connection.call(f"{NAME}.Echo", {"count": 3}) == {"number": 3}


def test_one_call_at_a_time(path: Path) -> None:
    """A call while a stream is not at its end is refused, and does not disturb the stream."""
    with Connection(path) as connection:
        stream = connection.stream(f"{NAME}.UpTo", Count(2))
        assert next(stream) == {"number": 0}
        with pytest.raises(RuntimeError, match="one call at a time"):
            connection.call(f"{NAME}.Nothing")
        assert len(list(stream)) == 2
        connection.call(f"{NAME}.Nothing")


def test_stream_that_is_left(path: Path) -> None:
    """Leaving a stream before its end closes the connection."""
    with Connection(path) as connection:
        for _ in connection.stream(f"{NAME}.UpTo", Count(2)):
            break
        with pytest.raises(ConnectionError, match="closed"):
            connection.call(f"{NAME}.Nothing")


def test_oneway(path: Path) -> None:
    """A oneway call returns at once, and the next reply is the next call's."""
    with Connection(path) as connection:
        connection.oneway(f"{NAME}.Fail", {"count": 5})
        assert connection.call(f"{NAME}.Echo", {"count": 3}) == {"number": 3}


def test_timeout(path: Path) -> None:
    """A call, or a stream's next reply, that takes too long raises TimeoutError and closes the connection."""
    for attempt in (
        lambda connection: connection.call(f"{NAME}.Later", Count(60_000), timeout=0.05),
        lambda connection: list(connection.stream(f"{NAME}.Silent", timeout=0.05)),
    ):
        with Connection(path, timeout=30) as connection:
            start = time.monotonic()
            with pytest.raises(TimeoutError):
                attempt(connection)
            assert time.monotonic() - start < 5
            with pytest.raises(ConnectionError, match="closed"):
                connection.call(f"{NAME}.Nothing")


def test_nobody_listens(tmp_path: Path) -> None:
    """Where no server is, the usual exceptions of a socket are raised."""
    with pytest.raises(FileNotFoundError):
        Connection(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    with pytest.raises(ConnectionRefusedError):
        Connection(tmp_path / "s", timeout=1)


def answering(answer: bytes, use: Callable[[Connection], Any]) -> Any:
    """Use a connection to a server that answers like this and closes."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        theirs.recv(1000)
        theirs.sendall(answer)
        theirs.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        with Connection(ours, timeout=10) as connection:
            return use(connection)
    finally:
        thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b'{"parameters":{',
        b"rubbish\0",
        b"[]\0",
        b'{"parameters":{},"unknown":1}\0',
        b'{"parameters":{"number":"x"}}\0',
        b'{"parameters":{"number":1},"continues":true}\0',
    ],
)
def test_servers_that_misbehave(answer: bytes) -> None:
    """A connection that is lost, and a reply that is none, raise ConnectionError."""
    with pytest.raises(ConnectionError):
        answering(answer, lambda connection: connection.call("a.B", None, Number))


def test_fields_of_a_newer_server() -> None:
    """What a newer server says more is ignored, as are vendors' extensions."""
    answer = b'{"parameters":{"number":1,"new":2},"org.example":{"x":1}}\0'
    assert answering(answer, lambda connection: connection.call("a.B", None, Number)) == Number(1)


def test_message_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that does not end is given up at the limit."""
    monkeypatch.setattr(client, "MAX_MESSAGE", 1000)
    with pytest.raises(ConnectionError, match="more than 1000"):
        answering(b"x" * 2000, lambda connection: connection.call("a.B"))


def test_async_connection(tmp_path: Path) -> None:
    """The connection for asyncio does the same: calls, errors, streams, oneway."""

    async def main() -> None:
        async with serving(tmp_path / "s"), await AsyncConnection.open(tmp_path / "s") as connection:
            assert await connection.call(f"{NAME}.Echo", Count(4), Number) == Number(4)
            assert await connection.call(f"{NAME}.Echo", {"count": 4}) == {"number": 4}
            with pytest.raises(VarlinkError, match="it did not work"):
                await connection.call(f"{NAME}.Fail", Count(1))
            await connection.oneway(f"{NAME}.Fail", Count(1))
            assert [reply async for reply in connection.stream(f"{NAME}.UpTo", Count(1), Number)] == [
                Number(0),
                Number(1),
            ]
            assert len(await connection.call(f"{NAME}.Echo", Count(4))) == 1
            async for _ in (stream := connection.stream(f"{NAME}.UpTo", Count(1))):
                with pytest.raises(RuntimeError, match="one call at a time"):
                    await connection.call(f"{NAME}.Nothing")
                break
            await stream.aclose()
            with pytest.raises(ConnectionError, match="closed"):
                await connection.call(f"{NAME}.Nothing")

    asyncio.run(main())


def test_async_timeout(tmp_path: Path) -> None:
    """A call that is cancelled closes its connection."""

    async def main() -> None:
        async with serving(tmp_path / "s"), await AsyncConnection.open(tmp_path / "s") as connection:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await connection.call(f"{NAME}.Later", Count(60_000))
            with pytest.raises(ConnectionError, match="closed"):
                await connection.call(f"{NAME}.Nothing")

    asyncio.run(main())


def test_async_connection_that_is_lost(tmp_path: Path) -> None:
    """A server that goes away during a call raises ConnectionError."""

    async def main() -> None:
        async with serving(tmp_path / "s") as service, await AsyncConnection.open(tmp_path / "s") as connection:
            waiting = asyncio.create_task(connection.call(f"{NAME}.Later", Count(60_000)))
            await asyncio.sleep(0.05)
            await service.close()
            with pytest.raises(ConnectionError):
                await waiting

    asyncio.run(main())


def test_no_descriptors_are_left(path: Path) -> None:
    """Connections that failed or were left leave no file descriptor behind."""

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = descriptors()
    for _ in range(20):
        with Connection(path) as connection:
            next(connection.stream(f"{NAME}.Silent"))
    deadline = time.monotonic() + 5
    while descriptors() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert descriptors() <= before
