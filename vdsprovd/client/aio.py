"""The client for asyncio: like the blocking one, with `await` in front."""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import msgspec

from vdsprovd.client.address import SSH, reach
from vdsprovd.client.async_proxies import Objects
from vdsprovd.client.attempt import PATIENCE, Attempt
from vdsprovd.client.client import DEFAULT_SOCKET, RECONNECT
from vdsprovd.client.errors import Unreachable, hresult
from vdsprovd.client.notifications import Gaps, Notifications
from vdsprovd.client.operation import Result, result
from vdsprovd.client.reading import read
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.replies import AdviseReply, QueryStatusReply
from vdsprovd.varlink import VarlinkError
from vdsprovd.varlink.client import AsyncConnection

T = TypeVar("T")

CALLS: Final = 16
"""How many calls of a client are on their way at once; more wait for their turn. Streams do not count."""


class AsyncClient(Objects):
    """The daemon, seen through connections to its socket, for asyncio.

    Use it in `async with`, which connects. Tasks may share it. Errors, and what is sent again when a connection is lost, are
    those of `Client`. There is no timeout but `asyncio.timeout()`.
    """

    def __init__(self, socket: str | Path = DEFAULT_SOCKET, *, reconnect: float = RECONNECT) -> None:
        """`reconnect` is for how many seconds a daemon that goes away is waited for; `math.inf` waits for ever."""
        self.socket = str(socket)
        self.reconnect = reconnect
        self._idle: list[AsyncConnection] = []
        self._connections: set[AsyncConnection] = set()
        self._turns = asyncio.Semaphore(CALLS)
        self._open = True
        self._been_connected = False

    async def __aenter__(self) -> Self:
        self._put_back(await self._connection(self._attempt("")))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections. An asynchronous operation goes on without them."""
        self._open = False
        while self._connections:
            await self._connections.pop().aclose()

    # Any method, by its name on the wire.

    async def call(self, method: str, /, **parameters: Any) -> dict[str, Any]:
        """Call a method and return its reply; `Lun.GetProperties` is short for `org.vdsprov.Lun.GetProperties`."""
        return await self._answer(self._attempt(method), parameters, dict[str, Any])

    def stream(self, method: str, /, **parameters: Any) -> AsyncGenerator[dict[str, Any], None]:
        """Call a method with Varlink's `more` and return its replies as they come.

        To stop before the last one closes the stream's connection, once the generator is closed (`contextlib.aclosing`).
        """
        return self._replies(self._attempt(method), parameters, dict[str, Any])

    async def progress(self, async_id: str) -> AsyncGenerator[dict[str, Any], None]:
        """The replies of Async.Wait: percentages, and the operation's result at the end, whatever that is.

        A connection that is lost meanwhile is made anew. A daemon that was started anew does not know the operation any
        more: `AnswerLost`.
        """
        attempt = self._attempt("Async.Wait", resumable=True)
        try:
            async with aclosing(self._replies(attempt, {"id": async_id}, dict[str, Any])) as replies:
                async for reply in replies:
                    yield reply
        except VdsError as error:
            raise attempt.forgotten(error, f"operation {async_id}") from error

    # What the typed proxies stand on.

    async def invoke(self, method: str, parameters: Mapping[str, Any], reply: type[T]) -> T:
        """Call a method and return its reply as that type."""
        return read(await self._answer(self._attempt(method), parameters, msgspec.Raw), reply)

    async def replies(self, method: str, parameters: Mapping[str, Any], reply: type[T]) -> AsyncGenerator[T, None]:
        """Call a method with `more` and return its replies, as that type, as they come."""
        attempt = self._attempt(method, patience=PATIENCE)
        async with aclosing(self._replies(attempt, parameters, msgspec.Raw)) as replies:
            async for raw in replies:
                yield read(raw, reply)

    async def start(self, method: str, parameters: Mapping[str, Any]) -> "AsyncOperation":
        """Call a method that starts an asynchronous operation."""
        reply = await self.call(method, **parameters)
        return AsyncOperation(self, reply["async"], hresult(reply.get("hresult", 0)), tuple(reply.get("objects", ())))

    def operation(self, id: str) -> "AsyncOperation":
        """The asynchronous operation of that id, which a reply calls `async`."""
        return AsyncOperation(self, id)

    async def notifications(self) -> AsyncGenerator[Notifications, None]:
        """What changes, whoever changes it, for as long as one asks; it survives that the daemon is started anew.

        List what you keep track of whenever `missed` is true: for the first time, which comes at once, and when changes
        may not have been told. Do not call Refresh while handling notifications.
        """
        gaps = Gaps()
        attempt = self._attempt("Service.Advise", resumable=True)
        async with aclosing(self._replies(attempt, {}, msgspec.Raw)) as replies:
            async for raw in replies:
                if told := gaps.take(read(raw, AdviseReply)):
                    yield told

    # The connections.

    def _attempt(self, method: str, *, resumable: bool = False, patience: float = 0.0) -> Attempt:
        return Attempt(method, self.socket, self.reconnect, resumable=resumable, patience=patience)

    async def _answer(self, attempt: Attempt, parameters: Mapping[str, Any], reply: type[T]) -> T:
        async with self._turns:
            while True:
                connection = await self._connection(attempt)
                try:
                    return await connection.call(attempt.method, parameters, reply)
                except (VarlinkError, OSError) as error:
                    pause = self._failed(attempt, error)
                finally:
                    self._put_back(connection)
                await asyncio.sleep(pause)

    async def _replies(
        self, attempt: Attempt, parameters: Mapping[str, Any], reply: type[T]
    ) -> AsyncGenerator[T, None]:
        while True:
            connection = await self._connection(attempt)
            try:
                async with aclosing(connection.stream(attempt.method, parameters, reply)) as values:
                    async for value in values:
                        attempt.replied()
                        yield value
            except (VarlinkError, OSError) as error:
                pause = self._failed(attempt, error)
            else:
                return
            finally:
                self._put_back(connection)
            await asyncio.sleep(pause)

    async def _connection(self, attempt: Attempt) -> AsyncConnection:
        """One for the next call: an idle one, or one more."""
        while self._open:
            if self._idle:
                return self._idle.pop()
            try:
                connection = await AsyncConnection.open(await self._reach())
            except (OSError, ValueError) as error:
                await asyncio.sleep(attempt.unconnected(error, before=self._been_connected))
                continue
            self._been_connected = True
            self._connections.add(connection)
            return connection
        raise Unreachable(self.socket, "the client is closed", connected=True)

    async def _reach(self) -> str | socket.socket:
        # ssh takes its time, and for a path there is nothing to wait for.
        return await asyncio.to_thread(reach, self.socket) if self.socket.startswith(SSH) else self.socket

    def _failed(self, attempt: Attempt, error: Exception) -> float:
        """The seconds after which to try again; raises what the caller gets."""
        if not isinstance(error, VarlinkError):
            # What was lost with its daemon was not the only one.
            while self._idle:
                self._discard(self._idle.pop())
        return attempt.failed(error)

    def _put_back(self, connection: AsyncConnection) -> None:
        if self._open and connection.free:
            self._idle.append(connection)
        else:
            self._discard(connection)

    def _discard(self, connection: AsyncConnection) -> None:
        connection.close()
        self._connections.discard(connection)


class AsyncOperation:
    """An operation that goes on in the daemon, whether somebody waits for it or not.

    `await` it for its result, or iterate over its percentages.
    """

    def __init__(
        self, client: AsyncClient, id: str, hresult: Hresult = Hresult.S_OK, objects: tuple[str, ...] = ()
    ) -> None:
        self.id = id
        self.hresult = hresult
        """What the method that started it answered: S_OK, or a success code such as VDS_S_ALREADY_EXISTS."""
        self.objects = objects
        """The ids of what it makes, where the method tells them at once: Provisioning's do."""
        self._client = client
        self._result: Result | None = None

    def __repr__(self) -> str:
        return f"<AsyncOperation {self.id}>"

    def __await__(self) -> Generator[Any, None, Result]:
        return self.wait().__await__()

    async def __aiter__(self) -> AsyncIterator[int]:
        """The percentage as it changes, up to 100. At the end a failure is raised, as by `wait`."""
        last: dict[str, Any] = {}
        async with aclosing(self._client.progress(self.id)) as replies:
            async for last in replies:
                yield last["percentCompleted"]
        self._result = result(last)

    async def wait(self) -> Result:
        """Wait until it is over; to await the operation itself is the same.

        Raises `VdsError` when it failed, VDS_E_OPERATION_CANCELED when it was cancelled, and `AnswerLost` when the daemon was
        started anew meanwhile: it is completed or undone then, and forgotten.
        """
        if self._result is None:
            async for _ in self:
                pass
        assert self._result is not None
        return self._result

    async def query_status(self) -> QueryStatusReply:
        """The operation's state without waiting. (IVdsAsync::QueryStatus)"""
        return await self._client.invoke("Async.QueryStatus", {"id": self.id}, QueryStatusReply)

    async def cancel(self) -> None:
        """Ask it to stop and undo itself; `wait` then raises VDS_E_OPERATION_CANCELED. (IVdsAsync::Cancel)

        Raises VDS_E_CANCEL_TOO_LATE, or VDS_E_NOT_SUPPORTED for what is over too soon for it.
        """
        await self._client.call("Async.Cancel", id=self.id)
