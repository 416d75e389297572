"""Threads for what blocks. One that the kernel does not answer keeps neither the others from work nor the process from its
end: its place is given to another, and nobody waits for it at exit.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar, cast

from vdsprovd import journal
from vdsprovd.asking import Question, asked, asking
from vdsprovd.hardware import Refused
from vdsprovd.operations import Work

log = logging.getLogger(__name__)

T = TypeVar("T")

MOST_SILENT = 256
"""How many threads may wait for an answer that does not come. More work is refused then."""
_LOOK = 1.0
"""Seconds between looks at a thread that had no answer."""
_LOOKS = 8
"""How often a thread is looked at in the time that an answer may take. What it asks for counts from the first look at it."""
_NICENESS = 10
"""Of threads that give way: with it, somebody who asks for all of a processor gets nine tenths of it from them."""


def give_way() -> None:
    """Let the calling thread have a processor after the others of this machine: who changes something after who only asks,
    and after the kernel's threads that serve initiators. LVM's commands, which it starts, raise their priority by themselves
    while devices are suspended."""
    with suppress(OSError):
        # Of this thread alone: setpriority(2), under "C library/kernel differences".
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)


class Workers:
    """Runs functions in threads, `number` at once, those that have no answer for `patience` seconds not counted.

    Belongs to the event loop's thread. `heard` is called with a `Work` when it gets no answer, and when it got one.
    """

    def __init__(self, name: str, number: int, patience: float, heard: Callable[[Work], None]) -> None:
        self._name = name
        self._number = number
        self._patience = patience
        self._heard = heard
        self._places = asyncio.Semaphore(number)
        self._silent: set[_Job] = set()
        self._idle: list[_Thread] = []
        self._giving_way = False
        self._closed = False

    def close(self) -> None:
        """Let the threads end when they have nothing to do."""
        self._closed = True
        for thread in self._idle:
            thread.jobs.put(None)
        self._idle.clear()

    def give_way(self) -> None:
        """Let the threads give way from their next job on."""
        self._giving_way = True

    async def run(self, function: Callable[[], T], work: Work, *, looks: bool = False) -> T:
        """What the function returns or raises. Raises `Refused` when too many threads have no answer; and when this one
        has none, if it only `looks`, so that nobody has to wait for its end: the thread goes on."""
        if len(self._silent) >= MOST_SILENT:
            raise Refused(f"{MOST_SILENT} operations have no answer from the kernel; see to the disks that hang first")
        await self._places.acquire()
        job = _Job(function, work, self._ended, looks=looks)
        try:
            job.thread = self._idle.pop() if self._idle else _Thread(self._name)
        except RuntimeError as error:
            self._places.release()
            raise Refused(f"cannot start a thread: {error}") from error
        job.gives_way = self._giving_way
        job.thread.jobs.put(job)
        job.timer = job.loop.call_later(self._patience / _LOOKS, self._look, job)
        return cast(T, await job.result)

    def _look(self, job: "_Job") -> None:
        question = job.question
        silent = time.monotonic() - question.since >= self._patience
        if silent and job not in self._silent:
            self._silent.add(job)
            if not job.lent:
                job.lent = True
                self._places.release()
            job.work.silences[job] = question
            about = journal.about(journal.NO_ANSWER, object=question.lun, caller=job.work.caller)
            log.warning("%s", job.work.silence, extra=about)
            self._heard(job.work)
            if job.looks and not job.result.done():
                job.result.set_exception(Refused(job.work.silence))
        elif not silent and job in self._silent:
            self._answered(job)
        wait = _LOOK if job in self._silent else self._patience / _LOOKS
        job.timer = job.loop.call_later(wait, self._look, job)

    def _answered(self, job: "_Job") -> None:
        self._silent.discard(job)
        question = job.work.silences.pop(job)
        about = journal.about(journal.ANSWER, object=question.lun, caller=job.work.caller)
        log.warning("the kernel answered after %d s: %s", *question.answered(), extra=about)
        self._heard(job.work)

    def _ended(self, job: "_Job", result: Any, error: BaseException | None) -> None:
        if job.timer:
            job.timer.cancel()
        if job in self._silent:
            self._answered(job)
        if not job.lent:
            self._places.release()
        if self._closed or len(self._idle) >= self._number:
            job.thread.jobs.put(None)
        else:
            self._idle.append(job.thread)
        if job.result.done():
            return  # nobody waits for it any more
        if error is not None:
            job.result.set_exception(error)
        else:
            job.result.set_result(result)


class _Job:
    """One function, to be run in a thread."""

    def __init__(
        self,
        function: Callable[[], Any],
        work: Work,
        ended: Callable[["_Job", Any, BaseException | None], None],
        *,
        looks: bool,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.result: asyncio.Future[Any] = self.loop.create_future()
        self.work = work
        self.looks = looks
        self.lent = False
        """Whether its place has been given to another."""
        self.timer: asyncio.TimerHandle | None = None
        self.thread: _Thread
        self.gives_way = False
        self._function = function
        self._ended = ended
        self._began = time.monotonic()

    @property
    def question(self) -> Question:
        """What it asks the kernel for, as far as is known."""
        return asked(self.thread.ident or 0) or Question(self.work.what, "", seen=self._began)

    def perform(self) -> None:
        """Run the function, in its thread. Raises RuntimeError when nobody is there any more to take what comes of it."""
        result, error = None, None
        try:
            with asking(self.work.what):
                result = self._function()
        except BaseException as raised:
            error = raised
        self.loop.call_soon_threadsafe(self._ended, self, result, error)


class _Thread(threading.Thread):
    """Does one job after the other, until it gets None instead of one."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self.start()

    def run(self) -> None:
        gives_way = False
        while job := self.jobs.get():
            if job.gives_way and not gives_way:
                give_way()
                gives_way = True
            try:
                job.perform()
            except RuntimeError:
                log.warning("an answer came after the end: %s", job.work.what)
                return
            job = None  # what it holds is not to be kept until the next comes
