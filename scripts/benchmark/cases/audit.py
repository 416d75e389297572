"""An audit while nothing happens."""

import time
from statistics import median

from benchmark import floor
from benchmark.subject import AUDIT, daemon


def measure(count: int) -> dict[str, object]:
    """What an audit costs the processor, beside a bare walk of the same attributes."""
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
    return {
        "attributes": attributes,
        "idle, share of a core": round(used[AUDIT], 5),
        "one audit, s of processor": round(cost, 3),
        "bare walk, s of processor": round(least, 3),
        "audit / walk": round(cost / least, 2),
        f"share of a core at one audit in {AUDIT} s": round(cost / AUDIT, 5),
    }
