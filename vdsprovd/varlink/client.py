"""The client: one connection, one call at a time, blocking or for asyncio.

A stream occupies its connection until its last reply; Varlink has no way to end it early but to close.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import struct
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

import msgspec

from vdsprovd.varlink.framing import Frames
from vdsprovd.varlink.interface import VarlinkError
from vdsprovd.varlink.message import UNREADABLE, MalformedError, encode_call, read_reply

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")
Parameters = Mapping[str, Any] | msgspec.Struct | None

# Far more than any server sends; keeps a broken one from filling our memory.
MAX_MESSAGE = 64 << 20
# Small enough for the C library not to map memory for each read.
_READ = 64 << 10


class NotTakenError(ConnectionError):
    """The connection was lost before the server had read all of a call, so that it carries nothing out."""


class _Dialogue:
    """What the two kinds of connection share: whose turn it is, and what the messages mean."""

    def __init__(self) -> None:
        self._frames = Frames(MAX_MESSAGE)
        self._messages: deque[bytes] = deque()
        self._open = True
        self._busy = False
        # A stream that is not at its end has begun to come.
        self._answered = False

    @property
    def free(self) -> bool:
        """Whether a call can be made now: the connection is open, and no reply is outstanding."""
        return self._open and not self._busy

    def _begin(self) -> None:
        if not self._open:
            raise ConnectionError("the connection is closed")
        if self._busy:
            raise RuntimeError("a connection takes one call at a time, and a stream is not at its end")
        self._busy = True

    def _take(self, data: bytes) -> None:
        """Take what was read; raises ConnectionError where that ends the connection."""
        if not data:
            raise ConnectionAbortedError("the server closed the connection")
        self._messages.extend(self._frames.feed(data))
        if self._frames.too_long and not self._messages:
            raise ConnectionError(f"the server sent a message of more than {MAX_MESSAGE} bytes")

    def _reset(self, error: ConnectionResetError) -> ConnectionError:
        """What a reset means. Linux resets a Unix socket whose peer closed it with something unread, or never accepted it; one
        whose peer had read everything is at its end instead (unix_release_sock in net/unix/af_unix.c). Of a stream that has
        begun, the call was read.
        """
        return ConnectionError(*error.args) if self._answered else NotTakenError(*error.args)

    def _read(self, reply: type[T]) -> tuple[T, bool]:
        """Read the next message as a reply of that type, with whether another follows; raises VarlinkError."""
        try:
            message = read_reply(self._messages.popleft())
            parameters = message.parameters
            if message.error is not None:
                self._busy = self._answered = False
                raise VarlinkError(message.error, msgspec.json.decode(parameters))
            kind: Any = reply
            value: T = _decoder(kind)(parameters)
        except (*UNREADABLE, MalformedError) as error:
            raise ConnectionError(f"cannot understand the server's reply: {error}") from error
        self._busy = self._answered = bool(message.continues)
        return value, self._busy


class Connection(_Dialogue):
    """A blocking connection to a Varlink service.

    A timeout is in seconds, for one call, or for each reply of a stream. Where it runs out, or where anything else
    leaves a reply unread, the connection is closed: the next reply would be taken for an answer to the next call.
    """

    def __init__(self, address: str | Path | socket.socket, *, timeout: float | None = None) -> None:
        """Connect to the socket at a path, or use a connected socket; `timeout` is the default for all calls."""
        super().__init__()
        self._timeout = timeout
        if isinstance(address, socket.socket):
            self._socket = address
            return
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            if timeout is not None:
                # Not settimeout(): a Unix socket that does not block refuses at once where others wait in line, too.
                limit = struct.pack("@ll", int(timeout), int(timeout % 1 * 1e6))
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            self._socket.connect(str(address))
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, which cancels what it, or another thread, was waiting for."""
        self._open = False
        # To close alone would not wake a thread that reads.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    @overload
    def call(self, method: str, parameters: Parameters = None, *, timeout: float | None = None) -> dict[str, Any]: ...
    @overload
    def call(self, method: str, parameters: Parameters, reply: type[T], *, timeout: float | None = None) -> T: ...
    def call(
        self, method: str, parameters: Parameters = None, reply: type[Any] = dict, *, timeout: float | None = None
    ) -> Any:
        """Call a method and return its reply; raises VarlinkError, ConnectionError or TimeoutError."""
        deadline = self._deadline(timeout)
        self._send(encode_call(method, parameters), deadline)
        value, more = self._receive(reply, deadline)
        if more:
            self.close()
            raise ConnectionError("the server sends several replies, and was asked for one")
        return value

    @overload
    def stream(
        self, method: str, parameters: Parameters = None, *, timeout: float | None = None
    ) -> Generator[dict[str, Any], None, None]: ...
    @overload
    def stream(
        self, method: str, parameters: Parameters, reply: type[T], *, timeout: float | None = None
    ) -> Generator[T, None, None]: ...
    def stream(
        self, method: str, parameters: Parameters = None, reply: type[Any] = dict, *, timeout: float | None = None
    ) -> Generator[Any, None, None]:
        """Call a method with `more`, now, and return its replies as they come.

        To stop before the last one closes the connection.
        """
        self._send(encode_call(method, parameters, more=True), self._deadline(timeout))
        return self._replies(reply, timeout)

    def oneway(self, method: str, parameters: Parameters = None) -> None:
        """Call a method without waiting for an answer: there is none, not even an error."""
        self._send(encode_call(method, parameters, oneway=True), self._deadline(None))
        self._busy = False

    def _replies(self, reply: type[T], timeout: float | None) -> Generator[T, None, None]:
        more = True
        try:
            while more:
                value, more = self._receive(reply, self._deadline(timeout))
                yield value
        finally:
            if self._busy:
                self.close()

    def _deadline(self, timeout: float | None) -> float | None:
        timeout = self._timeout if timeout is None else timeout
        return None if timeout is None else time.monotonic() + timeout

    def _send(self, message: bytes, deadline: float | None) -> None:
        self._begin()
        try:
            self._limit(deadline)
            self._socket.sendall(message)
        except ConnectionError as error:
            self.close()
            raise NotTakenError(*error.args) from error
        except BaseException:
            self.close()
            raise

    def _receive(self, reply: type[T], deadline: float | None) -> tuple[T, bool]:
        try:
            while not self._messages:
                self._limit(deadline)
                self._take(self._socket.recv(_READ))
            return self._read(reply)
        except VarlinkError:
            raise
        except ConnectionResetError as error:
            self.close()
            raise self._reset(error) from error
        except BaseException:
            self.close()
            raise

    def _limit(self, deadline: float | None) -> None:
        if deadline is None:
            self._socket.settimeout(None)
            return
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the server does not answer in time")
        self._socket.settimeout(left)


class AsyncConnection(_Dialogue):
    """A connection to a Varlink service, for asyncio.

    Like `Connection`, but for timeouts: `asyncio.timeout()` does that. A cancelled call closes the connection.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__()
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, address: str | Path | socket.socket) -> Self:
        """Connect to the socket at a path, or use a connected socket."""
        # Imported here: it would be half of a command's start-up, and a blocking client needs none of it.
        import asyncio  # noqa: PLC0415

        given = address if isinstance(address, socket.socket) else None
        connected = given or socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connected.setblocking(False)
        try:
            # Where many wait in line, a Unix socket that does not block is refused, and never becomes connected by itself.
            while given is None:
                try:
                    connected.connect(str(address))
                    break
                except BlockingIOError:
                    await asyncio.sleep(0.01)
            return cls(*await asyncio.open_unix_connection(sock=connected, limit=_READ))
        except BaseException:
            connected.close()
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def close(self) -> None:
        """Close the connection, which cancels what it was waiting for; does not wait."""
        self._open = False
        self._writer.close()

    async def aclose(self) -> None:
        """Close the connection and wait until it is."""
        self.close()
        # A connection that is lost before it is closed is closed, too.
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    @overload
    async def call(self, method: str, parameters: Parameters = None) -> dict[str, Any]: ...
    @overload
    async def call(self, method: str, parameters: Parameters, reply: type[T]) -> T: ...
    async def call(self, method: str, parameters: Parameters = None, reply: type[Any] = dict) -> Any:
        """Call a method and return its reply; raises VarlinkError or ConnectionError."""
        await self._send(encode_call(method, parameters))
        value, more = await self._receive(reply)
        if more:
            self.close()
            raise ConnectionError("the server sends several replies, and was asked for one")
        return value

    @overload
    def stream(self, method: str, parameters: Parameters = None) -> AsyncGenerator[dict[str, Any], None]: ...
    @overload
    def stream(self, method: str, parameters: Parameters, reply: type[T]) -> AsyncGenerator[T, None]: ...
    async def stream(
        self, method: str, parameters: Parameters = None, reply: type[Any] = dict
    ) -> AsyncGenerator[Any, None]:
        """Call a method with `more` once the first reply is asked for, and return its replies as they come.

        To stop before the last one closes the connection.
        """
        await self._send(encode_call(method, parameters, more=True))
        more = True
        try:
            while more:
                value, more = await self._receive(reply)
                yield value
        finally:
            if self._busy:
                self.close()

    async def oneway(self, method: str, parameters: Parameters = None) -> None:
        """Call a method without waiting for an answer: there is none, not even an error."""
        await self._send(encode_call(method, parameters, oneway=True))
        self._busy = False

    async def _send(self, message: bytes) -> None:
        self._begin()
        try:
            self._writer.write(message)
            await self._writer.drain()
        except ConnectionError as error:
            self.close()
            raise NotTakenError(*error.args) from error
        except BaseException:
            self.close()
            raise

    async def _receive(self, reply: type[T]) -> tuple[T, bool]:
        try:
            while not self._messages:
                self._take(await self._reader.read(_READ))
            return self._read(reply)
        except VarlinkError:
            raise
        except ConnectionResetError as error:
            self.close()
            raise self._reset(error) from error
        except BaseException:
            self.close()
            raise


@functools.lru_cache(maxsize=1024)
def _decoder(reply: Any) -> Callable[[msgspec.Raw], Any]:
    return msgspec.json.Decoder(reply).decode
