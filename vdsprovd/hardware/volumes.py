"""Where LUNs' bytes are: volumes, how they are and how they lie on drives, and the pools that they are in."""

from collections.abc import Callable, Collection, Mapping, Sequence
from enum import Enum
from typing import Protocol

import msgspec

from vdsprovd.model import Health, LunType


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

    def flush(self, luns: Sequence[str]) -> Mapping[str, VolumeState]:
        """See that these volumes, which `create` has just made, outlast a power cut; gives what `glance` would. One that was
        created is flushed, or deleted: its pool may keep its file open until then. Raises `VolumeFailed`, `NoSpace`."""

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
