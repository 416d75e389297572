"""What vdsprovd promises and the floor does not, without a service: a file that outlasts a power cut, says whose it is, and can
be seen to fail; what initiators and other tools read of the disk; a target that is closed to whom it does not know, and has a
name; and folders that are watched."""

import ctypes
import os
from collections.abc import Collection

from benchmark import floor

_BLOCK = bytes(4096)
_TOUCHED = 0x302
"""IN_CREATE, IN_DELETE and IN_MODIFY."""


class Owed:
    """Does the floor's operations and those, one after the other."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None)
        self._watches = self._libc.inotify_init1(os.O_CLOEXEC)

    def add_target(self, target: str, initiators: Collection[str]) -> None:
        """As the floor's."""
        floor.add_target(target, initiators)
        group = f"{floor.ROOT}/iscsi/{target}/tpgt_1"
        for name, value in (
            ("attrib/demo_mode_discovery", "0"),
            ("attrib/authentication", "0"),
            ("param/TargetAlias", target),
        ):
            floor.write(f"{group}/{name}", value)
        self._watch(
            group.rpartition("/")[0], group, *(f"{group}/{name}" for name in ("lun", "acls", "np", "attrib", "param"))
        )
        acls = (f"{group}/acls/{name}" for name in initiators)
        self._watch(*(folder for acl in acls for folder in (acl, f"{acl}/auth")))

    def add_lun(self, target: str, number: int, file: str, size: int, initiators: Collection[str]) -> None:
        """As the floor's."""
        floor.add_disk(number, file, size)
        descriptor = os.open(file, os.O_RDWR)
        os.setxattr(descriptor, floor.OWNER, file.encode())
        os.pwrite(descriptor, _BLOCK, size - len(_BLOCK))
        os.fsync(descriptor)
        os.close(descriptor)
        disk, *links = floor.folders(target, number, file, initiators)
        for name, value in (("udev_path", file), ("wwn/product_id", "VDS LUN")):
            floor.write(f"{disk}/{name}", value)
        floor.add_unit(target, number, file, initiators)
        self._watch(disk, *links)

    def _watch(self, *folders: str) -> None:
        # Once they are used up, nobody gets more.
        for folder in folders:
            self._libc.inotify_add_watch(self._watches, folder.encode(), _TOUCHED)
