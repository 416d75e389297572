"""Who works on what: one exclusive operation an object, and asynchronous operations (IVdsAsync).

Everything here belongs to the event loop's thread; the work itself runs in worker threads.
"""

import asyncio
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

from vdsprovd import journal
from vdsprovd.asking import Question, answered
from vdsprovd.counted import Counted
from vdsprovd.hardware import Cancelled
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.ids import new_id
from vdsprovd.model import AsyncOutputType

log = logging.getLogger(__name__)

T = TypeVar("T")

REMEMBERED = 1_000
"""How many finished asynchronous operations can still be asked about."""


class Work:
    """A command that runs, or a look at the host, and what it asked the kernel for and got no answer to."""

    def __init__(self, what: str, caller: tuple[int, int] | None = None) -> None:
        """`what` is for people; `caller` the user and the process that want it, None for the daemon itself."""
        self.what = what
        self.caller = caller
        self.exclusive: Counter[str] = Counter()
        """What it holds exclusively."""
        self.silences: dict[object, Question] = {}
        """By thread: questions without an answer."""

    @property
    def silence(self) -> str:
        """What has no answer, and for how long now; empty when all is well."""
        for question in self.silences.values():
            what = self.what if question.what == self.what else f"{self.what}: {question.what}"
            return f"{what}: the kernel has not answered for {time.monotonic() - question.since:.0f} s"
        return ""

    @property
    def silent_since(self) -> str:
        """The same with the time of the question, which stays as it is."""
        for question in self.silences.values():
            asked = time.gmtime(time.time() - (time.monotonic() - question.since))
            return f"{question.what}: the kernel has not answered since {time.strftime('%H:%M:%S UTC', asked)}"
        return ""


_working: ContextVar[Work | None] = ContextVar("working", default=None)


def begin(work: Work) -> None:
    """The current task does that from now on."""
    _working.set(work)


def current() -> Work:
    """What the current task does."""
    if (work := _working.get()) is None:
        _working.set(work := Work("an operation"))
    return work


class Holds:
    """Which objects are being worked on: by one exclusively, or by several that only need it to stay as it is.

    Nobody waits for an object whose holder waits for the kernel and gets no answer: VDS_E_ANOTHER_CALL_IN_PROGRESS.
    """

    def __init__(self) -> None:
        self._exclusive: set[str] = set()
        self._shared: Counter[str] = Counter()
        self._released: list[asyncio.Future[None]] = []
        self._holders: dict[str, list[Work]] = {}

    def busy(self, id: str) -> bool:
        """Whether an exclusive operation runs on the object."""
        return id in self._exclusive

    @property
    def held(self) -> Collection[str]:
        """The objects on which exclusive operations run."""
        return self._exclusive

    def holder(self, id: str) -> Work | None:
        """Who works on the object: one that has no answer from the kernel, if there is one."""
        holders = self._holders.get(id, ())
        return next((work for work in holders if work.silences), holders[0] if holders else None)

    def stuck(self, id: str) -> bool:
        """Whether one who works on the object has no answer from the kernel."""
        holder = self.holder(id)
        return holder is not None and bool(holder.silences)

    def heard(self) -> None:
        """Somebody has no answer from the kernel, or has one now: those who wait look again."""
        self._wake()

    @contextmanager
    def _held_by(self, work: Work, exclusive: Collection[str], shared: Collection[str] = ()) -> Iterator[None]:
        work.exclusive.update(exclusive)
        for id in (*exclusive, *shared):
            self._holders.setdefault(id, []).append(work)
        try:
            yield
        finally:
            work.exclusive.subtract(exclusive)
            for id in (*exclusive, *shared):
                self._holders[id].remove(work)
                if not self._holders[id]:
                    del self._holders[id]

    def another_call(self, id: str) -> VdsError:
        """The error for an object that is being worked on."""
        holder = self.holder(id)
        if holder is None:
            text = f"another operation on {id} has not finished"
        elif holder.silences:
            text = f"an operation on {id} cannot go on: {holder.silence}"
        else:
            text = f"another operation on {id} has not finished: {holder.what}"
        return VdsError(Hresult.VDS_E_ANOTHER_CALL_IN_PROGRESS, f"{text}; try again when it has", id)

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
    def hold(
        self, exclusive: Iterable[str] = (), shared: Iterable[str] = (), *, work: Work | None = None
    ) -> Iterator[None]:
        """Hold the objects, for the current task's work as a rule, or raise VDS_E_ANOTHER_CALL_IN_PROGRESS at once."""
        exclusive, shared = set(exclusive), set(shared)
        if taken := self._free(exclusive, shared - exclusive):
            raise self.another_call(taken)
        self._exclusive |= exclusive
        self._shared.update(shared)
        try:
            with self._held_by(work or current(), exclusive, shared):
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
        while taken := self._free(exclusive, shared - exclusive):
            if self.stuck(taken):
                raise self.another_call(taken)
            await self._release()
        with self.hold(exclusive, shared):
            yield

    @asynccontextmanager
    async def claim(self, id: str) -> AsyncIterator[None]:
        """Hold the object exclusively: let nobody in from now on, and wait for those inside to leave.

        Raises VDS_E_ANOTHER_CALL_IN_PROGRESS when somebody else has claimed it, or when one of those inside has no answer
        from the kernel.
        """
        if id in self._exclusive:
            raise self.another_call(id)
        self._exclusive.add(id)
        try:
            while self._shared[id]:
                if self.stuck(id):
                    raise self.another_call(id)
                await self._release()
            with self._held_by(current(), [id]):
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


class Operation:
    """An asynchronous operation. `percent` is 0 to 99 while it runs and 100 when it is over."""

    def __init__(self, type: AsyncOutputType, subject: str, *, cancellable: bool = True) -> None:
        self.id = new_id()
        self.type = type
        self.subject = subject
        self.result: Hresult = Hresult.VDS_E_OPERATION_PENDING
        self.message = ""
        self.object: str | None = None
        self.finished = False
        self._cancelled = False
        self._cancellable = cancellable
        self._committed = False
        self._deciding = threading.Lock()
        self._began = time.monotonic()
        self._percent = 0
        self._changed: list[asyncio.Future[None]] = []
        self._over = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def progress(self, percent: int) -> None:
        """Called by the worker thread as work proceeds. Raises `Cancelled` when the caller wants it to stop."""
        if self._cancelled:
            raise Cancelled("the operation was cancelled")
        answered()
        if percent > self._percent:
            self._percent = percent
            if self._changed:  # to call another thread takes longer than many a step
                self._loop.call_soon_threadsafe(self._wake)

    @property
    def percent(self) -> int:
        """How much of it is done."""
        return 100 if self.finished else min(99, self._percent)

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

    async def over(self) -> None:
        """Wait until it is over."""
        await self._over.wait()

    def commit(self) -> None:
        """From here on it is too late to cancel. Raises `Cancelled` when that was asked for before."""
        with self._deciding:
            if self._cancelled:
                raise Cancelled("the operation was cancelled")
            self._committed = True

    def cancel(self) -> None:
        """Ask the work to stop and undo itself (IVdsAsync::Cancel)."""
        if self._cancelled:
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
            self._cancelled = True

    @property
    def seconds(self) -> float:
        """For how long it has been running, or since it began."""
        return time.monotonic() - self._began

    def finish(self, result: Hresult, message: str = "", object: str | None = None) -> None:
        """The operation is over."""
        self.result, self.message, self.object = result, message, object
        self.finished = True
        self._over.set()
        self._wake()


class Operations:
    """Asynchronous operations by id, running ones and the last finished ones."""

    def __init__(self, counted: Counted) -> None:
        self.holds = Holds()
        self._counted = counted
        self._operations: dict[str, Operation] = {}
        self._finished: deque[str] = deque()
        self._tasks: dict[asyncio.Task[Any], Work] = {}

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
        hold, doing = ExitStack(), Work(f"{type.value.replace('_', ' ')} of {subject}", current().caller)
        hold.enter_context(self.holds.hold(exclusive, shared, work=doing))
        operation = Operation(type, subject, cancellable=cancellable)
        self._operations[operation.id] = operation
        self.spawn(self._run(operation, work, hold, translate), doing)
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
            about = self._about(journal.OPERATION_FAILED, operation, failure.code, operation.subject)
            log.warning("%s of %s failed: %s", operation.type.value, operation.subject, failure, extra=about)
            operation.finish(failure.code, failure.message)
        else:
            about = self._about(journal.OPERATION_DONE, operation, Hresult.S_OK, made or operation.subject)
            log.info("%s of %s is done", operation.type.value, operation.subject, extra=about)
            operation.finish(Hresult.S_OK, object=made)
        self._counted.operations[operation.type.value, operation.result.name].add(operation.seconds)
        self._finished.append(operation.id)
        if len(self._finished) > REMEMBERED:
            del self._operations[self._finished.popleft()]

    @staticmethod
    def _about(event: journal.Event, operation: Operation, code: Hresult, object: str) -> dict[str, Any]:
        return journal.about(event, code=code, object=object, operation=operation.id, caller=current().caller)

    def spawn(self, work: Coroutine[Any, Any, T], doing: Work | None = None) -> asyncio.Task[T]:
        """Run the work to its end even when its caller goes away; `drain` waits for it, unless what it is `doing` gets no
        answer from the kernel."""
        doing, surroundings = doing or Work("an operation"), copy_context()
        surroundings.run(begin, doing)
        task = asyncio.get_running_loop().create_task(work, context=surroundings)
        self._tasks[task] = doing
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        del self._tasks[task]
        if not task.cancelled():
            # Seen here, lest asyncio complains of an error that nobody asked for: its caller may have gone away.
            task.exception()

    async def drain(self, timeout: float) -> None:
        """Wait until nothing is under way, for so many seconds at most; not for what gets no answer from the kernel."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while waiting := [task for task, doing in self._tasks.items() if not doing.silences]:
            if loop.time() >= deadline:
                break
            await asyncio.wait(waiting, timeout=min(1, deadline - loop.time()))
        if self._tasks:
            log.warning("%d operations are still under way; the next start completes or undoes them", len(self._tasks))

    def all(self) -> Collection[Operation]:
        """Those that run, and the last that ended, in the order in which they began."""
        return self._operations.values()

    def find(self, id: str) -> Operation:
        """The operation of that id. Raises VDS_E_OBJECT_NOT_FOUND."""
        operation = self._operations.get(id)
        if operation is None:
            raise VdsError(
                Hresult.VDS_E_OBJECT_NOT_FOUND, f"there is no asynchronous operation {id}, or it ended long ago", id
            )
        return operation
