"""A running vdsprovd for tests, on the simulator or on the kernel's target, seen through its socket as any client does.

The contract suite runs on both. What the world does behind the daemon's back has one name here and two ways.
"""

import asyncio
import errno
import io
import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from tests import conformance
from tests.lab.volume_group import TestDrive, VolumeGroup, volume_group
from tests.programs import MIB, run
from vdsprovd import administration, backups
from vdsprovd.__main__ import Reload, main, serve
from vdsprovd.config import check
from vdsprovd.hardware import (
    Access,
    BlockDevice,
    Condition,
    Disk,
    Fact,
    Fill,
    Hardware,
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
from vdsprovd.hresult import Hresult
from vdsprovd.model import Health
from vdsprovd.provider.context import Context
from vdsprovd.store import Store, held
from vdsprovd.varlink import VarlinkError, activation
from vdsprovd.varlink.client import Connection

GIB = 1 << 30
__all__ = ["MIB", "run"]  # as other tests have it from here

INITIATOR = "iqn.2026-11.org.example:host1"
DRIVES = ("drive0", "drive1", "drive2", "drive3")
SPARES = ("spare0", "spare1")
DRIVE_SIZE = 32 * MIB
"""What a drive of array2 holds."""
VOLUME_GROUP = "vdsprovd-test"
OTHER_INITIATOR = "iqn.2026-11.org.example:elsewhere"
ADDRESS = "10.77.0.1"
SECRET = "twelve-bytes"
SPACE = GIB
"""The size of the simulator's pools."""

Reply = dict[str, Any]


class Failed(AssertionError):
    """A call or an operation failed that a test wanted to succeed; `symbol` is the VDS code's name."""

    def __init__(self, symbol: str, message: str) -> None:
        super().__init__(f"{symbol}: {message}")
        self.symbol = symbol


class Array(ABC):
    """A daemon with subsystem array0, which has the pool files0, and subsystem array1, which has spare0 and no import
    targets."""

    kind = ""

    def __init__(self, folder: Path, pools_folder: Path) -> None:
        self.folder = folder
        self.pools_folder = pools_folder
        self.socket = folder / "vdsprovd.sock"
        self.configuration = self._configuration()
        """As it would be read from TOML. A test edits it and restarts the daemon, as an administrator does."""
        self.connection: Connection
        self._made = 0

    def _configuration(self) -> dict[str, Any]:
        def sub_system(name: str, pool: str, **more: object) -> dict[str, Any]:
            path = self.pools_folder / pool
            path.mkdir(parents=True, exist_ok=True)
            return {
                "name": name,
                "iqn-prefix": "iqn.2026-11.org.example",
                "portals": [f"{ADDRESS}:3260", f"{ADDRESS}:3261"],
                "pool": [{"name": pool, "kind": "files", "path": str(path)}],
                **more,
            }

        return {
            "roles": {},
            "provider": {"socket": str(self.socket), "state": str(self.folder / "state")},
            "subsystem": [sub_system("array0", "files0"), sub_system("array1", "spare0", **{"import-target": False})],
        }

    # The daemon's life.

    def start(self) -> None:
        """Start the daemon; returns when it is ready."""
        self.launch()
        self.ready()

    @abstractmethod
    def launch(self) -> None:
        """Begin to start the daemon."""

    @abstractmethod
    def ready(self) -> None:
        """Wait until it is ready."""

    def until_served(self, log: Path, has_ended: Callable[[], bool]) -> None:
        """Wait until a daemon that is a process of its own serves, and connect to it."""
        deadline = time.monotonic() + 30
        while True:
            assert time.monotonic() < deadline, log.read_text()
            assert not has_ended(), log.read_text()
            try:
                self.connection = self.connect()
            except OSError:
                time.sleep(0.01)
                continue
            try:
                self.connection.call("org.vdsprov.Provider.GetProperties", {})
            except (VarlinkError, OSError):
                # It is starting, or it was not it: a program that a killed one was about to run listens on for a moment.
                self.connection.close()
                time.sleep(0.01)
            else:
                return

    @abstractmethod
    def stop(self) -> None:
        """Stop it in an orderly way. The host's target stays as it is."""

    @abstractmethod
    def reload(self) -> None:
        """Have it begin to take in the configuration as it is now."""

    def restart(self) -> None:
        """Stop and start it."""
        self.stop()
        self.start()

    def reboot(self) -> None:
        """Stop the daemon, lose the kernel's configuration, and start it again."""
        self.stop()
        self.lose_kernel()
        self.start()

    @abstractmethod
    def lose_kernel(self) -> None:
        """The kernel's configuration is lost."""

    # Calls.

    def connect(self) -> Connection:
        """One more connection."""
        return Connection(str(self.socket))

    def connect_early(self) -> Connection:
        """A connection to a daemon that is starting; its socket is bound a moment before it listens."""
        deadline = time.monotonic() + 20
        while True:
            try:
                return self.connect()
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.001)

    def call(self, method: str, /, **parameters: Any) -> Reply:
        """Call a method, by its name without org.vdsprov. Raises `Failed`."""
        try:
            reply = dict(self.connection.call(f"org.vdsprov.{method}", parameters))
        except VarlinkError as error:
            details = dict(error.parameters)  # type: ignore[arg-type]  # a client's error has a mapping
            raise Failed(details.get("symbol", error.name), str(details)) from error
        if "async" in reply:
            conformance.began(method, reply["async"])
        if "async" not in reply or reply.get("hresult"):
            # What Wait gives as hresult is not its own.
            conformance.saw(method, 0 if method == "Async.Wait" else reply.get("hresult", 0))
        return reply

    def error(self, method: str, /, **parameters: Any) -> str:
        """Call a method that must fail, and give the VDS code's name; the error's parts must agree with each other."""
        try:
            reply = self.connection.call(f"org.vdsprov.{method}", parameters)
        except VarlinkError as error:
            details = dict(error.parameters)  # type: ignore[arg-type]  # a mapping, as above
            if "symbol" not in details:
                return error.name
            code = Hresult[details["symbol"]]
            assert details["hresult"] == int(code)
            assert error.name == f"org.vdsprov.{code.error_name}"
            assert details["message"]
            assert not any(secret in details["message"] for secret in _secrets(parameters))
            conformance.saw(method, code)
            return str(details["symbol"])
        raise AssertionError(f"{method} did not fail: {reply}")

    def result(self, reply: Reply) -> Reply:
        """Wait for an asynchronous operation and give the last reply of Async.Wait."""
        result = self.call("Async.Wait", id=reply["async"])
        conformance.ended(reply["async"], result["hresult"])
        return result

    def wait(self, reply: Reply) -> str:
        """Wait for an operation that must succeed, and give the id of what it made, "" for nothing. Raises `Failed`."""
        result = self.result(reply)
        if result["hresult"] != 0:
            raise Failed(Hresult(result["hresult"]).name, result.get("message", ""))
        return result.get("object") or ""

    # Objects that tests need.

    @property
    def sub_system(self) -> str:
        """The id of array0."""
        return self.sub_systems()["array0"]

    def sub_systems(self) -> dict[str, str]:
        """The subsystems' ids by friendly name, which is the configured name unless a test changed it."""
        found = self.call("HwProvider.QuerySubSystems")["subSystems"]
        return {entry["friendlyName"]: entry["id"] for entry in found}

    def make_lun(self, size: int = MIB, mask: str = "", sub_system: str | None = None, pool: str = "") -> str:
        """A LUN, in the pool of that name if one is given."""
        if pool:
            pools = self.call("HwProviderStoragePools.QueryStoragePools")["storagePools"]
            (id,) = [entry["id"] for entry in pools if entry["name"] == pool]
            parameters = {"type": "simple", "sizeInBytes": size, "storagePoolId": id, "unmaskingList": mask}
            return self.wait(self.call("HwProviderStoragePools.CreateLunInStoragePool", **parameters))
        return self.wait(
            self.call(
                "SubSystem.CreateLun",
                id=sub_system or self.sub_system,
                type="simple",
                sizeInBytes=size,
                unmaskingList=mask,
            )
        )

    def make_target(self, name: str | None = None, sub_system: str | None = None) -> str:
        """A target without portal groups."""
        return self.wait(self.call("SubSystemIscsi.CreateTarget", id=sub_system or self.sub_system, iscsiName=name))

    def make_group(self, target: str) -> str:
        """A portal group of the target."""
        return self.wait(self.call("IscsiTarget.CreatePortalGroup", id=target))

    def portals(self) -> list[str]:
        """The ids of array0's portals, by port."""
        found = self.call("SubSystemIscsi.QueryPortals", id=self.sub_system)["portals"]
        return [entry["id"] for entry in sorted(found, key=lambda entry: int(entry["address"]["port"]))]

    def make_reachable_target(self) -> tuple[str, str]:
        """A target with a group and a portal in it, and the group."""
        target = self.make_target()
        group = self.make_group(target)
        self.wait(self.call("IscsiPortalGroup.AddPortal", id=group, portalId=self.portals()[0]))
        return target, group

    def name_of(self, target: str) -> str:
        """A target's iSCSI name."""
        return str(self.call("IscsiTarget.GetProperties", id=target)["properties"]["iscsiName"])

    def associated(self, lun: str) -> list[str]:
        """The ids of the targets that a LUN is associated with."""
        return [entry["id"] for entry in self.call("LunIscsi.QueryAssociatedTargets", id=lun)["targets"]]

    def prove_corruption(self) -> None:
        """Remove a portal behind the daemon's back, and have a command need it."""
        target, group = self.make_reachable_target()
        self.lose_portal(self.name_of(target))
        reply = self.call("IscsiPortalGroup.RemovePortal", id=group, portalId=self.portals_of(group)[0])
        assert self.result(reply)["hresult"] == Hresult.VDS_E_PROVIDER_CACHE_CORRUPT

    @property
    def store(self) -> Path:
        """The file of the daemon's store."""
        return Path(self.configuration["provider"]["state"]) / backups.NAME

    def damage_store(self) -> None:
        """Change a letter of a text wherever it is in the store's file: only the checksum tells."""
        with closing(sqlite3.connect(self.store, isolation_level=None)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        # In another process: to close the file in this one would end SQLite's locks on it.
        program = "import pathlib, sys; file = pathlib.Path(sys.argv[1]); text = file.read_bytes();"
        program += "assert b'array0' in text; file.open('r+b').write(text.replace(b'array0', b'array9'))"
        run(sys.executable, "-c", program, str(self.store))

    @abstractmethod
    def refuses(self) -> str:
        """Start the daemon, which must refuse to; gives what it says."""

    @abstractmethod
    def rescue(self, backup: Path | None = None) -> dict[str, Any]:
        """Rebuild the store of the daemon, which is stopped; gives the report, an empty one where there is nothing to do."""

    def portals_of(self, group: str) -> list[str]:
        """The ids of the portals in a group."""
        return [entry["id"] for entry in self.call("IscsiPortalGroup.QueryAssociatedPortals", id=group)["portals"]]

    def add_pool(self, name: str, **settings: object) -> None:
        """Configure one more pool in array0, and restart the daemon."""
        path = self.pools_folder / name
        path.mkdir()
        pool = {"name": name, "kind": "files", "path": str(path), **settings}
        self.configuration["subsystem"][0]["pool"].append(pool)
        self.restart()

    def add_drives(self) -> None:
        """Configure one more subsystem, array2, with the pool vg0 of the drives DRIVES, and SPARES that are free, and
        restart the daemon."""
        self.configure_drives({"vg0": dict.fromkeys(DRIVES, DRIVE_SIZE)}, dict.fromkeys(SPARES, DRIVE_SIZE))
        self.restart()

    @abstractmethod
    def configure_drives(self, pools: Mapping[str, Mapping[str, int]], spares: Mapping[str, int]) -> None:
        """Configure one more subsystem, array2, with these pools of drives, by name, of so many bytes each, and drives
        that are free."""

    drive_size = DRIVE_SIZE
    """The size of array2's drives, if they hold DRIVE_SIZE."""

    def drives(self) -> dict[str, str]:
        """The ids of array2's drives, by the last part of their nodes' names."""
        found = self.call("SubSystem.QueryDrives", id=self.sub_systems()["array2"])["drives"]
        return {entry["friendlyName"].rpartition(" ")[2]: entry["id"] for entry in found}

    def make_volume(self, type: str, size: int = 8 * MIB, drives: Sequence[str] = (), mask: str = "") -> str:
        """A LUN of that type in array2, on the drives of those names."""
        ids = self.drives()
        return self.wait(
            self.call(
                "SubSystem.CreateLun",
                id=self.sub_systems()["array2"],
                type=type,
                sizeInBytes=size,
                driveIds=[ids[name] for name in drives],
                unmaskingList=mask,
            )
        )

    def plexes(self, lun: str) -> list[Reply]:
        """The LUN's plexes."""
        return list(self.call("Lun.QueryPlexes", id=lun)["plexes"])

    def add_scsi_disk(self, size: int) -> str:
        """Give the last subsystem one more drive, a SCSI disk of that size that is free; gives the drive's id."""
        sub_system = self.configuration["subsystem"][-1]
        before = self._drive_ids(sub_system["name"])
        sub_system.setdefault("drives", []).append(self.plug_scsi_disk(size))
        self.restart()
        (id,) = self._drive_ids(sub_system["name"]) - before
        return id

    def _drive_ids(self, sub_system: str) -> set[str]:
        found = self.call("SubSystem.QueryDrives", id=self.sub_systems()[sub_system])["drives"]
        return {entry["id"] for entry in found}

    @abstractmethod
    def store_on_disk(self) -> None:
        """Have the store, empty, on the disk under array0's pools, so that `hanging` and `full` are about it, too."""

    # What the world does.

    @abstractmethod
    def plug_scsi_disk(self, size: int) -> str:
        """A SCSI disk of that size is plugged in; gives its node."""

    @abstractmethod
    def scsi_disk_dies(self) -> None:
        """It answers no more, and the kernel gives it up."""

    @abstractmethod
    def hanging(self) -> AbstractContextManager[None]:
        """The disk under array0's pools answers nothing, for a while: what reads or writes it waits."""

    @abstractmethod
    def full(self) -> AbstractContextManager[None]:
        """The file system that the store is on is full, for a while."""

    @abstractmethod
    def unreadable(self) -> AbstractContextManager[None]:
        """The host's target cannot be read, for a while."""

    def lose_drive(self, name: str) -> None:
        """array2's drive of that name is pulled, and the daemon looks."""
        self.pull_drive(name)
        self.call("HwProvider.Refresh")

    @abstractmethod
    def pull_drive(self, name: str) -> None:
        """array2's drive of that name is pulled."""

    @abstractmethod
    def plug_drive(self, name: str) -> None:
        """It is plugged in again."""

    @abstractmethod
    def pool_gone(self, name: str) -> AbstractContextManager[None]:
        """What array0's pool of that name is on is not there, for a while."""

    @abstractmethod
    def logged_in(self, target: str, *ports: int) -> AbstractContextManager[None]:
        """This host's initiator is logged in to the target, whose id is given, at the portals of these TCP ports."""

    @abstractmethod
    def set_access(self, lun: str, access: Access) -> None:
        """Somebody sets the LUN's ALUA access state."""

    @abstractmethod
    def lose_portal(self, target: str) -> None:
        """Somebody removes the portals of portal group 1 of the target of that IQN."""

    @abstractmethod
    def access(self, lun: str) -> str:
        """How the host's target serves the LUN: active, standby or unavailable."""

    @abstractmethod
    def facts(self) -> Collection[Fact]:
        """What the host's target holds."""

    @abstractmethod
    def meddle(self, steps: Iterable[Step]) -> None:
        """Somebody else changes what the host's target holds."""

    @abstractmethod
    def kernel(self) -> set[str]:
        """What the host's target holds, a line an object, for comparing."""

    @abstractmethod
    def volume_size(self, lun: str) -> int:
        """How many bytes the pool files0 holds of the LUN."""

    @abstractmethod
    def break_volume(self, lun: str) -> None:
        """The LUN's bytes cannot be read any more."""

    @abstractmethod
    def mend_volume(self, lun: str) -> None:
        """They can be read again."""


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
        return _decoded(said.getvalue())

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


_COMPARED = (
    "TargetAlias",
    "authentication",
    "enable",
    "generate_node_acls",
    "password",
    "prod_mode_write_protect",
    "userid",
    "vpd_unit_serial",
    "write_protect",
)
"""The attributes that two states of the kernel are compared by."""


class LioArray(Array):
    """The daemon as a process of its own, on this host's kernel. Its pools are on a file system on dm-linear, so that
    the disk under them can fail."""

    kind = "lio"
    drive_size = DRIVE_SIZE + MIB  # with LVM's own

    def __init__(self, folder: Path, pools_folder: Path) -> None:
        super().__init__(folder, pools_folder)
        self.stack = ExitStack()
        """What is to be taken down with the array."""
        self.groups: dict[str, VolumeGroup] = {}
        """The volume groups of array2, by pool."""
        self._names: dict[str, TestDrive] = {}
        self._scsi_disk = Path()
        """Its folder in sysfs."""
        self.pid = 0
        self.log = folder / "log"
        self.before_main: Callable[[], object] = lambda: None
        """Called in the daemon's process before it is the daemon: for tests that put something into it."""

    def _configure(self) -> Path:
        file = self.folder / "vdsprovd.toml"
        file.write_text(_toml(self.configuration))
        return file

    def launch(self) -> None:
        file = self._configure()
        # A fork of this process, which has loaded all modules, is ready five times sooner than a new interpreter.
        self.pid = os.fork()
        if self.pid == 0:
            log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(log, 1)
            os.dup2(log, 2)
            status = 1
            try:
                warnings.resetwarnings()
                warnings.simplefilter("ignore")
                logging.getLogger().handlers.clear()
                sys.stderr = os.fdopen(2, "w", buffering=1)
                self.before_main()
                status = main(["--config", str(file)])
            finally:
                os._exit(status)

    def ready(self) -> None:
        self.until_served(self.log, lambda: os.waitpid(self.pid, os.WNOHANG)[0] != 0)

    def end(self, how: signal.Signals) -> int:
        """Send the daemon a signal and wait for its end; gives its exit status, negative for a signal."""
        self.connection.close()
        os.kill(self.pid, how)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def stop(self) -> None:
        assert self.end(signal.SIGTERM) == 0

    def reload(self) -> None:
        self._configure()
        os.kill(self.pid, signal.SIGHUP)

    def kill(self) -> None:
        """kill -9."""
        self.end(signal.SIGKILL)

    def killed(self) -> None:
        """Wait for the end of a daemon that kills itself."""
        self.connection.close()
        assert os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]) == -signal.SIGKILL

    def refuses(self) -> str:
        done = self.run_daemon()
        assert done.returncode == 65, done.stderr
        return done.stderr

    def rescue(self, backup: Path | None = None) -> dict[str, Any]:
        done = self.run_daemon("--rescue", *([str(backup)] if backup else []), "--yes", "--json")
        assert done.returncode == 0, done.stderr
        return _decoded(done.stdout)

    def run_daemon(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Run the daemon's program with the array's configuration to its end."""
        return subprocess.run(
            [sys.executable, "-m", "vdsprovd", "--config", str(self.folder / "vdsprovd.toml"), *options],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def lose_kernel(self) -> None:
        clear_kernel()

    def configure_drives(self, pools: Mapping[str, Mapping[str, int]], spares: Mapping[str, int]) -> None:
        free = spares
        for number, (pool, members) in enumerate(pools.items()):
            extents, spare = [size // MIB for size in members.values()], [size // MIB for size in free.values()]
            name = f"{VOLUME_GROUP}{number or ''}"
            group = self.stack.enter_context(volume_group(self.folder, extents, spare=spare, name=name))
            self.groups[pool] = group
            self._names.update(zip((*members, *free), (*group.drives, *group.spare), strict=True))
            free = {}  # the spares' image is that of the first group
        self.configuration["subsystem"].append(
            {
                "name": "array2",
                "iqn-prefix": "iqn.2026-11.org.example",
                "portals": [f"{ADDRESS}:3262"],
                "drives": [self._names[name].device for name in spares],
                "pool": [{"name": pool, "kind": "lvm", "vg": group.name} for pool, group in self.groups.items()],
            }
        )

    @property
    def group(self) -> VolumeGroup:
        """The volume group of the first pool."""
        return next(iter(self.groups.values()))

    def node(self, drive: str) -> str:
        """The device node of array2's drive of that name."""
        return self._names[drive].device

    def drives(self) -> dict[str, str]:
        found = self.call("SubSystem.QueryDrives", id=self.sub_systems()["array2"])["drives"]
        known = {self.identification(drive.device): name for name, drive in self._names.items()}
        return {known[entry["identification"]]: entry["id"] for entry in found if entry["identification"] in known}

    def identification(self, node: str) -> str:
        """What the daemon takes a device-mapper device by."""
        return Path(f"/sys/block/{Path(node).name}/dm/uuid").read_text().strip() or Path(node).name

    def plug_scsi_disk(self, size: int) -> str:
        run("modprobe", "scsi_debug", f"dev_size_mb={size // MIB}")
        self.stack.callback(_forget_scsi_disk)
        deadline = time.monotonic() + 20
        while not (found := list(Path("/sys/bus/pseudo/drivers/scsi_debug").glob("adapter*/host*/target*/*/block/*"))):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        run("udevadm", "settle")
        (self._scsi_disk,) = found
        return f"/dev/{self._scsi_disk.name}"

    def store_on_disk(self) -> None:
        self.configuration["provider"]["state"] = str(self.pools_folder / "state")
        self.restart()

    def scsi_disk_dies(self) -> None:
        (self._scsi_disk / "device/state").write_text("offline\n")

    @contextmanager
    def hanging(self) -> Iterator[None]:
        run("dmsetup", "suspend", "--noflush", "--nolockfs", DISK)
        try:
            yield
        finally:
            run("dmsetup", "resume", DISK)

    @contextmanager
    def full(self) -> Iterator[None]:
        filler = self.pools_folder / "filler"
        with filler.open("wb") as file:
            size = DISK_SIZE
            while size:
                try:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), size)
                except OSError as error:
                    assert error.errno == errno.ENOSPC
                    size //= 2
        try:
            yield
        finally:
            filler.unlink()

    @contextmanager
    def unreadable(self) -> Iterator[None]:
        # Lazily, as the daemon watches it.
        run("umount", "--lazy", "/sys/kernel/config")
        try:
            yield
        finally:
            run("mount", "-t", "configfs", "configfs", "/sys/kernel/config")

    def pull_drive(self, name: str) -> None:
        self._names[name].fail()

    def plug_drive(self, name: str) -> None:
        self._names[name].mend()

    @contextmanager
    def logged_in(self, target: str, *ports: int) -> Iterator[None]:
        name = self.name_of(target)
        self.call("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret=SECRET)
        try:
            for port in ports:
                node = ("iscsiadm", "-m", "node", "-T", name, "-p", f"{ADDRESS}:{port}")
                run(*node, "-o", "new")
                for key, value in (("authmethod", "CHAP"), ("username", INITIATOR), ("password", SECRET)):
                    run(*node, "-o", "update", "-n", f"node.session.auth.{key}", "-v", value)
                run(*node, "--login")
            yield
        finally:
            run("iscsiadm", "-m", "node", "-T", name, "--logout", check=False)
            run("iscsiadm", "-m", "node", "-T", name, "-o", "delete", check=False)

    def set_access(self, lun: str, access: Access) -> None:
        (group,) = Path("/sys/kernel/config/target/core").glob(f"*/{lun}/alua/default_tg_pt_gp")
        (group / "alua_access_state").write_text(str(access.value))

    def lose_portal(self, target: str) -> None:
        for portal in (group_folder(target) / "np").iterdir():
            portal.rmdir()

    def facts(self) -> Collection[Fact]:
        return somebody().read()

    def meddle(self, steps: Iterable[Step]) -> None:
        other = somebody()
        for step in steps:
            other.take(step)

    def kernel(self) -> set[str]:
        found = set()
        for base, folders, files in os.walk("/sys/kernel/config/target"):
            path = Path(base)
            for name in folders:
                if (path / name).is_symlink():
                    found.add(f"{path / name} -> {os.readlink(path / name)}")
            # What counts live (ids that the kernel hands out anew, statistics) is no configuration.
            if not any(word in base for word in ("statistics", "alua", "discovery_auth")):
                found.add(base)
                for name in files:
                    if name in _COMPARED:
                        # The kernel shows NULL for a CHAP name or secret that was taken away, and nothing for one that never was.
                        found.add(f"{path / name} = {(path / name).read_text().strip().removesuffix('NULL')}")
        return found

    @contextmanager
    def pool_gone(self, name: str) -> Iterator[None]:
        path = self.pools_folder / name
        away = path.rename(path.with_suffix(".away"))
        try:
            yield
        finally:
            away.rename(path)

    def access(self, lun: str) -> str:
        (state,) = Path("/sys/kernel/config/target/core").glob(f"*/{lun}/alua/default_tg_pt_gp/alua_access_state")
        return {"0": "active", "2": "standby", "3": "unavailable"}[state.read_text().strip()]

    def volume_size(self, lun: str) -> int:
        return (self.pools_folder / "files0" / f"{lun}.lun").stat().st_size

    def break_volume(self, lun: str) -> None:
        reload_disk("error")

    def mend_volume(self, lun: str) -> None:
        reload_disk("linear")


def _decoded(report: str) -> dict[str, Any]:
    return dict(json.loads(report)) if report.startswith("{") else {}


def _secrets(parameters: Reply) -> list[str]:
    return [value for name, value in parameters.items() if name.endswith("Secret") and value]


def group_folder(target: str, tag: int = 1) -> Path:
    """A portal group's folder in configfs."""
    return Path("/sys/kernel/config/target/iscsi") / target / f"tpgt_{tag}"


def somebody() -> Hardware:
    """The kernel's target in the hands of another process than the daemon."""
    from vdsprovd.hardware.lio import Lio

    return Lio({})


DISK = "vdsprovd-test"
DISK_SIZE = 512 * MIB


@contextmanager
def breakable_disk(folder: Path) -> Iterator[Path]:
    """A file system on a device that can be made to fail, mounted; gives the mount point."""
    run("modprobe", "--all", "loop", "dm_mod", "ext4")
    image, mount = folder / "image", folder / "disk"
    with image.open("wb") as file:
        file.truncate(DISK_SIZE)
    loop = run("losetup", "--find", "--show", str(image)).strip()
    _LOOP.append(loop)
    run("dmsetup", "create", DISK, "--table", _table("linear"))
    run("mkfs.ext4", "-q", "-O", "^has_journal", f"/dev/mapper/{DISK}")
    mount.mkdir()
    run("mount", f"/dev/mapper/{DISK}", str(mount))
    try:
        yield mount
    finally:
        reload_disk("linear")
        run("umount", str(mount), check=False)
        run("dmsetup", "remove", "--retry", DISK, check=False)
        run("losetup", "--detach", loop, check=False)


_LOOP: list[str] = []
"""The loop device under the breakable disk."""


def _forget_scsi_disk() -> None:
    # udev, which looks at every disk that somebody has written to, may have it open for a moment yet.
    deadline = time.monotonic() + 20
    while Path("/sys/module/scsi_debug").exists():
        assert time.monotonic() < deadline
        run("udevadm", "settle")
        run("modprobe", "-r", "scsi_debug", check=False)


def _table(kind: str) -> str:
    return f"0 {DISK_SIZE // 512} " + (f"linear {_LOOP[-1]} 0" if kind == "linear" else "error")


def reload_disk(kind: str) -> None:
    """Make the breakable disk work ("linear") or fail every read and write ("error")."""
    run("dmsetup", "suspend", "--noflush", "--nolockfs", DISK)
    run("dmsetup", "load", DISK, "--table", _table(kind))
    run("dmsetup", "resume", DISK)


def clear_kernel() -> None:
    """Remove all of LIO's configuration, whoever made it, as a reboot does."""
    from rtslib_fb.root import RTSRoot

    RTSRoot().clear_existing(confirm=True)


def _toml(configuration: dict[str, Any]) -> str:
    lines: list[str] = []
    for name in ("provider", "roles", "metrics"):
        lines += [f"[{name}]", *_keys(configuration.get(name, {}))]
    for sub_system in configuration["subsystem"]:
        lines += ["[[subsystem]]", *_keys(sub_system)]
        for pool in sub_system["pool"]:
            lines += ["[[subsystem.pool]]", *_keys(pool)]
    return "\n".join(lines) + "\n"


def _keys(table: dict[str, Any]) -> list[str]:
    return [f"{key} = {json.dumps(value)}" for key, value in table.items() if key != "pool"]
