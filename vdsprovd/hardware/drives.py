"""The host's disks: what there is, what each is, and whether it is free to be taken.

What a disk is comes from the kernel's sysfs, which is there from the disk's first moment. What is on it udev has read;
what udev takes for empty is read once more, with wipefs. The only module that uses pyudev.
"""

import asyncio
import errno
import fcntl
import logging
import os
import re
import struct
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

import msgspec
import pyudev

from vdsprovd.hardware import BlockDevice
from vdsprovd.model import Health, StorageBusType

log = logging.getLogger(__name__)

_READERS = 16
"""Disks that are looked at side by side."""
_READ_TIMEOUT = 60

_CONTROL, _DEVICE_MAPPER = Path("/dev/mapper/control"), Path("/sys/class/misc/device-mapper")
# <linux/dm-ioctl.h>: the size of struct dm_ioctl, and a request with it.
_DM_IOCTL = 312
_DM_DEV_ARM_POLL = 0xC0000000 | _DM_IOCTL << 16 | 0xFD << 8 | 16

_SECTOR = 512
"""The unit of `size` in sysfs, whatever the disk's own sectors are."""

# As in an event's message; the kernel's own are not filtered before they are read.
_SUBSYSTEMS = (b"\0SUBSYSTEM=block\0", b"\0SUBSYSTEM=enclosure\0")

# Block devices that are no drives: optical and floppy drives, RAM, flash without a translation layer, parts of an eMMC.
_NO_DRIVES = re.compile(r"(sr|fd|ram|zram|mtdblock)\d|mmcblk\d+(boot|gp|rpmb)")

# By the devices above the disk, the first that fits: a SATA disk in an USB enclosure is an USB disk.
_BUSES = (
    (re.compile(r"/usb\d"), StorageBusType.USB),
    (re.compile(r"/(virtio\d|vbd-)"), StorageBusType.VIRTUAL),
    (re.compile(r"/session\d"), StorageBusType.ISCSI),
    (re.compile(r"/rport-"), StorageBusType.FIBRE),
    (re.compile(r"/end_device-"), StorageBusType.SAS),
    (re.compile(r"/ata\d"), StorageBusType.SATA),
    (re.compile(r"/nvme"), StorageBusType.NVME),
    (re.compile(r"/host\d"), StorageBusType.SCSI),
    (re.compile(r"/virtual/block/loop"), StorageBusType.FILE_BACKED_VIRTUAL),
    (re.compile(r"/virtual/block/md"), StorageBusType.RAID),
    (re.compile(r"/virtual/block/"), StorageBusType.VIRTUAL),
)

# What SCSI disks and NVMe controllers say of themselves; where nothing is said, all is well.
_RUNNING = {"running", "live", ""}
_GIVEN_UP = {"offline", "dead"}


class Uses(msgspec.Struct, frozen=True):
    """What /proc says is in use: mount points by device number and by node, nodes of swap space."""

    mounts: Mapping[str, str] = {}
    swaps: Collection[str] = ()

    @classmethod
    def read(cls, proc: Path = Path("/proc")) -> "Uses":
        """As it is now, in the daemon's mount namespace."""
        mounts: dict[str, str] = {}
        # Not to know this is no reason to take a disk for free: it raises.
        for line in (proc / "self/mountinfo").read_text(errors="replace").splitlines():
            words, _, rest = line.partition(" - ")
            _, _, number, _, point, *_ = words.split(" ")
            # By its source, too: btrfs gives its file systems numbers of their own.
            for device in (number, rest.split(" ")[1]):
                mounts.setdefault(device, _unescaped(point))
        return cls(mounts, {_unescaped(line.split()[0]) for line in (proc / "swaps").read_text().splitlines()[1:]})


def devices(own: Collection[str] = ()) -> Collection[BlockDevice]:
    """Every whole disk that can be a drive, in order of topology. `own` are the ids of this host's LUNs, which are the
    serial numbers of its disks: a LUN that this host has logged in to is no free disk.

    LVM's volumes are no drives. A disk is there once udev has looked at it, unless udev does not run. What is written on a
    disk is seen once udev has noticed that somebody wrote, some milliseconds later: who takes a disk must look again.
    Raises OSError when it cannot be known what is mounted.
    """
    uses = Uses.read()
    serials = {id.lower() for id in own}
    udev_runs = _udev_runs()
    found: list[tuple[str, Path, BlockDevice]] = []
    for device in pyudev.Context().list_devices(subsystem="block", DEVTYPE="disk"):
        if device.is_initialized or not udev_runs:
            folder = Path(device.sys_path)
            drive = describe(folder, device.properties, uses, serials)
            if drive is not None:
                found.append((_topology(folder, device.properties), folder, drive))
    found.sort(key=lambda entry: entry[0])
    with ThreadPoolExecutor(_READERS) as readers:
        examined = readers.map(lambda entry: _examined(entry[1], entry[2]), found)
        result: dict[str, BlockDevice] = {}
        for (topology, folder, _), drive in zip(found, examined, strict=True):
            # Of a device that vanished meanwhile, not everything was read.
            if folder.exists():
                name = drive.identification
                name = f"{name}@{topology}" if name in result else name
                result[name] = msgspec.structs.replace(drive, identification=name)
    return tuple(result.values())


@contextmanager
def watch(changed: Callable[[], None]) -> Iterator[None]:
    """Call `changed` in the running event loop for each burst of events of disks and enclosures, as long as the context
    lasts. An event says "look again", whatever it is about.

    It listens to the kernel as well as to udev: the kernel's events alone come where udev does not run, and udev's come
    when it has looked at the disk. What device-mapper's targets tell of themselves (a mirror that lost a copy or is in sync
    again, a thin pool that is full) it tells those alone who ask. A disk that is set offline sends no event at all.
    """
    context = pyudev.Context()
    monitors = [pyudev.Monitor.from_netlink(context, source) for source in ("udev", "kernel")]
    loop = asyncio.get_running_loop()

    def drain(descriptor: int) -> None:
        # Without pyudev, whose poll leaves an overrun (ENOBUFS) standing, and so raises for ever. An overrun is an event.
        ours = False
        try:
            while message := os.read(descriptor, 65536):
                ours |= any(subsystem in message for subsystem in _SUBSYSTEMS)
        except BlockingIOError:
            pass
        except OSError:
            ours = True
        if ours:
            changed()

    for monitor in monitors:
        monitor.filter_by("block")
        monitor.filter_by("enclosure")
        monitor.start()
        loop.add_reader(monitor.fileno(), drain, monitor.fileno())
    try:
        with _mapped(changed):
            yield
    finally:
        for monitor in monitors:
            loop.remove_reader(monitor.fileno())


@contextmanager
def _mapped(changed: Callable[[], None]) -> Iterator[None]:
    """Call `changed` when a target of device-mapper has something to tell, if the host has device-mapper."""
    try:
        # To open the node of what is not there would load it.
        control = _CONTROL.open("rb") if _DEVICE_MAPPER.exists() else None
    except OSError as error:
        log.warning("what device-mapper's targets tell is not heard: %s", error.strerror)
        control = None
    if control is None:
        yield
        return
    loop = asyncio.get_running_loop()

    def again() -> None:
        # From now on it can be read when there is something new.
        fcntl.ioctl(
            control, _DM_DEV_ARM_POLL, struct.pack("IIIII", 4, 0, 0, _DM_IOCTL, _DM_IOCTL).ljust(_DM_IOCTL, b"\0")
        )

    def heard() -> None:
        again()
        changed()

    with control:
        try:
            again()
        except OSError as error:
            log.warning("what device-mapper's targets tell is not heard: %s", error.strerror)
        else:
            loop.add_reader(control, heard)
        try:
            yield
        finally:
            loop.remove_reader(control)


def describe(folder: Path, properties: Mapping[str, str], uses: Uses, own: Collection[str] = ()) -> BlockDevice | None:
    """The drive of that folder of sysfs and those properties of udev (none: udev does not know it), but for what only the
    disk itself tells; None when it is no drive."""
    name = folder.name
    size = int(_text(folder / "size") or 0) * _SECTOR
    dm = _text(folder / "dm/uuid")
    if (
        _NO_DRIVES.match(name)
        or _text(folder / "hidden") == "1"  # the paths of NVMe's own multipathing
        or dm.startswith(("LVM-", "part"))
        or (size == 0 and "/virtual/block/" in str(folder))  # nothing is bound to it
    ):
        return None
    state = _text(folder / "device/state")
    online = state in _RUNNING and size > 0
    enclosure, slot, failing = _place(folder)
    if state in _GIVEN_UP:
        health = Health.FAILED
    elif state not in _RUNNING:
        health = Health.UNKNOWN
    else:
        health = Health.PENDING_FAILURE if failing else Health.HEALTHY
    return BlockDevice(
        node=_node(folder),
        identification=_identification(folder, properties),
        name=_name(folder, properties),
        serial=_serial(folder, properties),
        size=size,
        bus=_bus(folder, properties),
        spindle_speed=_spindle_speed(folder, properties),
        enclosure=enclosure,
        slot=slot,
        online=online,
        health=health,
        holder=_holder(folder, properties, uses, own, online),
        lvm=properties.get("ID_FS_UUID", "") if properties.get("ID_FS_TYPE") == "LVM2_member" else "",
    )


def folder_of(node: str, sysfs: Path = Path("/sys")) -> Path:
    """The folder of sysfs of the disk with that node."""
    return sysfs / "block" / node.removeprefix("/dev/").replace("/", "!")


def component(folder: Path) -> Path | None:
    """The folder of sysfs of the slot that the disk is in, where an enclosure says so."""
    return next((link.resolve() for link in folder.glob("device/enclosure_device:*")), None)


OWN = "a LUN of this host"
"""Who holds a disk that is a LUN of ours, which this host logged in to."""


def _holder(folder: Path, properties: Mapping[str, str], uses: Uses, own: Collection[str], online: bool) -> str:
    """Why the disk is not free, as sysfs, /proc and udev know."""
    if any(_serial(below, {}).lower() in own for below in _stack(folder)):
        return OWN
    if _text(folder / "size") == "0" and _text(folder / "removable") == "1":
        return "removable medium absent"
    if not online:
        return "offline"
    if _text(folder / "ro") == "1":
        return "read-only"
    # Partitions are folders in their disk's.
    parts = [folder, *(entry.parent for entry in sorted(folder.glob("*/partition")))]
    for part in parts:
        for device in (_text(part / "dev"), _node(part)):
            if device in uses.mounts:
                return f"mounted on {uses.mounts[device]}"
        if _node(part) in uses.swaps:
            return "used as swap space"
    holders = [holder for part in parts for holder in sorted((part / "holders").glob("*"))]
    type = properties.get("ID_FS_TYPE", "")
    for holder in holders:
        if _text(holder / "dm/uuid").startswith("mpath-"):
            return f"a path of {_text(holder / 'dm/name')}"
    if type == "mpath_member" or properties.get("DM_MULTIPATH_DEVICE_PATH") == "1":
        return "a path of a multipath device"
    if type == "LVM2_member":
        groups = [group for holder in holders if (group := _volume_group(holder))]
        return f"an LVM physical volume of {groups[0]}" if groups else "an LVM physical volume"
    for holder in holders:
        mapped = _text(holder / "dm/name")
        return f"{holder.name} ({mapped}) uses it" if mapped else f"{holder.name} uses it"
    if table := properties.get("ID_PART_TABLE_TYPE", ""):
        return f"it has a partition table ({table})"
    if len(parts) > 1:
        return "it has partitions"
    return f"{type} is on it" if type else ""


def _examined(folder: Path, drive: BlockDevice) -> BlockDevice:
    """What udev takes for a free disk, looked at once more: udev says nothing of a disk with several formats, and knows
    nothing of who has it open."""
    if drive.holder:
        return drive
    try:
        formats = _formats(drive.node, _looked(folder))
    except subprocess.SubprocessError as error:
        return msgspec.structs.replace(drive, holder=f"cannot be read: {error}")
    if formats:
        return msgspec.structs.replace(
            drive, holder=f"{' and '.join(formats)} {'is' if len(formats) == 1 else 'are'} on it"
        )
    try:
        # The last resort, because for a moment it is this process that claims the disk.
        os.close(os.open(drive.node, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        taken = error.errno == errno.EBUSY
        reason = "somebody has it open for themselves" if taken else f"cannot be opened: {error.strerror}"
        return msgspec.structs.replace(drive, holder=reason)
    return drive


def _looked(folder: Path) -> int:
    """When udev last looked at the disk, in nanoseconds; now, where it does not."""
    with suppress(OSError):
        if _udev_runs():
            return Path("/run/udev/data", f"b{_text(folder / 'dev')}").stat().st_mtime_ns
    return time.time_ns()


def _udev_runs() -> bool:
    """As libudev tells it."""
    return Path("/run/udev/control").exists()


@lru_cache(maxsize=1000)
def _formats(node: str, looked: int) -> tuple[str, ...]:
    """What is on the disk; read once for each time that udev has looked, lest sleeping disks be woken."""
    done = subprocess.run(
        ["wipefs", "--no-act", "--noheadings", "--output", "TYPE", node],
        capture_output=True,
        text=True,
        check=True,
        timeout=_READ_TIMEOUT,
    )
    return tuple(dict.fromkeys(done.stdout.split()))


def _identification(folder: Path, properties: Mapping[str, str]) -> str:
    uuid = _text(folder / "dm/uuid") or _text(folder / "md/uuid") or properties.get("MD_UUID", "")
    return (
        _text(folder / "device/wwid")  # SCSI
        or _text(folder / "wwid")  # NVMe
        or _text(folder / "loop/backing_file")
        or uuid
        or properties.get("ID_WWN_WITH_EXTENSION", "")
        or properties.get("ID_SERIAL", "")
        or _serial(folder, properties)
        or _topology(folder, properties)
    )


def _topology(folder: Path, properties: Mapping[str, str]) -> str:
    return properties.get("ID_PATH", "") or folder.name


def _name(folder: Path, properties: Mapping[str, str]) -> str:
    vendor, model = _text(folder / "device/vendor"), _text(folder / "device/model")
    # "ATA" stands for whatever the real vendor is, and virtio's is a number.
    words = [] if vendor == "ATA" or vendor.startswith("0x") else [vendor]
    return (
        " ".join(filter(None, [*words, model]))
        or _text(folder / "loop/backing_file")
        or _text(folder / "dm/name")
        or properties.get("ID_MODEL", "")
        or folder.name
    )


def _serial(folder: Path, properties: Mapping[str, str]) -> str:
    page = _bytes(folder / "device/vpd_pg80")[4:]
    return (
        page.decode(errors="replace").strip("\0 ")
        or _text(folder / "device/serial")  # NVMe, eMMC
        or _text(folder / "serial")  # virtio
        or properties.get("ID_SERIAL_SHORT", "")
    )


def _bus(folder: Path, properties: Mapping[str, str]) -> StorageBusType:
    if _text(folder / "dm/uuid").startswith("mpath-"):
        for path in _stack(folder):
            if path != folder:
                return _bus(path, {})
    for pattern, bus in _BUSES:
        if pattern.search(str(folder)):
            if bus is StorageBusType.SAS and _text(folder / "device/vendor") == "ATA":
                return StorageBusType.SATA
            if bus is StorageBusType.SATA and "ID_ATA" in properties and properties.get("ID_ATA_SATA") != "1":
                return StorageBusType.ATA
            return bus
    return StorageBusType.UNKNOWN


def _spindle_speed(folder: Path, properties: Mapping[str, str]) -> int:
    if _text(folder / "queue/rotational") == "0":
        return 1
    # Block device characteristics: 0 is unknown, 1 does not rotate, what is not reserved begins at 0x401.
    speed = int.from_bytes(_bytes(folder / "device/vpd_pgb1")[4:6], "big")
    return speed if 0x401 <= speed < 0xFFFF else int(properties.get("ID_ATA_ROTATION_RATE_RPM", "0"))


def _place(folder: Path) -> tuple[int | None, int | None, bool]:
    """Enclosure and slot, and whether the enclosure says that the drive is failing."""
    found = component(folder)
    if found is None:
        return None, None, False
    # The component's folder is in the enclosure's, whose device is the SCSI device with the services.
    numbers = [entry.name.removeprefix("sg") for entry in found.parent.glob("device/scsi_generic/sg*")]
    slot = int(_text(found / "slot") or -1)
    failing = _text(found / "status") in {"critical", "non-critical", "unrecoverable"}
    return int(numbers[0]) if numbers else None, slot if slot >= 0 else None, failing


def _volume_group(holder: Path) -> str:
    """The volume group of a logical volume; device-mapper doubles the hyphens of the two names that it joins by one."""
    if not _text(holder / "dm/uuid").startswith("LVM-"):
        return ""
    joined = re.match(r"((?:[^-]|--)+)-(?!-)", _text(holder / "dm/name"))
    return joined[1].replace("--", "-") if joined else ""


def _stack(folder: Path) -> Iterator[Path]:
    """The folders of a disk and of those that it is made of."""
    yield folder
    for below in sorted((folder / "slaves").glob("*")):
        yield from _stack(below.resolve())


def _node(folder: Path) -> str:
    return f"/dev/{folder.name.replace('!', '/')}"


def _unescaped(text: str) -> str:
    """Text of /proc, where blanks and the like are octal."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def _text(path: Path) -> str:
    return _bytes(path).decode(errors="replace").strip()


def _bytes(path: Path) -> bytes:
    """The file's content; nothing where it is not there, or its device has just gone."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
