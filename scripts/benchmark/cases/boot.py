"""A start of the daemon: with a lost kernel configuration, and with one that is there already."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmark import floor
from benchmark.figures import Row, ratio, several, tell
from benchmark.subject import Daemon, daemon

AIM = (
    "restore at most 1.3 times the bare operations one after the other, and a hundredth of targetctl's at 400; "
    "adopting at most 1.5 times a walk"
)
COUNTS = (100,)
LONG = (400, 1000, 10000)
PLOT = "ms a LUN"
ROUNDS = {400: 9, 1000: 9, 10000: 7}
"""Where the ratio is one of moments, which what else the machine does would make a figure of chance; three with other numbers."""
SLOW = 10.0
"""Seconds of the floor from which on one round is enough: moments do not matter there, and one takes minutes."""
TARGETCTL_MAX = 400
"""As many LUNs targetctl restores in half a minute; with more the others would wait for it."""


def measure(counts: Sequence[int]) -> Iterator[Row]:
    """From when the code is loaded to a daemon that serves; also with 1 in 100 files missing."""
    for count in counts:
        with daemon(count) as subject:
            operations = floor.described(subject.folder)
            owed = floor.described(subject.folder, named=True)
            subject.stop()
            theirs = _targetctl(subject.folder / "saveconfig.json") if count <= TARGETCTL_MAX else None
            bare, dutiful, walk, ours, lacking, adopting = [], [], [], [], [], []
            rounds = ROUNDS.get(count, 3)
            for round in range(rounds):
                tell(f"{count} LUNs: round {round + 1} of {rounds} at most")
                floor.clear()
                begun = time.monotonic()
                floor.create_bare(operations)
                bare.append(time.monotonic() - begun)
                floor.clear()
                begun = time.monotonic()
                floor.check(subject.folder)
                floor.create_bare(owed)
                dutiful.append(time.monotonic() - begun)
                begun = time.monotonic()
                floor.walk(subject.folder)
                walk.append(time.monotonic() - begun)
                floor.clear()
                ours.append(subject.start())
                subject.stop()
                adopting.append(subject.start())
                subject.stop()
                floor.clear()
                lacking.append(_lacking(subject))
                if bare[0] > SLOW:
                    break
            subject.start()
        yield Row(count, "floor: the bare operations", {"operations": len(operations), **_figures(count, bare)})
        for contender, seconds in (
            ("the floor and what is owed", dutiful),
            ("vdsprovd, restore", ours),
            ("vdsprovd, restore with 1 in 100 missing", lacking),
            *((("targetctl restore", [theirs]),) if theirs is not None else ()),
        ):
            yield Row(count, contender, _figures(count, seconds, bare))
        yield Row(count, "floor: a walk of what is there", _figures(count, walk))
        yield Row(count, "vdsprovd, adopting what is there", _figures(count, adopting, walk))


def _figures(count: int, seconds: Sequence[float], least: Sequence[float] = ()) -> dict[str, float]:
    found = several(seconds)
    beside = {"ratio to the floor": ratio(seconds, least)} if least else {}
    return {**found, PLOT: found["s"] / count * 1000, **beside}


def _targetctl(file: Path) -> float:
    """The seconds that targetctl takes to restore what is there."""
    tell("targetctl saves and restores")
    subprocess.run(["targetctl", "save", file], check=True)
    before = floor.present()
    floor.clear()
    begun = time.monotonic()
    subprocess.run(["targetctl", "restore", file], check=True)
    took = time.monotonic() - begun
    after = floor.present()
    floor.clear()
    if len(after) < len(before):
        raise AssertionError(f"targetctl restored {len(after)} of {len(before)} objects")
    return took


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
