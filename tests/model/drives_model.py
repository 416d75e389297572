"""The rules of LUNs on drives in plain Python: types, plexes, drives that come, go and are replaced, hints.

Written from the documents, never by calling the daemon's code, and without an algorithm of placement: where the provider
may choose, what it chose is told to the model, which checks it against laws and expects it to stay from then on. Beside a
rule stands where it comes from: VDS is Microsoft's documentation of the method, api is docs/api.md, README its "Choices",
configuration is docs/configuration.md, "LVM".
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.model.vds_model import DELETED, INVALID, NO_SPACE, NOT_FOUND, NOT_SUPPORTED, OK, Codes, Query
from tests.programs import MIB

NO_DRIVE = "VDS_E_NOT_ENOUGH_DRIVE"
INVALID_OPERATION = "VDS_E_INVALID_OPERATION"
STATUS_FAILED = "VDS_E_OBJECT_STATUS_FAILED"
FAILURE = "VDS_E_PROVIDER_FAILURE"
INCOMPLETE = 0x00042715
"""VDS_S_PROPERTIES_INCOMPLETE."""

AUTOMAGIC = ("default", "fault_tolerant", "non_fault_tolerant")
LINEAR = ("simple", "span")

Placed = tuple[tuple[str, int], ...]
"""Where a plex lies: drives by name, with bytes, neighbours on one drive as one."""


class Shape(NamedTuple):
    """What a type of LUN is (VDS_LUN_TYPE, configuration): the least columns of data, copies of each, parity."""

    least: int = 1
    copies: int = 1
    parity: int = 0

    def width(self, columns: int) -> int:
        """How many drives."""
        return columns * self.copies + self.parity


SHAPES = {
    "simple": Shape(),
    "span": Shape(),
    "stripe": Shape(least=2),
    "mirror": Shape(copies=2),
    "parity": Shape(least=2, parity=1),
    "raid4": Shape(least=2, parity=1),
    "raid5": Shape(least=2, parity=1),
    "raid6": Shape(least=3, parity=2),
    "raid10": Shape(least=2, copies=2),
}
STRIPED = tuple(type for type, shape in SHAPES.items() if shape.least > 1)
REDUNDANT = tuple(type for type, shape in SHAPES.items() if shape.copies > 1 or shape.parity)


@dataclass(frozen=True)
class Kind:
    """What differs between a pool of LVM's and the simulator's."""

    types: Sequence[str]
    own: int = 0
    """Bytes of each image that a RAID takes for itself (configuration: Volume groups with extents ...)."""
    label: int = 0
    """Bytes of a member's disk that LVM has."""
    most_columns: int = 2
    """Where the request leaves it open (configuration)."""
    forgets_at_once: bool = True
    """Whether a drive that comes back is as good as before; the kernel rebuilds what it missed."""


@dataclass
class Drive:
    """VDS_DRIVE_PROP, and where it is."""

    id: str
    name: str
    slot: int
    identification: str
    friendly_name: str
    size: int
    pool: str | None
    configured: bool
    """Whether it is the subsystem's when no pool has it."""
    hot_spare: bool = False
    online: bool = True
    there: bool = True
    free: tuple[int, ...] = ()
    """Its free extents, as seen."""

    @property
    def room(self) -> int:
        """All that is free."""
        return sum(self.free)


@dataclass
class Plex:
    """VDS_LUN_PLEX_PROP."""

    id: str
    placed: Placed
    rebuild_priority: int | None = None

    @property
    def drives(self) -> set[str]:
        """The names of those it lies on."""
        return {name for name, _ in self.placed}


@dataclass
class Lun:
    """VDS_LUN_PROP."""

    id: str
    pool: str
    type: str
    size: int
    columns: int
    stripe_size: int
    plexes: list[Plex]
    hints: dict[str, Any] = field(default_factory=dict)
    stale: set[str] = field(default_factory=set)
    """Drives of it that were gone for a while: what they missed the kernel knows, and rebuilds with Recover."""

    @property
    def shape(self) -> Shape:
        """Of its type."""
        return SHAPES[self.type]

    @property
    def redundant(self) -> bool:
        """Whether it outlives the loss of a drive."""
        return self.type in REDUNDANT

    @property
    def drives(self) -> set[str]:
        """The names of those it lies on."""
        return {name for plex in self.plexes for name in plex.drives}


class Model:
    """What there is by the rules. A command's method gives the codes that the daemon may answer."""

    def __init__(self, sub_system: str, pools: Mapping[str, str], drives: Iterable[Drive], kind: Kind) -> None:
        self.sub_system = sub_system
        self.pools = pools
        """Ids by name."""
        self.kind = kind
        self.drives = {drive.name: drive for drive in drives}
        self.all_drives = dict(self.drives)
        """Those that are gone for good, too: what they are has not changed."""
        self.luns: dict[str, Lun] = {}
        self.deleted: dict[str, str] = {}
        """By id, the interface of what was deleted."""

    # Drives.

    def members(self, pool: str) -> list[Drive]:
        """The drives that a pool has, missing ones included."""
        return [drive for drive in self.drives.values() if drive.pool == pool]

    def usable(self, pool: str) -> list[Drive]:
        """Those that new extents may be on."""
        return [drive for drive in self.members(pool) if drive.there and drive.online]

    def incomplete(self, pool: str) -> bool:
        """configuration: a group that misses a drive makes and extends nothing."""
        return not all(drive.there for drive in self.members(pool))

    def capacity(self, drive: Drive) -> int:
        """What a drive has for extents."""
        return drive.size - (self.kind.label if drive.pool else 0)

    def placed_on(self, name: str) -> list[Lun]:
        """The LUNs that lie on the drive of that name."""
        return [lun for lun in self.luns.values() if name in lun.drives]

    def state(self, pool: str) -> object:
        """What there is in the pool, as far as it decides which extents are free."""
        luns = {
            lun.id: (lun.type, [plex.placed for plex in lun.plexes]) for lun in self.luns.values() if lun.pool == pool
        }
        return luns, [(drive.name, drive.online, drive.there) for drive in self.members(pool)]

    def _chosen(self, names: Sequence[str]) -> tuple[Codes, list[Drive]]:
        """api: the drives of a list, in order, each once; or what is wrong with them."""
        found = [self.drives.get(name) for name in dict.fromkeys(names)]
        drives = [drive for drive in found if drive]
        errors = {NOT_FOUND} if len(drives) < len(found) else set()
        if any(not (drive.online and drive.there) for drive in drives):
            errors.add(NO_DRIVE)
        if any(not drive.pool for drive in drives) or len({drive.pool for drive in drives}) > 1:
            errors.add(NOT_SUPPORTED)
        return frozenset(errors), drives

    def set_flags(self, name: str, flags: Sequence[str], *, on: bool) -> Codes:
        """VDS: only the spare's is the client's to set; README: a drive of a pool, or that is not there, is none."""
        if refusal := self._refusal(name):
            return refusal
        drive = self.drives[name]
        if any(flag != "hotspare" for flag in flags):
            return frozenset({NOT_SUPPORTED})
        if flags and on and not drive.hot_spare and (drive.pool or not (drive.there and drive.online)):
            return frozenset({NOT_SUPPORTED})
        if flags:
            drive.hot_spare = on
        return OK

    def set_status(self, name: str, status: str) -> Codes:
        """VDS: only online and offline can be set; api: not that of a pool's drive that is not there."""
        if refusal := self._refusal(name):
            return refusal
        if status not in ("online", "offline"):
            return frozenset({INVALID if status == "unknown" else NOT_SUPPORTED})
        drive = self.drives[name]
        if drive.pool and not drive.there:
            return frozenset({NOT_SUPPORTED})
        online = status == "online"
        if drive.pool and self.incomplete(drive.pool) and drive.online is not online:
            return frozenset({FAILURE})
        drive.online = online
        return OK

    def _refusal(self, name: str) -> Codes:
        if name in self.drives:
            return frozenset()
        return frozenset({DELETED if name in self.all_drives else NOT_FOUND})

    def drive_id(self, name: str) -> str:
        """The id of the drive of that name, gone or not; the name itself for one that never was."""
        return self.all_drives[name].id if name in self.all_drives else name

    def pull(self, name: str) -> None:
        """The drive is not there any more, and a scan has seen it."""
        drive = self.drives[name]
        drive.there = False
        for lun in self.placed_on(name):
            if not self.kind.forgets_at_once:
                lun.stale.add(name)
        self._scanned()

    def plug(self, name: str) -> None:
        """It is there again, and a scan has seen it. One that its pool has not waited for is free, if it is the
        subsystem's at all; `arrived` tells its new id."""
        drive = self.all_drives[name]
        if drive.pool or drive.configured:
            drive.there = True
            if not drive.pool:
                drive.free = (drive.size,)

    def expected(self) -> set[str]:
        """Drives that are there, and should have arrived: no object is theirs."""
        return {
            name
            for name, drive in self.all_drives.items()
            if name not in self.drives and drive.there and drive.configured
        }

    def arrived(self, name: str, id: str, slot: int) -> None:
        """A drive that was gone for good is an object again, and another one."""
        assert name in self.expected()
        assert id not in self.deleted
        assert slot not in {drive.slot for drive in self.drives.values()}
        old = self.all_drives[name]
        new = Drive(
            id, name, slot, old.identification, old.friendly_name, old.size, None, configured=True, free=(old.size,)
        )
        self.drives[name] = self.all_drives[name] = new

    def _scanned(self) -> None:
        """README: a drive that is pulled stays as an object while its pool misses it, api: or while it is a spare or was
        set offline."""
        for name, drive in list(self.drives.items()):
            known = drive.pool or (drive.configured and drive.there)
            if not known:
                if drive.hot_spare or not drive.online:
                    drive.there = False
                    drive.free = ()
                else:
                    del self.drives[name]
                    self.deleted[drive.id] = "Drive"

    scanned = _scanned

    def _leaves(self, drive: Drive) -> None:
        """The pool has the drive no longer."""
        drive.pool = None
        drive.free = (drive.size,)
        self._scanned()

    def replace(self, old: str, new: str) -> Codes:
        """VDS, api: everything on one drive moves to another, which is free, and takes its place; all or nothing."""
        if old not in self.drives or new not in self.drives:
            return frozenset({NOT_FOUND})
        one, other = self.drives[old], self.drives[new]
        if not one.pool or not one.there or other.pool or not other.there or not other.online:
            return frozenset({NOT_SUPPORTED})
        moving = self.capacity(one) - one.room
        if self.incomplete(one.pool) or moving > other.size - self.kind.label:
            return frozenset({NO_SPACE})
        for lun in self.placed_on(old):
            for plex in lun.plexes:
                plex.placed = tuple((new if name == old else name, size) for name, size in plex.placed)
            lun.stale = {new if name == old else name for name in lun.stale}
        self._joins(other, one.pool)
        self._leaves(one)
        return OK

    def _joins(self, drive: Drive, pool: str) -> None:
        """VDS: a spare that was used is none any more; LVM lets new extents be on a new drive."""
        drive.pool, drive.hot_spare, drive.online = pool, False, True

    # How LUNs are.

    def lost(self, lun: Lun) -> list[int]:
        """The sizes of the images, copies or columns, of which a drive is not there."""
        if lun.type == "mirror" or len(lun.plexes) > 1:
            return [sum(size for _, size in plex.placed) for plex in lun.plexes if self._gone(plex)]
        return [size for plex in lun.plexes for name, size in sums(plex.placed).items() if not self._there(name)]

    def _there(self, name: str) -> bool:
        return name in self.drives and self.drives[name].there

    def _gone(self, plex: Plex) -> bool:
        return not all(self._there(name) for name in plex.drives)

    def failed(self, lun: Lun) -> bool:
        """A LUN is failed when more of it is gone than it can be without."""
        lost = len(self.lost(lun))
        if lun.type == "mirror":
            return lost == len(lun.plexes)
        return lost > (lun.shape.parity or lun.shape.copies - 1)

    def healths(self, lun: Lun) -> set[str]:
        """The health that a LUN may have: it is degraded while something of it is gone, and may be until it is recovered
        when that has come back."""
        if self.failed(lun):
            return {"failed"}
        if self.lost(lun):
            return {"degraded"}
        return {"healthy", "degraded", "rebuilding"} if lun.redundant and lun.stale else {"healthy"}

    def plex_healths(self, lun: Lun, plex: Plex) -> set[str]:
        """The same of a plex: a mirror's is failed with its first drive, another LUN's is as the LUN."""
        if lun.type != "mirror":
            return self.healths(lun)
        if self._gone(plex):
            return {"failed"}
        return {"healthy", "failed", "rebuilding"} if plex.drives & lun.stale else {"healthy"}

    def _lun_refusal(self, id: str) -> Codes:
        """README: no such object or deleted, then status failed."""
        if id not in self.luns:
            return frozenset({DELETED if id in self.deleted else NOT_FOUND})
        return frozenset({STATUS_FAILED}) if self.failed(self.luns[id]) else frozenset()

    # LUNs that come.

    def most(self, pool: str, type: str, drives: Sequence[Drive] = ()) -> int | None:
        """The bytes of the largest LUN of that type that the pool's free extents can be, None when it would take more
        drives than there are."""
        shape = SHAPES[type]
        candidates = list(drives) or self.usable(pool)
        if self.incomplete(pool):
            return 0
        if not candidates:
            return None
        own = self.kind.own if type in REDUNDANT else 0
        rooms = sorted(
            (drive.room if any(size > own for size in drive.free) else 0 for drive in candidates), reverse=True
        )
        if type == "span":
            return sum(rooms)
        counts = [1]
        if type in STRIPED:
            given = [(len(drives) - shape.parity) // shape.copies]
            counts = given if drives else list(range(shape.least, self.kind.most_columns + 1))
        counts = [count for count in counts if count >= shape.least and shape.width(count) <= len(rooms)]
        if not counts:
            return None
        return max(0, *(count * (rooms[shape.width(count) - 1] - own) for count in counts))

    def create(
        self, type: str, size: int, drives: Sequence[str], hints: Mapping[str, Any] | None, pools: Sequence[str] = ()
    ) -> tuple[Codes, str]:
        """VDS, docs/automagic.md: the codes, and for OK the type that the LUN gets."""
        errors, chosen = self._chosen(drives)
        wrong = set(errors)
        if type == "unknown" or size <= 0:
            wrong.add(INVALID)
        if type in AUTOMAGIC:
            if drives:
                wrong.add(NOT_SUPPORTED)
        elif type != "unknown" and (type not in self.kind.types or not goes_with(type, hints)):
            wrong.add(NOT_SUPPORTED)
        if wrong:
            return frozenset(wrong), ""
        where = {drive.pool for drive in chosen} or pools or self.pools
        supported = [each for each in types_tried(type, hints or {}) if self._possible(each, hints or {})]
        if not supported:
            return frozenset({NOT_SUPPORTED}), ""
        found = [(each, self.most(str(pool), each, chosen)) for each in supported for pool in where]
        for each, most in found:
            if most is not None and most >= rounded(size):
                return OK, each
        return frozenset({NO_DRIVE if all(most is None for _, most in found) else NO_SPACE}), ""

    def _possible(self, type: str, hints: Mapping[str, Any]) -> bool:
        """configuration: a stripe size is a power of two that LVM has."""
        size = hints.get("stripeSize") or 65536
        possible = not size & (size - 1) and 4096 <= size <= MIB
        return type in self.kind.types and (possible or type not in ("stripe", "raid10"))

    def created(
        self,
        id: str,
        type: str,
        size: int,
        drives: Sequence[str],
        hints: Mapping[str, Any],
        plexes: Sequence[Plex],
        pools: Sequence[str] = (),
    ) -> None:
        """The LUN got that id and lies there. What the provider chose follows the laws."""
        assert id not in self.luns
        assert id not in self.deleted
        shape = SHAPES[type]
        names = [name for plex in plexes for name in sums(plex.placed)]
        (pool,) = {self.drives[name].pool for name in names}
        assert pool
        assert all(self.drives[name] in self.usable(pool) for name in names)
        assert len(plexes) == (2 if type == "mirror" else 1)
        if type != "span":
            assert len(names) == len(set(names)), f"two parts of {type} on one drive: {names}"
        columns = (len(names) - shape.parity) // shape.copies if type in STRIPED else 1
        assert type == "span" or len(names) == shape.width(columns)
        assert columns >= shape.least
        assert drives or columns <= max(1, self.kind.most_columns)
        share = up(rounded(size), columns * MIB)
        chosen = [self.drives[name] for name in dict.fromkeys(drives)]
        if not drives:
            # docs/automagic.md: in the pool with the most room for it.
            rooms = {other: self.most(other, type) or 0 for other in pools or self.pools}
            assert rooms.get(pool) == max(rooms.values()), f"{id} is in {pool}, and there is room for {rooms}"
        elif type == "span":
            assert plexes[0].placed == in_order(chosen, rounded(size))
        else:
            each = share // columns + (self.kind.own if type in REDUNDANT else 0)
            roomy = [drive.name for drive in chosen if drive.room >= each]
            assert set(names) == set(roomy[: shape.width(columns)]), f"{names} of {chosen}"
        stripe_size = 0
        if type in STRIPED:
            stripe_size = (hints.get("stripeSize") or 65536) if type in ("stripe", "raid10") else 65536
        self.luns[id] = Lun(id, pool, type, share, columns, stripe_size, list(plexes), dict(hints))
        self._check_sizes(self.luns[id])

    def _check_sizes(self, lun: Lun) -> None:
        """The extents add up to the size: once for each copy, and as much more as parity takes."""
        for plex in lun.plexes:
            total = sum(size for _, size in plex.placed)
            if lun.type in STRIPED:
                assert total * lun.columns == lun.size * lun.shape.width(lun.columns), f"{plex} of {lun}"
            else:
                assert total == lun.size, f"{plex} of {lun}"
        if len(lun.plexes) > 1:
            assert sum(len(plex.drives) for plex in lun.plexes) == len(lun.drives), f"plexes share a drive: {lun}"

    # LUNs that change and go.

    def check_growth(self, lun: Lun, room: int) -> None:
        """QueryMaxLunExtendSize without drives: what its type and the free extents allow."""
        usable = {drive.name: drive.room for drive in self.usable(lun.pool)}
        if self.incomplete(lun.pool):
            assert room == 0
            return
        everything = sum(usable.values())
        if lun.type == "simple":
            assert room == sum(usable.get(name, 0) for name in lun.drives)
        elif lun.type == "span":
            assert room == everything
        else:
            assert room <= everything
            if sum(len(plex.drives) for plex in lun.plexes) == lun.shape.width(lun.columns):
                # Each column or copy can at least go on where it is.
                assert room >= lun.columns * min(usable.get(name, 0) for name in lun.drives)

    def query_growth(self, id: str, drives: Sequence[str]) -> Codes:
        """VDS, api: by how much a LUN can grow on these drives."""
        if refusal := self._lun_refusal(id):
            return refusal
        errors, chosen = self._chosen(drives)
        foreign = any(drive.pool not in (None, self.luns[id].pool) for drive in chosen)
        return (errors | {NOT_SUPPORTED} if foreign else errors) or OK

    def extend(self, id: str, size: int, drives: Sequence[str], room: int) -> Codes:
        """VDS: by at least so many bytes, or not at all; when the drives given are full, others are used. `extended`
        when it was."""
        if refusal := self._lun_refusal(id):
            return refusal
        lun = self.luns[id]
        errors = set(self.query_growth(id, drives) - OK)
        if size <= 0:
            errors.add(INVALID)
        elif not errors and rounded(lun.size + size) - lun.size > room:
            errors.add(NO_SPACE)
        return frozenset(errors) or OK

    def extended(self, id: str, size: int, drives: Sequence[str], placed: Sequence[Placed]) -> None:
        """It lies there now."""
        lun = self.luns[id]
        before = lun.size
        lun.size += up(rounded(lun.size + size) - lun.size, lun.columns * MIB)
        for plex, now in zip(lun.plexes, placed, strict=True):
            if lun.type in STRIPED:
                held = sums(now)
                assert all(held.get(name, 0) >= size for name, size in sums(plex.placed).items())
            else:
                assert cut(now, before) == plex.placed, f"what was there has moved: {plex.placed}, {now}"
            if lun.type == "simple":
                assert len(now) == 1
            if lun.type == "span" and drives:
                new = lun.size - before
                chosen = [self.drives[name] for name in dict.fromkeys(drives)]
                first = in_order(chosen, min(new, sum(drive.room for drive in chosen)))
                assert cut(after(now, before), sum(size for _, size in first)) == first
            plex.placed = now
        self._check_sizes(lun)

    def shrink(self, id: str, size: int) -> Codes:
        """VDS: by at most so many bytes; some must stay."""
        if refusal := self._lun_refusal(id):
            return refusal
        lun = self.luns[id]
        if not 0 < size < lun.size:
            return frozenset({INVALID})
        # configuration: in a group that misses a drive, LVM changes nothing but by repairing and deleting.
        return frozenset({FAILURE}) if self.incomplete(lun.pool) else OK

    def shrunk(self, id: str, size: int, placed: Sequence[Placed]) -> None:
        """It lies there now: the end is gone."""
        lun = self.luns[id]
        lun.size = up(rounded(lun.size - size), lun.columns * MIB)
        for plex, now in zip(lun.plexes, placed, strict=True):
            if lun.type in STRIPED:
                held = sums(plex.placed)
                assert all(held.get(name, 0) >= size for name, size in sums(now).items())
            else:
                assert now == cut(plex.placed, lun.size)
            plex.placed = now
        self._check_sizes(lun)

    def delete(self, id: str) -> Codes:
        """VDS, api: also one that has failed because a drive is gone. configuration: a drive that is missing leaves its
        group when nothing lies on it any more."""
        if id not in self.luns:
            return self._lun_refusal(id)
        pool = self.luns[id].pool
        self._gone_for_good(id)
        self._forget_missing(pool)
        return OK

    def _forget_missing(self, pool: str) -> None:
        for drive in self.members(pool):
            if not drive.there and not self.placed_on(drive.name):
                self._leaves(drive)

    def _gone_for_good(self, id: str) -> None:
        lun = self.luns.pop(id)
        self.deleted[id] = "Lun"
        self.deleted.update(dict.fromkeys((plex.id for plex in lun.plexes), "LunPlex"))

    # Plexes.

    def add_plex(self, id: str, other: str) -> Codes:
        """VDS, README: the other LUN, which is as large at least, becomes a plex. `added` when it did; what fails has
        changed nothing."""
        if refusal := self._lun_refusal(id):
            return refusal
        if other not in self.luns:
            return frozenset({NOT_FOUND})
        lun, source = self.luns[id], self.luns[other]
        if id == other or lun.pool != source.pool or lun.type not in (*LINEAR, "mirror") or source.size < lun.size:
            return frozenset({INVALID_OPERATION})
        if any(plex.drives <= lun.drives for plex in source.plexes):
            return frozenset({INVALID_OPERATION})
        if self.incomplete(lun.pool) or not all(self.drives[name].online for name in source.drives):
            return frozenset({NO_SPACE, NO_DRIVE})
        need = lun.size + self.kind.own
        rooms = [
            sum(self.drives[name].room + size for name, size in plex.placed if name not in lun.drives)
            for plex in source.plexes
        ]
        tight = min(rooms) < need + MIB
        if self.kind.own and lun.type != "mirror":
            # A mirror of LVM's takes an extent of the first copy's drives, too.
            tight = tight or sum(drive.room for drive in self.usable(lun.pool) if drive.name in lun.drives) < MIB
        return frozenset({*OK, NO_SPACE, NO_DRIVE}) if tight else OK

    def added(self, id: str, other: str, plexes: Sequence[Plex]) -> None:
        """These are the LUN's plexes now."""
        lun, source = self.luns[id], self.luns[other]
        own = len(lun.plexes)
        assert len(plexes) == own + len(source.plexes)
        for before, now in zip(lun.plexes, plexes, strict=False):
            assert (now.id, now.placed) == (before.id, before.placed)
        assert not {plex.id for plex in plexes[own:]} & set(self.deleted)
        for plex, absorbed in zip(plexes[own:], source.plexes, strict=True):
            assert plex.drives <= absorbed.drives, f"{plex} is not where {absorbed} was"
        lun.plexes += plexes[own:]
        lun.type = "mirror"
        self._check_sizes(lun)
        self._gone_for_good(other)

    def remove_plex(self, id: str, plex: str) -> Codes:
        """VDS: neither the only nor the original one."""
        if refusal := self._lun_refusal(id):
            return refusal
        lun = self.luns[id]
        places = {each.id: place for place, each in enumerate(lun.plexes)}
        if plex not in places:
            return frozenset({NOT_FOUND})
        if places[plex] == 0:
            return frozenset({INVALID_OPERATION})
        if self.incomplete(lun.pool):
            return frozenset({FAILURE})
        del lun.plexes[places[plex]]
        self.deleted[plex] = "LunPlex"
        if len(lun.plexes) == 1:
            lun.type = "span" if len(lun.drives) > 1 else "simple"
        lun.stale &= lun.drives
        return OK

    def recover(self, id: str) -> Codes:
        """VDS, api: what is gone is rebuilt on free drives of the pool, or on hot spares. `recovered` when it was."""
        if refusal := self._lun_refusal(id):
            return refusal
        lun = self.luns[id]
        if not lun.redundant:
            return frozenset({INVALID_OPERATION})
        lost = self.lost(lun)
        if not lost or self._fit(lun, lost, self.usable(lun.pool)):
            return OK
        spares = self._spares()
        for spare in spares:
            spare.free = (spare.size - self.kind.label,)
        fits = self._fit(lun, lost, [*self.usable(lun.pool), *spares])
        for spare in spares:
            spare.free = (spare.size,)
        return OK if fits else frozenset({NO_DRIVE})

    def _spares(self) -> list[Drive]:
        return [
            drive
            for drive in self.drives.values()
            if drive.hot_spare and drive.online and drive.there and not drive.pool
        ]

    def _fit(self, lun: Lun, lost: Sequence[int], drives: Iterable[Drive]) -> bool:
        """Whether each image finds a drive of its own: the largest on the roomiest."""
        own = self.kind.own
        rooms = sorted(
            (d.room for d in drives if d.name not in lun.drives and any(size > own for size in d.free)), reverse=True
        )
        wanted = sorted((size + own for size in lost), reverse=True)
        return len(rooms) >= len(wanted) and all(room >= size for room, size in zip(rooms, wanted, strict=False))

    def recovered(self, id: str, placed: Sequence[Placed], assigned: Iterable[str]) -> None:
        """It is whole again and lies there now; these drives are in its pool now."""
        lun = self.luns[id]
        lost = self.lost(lun)
        taken = [spare for spare in self._spares() if spare.name in assigned]
        assert all(any(spare.name in sums(now) for now in placed) for spare in taken), "a spare was taken for nothing"
        for spare in taken:
            self._joins(spare, lun.pool)
        for plex, now in zip(lun.plexes, placed, strict=True):
            kept = [name for name in plex.drives if self._there(name)]
            if lun.type == "mirror":
                assert self._gone(plex) or now == plex.placed, f"{plex} was whole, and is at {now}"
            else:
                assert all(sums(now)[name] == sums(plex.placed)[name] for name in kept)
            for name in sums(now):
                new = name not in plex.drives
                assert self._there(name)
                assert not new or name not in lun.drives
                assert not new or self.drives[name].online
            plex.placed = now
        lun.stale.clear()
        self._check_sizes(lun)
        if lost:
            self._forget_missing(lun.pool)

    # Hints.

    def apply_hints(self, id: str, hints: Mapping[str, Any]) -> Codes:
        """VDS: for the LUN and all its plexes; a hint that is not given does not count (api)."""
        if refusal := self._lun_refusal(id):
            return refusal
        if bad_hints(hints):
            return frozenset({INVALID})
        lun = self.luns[id]
        lun.hints.update(hints)
        if "rebuildPriority" in hints:
            for plex in lun.plexes:
                plex.rebuild_priority = hints["rebuildPriority"]
        return OK

    def apply_plex_hints(self, plex_id: str, hints: Mapping[str, Any]) -> Codes:
        """VDS: for the plex alone; only its rebuild priority means anything there (api)."""
        owners = [(lun, plex) for lun in self.luns.values() for plex in lun.plexes if plex.id == plex_id]
        if not owners:
            return frozenset({DELETED if plex_id in self.deleted else NOT_FOUND})
        ((lun, plex),) = owners
        if "failed" in self.plex_healths(lun, plex):
            return frozenset({STATUS_FAILED})
        if bad_hints(hints):
            return frozenset({INVALID})
        plex.rebuild_priority = hints.get("rebuildPriority", plex.rebuild_priority)
        return OK

    def hints_in_force(self, lun: Lun, plex: Plex | None = None) -> dict[str, Any]:
        """VDS, api: what the volume and the kernel have, whatever was wished, and wishes for the future."""
        line = lun.stripe_size * lun.columns
        priority = lun.hints.get("rebuildPriority", 0)
        if plex and plex.rebuild_priority is not None:
            priority = plex.rebuild_priority
        return {
            "expectedMaximumSize": lun.hints.get("expectedMaximumSize", 0),
            "optimalReadSize": line,
            "optimalReadAlignment": lun.stripe_size,
            "optimalWriteSize": line,
            "optimalWriteAlignment": lun.stripe_size,
            "maximumDriveCount": lun.hints.get("maximumDriveCount", 0),
            "stripeSize": lun.stripe_size,
            "fastCrashRecoveryRequired": lun.redundant,
            "mostlyReads": lun.hints.get("mostlyReads", False),
            "optimizeForSequentialReads": lun.columns > 1,
            "optimizeForSequentialWrites": lun.columns > 1,
            "remapEnabled": False,
            "readBackVerifyEnabled": False,
            "writeThroughCachingEnabled": True,
            "hardwareChecksumEnabled": False,
            "isYankable": lun.columns == 1,
            "rebuildPriority": priority,
        }

    # What queries answer.

    def queries(self) -> Iterator[Query]:
        """Every query whose answer is certain; those with a choice are the machine's to check."""
        drives = sorted(self.drives.values(), key=lambda drive: drive.slot)
        found = [self._drive_properties(drive) for drive in drives]
        yield Query("SubSystem.QueryDrives", {"id": self.sub_system}, {"drives": found}, ordered=True)
        for drive, properties in zip(drives, found, strict=True):
            hresult = 0 if drive.there else INCOMPLETE
            yield Query("Drive.GetProperties", {"id": drive.id}, {"hresult": hresult, "properties": properties})
            place = {"id": self.sub_system, "busNumber": 0, "slotNumber": drive.slot}
            yield Query("SubSystem.GetDrive", place, {"drive": drive.id})
        for lun in self.luns.values():
            failed = self.failed(lun)
            hints = self.hints_in_force(lun)
            yield Query("Lun.QueryHints", {"id": lun.id}, STATUS_FAILED if failed else {"hints": hints})
            for plex in lun.plexes:
                yield Query("LunPlex.GetLun", {"id": plex.id}, {"lun": lun.id})
                healths = self.plex_healths(lun, plex)
                own: dict[str, Any] | str = {"hints": self.hints_in_force(lun, plex)}
                if "failed" not in healths:
                    yield Query("LunPlex.QueryHints", {"id": plex.id}, own)
                elif healths == {"failed"}:
                    yield Query("LunPlex.QueryHints", {"id": plex.id}, STATUS_FAILED)
        for id, interface in list(self.deleted.items())[-6:]:
            yield Query(f"{interface}.GetProperties", {"id": id}, DELETED)

    def _drive_properties(self, drive: Drive) -> dict[str, Any]:
        status = "online" if drive.online else "offline"
        flags = ["assigned" if drive.pool else "unassigned"]
        size = drive.size
        if not drive.there:
            status = "removed"
            size = self.capacity(drive) if drive.pool else 0
        return {
            "id": drive.id,
            "size": size,
            "friendlyName": drive.friendly_name if drive.there else drive.identification,
            "identification": drive.identification,
            "flags": ["hotspare", *flags, "hotspare_standby"] if drive.hot_spare else flags,
            "status": status,
            "health": "healthy" if drive.there else "unknown",
            "internalBusNumber": 0,
            "slotNumber": drive.slot,
        }

    def lun_properties(self, lun: Lun) -> dict[str, Any]:
        """VDS_LUN_PROP but for status and health."""
        return {
            "id": lun.id,
            "size": lun.size,
            "friendlyName": "",
            "identification": lun.id,
            "unmaskingList": "",
            "flags": ["write_through_caching_enabled"],
            "type": lun.type,
            "transitionState": "stable",
            "rebuildPriority": lun.hints.get("rebuildPriority", 0),
        }

    def plex_properties(self, lun: Lun, plex: Plex) -> dict[str, Any]:
        """VDS_LUN_PLEX_PROP but for status and health. VDS: a mirror's plexes are simple, or spans."""
        type = lun.type
        if type == "mirror":
            type = "span" if len(plex.drives) > 1 else "simple"
        priority = self.hints_in_force(lun, plex)["rebuildPriority"]
        return {
            "id": plex.id,
            "size": lun.size,
            "type": type,
            "transitionState": "stable",
            "flags": [],
            "stripeSize": lun.stripe_size,
            "rebuildPriority": priority,
        }

    def pool_properties(self, pool: str) -> dict[str, Any]:
        """VDS_STORAGE_POOL_PROP, as far as it is about space."""
        total = sum(self.capacity(drive) for drive in self.members(pool))
        free = 0 if self.incomplete(pool) else sum(drive.room for drive in self.usable(pool))
        return {
            "id": self.pools[pool],
            "status": "online",
            "health": "healthy",
            "type": "concrete",
            "name": pool,
            "totalConsumedSpace": total,
            "totalManagedSpace": total,
            "remainingFreeSpace": free,
            "subSystem": self.sub_system,
        }

    def saw_extents(self, pool: str, found: Sequence[Mapping[str, Any]]) -> None:
        """StoragePool.QueryDriveExtents: what is used is the LUNs' and what a RAID has for itself, what is free is told,
        and both make up the drive."""
        by_id = {drive.id: drive for drive in self.members(pool) if drive.there}
        assert {entry["id"] for entry in found} <= set(by_id)
        overhead = 0
        for id, drive in by_id.items():
            mine = [entry for entry in found if entry["id"] == id]
            drive.free = tuple(entry["size"] for entry in mine if not entry["used"])
            used = sum(entry["size"] for entry in mine if entry["used"])
            assert used + drive.room == self.capacity(drive), f"{drive.name} has {mine}"
            plexes = [plex for lun in self.luns.values() for plex in lun.plexes]
            bytes_of_luns = sum(sums(plex.placed).get(drive.name, 0) for plex in plexes)
            assert used >= bytes_of_luns, f"{drive.name} has {used} bytes in use, and {bytes_of_luns} are of LUNs"
            overhead += used - bytes_of_luns
        if not self.incomplete(pool):
            luns = [lun for lun in self.luns.values() if lun.pool == pool and lun.redundant]
            images = sum(lun.shape.width(lun.columns) if lun.type in STRIPED else len(lun.plexes) for lun in luns)
            assert overhead == images * self.kind.own, f"{pool}: {overhead} bytes are nobody's"


# docs/automagic.md.
_TABLE: tuple[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...] = (
    (("default", "non_fault_tolerant"), ("isYankable",), ("simple",)),
    (("default", "non_fault_tolerant"), ("maximumDriveCount",), ("simple",)),
    (
        ("default", "non_fault_tolerant"),
        ("optimizeForSequentialReads", "optimizeForSequentialWrites", "stripeSize"),
        ("stripe", "simple", "span"),
    ),
    (("default", "non_fault_tolerant"), (), ("simple", "span")),
    (("fault_tolerant",), ("fastCrashRecoveryRequired", "isYankable"), ("mirror",)),
    (("fault_tolerant",), ("mostlyReads", "reads alone"), ("parity", "mirror")),
    (("fault_tolerant",), ("optimizeForSequentialWrites", "stripeSize"), ("raid10", "mirror", "parity")),
    (("fault_tolerant",), (), ("mirror", "parity")),
)


def goes_with(type: str, hints: Mapping[str, Any] | None) -> bool:
    """README: hints go with automagic types, but for a stripeSize alone, which goes with what is striped."""
    given = [name for name, value in (hints or {}).items() if value is not None]
    return hints is None or (type in ("stripe", "raid10") and given == ["stripeSize"])


def types_tried(type: str, hints: Mapping[str, Any]) -> tuple[str, ...]:
    """docs/automagic.md: the first line that applies names the types, in order; a concrete type is itself."""
    if type not in AUTOMAGIC:
        return (type,)
    wished = {name for name, value in hints.items() if value}
    if hints.get("maximumDriveCount") != 1:
        wished.discard("maximumDriveCount")
    if "optimizeForSequentialReads" in wished and "optimizeForSequentialWrites" not in wished:
        wished.add("reads alone")
    return next(types for asked, when, types in _TABLE if type in asked and (not when or wished & set(when)))


def bad_hints(hints: Mapping[str, Any]) -> bool:
    """api: no number is negative, and a rebuild priority is 0 to 15."""
    numbers = [value for value in hints.values() if isinstance(value, int) and not isinstance(value, bool)]
    return any(number < 0 for number in numbers) or hints.get("rebuildPriority", 0) > 15


def rounded(size: int) -> int:
    """In whole extents."""
    return up(size, MIB)


def up(size: int, unit: int) -> int:
    """The next multiple."""
    return -(-size // unit) * unit


def in_order(drives: Sequence[Drive], size: int) -> Placed:
    """VDS: each drive is exhausted before the next."""
    placed = []
    for drive in drives:
        part = min(size, drive.room)
        if part:
            placed.append((drive.name, part))
        size -= part
    assert size == 0
    return tuple(placed)


def merged(extents: Iterable[tuple[str, int]]) -> Placed:
    """Neighbours on one drive as one."""
    found: list[tuple[str, int]] = []
    for name, size in extents:
        if found and found[-1][0] == name:
            found[-1] = (name, found[-1][1] + size)
        else:
            found.append((name, size))
    return tuple(found)


def cut(placed: Placed, size: int) -> Placed:
    """The first so many bytes."""
    found = []
    for name, part in placed:
        if size > 0:
            found.append((name, min(part, size)))
        size -= part
    return tuple(found)


def after(placed: Placed, size: int) -> Placed:
    """What is behind the first so many bytes."""
    found = []
    for name, part in placed:
        if part > size:
            found.append((name, part - max(0, size)))
        size -= part
    return tuple(found)


def sums(placed: Placed) -> dict[str, int]:
    """Bytes by drive."""
    found: dict[str, int] = {}
    for name, size in placed:
        found[name] = found.get(name, 0) + size
    return found
