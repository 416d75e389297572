"""Work on many things in threads, in as many as pays.

While the kernel sleeps, over a grace period of RCU for one, other threads get on with the rest. While it does not, each
more of them costs: they wait for each other's turn with the interpreter before and after every system call.
"""

import os
import resource
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, wait
from typing import TypeVar

from vdsprovd.asking import answered, asking

T = TypeVar("T")
R = TypeVar("R")

MOST = 8
"""How many threads."""
_LOOK = 0.05
"""Seconds between looks whether the processors have nothing to do."""
_BUSY = 0.6
"""The share of all processors' time from which on they have enough to do."""


def side_by_side(
    workers: Executor, function: Callable[[T], R], items: Sequence[T], what: Callable[[T], str]
) -> list[R]:
    """What the function returns for each item, in their order. `what` completes "it was asked to ..."; one that gets no
    answer keeps no other from being done. Raises what the function raises."""
    results: dict[int, R] = {}
    left = iter(range(len(items)))  # shared: to take the next is one operation of the interpreter
    at_work: dict[int, int] = {}  # thread -> place

    def run() -> None:
        thread = threading.get_ident()
        for place in left:
            at_work[thread] = place
            results[place] = function(items[place])
        at_work.pop(thread, None)

    running = [workers.submit(run)]
    looked, used, slept, done, shown = time.monotonic(), time.process_time(), _sleeps(), 0, 0
    with asking(what(items[shown])):
        while wait(running, _LOOK).not_done:
            oldest = min(list(at_work.values()), default=shown)
            stands = oldest == shown
            if not stands:
                shown = oldest
                answered(what(items[shown]))
            now, using, sleeping, ready = time.monotonic(), time.process_time(), _sleeps(), len(results)
            idle = using - used < _BUSY * (now - looked) * len(os.sched_getaffinity(0))
            # A processor that another machine has looks idle, too: then nobody has slept.
            sleeps = sleeping - slept >= (ready - done) / 2
            if ((idle and sleeps) or stands) and len(running) < min(MOST, len(items)):
                running += [workers.submit(run) for _ in range(min(len(running), MOST - len(running)))]
            looked, used, slept, done = now, using, sleeping, ready
    for future in running:
        future.result()
    return [results[place] for place in range(len(items))]


def _sleeps() -> int:
    """How often threads of this process have slept, as one does over each item that the kernel sleeps over. (Those that wait for
    their turn with the interpreter sleep, too: with one thread hardly any.)"""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
