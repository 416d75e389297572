"""What each thread asks the kernel for just now, so that others can tell what has no answer.

The kernel may take as long as it likes: a thread that waits for a disk that hangs cannot be ended, nor can it say so. Who
asks does not look at the clock, which is asked for every step of every command: who looks at it does.
"""

import threading
import time
from types import TracebackType

import msgspec


class Question(msgspec.Struct, eq=False, gc=False):
    """The text of `to` completes "it was asked to ...", `lun` is the LUN that it is about, if it is about one. Another question
    is another object, even about the same."""

    to: object
    lun: str
    seen: float = 0.0

    @property
    def what(self) -> str:
        """The text, which is made when somebody wants to know: mostly nobody does."""
        return str(self.to)

    @property
    def since(self) -> float:
        """When somebody first looked at it (time.monotonic), which is after it was asked."""
        self.seen = self.seen or time.monotonic()
        return self.seen

    def answered(self) -> tuple[int, str]:
        """After how many seconds it has its answer now, and what it was."""
        return round(time.monotonic() - self.since), self.what


_asked: dict[int, Question] = {}
"""By thread."""


class asking:  # noqa: N801  # read as a verb: `with asking("...")`
    """This thread asks the kernel for that, as long as the context lasts."""

    __slots__ = ("_before", "_lun", "_thread", "_to")

    def __init__(self, to: object, lun: str = "") -> None:
        self._to = to
        self._lun = lun

    def __enter__(self) -> None:
        self._thread = threading.get_ident()
        self._before = _asked.get(self._thread)
        _asked[self._thread] = Question(self._to, self._lun or (self._before.lun if self._before else ""))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._before:
            _asked[self._thread] = Question(self._before.to, self._before.lun)
        else:
            del _asked[self._thread]


def answered(to: object = None) -> None:
    """This thread got an answer, and goes on with what it asks for, or with that."""
    thread = threading.get_ident()
    if before := _asked.get(thread):
        _asked[thread] = Question(to or before.to, before.lun)


def asked(thread: int) -> Question | None:
    """What the thread waits for."""
    return _asked.get(thread)
