"""LVM pools: exact, in order, zeroed, all or nothing, and blind to the volumes of others."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.arrays import MIB, run
from tests.lab.volume_group import VolumeGroup, volume_group
from vdsprovd.hardware import (
    Condition,
    Layout,
    NoSpace,
)
from vdsprovd.hardware.pools.lvm import LvmPool, plan
from vdsprovd.model import Health, LunType

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

LUN = "c12ffd43-6b2e-4a4e-8d2c-6a5ce7a5c8a1"
OTHER_LUN = "1c5c3a60-9d0e-4d56-9a75-0f3f7e1c1b11"


def ignore(percent: int) -> None:
    """Progress that nobody looks at."""


@pytest.fixture(scope="module")
def drives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VolumeGroup]:
    """Six drives of 24, 20, 20, 16, 16 and 12 extents of a MiB, and a spare one of 24."""
    with volume_group(tmp_path_factory.mktemp("drives"), (24, 20, 20, 16, 16, 12), spare=(24,)) as found:
        yield found


@pytest.fixture
def group(drives: VolumeGroup) -> VolumeGroup:
    """An empty volume group on them."""
    drives.clear()
    return drives


@pytest.fixture
def pool(group: VolumeGroup) -> LvmPool:
    """The pool on them."""
    return LvmPool(group.name)


def content(pool: LvmPool, lun: str = LUN) -> bytes:
    """All bytes of the volume."""
    run("blockdev", "--flushbufs", pool.path(lun))
    return Path(pool.path(lun)).read_bytes()


def scribble(pool: LvmPool, lun: str = LUN, byte: bytes = b"x") -> None:
    """Write all bytes of the volume."""
    size = pool.probe(lun).size
    with Path(pool.path(lun)).open("r+b") as file:
        file.write(byte * size)


def lies_on(pool: LvmPool, lun: str = LUN) -> list[tuple[str, int]]:
    """The drives of the volume's only leg and how many extents it has on each, in order."""
    (leg,) = pool.probe(lun).legs
    return [(extent.drive, extent.size // MIB) for extent in leg.extents]


PARITY_IS_RAID5 = [type for type in plan.SHAPES if type is not LunType.PARITY]


@pytest.mark.parametrize("type", PARITY_IS_RAID5)
def test_each_type(pool: LvmPool, type: LunType) -> None:
    """A volume of each type reads as zeros on drives full of junk, tells how it lies, grows, shrinks and goes."""
    pool.create(LUN, 5 * MIB, Layout(type), ignore)
    state = pool.probe(LUN)
    shape = plan.SHAPES[type]
    assert (state.condition, state.health, state.synced) == (Condition.GOOD, Health.HEALTHY, None)
    # The drives are roomy enough for the widest that six drives allow.
    columns = (6 - shape.parity) // shape.copies if shape.striped else 1
    size = -(-5 // columns) * columns * MIB
    assert (state.size, state.columns) == (size, columns)
    assert state.stripe_size == (64 << 10 if shape.striped else 0)
    assert [leg.health for leg in state.legs] == [Health.HEALTHY] * (2 if type is LunType.MIRROR else 1)
    assert content(pool) == bytes(size)
    assert pool.volumes() == {LUN}
    scribble(pool)
    pool.resize(LUN, size + 3 * MIB, (), ignore)
    grown = pool.probe(LUN).size
    assert size + 3 * MIB <= grown < size + (3 + columns) * MIB
    assert content(pool) == b"x" * size + bytes(grown - size)
    pool.resize(LUN, columns * MIB, (), ignore)
    assert pool.probe(LUN).size == columns * MIB
    pool.resize(LUN, 2 * columns * MIB, (), ignore)
    assert content(pool) == b"x" * columns * MIB + bytes(columns * MIB)
    pool.delete(LUN)
    assert pool.volumes() == set()
    assert pool.space().free == pool.space().total == 108 * MIB
    pool.delete(LUN)


@pytest.mark.parametrize("type", PARITY_IS_RAID5)
def test_largest_and_growth_are_exact(group: VolumeGroup, pool: LvmPool, type: LunType) -> None:
    """What is said to fit fits, on drives whose room is in pieces, and not an extent more."""
    for number, drive in enumerate(group.drives):
        hole = f"{drive.node}:{3 + number}-{3 + number}"
        group.lvm("lvcreate", "-y", "-Wn", "-Zn", "-l1", "-n", f"hole{number}", group.name, hole)
    largest = pool.largest(Layout(type))
    with pytest.raises(NoSpace):
        pool.create(LUN, largest + MIB, Layout(type), ignore)
    assert pool.volumes() == set()
    pool.create(LUN, largest, Layout(type), ignore)
    state = pool.probe(LUN)
    assert (state.size, state.condition) == (largest, Condition.GOOD)
    assert content(pool) == bytes(largest)
    if plan.SHAPES[type].own + plan.SHAPES[type].striped:
        assert pool.largest(Layout(type, columns=state.columns)) < largest
    pool.resize(LUN, state.columns * MIB, (), ignore)
    scribble(pool)
    before, growth = pool.probe(LUN).size, pool.growth(LUN)
    assert growth >= largest - before
    with pytest.raises(NoSpace):
        pool.resize(LUN, before + growth + MIB, (), ignore)
    assert pool.probe(LUN).size == before
    pool.resize(LUN, before + growth, (), ignore)
    state = pool.probe(LUN)
    assert (state.size, state.condition) == (before + growth, Condition.GOOD)
    assert content(pool) == b"x" * before + bytes(growth)
    assert pool.growth(LUN) == 0
