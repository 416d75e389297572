"""The port: everything below the VDS rules, as one small protocol with two adapters, LIO and a simulator.

The state of the iSCSI target is a set of *facts*: flat, immutable, each about one kernel object. What is wanted is such
a set, what is there is another, and `steps` turns their difference into an order of work that the kernel accepts. A
command, its undoing, boot, recovery after a crash and Refresh all take that one path.

Laws: a fact's `key` names the object, its other fields are the object's settings; those in `fixed` cannot be changed in
place, so an object that differs in them is made anew, with all that needs it. Adapters are strict: adding what is
there or relying on what is not raises `Mismatch`, because it proves that the caller's picture of the host is wrong.
Adapters block; they are called from worker threads.
"""

from collections.abc import AsyncGenerator, Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from enum import Enum
from itertools import groupby
from typing import ClassVar, Protocol

import msgspec

from vdsprovd.model import (
    ForeignObject,
    ForeignType,
    Health,
    LunType,
    MaintenanceOperation,
    PathStatus,
    StorageBusType,
    StorageIdentifier,
)
from vdsprovd.side_by_side import MOST, side_by_side

PRODUCT = "vdsprovd"
"""What initiators are told that a disk is (INQUIRY's product identification), unless it was something else before."""


class Secret(str):
    """A CHAP secret: a string that does not show itself in logs and tracebacks."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(***)"


class Credentials(msgspec.Struct, frozen=True):
    """The CHAP names and secrets of one initiator at one portal group; None where none is set."""

    user: str | None = None
    secret: Secret | None = None
    mutual_user: str | None = None
    mutual_secret: Secret | None = None


class Fact(msgspec.Struct, frozen=True):
    """One kernel object as it is or shall be. `rank` orders kinds: an object needs only objects of lower rank."""

    rank: ClassVar[int]
    identity: ClassVar[int]  # how many of the fields, from the first, name the object
    fixed: ClassVar[tuple[str, ...]] = ()

    @property
    def key(self) -> "Key":
        """What names the object; two facts with one key are the same object with different settings."""
        return (type(self), *msgspec.structs.astuple(self)[: self.identity])

    @property
    def needs(self) -> "tuple[Key, ...]":
        """The keys of the objects without which this one cannot be."""
        return ()


class Access(Enum):
    """How the node serves a LUN: the ALUA access state of its target port group (SPC-4 5.15.2), with its number."""

    ACTIVE = 0
    STANDBY = 2
    UNAVAILABLE = 3


class Disk(Fact, frozen=True):
    """A storage object: the LUN's bytes behind a SCSI disk.

    `size` is that of a file's disk in bytes; a block device's disk follows the device, and it is 0. `serial` is its unit
    serial number, by which initiators know it again: the LUN's id, unless something else is given. `product` is what
    they are told that it is; designators have it, too. A `number` below 0 is the place where somebody else has put a disk
    that was adopted since: no kernel object can be renamed, so it stays there until it is made anew.
    """

    lun: str
    number: int
    path: str
    size: int
    block: bool = False
    access: Access = Access.ACTIVE
    serial: str = ""
    product: str = PRODUCT
    rank: ClassVar[int] = 0
    identity: ClassVar[int] = 2
    fixed: ClassVar[tuple[str, ...]] = ("path", "block", "serial", "product")

    def __post_init__(self) -> None:
        if not self.serial:
            msgspec.structs.force_setattr(self, "serial", self.lun)

    def __str__(self) -> str:
        return f"the disk of LUN {self.lun} ({f'{self.size} bytes in ' if self.size else ''}{self.path})"


class TargetNode(Fact, frozen=True):
    """An iSCSI target, named by its IQN."""

    target: str
    rank: ClassVar[int] = 1
    identity: ClassVar[int] = 1

    def __str__(self) -> str:
        return f"target {self.target}"


class Group(Fact, frozen=True):
    """A target portal group; `alias` is the target's name for people, which initiators see at login. In demo mode
    initiators without an ACL log in, and see every LUN; of a read-only one, LUNs that come cannot be written."""

    target: str
    tag: int
    enabled: bool
    authentication: bool
    alias: str
    demo_mode: bool = False
    read_only: bool = False
    rank: ClassVar[int] = 2
    identity: ClassVar[int] = 2

    @property
    def needs(self) -> "tuple[Key, ...]":
        return ((TargetNode, self.target),)

    def __str__(self) -> str:
        return f"portal group {self.tag} of target {self.target}"


class Unit(Fact, frozen=True):
    """A logical unit of a portal group: the disk of LUN `lun`, whose number is `number`, under the number `index`."""

    target: str
    tag: int
    index: int
    lun: str
    number: int
    rank: ClassVar[int] = 3
    identity: ClassVar[int] = 3
    fixed: ClassVar[tuple[str, ...]] = ("lun", "number")

    @property
    def needs(self) -> "tuple[Key, ...]":
        return ((Group, self.target, self.tag), (Disk, self.lun, self.number))

    def __str__(self) -> str:
        return f"LUN {self.lun} as logical unit {self.index} of portal group {self.tag} of target {self.target}"


class Acl(Fact, frozen=True):
    """An initiator that may log in to a portal group."""

    target: str
    tag: int
    initiator: str
    credentials: Credentials
    rank: ClassVar[int] = 4
    identity: ClassVar[int] = 3

    @property
    def needs(self) -> "tuple[Key, ...]":
        return ((Group, self.target, self.tag),)

    def __str__(self) -> str:
        return f"initiator {self.initiator} at portal group {self.tag} of target {self.target}"


class Grant(Fact, frozen=True):
    """An initiator's access, under the number `index`, to the logical unit `unit` of a portal group."""

    target: str
    tag: int
    initiator: str
    index: int
    unit: int
    rank: ClassVar[int] = 5
    identity: ClassVar[int] = 4
    fixed: ClassVar[tuple[str, ...]] = ("unit",)

    @property
    def needs(self) -> "tuple[Key, ...]":
        return ((Acl, self.target, self.tag, self.initiator), (Unit, self.target, self.tag, self.unit))

    def __str__(self) -> str:
        return f"initiator {self.initiator}'s access to logical unit {self.unit} of target {self.target}"


class Listener(Fact, frozen=True):
    """An address and port at which a portal group is reachable; the last to come and the first to go."""

    target: str
    tag: int
    address: str
    port: int
    rank: ClassVar[int] = 6
    identity: ClassVar[int] = 4

    @property
    def needs(self) -> "tuple[Key, ...]":
        return ((Group, self.target, self.tag),)

    def __str__(self) -> str:
        return f"portal {self.address}:{self.port} of target {self.target}"


Key = tuple[object, ...]
"""A kind of fact, and the values of the fields that name the object."""


class Step(msgspec.Struct, frozen=True):
    """One operation: add (`before` is None), remove (`after` is None), or change settings."""

    before: Fact | None
    after: Fact | None

    @property
    def inverse(self) -> "Step":
        """The step that undoes this one."""
        return Step(self.after, self.before)


def steps(before: Iterable[Fact], after: Iterable[Fact]) -> list[Step]:
    """What leads from one set of facts to another, in an order that the kernel accepts: removals from the outside in,
    then changes and additions from the inside out."""
    old = {fact.key: fact for fact in before}
    new = {fact.key: fact for fact in after}
    differ = {key: fact for key, fact in new.items() if old.get(key) != fact}
    remade = {
        key
        for key, fact in differ.items()
        if key in old and any(getattr(fact, field) != getattr(old[key], field) for field in fact.fixed)
    }
    if remade:
        for fact in sorted(old.values(), key=_rank):
            if not remade.isdisjoint(fact.needs):
                remade.add(fact.key)
    removed = [fact for key, fact in old.items() if key not in new or key in remade]
    there = [fact for key, fact in new.items() if key in differ or key in remade]
    return [
        *(Step(fact, None) for fact in sorted(removed, key=_rank, reverse=True)),
        *(Step(None if fact.key in remade else old.get(fact.key), fact) for fact in sorted(there, key=_rank)),
    ]


def _rank(fact: Fact) -> int:
    return fact.rank


def verify(hardware: "Hardware", facts: Iterable[Fact]) -> None:
    """See that the host is as these facts say, at their cost alone. Raises `Mismatch` for what is missing or another."""
    expected = {fact.key: fact for fact in facts}
    there = {fact.key: fact for fact in hardware.look(list(expected))} if expected else {}
    for key, fact in expected.items():
        if (found := there.get(key)) is None:
            raise Mismatch(f"{fact} is not in the kernel")
        if found != fact:
            raise Mismatch(f"{fact} was changed by somebody else: {changes(fact, found)}")


def changes(wanted: Fact, there: Fact) -> str:
    """Which settings differ, for people; secrets are not told."""
    fields = wanted.__struct_fields__[wanted.identity :]
    pairs = ((field, getattr(wanted, field), getattr(there, field)) for field in fields)
    return ", ".join(
        f"other {field}" if isinstance(old, Credentials) else f"{field} is {new!r} instead of {old!r}"
        for field, old, new in pairs
        if old != new
    )


_MANY = 64
"""Steps from which on it pays to have threads ready for those that the kernel sleeps over."""


def rests_on(wanted: Sequence[Step], before: Iterable[Fact]) -> list[Fact]:
    """What of the facts before must be so for the steps to do what they are for: what is changed or removed, and what is
    there already of the objects that added ones need."""
    there = {fact.key: fact for fact in before}
    needed = {key for step in wanted if step.after for key in step.after.needs}
    return [*(step.before for step in wanted if step.before), *(there[key] for key in needed if key in there)]


def realize(hardware: "Hardware", wanted: Sequence[Step], before: Iterable[Fact] = ()) -> None:
    """Take the steps in order, if the host is as they and the facts before have it; when one fails, undo those taken, and
    raise what failed."""
    verify(hardware, rests_on(wanted, before))
    taken: list[Step] = []

    def take(step: Step) -> None:
        hardware.take(step)
        taken.append(step)

    try:
        if len(wanted) < _MANY:
            for step in wanted:
                take(step)
        else:
            for done in _by_kind(take, wanted):
                for _, error in done:
                    if error:
                        raise error
    except Exception as error:
        undo(hardware, taken, error)
        raise


def attempt(hardware: "Hardware", wanted: Iterable[Step]) -> "Iterator[tuple[Step, HardwareError | None]]":
    """Take the steps, each whatever became of the others, and give what became of it."""
    for done in _by_kind(hardware.take, wanted):
        yield from done


def _by_kind(
    take: Callable[[Step], None], wanted: Iterable[Step]
) -> "Iterator[Sequence[tuple[Step, HardwareError | None]]]":
    """Take the steps, those of one kind before those of the next, and give what became of them. Those of one kind need
    nothing of each other and are taken side by side while the kernel sleeps, through a grace period of RCU mostly."""

    def outcome(step: Step) -> "HardwareError | None":
        try:
            take(step)
        except HardwareError as error:
            return error
        return None

    def what(step: Step) -> str:
        return f"{'add or change' if step.after else 'remove'} {step.after or step.before}"

    with ThreadPoolExecutor(MOST, "vdsprovd-steps") as workers:
        for _, group in groupby(wanted, lambda step: (step.after is None, type(step.after or step.before))):
            batch = list(group)
            yield list(zip(batch, side_by_side(workers, outcome, batch, what), strict=True))


def undo(hardware: "Hardware", taken: Sequence[Step], error: Exception) -> None:
    """Undo the steps, the last first, because of the error; one that cannot be undone becomes a note of the error, and
    the others are undone all the same."""
    for step in reversed(taken):
        try:
            hardware.take(step.inverse)
        except Exception as second:
            error.add_note(f"and could not be undone: {second}")


class HardwareError(Exception):
    """Something below the VDS rules went wrong; the message says what was tried and what the system answered."""


class Mismatch(HardwareError):
    """The host is not what the caller took it for: an object is missing, or there already, or another one."""


class Refused(HardwareError):
    """The kernel refused a step, for a reason that is no mismatch."""


class NoSpace(HardwareError):
    """The pool cannot hold what was asked for."""


class Unsupported(HardwareError):
    """What was asked for can never be had here, whatever becomes free."""


class NoDrives(HardwareError):
    """The pool has too few drives that can be used for what was asked for. With one more disk of `wanted` bytes it might
    have enough."""

    def __init__(self, message: str, wanted: int = 0) -> None:
        super().__init__(message)
        self.wanted = wanted


class VolumeFailed(HardwareError):
    """Reading or writing a LUN's bytes failed."""


class Cancelled(HardwareError):
    """The caller asked for the work to stop; nothing of it is left."""


class Condition(Enum):
    """How a volume is."""

    GOOD = "good"
    MISSING = "missing"
    FAILED = "failed"


class Layout(msgspec.Struct, frozen=True):
    """How a volume shall lie on its pool's drives. What is empty or 0 the pool chooses."""

    type: LunType = LunType.SIMPLE
    """A concrete type."""
    drives: tuple[str, ...] = ()
    """Device nodes such as /dev/sda, in order: each is exhausted before the next."""
    columns: int = 0
    """Drives side by side that hold data: the stripes, without parity and copies."""
    stripe_size: int = 0
    """Bytes."""


OTHER = "other"
"""Whose an extent is that no LUN of ours has: somebody else's volume, or a thin pool, which many LUNs share."""


class Extent(msgspec.Struct, frozen=True):
    """Bytes of a drive: `drive` is its device node, or the pool's own name for it while it is missing; `lun` the LUN that
    they belong to, `OTHER`, or "" while they are free."""

    drive: str
    size: int
    lun: str = ""


class Leg(msgspec.Struct, frozen=True):
    """One copy of a volume's bytes, a plex in VDS's words: how it is, and on which drives it lies."""

    health: Health = Health.HEALTHY
    extents: tuple[Extent, ...] = ()


class VolumeState(msgspec.Struct, frozen=True):
    """A volume as found: its condition, for people the reason when it is not good, and its size in bytes.

    A volume with several legs is good while one of them can be read; `health` then says how well it is. `synced` is the
    percentage of a rebuild, None when none is under way.
    """

    condition: Condition
    reason: str = ""
    size: int = 0
    health: Health = Health.HEALTHY
    synced: int | None = None
    legs: tuple[Leg, ...] = ()
    stripe_size: int = 0
    columns: int = 1
    answers: bool = True
    """False while nobody can tell how the volume is, because its disk does not answer."""
    type: LunType = LunType.UNKNOWN
    """As far as it can be seen: of types that are laid out alike the first."""


class Member(msgspec.Struct, frozen=True):
    """A drive as its pool sees it. `node` is "" while the drive is missing; sizes in bytes."""

    id: str
    """The pool's own name for it, which stays: an LVM physical volume's UUID."""
    node: str
    size: int
    free: int
    allocatable: bool = True
    """Whether new volumes may use it."""


class Space(msgspec.Struct, frozen=True):
    """A pool's capacity in bytes: physical size, and what new LUNs can still take.

    A thin pool has promised `provisioned` bytes to its volumes; others as many as they hold.
    """

    total: int
    free: int
    provisioned: int = 0


class Fill(msgspec.Struct, frozen=True):
    """What of a pool's space is in use at this moment, in bytes; of a thin pool's metadata, too."""

    size: int
    used: int
    metadata_size: int | None = None
    metadata_used: int | None = None


Progress = Callable[[int], None]
"""Called with 0 to 99 as long work proceeds; raises `Cancelled` when the work shall stop."""


def part(progress: Progress, start: int, end: int) -> Progress:
    """The progress of a part of the work, whose hundred percent are those from `start` to `end` of the whole."""
    return lambda percent: progress(start + percent * (end - start) // 100)


class Pool(Protocol):
    """Where LUNs' bytes live. A volume is named by its LUN's id."""

    @property
    def granule(self) -> int:
        """Sizes are multiples of this many bytes. Raises `VolumeFailed` while the pool has not been there yet."""

    sparse: bool
    """Whether the pool promises more bytes than it holds."""
    block: bool
    """Whether a volume is a block device; else it is a file."""

    @property
    def types(self) -> Collection[LunType]:
        """The concrete types of LUNs that the pool can hold, the plainest first; none while it has not been there yet."""

    def space(self) -> Space:
        """The pool's capacity. Raises `VolumeFailed` when the pool cannot be read."""

    def fill(self) -> Fill | None:
        """How full it is now, found out at a cost that does not grow with what is in it; None where `space` alone can tell.
        Raises `HardwareError` when the pool cannot be read."""

    def largest(self, layout: Layout) -> int:
        """Bytes of the largest volume of that layout that can be made now, 0 for none. Raises `Unsupported`,
        `NoDrives` when it would take more drives, `VolumeFailed`."""

    def growth(self, lun: str, drives: Sequence[str] = ()) -> int:
        """By how many bytes the volume can grow now, on these drives (none: on any). Raises as `largest`."""

    def path(self, lun: str) -> str:
        """Where the LUN's volume is, or would be."""

    def create(self, lun: str, size: int, layout: Layout, progress: Progress) -> None:
        """Make a volume that reads as zeros, of that size or what its layout needs beyond that, which `probe` tells; on
        failure nothing is left. Raises `NoSpace`, `NoDrives`, `Unsupported`,
        `VolumeFailed`, `Cancelled`, `Mismatch` when it exists."""

    def flush(self, luns: Sequence[str], progress: Progress) -> None:
        """See that these volumes, which `create` made, outlast a power cut. Raises `VolumeFailed`, `NoSpace`, `Cancelled`."""

    def resize(self, lun: str, size: int, drives: Sequence[str], progress: Progress) -> None:
        """Grow (new bytes read as zeros, on the drives given first) or cut at the end; on failure the old size stays.
        Raises as `create`."""

    def delete(self, lun: str) -> None:
        """Wipe the first and last MiB and free the volume; missing drives that nothing lies on then leave. Raises `VolumeFailed`; a missing volume is no error."""

    def probe(self, lun: str) -> VolumeState:
        """Look whether the volume is there and can be read. Never raises."""

    def survey(self, luns: Collection[str], wake: Collection[str] = ()) -> Mapping[str, VolumeState]:
        """`probe` for each of the LUNs, at the cost of one look at the pool; of volumes that have no device, those of `wake`
        get one. Never raises."""

    def glance(self, luns: Collection[str]) -> Mapping[str, VolumeState]:
        """`survey` without touching a volume: one that is good here may still be unreadable. Never raises."""

    def volumes(self) -> Collection[str]:
        """The ids of the LUNs that have a volume here. Raises `VolumeFailed`."""

    def find(self, path: str) -> VolumeState | None:
        """The state of somebody else's bytes as the volume that `take_in` would make of them; one that cannot be made has
        failed, with the reason. None when they are nowhere that this pool could take them from. Raises `VolumeFailed`."""

    def take_in(self, lun: str, path: str) -> None:
        """Make what `find` found at the path the LUN's volume, under whoever has it open. What needs it by its old name finds
        it there where that can be. Raises `Mismatch`, `Refused`, `VolumeFailed`."""

    def give_back(self, lun: str, path: str) -> None:
        """Undo `take_in`, as far as it was done. Raises as it."""


class DrivePool(Pool, Protocol):
    """A pool that knows its drives."""

    def rejoin(self) -> None:
        """Use drives again that were missing and are back. What a volume with redundancy has missed on them is rebuilt by
        `repair`. Raises `VolumeFailed` when the pool cannot be read."""

    def members(self) -> Collection[Member]:
        """The pool's drives, missing ones included. Raises `VolumeFailed` when the pool cannot be read."""

    def extents(self) -> Collection[Extent]:
        """Every extent of every drive of the pool, used and free. Raises `VolumeFailed`."""

    def add_leg(self, lun: str, drives: Sequence[str], progress: Progress) -> None:
        """Add a copy of the volume, on these drives (none: on any other than its own), and wait until it is in sync.
        Raises as `create`."""

    def check_leg(self, lun: str, drives: Sequence[str], without: str) -> None:
        """Raises what `add_leg` would for want of room or drives if the volume `without` were not there."""

    def remove_leg(self, lun: str, leg: int, progress: Progress) -> None:
        """Remove the volume's leg of that place, counted from 0; the others keep their order. Raises as `create`."""

    def repair(self, lun: str, progress: Progress) -> None:
        """Make the volume whole again, on the pool's free drives where one is gone, and wait until it is in sync.
        Raises `NoDrives`, `NoSpace`, `VolumeFailed`, `Cancelled`, `Unsupported` for one without redundancy."""

    def check_complete(self) -> None:
        """Raises `NoSpace` while a drive is missing: nothing can be moved, made or extended then."""

    def take_drive(self, node: str, *, reserved: bool = False) -> None:
        """Make the block device a drive of the pool; what is on it is lost. One that is `reserved` is for `move` alone,
        until that is over. Raises `Refused`, `Mismatch`."""

    def release_drive(self, node: str) -> None:
        """Take an empty drive out of the pool; one that is missing by the pool's own name for it. Raises `Mismatch`,
        `Refused` while it has extents in use."""

    def allow(self, node: str, allocatable: bool) -> None:
        """Let new extents be made on the drive, or no longer. Raises `Mismatch`, `Refused`."""

    def move(self, old: str, new: str, progress: Progress) -> None:
        """Move every extent from one drive of the pool to another one of it; on failure all are where they were.
        Raises `NoSpace`, `VolumeFailed`, `Cancelled`, `Refused`."""


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

    def read(self, target: str | None = None, needed: Container[str] | None = None) -> Collection[Fact]:
        """Every fact of the host, foreign ones included, or only the target of that name and what is in it. Of targets that
        are not among those `needed` (None: all are) one that cannot be read is left out. Raises `HardwareError` when the
        scan breaks off."""

    def discover(self, needed: Container[str] | None = None) -> Collection[Key]:
        """The keys of every object of the host, otherwise as `read`: what there is, not how it is, at a fraction of the
        cost."""

    def foreign(self, targets: Container[str], disks: Container[Key]) -> Collection[ForeignObject]:
        """What the host's target holds beside these targets and disks. What cannot be read of it is told in its place. Raises
        `HardwareError` when nothing can."""

    def strangers(self, targets: Container[str], disks: Container[Key]) -> Collection[Stranger]:
        """The same, closely. Raises `HardwareError`."""

    def rivals(self, targets: Container[str]) -> Collection[str]:
        """For people: what of the host's would make these targets too at the next boot, and what to do about it."""

    def look(self, keys: Collection[Key]) -> Collection[Fact]:
        """The facts of these keys, at a cost that depends on their number alone; what is not there is left out. Raises
        `HardwareError`."""

    def changes(self) -> AsyncGenerator[Collection[Key] | None, None]:
        """Keys of objects that somebody touched, our own steps included: only a hint where to look again. None hints at
        everything, at first and whenever hints were lost. Ends when the host can give no hints."""

    def take(self, step: Step) -> None:
        """Take one step. Raises `Mismatch` or `Refused`."""

    def has_target(self, target: str) -> bool:
        """Whether there is a target of that name, whoever made it."""

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
