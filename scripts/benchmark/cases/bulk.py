"""Many LUNs at once: targets x LUNs in each x initiators that see each."""

from collections.abc import Iterator, Sequence

from benchmark import floor
from benchmark.contenders import Contender, Cost, Work
from benchmark.contenders.daemon import Vdsprovd
from benchmark.contenders.service import Service
from benchmark.contenders.worker import Worker
from benchmark.disk import disk
from benchmark.figures import Row, tell
from benchmark.subject import daemon

AIM = "at most 1.5 times the floor; at least 50 times faster than rtslib for 400 LUNs"
COUNTS = (100,)
LONG = (400, 1000, 4000, 10000)
PLOT = ""

PATIENCE = 300
"""Seconds that a contender has. One that needs more, or would in proportion, is not asked for more LUNs."""


def shapes(count: int) -> Iterator[tuple[int, int, int]]:
    """For 1,000 those that the aim is for, and fewer in proportion: 1 x 1,000 x 1, 256 x 1 x 1, 64 x 8 x 1, 1 x 100 x 32."""
    yield 1, count, 1
    yield max(1, count * 256 // 1000), 1, 1
    yield max(1, count * 64 // 1000), 8, 1
    yield 1, max(1, count // 10), 32


def measure(counts: Sequence[int]) -> Iterator[Row]:
    """Each contender begins with a kernel that has nothing, and makes the targets, too."""
    took: dict[tuple[int, str], float] = {}
    """Seconds for each LUN that was asked for, by the place of the shape and the contender."""
    for count in counts:
        for place, (targets, luns, initiators) in enumerate(shapes(count)):
            work = Work(
                folder="",
                targets=tuple(f"iqn.2026-11.org.example:bulk{number}" for number in range(targets)),
                luns=luns,
                initiators=tuple(f"iqn.2026-11.org.example:host{number}" for number in range(initiators)),
                new_targets=True,
            )
            shape = f"{targets} x {luns} x {initiators}"
            tell(shape)
            least = _others(Worker("floor", "bare"), work)
            assert least
            yield _row(count, shape, "floor", least, least)
            others = Worker("the floor and what is owed", "owed"), Service(), Worker("rtslib, nothing saved", "rtslib")
            for contender in others:
                if took.get((place, contender.name), 0.0) * count > PATIENCE:
                    continue
                cost = _others(contender, work)
                took[place, contender.name] = cost.total / count if cost else PATIENCE
                yield _row(count, shape, contender.name, cost, least)
            with daemon(0) as subject:
                yield _row(count, shape, "vdsprovd", Vdsprovd(subject).do(work, PATIENCE), least)
            with daemon(0) as subject:
                yield _row(count, shape, "vdsprovd at once", Vdsprovd(subject).do_at_once(work), least)


def _others(contender: Contender, work: Work) -> Cost | None:
    floor.clear()
    with disk() as folder:
        try:
            return contender.do(Work(**{**work.as_json(), "folder": str(folder)}), PATIENCE)
        except TimeoutError:
            return None
        finally:
            floor.clear()


def _row(count: int, shape: str, name: str, cost: Cost | None, least: Cost) -> Row:
    if cost is None:
        return Row(count, f"{name}, {shape}", {"s": f"over {PATIENCE}"})
    figures = {
        "s": cost.total,
        "ratio to the floor": cost.total / least.total,
        "processor, s": cost.processor,
        "peak memory, MiB": cost.peak,
    }
    return Row(count, f"{name}, {shape}", figures)
