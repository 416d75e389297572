"""A recovery of the provider cache, Reenumerate and Refresh, that finds nothing to put right."""

import threading
import time
from collections.abc import Iterator, Sequence
from statistics import median

from benchmark import floor
from benchmark.figures import Row, percentile, ratio, several
from benchmark.subject import Daemon, daemon
from vdsprovd.varlink.client import Connection

AIM = "at most 1.5 times a bare walk of the same files; queries meanwhile keep their latency"
COUNTS = (100,)
LONG = (1000, 10000)
PLOT = "ms a LUN"
ROUNDS = 5
_QUERIES = 300


def measure(counts: Sequence[int]) -> Iterator[Row]:
    """Beside a walk of what both compare; and how long a query takes meanwhile."""
    for count in counts:
        with daemon(count) as subject:
            walks, recoveries, meanwhile = [], [], []
            idle = [_query(subject.connection) for _ in range(_QUERIES)]
            for _ in range(ROUNDS):
                begun = time.monotonic()
                floor.walk(subject.folder)
                walks.append(time.monotonic() - begun)
                begun = time.monotonic()
                _recover(subject.connection)
                recoveries.append(time.monotonic() - begun)
                meanwhile += _queries_during_recovery(subject)
        least, ours = several(walks), several(recoveries)
        yield Row(count, "floor", {**least, PLOT: least["s"] / count * 1000, **_latency(idle)})
        beside = {"ratio to the floor": ratio(recoveries, walks)}
        yield Row(count, "vdsprovd", {**ours, PLOT: ours["s"] / count * 1000, **beside, **_latency(meanwhile)})


def _latency(seconds: Sequence[float]) -> dict[str, float]:
    """Of queries; the row of the floor has those of an idle daemon."""
    return {"query, p50, ms": median(seconds) * 1000, "query, p99, ms": percentile(seconds, 99) * 1000}


def _recover(connection: Connection) -> None:
    connection.call("org.vdsprov.HwProvider.Reenumerate", {})
    connection.call("org.vdsprov.HwProvider.Refresh", {})


def _query(connection: Connection) -> float:
    begun = time.monotonic()
    connection.call("org.vdsprov.Provider.GetProperties", {})
    return time.monotonic() - begun


def _queries_during_recovery(subject: Daemon) -> list[float]:
    took: list[float] = []
    with Connection(str(subject.folder / "socket")) as other:
        recovering = threading.Thread(target=_recover, args=(other,))
        recovering.start()
        while recovering.is_alive():
            took.append(_query(subject.connection))
            time.sleep(0.002)
    return took
