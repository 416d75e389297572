"""Which extents volumes on LVM get: exact, disjoint, and apart where they must be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdsprovd.hardware import Layout, NoDrives, NoSpace, Unsupported
from vdsprovd.hardware.pools.lvm import command, plan
from vdsprovd.hardware.pools.lvm.plan import Area, Ends, Plan
from vdsprovd.model import LunType

Free = dict[str, tuple[Area, ...]]


@st.composite
def drives(draw: st.DrawFn, least: int = 1) -> Free:
    """The free extents of up to ten drives, in pieces that do not touch."""
    found: Free = {}
    for number in range(draw(st.integers(least, 10))):
        start, areas = 0, []
        for length in draw(st.lists(st.integers(1, 30), max_size=4)):
            areas.append(Area(f"d{number}", start, length))
            start += length + 2
        found[f"d{number}"] = tuple(areas)
    return found


def used(chosen: Plan, free: Free) -> list[tuple[str, int]]:
    """The plan's extents one by one, after a check that they are free and different."""
    extents = [(area.drive, number) for area in chosen.areas for number in range(area.start, area.start + area.length)]
    there = {
        (area.drive, number)
        for areas in free.values()
        for area in areas
        for number in range(area.start, area.start + area.length)
    }
    assert len(set(extents)) == len(extents)
    assert set(extents) <= there
    return extents


@given(drives(), st.sampled_from(list(plan.SHAPES)), st.data())
def test_what_is_said_to_fit_fits(free: Free, type: LunType, data: st.DataObject) -> None:
    """`largest` can be planned, one extent more cannot; every smaller size can; and each step's areas are of one length."""
    layout, shape = Layout(type), plan.SHAPES[type]
    try:
        most = plan.largest(layout, free)
    except NoDrives:
        assert len(free) < shape.width(shape.least)
        return
    with pytest.raises(NoSpace):
        plan.new(layout, most + 1, free)
    if not most:
        return
    assert sum(share for share, _ in plan.new(layout, most, free).steps) == most
    size = data.draw(st.integers(1, most))
    chosen = plan.new(layout, size, free)
    extents, total = used(chosen, free), sum(share for share, _ in chosen.steps)
    assert size <= total < size + chosen.columns
    if type is LunType.SPAN:
        assert len(extents) == total
        return
    assert len({drive for drive, _ in extents}) == shape.width(chosen.columns) == chosen.width
    assert len(extents) == total // chosen.columns * chosen.width + chosen.width * shape.own
    for _, areas in chosen.steps:
        if shape.width(chosen.columns) > 1:
            assert len({area.drive for area in areas}) == len(areas) == chosen.width
            assert len({area.length for area in areas}) == 1


@given(drives(least=2), st.integers(1, 4), st.booleans(), st.data())
def test_growth(free: Free, width: int, on: bool, data: st.DataObject) -> None:
    """By what is said a volume can grow, not by more, on the drives wanted first; its columns never share a drive."""
    tails = tuple(list(free)[:width])
    if len(tails) < width:
        return
    ends = Ends(tails, frozenset(tails), width, on)
    most = plan.growth(ends, free)
    with pytest.raises(NoSpace):
        plan.more(ends, most + 1, free, ())
    if not most:
        return
    first = data.draw(st.lists(st.sampled_from(list(free)), unique=True))
    size = data.draw(st.integers(1, most))
    chosen = plan.more(ends, size, free, first)
    extents, total = used(chosen, free), sum(share for share, _ in chosen.steps)
    assert size <= total < size + width
    assert len(extents) == total
    if not on:
        assert {drive for drive, _ in extents} <= set(tails)
    if width == 1:
        wanted = [name for name in first if on or name in tails]
        room = sum(plan.room(free[name]) for name in wanted)
        assert sum(drive in wanted for drive, _ in extents) == min(size, room)


def test_the_widest_that_fits() -> None:
    """Unless it is said, a RAID is as wide as its size allows, up to a limit; a single drive is the fullest that will do."""
    free = {f"d{number}": (Area(f"d{number}", 0, 10 if number < 12 else 100),) for number in range(14)}
    assert plan.new(Layout(LunType.RAID5), 8, free).columns == plan.WIDEST
    assert plan.new(Layout(LunType.STRIPE), 190, free).columns == 2
    assert plan.new(Layout(LunType.STRIPE, columns=3), 9, free).columns == 3
    assert plan.new(Layout(LunType.RAID6, tuple(free)), 8, free).columns == 12
    assert plan.new(Layout(), 5, free).areas[0].drive == "d0"
    assert (
        plan.new(Layout(drives=("d13", "d0")), 5, {name: free[name] for name in ("d13", "d0")}).areas[0].drive == "d13"
    )
    with pytest.raises(Unsupported):
        plan.new(Layout(LunType.RAID6, columns=2), 8, free)
    with pytest.raises(NoDrives):
        plan.new(Layout(LunType.RAID10, columns=8), 8, free)


def test_copies_and_spares() -> None:
    """A copy is on one drive if it can be; each lost image gets a drive of its own."""
    free = {"a": (Area("a", 0, 5), Area("a", 9, 5)), "b": (Area("b", 0, 30),), "c": (Area("c", 3, 12),)}
    assert plan.leg(9, free, ordered=False) == (Area("a", 0, 5), Area("a", 9, 5))
    assert plan.leg(10, free, ordered=False) == (Area("c", 3, 11),)
    assert plan.leg(10, {name: free[name] for name in "bac"}, ordered=True) == (Area("b", 0, 11),)
    assert plan.leg(39, {name: free[name] for name in "ab"}, ordered=True) == (*free["a"], *free["b"])
    with pytest.raises(NoSpace):
        plan.leg(40, {name: free[name] for name in "ab"}, ordered=True)
    with pytest.raises(NoDrives):
        plan.leg(1, {}, ordered=False)
    assert {area.drive for area in plan.spares([11, 11], free)} == {"b", "c"}
    with pytest.raises(NoDrives):
        plan.spares([11, 11, 11], free)


def test_merged() -> None:
    """The same extents, in as few areas as can be."""
    assert plan.merged([Area("a", 5, 2), Area("b", 0, 1), Area("a", 0, 5), Area("a", 8, 1)]) == [
        Area("a", 0, 7),
        Area("a", 8, 1),
        Area("b", 0, 1),
    ]


def test_metadata_without_room_is_want_of_space() -> None:
    """What LVM says when its own room on the drives is used up."""
    said = "  VG vg0 3145 metadata on /dev/sdb (521835 bytes) too large for circular buffer (1043968 bytes with 520132 used)"
    with pytest.raises(NoSpace, match="cannot create it: VG vg0"):
        command.check("create it", command.Outcome(5, "", said))
