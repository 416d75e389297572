"""Lun.GetProperties while another client creates N LUNs, beside the same when nobody does.

Beside it is an echo while somebody computes: how long the kernel lets anyone wait for a processor.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from time import perf_counter

from benchmark import latency
from benchmark.client import request
from benchmark.contenders import Work
from benchmark.contenders.daemon import Vdsprovd
from benchmark.echo import echo, learn
from benchmark.figures import Row
from benchmark.subject import INITIATOR, TARGET, daemon

AIM = "the 99th percentile at most 5 times as long as when nothing else happens"
COUNTS = (100,)
LONG = (1000,)
PLOT = ""

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
            idle = latency.idle(client, call)
            yield Row(count, "nobody creates", latency.figures(idle, idle))
            ours = Vdsprovd(subject)
            for how, make in (("one by one", partial(ours.do, patience=PATIENCE)), ("at once", ours.do_at_once)):
                targets = (TARGET,) if how == "one by one" else (f"{TARGET}-at-once",)
                work = Work("", targets, count, (INITIATOR,), first=subject.luns)
                busy = latency.beside(client, call, partial(make, work))
                yield Row(count, f"while {count} LUNs are created {how}", latency.figures(busy, idle))
            reply = client.exchange(call)
            client.close()
        with echo() as least:
            learn(least, [reply])
            alone = latency.idle(least, call)
            yield Row(count, "an echo, nobody computes", latency.figures(alone, alone))
            beside = latency.beside(least, call, _compute)
            yield Row(count, "an echo, while somebody computes", latency.figures(beside, alone))


def _compute() -> None:
    end = perf_counter() + COMPUTING
    while perf_counter() < end:
        pass
