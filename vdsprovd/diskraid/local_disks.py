"""This host's disks of a LUN, which UNINSTALL lets go before the LUN is masked or deleted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from vdsprovd.diskraid.host import run
from vdsprovd.diskraid.problems import HostFailed

if TYPE_CHECKING:
    from vdsprovd.diskraid.session import Session

_DISKS: Final = Path("/sys/block")
_MOUNTS: Final = Path("/proc/self/mountinfo")
_SERIAL_AT: Final = 4
"""Where the serial number begins in VPD page 0x80."""


def uninstall(session: Session, lun: str) -> None:
    """Remove this host's disks of the LUN. Raises `HostFailed`, and removes none, where one is in use."""
    serial = session.client.call("Lun.GetIdentificationData", id=lun)["properties"]["serialNumber"]
    disks = [disk for disk in sorted(_DISKS.glob("sd*")) if _serial(disk) == serial]
    for disk in disks:
        if user := _user(disk):
            raise HostFailed(f"/dev/{disk.name}, which is the LUN on this host, is in use: {user}")
    for disk in disks:
        run("blockdev", "--flushbufs", f"/dev/{disk.name}")
        try:
            (disk / "device/delete").write_text("1")
        except OSError as error:
            raise HostFailed(f"cannot remove /dev/{disk.name} from this host: {error.strerror}") from error
        session.say("", f"/dev/{disk.name} was removed from this host.")


def _serial(disk: Path) -> str:
    try:
        page = (disk / "device/vpd_pg80").read_bytes()
    except OSError:
        return ""
    return page[_SERIAL_AT:].decode(errors="replace").strip(" \0")


def _user(disk: Path) -> str:
    """What uses a disk or one of its partitions, "" for nothing."""
    mounted = {fields[2]: fields[4] for line in _MOUNTS.read_text().splitlines() if (fields := line.split())}
    for part in (disk, *disk.glob(f"{disk.name}*")):
        if holders := sorted(holder.name for holder in (part / "holders").glob("*")):
            return f"/dev/{part.name} is held by {', '.join(holders)}"
        if where := mounted.get((part / "dev").read_text().strip()):
            return f"/dev/{part.name} is mounted on {where}"
    return ""
