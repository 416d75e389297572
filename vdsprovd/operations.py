"""Who works on what: one exclusive operation an object, and asynchronous operations (IVdsAsync).

Everything here belongs to the event loop's thread; the work itself runs in worker threads.
"""

import asyncio
import logging
import threading
import uuid
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any, TypeVar

from vdsprovd.hardware import Cancelled
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.model import AsyncOutputType

log = logging.getLogger(__name__)

T = TypeVar("T")

REMEMBERED = 1_000
"""How many finished asynchronous operations can still be asked about."""


class Holds:
    """Which objects are being worked on: by one exclusively, or by several that only need it to stay as it is."""

    def __init__(self) -> None:
        self._exclusive: set[str] = set()
        self._shared: Counter[str] = Counter()
        self._released: list[asyncio.Future[None]] = []

    def busy(self, id: str) -> bool:
        """Whether an exclusive operation runs on the object."""
        return id in self._exclusive

    @property
    def held(self) -> Collection[str]:
        """The objects on which exclusive operations run."""
        return self._exclusive

    def needed(self, id: str) -> bool:
        """Whether operations run that need the object to stay as it is."""
        return bool(self._shared.get(id))

    def _free(self, exclusive: Iterable[str], shared: Iterable[str]) -> str | None:
        """The first object that stands in the way, or None."""
        for id in exclusive:
            if id in self._exclusive or self._shared[id]:
                return id
        return next((id for id in shared if id in self._exclusive), None)

    @contextmanager
    def hold(self, exclusive: Iterable[str] = (), shared: Iterable[str] = ()) -> Iterator[None]:
        """Hold the objects, or raise VDS_E_ANOTHER_CALL_IN_PROGRESS at once."""
        exclusive, shared = set(exclusive), set(shared)
        if taken := self._free(exclusive, shared - exclusive):
            raise another_call(taken)
        self._exclusive |= exclusive
        self._shared.update(shared)
        try:
            yield
        finally:
            self._exclusive -= exclusive
            self._shared.subtract(shared)
            for id in shared:
                if not self._shared[id]:
                    del self._shared[id]
            self._wake()

    @asynccontextmanager
    async def wait(self, exclusive: Iterable[str] = (), shared: Iterable[str] = ()) -> AsyncIterator[None]:
        """Hold the objects as soon as they are free; for methods that do not document the code for "busy"."""
        exclusive, shared = set(exclusive), set(shared)
        while self._free(exclusive, shared - exclusive):
            await self._release()
        with self.hold(exclusive, shared):
            yield

    @asynccontextmanager
    async def claim(self, id: str) -> AsyncIterator[None]:
        """Hold the object exclusively: let nobody in from now on, and wait for those inside to leave.

        Raises VDS_E_ANOTHER_CALL_IN_PROGRESS when somebody else has claimed it.
        """
        if id in self._exclusive:
            raise another_call(id)
        self._exclusive.add(id)
        try:
            while self._shared[id]:
                await self._release()
            yield
        finally:
            self._exclusive.discard(id)
            self._wake()

    async def _release(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._released.append(waiter)
        await waiter

    def _wake(self) -> None:
        waiters, self._released = self._released, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


def another_call(id: str) -> VdsError:
    """The error for an object that is being worked on."""
    return VdsError(
        Hresult.VDS_E_ANOTHER_CALL_IN_PROGRESS, f"another operation on {id} has not finished; try again when it has", id
    )


class Operation:
    """An asynchronous operation. `percent` is 0 to 99 while it runs and 100 when it is over."""

    def __init__(self, type: AsyncOutputType, subject: str, *, cancellable: bool = True) -> None:
        self.id = str(uuid.uuid4())
        self.type = type
        self.subject = subject
        self.percent = 0
        self.result: Hresult = Hresult.VDS_E_OPERATION_PENDING
        self.message = ""
        self.object: str | None = None
        self.finished = False
        self._cancel = threading.Event()
        self._cancellable = cancellable
        self._committed = False
        self._deciding = threading.Lock()
        self._changed: list[asyncio.Future[None]] = []
        self._loop = asyncio.get_running_loop()

    def progress(self, percent: int) -> None:
        """Called by the worker thread as work proceeds. Raises `Cancelled` when the caller wants it to stop."""
        if self._cancel.is_set():
            raise Cancelled("the operation was cancelled")
        self._loop.call_soon_threadsafe(self._show, min(99, percent))

    def _show(self, percent: int) -> None:
        if not self.finished and percent > self.percent:
            self.percent = percent
            self._wake()

    def _wake(self) -> None:
        waiters, self._changed = self._changed, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def changed(self) -> None:
        """Wait until the percentage or the state changes."""
        waiter = self._loop.create_future()
        self._changed.append(waiter)
        await waiter

    def commit(self) -> None:
        """From here on it is too late to cancel. Raises `Cancelled` when that was asked for before."""
        with self._deciding:
            if self._cancel.is_set():
                raise Cancelled("the operation was cancelled")
            self._committed = True

    def cancel(self) -> None:
        """Ask the work to stop and undo itself (IVdsAsync::Cancel)."""
        if self._cancel.is_set():
            raise VdsError(Hresult.VDS_E_OPERATION_CANCELED, "the operation was cancelled already", self.id)
        if not (self._cancellable or self.finished):
            raise VdsError(
                Hresult.VDS_E_NOT_SUPPORTED,
                f"a {self.type.value.replace('_', ' ')} cannot be cancelled; wait for it, it is over soon",
                self.id,
            )
        with self._deciding:
            if self.finished or self._committed:
                raise VdsError(Hresult.VDS_E_CANCEL_TOO_LATE, "the operation is too far along to be cancelled", self.id)
            self._cancel.set()

    def finish(self, result: Hresult, message: str = "", object: str | None = None) -> None:
        """The operation is over."""
        self.result, self.message, self.object = result, message, object
        self.percent = 100
        self.finished = True
        self._wake()


class Operations:
    """Asynchronous operations by id, running ones and the last finished ones."""

    def __init__(self) -> None:
        self.holds = Holds()
        self._operations: OrderedDict[str, Operation] = OrderedDict()
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(
        self,
        type: AsyncOutputType,
        subject: str,
        work: Callable[[Operation], Awaitable[str | None]],
        *,
        exclusive: Iterable[str] = (),
        shared: Iterable[str] = (),
        cancellable: bool = True,
        translate: Callable[[Exception], VdsError],
    ) -> Operation:
        """Start the work on `subject`, holding the objects until it is over; it returns the id of what it made.

        Work that is `cancellable` calls `progress` now and then, and `commit` when it is too late.

        Raises VDS_E_ANOTHER_CALL_IN_PROGRESS at once when one of them is held. `translate` turns what the work raises
        into the operation's result.
        """
        hold = ExitStack()
        hold.enter_context(self.holds.hold(exclusive, shared))
        operation = Operation(type, subject, cancellable=cancellable)
        self._operations[operation.id] = operation
        self.spawn(self._run(operation, work, hold, translate))
        return operation

    async def _run(
        self,
        operation: Operation,
        work: Callable[[Operation], Awaitable[str | None]],
        hold: ExitStack,
        translate: Callable[[Exception], VdsError],
    ) -> None:
        # The hold ends before the operation shows itself finished: who waited for it may go on at once.
        try:
            with hold:
                made = await work(operation)
        except Exception as error:
            failure = translate(error)
            log.warning("%s of %s failed: %s", operation.type.value, operation.subject, failure)
            operation.finish(failure.code, failure.message)
        else:
            operation.finish(Hresult.S_OK, object=made)
        finished = [id for id, other in self._operations.items() if other.finished]
        for id in finished[:-REMEMBERED]:
            del self._operations[id]

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run the work to its end even when its caller goes away; `drain` waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # Seen here, lest asyncio complains of an error that nobody asked for: its caller may have gone away.
            task.exception()

    async def drain(self, timeout: float) -> None:
        """Wait until nothing is under way, for so many seconds at most."""
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=timeout)
            if left:
                log.warning("%d operations are still under way; the next start completes or undoes them", len(left))

    def find(self, id: str) -> Operation:
        """The operation of that id. Raises VDS_E_OBJECT_NOT_FOUND."""
        operation = self._operations.get(id)
        if operation is None:
            raise VdsError(
                Hresult.VDS_E_OBJECT_NOT_FOUND, f"there is no asynchronous operation {id}, or it ended long ago", id
            )
        return operation
