"""Where messages begin and end, whatever arrives."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import tempfile
import time
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.varlink.sample import Raw, call, serving, until
from vdsprovd.varlink.framing import Frames

MESSAGES = st.lists(st.binary(max_size=40).map(lambda data: data.replace(b"\0", b"0")), max_size=12)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The data in pieces, none of them empty."""
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(ends)]


@given(MESSAGES, st.lists(st.integers(min_value=0)))
def test_any_split(messages: list[bytes], places: list[int]) -> None:
    """The same messages come out however the stream is cut."""
    frames = Frames(40)
    pieces = cut(b"".join(message + b"\0" for message in messages), places)
    assert [message for piece in pieces for message in frames.feed(piece)] == messages
    assert not frames.too_long


@given(MESSAGES, st.binary(min_size=41, max_size=90), st.lists(st.integers(min_value=0)))
def test_too_long_after_any_split(messages: list[bytes], long: bytes, places: list[int]) -> None:
    """The messages before one that is too long come out, nothing after it does."""
    frames = Frames(40)
    long = long.replace(b"\0", b"0")
    pieces = cut(b"".join(message + b"\0" for message in [*messages, long, b"after"]), places)
    assert [message for piece in pieces for message in frames.feed(piece)] == messages
    assert frames.too_long


def test_limit_is_inclusive() -> None:
    """A message of exactly the limit passes, one byte more does not."""
    for size, too_long in ((10, False), (11, True)):
        whole, pieces = Frames(10), Frames(10)
        message = b"x" * size
        assert whole.feed(message + b"\0") == ([] if too_long else [message])
        assert pieces.feed(message) + pieces.feed(b"\0") == ([] if too_long else [message])
        assert whole.too_long == pieces.too_long == too_long


def test_linear_time() -> None:
    """A message of 4 MiB that arrives in small pieces is put together in well under a second."""
    frames = Frames(8 << 20)
    start = time.process_time()
    for _ in range(1 << 16):
        assert frames.feed(b"x" * 64) == []
    assert len(frames.feed(b"\0")[0]) == 4 << 20
    assert time.process_time() - start < 1


CALLS = st.one_of(
    st.binary(max_size=60),
    st.just(call("Echo", {"count": 1})),
    st.just(call("Later", {"count": 0})),
    st.just(call("UpTo", {"count": 3}, more=True)),
    st.just(call("List", {"count": 250}, more=True)),
    st.just(call("Echo", {"count": 1})[:-7]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(CALLS, max_size=8), st.lists(st.integers(min_value=0), max_size=6))
def test_server_survives_anything(messages: list[bytes], places: list[int]) -> None:
    """Whatever one client sends, cut in whatever way, the server goes on to serve others."""

    async def main() -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "s"
            async with serving(path) as service:
                async with Raw.to(path) as hostile, Raw.to(path) as other:
                    for piece in cut(b"".join(messages), places):
                        try:
                            await hostile.send(piece)
                        except ConnectionError:
                            break
                        await asyncio.sleep(0)
                    assert await other.ask(call("Echo", {"count": 2})[:-1]) == {"parameters": {"number": 2}}
                await until(lambda: service.connections == 0)

    asyncio.run(main())


def test_a_mebibyte_of_garbage(tmp_path: Path) -> None:
    """A client that sends a mebibyte of garbage is closed, and the server serves the next one at once."""

    async def main() -> None:
        async with serving(tmp_path / "s", max_message=1 << 20):
            for garbage in (b"\0" * (1 << 20), b"x" * ((1 << 20) + 1), b"{" * (1 << 20) + b"\0"):
                async with Raw.to(tmp_path / "s") as raw:
                    with contextlib.suppress(ConnectionError):
                        await raw.send(garbage)
                    assert await raw.receive() is None
                start = time.monotonic()
                async with Raw.to(tmp_path / "s") as raw:
                    assert await raw.ask(call("Echo", {"count": 2})[:-1]) == {"parameters": {"number": 2}}
                assert time.monotonic() - start < 1

    asyncio.run(main())
