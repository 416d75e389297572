"""What must be so in a volume group before LVM is told to change it, and which of its drives is meant.

In what is raised, `what` completes "cannot ...".
"""

import os
from collections.abc import Sequence

from vdsprovd.hardware import Mismatch, NoDrives, NoSpace, Refused
from vdsprovd.hardware.pools.lvm.report import Drive, Group, Volume


def missing(found: Group) -> list[Drive]:
    """The drives that the volume group should have and does not, or has flagged as missing."""
    return [drive for drive in found.drives if drive.flagged or not drive.node]


def complete(what: str, found: Group) -> None:
    """LVM allocates nothing in a volume group that misses a drive. Raises `NoSpace`."""
    if gone := missing(found):
        raise NoSpace(
            f"cannot {what}: the volume group misses the drive with the physical volume {gone[0].uuid}; repair the LUNs "
            "that lie on it and take it out of the pool, or bring it back"
        )


def unbroken(what: str, found: Group) -> None:
    """Nor does LVM free anything then, but with whole volumes. That is not for want of space: raises `Refused`."""
    if missing(found):
        raise Refused(f"cannot {what}: the volume group misses a drive; repair the LUNs that lie on it first")


def member(what: str, found: Group, node: str) -> Drive:
    """The drive with this device node or, for one that is missing, the pool's own name. Raises `Mismatch`."""
    known = {name: drive for drive in found.drives for name in (drive.node, drive.uuid) if name}
    if drive := known.get(node) or known.get(os.path.realpath(node)):
        return drive
    raise Mismatch(f"cannot {what}: {node} is no drive of the volume group")


def meet(volume: Volume, source: Drive, target: Drive) -> bool:
    """Whether two columns or copies would be on one drive if all on one were on the other."""
    groups = [[{piece.drive for piece in image.pieces} for image in volume.images]]
    if volume.type == "striped":
        (pieces,) = (image.pieces for image in volume.images)
        places = {piece.place for piece in pieces}
        groups = [[{piece.drive} for piece in pieces if piece.place == place] for place in places]
    pairs = [(one, other) for sides in groups for one in sides for other in sides if one is not other]
    return any(source in one and target in other for one, other in pairs)


def given(found: Group, nodes: Sequence[str]) -> list[Drive]:
    """The drives with these device nodes. Raises `NoDrives` for one that cannot be used."""
    by_node = {drive.node: drive for drive in found.drives if drive.usable}
    try:
        return [by_node[os.path.realpath(node)] for node in nodes]
    except KeyError as error:
        raise NoDrives(f"{error.args[0]} is no drive of this pool that new extents may be on") from None


def still(what: str, volume: Volume) -> None:
    """A volume whose extents are on the move is not changed. Raises `Refused`."""
    if volume.moving:
        raise Refused(
            f"cannot {what}: its extents are being moved from one drive to another; try again when that is done"
        )


def apart(what: str, volume: Volume) -> None:
    """No drive may be in two images of a RAID: its loss would be the loss of both. Raises `Refused`."""
    seen: set[str] = set()
    for image in volume.images:
        drives = {piece.drive.uuid for piece in image.pieces}
        if seen & drives:
            raise Refused(f"cannot {what}: LVM would put two columns or copies on one drive")
        seen |= drives
