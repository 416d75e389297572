"""A running vdsprovd for tests, on the simulator or on the kernel's target, seen through its socket as any client does.

The contract suite runs on both. What the world does behind the daemon's back has one name here (`array.py`) and two ways.
"""

from tests.arrays.array import (
    ADDRESS,
    DRIVE_SIZE,
    DRIVES,
    GIB,
    INITIATOR,
    OTHER_INITIATOR,
    SECRET,
    SPACE,
    SPARES,
    VOLUME_GROUP,
    Array,
    Failed,
    Reply,
)
from tests.arrays.disk import DISK, DISK_SIZE, breakable_disk
from tests.arrays.kernel import clear_kernel, group_folder, somebody
from tests.arrays.lio import LioArray
from tests.arrays.simulated import SimulatedArray
from tests.programs import MIB, run

__all__ = [
    "ADDRESS",
    "DISK",
    "DISK_SIZE",
    "DRIVES",
    "DRIVE_SIZE",
    "GIB",
    "INITIATOR",
    "MIB",
    "OTHER_INITIATOR",
    "SECRET",
    "SPACE",
    "SPARES",
    "VOLUME_GROUP",
    "Array",
    "Failed",
    "LioArray",
    "Reply",
    "SimulatedArray",
    "breakable_disk",
    "clear_kernel",
    "group_folder",
    "run",
    "somebody",
]
