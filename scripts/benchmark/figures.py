"""What a case gives, and the one place for its statistics. No imports but the standard library's: workers load it."""

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

Figures = Mapping[str, float | str]
"""By name, with the unit in the name ("median, ms"); a text where there is no figure, and why."""


class Row(NamedTuple):
    """What one contender took, with so many LUNs present."""

    luns: int
    contender: str
    figures: Figures


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """The median and the 10th and 90th percentile, in milliseconds."""
    low, high = percentile(seconds, 10), percentile(seconds, 90)
    return {"median, ms": median(seconds) * 1000, "p10, ms": low * 1000, "p90, ms": high * 1000}


def several(seconds: Sequence[float]) -> dict[str, float]:
    """The median of a few runs, the least and the most, in seconds."""
    return {"s": median(seconds), "least, s": min(seconds), "most, s": max(seconds)}


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """How many times as long ours took, by the middle of those that were measured side by side: the machine is faster for some
    seconds, and slower for others. Whatever was measured more often than the other is left out."""
    return median(one / other for one, other in zip(ours, theirs, strict=False))


def percentile(seconds: Sequence[float], percent: int) -> float:
    """The value that so many percent of them are not above."""
    return quantiles(seconds, n=100, method="inclusive")[percent - 1] if len(seconds) > 1 else seconds[0]


def processor(pid: int) -> float:
    """The seconds of processor time that a process has used, with those of its threads that have ended."""
    return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3), which Python does not have


def peak(pid: int | str) -> float:
    """The most memory that a process has had, in MiB; a pid or "self"."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def tell(what: str) -> None:
    """Say what is going on, to who waits for it."""
    print(f"  {time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


class Stopwatch:
    """What a piece of work took."""

    seconds = 0.0


@contextmanager
def timed() -> Iterator[Stopwatch]:
    """Measure what is done in the block."""
    watch = Stopwatch()
    begun = time.perf_counter()
    try:
        yield watch
    finally:
        watch.seconds = time.perf_counter() - begun


def kernel() -> str:
    """The kernel and the processors of this machine, in a few words."""
    processors = os.cpu_count()
    return f"{os.uname().release}, {processors} processor{'s' if processors != 1 else ''}"
