"""What the daemon counts of itself while it runs: calls, operations, audits. Nothing of it is stored.

It is always counted, so that whoever begins to watch sees what was before; it costs a call a quarter of a microsecond.
Belongs to the event loop's thread: others read a `copy`.
"""

import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

CALL_BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0)
"""Seconds. A query takes some 50 microseconds, a command milliseconds, and the kernel is waited for up to minutes."""
OPERATION_BOUNDS = (0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 21600.0)
"""Seconds. What writes every byte of a LUN takes hours."""
NO_METHOD = "unknown"
"""In place of the name of a method that there is not: callers choose it, and would choose how much is kept."""


class Durations:
    """How long something took, in seconds: how often it took at most each of the bounds, and longer, and the sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """It took so long once more."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.sum += seconds

    def copy(self) -> "Durations":
        """The same as it is now."""
        found = Durations(self.bounds)
        found.counts, found.sum = list(self.counts), self.sum
        return found


class Counted:
    """What was counted since the daemon started."""

    def __init__(self) -> None:
        self.calls: defaultdict[str, Durations] = defaultdict(lambda: Durations(CALL_BOUNDS))
        """By method: calls that were answered, streams not included, which last as long as their clients like."""
        self.errors: Counter[tuple[str, str]] = Counter()
        """By method and code."""
        self.operations: defaultdict[tuple[str, str], Durations] = defaultdict(lambda: Durations(OPERATION_BOUNDS))
        """By type and code: asynchronous operations that are over."""
        self.audits: dict[str, tuple[float, float]] = {}
        """By what is audited: how many seconds the last complete one took, and when it was over (time.time)."""

    def call(self, method: str, seconds: float | None, error: str) -> None:
        """A call of the method was answered, after so many seconds (None: a stream), with the error of that code or none."""
        if seconds is not None:
            self.calls[method].add(seconds)
        if error:
            self.errors[method, error] += 1

    @contextmanager
    def audit(self, of: str) -> Iterator[None]:
        """An audit, as long as the context lasts; one that breaks off is not counted."""
        began = time.monotonic()
        yield
        self.audits[of] = (time.monotonic() - began, time.time())

    def copy(self) -> "Counted":
        """The same as it is now."""
        found = Counted()
        found.calls.update({method: durations.copy() for method, durations in self.calls.items()})
        found.errors.update(self.errors)
        found.operations.update({key: durations.copy() for key, durations in self.operations.items()})
        found.audits.update(self.audits)
        return found
