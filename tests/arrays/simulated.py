"""An array on the simulator, in the test's process."""

import asyncio
import io
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from tests.arrays.array import (
    ADDRESS,
    INITIATOR,
    SPACE,
    Array,
    decoded,
)
from vdsprovd import administration, backups
from vdsprovd.__main__ import Reload, serve
from vdsprovd.config import check
from vdsprovd.hardware import (
    Access,
    BlockDevice,
    Condition,
    Disk,
    Fact,
    Fill,
    HardwareError,
    InitiatorConnection,
    Listener,
    Mismatch,
    Pool,
    Refused,
    Space,
    Step,
    VolumeFailed,
    VolumeState,
)
from vdsprovd.hardware.simulator import SimulatedDrivePool, SimulatedPool, Simulator, simulated_disk
from vdsprovd.model import Health
from vdsprovd.provider.context import Context
from vdsprovd.store import Store, held
from vdsprovd.varlink import activation


class SimulatedArray(Array):
    """The daemon in a thread of the test's process, on a simulator that outlives it as a kernel would."""

    kind = "simulator"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, folder)
        self.drive_pools: dict[str, SimulatedDrivePool] = {}
        """By name."""
        self._pulled: dict[str, BlockDevice] = {}
        self.pools: dict[tuple[str, str], Pool] = {
            ("array0", "files0"): SimulatedPool(SPACE),
            ("array1", "spare0"): SimulatedPool(SPACE),
        }
        self.hardware = Simulator(self.pools, [ADDRESS, "127.0.0.1"], [INITIATOR])
        self.context: Context
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._reload: Reload
        self._thread: threading.Thread
        self._ready: threading.Event
        self._failures: list[BaseException]

    @property
    def pool(self) -> SimulatedPool:
        """The pool files0."""
        return cast(SimulatedPool, self.pools["array0", "files0"])

    def launch(self) -> None:
        ready = self._ready = threading.Event()
        failures = self._failures = []

        def on_ready(context: Context) -> None:
            self.context = context
            ready.set()

        async def main() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            self._reload = Reload(asyncio.Event(), lambda: check(self.configuration, "test"), "test")
            store = Store(self.folder / "state")
            try:
                listener = activation.bind(self.socket, 0o660, -1)
                configuration = check(self.configuration, "test")
                await serve(
                    configuration, store, self.hardware, listener, self._stop, reload=self._reload, on_ready=on_ready
                )
            finally:
                store.close()

        def run() -> None:
            try:
                asyncio.run(main())
            except BaseException as error:
                failures.append(error)
                ready.set()

        # A daemon that a failed test did not stop must not keep the process from ending.
        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def ready(self) -> None:
        assert self._ready.wait(20)
        if self._failures:
            raise self._failures[0]
        self.connection = self.connect()
        self.call("Provider.GetProperties")

    def stop(self) -> None:
        self.connection.close()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    def reload(self) -> None:
        self._loop.call_soon_threadsafe(self._reload.asked.set)

    def refuses(self) -> str:
        with pytest.raises(backups.StoreError) as refusal:
            Store(self.store.parent)
        return str(refusal.value)

    def rescue(self, backup: Path | None = None) -> dict[str, Any]:
        said = io.StringIO()
        with redirect_stdout(said), held(self.store.parent):
            configuration = check(self.configuration, "test")
            administration.rebuild(configuration, self.hardware, self.store.parent, backup, yes=True, as_json=True)
        return decoded(said.getvalue())

    def lose_kernel(self) -> None:
        disks = self.hardware.disks
        self.hardware = Simulator(self.pools, [ADDRESS, "127.0.0.1"], [INITIATOR])
        self.hardware.disks = disks

    @contextmanager
    def logged_in(self, target: str, *ports: int) -> Iterator[None]:
        name = self.name_of(target)
        listeners = [fact for fact in self.hardware.facts.values() if isinstance(fact, Listener)]
        tags = {fact.port: fact.tag for fact in listeners if fact.target == name}
        self.hardware.connected[name] = [
            InitiatorConnection(tags[port], (INITIATOR,), ADDRESS, (ADDRESS, port)) for port in ports
        ]
        yield
        del self.hardware.connected[name]

    def set_access(self, lun: str, access: Access) -> None:
        (disk,) = (fact for fact in self.hardware.facts.values() if isinstance(fact, Disk) and fact.lun == lun)
        self.hardware.facts[disk.key] = msgspec.structs.replace(disk, access=access)

    def lose_portal(self, target: str) -> None:
        for fact in list(self.hardware.facts.values()):
            if isinstance(fact, Listener) and fact.target == target:
                self.hardware.take(Step(fact, None))

    def facts(self) -> Collection[Fact]:
        return self.hardware.read()

    def meddle(self, steps: Iterable[Step]) -> None:
        for step in steps:
            self.hardware.take(step)

    def kernel(self) -> set[str]:
        return {f"{fact} {fact!r}" for fact in self.hardware.facts.values()}

    def configure_drives(self, pools: Mapping[str, Mapping[str, int]], spares: Mapping[str, int]) -> None:
        members = {name: size for drives in pools.values() for name, size in drives.items()}
        self.drive_pools = {
            pool: SimulatedDrivePool({f"/dev/{name}": size for name, size in drives.items()})
            for pool, drives in pools.items()
        }
        for name, pool in self.drive_pools.items():
            pool.new_drives = {f"/dev/{spare}": size for spare, size in spares.items()}
            self.pools["array2", name] = pool
        self.hardware.disks = [
            simulated_disk(f"/dev/{name}", size, "an LVM physical volume" if name in members else "")
            for name, size in {**members, **spares}.items()
        ]
        self.configuration["subsystem"].append(
            {
                "name": "array2",
                "iqn-prefix": "iqn.2026-11.org.example",
                "portals": [f"{ADDRESS}:3262"],
                "drives": [f"/dev/{name}" for name in spares],
                "pool": [{"name": name, "kind": "files", "path": str(self.folder)} for name in pools],
            }
        )

    def plug_scsi_disk(self, size: int) -> str:
        self.hardware.disks.append(simulated_disk("/dev/sda", size))
        if isinstance(pool := self.pools.get(("array2", "vg0")), SimulatedDrivePool):
            pool.new_drives["/dev/sda"] = size
        return "/dev/sda"

    def store_on_disk(self) -> None:
        pass

    def scsi_disk_dies(self) -> None:
        disks = self.hardware.disks
        disks[-1] = msgspec.structs.replace(disks[-1], online=False, health=Health.FAILED)

    @contextmanager
    def hanging(self) -> Iterator[None]:
        if not self._thread.is_alive():
            # A daemon that starts is to listen, and then be kept from rebuilding the kernel's configuration.
            answering = threading.Event()

            def answer(_step: Step) -> None:
                answering.wait(60)

            self.hardware.fault = answer
            try:
                yield
            finally:
                answering.set()
                self.hardware.fault = None
            return
        other = sqlite3.connect(self.folder / "state/vdsprovd.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.close()

    @contextmanager
    def full(self) -> Iterator[None]:
        self.context.store._db.execute("PRAGMA query_only = ON")
        try:
            yield
        finally:
            self.context.store._db.execute("PRAGMA query_only = OFF")

    @contextmanager
    def unreadable(self) -> Iterator[None]:
        self.hardware.scan_fault = HardwareError("a folder vanished")
        try:
            yield
        finally:
            self.hardware.scan_fault = None

    @property
    def drive_pool(self) -> SimulatedDrivePool:
        """The first pool of drives."""
        return next(iter(self.drive_pools.values()))

    def pull_drive(self, name: str) -> None:
        node = f"/dev/{name}"
        for pool in self.drive_pools.values():
            pool.dead.add(node)
        (self._pulled[node],) = [disk for disk in self.hardware.disks if disk.node == node]
        self.hardware.disks = [disk for disk in self.hardware.disks if disk.node != node]
        self.hardware.drives_changed()

    def plug_drive(self, name: str) -> None:
        node = f"/dev/{name}"
        for pool in self.drive_pools.values():
            pool.dead.discard(node)
        self.hardware.disks = [*self.hardware.disks, self._pulled.pop(node)]
        self.hardware.drives_changed()

    def add_pool(self, name: str, **settings: object) -> None:
        self.pools["array0", name] = SimulatedPool(SPACE)
        super().add_pool(name, **settings)

    @contextmanager
    def pool_gone(self, name: str) -> Iterator[None]:
        pool = self.pools["array0", name]
        self.pools["array0", name] = GonePool()
        try:
            yield
        finally:
            self.pools["array0", name] = pool

    def access(self, lun: str) -> str:
        (disk,) = [fact for fact in self.hardware.facts.values() if isinstance(fact, Disk) and fact.lun == lun]
        return disk.access.name.lower()

    def volume_size(self, lun: str) -> int:
        return self.pool.sizes[lun]

    def break_volume(self, lun: str) -> None:
        self.pool.broken[lun] = VolumeState(Condition.FAILED, "it cannot be read: Input/output error")

    def mend_volume(self, lun: str) -> None:
        del self.pool.broken[lun]

    @contextmanager
    def refusing(self, matching: str, *, mismatch: bool = False) -> Iterator[None]:
        """Every step whose words contain `matching` is refused by the hardware."""

        def fault(step: Step) -> None:
            words = f"{'add' if step.before is None else 'remove' if step.after is None else 'change'} {step.after or step.before}"
            if matching in words:
                raise (Mismatch if mismatch else Refused)(f"cannot {words}: the test says so")

        self.hardware.fault = fault
        try:
            yield
        finally:
            self.hardware.fault = None


class GonePool(SimulatedPool):
    """A pool that cannot be read."""

    def __init__(self) -> None:
        super().__init__(0)

    def space(self) -> Space:
        raise VolumeFailed("the pool is not there: the test says so")

    def fill(self) -> Fill | None:
        raise VolumeFailed("the pool is not there: the test says so")
