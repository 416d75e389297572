"""The port in memory: as strict as the kernel about order and presence, and otherwise dumb. No VDS rule lives here.

Faults are for tests: `fail` makes the next matching step raise, `facts` may be altered behind the daemon's back.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from vdsprovd.hardware import (
    Acl,
    BlockDevice,
    Condition,
    Disk,
    Fact,
    HardwareError,
    Identity,
    Layout,
    Leg,
    Mismatch,
    NoSpace,
    Pool,
    Progress,
    Refused,
    Space,
    Step,
    TargetNode,
    Unsupported,
    VolumeState,
)
from vdsprovd.model import LunType


class SimulatedPool:
    """A pool of sizes without bytes. `broken` maps a LUN's id to the state that its volume shall show."""

    granule = 4096
    sparse = False
    block = False
    types: Collection[LunType] = (LunType.SIMPLE,)

    def __init__(self, total: int, delay: float = 0.0) -> None:
        self.total = total
        self.delay = delay
        self.sizes: dict[str, int] = {}
        self.broken: dict[str, VolumeState] = {}
        self._used = 0
        self._lock = threading.Lock()

    def space(self) -> Space:
        return Space(self.total, self.total - self._used)

    def largest(self, layout: Layout) -> int:
        self._check(layout)
        return self.space().free // self.granule * self.granule

    def growth(self, lun: str, drives: Sequence[str] = ()) -> int:
        return self.largest(Layout(drives=tuple(drives)))

    def path(self, lun: str) -> str:
        return f"/simulated/{lun}"

    def _check(self, layout: Layout) -> None:
        if layout.type not in self.types or layout.drives:
            raise Unsupported("the pool has neither drives nor other types than simple")

    def create(self, lun: str, size: int, layout: Layout, progress: Progress) -> None:
        self._check(layout)
        if lun in self.sizes:
            raise Mismatch(f"cannot create volume {lun}: it exists")
        self._set(lun, size, progress)

    def resize(self, lun: str, size: int, drives: Sequence[str], progress: Progress) -> None:
        self._check(Layout(drives=tuple(drives)))
        if lun not in self.sizes:
            raise Mismatch(f"cannot resize volume {lun}: it does not exist")
        self._set(lun, size, progress)

    def _set(self, lun: str, size: int, progress: Progress) -> None:
        with self._lock:
            growth = size - self.sizes.get(lun, 0)
            if growth > self.total - self._used:
                raise NoSpace(f"{growth} bytes are wanted and {self.total - self._used} are free")
            self._used += growth
        try:
            for percent in range(0, 100, 20):
                progress(percent)
                time.sleep(self.delay / 5)
        except HardwareError:
            with self._lock:
                self._used -= growth
            raise
        self.sizes[lun] = size

    def delete(self, lun: str) -> None:
        with self._lock:
            self._used -= self.sizes.pop(lun, 0)

    def probe(self, lun: str) -> VolumeState:
        if lun in self.broken:
            return self.broken[lun]
        if lun not in self.sizes:
            return VolumeState(Condition.MISSING, "the volume does not exist")
        return VolumeState(Condition.GOOD, size=self.sizes[lun], legs=(Leg(),))

    def survey(self, luns: Collection[str]) -> Mapping[str, VolumeState]:
        return {lun: self.probe(lun) for lun in luns}

    def volumes(self) -> Collection[str]:
        return list(self.sizes)


class Simulator:
    """A host without a kernel target."""

    def __init__(
        self,
        pools: Mapping[tuple[str, str], Pool],
        addresses: Collection[str] = ("127.0.0.1",),
        initiators: Collection[str] = ("iqn.2026-11.org.example:simulated",),
    ) -> None:
        self.pools = pools
        self.facts: dict[tuple[object, ...], Fact] = {}
        self._users: Counter[tuple[object, ...]] = Counter()
        self.connected: dict[str, set[str]] = {}
        self.fault: Callable[[Step], None] | None = None
        self.scan_fault: HardwareError | None = None
        self.delay = 0.0
        self.disks: list[BlockDevice] = []
        self._addresses = addresses
        self._initiators = initiators
        self._lock = threading.Lock()

    def read(self) -> Collection[Fact]:
        if self.scan_fault:
            raise self.scan_fault
        with self._lock:
            return list(self.facts.values())

    def take(self, step: Step) -> None:
        if self.fault:
            self.fault(step)
        if self.delay:
            time.sleep(self.delay)
        with self._lock:
            match step:
                case Step(before=None, after=Fact() as fact):
                    if isinstance(self.facts.get(fact.key), Acl):  # adopted, as in the kernel
                        self.facts[fact.key] = fact
                        return
                    if fact.key in self.facts:
                        raise Mismatch(f"cannot add {fact}: it is there already")
                    for key in fact.needs:
                        if key not in self.facts:
                            raise Mismatch(f"cannot add {fact}: {key} is not there")
                    self._users.update(fact.needs)
                    self.facts[fact.key] = fact
                case Step(before=Fact() as fact, after=None):
                    if fact.key not in self.facts:
                        raise Mismatch(f"cannot remove {fact}: it is not there")
                    if self._users[fact.key]:
                        raise Refused(f"cannot remove {fact}: {self._users[fact.key]} objects use it")
                    del self.facts[fact.key]
                    del self._users[fact.key]
                    self._users.subtract(fact.needs)
                case Step(before=Fact() as old, after=Fact() as new):
                    if old.key not in self.facts:
                        raise Mismatch(f"cannot change {old}: it is not there")
                    self.facts[new.key] = new

    def has_target(self, target: str) -> bool:
        return TargetNode(target).key in self.facts

    def sessions(self, target: str) -> Collection[str]:
        if TargetNode(target).key not in self.facts:
            raise Mismatch(f"target {target} is not there")
        return sorted(self.connected.get(target, ()))

    def identity(self, disk: Disk) -> Identity:
        if disk.key not in self.facts:
            raise Mismatch(f"the disk of LUN {disk.lun} is not there")
        return Identity("LIO-ORG", "vdsprovd", "4.0", disk.lun)

    def drives(self, own: Collection[str]) -> Collection[BlockDevice]:
        return [disk for disk in self.disks if disk.serial not in own]

    def addresses(self) -> Collection[str]:
        return self._addresses

    def local_initiators(self) -> Collection[str]:
        return self._initiators
