"""A small service with one method of every kind, and ways to run it."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec

from vdsprovd.varlink.call import Call
from vdsprovd.varlink.interface import Error, Interface, Last, Method, More, VarlinkError
from vdsprovd.varlink.server import Service

NAME = "org.example.Sample"


class Color(enum.Enum):
    """What it looks like."""

    RED = "red"
    DARK_BLUE = "dark_blue"


class Point(msgspec.Struct, forbid_unknown_fields=True):
    """Where it is."""

    x: int
    y: int = 0


class Everything(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """One field of each type."""

    a_text: str
    flag: bool
    whole: Annotated[int, msgspec.Meta(description="How many there are.\nNever negative.")]
    half: float
    point: Point
    color: Color
    points: list[Point]
    names: tuple[str, ...]
    by_name: dict[str, Point]
    anything: Any
    raw: msgspec.Raw
    blob: bytes
    maybe: Annotated[str | None, msgspec.Meta(description="Left out when unknown.")] = None
    maybe_points: list[Point] | None = None
    count: int = 7


class Count(msgspec.Struct, forbid_unknown_fields=True):
    """How many."""

    count: int
    color: Color = Color.RED
    point: Point | None = None


class Number(msgspec.Struct):
    """A number."""

    number: int


class Numbers(msgspec.Struct):
    """Numbers, and something beside them."""

    numbers: list[int]
    total: int = 0


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing."""


class Failure(msgspec.Struct):
    """Why it failed."""

    message: str
    code: int


def fail(call: Call, parameters: Count) -> Number:
    raise VarlinkError(f"{NAME}.Failed", Failure("it did not work", parameters.count))


def break_(call: Call, parameters: Nothing) -> Number:
    raise ZeroDivisionError("a bug")


async def later(call: Call, parameters: Count) -> Number:
    await asyncio.sleep(parameters.count / 1000)
    return Number(parameters.count)


async def list_later(call: Call, parameters: Count) -> Numbers:
    await asyncio.sleep(0)
    return Numbers(list(range(parameters.count)), parameters.count)


async def up_to(call: Call, parameters: Count) -> AsyncIterator[Number | Last]:
    for number in range(parameters.count):
        yield Number(number)
    yield Last(Number(parameters.count))


async def bare(call: Call, parameters: Count) -> AsyncIterator[Nothing]:
    for _ in range(parameters.count):
        yield Nothing()


class Watch:
    """A stream that is quiet unless it is told to speak, and that knows when it ends."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.ended = asyncio.Event()
        self.numbers: asyncio.Queue[int] = asyncio.Queue()

    async def __call__(self, call: Call, parameters: Nothing) -> AsyncIterator[Number]:
        try:
            self.started.set()
            while True:
                yield Number(await self.numbers.get())
        finally:
            self.ended.set()


def method(
    name: str, parameters: type[msgspec.Struct], reply: type[msgspec.Struct], handler: Any, more: More = More.NEVER
) -> Method:
    return Method(name, parameters, reply, handler, more, doc=f"What {name} does.")


METHODS = (
    method("Echo", Count, Number, lambda call, parameters: Number(parameters.count)),
    method("EchoEverything", Everything, Everything, lambda call, parameters: parameters),
    method("Nothing", Nothing, Nothing, lambda call, parameters: Nothing()),
    method("Fail", Count, Number, fail),
    method("Break", Nothing, Number, break_),
    method("Later", Count, Number, later),
    method("List", Count, Numbers, lambda call, parameters: Numbers(list(range(parameters.count)), 5), More.SUPPORTED),
    method("ListLater", Count, Numbers, list_later, More.SUPPORTED),
    method("UpTo", Count, Number, up_to, More.SUPPORTED),
    method("UpToOnly", Count, Number, up_to, More.REQUIRED),
    method("Bare", Count, Nothing, bare, More.SUPPORTED),
)

INTERFACE = Interface(
    NAME, METHODS, (Error("Failed", Failure, "It did not work."), Error("Empty", Nothing)), "Numbers of all kinds."
)


def with_methods(*methods: Method) -> Interface:
    return Interface(NAME, METHODS + methods, INTERFACE.errors)


def service(*interfaces: Interface, **options: Any) -> Service:
    return Service(
        vendor="Example",
        product="Sample",
        version="1",
        url="https://example.org/",
        interfaces=interfaces or (INTERFACE,),
        **options,
    )


def listener(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    return sock


@contextlib.asynccontextmanager
async def serving(path: Path, *interfaces: Interface, **options: Any) -> AsyncIterator[Service]:
    """Serve in this event loop."""
    served = service(*interfaces, **options)
    await served.serve(listener(path))
    try:
        yield served
    finally:
        await served.close()


@contextlib.contextmanager
def serving_in_thread(path: Path, *interfaces: Interface, **options: Any) -> Iterator[Service]:
    """Serve in a thread, for clients that block."""
    started = threading.Event()
    stop: list[Callable[[], object]] = []
    services: list[Service] = []

    async def serve() -> None:
        done = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(done.set))
        async with serving(path, *interfaces, **options) as served:
            services.append(served)
            started.set()
            await done.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield services[0]
    finally:
        stop[0]()
        thread.join()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is true, for a few seconds."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise TimeoutError


class Raw:
    """A connection that sends and receives bytes as they are."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, path: Path) -> AsyncIterator[Raw]:
        raw = cls(*await asyncio.open_unix_connection(str(path), limit=64 << 20))
        try:
            yield raw
        finally:
            raw.writer.close()
            with contextlib.suppress(OSError):
                await raw.writer.wait_closed()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def receive(self) -> Any:
        """The next message; None when the server has closed the connection."""
        try:
            async with asyncio.timeout(10):
                return json.loads((await self.reader.readuntil(b"\0"))[:-1])
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def ask(self, message: bytes) -> Any:
        await self.send(message + b"\0")
        return await self.receive()


def call(name: str, parameters: Any = None, **flags: Any) -> bytes:
    """A call's message, with its zero byte."""
    method = name if "." in name else f"{NAME}.{name}"
    members = {"method": method} | ({} if parameters is None else {"parameters": parameters}) | flags
    return json.dumps(members).encode() + b"\0"
