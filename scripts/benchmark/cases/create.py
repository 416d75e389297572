"""Create, unmask and associate one LUN, so that it lasts, with N others present."""

import shutil
from collections.abc import Iterator, Sequence
from statistics import median

from benchmark import floor
from benchmark.contenders import Contender, Cost, Work
from benchmark.contenders.daemon import Vdsprovd
from benchmark.contenders.service import Service
from benchmark.contenders.targetcli import Batch, OneShot, Targetclid
from benchmark.contenders.worker import Worker
from benchmark.figures import Row, spread, tell
from benchmark.subject import INITIATOR, TARGET, Daemon, daemon

AIM = "at most 1.5 times the floor, whatever N"
COUNTS = (10, 100, 400)
LONG = (10, 100, 1000, 4000, 10000)
PLOT = "median, ms"

PATIENCE = 60
"""Seconds that a contender has for its LUNs. One that needs more is not asked where there are more LUNs."""

BARE = Worker("floor", "bare", luns=100)


def others() -> list[Contender]:
    """All contenders but the floor and vdsprovd."""
    return [
        Service(),
        Worker("rtslib, nothing saved", "rtslib"),
        Worker("rtslib, saved", "rtslib_saved", luns=3),
        OneShot(),
        Batch(),
        Targetclid(),
    ]


def measure(counts: Sequence[int], contenders: Sequence[Contender] | None = None) -> Iterator[Row]:
    """All contenders add LUNs to the same target, whose N LUNs are vdsprovd's: it is stopped while the others work."""
    left = {contender.name: contender for contender in (others() if contenders is None else contenders)}
    took: dict[str, float] = {}
    """Seconds for each LUN that there was."""
    with daemon(0) as subject:
        for count in counts:
            subject.make(count)
            subject.stop()
            least = _floor(subject)
            theirs: list[tuple[str, Cost]] = []
            gone = []
            for name, contender in list(left.items()):
                # What nobody here does faster than in proportion to N is not tried where that would be too long.
                if took.get(name, 0) * count > PATIENCE:
                    gone.append(Row(count, name, {PLOT: f"not tried: over {PATIENCE} s for {contender.luns}"}))
                elif cost := _others(subject, contender):
                    theirs.append((name, cost))
                    took[name] = cost.total / count
                else:
                    gone.append(Row(count, name, {PLOT: f"over {PATIENCE} s for {contender.luns}"}))
            # Before the others and after them: what else the machine does is to fall on all of them.
            least = _sum(least, _floor(subject))
            subject.start()
            subject.settle()
            mine = Vdsprovd(subject).do(_work(subject, "", Vdsprovd.luns), PATIENCE)
            subject.luns += Vdsprovd.luns
            together = Vdsprovd(subject).do(_work(subject, "", Vdsprovd.luns), PATIENCE, in_one_call=True)
            subject.luns += Vdsprovd.luns
            for name, cost in [("floor", least), ("vdsprovd", mine), ("vdsprovd, in one call", together), *theirs]:
                yield _row(count, name, cost, least)
            for row in gone:
                yield row
                del left[row.contender]


def _floor(subject: Daemon) -> Cost:
    cost = _others(subject, BARE)
    assert cost
    return cost


def _sum(one: Cost, other: Cost) -> Cost:
    return Cost(
        one.seconds + other.seconds, one.total + other.total, one.processor + other.processor, max(one.peak, other.peak)
    )


def _others(subject: Daemon, contender: Contender) -> Cost | None:
    """What it takes somebody else to add some LUNs, which are gone then; None where it takes too long."""
    folder = subject.folder / "others"
    folder.mkdir()
    before = floor.present()
    tell(f"{subject.luns} LUNs: {contender.name}")
    try:
        return contender.do(_work(subject, str(folder), contender.luns), PATIENCE)
    except TimeoutError:
        return None
    finally:
        floor.clear(before)
        shutil.rmtree(folder)


def _work(subject: Daemon, folder: str, luns: int) -> Work:
    return Work(folder, (TARGET,), luns, (INITIATOR,), first=subject.luns)


def _row(count: int, name: str, cost: Cost, least: Cost) -> Row:
    figures = {
        **spread(cost.seconds),
        "ratio to the floor": median(cost.seconds) / median(least.seconds),
        "processor, ms": cost.processor / len(cost.seconds) * 1000,
        "peak memory, MiB": cost.peak,
    }
    return Row(count, name, figures)
