"""Several replies to one call: streams and batches, their readers, and clients that go away."""

from __future__ import annotations

import asyncio
import itertools
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.varlink.sample import (
    NAME,
    Count,
    Nothing,
    Number,
    Numbers,
    Raw,
    Watch,
    call,
    method,
    serving,
    until,
    with_methods,
)
from vdsprovd.varlink.call import Call
from vdsprovd.varlink.interface import Last, More, VarlinkError, lazily
from vdsprovd.varlink.routes import BATCH_SIZE, FIRST_BATCH, WHOLE_ARRAY_MAX, Route
from vdsprovd.varlink.server import Service


async def replies(raw: Raw) -> list[dict[str, Any]]:
    """All replies to one call."""
    found = []
    while True:
        reply = await raw.receive()
        found.append(reply)
        if not reply.get("continues"):
            return found


def test_stream_with_more(tmp_path: Path) -> None:
    """With `more` every reply of a generator continues, but for the one marked as the last."""

    async def main() -> None:
        async with serving(tmp_path / "s"), Raw.to(tmp_path / "s") as raw:
            await raw.send(call("UpTo", {"count": 2}, more=True))
            assert await replies(raw) == [
                {"parameters": {"number": 0}, "continues": True},
                {"parameters": {"number": 1}, "continues": True},
                {"parameters": {"number": 2}},
            ]

    asyncio.run(main())


@pytest.mark.parametrize("count", [0, 2])
def test_stream_without_more(tmp_path: Path, count: int) -> None:
    """Without `more` the generator's first reply is the only one."""

    async def main() -> None:
        async with serving(tmp_path / "s"), Raw.to(tmp_path / "s") as raw:
            await raw.send(call("UpTo", {"count": count}) + call("Echo", {"count": 9}))
            assert await replies(raw) == [{"parameters": {"number": 0}}]
            assert await replies(raw) == [{"parameters": {"number": 9}}]

    asyncio.run(main())


def test_stream_that_just_returns(tmp_path: Path) -> None:
    """A generator that returns without a last reply ends its stream with one that has no parameters."""

    async def main() -> None:
        async with serving(tmp_path / "s"), Raw.to(tmp_path / "s") as raw:
            await raw.send(call("Bare", {"count": 2}, more=True))
            assert await replies(raw) == [{"continues": True}, {"continues": True}, {}]

    asyncio.run(main())


def test_stream_that_forgets_its_last_reply(tmp_path: Path) -> None:
    """A generator that returns where the reply has required fields is a bug, and is answered as one."""
    found: list[BaseException] = []

    def unexpected(name: str, error: BaseException) -> VarlinkError:
        found.append(error)
        return VarlinkError(f"{NAME}.Empty")

    async def forgets(call: Call, parameters: Nothing) -> AsyncIterator[Number]:
        yield Number(1)

    async def main() -> None:
        async with (
            serving(
                tmp_path / "s",
                with_methods(method("Forgets", Nothing, Number, forgets, More.SUPPORTED)),
                unexpected=unexpected,
            ),
            Raw.to(tmp_path / "s") as raw,
        ):
            await raw.send(call("Forgets", more=True))
            assert await replies(raw) == [{"parameters": {"number": 1}, "continues": True}, {"error": f"{NAME}.Empty"}]

    asyncio.run(main())
    assert isinstance(found[0], TypeError)


def test_stream_sends_at_once(tmp_path: Path) -> None:
    """Each reply of a quiet stream is sent when it is there, not when the next one is."""

    async def main() -> None:
        watch = Watch()
        async with (
            serving(tmp_path / "s", with_methods(method("Watch", Nothing, Number, watch, More.REQUIRED))),
            Raw.to(tmp_path / "s") as raw,
        ):
            await raw.send(call("Watch", more=True))
            for number in range(3):
                watch.numbers.put_nowait(number)
                assert await raw.receive() == {"parameters": {"number": number}, "continues": True}

    asyncio.run(main())


@pytest.mark.parametrize("name", ["List", "ListLater"])
@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (0, [0]),
        (1, [1]),
        (FIRST_BATCH, [FIRST_BATCH]),
        (FIRST_BATCH + 1, [FIRST_BATCH, 1]),
        (FIRST_BATCH + BATCH_SIZE, [FIRST_BATCH, BATCH_SIZE]),
        (FIRST_BATCH + 2 * BATCH_SIZE + 1, [FIRST_BATCH, BATCH_SIZE, BATCH_SIZE, 1]),
        (WHOLE_ARRAY_MAX + 1, [FIRST_BATCH] + [BATCH_SIZE] * 81 + [175]),
    ],
)
def test_batches(tmp_path: Path, name: str, count: int, sizes: list[int]) -> None:
    """With `more` an array comes in batches, a small one first, an empty one as one empty reply; the other fields come with
    each."""

    async def main() -> None:
        async with serving(tmp_path / "s"), Raw.to(tmp_path / "s") as raw:
            await raw.send(call(name, {"count": count}, more=True))
            found = await replies(raw)
            numbers = [reply["parameters"]["numbers"] for reply in found]
            assert [len(batch) for batch in numbers] == sizes
            assert list(itertools.chain(*numbers)) == list(range(count))
            assert len({reply["parameters"]["total"] for reply in found}) == 1

    asyncio.run(main())


@pytest.mark.parametrize("name", ["List", "ListLater"])
def test_array_without_more(tmp_path: Path, name: str) -> None:
    """Without `more` an array comes whole, unless it is too long for one message."""

    async def main() -> None:
        async with serving(tmp_path / "s"), Raw.to(tmp_path / "s") as raw:
            await raw.send(call(name, {"count": WHOLE_ARRAY_MAX}))
            (reply,) = await replies(raw)
            assert len(reply["parameters"]["numbers"]) == WHOLE_ARRAY_MAX
            await raw.send(call(name, {"count": WHOLE_ARRAY_MAX + 1}))
            assert await replies(raw) == [{"error": "org.varlink.service.ExpectedMore"}]

    asyncio.run(main())


class LazyNumbers(msgspec.Struct):
    """Numbers that may be made one by one."""

    numbers: tuple[int, ...]


@pytest.mark.parametrize("count", [0, 1, FIRST_BATCH, FIRST_BATCH + 1, FIRST_BATCH + 3 * BATCH_SIZE + 7])
@pytest.mark.parametrize("more", [False, True])
def test_elements_made_as_they_are_sent(tmp_path: Path, count: int, more: bool) -> None:
    """They come as those of any array do."""

    def squares(call: Call, parameters: Count) -> LazyNumbers:
        return LazyNumbers(lazily(number**2 for number in range(parameters.count)))

    async def main() -> None:
        methods = with_methods(method("Squares", Count, LazyNumbers, squares, More.SUPPORTED))
        async with serving(tmp_path / "s", methods), Raw.to(tmp_path / "s") as raw:
            await raw.send(call("Squares", {"count": count}, more=more))
            found = [reply["parameters"]["numbers"] for reply in await replies(raw)]
            assert list(itertools.chain(*found)) == [number**2 for number in range(count)]
            assert len(found) == (1 + max(0, -(-(count - FIRST_BATCH) // BATCH_SIZE)) if more else 1)

    asyncio.run(main())


def test_a_batch_waits_for_no_other(tmp_path: Path) -> None:
    """An element that cannot be made breaks off the stream where it would be."""

    def until_it_breaks(call: Call, parameters: Nothing) -> LazyNumbers:
        return LazyNumbers(lazily(1 // (FIRST_BATCH + BATCH_SIZE + 50 - number) for number in range(10 * BATCH_SIZE)))

    async def main() -> None:
        methods = with_methods(method("UntilItBreaks", Nothing, LazyNumbers, until_it_breaks, More.SUPPORTED))
        failed = VarlinkError(f"{NAME}.Empty")
        async with (
            serving(tmp_path / "s", methods, unexpected=lambda name, error: failed),
            Raw.to(tmp_path / "s") as raw,
        ):
            await raw.send(call("UntilItBreaks", more=True))
            first, second, last = await replies(raw)
            sizes = [len(reply["parameters"]["numbers"]) for reply in (first, second)]
            assert sizes == [FIRST_BATCH, BATCH_SIZE]
            assert last == {"error": f"{NAME}.Empty"}

    asyncio.run(main())


def test_methods_that_do_not_fit_together() -> None:
    """A generator without `more`, and batches of a reply without one array, are refused when the service is made."""

    async def stream(call: Call, parameters: Nothing) -> AsyncIterator[Number]:
        yield Number(1)

    with pytest.raises(TypeError, match="async generator"):
        Route.to(method("Stream", Nothing, Number, stream))
    with pytest.raises(TypeError, match="one array, this one has 0"):
        Route.to(method("List", Nothing, Number, lambda call, parameters: None, More.SUPPORTED))


@pytest.mark.parametrize("message", [call("Watch", more=True), call("Wait")])
@pytest.mark.parametrize("pipelined", [0, 1, 500])
def test_vanished_client_cancels_its_call(tmp_path: Path, message: bytes, pipelined: int) -> None:
    """When a client closes, its running call is cancelled, however many more it had sent."""

    async def main() -> None:
        watch, ended = Watch(), asyncio.Event()

        async def wait(call: Call, parameters: Nothing) -> Number:
            try:
                watch.started.set()
                await asyncio.sleep(3600)
                return Number(1)
            finally:
                ended.set()

        interface = with_methods(
            method("Watch", Nothing, Number, watch, More.REQUIRED), method("Wait", Nothing, Number, wait)
        )
        async with serving(tmp_path / "s", interface) as service:
            async with Raw.to(tmp_path / "s") as raw:
                await raw.send(message + call("Nothing") * pipelined)
                await watch.started.wait()
                assert not ended.is_set()
                assert not watch.ended.is_set()
            await until(lambda: ended.is_set() or watch.ended.is_set())
            await until(lambda: service.connections == 0)

    asyncio.run(main())


def endless(written: list[int]) -> Any:
    async def stream(call: Call, parameters: Nothing) -> AsyncIterator[Numbers]:
        while True:
            written[0] += 1
            yield Numbers([1] * 1000)

    return method("Endless", Nothing, Numbers, stream, More.REQUIRED)


def test_slow_reader_is_bounded(tmp_path: Path) -> None:
    """A stream waits for its reader, and a reader that stops altogether is closed after the write timeout."""

    async def main() -> None:
        written = [0]
        async with (
            serving(tmp_path / "s", with_methods(endless(written)), write_timeout=0.4) as service,
            Raw.to(tmp_path / "s") as other,
        ):
            slow = socket.socket(socket.AF_UNIX)
            slow.connect(str(tmp_path / "s"))
            slow.sendall(call("Endless", more=True))
            await until(lambda: written[0] > 0)
            await asyncio.sleep(0.1)
            before = written[0]
            await asyncio.sleep(0.1)
            # The high-water mark is 64 KiB, the socket's buffer some hundred, a reply two.
            assert written[0] == before < 1000
            assert service.connections == 2
            assert await other.ask(call("Echo", {"count": 1})[:-1]) == {"parameters": {"number": 1}}
            await until(lambda: service.connections == 1)
            slow.close()

    asyncio.run(main())


def test_reader_that_makes_progress_is_not_closed(tmp_path: Path) -> None:
    """A slow reader that does read is served for longer than the write timeout."""

    async def main() -> None:
        async with serving(tmp_path / "s", write_timeout=0.3) as service:
            with socket.socket(socket.AF_UNIX) as slow:
                slow.connect(str(tmp_path / "s"))
                slow.sendall(call("List", {"count": WHOLE_ARRAY_MAX}) * 40)
                slow.setblocking(False)
                loop = asyncio.get_running_loop()
                # The kernel lets the server write again when three quarters of the socket's buffer are free.
                for _ in range(100):
                    await loop.sock_recv(slow, 16 << 10)
                    await asyncio.sleep(0.01)
                assert service.connections == 1

    asyncio.run(main())


def test_pipelined_calls_are_bounded(tmp_path: Path) -> None:
    """A client that sends calls and reads no replies is neither read from nor answered without end."""
    answered = [0]

    def count(call: Call, parameters: Nothing) -> Numbers:
        answered[0] += 1
        return Numbers([1] * 1000)

    async def main() -> None:
        async with serving(tmp_path / "s", with_methods(method("Count", Nothing, Numbers, count)), write_timeout=0.4):
            flood = socket.socket(socket.AF_UNIX)
            flood.connect(str(tmp_path / "s"))
            flood.setblocking(False)
            sent = 0
            for _ in range(200):
                try:
                    sent += flood.send(call("Count") * 1000)
                except BlockingIOError:
                    pass
                except ConnectionError:
                    break
                await asyncio.sleep(0.002)
            assert answered[0] < 1000
            assert sent < 2 << 20
            flood.close()

    asyncio.run(main())


@pytest.mark.parametrize("message", [call("Busy", more=True), call("Nothing") * 20_000])
def test_nobody_is_starved(tmp_path: Path, message: bytes) -> None:
    """A stream that always has its next reply ready, or a flood of calls, does not hold up other clients."""

    async def main() -> None:
        async def busy(call: Call, parameters: Nothing) -> AsyncIterator[Number | Last]:
            for number in range(200_000):
                yield Number(number)
            yield Last(Number(0))

        async def drain(raw: Raw) -> None:
            while await raw.reader.read(1 << 20):
                pass

        async with (
            serving(tmp_path / "s", with_methods(method("Busy", Nothing, Number, busy, More.REQUIRED))),
            Raw.to(tmp_path / "s") as other,
            Raw.to(tmp_path / "s") as raw,
        ):
            reading = asyncio.create_task(drain(raw))
            raw.writer.write(message)
            await asyncio.sleep(0)
            times = []
            for _ in range(20):
                start = time.monotonic()
                await other.ask(call("Echo", {"count": 1})[:-1])
                times.append(time.monotonic() - start)
            # A turn is 2 ms, the client's reading in the same loop comes on top.
            assert sorted(times)[len(times) // 2] < 0.05
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    asyncio.run(main())


def test_close_cancels_calls_and_is_bounded(tmp_path: Path) -> None:
    """Closing the service ends running streams, closes connections and accepts no more."""

    async def main() -> None:
        watch = Watch()
        interface = with_methods(method("Watch", Nothing, Number, watch, More.REQUIRED))
        async with serving(tmp_path / "s", interface) as service, Raw.to(tmp_path / "s") as raw:
            await raw.send(call("Watch", more=True))
            await watch.started.wait()
            start = time.monotonic()
            await service.close()
            assert time.monotonic() - start < 2
            assert watch.ended.is_set()
            assert service.connections == 0
            assert await raw.receive() is None
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_unix_connection(str(tmp_path / "s"))

    asyncio.run(main())


def test_handler_that_cancels_itself(tmp_path: Path) -> None:
    """A call whose handler is cancelled from inside closes its connection: the caller must not wait for ever."""

    async def main() -> None:
        async def cancels(call: Call, parameters: Count) -> Number:
            raise asyncio.CancelledError

        async with (
            serving(tmp_path / "s", with_methods(method("Cancels", Nothing, Number, cancels))) as service,
            Raw.to(tmp_path / "s") as raw,
        ):
            assert isinstance(service, Service)
            await raw.send(call("Cancels"))
            assert await raw.receive() is None

    asyncio.run(main())
