"""The host itself: facts in memory."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection, Container, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

from vdsprovd.hardware import (
    Access,
    Acl,
    BlockDevice,
    Count,
    Disk,
    Fact,
    HardwareError,
    Identity,
    InitiatorConnection,
    Key,
    Maintenance,
    Mismatch,
    Pool,
    Refused,
    Step,
    Stranger,
    TargetNode,
    Unit,
    designators,
)
from vdsprovd.hardware.simulator.delay import sleep
from vdsprovd.hardware.simulator.drives import SimulatedMaintenance
from vdsprovd.model import ForeignObject, ForeignType, PathStatus


def _nobody_watches(_what: object = None) -> None:
    pass


_PATH_STATUS = {
    Access.ACTIVE: PathStatus.ONLINE,
    Access.STANDBY: PathStatus.STANDBY,
    Access.UNAVAILABLE: PathStatus.FAILED,
}


class Simulator:
    """A host without a kernel target."""

    def __init__(
        self,
        pools: Mapping[tuple[str, str], Pool],
        addresses: Collection[str] = ("127.0.0.1",),
        initiators: Collection[str] = ("iqn.2026-11.org.example:simulated",),
    ) -> None:
        self.pools = pools
        self.facts: dict[Key, Fact] = {}
        self._users: Counter[Key] = Counter()
        self.peculiar: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
        """For tests: by the name of a stranger, what lapses and what is in the way."""
        self.rivalry: tuple[str, ...] = ()
        self.silent = False
        """Whether it gives no hints of changes, like a kernel whose watches have run out."""
        self._told: set[Callable[[Collection[Key]], object]] = set()
        self.connected: dict[str, list[InitiatorConnection]] = {}
        self.counts: dict[tuple[Key, Count], int] = {}
        """For tests: what was counted, by the object's key. Without bytes nothing is, but sessions."""
        self.fault: Callable[[Step], None] | None = None
        self.scan_fault: HardwareError | None = None
        self.delay = 0.0
        self.drives_changed: Callable[[], object] = _nobody_watches
        """For tests: udev says that a disk came, went or changed."""
        self.volumes_changed: Callable[[Collection[str] | None], object] = _nobody_watches
        """For tests: somebody touched the files of these LUNs, or of any."""
        self.maintenance: Maintenance = SimulatedMaintenance()
        self.disks: list[BlockDevice] = []
        self._addresses = addresses
        self._initiators = initiators
        self._lock = threading.Lock()

    def foreign(self, targets: Container[str], disks: Container[Key]) -> Collection[ForeignObject]:
        return [ForeignObject(entry.type, entry.name, "") for entry in self.strangers(targets, disks)]

    def strangers(self, targets: Container[str], disks: Container[Key]) -> Collection[Stranger]:
        with self._lock:
            facts = list(self.facts.values())
        found: dict[str, tuple[ForeignType, list[Fact]]] = {}
        for fact in facts:
            match fact:
                case Disk(lun, number) if fact.key not in disks:
                    found[f"{number}/{lun}"] = ForeignType.STORAGE_OBJECT, [fact]
                case TargetNode(target) if target not in targets:
                    found[target] = (
                        ForeignType.TARGET,
                        [entry for entry in facts if getattr(entry, "target", "") == target],
                    )
        return [
            Stranger(kind, name, tuple(of_it), *self.peculiar.get(name, ())) for name, (kind, of_it) in found.items()
        ]

    def rivals(self, targets: Container[str]) -> Collection[str]:
        return self.rivalry

    def read(self, target: str | None = None, needed: Container[str] | None = None) -> list[Fact]:
        if self.scan_fault:
            raise self.scan_fault
        with self._lock:
            return [fact for fact in self.facts.values() if target is None or getattr(fact, "target", None) == target]

    def discover(self, needed: Container[str] | None = None) -> None:
        self.read(needed=needed)

    def look(self, keys: Collection[Key]) -> list[Fact]:
        with self._lock:
            return [self.facts[key] for key in keys if key in self.facts]

    async def changes(self) -> AsyncGenerator[Collection[Key] | None, None]:
        touched: list[Key] = []
        told, loop = asyncio.Event(), asyncio.get_running_loop()

        def tell(keys: Collection[Key]) -> None:
            if not touched:
                loop.call_soon_threadsafe(told.set)
            touched.extend(keys)

        with self._lock:
            self._told.add(tell)
        try:
            yield None
            while await told.wait():
                with self._lock:
                    keys = tuple(touched)
                    touched.clear()
                    told.clear()
                yield keys
        finally:
            with self._lock:
                self._told.discard(tell)

    def taker(self) -> AbstractContextManager[Callable[[Step], None]]:
        return nullcontext(self.take)

    def take(self, step: Step) -> None:
        if self.fault:
            self.fault(step)
        sleep(self.delay)
        with self._lock:
            self._tell(step)
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

    def _tell(self, step: Step) -> None:
        fact = step.after or step.before
        if fact and not self.silent:
            for tell in self._told:
                tell([fact.key])

    def existing(self, targets: Collection[str]) -> Collection[str]:
        return [target for target in targets if TargetNode(target).key in self.facts]

    def sessions(self, target: str) -> Collection[str]:
        if TargetNode(target).key not in self.facts:
            raise Mismatch(f"target {target} is not there")
        return sorted({name for connection in self.connected.get(target, ()) for name in connection.initiators})

    def connections(self, target: str) -> Collection[InitiatorConnection]:
        if TargetNode(target).key not in self.facts:
            raise Mismatch(f"target {target} is not there")
        return list(self.connected.get(target, ()))

    def count(self, of: Disk | Unit | TargetNode, what: Count) -> int | None:
        if of.key not in self.facts:
            return None
        if isinstance(of, TargetNode) and what is Count.SESSIONS:
            return len(self.connected.get(of.target, ()))
        return self.counts.get((of.key, what))

    def path_status(self, unit: Unit) -> PathStatus:
        if unit.key not in self.facts:
            raise Mismatch(f"{unit} is not there")
        disk = self.facts[Disk, unit.lun, unit.number]
        assert isinstance(disk, Disk)
        return _PATH_STATUS[disk.access]

    def identity(self, disk: Disk) -> Identity:
        if disk.key not in self.facts:
            raise Mismatch(f"the disk of LUN {disk.lun} is not there")
        return Identity(
            "LIO-ORG ",
            "vdsprovd        ",
            "4.0 ",
            disk.lun,
            (
                designators.naa(disk.lun),
                designators.t10("LIO-ORG", "vdsprovd", disk.lun),
                designators.logical_unit_group(0),
            ),
        )

    def drives(self, own: Collection[str]) -> Collection[BlockDevice]:
        return [disk for disk in self.disks if disk.serial not in own]

    @contextmanager
    def watch_drives(self, changed: Callable[[], None]) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        self.drives_changed = lambda: loop.call_soon_threadsafe(changed)
        try:
            yield
        finally:
            self.drives_changed = _nobody_watches

    @contextmanager
    def watch_volumes(self, changed: Callable[[Collection[str] | None], None]) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        self.volumes_changed = lambda luns: loop.call_soon_threadsafe(changed, luns)
        try:
            yield
        finally:
            self.volumes_changed = _nobody_watches

    def scan(self) -> AbstractContextManager[None]:
        if self.scan_fault:
            raise self.scan_fault
        return nullcontext()

    def flush(self) -> None:
        """Nothing is cached."""

    def drop_caches(self, paths: Collection[str]) -> None:
        """Nothing is cached."""

    def addresses(self) -> Mapping[str, bool]:
        return dict.fromkeys(self._addresses, True)

    def local_initiators(self) -> Collection[str]:
        return self._initiators
