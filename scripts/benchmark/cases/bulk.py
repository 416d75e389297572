"""Many LUNs at once: targets x LUNs in each x initiators that see each."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import median

from benchmark import floor
from benchmark.contenders import Contender, Cost, Work
from benchmark.contenders.daemon import Vdsprovd
from benchmark.contenders.service import Service, ServiceAtOnce
from benchmark.contenders.store import Rows
from benchmark.contenders.worker import Worker
from benchmark.disk import disk
from benchmark.figures import Row, ratio, several, tell
from benchmark.subject import daemon

AIM = "at most 1.5 times the floor; at least 50 times faster than rtslib for 400 LUNs"
COUNTS = (100,)
LONG = (400, 1000, 4000, 10000)
PLOT = ""

PATIENCE = 300
"""Seconds that a contender has. One that needs more, or would in proportion, is not asked for more LUNs."""

_ROUNDS = ((10.0, 1), (1.0, 3), (0.0, 15))
"""How often who needs more seconds than that is measured: what takes a moment is told from what else the machine does only by
the middle of many. The short form takes three where the long one takes fifteen."""


def shapes(count: int) -> Iterator[tuple[int, int, int]]:
    """For 1,000 those that the aim is for, and fewer in proportion: 1 x 1,000 x 1, 256 x 1 x 1, 64 x 8 x 1, 1 x 100 x 32."""
    yield 1, count, 1
    yield max(1, count * 256 // 1000), 1, 1
    yield max(1, count * 64 // 1000), 8, 1
    yield 1, max(1, count // 10), 32


def measure(counts: Sequence[int]) -> Iterator[Row]:
    """Each contender begins with a kernel that has nothing, and makes the targets, too. All have their turn before anybody
    has the next one, those who take a moment right after the floor: the machine is another one some seconds later."""
    took: dict[tuple[int, str], float] = {}
    """Seconds for each LUN that was asked for, by the place of the shape and the contender."""
    contenders: dict[str, Callable[[Work], Cost | None]] = {
        **_by_name(Worker("floor", "bare"), Worker("the floor and what is owed", "owed")),
        "vdsprovd at once": partial(_ours, at_once=True),
        **_by_name(ServiceAtOnce(), Rows(), Service(), Worker("rtslib, nothing saved", "rtslib")),
        "vdsprovd": _ours,
    }
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
            found: dict[str, list[Cost]] = {
                name: [] for name in contenders if took.get((place, name), 0.0) * count <= PATIENCE
            }
            most = max(rounds for _, rounds in _ROUNDS) if count in LONG else 3
            for round in range(most):
                tell(f"{shape}: round {round + 1} of {most} at most")
                for name, costs in found.items():
                    if (not round or (costs and round < _rounds(costs[0]))) and (cost := contenders[name](work)):
                        costs.append(cost)
            for name, costs in found.items():
                took[place, name] = median(cost.total for cost in costs) / count if costs else PATIENCE
                yield _row(count, f"{name}, {shape}", costs, found["floor"])


def _by_name(*contenders: Contender) -> dict[str, Callable[[Work], Cost | None]]:
    return {contender.name: partial(_others, contender) for contender in contenders}


def _rounds(first: Cost) -> int:
    return next(rounds for seconds, rounds in _ROUNDS if first.total > seconds)


def _ours(work: Work, *, at_once: bool = False) -> Cost | None:
    with daemon(0) as subject:
        ours = Vdsprovd(subject)
        return ours.do_at_once(work) if at_once else ours.do(work, PATIENCE)


def _others(contender: Contender, work: Work) -> Cost | None:
    floor.clear()
    with disk() as folder:
        try:
            return contender.do(Work(**{**work.as_json(), "folder": str(folder)}), PATIENCE)
        except TimeoutError:
            return None
        finally:
            floor.clear()


def _row(count: int, name: str, costs: Sequence[Cost], floors: Sequence[Cost]) -> Row:
    if not costs:
        return Row(count, name, {"s": f"over {PATIENCE}"})
    figures = several([cost.total for cost in costs])
    rest = {
        "ratio to the floor": ratio([cost.total for cost in costs], [cost.total for cost in floors]),
        "processor, s": median(cost.processor for cost in costs),
        "peak memory, MiB": max(cost.peak for cost in costs),
    }
    return Row(count, name, figures | rest)
