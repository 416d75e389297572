"""Work on many things in threads, in as many as pays.

While the kernel sleeps, over a grace period of RCU for one, other threads get on with the rest. While it does not, each
more of them costs: they wait for each other's turn with the interpreter before and after every system call.
"""

import os
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
    looked, used, shown = time.monotonic(), time.process_time(), 0
    with asking(what(items[shown])):
        while wait(running, _LOOK).not_done:
            oldest = min(list(at_work.values()), default=shown)
            stands = oldest == shown
            if not stands:
                shown = oldest
                answered(what(items[shown]))
            now, using = time.monotonic(), time.process_time()
            idle = using - used < _BUSY * (now - looked) * len(os.sched_getaffinity(0))
            if (idle or stands) and len(running) < min(MOST, len(items)):
                running += [workers.submit(run) for _ in range(min(len(running), MOST - len(running)))]
            looked, used = now, using
    for future in running:
        future.result()
    return [results[place] for place in range(len(items))]
