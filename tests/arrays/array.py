"""What each array has: calls, what is made with them, and the names of what the world does behind the daemon's back."""

import json
import sqlite3
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

from tests import conformance
from tests.programs import MIB, run
from vdsprovd import backups
from vdsprovd.hardware import (
    Access,
    Fact,
    Step,
)
from vdsprovd.hresult import Hresult
from vdsprovd.varlink import VarlinkError
from vdsprovd.varlink.client import Connection

GIB = 1 << 30
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


def _secrets(parameters: Reply) -> list[str]:
    return [value for name, value in parameters.items() if name.endswith("Secret") and value]


def decoded(report: str) -> dict[str, Any]:
    """What a rescue reported with --json; nothing when it failed before that."""
    return dict(json.loads(report)) if report.startswith("{") else {}
