"""A start of the daemon."""

import time
from statistics import median

from benchmark import floor
from benchmark.subject import daemon, interpreter


def measure(count: int) -> dict[str, object]:
    """From a lost kernel configuration to a daemon that serves, beside the bare operations."""
    with daemon(count) as subject:
        operations = floor.described(subject.folder)
        subject.stop()
        bare, ours, adopting, start = [], [], [], []
        for _ in range(3):
            floor.clear()
            begun = time.monotonic()
            floor.create_bare(operations)
            bare.append(time.monotonic() - begun)
            floor.clear()
            start.append(interpreter())
            ours.append(subject.start() - start[-1])
            subject.stop()
            adopting.append(subject.start() - interpreter())
            subject.stop()
        subject.start()
    least = median(bare)
    return {
        "bare operations": len(operations),
        "bare, s": round(least, 2),
        "restore, s": round(median(ours), 2),
        "restore / bare": round(median(ours) / least, 2),
        "adopting, s": round(median(adopting), 2),
        "interpreter, s": round(median(start), 2),
    }
