"""Which extents a volume gets. LVM's own choice keeps no order of drives and cannot be foretold, so we choose, and hand
it exactly the extents that it shall use. Everything here counts in extents and knows drives by LVM's names for them."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from vdsprovd.hardware import Layout, NoDrives, NoSpace, Unsupported
from vdsprovd.model import LunType

WIDEST = 8
"""Columns of data where the layout leaves the number to the pool: more make a RAID too likely to lose a second drive."""
STRIPE_SIZE = 64 << 10
"""Bytes, where the layout leaves it to the pool."""
LEAST_STRIPE_SIZE = 4 << 10
MOST_DRIVES = 64
"""LVM's limit for the drives of a RAID."""


class Area(msgspec.Struct, frozen=True):
    """Extents of a drive that lie side by side."""

    drive: str
    start: int
    length: int

    def __str__(self) -> str:
        """The form that LVM takes on a command line."""
        return f"{self.drive}:{self.start}-{self.start + self.length - 1}"


class Shape(msgspec.Struct, frozen=True):
    """How a type of LUN lies on drives. A RAID takes an extent of each of its drives for itself (512 KiB would do)."""

    segment: str
    """LVM's segment type."""
    least: int = 1
    """Columns of data."""
    copies: int = 1
    parity: int = 0
    columns: bool = True
    """Whether the number of columns can be chosen."""

    def width(self, columns: int) -> int:
        """How many drives that takes."""
        return columns * self.copies + self.parity

    @property
    def striped(self) -> bool:
        """Whether it has a stripe size."""
        return self.least > 1

    @property
    def own(self) -> int:
        """Extents of each drive that the volume does not show."""
        return int(self.segment.startswith("raid"))


SHAPES: Mapping[LunType, Shape] = {
    LunType.SIMPLE: Shape("linear", columns=False),
    LunType.SPAN: Shape("linear", columns=False),
    LunType.STRIPE: Shape("striped", least=2),
    LunType.MIRROR: Shape("raid1", copies=2, columns=False),
    LunType.PARITY: Shape("raid5", least=2, parity=1),
    LunType.RAID4: Shape("raid4", least=2, parity=1),
    LunType.RAID5: Shape("raid5", least=2, parity=1),
    LunType.RAID6: Shape("raid6", least=3, parity=2),
    LunType.RAID10: Shape("raid10", least=2, copies=2),
}

Free = Mapping[str, Sequence[Area]]
"""The free extents of the drives that may be used, by the drives' names, in the order in which to use them."""


class Plan(msgspec.Struct, frozen=True):
    """Extents for a volume, or for more of it: `steps` is what LVM gets one after the other, each with its share of the
    volume's extents."""

    steps: tuple[tuple[int, tuple[Area, ...]], ...]
    columns: int = 1
    """Of data."""
    width: int = 1
    """Drives side by side; 1 where one comes after the other."""

    @property
    def areas(self) -> tuple[Area, ...]:
        """All extents."""
        return tuple(area for _, areas in self.steps for area in areas)


def room(areas: Collection[Area]) -> int:
    """How many extents that is."""
    return sum(area.length for area in areas)


def largest(layout: Layout, free: Free) -> int:
    """The extents of the largest volume of that layout. Raises `NoDrives`, `Unsupported`."""
    shape = SHAPES[layout.type]
    rooms = sorted((_room(areas, shape) for areas in free.values()), reverse=True)
    if not rooms:
        raise NoDrives("there is no drive that new volumes may use")
    if layout.type is LunType.SPAN:
        return sum(rooms)
    counts = _counts(layout, shape, len(rooms))
    return max(0, *(count * (rooms[shape.width(count) - 1] - shape.own) for count in counts))


def new(layout: Layout, extents: int, free: Free) -> Plan:
    """A new volume of so many extents or a few more. Raises `NoSpace`, `NoDrives`, `Unsupported`."""
    shape = SHAPES[layout.type]
    if extents > (most := largest(layout, free)):
        raise NoSpace(f"{extents} extents are wanted for a LUN of type {layout.type.value}, and there are {most}")
    if layout.type is LunType.SPAN:
        return Plan(tuple(_one_after_the_other(extents, free)))
    for count in sorted(_counts(layout, shape, len(free)), reverse=True):
        each = -(-extents // count) + shape.own
        roomy = [name for name, areas in free.items() if _room(areas, shape) >= each]
        if len(roomy) >= shape.width(count):
            if not layout.drives:
                # A single drive: the one with the least room, so that the largest LUN stays as large as it can be.
                roomy.sort(key=lambda name: room(free[name]), reverse=shape.width(count) > 1)
            chosen = roomy[: shape.width(count)]
            rows = [tuple(take(free[name], each)) for name in chosen]
            return Plan(tuple(_side_by_side(rows, count, shape.own)), count, shape.width(count))
    raise AssertionError("the largest volume fits somehow")


def _counts(layout: Layout, shape: Shape, drives: int) -> Sequence[int]:
    """The numbers of columns that come into question."""
    if not shape.columns:
        counts: Sequence[int] = (shape.least,)
    elif layout.columns:
        if layout.columns < shape.least:
            raise Unsupported(f"a LUN of type {layout.type.value} has at least {shape.least} columns of data")
        if shape.width(layout.columns) > MOST_DRIVES:
            raise Unsupported(f"a LUN of type {layout.type.value} lies on at most {MOST_DRIVES} drives")
        counts = (layout.columns,)
    elif layout.drives:
        counts = ((min(MOST_DRIVES, len(layout.drives)) - shape.parity) // shape.copies,)
    else:
        counts = range(shape.least, WIDEST + 1)
    found = [count for count in counts if count >= shape.least and shape.width(count) <= drives]
    if not found:
        wanted = shape.width(max(min(counts), shape.least))
        raise NoDrives(
            f"a LUN of type {layout.type.value} takes {wanted} drives, and there are {drives} that new volumes may use"
        )
    return found


def _one_after_the_other(extents: int, free: Free) -> Iterator[tuple[int, tuple[Area, ...]]]:
    """Each drive is exhausted before the next. One step a drive: within a step LVM goes by the areas' sizes."""
    for areas in free.values():
        share = min(extents, room(areas))
        if share > 0:
            yield share, tuple(take(areas, share))
        extents -= share


def _room(areas: Sequence[Area], shape: Shape) -> int:
    """How many extents a column can have there. A RAID's own extent and the first one of data lie side by side."""
    return room(areas) if any(area.length > shape.own for area in areas) else 0


def _side_by_side(columns: Sequence[Sequence[Area]], data: int, own: int = 0) -> Iterator[tuple[int, tuple[Area, ...]]]:
    """Columns that grow at the same time, of which so many show data. In each step every drive has one area, of the same
    length as the others': with more to choose from, LVM does not always find a way."""
    rest = [list(areas) for areas in columns]
    while all(rest):
        length = min(areas[0].length for areas in rest)
        yield (length - own) * data, tuple(Area(areas[0].drive, areas[0].start, length) for areas in rest)
        own = 0
        for areas in rest:
            first = areas.pop(0)
            if first.length > length:
                areas.insert(0, Area(first.drive, first.start + length, first.length - length))


def take(areas: Sequence[Area], extents: int) -> Iterator[Area]:
    """So many extents of a drive, the longest areas first: in one piece where they fit, in few otherwise."""
    whole = min((area for area in areas if area.length >= extents), key=lambda area: area.length, default=None)
    for area in [whole] if whole else sorted(areas, key=lambda area: area.length, reverse=True):
        share = min(extents, area.length)
        if share:
            yield Area(area.drive, area.start, share)
        extents -= share


class Ends(msgspec.Struct, frozen=True):
    """Where a volume can go on: for each column or copy the drive that it ends on; and all drives that it is on."""

    tails: tuple[str, ...]
    used: frozenset[str]
    columns: int
    on: bool
    """Whether it may go on on other drives."""


def growth(ends: Ends, free: Free) -> int:
    """By how many extents the volume can grow on these drives."""
    return sum(share for share, _ in _ways_on(ends, free, 1 << 62))


def more(ends: Ends, extents: int, free: Free, first: Sequence[str]) -> Plan:
    """So many more extents for a volume, or a few more than that; those of the drives `first` before others. Raises
    `NoSpace`."""
    ordered = [*(name for name in ends.tails if name in free), *(name for name in free if name not in ends.tails)]
    # Having begun on the drives that are wanted first, a RAID cannot go back: then it goes on where it can.
    for passes in ([first, ordered], [ordered]):
        steps: list[tuple[int, tuple[Area, ...]]] = []
        missing, at, left = extents, ends, dict(free)
        for names in passes:
            for share, areas in list(_ways_on(at, {name: left[name] for name in names if name in left}, missing)):
                steps.append((share, areas))
                missing -= share
                left = {name: without(left[name], areas) for name in left}
                on = tuple(dict.fromkeys(area.drive for area in areas))
                at = Ends(on if len(ends.tails) > 1 else ends.tails, at.used.union(on), at.columns, at.on)
        if missing <= 0:
            return Plan(tuple(steps), ends.columns, len(ends.tails))
    raise NoSpace(f"{extents} more extents are wanted, and there are {growth(ends, free)} where the volume can grow")


def leg(extents: int, free: Free, *, ordered: bool) -> tuple[Area, ...]:
    """Another copy of so many extents: on one drive if that is possible, else from drive to drive. Unless the drives are
    `ordered`, on that with the least room. Raises `NoDrives`, `NoSpace`."""
    if not free:
        raise NoDrives("there is no drive for another copy: new extents may be on none but those of the volume itself")
    mirror = SHAPES[LunType.MIRROR]
    wanted = extents + mirror.own
    roomy = [name for name, areas in free.items() if _room(areas, mirror) >= wanted]
    if roomy:
        return tuple(take(free[roomy[0] if ordered else min(roomy, key=lambda name: room(free[name]))], wanted))
    steps = list(_one_after_the_other(wanted, free))
    if sum(share for share, _ in steps) < wanted:
        raise NoSpace(f"another copy takes {wanted} extents, and there are {sum(share for share, _ in steps)}")
    return tuple(area for _, areas in steps for area in areas)


def spares(lengths: Sequence[int], free: Free) -> tuple[Area, ...]:
    """Extents for images of a RAID with these many extents, each on a drive of its own. Raises `NoDrives`, which says
    how many extents a drive should have."""
    left = dict(free)
    chosen: list[Area] = []
    for length in sorted(lengths, reverse=True):
        wanted = length + 1
        roomy = [name for name, areas in left.items() if room(areas) >= wanted and max(a.length for a in areas) > 1]
        if not roomy:
            raise NoDrives(f"there is no drive with {wanted} free extents that has no part of the volume yet", wanted)
        name = min(roomy, key=lambda name: room(left[name]))
        chosen += take(left.pop(name), wanted)
    return tuple(chosen)


def _ways_on(ends: Ends, free: Free, extents: int) -> Iterator[tuple[int, tuple[Area, ...]]]:
    """Steps that lead on, up to so many extents: on the drives where the volume ends, then on others. The columns and
    copies of a volume never change places with each other, so that no two come to lie on one drive."""
    if len(ends.tails) == 1:
        names = [name for name in free if ends.on or name in ends.tails]
        yield from _one_after_the_other(extents, {name: free[name] for name in names})
        return
    fresh = sorted((name for name in free if name not in ends.used), key=lambda name: room(free[name]), reverse=True)
    width = len(ends.tails)
    sides = [ends.tails, *(tuple(fresh[place : place + width]) for place in range(0, len(fresh), width) if ends.on)]
    for side in sides:
        if len(side) == width and all(name in free for name in side):
            each = min(-(-extents // ends.columns), *(room(free[name]) for name in side))
            if each > 0:
                yield from _side_by_side([tuple(take(free[name], each)) for name in side], ends.columns)
                extents -= each * ends.columns


def merged(areas: Collection[Area]) -> list[Area]:
    """The same extents in as few areas as can be."""
    found: list[Area] = []
    for area in sorted(areas, key=lambda area: (area.drive, area.start)):
        last = found[-1] if found else None
        if last and last.drive == area.drive and last.start + last.length == area.start:
            found[-1] = Area(last.drive, last.start, last.length + area.length)
        else:
            found.append(area)
    return found


def without(areas: Sequence[Area], taken: Sequence[Area]) -> tuple[Area, ...]:
    """What is left of the areas; each of those taken begins where one of them does."""
    cuts = {(area.drive, area.start): area.length for area in taken}
    rest = ((area, cuts.get((area.drive, area.start), 0)) for area in areas)
    return tuple(Area(area.drive, area.start + cut, area.length - cut) for area, cut in rest if cut < area.length)
