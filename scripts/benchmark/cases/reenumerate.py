"""A recovery of the provider cache that finds nothing to put right."""

import threading
import time
from statistics import median, quantiles

from benchmark import floor
from benchmark.subject import Daemon, daemon
from vdsprovd.varlink.client import Connection

ROUNDS = 5
_QUERIES = 300


def measure(count: int) -> dict[str, object]:
    """A full Reenumerate and Refresh, beside a walk of what both compare; and how long a query takes meanwhile."""
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
    walk, recovery = median(walks), median(recoveries)
    return {
        "bare walk, s": round(walk, 3),
        "Reenumerate + Refresh, s": round(recovery, 3),
        "Reenumerate + Refresh / walk": round(recovery / walk, 2),
        "a query while idle, ms, p50": round(median(idle) * 1000, 2),
        "a query while idle, ms, p99": round(quantiles(idle, n=100)[98] * 1000, 2),
        "a query meanwhile, ms, p50": round(median(meanwhile) * 1000, 2),
        "a query meanwhile, ms, p99": round(quantiles(meanwhile, n=100)[98] * 1000, 2),
    }


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
