"""From a lost kernel configuration to a daemon that serves."""

import time
from collections.abc import Iterator, Sequence
from statistics import median

from benchmark import floor
from benchmark.figures import Row
from benchmark.subject import daemon, interpreter

AIM = "restore at most 1.3 times the bare operations one after the other"
COUNTS = (100,)
LONG = (1000,)
PLOT = "s"


def measure(counts: Sequence[int]) -> Iterator[Row]:
    """Without what the start of an interpreter takes."""
    for count in counts:
        with daemon(count) as subject:
            operations = floor.described(subject.folder)
            subject.stop()
            bare, ours, adopting = [], [], []
            for _ in range(3):
                floor.clear()
                begun = time.monotonic()
                floor.create_bare(operations)
                bare.append(time.monotonic() - begun)
                floor.clear()
                ours.append(subject.start() - interpreter())
                subject.stop()
                adopting.append(subject.start() - interpreter())
                subject.stop()
            subject.start()
        least = median(bare)
        yield Row(count, f"floor: {len(operations)} operations", {"s": least})
        yield Row(count, "vdsprovd, restore", {"s": median(ours), "ratio to the floor": median(ours) / least})
        yield Row(count, "vdsprovd, adopting what is there", {"s": median(adopting)})
