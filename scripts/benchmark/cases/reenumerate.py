"""A recovery of the provider cache, Reenumerate and Refresh, that finds nothing to put right.

Queries meanwhile are beside those of an echo while another process walks: how long the machine lets anyone wait. And beside
those of one that walks itself, in a thread: how long one process in Python lets anyone wait.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from benchmark import floor, latency
from benchmark.client import request
from benchmark.echo import echo, learn
from benchmark.echo import walk as walk_in_thread
from benchmark.figures import Row, ratio, several
from benchmark.subject import Daemon, daemon

AIM = (
    "at most 1.5 times a bare walk of the same files; queries meanwhile keep their latency: the 99th percentile at most "
    "5 times as long as when nothing else happens"
)
COUNTS = (100,)
LONG = (1000, 10000)
PLOT = "ms a LUN"
ROUNDS = 15
PAUSE = 0.002
"""Seconds between a client's queries."""


def measure(counts: Sequence[int]) -> Iterator[Row]:
    """Beside a walk of what both compare; and how long a client's queries take meanwhile."""
    for count in counts:
        with daemon(count) as subject:
            subject.settle()
            client, call = subject.client(), request("Provider.GetProperties")
            walk, recover = partial(floor.walk, subject.folder), partial(_recover, subject)
            walks, recoveries, meanwhile, beside, within = [], [], [], [], []
            with echo() as least:
                learn(least, [client.exchange(call)])
                idle, alone = (latency.idle(asked, call, PAUSE) for asked in (client, least))
                for _ in range(ROUNDS):
                    walks.append(_seconds(walk))
                    recoveries.append(_seconds(recover))
                    meanwhile += latency.beside(client, call, recover, PAUSE)
                    beside += latency.beside(least, call, walk, PAUSE)
                    within += latency.beside(least, call, partial(walk_in_thread, least, subject.folder), PAUSE)
            client.close()
        yield Row(count, "floor", _figures(count, walks))
        yield Row(count, "vdsprovd", {**_figures(count, recoveries), "ratio to the floor": ratio(recoveries, walks)})
        yield Row(count, "queries while nothing else happens", latency.figures(idle, idle))
        yield Row(count, "queries meanwhile", latency.figures(meanwhile, idle))
        yield Row(count, "an echo, nobody walks", latency.figures(alone, alone))
        yield Row(count, "an echo, while another process walks", latency.figures(beside, alone))
        yield Row(count, "an echo, while a thread of its own walks", latency.figures(within, alone))


def _seconds(work: Callable[[], object]) -> float:
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def _recover(subject: Daemon) -> None:
    client = subject.client()
    client.call("HwProvider.Reenumerate")
    client.call("HwProvider.Refresh")
    client.close()


def _figures(count: int, seconds: Sequence[float]) -> dict[str, float]:
    found = several(seconds)
    return {**found, PLOT: found["s"] / count * 1000}
