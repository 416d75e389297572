"""The host's disks, as the kernel and udev know them: every field, and every reason for which a disk is not free."""

import asyncio
import errno
import os
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pyudev

from tests.arrays import ADDRESS, INITIATOR, MIB, LioArray, group_folder, run
from vdsprovd.hardware import BlockDevice
from vdsprovd.hardware.drives import devices, watch
from vdsprovd.model import Health, StorageBusType

pytestmark = pytest.mark.lab

SCSI_DEBUG = Path("/sys/bus/pseudo/drivers/scsi_debug")
BLOCK = Path("/sys/block")


def settle() -> None:
    """Wait until udev has looked at everything."""
    run("udevadm", "settle")


def drive(node: str) -> BlockDevice:
    """The one drive of that node."""
    settle()
    (found,) = [entry for entry in devices() if entry.node == node]
    return found


def arrived(count: int) -> list[BlockDevice]:
    """So many SCSI disks, once they are there: the kernel looks for them on its own time."""
    deadline = time.monotonic() + 60
    while len(found := [entry for entry in devices() if entry.node.startswith("/dev/sd")]) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def assert_holder(node: str, wanted: str) -> None:
    """Why that drive is not free, once udev has noticed that somebody wrote to it."""
    deadline = time.monotonic() + 5
    while (found := drive(node).holder) != wanted and time.monotonic() < deadline:
        time.sleep(0.02)
    assert found == wanted


class Disks:
    """SCSI disks that come and go, each with a host adapter and a memory of its own."""

    def add(self) -> str:
        """One more disk; its node."""
        before = {entry.node for entry in arrived(0)}
        (SCSI_DEBUG / "add_host").write_text("1")
        (node,) = {entry.node for entry in arrived(len(before) + 1)} - before
        return node

    def remove(self) -> None:
        """Remove the newest disk."""
        (SCSI_DEBUG / "add_host").write_text("-1")

    def clear(self) -> None:
        """Remove all."""
        while int((SCSI_DEBUG / "add_host").read_text()) > 0:
            self.remove()


@pytest.fixture
def disks() -> Iterator[Disks]:
    """No disk yet."""
    run("modprobe", "scsi_debug", "add_host=0", "per_host_store=1", "dev_size_mb=16", "inq_vendor=Acme")
    there = Disks()
    yield there
    there.clear()
    settle()
    run("modprobe", "-r", "scsi_debug")


@pytest.fixture
def node(disks: Disks) -> str:
    """The node of a fresh SCSI disk."""
    return disks.add()


@contextmanager
def attached(file: Path, *options: str) -> Iterator[str]:
    """A loop device on the file."""
    done = subprocess.run(
        ["losetup", "--find", "--show", *options, file], capture_output=True, text=True, check=True, timeout=60
    )
    node = done.stdout.strip()
    settle()
    try:
        yield node
    finally:
        run("losetup", "--detach", node)
        settle()


@contextmanager
def mapped(name: str, table: str, *options: str) -> Iterator[str]:
    """A device of device-mapper; its node."""
    run("dmsetup", "create", name, "--table", table, *options)
    settle()
    try:
        yield f"/dev/{Path('/dev/mapper', name).resolve().name}"
    finally:
        run("dmsetup", "remove", "--retry", name)
        settle()


def test_a_scsi_disk(node: str) -> None:
    """A fresh disk is described in full, and free; its names do not depend on its node."""
    found = drive(node)
    folder = BLOCK / Path(node).name
    assert found == BlockDevice(
        node=node,
        identification=(folder / "device/wwid").read_text().strip(),
        name="Acme scsi_debug",
        serial=(folder / "device/vpd_pg80").read_bytes()[4:].decode().strip(),
        size=16 * MIB,
        bus=StorageBusType.SCSI,
        spindle_speed=1,
        enclosure=None,
        slot=None,
        online=True,
        health=Health.HEALTHY,
        holder="",
        lvm="",
    )
    assert found.identification.startswith("naa.3")
    assert len(found.serial) >= 4


def test_offline_and_running(node: str) -> None:
    """A disk that the kernel has given up is offline, failed and not free, until it runs again."""
    state = BLOCK / Path(node).name / "device/state"
    fresh = drive(node)
    state.write_text("offline\n")
    found = drive(node)
    assert (found.online, found.health, found.holder) == (False, Health.FAILED, "offline")
    assert found.identification == fresh.identification
    state.write_text("running\n")
    assert drive(node) == fresh


def test_a_disk_that_grows(node: str) -> None:
    """The size is the kernel's newest."""
    (SCSI_DEBUG / "virtual_gb").write_text("1")
    (BLOCK / Path(node).name / "device/rescan").write_text("1")
    assert drive(node).size == 1024 * MIB


def test_loop_devices(tmp_path: Path) -> None:
    """A loop device is named for its file, a second on the same file otherwise; those without a file are no drives."""
    file = tmp_path / "drive0"
    with file.open("wb") as opened:
        opened.truncate(32 * MIB)
    before = {entry.node for entry in devices()}  # other tests' disks
    with attached(file) as node:
        found = drive(node)
        assert (found.identification, found.name, found.serial) == (str(file), str(file), "")
        assert (found.size, found.bus, found.online, found.holder) == (
            32 * MIB,
            StorageBusType.FILE_BACKED_VIRTUAL,
            True,
            "",
        )
        with attached(file, "--read-only") as second:
            assert_holder(second, "read-only")
            names = {drive(node).identification, drive(second).identification}
            assert len(names) == 2
            assert str(file) in names
    assert {entry.node for entry in devices()} == before


def test_what_is_no_drive(node: str) -> None:
    """RAM disks, partitions and LVM's volumes are not among the drives."""
    run("modprobe", "brd", "rd_nr=1", "rd_size=4096")
    try:
        run("parted", "--script", node, "mklabel", "gpt", "mkpart", "one", "1MiB", "8MiB")
        settle()
        assert Path(f"{node}1").is_block_device()
        assert not [entry for entry in devices() if entry.node.startswith(("/dev/ram", f"{node}1"))]
    finally:
        run("modprobe", "-r", "brd")


def test_partitions(node: str, tmp_path: Path) -> None:
    """A partition table keeps a node, empty or not; what is done with its partitions is said instead."""
    run("parted", "--script", node, "mklabel", "gpt")
    assert_holder(node, "it has a partition table (gpt)")
    run("parted", "--script", node, "mkpart", "one", "1MiB", "8MiB")
    assert_holder(node, "it has a partition table (gpt)")
    run("mkfs.ext4", "-q", f"{node}1")
    run("mount", f"{node}1", str(tmp_path))
    assert_holder(node, f"mounted on {tmp_path}")
    run("umount", str(tmp_path))
    with mapped("secret", f"0 2048 linear {node}1 0") as map:
        assert_holder(node, f"{Path(map).name} (secret) uses it")
    run("wipefs", "--all", "--quiet", node)
    assert_holder(node, "")


def test_a_partition_without_a_table(node: str) -> None:
    """Partitions that only the kernel still has keep the disk, too."""
    run("parted", "--script", node, "mklabel", "msdos", "mkpart", "primary", "1MiB", "8MiB")
    assert_holder(node, "it has a partition table (dos)")
    with Path(f"{node}1").open("rb"):
        # What is in use is not read anew.
        with Path(node).open("r+b") as opened:
            opened.write(bytes(512))
        assert_holder(node, "it has partitions")
    run("blockdev", "--rereadpt", node)
    assert_holder(node, "")


def test_file_systems(node: str, tmp_path: Path) -> None:
    """A file system keeps a disk, and where it is mounted is said, blanks and all."""
    run("mkfs.ext4", "-q", node)
    assert_holder(node, "ext4 is on it")
    place = tmp_path / "my data"
    place.mkdir()
    run("mount", node, str(place))
    assert_holder(node, f"mounted on {place}")
    run("umount", str(place))
    assert_holder(node, "ext4 is on it")
    run("wipefs", "--all", "--quiet", node)
    assert_holder(node, "")


def test_swap_space(node: str) -> None:
    """Swap space keeps a node, in use or not."""
    run("mkswap", "--quiet", node)
    assert_holder(node, "swap is on it")
    run("swapon", node)
    assert_holder(node, "used as swap space")
    run("swapoff", node)
    assert_holder(node, "swap is on it")


def test_several_formats(node: str, tmp_path: Path) -> None:
    """A disk on which udev finds two formats, and names neither, is not free."""
    file = tmp_path / "xfs"
    with file.open("wb") as opened:
        opened.truncate(320 * MIB)
    run("mkfs.xfs", "-q", str(file))
    with file.open("rb") as opened:
        superblock = opened.read(512)
    file.unlink()
    run("mkfs.ext4", "-q", node)
    with Path(node).open("r+b") as opened:
        opened.write(superblock)
    assert_holder(node, "xfs and ext4 are on it")


def test_lvm(disks: Disks) -> None:
    """A physical volume is known by LVM's UUID, and by its volume group while that is in use; logical volumes are no
    drives."""
    first, second = disks.add(), disks.add()
    run("pvcreate", "--quiet", first)
    assert_holder(first, "an LVM physical volume")
    known = subprocess.run(
        ["pvs", "--noheadings", "-o", "pv_uuid", first], capture_output=True, text=True, check=True, timeout=60
    )
    assert drive(first).lvm == known.stdout.strip() != ""
    assert (drive(second).lvm, drive(second).holder) == ("", "")
    run("vgcreate", "--quiet", "my-vg-", first)
    run("lvcreate", "--quiet", "--yes", "--size", "4M", "--name", "my-lv", "my-vg-")
    settle()
    assert_holder(first, "an LVM physical volume of my-vg-")
    assert not [entry for entry in devices() if "my--lv" in entry.name]
    run("vgremove", "--quiet", "--yes", "my-vg-")
    run("pvremove", "--quiet", first)
    # udev does not notice who writes to a disk while it looks at it.
    run("udevadm", "trigger", "--settle", first)
    assert_holder(first, "")
    assert drive(first).lvm == ""


def test_device_mapper(node: str) -> None:
    """A mapped device is a drive, named for its UUID; what it maps is not free any more."""
    with mapped("whole", f"0 16384 linear {node} 0", "--uuid", "ACME-1") as map:
        found = drive(map)
        assert (found.identification, found.name, found.size) == ("ACME-1", "whole", 8 * MIB)
        assert (found.bus, found.holder) == (StorageBusType.VIRTUAL, "")
        assert_holder(node, f"{Path(map).name} (whole) uses it")
        with mapped("more", f"0 16384 linear {map} 0") as second:
            assert_holder(map, f"{Path(second).name} (more) uses it")
            assert drive(second).identification == Path(second).name
    assert_holder(node, "")


def test_multipath() -> None:
    """The paths to one disk are told apart and are not free; their multipath map is, and it is on their bus."""
    run("modprobe", "dm_multipath")
    run("modprobe", "scsi_debug", "add_host=2", "vpd_use_hostno=0", "dev_size_mb=16")
    try:
        one, other = arrived(2)
        assert one.holder == other.holder == ""
        assert one.serial == other.serial
        assert other.identification == f"{one.identification}@{Path(other.node).name}"
        configuration = Path("/etc/multipath.conf")
        configuration.write_text("defaults {\n find_multipaths no\n}\n")
        run("multipath", one.node)
        settle()
        try:
            found = {entry.node: entry for entry in devices()}
            assert found[one.node].holder == found[other.node].holder == "a path of 1Linux_scsi_debug_2000"
            (map,) = [entry for entry in found.values() if entry.identification.startswith("mpath-")]
            assert map.identification == "mpath-1Linux_scsi_debug_2000"
            assert (map.bus, map.size, map.holder) == (StorageBusType.SCSI, 16 * MIB, "")
        finally:
            run("multipath", "-F")
            configuration.unlink()
    finally:
        run("modprobe", "-r", "scsi_debug")


def test_opened_exclusively(node: str) -> None:
    """A disk that somebody has open for themselves is not free, though nothing is on it."""
    descriptor = os.open(node, os.O_RDWR | os.O_EXCL)
    try:
        assert_holder(node, "somebody has it open for themselves")
    finally:
        os.close(descriptor)
    assert_holder(node, "")


def test_write_protected() -> None:
    """A disk that the hardware protects is read-only."""
    run("modprobe", "scsi_debug", "wp=1", "dev_size_mb=16")
    try:
        (found,) = arrived(1)
        assert found.holder == "read-only"
    finally:
        run("modprobe", "-r", "scsi_debug")


def test_a_lun_of_this_host(lio: LioArray) -> None:
    """A LUN that this host has logged in to is an iSCSI disk, and free only for those who do not know it as theirs."""
    lun, (target, _) = lio.make_lun(16 * MIB, mask=INITIATOR), lio.make_reachable_target()
    lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    name = lio.name_of(target)
    (group_folder(name) / "attrib/authentication").write_text("0")
    run("iscsiadm", "-m", "discovery", "-t", "st", "-p", ADDRESS)
    try:
        run("iscsiadm", "-m", "node", "-T", name, "--login")
        deadline = time.monotonic() + 20
        while not (found := [entry for entry in devices() if entry.bus is StorageBusType.ISCSI]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        (seen,) = found
        assert (seen.serial, seen.size, seen.holder) == (lun, 16 * MIB, "")
        assert seen.identification.startswith("naa.6001405")
        with mapped("over", f"0 2048 linear {seen.node} 0") as over:
            known = {entry.node: entry.holder for entry in devices([lun.upper()])}
            assert {known[seen.node], known[over]} == {"a LUN of this host"}
    finally:
        run("iscsiadm", "-m", "node", "-T", name, "--logout", check=False)
        run("iscsiadm", "-m", "node", "-T", name, "-o", "delete", check=False)


def test_watch(disks: Disks, tmp_path: Path) -> None:
    """Arrivals, changes and departures are seen within two seconds, and nothing while nothing happens."""

    async def see() -> None:
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()

        async def until(seen: object) -> None:
            assert callable(seen)
            async with asyncio.timeout(2):
                while not seen():
                    await changed.wait()
                    changed.clear()

        with watch(changed.set):
            before = {entry.node for entry in devices()}
            await loop.run_in_executor(None, (SCSI_DEBUG / "add_host").write_text, "1")
            await until(lambda: {entry.node for entry in devices()} - before)
            (node,) = {entry.node for entry in devices()} - before
            await loop.run_in_executor(None, run, "mkfs.ext4", "-q", node)
            await until(lambda: any(entry.holder == "ext4 is on it" for entry in devices()))
            (SCSI_DEBUG / "virtual_gb").write_text("1")
            await loop.run_in_executor(None, (BLOCK / Path(node).name / "device/rescan").write_text, "1")
            await until(lambda: any(entry.size == 1024 * MIB for entry in devices()))
            await loop.run_in_executor(None, disks.remove)
            await until(lambda: {entry.node for entry in devices()} == before)
            settle()
            await asyncio.sleep(0.5)
            changed.clear()
            await asyncio.sleep(0.5)
            assert not changed.is_set()

    asyncio.run(see())


def test_more_events_than_the_kernel_keeps(disks: Disks, monkeypatch: pytest.MonkeyPatch) -> None:
    """When events were lost, that is an event, and later ones are seen."""
    disks.add()
    lost: list[OSError] = []
    start, read = pyudev.Monitor.start, os.read

    def started(self: Any) -> None:
        start(self)
        self.set_receive_buffer_size(4096)

    def recorded(descriptor: int, length: int) -> bytes:
        try:
            return read(descriptor, length)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                lost.append(error)
            raise

    monkeypatch.setattr(pyudev.Monitor, "start", started)
    monkeypatch.setattr("vdsprovd.hardware.drives.os.read", recorded)

    async def see() -> None:
        changed = asyncio.Event()
        with watch(changed.set):
            for _ in range(5):
                run("udevadm", "trigger", "--subsystem-match=block")
            settle()
            async with asyncio.timeout(2):
                await changed.wait()
            await asyncio.sleep(0.5)
            # Once for each of the two sockets at most: an overrun does not stay.
            assert [error.errno for error in lost] in ([errno.ENOBUFS], [errno.ENOBUFS] * 2)
            changed.clear()
            await asyncio.sleep(0.5)
            assert not changed.is_set()
            disks.remove()
            async with asyncio.timeout(2):
                await changed.wait()

    asyncio.run(see())


def test_without_udev(disks: Disks) -> None:
    """Where udev does not run, the kernel's events are seen, and disks are read for what is on them."""
    run("udevadm", "control", "--exit")
    # It leaves this behind, by which everybody knows whether it runs.
    Path("/run/udev/control").unlink(missing_ok=True)
    try:

        async def see() -> None:
            changed = asyncio.Event()
            with watch(changed.set):
                (SCSI_DEBUG / "add_host").write_text("1")
                async with asyncio.timeout(5):
                    while not (found := arrived(0)):
                        await changed.wait()
                        changed.clear()
                assert [entry.holder for entry in found] == [""]
                run("mkfs.ext4", "-q", found[0].node)
                assert [entry.holder for entry in arrived(1)] == ["ext4 is on it"]

        asyncio.run(see())
    finally:
        run("/usr/lib/systemd/systemd-udevd", "--daemon")
        run("udevadm", "trigger", "--action=add", "--subsystem-match=block")
        settle()


def test_the_cost_of_a_look(disks: Disks) -> None:
    """Twenty drives are looked at in well under a second."""
    for _ in range(20):
        (SCSI_DEBUG / "add_host").write_text("1")
    arrived(20)
    settle()
    took = []
    for _ in range(5):
        began = time.perf_counter()
        found = devices()
        took.append(time.perf_counter() - began)
    assert len([entry for entry in found if entry.name == "Acme scsi_debug" and entry.holder == ""]) == 20
    assert statistics.median(took) < 1
