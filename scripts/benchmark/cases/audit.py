"""An audit while nothing happens, beside a bare walk of the same attributes."""

import time
from collections.abc import Iterator, Sequence
from statistics import median

from benchmark import floor
from benchmark.figures import Row
from benchmark.subject import AUDIT, daemon

AIM = "under 2 % of one core"
COUNTS = (100,)
LONG = (1000,)
PLOT = ""


def measure(counts: Sequence[int]) -> Iterator[Row]:
    """What an audit costs the processor."""
    for count in counts:
        with daemon(count) as subject:
            subject.stop()
            used = {}
            for every in (AUDIT, 2):
                subject.audit = every
                subject.start()
                time.sleep(3)
                before, begun = subject.processor(), time.monotonic()
                time.sleep(30)
                used[every] = (subject.processor() - before) / (time.monotonic() - begun)
                subject.stop()
            subject.audit = AUDIT
            walks = []
            for _ in range(5):
                begun = time.process_time()
                attributes = floor.walk(subject.folder)
                walks.append(time.process_time() - begun)
            subject.start()
        cost, least = (used[2] - used[AUDIT]) * 2, median(walks)
        figures = {
            "attributes": attributes,
            "one audit, s of processor": cost,
            "idle, share of a core": used[AUDIT],
            f"one audit in {AUDIT} s, share of a core": cost / AUDIT,
        }
        yield Row(count, "floor", {"one audit, s of processor": least})
        yield Row(count, "vdsprovd", {**figures, "ratio to the floor": cost / least})
