"""rtslib, of whichever version. What differs between 2.1.75 (Debian 12 has it) and the newest is bridged here.

A host has its code twice, as `rtslib` and as `rtslib_fb`, each with exceptions of its own: the second is imported, in this
module and nowhere else. What comes with rtslib and is not named here is not used.
"""

from rtslib_fb import utils
from rtslib_fb.fabric import FabricModule
from rtslib_fb.root import RTSRoot
from rtslib_fb.tcm import BlockStorageObject, FileIOStorageObject
from rtslib_fb.utils import RTSLibError

__all__ = [
    "STATE",
    "BlockStorageObject",
    "FabricModule",
    "FileIOStorageObject",
    "NotInConfigfs",
    "RTSLibError",
    "RTSRoot",
    "refusal",
]

# Its name before 2.2 has no "Error".
NotInConfigfs: type[Exception] = getattr(utils, "RTSLibNotInCFSError", None) or utils.RTSLibNotInCFS

STATE = "/etc/target"
"""Where the kernel keeps persistent reservations, unless somebody's storage objects were there before us."""

# Debian's build would move them to a folder of its own, and fail where that is not there; with the other builds the kernel
# would look for them in vain after a reboot. All of them look here.
RTSRoot._preferred_dbroot = STATE


def refusal(error: Exception) -> OSError | None:
    """What the kernel said, of which rtslib's exception has a text; since 2.2 with the kernel's reason in it, before without.

    None where rtslib itself refused.
    """
    return error.__context__ if isinstance(error.__context__, OSError) else None
