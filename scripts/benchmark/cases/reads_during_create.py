"""Lun.GetProperties while another client creates N LUNs, beside the same when nobody does.

Beside it is an echo while somebody computes: how long the kernel lets anyone wait for a processor.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing import get_context
from statistics import median
from time import perf_counter

from benchmark.client import Client, request
from benchmark.contenders import Work
from benchmark.contenders.daemon import Vdsprovd
from benchmark.echo import echo, learn
from benchmark.figures import Row, percentile
from benchmark.subject import INITIATOR, TARGET, daemon

AIM = "the 99th percentile at most 5 times as long as when nothing else happens"
COUNTS = (100,)
LONG = (1000,)
PLOT = ""

IDLE = 1000
"""Calls."""
PATIENCE = 600
COMPUTING = 2
"""Seconds."""


def measure(counts: Sequence[int]) -> Iterator[Row]:
    """One client reads, one call after the other, with 10 LUNs present at first."""
    for count in counts:
        with daemon(10) as subject:
            client = subject.client()
            (lun, *_) = client.done("IscsiTarget.QueryAssociatedLuns", id=subject.target)["luns"]
            call = request("Lun.GetProperties", id=lun["id"])
            idle = _read(client, call, lambda done: done < IDLE)
            yield Row(count, "nobody creates", _figures(idle, idle))
            ours = Vdsprovd(subject)
            for how, make in (("one by one", partial(ours.do, patience=PATIENCE)), ("at once", ours.do_at_once)):
                targets = (TARGET,) if how == "one by one" else (f"{TARGET}-at-once",)
                work = Work("", targets, count, (INITIATOR,), first=subject.luns)
                busy = _read_beside(client, call, partial(make, work))
                yield Row(count, f"while {count} LUNs are created {how}", _figures(busy, idle))
            reply = client.exchange(call)
            client.close()
        with echo() as least:
            learn(least, [reply])
            alone = _read(least, call, lambda done: done < IDLE)
            yield Row(count, "an echo, nobody computes", _figures(alone, alone))
            beside = _read_beside(least, call, _compute)
            yield Row(count, "an echo, while somebody computes", _figures(beside, alone))


def _compute() -> None:
    end = perf_counter() + COMPUTING
    while perf_counter() < end:
        pass


def _read_beside(client: Client, call: bytes, work: Callable[[], object]) -> list[float]:
    """How long each call takes while a process does the work."""
    # Not a thread: the two would wait for each other, and not for the daemon.
    working = get_context("fork").Process(target=work)
    working.start()
    seconds = _read(client, call, lambda _: working.is_alive())
    working.join()
    if working.exitcode:
        raise RuntimeError("the work was not done")
    return seconds


def _read(client: Client, call: bytes, more: Callable[[int], bool]) -> list[float]:
    """How long each call takes, while there is to be one more."""
    seconds: list[float] = []
    while more(len(seconds)):
        begun = perf_counter()
        client.exchange(call)
        seconds.append(perf_counter() - begun)
    return seconds


def _figures(seconds: Sequence[float], idle: Sequence[float]) -> dict[str, float]:
    p99 = percentile(seconds, 99)
    return {
        "calls": len(seconds),
        "median, ms": median(seconds) * 1000,
        "p99, ms": p99 * 1000,
        "p99 to p99": p99 / percentile(idle, 99),
    }
