"""A start of the daemon."""

import time
from statistics import median

from benchmark import floor
from benchmark.subject import Daemon, daemon, interpreter

ROUNDS = 3


def measure(count: int) -> dict[str, object]:
    """From a lost kernel configuration to a daemon that serves, beside the bare operations; and the same with 1 in 100
    files missing. A start that finds all as it should be, beside a walk."""
    with daemon(count) as subject:
        operations = floor.described(subject.folder)
        subject.stop()
        bare, walk, ours, lacking, adopting, start = [], [], [], [], [], []
        for _ in range(ROUNDS):
            floor.clear()
            begun = time.monotonic()
            floor.create_bare(operations)
            bare.append(time.monotonic() - begun)
            begun = time.monotonic()
            floor.walk(subject.folder)
            walk.append(time.monotonic() - begun)
            floor.clear()
            start.append(interpreter())
            ours.append(subject.start() - start[-1])
            subject.stop()
            adopting.append(subject.start() - start[-1])
            subject.stop()
            floor.clear()
            lacking.append(_lacking(subject) - start[-1])
        subject.start()
    least, read = median(bare), median(walk)
    return {
        "bare operations": len(operations),
        "bare, s": round(least, 2),
        "restore, s": round(median(ours), 2),
        "restore / bare": round(median(ours) / least, 2),
        "restore with 1 in 100 missing, s": round(median(lacking), 2),
        "restore with 1 in 100 missing / bare": round(median(lacking) / least, 2),
        "walk, s": round(read, 2),
        "adopting, s": round(median(adopting), 2),
        "adopting / walk": round(median(adopting) / read, 2),
        "interpreter, s": round(median(start), 2),
    }


def _lacking(subject: Daemon) -> float:
    """The seconds that a start takes while 1 in 100 files are elsewhere."""
    files = sorted((subject.folder / "pool").iterdir())[::100]
    moved = [file.rename(subject.folder / file.name) for file in files]
    took = subject.start()
    offline = sum(lun["status"] == "offline" for lun in _luns(subject))
    subject.stop()
    for file in moved:
        file.rename(subject.folder / "pool" / file.name)
    if offline != len(moved):
        raise AssertionError(f"{offline} LUNs are offline, and {len(moved)} files are missing")
    return took


def _luns(subject: Daemon) -> list[dict[str, object]]:
    (sub_system,) = subject.call("HwProvider.QuerySubSystems")["subSystems"]
    return list(subject.call("SubSystem.QueryLuns", id=sub_system["id"])["luns"])
