"""What each thread asks the kernel for just now, so that others can tell what has no answer.

The kernel may take as long as it likes: a thread that waits for a disk that hangs cannot be ended, nor can it say so.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec


class Question(msgspec.Struct, frozen=True):
    """`what` completes "it was asked to ...", `lun` is the LUN that it is about, if it is about one, `since` when it was
    asked (time.monotonic)."""

    what: str
    lun: str
    since: float

    def answered(self) -> tuple[int, str]:
        """After how many seconds it has its answer now, and what it was."""
        return round(time.monotonic() - self.since), self.what


_asked: dict[int, Question] = {}
"""By thread."""


@contextmanager
def asking(what: str, lun: str = "") -> Iterator[None]:
    """This thread asks the kernel for that, as long as the context lasts."""
    thread = threading.get_ident()
    before = _asked.get(thread)
    _asked[thread] = Question(what, lun or (before.lun if before else ""), time.monotonic())
    try:
        yield
    finally:
        if before:
            _asked[thread] = Question(before.what, before.lun, time.monotonic())
        else:
            del _asked[thread]


def answered(what: str = "") -> None:
    """This thread got an answer, and goes on with what it asks for, or with that."""
    thread = threading.get_ident()
    if before := _asked.get(thread):
        _asked[thread] = Question(what or before.what, before.lun, time.monotonic())


def asked(thread: int) -> Question | None:
    """What the thread waits for."""
    return _asked.get(thread)
