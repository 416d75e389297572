"""Logical volumes of others that become LUNs', and back: renamed and tagged while the kernel has them open."""

import stat
from contextlib import suppress
from pathlib import Path

from vdsprovd.hardware import Mismatch
from vdsprovd.hardware.pools.lvm.command import lvm
from vdsprovd.hardware.pools.lvm.report import OWNER_TAG, SPAN_TAG, TAG, Group, Volume, look

FORMER_TAG = "vdsprovd-former-name="
"""Begins the tag that says what an adopted volume was called before."""


def at(vg: str, found: Group, path: str) -> Volume | None:
    """The active volume of the group whose device the path leads to, however it is written."""
    with suppress(OSError):
        device = Path(path).stat()
        if stat.S_ISBLK(device.st_mode):
            for name, volume in found.volumes.items():
                with suppress(OSError):
                    if volume.active and Path(f"/dev/{vg}/{name}").stat().st_rdev == device.st_rdev:
                        return volume
    return None


def spans(volume: Volume) -> bool:
    """Whether a volume that LVM calls linear goes from drive to drive."""
    drives = {piece.drive.uuid for image in volume.images for piece in image.pieces}
    return volume.type == "linear" and len(drives) > 1


def take_in(vg: str, lun: str, path: str) -> None:
    """Make the volume at the path the LUN's. The caller holds the group's lock."""
    what, found = f"take {path} in as LUN {lun}", look(vg)
    volume = at(vg, found, path)
    if volume is None or lun in found.volumes:
        raise Mismatch(
            f"cannot {what}: {'there is no such volume any more' if volume is None else 'there is one already'}"
        )
    tags = [TAG, OWNER_TAG + lun, FORMER_TAG + volume.name, *([SPAN_TAG] if spans(volume) else [])]
    lvm(what, "lvchange", *_each("--addtag", tags), f"{vg}/{volume.name}")
    lvm(what, "lvrename", vg, volume.name, lun)


def give_back(vg: str, lun: str) -> None:
    """Give the LUN's volume its name back, and take the tags from it; as far as they have changed."""
    what = f"give the volume of LUN {lun} back"
    volume = next((volume for volume in look(vg).volumes.values() if volume.owner == lun), None)
    former = next((tag for tag in volume.tags if tag.startswith(FORMER_TAG)), "") if volume else ""
    if volume is None or not former:
        return
    name = former.removeprefix(FORMER_TAG)
    if volume.name != name:
        lvm(what, "lvrename", vg, volume.name, name)
    ours = [tag for tag in volume.tags if tag in (TAG, SPAN_TAG, former, OWNER_TAG + lun)]
    lvm(what, "lvchange", *_each("--deltag", ours), f"{vg}/{name}")


def _each(option: str, values: list[str]) -> list[str]:
    return [text for value in values for text in (option, value)]
