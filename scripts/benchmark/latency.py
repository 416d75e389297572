"""How long one client's calls take, one after the other: while nothing else happens, and beside somebody's work.

A client that pauses after each answer finds the server at that work more often than one that does not, which keeps the server
from it.
"""

from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier, Event
from statistics import median
from time import perf_counter, sleep

from benchmark.client import Client
from benchmark.figures import percentile

IDLE = 1000
"""Calls that tell how long they take while nothing else happens."""


def idle(client: Client, call: bytes, pause: float = 0.0) -> list[float]:
    """The seconds that each call takes while nothing else happens, with as many between them as the client pauses."""
    return _calls(client, call, pause, lambda done: done < IDLE)


def beside(client: Client, call: bytes, work: Callable[[], object], pause: float = 0.0) -> list[float]:
    """The seconds that each call takes while a process does the work, with as many between them as the client pauses."""
    # Not a thread: the two would wait for each other, and not for the daemon. A process takes the processor for itself while it
    # comes and goes, which is not the work.
    context = get_context("fork")
    meeting, over = context.Barrier(2), context.Event()
    working = context.Process(target=_work, args=(meeting, over, work))
    working.start()
    meeting.wait()
    seconds = _calls(client, call, pause, lambda _: not over.is_set())
    meeting.wait()
    working.join()
    if working.exitcode:
        raise RuntimeError("the work was not done")
    return seconds


def _work(meeting: Barrier, over: Event, work: Callable[[], object]) -> None:
    meeting.wait()
    try:
        work()
    finally:
        over.set()
        meeting.wait()


def _calls(client: Client, call: bytes, pause: float, more: Callable[[int], bool]) -> list[float]:
    seconds: list[float] = []
    while more(len(seconds)):
        begun = perf_counter()
        client.exchange(call)
        seconds.append(perf_counter() - begun)
        if pause:
            sleep(pause)
    return seconds


def figures(seconds: Sequence[float], alone: Sequence[float]) -> dict[str, float]:
    """How many calls there were, how long they took, and the 99th percentile beside that of calls while nothing else happens."""
    p99 = percentile(seconds, 99)
    return {
        "calls": len(seconds),
        "median, ms": median(seconds) * 1000,
        "p99, ms": p99 * 1000,
        "p99 to p99": p99 / percentile(alone, 99),
    }
