"""What vdsprovd costs beside the bare operations of the kernel, as ratios in one run: the short form of scripts/bench.

The limits are 1.4 times what was measured beside busy loops, or more; they are to be lowered as the ratios fall.
"""

import sys
from pathlib import Path
from statistics import median

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from benchmark.cases import boot, bulk, churn, create, notice, reads_during_create, reenumerate, syscalls
from benchmark.contenders.worker import Worker
from benchmark.figures import Row

pytestmark = pytest.mark.lab


def figures(rows: list[Row], luns: int, contender: str, name: str) -> float:
    """A figure of one contender with so many LUNs."""
    (row,) = (row for row in rows if row.luns == luns and row.contender == contender)
    value = row.figures[name]
    assert isinstance(value, float | int)
    return value


def test_creating_a_lun_costs_a_multiple_of_the_floor_that_does_not_grow() -> None:
    """Time, with few LUNs and with more, beside the floor and rtslib, in the middle one of three runs: beside busy neighbours
    one had 4.4 times as much with 40 LUNs as with 5, the others 0.9 to 2.4."""
    runs = [list(create.measure([5, 40], [Worker("rtslib", "rtslib", luns=5)])) for _ in range(3)]

    def middle(luns: int, contender: str) -> float:
        return median(figures(rows, luns, contender, "ratio to the floor") for rows in runs)

    few, more = (middle(luns, "vdsprovd") for luns in (5, 40))
    assert max(few, more) < 50
    assert more < 3 * few
    assert middle(40, "rtslib") > 2


def test_creating_a_lun_takes_as_many_system_calls_with_many_as_with_few() -> None:
    """System calls are a matter of the program, not of what else the machine does; waits of its threads are not counted."""
    rows = list(syscalls.measure([5, 40], {"floor": "bare"}))
    few, more = (figures(rows, luns, "vdsprovd", "system calls") for luns in (5, 40))
    assert more < 1.5 * few
    assert more < 16 * figures(rows, 40, "floor", "system calls")


def test_bulk_costs_a_multiple_of_the_floor() -> None:
    """One target, many targets, several LUNs in each, many initiators; one by one, and with a call for all."""
    rows = list(bulk.measure([16]))
    ratios = {row.contender: figures([row], 16, row.contender, "ratio to the floor") for row in rows}
    for contender, most in (("vdsprovd, ", 50), ("vdsprovd at once, ", 16)):
        found = [ratio for name, ratio in ratios.items() if name.startswith(contender)]
        assert len(found) == 4
        assert max(found) < most


def test_reads_go_on_while_luns_are_created() -> None:
    """The 99th percentile, beside that of a daemon that does nothing else."""
    rows = list(reads_during_create.measure([30]))
    for how in ("one by one", "at once"):
        assert figures(rows, 30, f"while 30 LUNs are created {how}", "p99 to p99") < 30


def test_a_start_costs_a_multiple_of_the_floor() -> None:
    """With a lost configuration and with one that is there; so few LUNs that most of it is what any start takes."""
    rows = list(boot.measure([60]))
    for name in ("vdsprovd, restore", "vdsprovd, restore with 1 in 100 missing", "vdsprovd, adopting what is there"):
        assert figures(rows, 60, name, "ratio to the floor") < 60
    restored, theirs = (figures(rows, 60, name, "s") for name in ("vdsprovd, restore", "targetctl restore"))
    assert 3 * restored < theirs


def test_looking_at_everything_costs_little_more_than_a_walk() -> None:
    """A recovery of the cache, which reads all that an audit reads, and who asks for something meanwhile."""
    rows = list(reenumerate.measure([60]))
    assert figures(rows, 60, "vdsprovd", "ratio to the floor") < 10
    assert figures(rows, 60, "queries meanwhile", "p99 to p99") < 30


def test_what_others_change_is_noticed_soon() -> None:
    """Within the second that is aimed at, and twice that on a busy machine."""
    assert figures(list(notice.measure([60])), 60, "vdsprovd", "median, s") < 2


def test_what_comes_and_goes_leaves_nothing_behind() -> None:
    """Descriptors, configfs and the pool are as they were after the first cycles."""
    first, *_, last = churn.measure([40])
    for name in ("descriptors", "folders in configfs", "files in the pool"):
        assert first.figures[name] == last.figures[name]
    assert float(last.figures["memory, MiB"]) < 1.2 * float(first.figures["memory, MiB"])
