"""A pool on drives, as a volume group is, and the drives."""

import threading
from collections.abc import Collection, Mapping, Sequence

import msgspec

from vdsprovd.hardware import (
    BlockDevice,
    Condition,
    Extent,
    Fill,
    HardwareError,
    Layout,
    Leg,
    Member,
    Mismatch,
    NoDrives,
    NoSpace,
    Progress,
    Refused,
    Space,
    Unsupported,
    VolumeState,
)
from vdsprovd.hardware.simulator.delay import sleep
from vdsprovd.model import Health, LunType, MaintenanceOperation, StorageBusType

SIMULATED_DRIVE = 1 << 30
"""Bytes of a drive that a pool takes."""


class SimulatedDrivePool:
    """A pool of drives without bytes: sizes by device node. Legs lie on drives of their own, as with LVM.

    For tests: `dead` are drives that are missing, and `delay` is what long work takes, in seconds.
    """

    granule = 1 << 20
    sparse = False
    block = True
    types: Collection[LunType] = (
        LunType.SIMPLE,
        LunType.SPAN,
        LunType.STRIPE,
        LunType.MIRROR,
        LunType.PARITY,
        LunType.RAID5,
    )

    def __init__(self, drives: Mapping[str, int], delay: float = 0.0) -> None:
        self.drives = dict(drives)
        self.delay = delay
        self.dead: set[str] = set()
        self.new_drives: dict[str, int] = {}
        """The sizes of drives that the pool may take, where they are not the usual one."""
        self.refused: set[str] = set()
        self.fails_to_add = False
        self.legs: dict[str, list[list[Extent]]] = {}
        self.layouts: dict[str, Layout] = {}
        self.sizes: dict[str, int] = {}
        self._lock = threading.RLock()

    def space(self) -> Space:
        return Space(sum(self.drives.values()), 0 if self._missing() else sum(self._usable().values()))

    def fill(self) -> Fill | None:
        return None

    def _missing(self) -> bool:
        """Whether a drive is missing. As with LVM, the pool makes and extends nothing then."""
        return not self.dead.isdisjoint(self.drives)

    def _complete(self) -> None:
        if self._missing():
            raise NoSpace("a drive of the pool is missing, and so it makes and extends nothing")

    def _free(self) -> dict[str, int]:
        with self._lock:
            free = {node: size for node, size in self.drives.items() if node not in self.dead}
            for extent in (extent for legs in self.legs.values() for leg in legs for extent in leg):
                if extent.drive in free:
                    free[extent.drive] -= extent.size
        return free

    def _usable(self) -> dict[str, int]:
        return {node: free for node, free in self._free().items() if node not in self.refused}

    def _lay(self, lun: str, layout: Layout, size: int) -> tuple[int, list[list[Extent]]]:
        """The columns of data and the legs of a volume of that size. Raises `NoSpace`, `NoDrives`, `Unsupported`."""
        self._check(layout)
        self._complete()
        free = self._usable()
        order = list(layout.drives) or sorted(free, key=free.__getitem__, reverse=True)
        if not order or any(node not in free for node in order):
            raise NoDrives("there is no drive that new volumes may use" if not order else "not all drives can be used")
        if layout.type is LunType.SPAN:
            return 1, [self._take(lun, order, free, size)]
        parity = int(layout.type in _WITH_PARITY)
        copies = 2 if layout.type is LunType.MIRROR else 1
        columns = 1
        if layout.type in _STRIPED:
            columns = layout.columns or (max(2, len(layout.drives) - parity) if layout.drives else 2)
        wide = columns * copies + parity
        if len(order) < wide:
            raise NoDrives(f"{wide} drives are needed for {layout.type.value}, and {len(order)} can be used")
        share = self._share(size, columns)
        roomy = [node for node in order if free[node] >= share][:wide]
        if len(roomy) < wide:
            raise NoSpace(f"{share} bytes are wanted on {wide} drives, and {len(roomy)} have them")
        sides = [self._take(lun, [node], free, share) for node in roomy]
        return columns, sides if layout.type is LunType.MIRROR else [[extent for side in sides for extent in side]]

    def _check(self, layout: Layout) -> None:
        if layout.type not in self.types:
            raise Unsupported(f"the pool holds no LUN of type {layout.type.value}")
        size = layout.stripe_size
        if size and layout.type in _STRIPED and (size & (size - 1) or not 4096 <= size <= self.granule):
            raise Unsupported(f"a stripe size is a power of two from 4096 to {self.granule}, and not {size}")

    def _share(self, size: int, columns: int) -> int:
        return -(-size // columns // self.granule) * self.granule

    def _take(self, lun: str, nodes: Sequence[str], free: Mapping[str, int], size: int) -> list[Extent]:
        extents, left = [], size
        for node in nodes:
            part = min(left, free[node])
            if part:
                extents.append(Extent(node, part, lun))
            left -= part
        if left:
            raise NoSpace(f"{size} bytes are wanted and {size - left} are free on {', '.join(nodes) or 'no drive'}")
        return extents

    def largest(self, layout: Layout) -> int:
        low, high = 0, sum(self.drives.values()) // self.granule
        self._tried(layout, 1)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self._tried(layout, middle) else (low, middle - 1)
        return low * self.granule

    def _tried(self, layout: Layout, granules: int) -> bool:
        try:
            self._lay("", layout, granules * self.granule)
        except NoSpace:
            return False
        return True

    def growth(self, lun: str, drives: Sequence[str] = ()) -> int:
        with self._lock:
            if self._missing():
                return 0
            free = {node: free for node, free in self._usable().items() if not drives or node in drives}
            layout, sides = self.layouts[lun], self._sides(lun)
            if layout.type is LunType.SPAN:
                return sum(free.values())
            return min(free.get(side[-1].drive, 0) for side in sides) * layout.columns

    def _sides(self, lun: str) -> list[list[Extent]]:
        """What grows and shrinks at the same time: a mirror's legs, the columns, or all there is."""
        (first, *others) = self.legs[lun]
        if self.layouts[lun].type in _STRIPED:
            return [[extent] for extent in first]
        return [first, *others]

    def path(self, lun: str) -> str:
        return f"/dev/simulated/{lun}"

    def create(self, lun: str, size: int, layout: Layout, progress: Progress) -> None:
        with self._lock:
            if lun in self.sizes:
                raise Mismatch(f"cannot create volume {lun}: it exists")
            columns, self.legs[lun] = self._lay(lun, layout, size)
            self.sizes[lun] = self._share(size, columns) * columns
            self.layouts[lun] = msgspec.structs.replace(layout, columns=columns)
        try:
            self._wait(progress)
        except HardwareError:
            self.delete(lun)
            raise

    def _wait(self, progress: Progress) -> None:
        for percent in range(0, 100, 20):
            progress(percent)
            sleep(self.delay / 5)

    def flush(self, luns: Sequence[str]) -> Mapping[str, VolumeState]:
        return self.glance(luns)

    def resize(self, lun: str, size: int, drives: Sequence[str], progress: Progress) -> None:
        with self._lock:
            if lun not in self.sizes:
                raise Mismatch(f"cannot resize volume {lun}: it does not exist")
            layout, before = self.layouts[lun], self.legs[lun]
            share = self._share(size, layout.columns)
            sides = self._sides(lun)
            if size > self.sizes[lun]:
                self._complete()
                sides = [self._grown(lun, side, share, drives) for side in sides]
            elif self._missing():
                raise Refused(f"cannot resize volume {lun}: a drive of the pool is missing")
            else:
                sides = [_cut(side, share) for side in sides]
            striped = layout.type in _STRIPED
            self.legs[lun] = [[extent for side in sides for extent in side]] if striped else sides
        try:
            self._wait(progress)
        except HardwareError:
            self.legs[lun] = before
            raise
        self.sizes[lun] = share * layout.columns

    def _grown(self, lun: str, side: Sequence[Extent], size: int, drives: Sequence[str]) -> list[Extent]:
        free = self._usable()
        nodes = [side[-1].drive]
        if self.layouts[lun].type is LunType.SPAN:
            nodes = list(dict.fromkeys([*drives, *nodes, *free]))
        more = self._take(lun, [node for node in nodes if node in free], free, size - sum(e.size for e in side))
        (last, *others) = (side[-1], *more)
        if others and others[0].drive == last.drive:
            last = Extent(last.drive, last.size + others.pop(0).size, lun)
        return [*side[:-1], last, *others]

    def delete(self, lun: str) -> None:
        with self._lock:
            for known in (self.sizes, self.legs, self.layouts):
                known.pop(lun, None)
            self._forget_missing()

    def _forget_missing(self) -> None:
        """Missing drives leave the pool when nothing lies on them any more."""
        used = {extent.drive for legs in self.legs.values() for leg in legs for extent in leg}
        for node in self.dead - used:
            self.drives.pop(node, None)

    def probe(self, lun: str) -> VolumeState:
        with self._lock:
            if lun not in self.sizes:
                return VolumeState(Condition.MISSING, "the volume does not exist")
            layout = self.layouts[lun]
            lost = sum(extent.drive in self.dead for leg in self.legs[lun] for extent in leg)
            legs = tuple(Leg(self._health(leg, layout), tuple(leg)) for leg in self.legs[lun])
        failed = all(leg.health is Health.FAILED for leg in legs)
        return VolumeState(
            Condition.FAILED if failed else Condition.GOOD,
            "its drives are missing" if failed else "",
            self.sizes[lun],
            health=Health.FAILED if failed else Health.DEGRADED if lost else Health.HEALTHY,
            legs=legs,
            stripe_size=(layout.stripe_size or 65536) if layout.type in _STRIPED else 0,
            columns=layout.columns,
        )

    def _health(self, leg: Sequence[Extent], layout: Layout) -> Health:
        lost = sum(extent.drive in self.dead for extent in leg)
        if lost == 1 and layout.type in _WITH_PARITY:
            return Health.DEGRADED
        return Health.FAILED if lost else Health.HEALTHY

    def survey(self, luns: Collection[str], wake: Collection[str] = ()) -> Mapping[str, VolumeState]:
        return {lun: self.probe(lun) for lun in luns}

    def glance(self, luns: Collection[str]) -> Mapping[str, VolumeState]:
        return {lun: self.probe(lun) for lun in luns}

    def volumes(self) -> Collection[str]:
        return list(self.sizes)

    def find(self, path: str) -> VolumeState | None:
        """Nobody else has anything there."""
        return None

    def take_in(self, lun: str, path: str) -> None:
        raise Mismatch(f"there is nothing at {path}")

    def give_back(self, lun: str, path: str) -> None:
        """Nothing was taken in."""

    def rejoin(self) -> None:
        """Those that are not dead are used."""

    def members(self) -> Collection[Member]:
        free = self._free()
        return [
            Member(
                f"member-of-{node}",
                "" if node in self.dead else node,
                size,
                free.get(node, 0),
                allocatable=node not in self.refused,
            )
            for node, size in self.drives.items()
        ]

    def extents(self) -> Collection[Extent]:
        with self._lock:
            used = [extent for legs in self.legs.values() for leg in legs for extent in leg]
            return [*used, *(Extent(node, size) for node, size in self._free().items() if size)]

    def add_leg(self, lun: str, drives: Sequence[str], progress: Progress) -> None:
        if self.fails_to_add:
            raise NoSpace("there is no space for another leg: the test says so")
        with self._lock:
            leg = self._another_leg(lun, drives)
        self._wait(progress)
        self.legs[lun].append(leg)
        self.layouts[lun] = Layout(LunType.MIRROR, columns=1)

    def _another_leg(self, lun: str, drives: Sequence[str]) -> list[Extent]:
        self._complete()
        free, size = self._usable(), self.sizes[lun]
        own = {extent.drive for leg in self.legs[lun] for extent in leg}
        nodes = [node for node in drives or free if node not in own]
        if not nodes or any(node not in free for node in drives):
            raise NoDrives("there is no drive for another leg")
        roomy = [node for node in nodes if free[node] >= size][:1]
        return self._take(lun, roomy or nodes, free, size)

    def check_leg(self, lun: str, drives: Sequence[str], without: str) -> None:
        with self._lock:
            kept = self.legs.pop(without)
            try:
                self._another_leg(lun, drives)
            finally:
                self.legs[without] = kept

    def remove_leg(self, lun: str, leg: int, progress: Progress) -> None:
        if self._missing():
            raise Refused(f"cannot remove leg {leg} of {lun}: a drive of the pool is missing; repair the LUN first")
        self._wait(progress)
        with self._lock:
            del self.legs[lun][leg]
            several = len({extent.drive for extent in self.legs[lun][0]}) > 1
            if len(self.legs[lun]) == 1:
                self.layouts[lun] = Layout(LunType.SPAN if several else LunType.SIMPLE, columns=1)

    def repair(self, lun: str, progress: Progress) -> None:
        if self.layouts[lun].type not in (LunType.MIRROR, *_WITH_PARITY):
            raise Unsupported(f"cannot repair {lun}: it has no redundancy")
        with self._lock:
            free = self._usable()
            own = {extent.drive for leg in self.legs[lun] for extent in leg}
            repaired = []
            for side in self._sides(lun):
                if not any(extent.drive in self.dead for extent in side):
                    repaired.append(side)
                    continue
                size = sum(extent.size for extent in side)
                node = next((node for node in free if node not in own and free[node] >= size), None)
                if node is None:
                    raise NoDrives("there is no drive to rebuild on", wanted=size)
                own.add(node)
                repaired.append([Extent(node, size, lun)])
            if self.layouts[lun].type in _STRIPED:
                repaired = [[extent for side in repaired for extent in side]]
        self._wait(progress)
        with self._lock:
            if self.legs[lun] != repaired:
                self.legs[lun] = repaired
                self._forget_missing()

    def check_complete(self) -> None:
        self._complete()

    def take_drive(self, node: str, *, reserved: bool = False) -> None:
        if node in self.drives:
            raise Mismatch(f"cannot take {node}: it is a drive of the pool already")
        self.drives[node] = self.new_drives.get(node, SIMULATED_DRIVE)
        self.refused.discard(node)

    def release_drive(self, node: str) -> None:
        if any(extent.drive == node for legs in self.legs.values() for leg in legs for extent in leg):
            raise Refused(f"cannot release {node}: there are extents on it")
        del self.drives[node]
        self.refused.discard(node)

    def allow(self, node: str, allocatable: bool) -> None:
        if node not in self.drives:
            raise Mismatch(f"{node} is no drive of the pool")
        if self._missing() and allocatable is (node in self.refused):
            raise Refused(f"cannot change {node}: a drive of the pool is missing")
        sleep(self.delay)
        (self.refused.discard if allocatable else self.refused.add)(node)

    def move(self, old: str, new: str, progress: Progress) -> None:
        moving = sum(
            extent.size for legs in self.legs.values() for leg in legs for extent in leg if extent.drive == old
        )
        if not moving:
            return
        self._complete()
        if moving > self._free()[new]:
            raise NoSpace(f"{moving} bytes are on {old}, and {new} has {self._free()[new]} free")
        self._wait(progress)
        with self._lock:
            self.legs = {
                lun: [
                    [msgspec.structs.replace(extent, drive=new) if extent.drive == old else extent for extent in leg]
                    for leg in legs
                ]
                for lun, legs in self.legs.items()
            }


_WITH_PARITY = (LunType.PARITY, LunType.RAID5)
_STRIPED = (LunType.STRIPE, *_WITH_PARITY)


def _cut(extents: Sequence[Extent], size: int) -> list[Extent]:
    """The first so many bytes."""
    kept = []
    for extent in extents:
        part = min(extent.size, size)
        if part:
            kept.append(msgspec.structs.replace(extent, size=part))
        size -= part
    return kept


def simulated_disk(node: str, size: int = SIMULATED_DRIVE, holder: str = "") -> BlockDevice:
    """A disk of that node, which is well."""
    name = node.rpartition("/")[2]
    return BlockDevice(
        node=node,
        identification=f"serial-{name}",
        name=f"Simulated disk {name}",
        serial=f"serial-{name}",
        size=size,
        bus=StorageBusType.SAS,
        spindle_speed=1,
        enclosure=None,
        slot=None,
        online=True,
        health=Health.HEALTHY,
        holder=holder,
        lvm="",
    )


class SimulatedMaintenance:
    """Drives with lights and motors: `lit` and `stopped` are device nodes."""

    def __init__(self) -> None:
        self.lit: set[str] = set()
        self.stopped: set[str] = set()
        self.delay = 0.0

    def start(self, node: str, operation: MaintenanceOperation) -> None:
        sleep(self.delay)
        match operation:
            case MaintenanceOperation.BLINK_LIGHT:
                self.lit.add(node)
            case MaintenanceOperation.SPIN_DOWN:
                self.stopped.add(node)
            case MaintenanceOperation.SPIN_UP:
                self.stopped.discard(node)
            case MaintenanceOperation.BEEP_ALARM:
                raise Unsupported(f"{node} cannot beep")

    def stop(self, node: str, operation: MaintenanceOperation) -> None:
        self.lit.discard(node)
