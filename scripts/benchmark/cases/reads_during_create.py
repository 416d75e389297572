"""Lun.GetProperties while another client creates N LUNs, beside the same when nobody does."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from statistics import median
from time import perf_counter

from benchmark.contenders import Work
from benchmark.contenders.daemon import Vdsprovd
from benchmark.figures import Row, percentile
from benchmark.subject import INITIATOR, TARGET, Daemon, daemon

AIM = "the 99th percentile at most 5 times as long as when nothing else happens"
COUNTS = (100,)
LONG = (1000,)
PLOT = ""

IDLE = 1000
"""Calls."""
PATIENCE = 600
"""Seconds."""


def measure(counts: Sequence[int]) -> Iterator[Row]:
    """One client reads, one call after the other, with 10 LUNs present at first."""
    for count in counts:
        with daemon(10) as subject:
            idle = _read(subject, lambda done: done < IDLE)
            work = Work("", (TARGET,), count, (INITIATOR,), first=subject.luns)
            # Not a thread: the two would wait for each other, and not for the daemon.
            creating = get_context("fork").Process(target=Vdsprovd(subject).do, args=(work, PATIENCE))
            creating.start()
            busy = _read(subject, partial(_alive, creating))
            creating.join()
            if creating.exitcode:
                raise RuntimeError("the LUNs were not created")
        yield Row(count, "nobody creates", _figures(idle))
        ratio = percentile(busy, 99) / percentile(idle, 99)
        yield Row(count, f"while {count} LUNs are created", {**_figures(busy), "p99 to p99": ratio})


def _read(subject: Daemon, more: Callable[[int], bool]) -> list[float]:
    """How long each call takes, while there is to be one more."""
    client = subject.client()
    (lun, *_) = client.done("IscsiTarget.QueryAssociatedLuns", id=subject.target)["luns"]
    seconds: list[float] = []
    while more(len(seconds)):
        begun = perf_counter()
        client.done("Lun.GetProperties", id=lun["id"])
        seconds.append(perf_counter() - begun)
    client.close()
    return seconds


def _alive(process: BaseProcess, _: int) -> bool:
    return process.is_alive()


def _figures(seconds: Sequence[float]) -> dict[str, float]:
    return {"calls": len(seconds), "median, ms": median(seconds) * 1000, "p99, ms": percentile(seconds, 99) * 1000}
