"""LVM pools: exact, in order, zeroed, all or nothing, and blind to the volumes of others."""

import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.arrays import MIB, run
from tests.lab.volume_group import TestDrive, VolumeGroup, volume_group
from vdsprovd.hardware import (
    OTHER,
    Cancelled,
    Condition,
    Layout,
    Mismatch,
    NoDrives,
    NoSpace,
    Refused,
    Unsupported,
    VolumeFailed,
    VolumeState,
)
from vdsprovd.hardware.pools.lvm import LvmPool, command, plan, report
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


# Half a minute each; RAID 4 and 5 are as RAID 6.
@pytest.mark.parametrize("type", [type for type in PARITY_IS_RAID5 if type not in (LunType.RAID4, LunType.RAID5)])
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


def test_drives_are_used_in_the_order_given(group: VolumeGroup, pool: LvmPool) -> None:
    """Each is exhausted before the next, also when a volume grows, and then any other; a RAID takes those given."""
    a, b, c, d, e, _ = nodes = [drive.device for drive in group.drives]
    pool.create(LUN, 40 * MIB, Layout(LunType.SPAN, (e, b, d)), ignore)
    assert lies_on(pool) == [(e, 16), (b, 20), (d, 4)]
    pool.resize(LUN, 60 * MIB, (f"/dev/mapper/{Path(group.drives[2].node).name}",), ignore)
    assert lies_on(pool) == [(e, 16), (b, 20), (d, 4), (c, 20)]
    with pytest.raises(NoSpace):
        pool.resize(LUN, 109 * MIB, (a,), ignore)
    assert pool.growth(LUN, (a,)) == 24 * MIB
    pool.resize(LUN, 90 * MIB, (a,), ignore)
    # Then on the drive where it was, then on others.
    assert lies_on(pool) == [(e, 16), (b, 20), (d, 4), (c, 20), (a, 24), (d, 6)]
    pool.delete(LUN)
    pool.create(LUN, 18 * MIB, Layout(LunType.SIMPLE, (d, c, b)), ignore)
    assert lies_on(pool) == [(c, 18)]
    assert pool.growth(LUN) == pool.growth(LUN, (c, a)) == 2 * MIB
    assert pool.growth(LUN, (a,)) == 0
    with pytest.raises(NoSpace):
        pool.resize(LUN, 21 * MIB, (a,), ignore)
    pool.create(OTHER_LUN, 4 * MIB, Layout(LunType.STRIPE, (b, d), stripe_size=256 << 10), ignore)
    assert sorted(lies_on(pool, OTHER_LUN)) == sorted([(b, 2), (d, 2)])
    assert pool.probe(OTHER_LUN).stripe_size == 256 << 10
    pool.resize(OTHER_LUN, 8 * MIB, (a, e), ignore)
    assert sorted(lies_on(pool, OTHER_LUN)) == sorted([(b, 2), (d, 2), (a, 2), (e, 2)])
    pool.delete(OTHER_LUN)
    pool.create(OTHER_LUN, 4 * MIB, Layout(LunType.MIRROR, (d, b, a)), ignore)
    assert {leg.extents[0].drive for leg in pool.probe(OTHER_LUN).legs} == {d, b}
    owners = {(extent.drive, extent.lun): extent.size for extent in pool.extents() if extent.lun}
    assert owners[c, LUN] == 18 * MIB
    assert {drive for drive, lun in owners if lun == OTHER_LUN} == {d, b}
    assert sum(extent.size for extent in pool.extents()) == pool.space().total == 108 * MIB
    assert [(member.node, member.size // MIB) for member in pool.members()] == list(
        zip(nodes, (24, 20, 20, 16, 16, 12), strict=True)
    )
    assert sum(member.free for member in pool.members()) == pool.space().free == (108 - 18 - 10) * MIB


def test_what_cannot_be(group: VolumeGroup, pool: LvmPool) -> None:
    """Layouts that no group has, that this one has too few drives for, and drives that cannot be used."""
    a, b, c = (drive.device for drive in group.drives[:3])
    for layout in (
        Layout(LunType.RAID60),
        Layout(LunType.STRIPE, columns=1),
        Layout(LunType.STRIPE, stripe_size=3 << 12),
        Layout(LunType.STRIPE, stripe_size=2048),
        Layout(LunType.RAID5, stripe_size=2 * MIB),
        Layout(LunType.RAID5, columns=64),
    ):
        with pytest.raises(Unsupported):
            pool.create(LUN, MIB, layout, ignore)
        with pytest.raises(Unsupported):
            pool.largest(layout)
    pool.allow(b, False)
    assert [member.allocatable for member in pool.members()] == [True, False, True, True, True, True]
    for layout in (
        Layout(LunType.RAID6, columns=5),
        Layout(LunType.RAID5, (a, c)),
        Layout(LunType.MIRROR, (c,)),
        Layout(LunType.RAID10, columns=3),
        Layout(LunType.SIMPLE, (b,)),
        Layout(LunType.SIMPLE, (group.spare[0].device,)),
    ):
        with pytest.raises(NoDrives):
            pool.create(LUN, MIB, layout, ignore)
        with pytest.raises(NoDrives):
            pool.largest(layout)
    pool.allow(b, True)
    pool.allow(b, True)
    pool.create(LUN, MIB, Layout(LunType.RAID6, columns=4), ignore)
    assert pool.probe(LUN).columns == 4
    with pytest.raises(Mismatch):
        pool.create(LUN, MIB, Layout(), ignore)
    with pytest.raises(Mismatch):
        pool.resize(OTHER_LUN, MIB, (), ignore)
    with pytest.raises(Mismatch):
        pool.allow("/dev/null", True)
    with pytest.raises(ValueError, match="no id of an object"):
        pool.path("../../etc/passwd")
    assert pool.probe(OTHER_LUN).condition is Condition.MISSING
    with pytest.raises(VolumeFailed, match='Volume group "none" not found'):
        LvmPool("none").space()


def test_volumes_of_others(group: VolumeGroup, pool: LvmPool) -> None:
    """One without our tag is never touched, whatever its name; its extents are somebody else's."""
    group.lvm("lvcreate", "-y", "-Wn", "-l2", "-n", LUN, group.name)
    Path(pool.path(LUN)).write_bytes(b"y" * 2 * MIB)
    assert pool.volumes() == set()
    assert pool.probe(LUN).condition is Condition.MISSING
    assert "no tag" in pool.probe(LUN).reason
    acts: list[Callable[[], object]] = [
        lambda: pool.delete(LUN),
        lambda: pool.create(LUN, MIB, Layout(), ignore),
        lambda: pool.resize(LUN, MIB, (), ignore),
        lambda: pool.add_leg(LUN, (), ignore),
        lambda: pool.remove_leg(LUN, 0, ignore),
        lambda: pool.repair(LUN, ignore),
        lambda: pool.growth(LUN),
    ]
    for act in acts:
        with pytest.raises(Mismatch):
            act()
    assert content(pool) == b"y" * 2 * MIB
    assert [extent.size for extent in pool.extents() if extent.lun == OTHER] == [2 * MIB]


@pytest.mark.parametrize("type", [LunType.SPAN, LunType.RAID5])
def test_cancelling_and_running_full_leave_nothing(
    group: VolumeGroup, pool: LvmPool, monkeypatch: pytest.MonkeyPatch, type: LunType
) -> None:
    """Work that is cancelled, or that fails, in the middle leaves no volume, or the old size."""
    monkeypatch.setattr("vdsprovd.hardware.pools.lvm.CHUNK", 4 * MIB)
    seen: list[int] = []

    def cancel(percent: int) -> None:
        seen.append(percent)
        if percent > 20:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        pool.create(LUN, 40 * MIB, Layout(type), cancel)
    assert seen == sorted(seen)
    assert len(seen) > 2
    assert group.names() == set()
    pool.create(LUN, 4 * MIB, Layout(type), ignore)
    scribble(pool)
    kept, names = content(pool), group.names()
    with pytest.raises(Cancelled):
        pool.resize(LUN, 40 * MIB, (), cancel)
    with pytest.raises(NoSpace):
        pool.resize(LUN, 400 * MIB, (), ignore)
    with pytest.raises(NoSpace):
        pool.create(OTHER_LUN, 400 * MIB, Layout(type), ignore)
    assert content(pool) == kept
    assert group.names() == names
    # A drive of which the data fails: the zeros cannot be written.
    last = max(pool.members(), key=lambda member: member.free).node
    (drive,) = (drive for drive in group.drives if drive.device == last)
    drive.fail_data()
    with pytest.raises(VolumeFailed):
        pool.create(OTHER_LUN, 20 * MIB, Layout(LunType.SIMPLE, (last,)), ignore)
    if type is LunType.SPAN:
        with pytest.raises(VolumeFailed):
            pool.resize(LUN, 8 * MIB, (last,), ignore)
    assert group.names() == names


def test_what_a_crash_leaves(group: VolumeGroup, pool: LvmPool) -> None:
    """A temporary volume counts as the LUN's; deleting, resizing or starting takes it away."""

    def crash() -> None:
        group.lvm("lvcreate", "-y", "-Wn", "-Zn", "-l2", "-n", f"{LUN}_new", "--addtag", "vdsprovd", group.name)
        assert pool.volumes() == {LUN}

    crash()
    pool.delete(LUN)
    assert group.names() == set()
    crash()
    pool.create(LUN, MIB, Layout(), ignore)
    assert group.names() == {LUN}
    crash()
    pool.resize(LUN, MIB, (), ignore)
    assert group.names() == {LUN}
    crash()
    pool.settle()
    assert group.names() == {LUN}
    # A drive that was taken out of the group and is labelled still.
    spare = group.spare[0]
    run("lvm", "pvcreate", "-ff", "--yes", spare.node)
    pool.release_drive(spare.node)
    assert run("lvm", "pvs", "--noheadings", spare.node, check=False) == ""
    # A volume that is not active, as after a boot that was cut off, is activated.
    group.lvm("lvchange", "-an", f"{group.name}/{LUN}")
    assert pool.survey([LUN, OTHER_LUN], [LUN])[LUN].condition is Condition.GOOD
    group.lvm("lvchange", "-an", f"{group.name}/{LUN}")
    pool.delete(LUN)
    assert group.names() == set()


def test_a_deleted_volume_is_wiped(group: VolumeGroup, pool: LvmPool) -> None:
    """The first and last MiB are zeros where the volume was; in use it is not deleted."""
    drive = group.drives[0]
    pool.create(LUN, 4 * MIB, Layout(drives=(drive.device,)), ignore)
    scribble(pool)
    with Path(pool.path(LUN)).open("rb"), pytest.raises(Refused, match="is in use"):
        pool.delete(LUN)
    # Refused is as if it had not been asked for.
    assert content(pool) == b"x" * 4 * MIB
    pool.delete(LUN)
    run("blockdev", "--flushbufs", drive.node)
    assert Path(drive.node).read_bytes()[MIB : 5 * MIB] == bytes(MIB) + b"x" * 2 * MIB + bytes(MIB)


def test_survey_is_one_look(group: VolumeGroup, pool: LvmPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many LUNs there are, their states cost one command."""
    luns = [f"00000000-0000-4000-8000-{number:012}" for number in range(5)]
    for lun in luns:
        pool.create(lun, MIB, Layout(), ignore)
    commands: list[tuple[str, ...]] = []
    real = command.start

    def counted(*arguments: str) -> command.Running:
        commands.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(command, "start", counted)
    states = pool.survey(luns)
    assert [state.condition for state in states.values()] == [Condition.GOOD] * 5
    assert len(commands) == 1
    assert "json" in commands[0]


def test_legs(group: VolumeGroup, pool: LvmPool) -> None:
    """A copy comes on the drives given, or on any but the volume's own; one that goes leaves the others in order."""
    a, b, c, d, e, f = (drive.device for drive in group.drives)
    pool.create(LUN, 14 * MIB, Layout(drives=(c,)), ignore)
    scribble(pool)

    def legs() -> list[set[str]]:
        return [{extent.drive for extent in leg.extents} for leg in pool.probe(LUN).legs]

    for drives in ((c,), (c, f)):
        with pytest.raises((NoDrives, NoSpace)):
            pool.add_leg(LUN, drives, ignore)
    group.drives[0].fail_data()
    with pytest.raises(VolumeFailed):
        pool.add_leg(LUN, (a,), ignore)
    group.drives[0].mend()
    assert legs() == [{c}]
    with pytest.raises(Unsupported):
        pool.remove_leg(LUN, 0, ignore)
    seen: list[int] = []
    group.drives[0].slow(50)
    pool.add_leg(LUN, (a,), seen.append)
    group.drives[0].mend()
    assert seen == sorted(seen)
    pool.add_leg(LUN, (), ignore)
    assert legs() == [{c}, {a}, {d}] or legs() == [{c}, {a}, {e}]
    third = legs()[2]
    pool.add_leg(LUN, (f, b), ignore)
    assert legs()[:3] == [{c}, {a}, third]
    assert legs()[3] == {b}  # alone it has the room
    state = pool.probe(LUN)
    assert (state.health, [leg.health for leg in state.legs]) == (Health.HEALTHY, [Health.HEALTHY] * 4)
    pool.remove_leg(LUN, 1, ignore)
    assert legs() == [{c}, third, {b}]
    pool.remove_leg(LUN, 0, ignore)
    assert legs() == [third, {b}]
    with pytest.raises(Mismatch):
        pool.remove_leg(LUN, 2, ignore)
    group.drives[5].slow(100)

    def cancel(percent: int) -> None:
        raise Cancelled("stop")

    pool.resize(LUN, 8 * MIB, (), ignore)
    with pytest.raises(Cancelled):
        pool.add_leg(LUN, (f,), cancel)
    group.drives[5].mend()
    assert legs() == [third, {b}]
    pool.remove_leg(LUN, 1, ignore)
    assert legs() == [third]
    assert content(pool) == b"x" * 8 * MIB
    pool.create(OTHER_LUN, 2 * MIB, Layout(LunType.STRIPE), ignore)
    with pytest.raises(Unsupported):
        pool.add_leg(OTHER_LUN, (), ignore)


def test_a_leg_needs_an_extent_beside_the_first(group: VolumeGroup, pool: LvmPool) -> None:
    """A mirror takes an extent of each drive for itself: on a full one there is none."""
    pool.create(LUN, 16 * MIB, Layout(drives=(group.drives[3].device,)), ignore)
    with pytest.raises(NoSpace, match="no free extent"):
        pool.add_leg(LUN, (), ignore)
    assert len(pool.probe(LUN).legs) == 1


@pytest.mark.parametrize("type", [LunType.MIRROR, LunType.RAID6])
def test_a_drive_that_is_lost(group: VolumeGroup, pool: LvmPool, type: LunType) -> None:
    """The volume is degraded and can be read; nothing else can be made; it is rebuilt on another drive."""
    drives = tuple(drive.device for drive in group.drives[: 2 if type is LunType.MIRROR else 5])
    pool.create(LUN, 6 * MIB, Layout(type, drives), ignore)
    pool.create(OTHER_LUN, 6 * MIB, Layout(drives=drives[1:2]), ignore)
    scribble(pool)
    kept = content(pool)
    lost = group.drives[1]
    if type is LunType.RAID6:
        pool.allow(group.drives[5].device, False)
    lost.fail()
    states = pool.survey([LUN, OTHER_LUN])
    assert (states[LUN].condition, states[LUN].health) == (Condition.GOOD, Health.DEGRADED)
    assert states[OTHER_LUN].condition is Condition.FAILED
    if type is LunType.MIRROR:
        assert sorted(leg.health.value for leg in states[LUN].legs) == ["failed", "healthy"]
    assert content(pool) == kept
    (member,) = (member for member in pool.members() if not member.node)
    assert not member.allocatable
    assert [extent.drive for extent in states[OTHER_LUN].legs[0].extents] == [member.id]
    assert {extent.lun for extent in pool.extents() if extent.drive == member.id} == {LUN, OTHER_LUN, ""}
    assert pool.largest(Layout()) == pool.growth(LUN) == pool.space().free == 0
    with pytest.raises(NoSpace, match="misses the drive"):
        pool.create(str(uuid.uuid4()), MIB, Layout(), ignore)
    with pytest.raises(NoSpace, match="misses the drive"):
        pool.resize(LUN, 12 * MIB, (), ignore)
    with pytest.raises(Unsupported):
        pool.repair(OTHER_LUN, ignore)
    with pytest.raises(Refused, match="there are extents of"):
        pool.release_drive(member.id)
    pool.delete(OTHER_LUN)
    if type is LunType.RAID6:
        # There is no drive for it: a spare one comes.
        with pytest.raises(NoDrives):
            pool.repair(LUN, ignore)
        pool.take_drive(group.spare[0].node)
    with slow_sync(500 if type is LunType.MIRROR else 200):
        rebuilding: list[VolumeState] = []
        pool.repair(LUN, lambda _percent: rebuilding.append(pool.probe(LUN)))
    # The last look may come when it has just ended.
    assert len(rebuilding) > 1
    assert {state.health for state in rebuilding[:-1]} == {Health.REBUILDING}
    assert all(state.synced is not None and 0 <= state.synced < 100 for state in rebuilding[:-1])
    state = pool.probe(LUN)
    assert (state.condition, state.health, state.synced) == (Condition.GOOD, Health.HEALTHY, None)
    assert {leg.health for leg in state.legs} == {Health.HEALTHY}
    assert content(pool) == kept
    # The lost drive is out of the group, which can be used again.
    assert all(member.node for member in pool.members())
    assert pool.largest(Layout()) > 0
    pool.repair(LUN, ignore)


@contextmanager
def slow_sync(limit: int = 500) -> Iterator[None]:
    """Let the kernel synchronize so slowly that it can be seen, so many KiB a second."""
    limits = [Path("/proc/sys/dev/raid/speed_limit_max"), Path("/proc/sys/dev/raid/speed_limit_min")]
    before = [file.read_text() for file in limits]
    for file in limits:
        file.write_text(str(limit))
    try:
        yield
    finally:
        for file, text in zip(limits, before, strict=True):
            file.write_text(text)


@pytest.mark.parametrize("noticed", [False, True])
def test_a_drive_that_comes_back(group: VolumeGroup, pool: LvmPool, noticed: bool) -> None:
    """What it missed is written again, on the drive itself."""
    pool.create(LUN, 6 * MIB, Layout(LunType.MIRROR, tuple(drive.device for drive in group.drives[:2])), ignore)
    before = {leg.extents for leg in pool.probe(LUN).legs}
    group.drives[1].fail()
    scribble(pool)
    if noticed:
        # LVM writes into its metadata that the drive is missing, and keeps to it.
        group.lvm("lvchange", "--addtag", "some", f"{group.name}/{LUN}")
    assert pool.probe(LUN).health is Health.DEGRADED
    group.drives[1].mend()
    assert pool.probe(LUN).health is Health.DEGRADED
    pool.repair(LUN, ignore)
    state = pool.probe(LUN)
    assert (state.health, {leg.extents for leg in state.legs}) == (Health.HEALTHY, before)
    group.drives[0].fail()
    assert content(pool) == b"x" * 6 * MIB


def test_a_drive_whose_data_fails(group: VolumeGroup, pool: LvmPool) -> None:
    """LVM still sees the drive; the kernel has left it; the rebuild goes to another."""
    pool.create(LUN, 6 * MIB, Layout(LunType.MIRROR, tuple(drive.device for drive in group.drives[:2])), ignore)
    group.drives[1].fail_data()
    scribble(pool)
    state = pool.probe(LUN)
    assert (state.condition, state.health) == (Condition.GOOD, Health.DEGRADED)
    pool.repair(LUN, ignore)
    state = pool.probe(LUN)
    assert state.health is Health.HEALTHY
    assert group.drives[1].device not in {extent.drive for leg in state.legs for extent in leg.extents}
    assert content(pool) == b"x" * 6 * MIB


def test_drives_come_and_go(group: VolumeGroup, pool: LvmPool) -> None:
    """An empty drive is taken; one that holds something only by who says so; one in use stays."""
    (spare,) = group.spare
    run("wipefs", "--all", spare.node)
    pool.take_drive(spare.node)
    assert pool.space().total == 132 * MIB
    with pytest.raises(Mismatch):
        pool.take_drive(spare.device)
    pool.create(LUN, MIB, Layout(drives=(spare.device,)), ignore)
    with pytest.raises(Refused, match=LUN):
        pool.release_drive(spare.device)
    pool.delete(LUN)
    pool.release_drive(spare.device)
    assert pool.space().total == 108 * MIB
    with pytest.raises(Mismatch):
        pool.release_drive(spare.device)
    with pytest.raises(Mismatch):
        pool.take_drive("/dev/null")
    run("mkfs.ext4", "-q", spare.node)
    with pytest.raises(Refused, match="ext4"):
        pool.take_drive(spare.node)
    LvmPool(group.name, overwrite=True).take_drive(spare.node)
    assert pool.space().total == 132 * MIB
    # A drive that is gone is released by the pool's name for it.
    id = next(member.id for member in pool.members() if member.node == spare.device)
    spare.fail()
    pool.release_drive(id)
    assert pool.space().total == 108 * MIB


def test_moving(group: VolumeGroup, pool: LvmPool) -> None:
    """All extents of a drive go to another, while they are in use; or none."""
    a, b, c, _, _, f = (drive.device for drive in group.drives)
    pool.create(LUN, 10 * MIB, Layout(drives=(b,)), ignore)
    pool.create(OTHER_LUN, 4 * MIB, Layout(LunType.MIRROR, (b, c)), ignore)
    scribble(pool)
    scribble(pool, OTHER_LUN)
    before = pool.extents()
    with pytest.raises(NoSpace):
        pool.move(b, f, ignore)
    with pytest.raises(Refused, match="must stay apart"):
        pool.move(b, c, ignore)
    with pytest.raises(Mismatch):
        pool.move(b, group.spare[0].device, ignore)
    group.drives[0].slow(200)

    def cancel(percent: int) -> None:
        if percent > 0:
            raise Cancelled("stop")
        # Meanwhile the volume is locked, and says so.
        assert pool.probe(LUN).condition is Condition.GOOD
        with pytest.raises(Refused, match="are being moved"):
            pool.resize(LUN, 11 * MIB, (), ignore)
        assert pool.growth(LUN) == 0

    with pytest.raises(Cancelled):
        pool.move(b, a, cancel)
    group.drives[0].mend()
    assert pool.extents() == before
    group.drives[0].fail_data()
    with pytest.raises(VolumeFailed):
        pool.move(b, a, ignore)
    group.drives[0].mend()
    assert pool.extents() == before
    pool.move(b, a, ignore)
    assert {extent.drive for leg in pool.probe(LUN).legs for extent in leg.extents} == {a}
    assert content(pool) == b"x" * 10 * MIB
    assert content(pool, OTHER_LUN) == b"x" * 4 * MIB
    pool.release_drive(b)
    pool.take_drive(b)
    pool.move(b, a, ignore)
    assert group.lvm("pvs", "--noheadings", "-o", "pv_tags", *(drive.node for drive in group.drives)).split() == []


def test_a_move_that_a_crash_cut_off(group: VolumeGroup, pool: LvmPool) -> None:
    """The next start takes it back; a move of somebody else's goes on."""
    a, b = (drive.node for drive in group.drives[:2])
    pool.create(LUN, 16 * MIB, Layout(drives=(b,)), ignore)
    scribble(pool)
    before = pool.extents()
    group.drives[0].slow(300)
    process = subprocess.Popen(["lvm", "pvmove", "--atomic", "-i1", b, a], stdout=subprocess.DEVNULL)
    while "[pvmove0]" not in group.names():
        time.sleep(0.1)
    process.kill()
    process.wait()
    pool.settle()
    assert "[pvmove0]" in group.names()
    group.lvm("pvchange", "--addtag", "vdsprovd-move", b)
    pool.settle()
    assert pool.extents() == before
    assert "[pvmove0]" not in group.names()
    group.drives[0].mend()
    assert content(pool) == b"x" * 16 * MIB


def test_thin_pools(group: VolumeGroup) -> None:
    """Volumes promise more than there is, read as zeros also after a cut, and are simple."""
    with pytest.raises(Mismatch, match="no thin pool"):
        LvmPool(group.name, "tp0").space()
    group.lvm("lvcreate", "-y", "--type", "thin-pool", "-l40", "-n", "tp0", group.name)
    pool, thick = LvmPool(group.name, "tp0"), LvmPool(group.name)
    assert (pool.sparse, pool.types, pool.space().total) == (True, (LunType.SIMPLE,), 40 * MIB)
    assert pool.largest(Layout()) == pool.space().free == 40 * MIB
    pool.create(LUN, 60 * MIB, Layout(), ignore)
    thick.create(OTHER_LUN, MIB, Layout(), ignore)
    assert (pool.volumes(), thick.volumes()) == ({LUN}, {OTHER_LUN})
    assert pool.space().provisioned == pool.probe(LUN).size == 60 * MIB
    assert content(pool) == bytes(60 * MIB)
    with Path(pool.path(LUN)).open("r+b") as file:
        file.write(b"x" * 20 * MIB)
    assert pool.space().free == 20 * MIB
    pool.resize(LUN, 5 * MIB, (), ignore)
    pool.resize(LUN, 50 * MIB, (), ignore)
    assert content(pool) == b"x" * 5 * MIB + bytes(45 * MIB)
    for layout in (Layout(LunType.SPAN), Layout(drives=(group.drives[0].device,))):
        with pytest.raises(Unsupported):
            pool.create(str(uuid.uuid4()), MIB, layout, ignore)
    with pytest.raises(Unsupported):
        pool.add_leg(LUN, (), ignore)
    pool.delete(LUN)
    assert (pool.volumes(), pool.space().free) == (set(), 40 * MIB)
    group.lvm("lvchange", "-y", "--zero", "n", f"{group.name}/tp0")
    with pytest.raises(Unsupported, match="does not zero"):
        pool.create(LUN, MIB, Layout(), ignore)


def test_many_at_once(group: VolumeGroup, pool: LvmPool) -> None:
    """Threads that make volumes at the same time do not choose the same extents."""
    luns = [str(uuid.uuid4()) for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda lun: pool.create(lun, 6 * MIB, Layout(LunType.STRIPE, columns=2), ignore), luns))
    states = pool.survey(luns)
    assert {(state.condition, state.size) for state in states.values()} == {(Condition.GOOD, 6 * MIB)}
    assert pool.space().free == (108 - 36) * MIB


def test_a_thin_pool_that_is_full(group: VolumeGroup) -> None:
    """What is in it can be deleted, which needs no room; then the others go on."""
    group.lvm("lvcreate", "-y", "--type", "thin-pool", "-l20", "-n", "tp0", group.name)
    group.lvm("lvchange", "--errorwhenfull", "y", f"{group.name}/tp0")
    pool = LvmPool(group.name, "tp0")
    pool.create(LUN, 30 * MIB, Layout(), ignore)
    pool.create(OTHER_LUN, 30 * MIB, Layout(), ignore)
    with pytest.raises(OSError, match=r"space|error"), Path(pool.path(LUN)).open("r+b", buffering=0) as file:
        while file.write(b"x" * MIB):
            os.fsync(file.fileno())
    assert pool.space().free == 0
    assert pool.probe(OTHER_LUN).condition is Condition.GOOD
    pool.delete(LUN)
    assert pool.space().free == 20 * MIB
    with Path(pool.path(OTHER_LUN)).open("r+b") as file:
        file.write(b"y" * MIB)
        os.fsync(file.fileno())
    assert content(pool, OTHER_LUN)[: 2 * MIB] == b"y" * MIB + bytes(MIB)
    pool.delete(OTHER_LUN)


def test_a_lost_drive_leaves_with_its_last_volume(group: VolumeGroup, pool: LvmPool) -> None:
    """LVM makes nothing in a group that misses a drive: when the last volume that lay on it is deleted, or has been
    rebuilt elsewhere, the drive is out of the group."""
    a, b = (drive.device for drive in group.drives[:2])
    pool.create(LUN, 4 * MIB, Layout(drives=(a,)), ignore)
    pool.create(OTHER_LUN, 4 * MIB, Layout(LunType.MIRROR, (a, b)), ignore)
    group.drives[0].fail()
    pool.repair(OTHER_LUN, ignore)
    assert pool.largest(Layout()) == 0
    pool.delete(LUN)
    assert all(member.node for member in pool.members())
    assert pool.largest(Layout()) > 0


def test_nothing_is_put_where_something_is_moved(group: VolumeGroup, pool: LvmPool) -> None:
    """While a drive's extents are moved, new volumes use neither that drive nor the one to come."""
    a, b, c = (drive.device for drive in group.drives[:3])
    pool.create(LUN, 4 * MIB, Layout(drives=(b,)), ignore)
    group.drives[0].slow(100)

    def meanwhile(percent: int) -> None:
        for drive in (a, b):
            with pytest.raises(NoDrives):
                pool.create(str(uuid.uuid4()), MIB, Layout(drives=(drive,)), ignore)
        if OTHER_LUN not in pool.volumes():
            pool.create(OTHER_LUN, 20 * MIB, Layout(drives=(c,)), ignore)

    pool.move(b, a, meanwhile)
    group.drives[0].mend()
    assert {extent.drive for leg in pool.probe(OTHER_LUN).legs for extent in leg.extents} == {c}
    assert {extent.drive for leg in pool.probe(LUN).legs for extent in leg.extents} == {a}
    pool.create(str(uuid.uuid4()), MIB, Layout(drives=(b,)), ignore)


def test_percentages_are_what_is_done(group: VolumeGroup, pool: LvmPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow drive each percentage that is told while a volume is zeroed, and while a copy of it is made, is
    what is there by then of the bytes, up to a chunk or what the kernel has done since."""
    monkeypatch.setattr("vdsprovd.hardware.pools.lvm.CHUNK", MIB)
    a, b = group.drives[:2]
    size = 20 * MIB
    told: list[tuple[int, int]] = []

    def written(drive: TestDrive, byte: bytes) -> int:
        """How many percent of the volume's size are such MiB."""
        content = drive.content()[MIB:]
        return sum(content[at : at + MIB] == byte * MIB for at in range(0, len(content), MIB)) * 100 // (size // MIB)

    a.slow(30)
    pool.create(LUN, size, Layout(drives=(a.device,)), lambda percent: told.append((percent, written(a, b"\0"))))
    a.mend()
    assert [percent for percent, _ in told] == list(range(0, 100, 5))
    assert all(percent <= done <= percent + 5 for percent, done in told), told
    pool.resize(LUN, 16 * MIB, (), ignore)
    size = 16 * MIB
    scribble(pool)
    told.clear()
    b.slow(20)
    with slow_sync(2000):
        pool.add_leg(LUN, (b.device,), lambda percent: told.append((percent, written(b, b"x"))))
    b.mend()
    percents = [percent for percent, _ in told]
    assert percents == sorted(percents)
    assert len(set(percents)) > 3
    assert all(percent - 7 <= done <= percent + 30 for percent, done in told), told
    assert written(b, b"x") == 100


def cancelling(after: int) -> Callable[[int], None]:
    """Progress that is cancelled when it has been told so many times."""
    told = iter(range(after))

    def progress(percent: int) -> None:
        if next(told, None) is None:
            raise Cancelled("stop")

    return progress


@pytest.mark.parametrize("work", ["create", "extend", "add a copy"])
def test_cancelling_at_any_percentage(
    group: VolumeGroup, pool: LvmPool, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    """Whenever it is cancelled, nothing is there but what was before; then it runs through."""
    monkeypatch.setattr("vdsprovd.hardware.pools.lvm.CHUNK", MIB)
    monkeypatch.setattr("vdsprovd.hardware.pools.lvm.POLL", 0.1)
    a, b = (drive.device for drive in group.drives[:2])
    pool.create(OTHER_LUN, 4 * MIB, Layout(LunType.SPAN, (a,)), ignore)
    scribble(pool, OTHER_LUN)
    acts: dict[str, Callable[[Callable[[int], None]], None]] = {
        "create": lambda progress: pool.create(LUN, 4 * MIB, Layout(LunType.MIRROR, (a, b)), progress),
        "extend": lambda progress: pool.resize(OTHER_LUN, 10 * MIB, (), progress),
        "add a copy": lambda progress: pool.add_leg(OTHER_LUN, (b,), progress),
    }
    before = (group.names(), pool.extents())
    cancelled = 0
    group.drives[1].slow(20)
    with slow_sync(2000):
        # How often progress is told depends on how long the kernel takes: then in larger steps.
        for after in (0, 1, 2, 8, 32, 128, 512):
            try:
                acts[work](cancelling(after))
            except Cancelled:
                assert (group.names(), pool.extents()) == before
                cancelled += 1
            else:
                break
    group.drives[1].mend()
    assert cancelled >= (1 if work == "add a copy" else 3)
    assert content(pool, OTHER_LUN)[: 4 * MIB] == b"x" * 4 * MIB


def test_a_scan_is_of_one_moment(pool: LvmPool, group: VolumeGroup) -> None:
    """Within a scan the volume group is read once, whoever asks; a glance finds what a survey does, and activates
    nothing."""
    pool.create(LUN, 4 * MIB, Layout(), ignore)
    with report.scan():
        before = pool.space(), pool.members(), pool.glance([LUN])
        group.lvm("lvcreate", "--yes", "--extents", "4", "--name", "theirs", group.name)
        assert (pool.space(), pool.members(), pool.glance([LUN])) == before
    assert pool.space().free == before[0].free - 4 * MIB
    assert pool.glance([LUN]) == pool.survey([LUN]) == before[2]
    group.lvm("lvchange", "--activate", "n", f"{group.name}/{LUN}")
    for look in (pool.glance, pool.survey):
        assert "is not active" in look([LUN])[LUN].reason
    with report.scan():
        assert pool.survey([LUN], [LUN])[LUN] == pool.glance([LUN])[LUN] == before[2][LUN]
