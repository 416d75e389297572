"""What a scrape of the metrics costs, and what a query waits for meanwhile."""

import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from threading import Thread

from benchmark.cases.reads import queries
from benchmark.client import Client
from benchmark.figures import Row, percentile, processor
from benchmark.simulated import simulated, started

AIM = "the 99th percentile of queries meanwhile at most 5 ms"
COUNTS = (1000,)
LONG = (10000,)
PLOT = ""
_QUIET = 1.0
"""Seconds between scrapes, at least."""
PAUSE = 0.002
"""Seconds between queries: one client that looks now and then."""


def measure(counts: Sequence[int], rounds: int = 5) -> Iterator[Row]:
    """One client that asks for a LUN's properties again and again, alone and while a scrape runs. (Without a LIO kernel it is
    on the simulator, which counts nothing.)"""
    lio = Path("/sys/kernel/config/target").exists()
    for count in counts:
        with (started if lio else simulated)(count, metrics=True) as client:
            call = queries(client)["GetProperties"]
            alone: list[float] = []
            meanwhile: list[float] = []
            scrapes, used = [], 0.0
            for _ in range(rounds):
                before = processor(client.pid)
                scrape = _Scrape(client.path.with_name("metrics"))
                scrape.start()
                while scrape.is_alive():
                    meanwhile.append(_timed(client, call))
                used += processor(client.pid) - before
                scrapes.append(scrape)
                # It is given out again for a while, and nothing else happens.
                quiet = time.perf_counter() + max(_QUIET, 5 * scrape.seconds)
                while time.perf_counter() < quiet:
                    alone.append(_timed(client, call))
        text = scrapes[0].text()
        yield Row(
            count,
            "vdsprovd" if lio else "vdsprovd on the simulator",
            {
                "a scrape, ms": median(scrape.seconds for scrape in scrapes) * 1e3,
                "samples": sum(not line.startswith(b"#") for line in text.splitlines()),
                "KiB": len(text) / 1024,
                "processor, ms a scrape": used / rounds * 1e3,
                "a query alone, p50, us": median(alone) * 1e6,
                "p99, us": percentile(alone, 99) * 1e6,
                "longest, us": max(alone) * 1e6,
                "during a scrape, p50, us": median(meanwhile) * 1e6,
                "p99 then, us": percentile(meanwhile, 99) * 1e6,
                "longest then, us": max(meanwhile) * 1e6,
            },
        )


def _timed(client: Client, call: bytes) -> float:
    time.sleep(PAUSE)
    begun = time.perf_counter()
    client.exchange(call)
    return time.perf_counter() - begun


class _Scrape(Thread):
    """One scrape, as Prometheus makes it."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.seconds = 0.0
        self._path = path
        self._parts: list[bytes] = []

    def text(self) -> bytes:
        """What it gave. Put together only when asked for: whoever is in this process waits meanwhile."""
        return b"".join(self._parts).partition(b"\r\n\r\n")[2]

    def run(self) -> None:
        begun = time.perf_counter()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self._path))
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while part := sock.recv(1 << 20):
                self._parts.append(part)
        self.seconds = time.perf_counter() - begun
