"""The port: everything below the VDS rules, as one small protocol with two adapters, LIO and a simulator.

The state of the iSCSI target is a set of *facts*: flat, immutable, each about one kernel object. What is wanted is such
a set, what is there is another, and `steps` turns their difference into an order of work that the kernel accepts. A
command, its undoing, boot, recovery after a crash and Refresh all take that one path.

`facts` has what there can be, `execution` how one set becomes the other, `volumes` where the bytes are, `errors` what can go
wrong, and this module the rest of the port. Adapters are strict: adding what is there or relying on what is not raises
`Mismatch`, because it proves that the caller's picture of the host is wrong. Adapters block; they are called from worker
threads.
"""

from collections.abc import AsyncGenerator, Callable, Collection, Container, Mapping
from contextlib import AbstractContextManager
from enum import Enum
from typing import Protocol

import msgspec

from vdsprovd.hardware.errors import (
    Cancelled,
    HardwareError,
    Mismatch,
    NoDrives,
    NoSpace,
    Refused,
    Unsupported,
    VolumeFailed,
)
from vdsprovd.hardware.execution import (
    attempt,
    changes,
    realize,
    rests_on,
    steps,
    undo,
    verify,
)
from vdsprovd.hardware.facts import (
    PRODUCT,
    Access,
    Acl,
    Credentials,
    Disk,
    Fact,
    Grant,
    Group,
    Key,
    Listener,
    Secret,
    Step,
    TargetNode,
    Unit,
)
from vdsprovd.hardware.volumes import (
    OTHER,
    Condition,
    DrivePool,
    Extent,
    Fill,
    Layout,
    Leg,
    Member,
    Pool,
    Progress,
    Space,
    VolumeState,
    part,
)
from vdsprovd.model import (
    ForeignObject,
    ForeignType,
    Health,
    MaintenanceOperation,
    PathStatus,
    StorageBusType,
    StorageIdentifier,
)

__all__ = [
    "OTHER",
    "PRODUCT",
    "Access",
    "Acl",
    "BlockDevice",
    "Cancelled",
    "Condition",
    "Count",
    "Credentials",
    "Disk",
    "DrivePool",
    "Extent",
    "Fact",
    "Fill",
    "Grant",
    "Group",
    "Hardware",
    "HardwareError",
    "Identity",
    "InitiatorConnection",
    "Key",
    "Layout",
    "Leg",
    "Listener",
    "Maintenance",
    "Member",
    "Mismatch",
    "NoDrives",
    "NoSpace",
    "Pool",
    "PortalAddress",
    "Progress",
    "Refused",
    "Secret",
    "Space",
    "Step",
    "Stranger",
    "TargetNode",
    "Unit",
    "Unsupported",
    "VolumeFailed",
    "VolumeState",
    "attempt",
    "changes",
    "part",
    "realize",
    "rests_on",
    "steps",
    "undo",
    "verify",
]


class BlockDevice(msgspec.Struct, frozen=True):
    """A whole disk of the host."""

    node: str
    identification: str
    """What names the drive for as long as it lives, whatever its node: the first that there is of its WWN as the kernel
    knows it, a loop device's file, a device-mapper or md UUID, its serial number with its model, the path to it by
    topology, the kernel's name. Of drives that claim the same, as the paths to one disk do, the first by topology has it,
    and the others have their path added."""
    name: str
    """For people, such as "LIO-ORG disk0"."""
    serial: str
    """As the disk has it (VPD page 0x80), "" for none."""
    size: int
    bus: StorageBusType
    spindle_speed: int
    """RPM; 1 does not rotate, 0 is unknown."""
    enclosure: int | None
    """The number of its enclosure's /dev/sgN, which stays while the enclosure does."""
    slot: int | None
    online: bool
    health: Health
    holder: str
    """Why the disk is not free to be taken, for people; "" when it is."""
    lvm: str
    """The UUID of the LVM physical volume on it, "" for none."""


class Identity(msgspec.Struct, frozen=True):
    """What an initiator reads about a disk: INQUIRY's fields with their blanks, the serial number (VPD 0x80), and the
    logical unit's own designators in the order of the device identification page (VPD 0x83)."""

    vendor: str
    product: str
    revision: str
    serial: str
    designators: tuple[StorageIdentifier, ...]


class Maintenance(Protocol):
    """What can be done to drives, by their device nodes. Only the light lasts until it is stopped; the rest is over when
    `start` returns."""

    def start(self, node: str, operation: MaintenanceOperation) -> None:
        """Light it up, spin it down or up, or see whether it answers. Raises `Unsupported`, `Refused`, `Mismatch`."""

    def stop(self, node: str, operation: MaintenanceOperation) -> None:
        """Put out the light. Raises as `start`."""


class Count(Enum):
    """What the kernel counts of a disk (`Disk`), of its logical unit in a portal group (`Unit`), or of a target
    (`TargetNode`), since it was made; `SESSIONS` is how many there are."""

    COMMANDS = "commands"
    READ = "read"
    """Bytes, in whole MiB."""
    WRITTEN = "written"
    """Bytes, in whole MiB."""
    RESETS = "resets"
    ABORTS = "aborts"
    """Commands that initiators gave up, mostly because they took too long."""
    SESSIONS = "sessions"
    LOGINS = "logins"
    NOT_AUTHENTICATED = "not authenticated"
    """Logins refused for a wrong CHAP name or secret."""
    NOT_AUTHORIZED = "not authorized"
    """Logins refused for want of an ACL."""
    NOT_NEGOTIATED = "not negotiated"
    OTHER_REFUSALS = "other refusals"
    """Logins refused for another reason."""
    DIGEST_ERRORS = "digest errors"
    CONNECTION_ERRORS = "connection errors"
    FORMAT_ERRORS = "format errors"
    ABNORMAL_LOGOUTS = "abnormal logouts"


class Stranger(msgspec.Struct, frozen=True):
    """Something in the host's target that somebody else has made, and how far the provider could have it."""

    type: ForeignType
    name: str
    """As a `ForeignObject`'s."""
    facts: tuple[Fact, ...] = ()
    """What there is of it: a storage object's disk, a target and what is in it; none of what no fact can tell."""
    lapses: tuple[str, ...] = ()
    """For people: settings that no fact tells. They hold until the object is made anew."""
    obstacles: tuple[str, ...] = ()
    """For people: what the provider does not have, and would lose or widen somebody's access if it went."""


PortalAddress = tuple[str, int]
"""An address without brackets, and a TCP port."""


class InitiatorConnection(msgspec.Struct, frozen=True):
    """An initiator's connection to a portal group, from one of its addresses to one portal."""

    tag: int
    initiators: tuple[str, ...]
    """Whose it is; several names when the host cannot tell which of them."""
    address: str
    """The initiator's, "" when it is not known any more."""
    portal: PortalAddress | None
    """None when the connection broke and the group has several."""
    sure: bool = True
    """Whether the host can tell that it is one to this target; others may share the portal."""
    up: bool = True
    """False while the session outlives a connection that broke."""


class Hardware(Protocol):
    """One host's iSCSI target and the pools behind it."""

    maintenance: Maintenance

    pools: Mapping[tuple[str, str], Pool]
    """By (subsystem name, pool name), as configured."""

    def read(self, target: str | None = None, needed: Container[str] | None = None) -> list[Fact]:
        """Every fact of the host, foreign ones included, or only the target of that name and what is in it. Of targets that
        are not among those `needed` (None: all are) one that cannot be read is left out. Raises `HardwareError` when the
        scan breaks off."""

    def discover(self, needed: Container[str] | None = None) -> None:
        """Find every object of the host, otherwise as `read`: what there is, not how it is, at a fraction of the cost."""

    def foreign(self, targets: Container[str], disks: Container[Key]) -> Collection[ForeignObject]:
        """What the host's target holds beside these targets and disks. What cannot be read of it is told in its place. Raises
        `HardwareError` when nothing can."""

    def strangers(self, targets: Container[str], disks: Container[Key]) -> Collection[Stranger]:
        """The same, closely. Raises `HardwareError`."""

    def rivals(self, targets: Container[str]) -> Collection[str]:
        """For people: what of the host's would make these targets too at the next boot, and what to do about it."""

    def look(self, keys: Collection[Key]) -> list[Fact]:
        """The facts of these keys, at a cost that depends on their number alone; what is not there is left out. Raises
        `HardwareError`."""

    def changes(self) -> AsyncGenerator[Collection[Key] | None, None]:
        """Keys of objects that somebody touched, our own steps included: only a hint where to look again. None hints at
        everything, at first and whenever hints were lost. Ends when the host can give no hints."""

    def take(self, step: Step) -> None:
        """Take one step. Raises `Mismatch` or `Refused`."""

    def taker(self) -> AbstractContextManager[Callable[[Step], None]]:
        """As `take`, for many steps, all of which remove before they add: what they have in common is looked at once. Safe in
        several threads, as long as the context lasts."""

    def existing(self, targets: Collection[str]) -> Collection[str]:
        """Those of these names that a target of the host has, whoever made it."""

    def sessions(self, target: str) -> Collection[str]:
        """Names of the initiators that are logged in to the target. Raises `Mismatch` when there is no such target."""

    def connections(self, target: str) -> Collection[InitiatorConnection]:
        """The connections of the initiators that are logged in to the target. Raises `Mismatch` when there is no such
        target."""

    def count(self, of: "Disk | Unit | TargetNode", what: Count) -> int | None:
        """What the kernel has counted of the object; None for what it does not count, and when the object is not there."""

    def path_status(self, unit: Unit) -> PathStatus:
        """How initiators reach the disk through the logical unit, by its ALUA states. Raises `Mismatch` when it is not
        there."""

    def identity(self, disk: Disk) -> Identity:
        """What initiators read of the disk. Raises `Mismatch` when it is not there."""

    def drives(self, own: Collection[str]) -> Collection[BlockDevice]:
        """Every disk of the host but those whose serial numbers are in `own`: LUNs of ours that this host logged in to.
        Raises `HardwareError`."""

    def flush(self) -> None:
        """Write what the host has cached to its disks."""

    def drop_caches(self, paths: Collection[str]) -> None:
        """Forget what the host has cached of these volumes; what is not on their disks yet is written first. Raises
        `HardwareError`."""

    def watch_drives(self, changed: Callable[[], None]) -> AbstractContextManager[None]:
        """Call `changed` whenever a disk of the host comes, goes or changes, as long as the context lasts. Needs a
        running event loop, in whose thread it is called."""

    def watch_volumes(self, changed: Callable[[Collection[str] | None], None]) -> AbstractContextManager[None]:
        """Call `changed` with the ids of the LUNs whose files somebody may have touched, our own work included, as long as
        the context lasts; with None when it may have been any, or a pool. Needs a running event loop, as above."""

    def scan(self) -> AbstractContextManager[None]:
        """Within it, what this thread reads of a volume group, whichever pools ask, is of one moment and is read once."""

    def addresses(self) -> Mapping[str, bool]:
        """Every address of the host, as text without brackets, and whether its link is up."""

    def local_initiators(self) -> Collection[str]:
        """The iSCSI names of this host's own initiators."""
