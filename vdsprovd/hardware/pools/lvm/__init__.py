"""A pool of logical volumes in a volume group of LVM, on its drives or in a thin pool of it: one volume a LUN, named by
the LUN's id and tagged as ours. Volumes without the tag belong to somebody else and are left alone.

Which extents a volume gets is decided in `plan`, from one report of LVM's (`report`); LVM is told exactly those.
"""

import errno
import fcntl
import os
import re
import struct
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

import msgspec

from vdsprovd.hardware import (
    Condition,
    Extent,
    Fill,
    HardwareError,
    Layout,
    Leg,
    Member,
    Mismatch,
    NoDrives,
    NoSpace,
    Progress,
    Refused,
    Space,
    Unsupported,
    VolumeFailed,
    VolumeState,
    part,
)
from vdsprovd.hardware.pools.lvm import adoption, checks, command, plan
from vdsprovd.hardware.pools.lvm.command import lvm
from vdsprovd.hardware.pools.lvm.plan import Area, Ends, Free, Plan
from vdsprovd.hardware.pools.lvm.report import (
    MOVE_TAG,
    NEW,
    OWNER_TAG,
    SPAN_TAG,
    TAG,
    Group,
    Image,
    Volume,
    look,
)
from vdsprovd.hardware.pools.raw import MIB, Asking, Door, alike, read_ends, wipe_ends
from vdsprovd.ids import an_id
from vdsprovd.model import Health, LunType

CHUNK = 64 * MIB
"""Zeroing reports progress, and can be cancelled, after each of these."""
LABEL = MIB
"""What LVM takes of a disk before its first extent, unless its configuration says otherwise."""
POLL = 0.5
"""Seconds between looks at what the kernel does by itself. Each look is a command."""

_BLKDISCARD, _BLKZEROOUT = 0x1277, 0x127F
_RAID_EXTENT = 512 << 10
"""The least extent size with which a RAID's own data on a drive fits into one extent, however large the volume."""

_PVMOVE = ("lvm", "pvmove", "--config", "global/use_lvmpolld=0")
_MOVE_ASLEEP = (*_PVMOVE, "--atomic", "--interval", "+86400")

_locks: dict[str, threading.RLock] = {}
"""By volume group: what is decided from a report must be done before the next decision. LVM locks only each command."""


class LvmPool:
    """The volume group `vg`, or the thin pool `thin_pool` in it, whether it is there already or its drives are yet to come.
    With `overwrite`, drives that are not empty are taken."""

    block = True

    def __init__(self, vg: str, thin_pool: str | None = None, *, overwrite: bool = False) -> None:
        self.vg = vg
        self.thin_pool = thin_pool
        self.sparse = thin_pool is not None
        self._overwrite = overwrite
        self._asking = Asking()
        self._lock = _locks.setdefault(vg, threading.RLock())
        self._settled = False

    def __str__(self) -> str:
        return f"{self.vg}/{self.thin_pool}" if self.thin_pool else self.vg

    @cached_property
    def granule(self) -> int:
        return look(self.vg).extent

    @property
    def types(self) -> Collection[LunType]:
        if self.thin_pool is not None:
            return (LunType.SIMPLE,)
        try:
            raids = self.granule >= _RAID_EXTENT
        except HardwareError:
            return ()
        return tuple(type for type, shape in plan.SHAPES.items() if raids or not shape.own)

    def space(self) -> Space:
        found = look(self.vg)
        if self.thin_pool is not None:
            pool = self._thin(found)
            free = int(pool.size * (100 - pool.percent) / 100) // self.granule * self.granule
            promised = sum(volume.size for volume in found.volumes.values() if volume.thin_pool == self.thin_pool)
            return Space(pool.size, free, promised)
        free = 0 if checks.missing(found) else sum(found.room(drive) for drive in found.drives if drive.usable)
        return Space(sum(drive.extents for drive in found.drives) * self.granule, free * self.granule)

    def fill(self) -> Fill | None:
        if self.thin_pool is None:
            return None
        # What is written makes no event, and LVM's report of a group costs more the more is in it.
        return command.thin_pool(f"read how full the thin pool {self} is", self.vg, self.thin_pool)

    def largest(self, layout: Layout) -> int:
        self._check(layout)
        if self.thin_pool is not None:
            return self.space().free
        found = look(self.vg)
        return 0 if checks.missing(found) else plan.largest(layout, self._free(found, layout.drives)) * self.granule

    def growth(self, lun: str, drives: Sequence[str] = ()) -> int:
        if self.thin_pool is not None:
            self._check(Layout(drives=tuple(drives)))
            return self.space().free
        found = look(self.vg)
        volume = self._own(found, lun)
        if checks.missing(found) or volume.moving:
            return 0
        return plan.growth(_ends(volume), self._free(found, drives)) * self.granule

    def path(self, lun: str) -> str:
        return f"/dev/{self.vg}/{an_id(lun)}"

    def create(self, lun: str, size: int, layout: Layout, progress: Progress) -> None:
        self._check(layout)
        what, name = f"create LUN {lun}", an_id(lun)
        with self._lock:
            found = look(self.vg)
            if name in found.volumes:
                raise Mismatch(f"cannot {what}: there is a logical volume {self.vg}/{name} already")
            self._sweep(found, lun)
            checks.complete(what, found)
            extents = -(-size // self.granule)
            if self.thin_pool is not None:
                self._thin(found)
                tags = ("--addtag", TAG, "--addtag", OWNER_TAG + name)
                options = (*tags, "--name", name, "--virtualsize", f"{extents * self.granule}b")
                lvm(what, "lvcreate", "--yes", *options, "--thinpool", self.thin_pool, self.vg)
                return
            chosen = plan.new(layout, extents, self._free(found, layout.drives))
            with self._removed_on_failure(name):
                self._allocate(what, name, layout, chosen)
        with self._removed_on_failure(name):
            syncs = "raid" in plan.SHAPES[layout.type].segment and layout.type is not LunType.RAID10
            self._zero(name, part(progress, 0, 50 if syncs else 100))
            if syncs:
                self._wait_for_sync(what, name, part(progress, 50, 100))

    def _allocate(self, what: str, name: str, layout: Layout, chosen: Plan) -> None:
        shape = plan.SHAPES[layout.type]
        options = ["--type", shape.segment, "--addtag", TAG, "--addtag", OWNER_TAG + name]
        if layout.type is LunType.SPAN:
            options += ["--addtag", SPAN_TAG]
        if shape.copies > 1:
            options += ["--mirrors", str(shape.copies - 1)]
        if shape.striped:
            options += ["--stripes", str(chosen.columns), "--stripesize", f"{layout.stripe_size or plan.STRIPE_SIZE}b"]
        if shape.own:
            # LVM's usual 2 MiB, or less: a volume that is smaller than a region cannot be activated.
            options += ["--regionsize", f"{1 << (min(self.granule, 2 * MIB).bit_length() - 1)}b"]
        if layout.type is LunType.RAID10:
            # Both copies are written from end to end, so they are alike without being synchronized. That does not hold
            # for parity; and to a mirror that was made without it LVM adds no copy.
            options += ["--nosync"]
        (share, areas), *others = chosen.steps
        self._lvcreate(what, name, share, areas, *options)
        for share, areas in others:
            self._lvextend(what, name, share, areas)

    def _lvcreate(self, what: str, name: str, extents: int, areas: Sequence[Area], *options: str) -> None:
        # LVM would ask what to do about signatures in the old bytes.
        plain = ("--yes", "--wipesignatures", "n", "--zero", "n", "--alloc", "normal", "--extents", str(extents))
        lvm(what, "lvcreate", *plain, *options, "--name", name, self.vg, *map(str, areas))

    def _lvextend(self, what: str, name: str, extents: int, areas: Sequence[Area]) -> None:
        options = ("--yes", "--alloc", "normal", "--extents", f"+{extents}")
        lvm(what, "lvextend", *options, f"{self.vg}/{name}", *map(str, areas))

    def _lvreduce(self, what: str, name: str, extents: int) -> None:
        # Newer versions of LVM look for a file system unless they are told not to; older ones do not know the option.
        known = command.run("lvm", "lvreduce", "--fs", "ignore", "--version").status == 0
        options = ("--yes", "--force", *(("--fs", "ignore") if known else ()), "--extents", str(extents))
        lvm(what, "lvreduce", *options, f"{self.vg}/{name}")

    def _lvremove(self, what: str, name: str) -> None:
        # The extents of a temporary volume are used again at once, and discarded ones need not read as zeros.
        lvm(what, "lvremove", "--yes", "--config", "devices/issue_discards=0", f"{self.vg}/{name}")

    @contextmanager
    def _removed_on_failure(self, name: str) -> Iterator[None]:
        """A volume that came to nothing goes."""
        try:
            yield
        except BaseException as error:
            try:
                with self._lock:
                    if name in look(self.vg).volumes:
                        self._lvremove(f"remove {self.vg}/{name}", name)
            except HardwareError as second:
                error.add_note(f"and could not be undone: {second}")
            raise

    def _sweep(self, found: Group, lun: str) -> None:
        """Remove what a crash, or a failure of LVM's, left beside the LUN's volume: a temporary one, parts of a mirror."""
        for name, volume in found.volumes.items():
            if _left_of(name) == an_id(lun) and (TAG in volume.tags or not name.endswith(NEW)):
                self._lvremove(f"remove what is left of LUN {lun}", name)

    def _zero(self, name: str, progress: Progress) -> None:
        with self._device(name, os.O_RDWR, f"write zeros to {self.vg}/{name}") as (descriptor, size):
            for offset in range(0, size, CHUNK):
                progress(offset * 100 // size)
                _range(descriptor, _BLKZEROOUT, offset, min(CHUNK, size - offset))
            os.fsync(descriptor)

    def flush(self, luns: Sequence[str]) -> Mapping[str, VolumeState]:
        return self.glance(luns)  # `create` leaves nothing that does not last

    def resize(self, lun: str, size: int, drives: Sequence[str], progress: Progress) -> None:
        what = f"resize LUN {lun}"
        with self._lock:
            found = look(self.vg)
            volume = self._own(found, lun)
            if self.thin_pool is not None:
                self._check(Layout(drives=tuple(drives)))
            self._sweep(found, lun)
            checks.still(what, volume)
            before = volume.size // self.granule
            extents = -(-size // self.granule // volume.columns) * volume.columns
            if extents <= before:
                if extents < before:
                    checks.unbroken(what, found)
                    self._cut(what, found, volume, extents)
                return
            checks.complete(what, found)
            if self.thin_pool is not None:
                self._thin(found)
                lvm(what, "lvextend", "--yes", "--extents", str(extents), f"{self.vg}/{volume.name}")
                return
            chosen = plan.more(
                _ends(volume),
                extents - before,
                self._free(found, ()),
                [drive.name for drive in checks.given(found, drives)],
            )
            # Initiators see a new size at once, so the bytes are zeroed before they belong to the volume.
            temporary = volume.name + NEW
            options = ["--type", "linear"]
            if chosen.width > 1 and len(chosen.steps) == 1:
                options = ["--type", "striped", "--stripes", str(chosen.width), "--stripesize", "64k"]  # all at once
            self._lvcreate(what, temporary, plan.room(chosen.areas), chosen.areas, *options, "--addtag", TAG)
        with self._removed_on_failure(temporary):
            self._zero(temporary, progress)
            with self._lock:
                zeroed = look(self.vg).volumes[temporary].areas
                if plan.merged(zeroed) != plan.merged(chosen.areas):
                    raise Refused(f"cannot {what}: its new extents were moved to another drive meanwhile; try again")
                self._lvremove(what, temporary)
                self._extend(what, volume, before, chosen)

    def _extend(self, what: str, volume: Volume, before: int, chosen: Plan) -> None:
        try:
            for share, areas in chosen.steps:
                self._lvextend(what, volume.name, share, areas)
            checks.apart(what, look(self.vg).volumes[volume.name])
        except HardwareError as error:
            try:
                if look(self.vg).volumes[volume.name].size > before * self.granule:
                    self._lvreduce(what, volume.name, before)
            except HardwareError as second:
                error.add_note(f"and could not be undone: {second}")
            raise

    def _cut(self, what: str, found: Group, volume: Volume, extents: int) -> None:
        if volume.thin_pool:
            # The thin pool keeps the blocks, and would show them again if the volume grew.
            chunk = found.volumes[volume.thin_pool].chunk_size
            start, length = extents * self.granule, volume.size - extents * self.granule
            with self._device(volume.name, os.O_RDWR, what) as (descriptor, _):
                try:
                    if self.granule % chunk:
                        raise OSError(errno.EOPNOTSUPP, "the cut is not at the border of a block")
                    _range(descriptor, _BLKDISCARD, start, length)
                except OSError:
                    _range(descriptor, _BLKZEROOUT, start, length)
                os.fsync(descriptor)
        self._lvreduce(what, volume.name, extents)

    def delete(self, lun: str) -> None:
        what = f"delete LUN {lun}"
        with self._lock:
            found = look(self.vg)
            self._sweep(found, lun)
            if an_id(lun) not in found.volumes:
                return
            volume = self._own(found, lun)
            if not volume.active:
                with suppress(HardwareError):
                    self._activate([volume])
            if volume.open:
                self._wait_until_unused(what, volume.name)
            try:
                # A thin pool zeroes its blocks before it gives them to another; and a full one has none to write to.
                if not volume.thin_pool:
                    with self._device(volume.name, os.O_RDWR, f"wipe LUN {lun}") as (descriptor, size):
                        wipe_ends(descriptor, size)
            except HardwareError:
                # Bytes on a drive that is gone cannot be wiped, and the LUN shall go all the same.
                state = self._states(found, {lun: volume})[lun]
                if state.condition is Condition.GOOD or not state.answers:
                    raise
            self._lvremove(what, volume.name)
            if checks.missing(found):
                self._forget_missing()

    def _wait_until_unused(self, what: str, name: str) -> None:
        """LVM removes no volume that somebody has open: that must come out before its bytes go. udev has each open for a
        moment."""
        for _ in range(20):
            if not look(self.vg).volumes[name].open:
                return
            time.sleep(0.1)
        raise Refused(f"cannot {what}: the logical volume {self.vg}/{name} is in use by somebody else")

    def probe(self, lun: str) -> VolumeState:
        return self.survey([lun], [lun])[lun]

    def survey(self, luns: Collection[str], wake: Collection[str] = ()) -> Mapping[str, VolumeState]:
        return self._survey(luns, set(wake), read=True)

    def glance(self, luns: Collection[str]) -> Mapping[str, VolumeState]:
        return self._survey(luns, (), read=False)

    def _survey(self, luns: Collection[str], wake: Collection[str], *, read: bool) -> Mapping[str, VolumeState]:
        names = {lun: an_id(lun) for lun in luns}
        trouble = ""
        try:
            found = look(self.vg)
            wanted = [found.volumes[name] for lun, name in names.items() if lun in wake and name in found.volumes]
            if asleep := [volume for volume in wanted if volume.lun and not volume.active]:
                try:
                    self._activate(asleep)
                except HardwareError as error:
                    trouble = str(error)
                found = look(self.vg, anew=True)
        except HardwareError as error:
            # A group that nobody sees is missing, and its volumes with it, but for those that still have their device.
            there = {lun for lun in luns if Path(self.path(lun)).exists()}
            missing, failed = (VolumeState(how, str(error)) for how in (Condition.MISSING, Condition.FAILED))
            return {lun: failed if lun in there or not isinstance(error, VolumeFailed) else missing for lun in luns}
        states: dict[str, VolumeState] = {}
        mine: dict[str, Volume] = {}
        for lun, name in names.items():
            volume = found.volumes.get(name)
            if volume is None:
                states[lun] = VolumeState(Condition.MISSING, f"there is no logical volume {self.vg}/{name}")
            elif not volume.lun:
                reason = f"the logical volume {self.vg}/{name} is somebody else's: it has no tag {TAG}"
                states[lun] = VolumeState(Condition.MISSING, reason)
            elif volume.owner not in ("", lun):
                remedy = f"give the volumes their names back, or if it is right so, `lvchange --deltag {OWNER_TAG}{volume.owner}`"
                reason = f"the logical volume {self.vg}/{name} has the bytes of LUN {volume.owner}: {remedy}"
                states[lun] = VolumeState(Condition.FAILED, reason)
            else:
                mine[lun] = volume
        return states | self._states(found, mine, trouble, read=read)

    def _activate(self, volumes: Sequence[Volume]) -> None:
        names = [f"{self.vg}/{volume.name}" for volume in volumes]
        lvm(f"activate {', '.join(names)}", "lvchange", "--yes", "--activate", "y", *names)

    def _states(
        self, found: Group, volumes: Mapping[str, Volume], trouble: str = "", *, read: bool = True
    ) -> dict[str, VolumeState]:
        """The states of LUNs' volumes; `trouble` is why one may still be asleep."""
        reasons = {lun: self._unreadable(volume, trouble) for lun, volume in volumes.items()}
        answers: Mapping[str, VolumeState] = {}
        if read:
            answers = self._asking.ask([lun for lun, reason in reasons.items() if not reason], self._read)
        return {
            lun: self._state(found, volume, answers.get(lun, VolumeState(Condition.GOOD, reasons[lun])))
            for lun, volume in volumes.items()
        }

    def _unreadable(self, volume: Volume, trouble: str) -> str:
        """Why there is no reading the volume, "" when there is."""
        if not volume.active:
            return f"the logical volume {self.vg}/{volume.name} is not active{trouble and ': ' + trouble}"
        if volume.suspended:
            return f"the logical volume {self.vg}/{volume.name} is suspended"
        if _broken(volume) and not volume.raid:
            return f"a drive under the logical volume {self.vg}/{volume.name} is missing"
        return ""

    def _state(self, found: Group, volume: Volume, answer: VolumeState) -> VolumeState:
        """The state of a volume, with why it cannot be read in the answer."""
        bad, reason, health = _broken(volume), answer.reason, Health.HEALTHY
        if volume.raid and (bad or volume.syncing or volume.health):
            health = Health.REBUILDING if volume.syncing and not bad else Health.DEGRADED
        if volume.thin_pool:
            pool = found.volumes[volume.thin_pool]
            if pool.health in ("failed", "metadata_read_only"):
                reason = f"the thin pool {self.vg}/{pool.name} has failed: {pool.health}"
            elif pool.health:
                health = Health.FAILING
        legs = [self._leg(volume, [image]) for image in volume.images]
        if volume.type != "raid1":
            legs = [Leg(Health.FAILED if reason else health, self._leg(volume, volume.images).extents)]
        return VolumeState(
            Condition.FAILED if reason else Condition.GOOD,
            reason,
            volume.size,
            Health.FAILED if reason else health,
            int(volume.percent) if volume.syncing else None,
            tuple(legs),
            volume.stripe_size,
            volume.columns,
            answer.answers,
            _type(volume),
        )

    def _read(self, lun: str) -> VolumeState:
        """Whether the volume's ends can be read; nothing else of its state is told."""
        try:
            with self._device(an_id(lun), os.O_RDONLY, f"read LUN {lun}") as (descriptor, size):
                read_ends(descriptor, size)
        except HardwareError as error:
            return VolumeState(Condition.FAILED, str(error))
        return VolumeState(Condition.GOOD)

    def _leg(self, volume: Volume, images: Sequence[Image]) -> Leg:
        extents = [
            Extent(piece.drive.node or piece.drive.uuid, piece.length * self.granule, volume.name)
            for image in images
            for piece in image.pieces
        ]
        (image, *_) = images
        health = Health.HEALTHY
        if not image.in_sync and volume.syncing:
            health = Health.REBUILDING
        elif not image.in_sync or image.broken:
            health = Health.FAILED
        return Leg(health, tuple(extents))

    def volumes(self) -> Collection[str]:
        # What a crash left of a LUN is a volume of it, so that somebody deletes it.
        found = look(self.vg).volumes.values()
        return {volume.lun for volume in found if volume.lun and self._holds(volume)}

    def find(self, path: str) -> VolumeState | None:
        found = look(self.vg)
        volume = adoption.at(self.vg, found, path)
        if volume is None or not self._holds(volume):
            return None
        state = self._state(found, volume, VolumeState(Condition.GOOD, self._unreadable(volume, "")))
        kind = LunType.SPAN if adoption.spans(volume) else state.type
        reason = state.reason
        if volume.lun or volume.owner:
            reason = f"the logical volume {self.vg}/{volume.name} is that of LUN {volume.lun or volume.owner}"
        elif kind not in self.types:
            reason = f"the logical volume {self.vg}/{volume.name} is of type {volume.type}, which no LUN of the pool is"
        elif volume.moving:
            reason = f"extents of {self.vg}/{volume.name} are being moved; wait until that is done"
        condition = Condition.FAILED if reason else Condition.GOOD
        return msgspec.structs.replace(state, condition=condition, reason=reason, type=kind)

    def take_in(self, lun: str, path: str) -> None:
        with self._lock:
            adoption.take_in(self.vg, an_id(lun), path)

    def give_back(self, lun: str, path: str) -> None:
        with self._lock:
            adoption.give_back(self.vg, an_id(lun))

    def _holds(self, volume: Volume) -> bool:
        return volume.thin_pool == (self.thin_pool or "")

    def rejoin(self) -> None:
        with self._lock:
            if not self._settled:  # its drives were not there at the start
                self.settle()
            # LVM takes a drive for missing, and what is on it for lost, until it is told otherwise, if something else was
            # changed in the group meanwhile. A RAID's image there stays out of sync, as the kernel knows.
            back = [drive for drive in look(self.vg).drives if drive.flagged and drive.node]
            for drive in back:
                with suppress(HardwareError):  # the next scan tries again
                    lvm(f"use {drive.node} again", "vgextend", "--restoremissing", self.vg, drive.name)
            if back:
                look(self.vg, anew=True)

    def members(self) -> Collection[Member]:
        found = look(self.vg)
        return [
            Member(
                drive.uuid,
                drive.node,
                drive.extents * self.granule,
                found.room(drive) * self.granule,
                drive.allocatable,
            )
            for drive in found.drives
        ]

    def extents(self) -> Collection[Extent]:
        found = look(self.vg)
        parts = [(piece.drive, piece.start, piece.length, lun) for piece, lun in found.used]
        parts += [(drive, area.start, area.length, "") for drive in found.drives for area in found.free[drive.uuid]]
        parts.sort(key=lambda part: (part[0].name, part[0].uuid, part[1]))
        return [Extent(drive.node or drive.uuid, length * self.granule, lun) for drive, _, length, lun in parts]

    def add_leg(self, lun: str, drives: Sequence[str], progress: Progress) -> None:
        what = f"add a copy to LUN {lun}"
        with self._lock:
            found = look(self.vg)
            volume = self._own(found, lun)
            areas = self._another_leg(what, found, volume, drives)
            self._sweep(found, lun)
            try:
                self._lvconvert(what, volume, len(volume.images) + 1, [str(area) for area in areas])
            except HardwareError:
                with suppress(HardwareError):
                    self._sweep(look(self.vg), lun)
                raise
        try:
            self._wait_for_sync(what, volume.name, progress)
        except BaseException as error:
            try:
                with self._lock:
                    (added,) = look(self.vg).volumes[volume.name].images[len(volume.images) :]
                    if not added.pieces:  # without drives LVM would choose which copy goes
                        raise Refused(f"cannot {what}: its extents are being moved from one drive to another")
                    self._lvconvert(what, volume, len(volume.images), [piece.drive.name for piece in added.pieces])
            except HardwareError as second:
                error.add_note(f"and could not be undone: {second}")
            raise

    def check_leg(self, lun: str, drives: Sequence[str], without: str) -> None:
        found = look(self.vg)
        volume, other = self._own(found, lun), self._own(found, without)
        self._another_leg(f"add a copy to LUN {lun}", found.without(other.lun), volume, drives)

    def _another_leg(self, what: str, found: Group, volume: Volume, drives: Sequence[str]) -> tuple[Area, ...]:
        """Where another copy of the volume can lie. Raises `NoSpace`, `NoDrives`, `Unsupported`, `Refused`."""
        if volume.type not in ("linear", "raid1"):
            raise Unsupported(f"cannot {what}: volumes of type {volume.type} have no copies")
        checks.still(what, volume)
        checks.complete(what, found)
        own = {piece.drive.name for image in volume.images for piece in image.pieces}
        if not volume.raid and not any(areas for name, areas in self._free(found, ()).items() if name in own):
            raise NoSpace(f"cannot {what}: the drive that it is on has no free extent, and a mirror takes one there")
        others = {name: areas for name, areas in self._free(found, drives).items() if name not in own}
        return plan.leg(volume.size // self.granule, others, ordered=bool(drives))

    def remove_leg(self, lun: str, leg: int, progress: Progress) -> None:
        what = f"remove copy {leg} of LUN {lun}"
        with self._lock:
            found = look(self.vg)
            volume = self._own(found, lun)
            if volume.type != "raid1":
                raise Unsupported(f"cannot {what}: it has only one")
            if not 0 <= leg < len(volume.images):
                raise Mismatch(f"cannot {what}: it has {len(volume.images)}, counted from 0")
            checks.still(what, volume)
            drives = {piece.drive for piece in volume.images[leg].pieces}
            checks.unbroken(what, found)
            self._lvconvert(what, volume, len(volume.images) - 1, [drive.name for drive in drives])

    def _lvconvert(self, what: str, volume: Volume, images: int, areas: Sequence[str]) -> None:
        type = () if volume.raid else ("--type", "raid1")
        lvm(what, "lvconvert", "--yes", *type, "--mirrors", str(images - 1), f"{self.vg}/{volume.name}", *areas)

    def repair(self, lun: str, progress: Progress) -> None:
        what = f"repair LUN {lun}"
        with self._lock:
            found = look(self.vg)
            volume = self._own(found, lun)
            if not volume.raid:
                raise Unsupported(f"cannot {what}: it has no redundancy")
            checks.still(what, volume)
            path = f"{self.vg}/{volume.name}"
            if any(drive.flagged and drive.node for drive in found.drives):
                self.rejoin()
                found = look(self.vg)
                volume = found.volumes[volume.name]
            lost = any(not piece.drive.node for image in volume.images for piece in image.pieces)
            if _broken(volume) and not lost:
                # A drive that failed for a while is written again where it missed something.
                lvm(what, "lvchange", "--refresh", path)
                found = look(self.vg)
                volume = found.volumes[volume.name]
            if broken := _broken(volume):
                used = {piece.drive.name for image in volume.images for piece in image.pieces}
                free = {name: areas for name, areas in self._free(found, ()).items() if name not in used}
                try:
                    areas = plan.spares([sum(piece.length for piece in image.pieces) for image in broken], free)
                except NoDrives as error:
                    raise NoDrives(f"cannot {what}: {error}", error.wanted * self.granule + LABEL) from None
                lvm(what, "lvconvert", "--yes", "--repair", path, *map(str, areas))
            elif volume.health == "mismatches exist":
                lvm(what, "lvchange", "--syncaction", "repair", path)
            self._forget_missing()
        self._wait_for_sync(what, volume.name, progress)

    def _forget_missing(self) -> None:
        """Take missing drives out of the group when nothing lies on them any more: LVM allocates nothing while there is
        one. It is still missing otherwise, and the next repair tries again."""
        found = look(self.vg)
        missing = checks.missing(found)
        if missing and not any(piece.drive in missing for piece, _ in found.used):
            with suppress(HardwareError):
                lvm("take out missing drives", "vgreduce", "--removemissing", self.vg)

    def check_complete(self) -> None:
        checks.complete("move anything", look(self.vg))

    def take_drive(self, node: str, *, reserved: bool = False) -> None:
        what = f"take {node} into volume group {self.vg}"
        with self._lock:
            if not Path(node).is_block_device():
                raise Mismatch(f"cannot {what}: it is no block device")
            if any(drive.node == os.path.realpath(node) for drive in look(self.vg).drives):
                raise Mismatch(f"cannot {what}: it is in the group already")
            if signatures := command.signatures(what, node):
                if not self._overwrite:
                    raise Refused(
                        f"cannot {what}: it is not empty, there is {', '.join(signatures)}; `wipefs --all` erases that"
                    )
                command.check(what, command.run("wipefs", "--all", node))
            lvm(what, "vgextend", "--yes", self.vg, node)
            if reserved:
                lvm(what, "pvchange", "--addtag", MOVE_TAG, node)

    def release_drive(self, node: str) -> None:
        what = f"take {node} out of volume group {self.vg}"
        with self._lock:
            found = look(self.vg)
            if command.labelled(node):
                # A crash left it between the two commands below.
                self._unlabel(what, node)
                return
            drive = checks.member(what, found, node)
            if owners := {owner for piece, owner in found.used if piece.drive == drive}:
                raise Refused(f"cannot {what}: there are extents of {', '.join(sorted(owners))} on it")
            if not drive.node:
                lvm(what, "vgreduce", "--removemissing", self.vg)
                return
            lvm(what, "vgreduce", self.vg, drive.name)
            # It is out of the group, and a drive that fails may not be writable any more.
            with suppress(HardwareError):
                self._unlabel(what, drive.name)

    def _unlabel(self, what: str, node: str) -> None:
        lvm(what, "pvremove", "--yes", node)
        # Who looks at the drive now goes by what udev knows, and shall find it free.
        command.noticed(node)

    def allow(self, node: str, allocatable: bool) -> None:
        what = f"{'allow' if allocatable else 'forbid'} new extents on {node}"
        with self._lock:
            found = look(self.vg)
            drive = checks.member(what, found, node)
            # LVM takes a change to what is there already for an error.
            if drive.allocatable is not allocatable:
                checks.unbroken(what, found)
                lvm(what, "pvchange", "--allocatable", "y" if allocatable else "n", drive.name)

    def move(self, old: str, new: str, progress: Progress) -> None:
        what = f"move what is on {old} to {new}"
        with self._lock:
            found = look(self.vg)
            source, target = checks.member(what, found, old), checks.member(what, found, new)
            if source.name in found.moving:
                raise Refused(f"cannot {what}: a move is under way; `pvmove --abort {source.name}` would end it")
            moved = sum(piece.length for piece, _ in found.used if piece.drive == source)
            if not moved:
                if MOVE_TAG in target.tags:
                    lvm(what, "pvchange", "--deltag", MOVE_TAG, target.name)
                return
            checks.complete(what, found)
            if moved > found.room(target):
                raise NoSpace(f"cannot {what}: {moved} extents are wanted, and there are {found.room(target)}")
            for volume in found.volumes.values():
                if checks.meet(volume, source, target):
                    raise Refused(
                        f"cannot {what}: of {volume.name}, a column or copy is on each, and they must stay apart"
                    )
            # So that the next start knows whose move it is, if this one is cut off, and nobody puts anything there.
            lvm(what, "pvchange", "--addtag", MOVE_TAG, source.name, target.name)
        # The kernel counts a region as moved that it could not write, and LVM's watcher would let the old one go. So that
        # is left asleep, and the move completed here, when both sides have been compared.
        asleep = command.start_mortal(*_MOVE_ASLEEP, source.name, target.name)
        try:
            while True:
                if asleep.process.poll() is not None:
                    command.check(what, asleep.finish())
                    raise VolumeFailed(f"cannot {what}: somebody else has ended the move")
                if devices := look(self.vg).moving.get(source.name):
                    copier, *sides = devices
                    done, total = command.copied(what, copier)
                    if done == total:
                        break
                    progress(done * 50 // total)
                time.sleep(POLL)
            with Door(what):
                one, other = sides
                if not alike(one, other, part(progress, 50, 100)):
                    raise VolumeFailed(f"cannot {what}: not all that was written to {new} can be read there")
            command.check(what, command.run(*_PVMOVE, "--interval", "1", source.name))
            if any(piece.drive.uuid == source.uuid for piece, _ in look(self.vg).used):
                raise VolumeFailed(f"cannot {what}: LVM has left extents where they were")
        except BaseException as error:
            try:
                if source.name in look(self.vg).moving:
                    lvm(what, "pvmove", "--abort", source.name)
            except HardwareError as second:
                error.add_note(f"and could not be undone: {second}")
            raise
        finally:
            command.end(asleep)
            with suppress(HardwareError):
                lvm(what, "pvchange", "--deltag", MOVE_TAG, source.name, target.name)

    def settle(self) -> None:
        """Take back what was cut off when the last daemon ended: moves of ours, and temporary volumes. The kernel would
        copy on for a move that nobody ends. Raises `VolumeFailed`, `Refused`."""
        command.wait_for_former()
        command.end_former(*_MOVE_ASLEEP)
        with self._lock:
            found = look(self.vg)
            self._settled = True
            for drive in found.drives:
                if MOVE_TAG in drive.tags and drive.node:
                    what = f"take back the move of what is on {drive.node}"
                    if drive.name in found.moving:
                        lvm(what, "pvmove", "--abort", drive.name)
                    lvm(what, "pvchange", "--deltag", MOVE_TAG, drive.name)
            for lun in {_left_of(name) for name in found.volumes} - {""}:
                self._sweep(found, lun)

    def _check(self, layout: Layout) -> None:
        """Refuse a layout that can never be had here."""
        if layout.type not in self.types:
            raise Unsupported(f"pool {self} holds no LUN of type {layout.type.value}")
        if layout.drives and self.thin_pool is not None:
            raise Unsupported("a thin pool chooses its drives itself")
        size = layout.stripe_size
        possible = not size & (size - 1) and plan.LEAST_STRIPE_SIZE <= size <= self.granule
        if size and plan.SHAPES[layout.type].striped and not possible:
            raise Unsupported(
                f"a stripe size is a power of two from {plan.LEAST_STRIPE_SIZE} to {self.granule}, and not {size}"
            )

    def _thin(self, found: Group) -> Volume:
        """The thin pool."""
        pool = found.volumes.get(self.thin_pool or "")
        if pool is None or pool.type != "thin-pool":
            raise Mismatch(f"there is no thin pool {self}; `lvs {self.vg}` lists what there is")
        if pool.zero != "zero":
            # A block that is written in part would show old bytes in the rest.
            raise Unsupported(f"the thin pool {self} does not zero its blocks; `lvchange --zero y {self}` makes it")
        return pool

    def _own(self, found: Group, lun: str) -> Volume:
        """The LUN's volume."""
        volume = found.volumes.get(an_id(lun))
        if volume is None:
            raise Mismatch(f"there is no logical volume {self.vg}/{an_id(lun)}")
        if not volume.lun:
            raise Mismatch(f"the logical volume {self.vg}/{volume.name} is somebody else's: it has no tag {TAG}")
        return volume

    def _free(self, found: Group, nodes: Sequence[str]) -> Free:
        """What is free on these drives, or on all that may be used."""
        drives = checks.given(found, nodes) if nodes else [drive for drive in found.drives if drive.usable]
        return {drive.name: found.free[drive.uuid] for drive in drives}

    def _wait_for_sync(self, what: str, name: str, progress: Progress) -> None:
        """Wait until the volume's images are alike. The kernel goes on with that, whoever waits."""
        while True:
            volume = look(self.vg).volumes.get(name)
            if volume is None:
                raise Mismatch(f"cannot {what}: the logical volume {self.vg}/{name} has gone")
            if any(image.broken for image in volume.images):
                raise VolumeFailed(f"cannot {what}: a drive failed while {self.vg}/{name} was synchronized")
            if not volume.syncing and volume.action in ("idle", ""):
                return
            progress(min(99, int(volume.percent)))
            time.sleep(POLL)

    @contextmanager
    def _device(self, name: str, flags: int, what: str) -> Iterator[tuple[int, int]]:
        """The volume's device, open, and its size."""
        with Door(what, name):
            descriptor = os.open(f"/dev/{self.vg}/{name}", flags | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                yield descriptor, os.lseek(descriptor, 0, os.SEEK_END)
            finally:
                os.close(descriptor)


def _type(volume: Volume) -> LunType:
    if volume.thin_pool:
        return LunType.SIMPLE
    if SPAN_TAG in volume.tags:
        return LunType.SPAN
    # LVM's own name may say more, such as raid5_ls; raid10 begins as raid1 does.
    alike = {shape.segment: type for type, shape in reversed([*plan.SHAPES.items()])}
    return alike.get(volume.type) or alike.get(volume.type.partition("_")[0]) or LunType.UNKNOWN


def _left_of(name: str) -> str:
    """The LUN beside whose volume the one of that name was for a moment: new extents, parts of a mirror that came or went.
    "" for other volumes."""
    parts = re.fullmatch(f"([0-9a-f-]{{36}})({NEW}|_r(image|meta)_[0-9]+(_extracted)?)", name)
    return parts[1] if parts else ""


def _broken(volume: Volume) -> list[Image]:
    return [image for image in volume.images if image.broken or not (image.in_sync or volume.syncing)]


def _ends(volume: Volume) -> Ends:
    used = frozenset(piece.drive.name for image in volume.images for piece in image.pieces)
    last = [piece for image in volume.images for piece in image.pieces[-1:]]
    if not volume.raid:
        (pieces,) = (image.pieces for image in volume.images)
        last = [piece for piece in pieces if piece.place == pieces[-1].place]
    # LVM has one type for a volume that lies on one drive and one that goes from drive to drive.
    on = volume.raid or len(last) > 1 or SPAN_TAG in volume.tags
    return Ends(tuple(piece.drive.name for piece in last), used, volume.columns, on)


def _range(descriptor: int, request: int, offset: int, length: int) -> None:
    fcntl.ioctl(descriptor, request, struct.pack("QQ", offset, length))
