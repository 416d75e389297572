"""An array on the kernel's target: the daemon as a process of its own."""

import errno
import json
import logging
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.arrays.array import ADDRESS, DRIVE_SIZE, INITIATOR, SECRET, VOLUME_GROUP, Array, decoded
from tests.arrays.disk import DISK, DISK_SIZE, reload_disk
from tests.arrays.kernel import clear_kernel, group_folder, somebody
from tests.lab.volume_group import TestDrive, VolumeGroup, volume_group
from tests.programs import MIB, run
from vdsprovd.__main__ import main
from vdsprovd.hardware import (
    Access,
    Fact,
    Step,
)

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
        return decoded(done.stdout)

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


def _forget_scsi_disk() -> None:
    # udev, which looks at every disk that somebody has written to, may have it open for a moment yet.
    deadline = time.monotonic() + 20
    while Path("/sys/module/scsi_debug").exists():
        assert time.monotonic() < deadline
        run("udevadm", "settle")
        run("modprobe", "-r", "scsi_debug", check=False)


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
