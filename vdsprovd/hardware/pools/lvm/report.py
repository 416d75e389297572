"""One look at a volume group: LVM's full report, once, as drives and volumes."""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec

from vdsprovd.hardware import OTHER, VolumeFailed
from vdsprovd.hardware.pools.lvm import command
from vdsprovd.hardware.pools.lvm.plan import Area, merged
from vdsprovd.ids import is_id

TAG = "vdsprovd"
"""On every logical volume that is ours; others are never touched."""
OWNER_TAG = "vdsprovd-lun="
"""Begins the tag that says which LUN's the bytes are, whatever the volume's name. A volume without one is believed."""
SPAN_TAG = "vdsprovd-span"
"""On those that may go on on another drive: LVM has one type for SIMPLE and SPAN."""
MOVE_TAG = "vdsprovd-move"
"""On the physical volumes that we are moving extents from and to: nothing else comes there meanwhile."""
PATIENCE = 60.0
"""Seconds that LVM has for a report."""
NEW = "_new"
"""Ends the name of a volume that exists only while extents for a LUN are zeroed."""


class _Vg(msgspec.Struct):
    vg_extent_size: int


class _Pv(msgspec.Struct):
    pv_uuid: str
    pv_name: str
    pv_missing: str
    pv_allocatable: str
    pv_pe_count: int
    pv_tags: str


class _Lv(msgspec.Struct):
    lv_uuid: str
    lv_name: str
    lv_parent: str
    lv_dm_path: str
    lv_size: int
    lv_tags: str
    lv_attr: str
    lv_health_status: str
    raid_sync_action: str
    sync_percent: str
    data_percent: str
    pool_lv: str
    move_pv: str


class _Seg(msgspec.Struct):
    lv_uuid: str
    segtype: str
    data_stripes: int
    stripe_size: int
    seg_start_pe: int
    zero: str
    chunk_size: int


class _PvSeg(msgspec.Struct):
    pv_uuid: str
    lv_uuid: str
    pvseg_start: int
    pvseg_size: int
    seg_start_pe: int


class _Report(msgspec.Struct):
    vg: list[_Vg] = []
    pv: list[_Pv] = []
    lv: list[_Lv] = []
    seg: list[_Seg] = []
    pvseg: list[_PvSeg] = []


class _Log(msgspec.Struct):
    log_type: str
    log_message: str


class _Output(msgspec.Struct):
    report: list[_Report] = []
    log: list[_Log] = []


class Drive(msgspec.Struct, frozen=True):
    """A physical volume. `name` is what LVM calls it on command lines, `node` the device; both "" while it is missing."""

    uuid: str
    name: str
    node: str
    extents: int
    allocatable: bool
    flagged: bool
    """Whether the metadata has it as missing, which it stays when it is back until it is told otherwise."""
    tags: tuple[str, ...]

    @property
    def usable(self) -> bool:
        """Whether new extents may be on it."""
        return self.allocatable and MOVE_TAG not in self.tags


class Piece(msgspec.Struct, frozen=True):
    """Extents of a drive in the order in which they make up a volume: `place` is the first one's number in it."""

    drive: Drive
    start: int
    length: int
    place: int


class Image(msgspec.Struct, frozen=True):
    """A part of a volume with drives of its own: a RAID's column or copy; of other volumes the whole."""

    pieces: tuple[Piece, ...]
    in_sync: bool = True
    broken: bool = False


class Volume(msgspec.Struct, frozen=True):
    """A logical volume at the top, whoever made it."""

    name: str
    size: int
    tags: tuple[str, ...]
    type: str
    attributes: str
    health: str
    action: str
    """What a RAID is doing by itself: idle, resync, recover, check or repair."""
    percent: float
    """Of a RAID's synchronization, or of a thin pool's space in use."""
    images: tuple[Image, ...]
    columns: int
    stripe_size: int
    thin_pool: str
    zero: str
    chunk_size: int

    @property
    def lun(self) -> str:
        """The LUN's id if the volume is ours; of our temporary volumes too."""
        return _lun(self.name, self.tags)

    @property
    def owner(self) -> str:
        """The id of the LUN whose bytes these are, "" where no tag says so."""
        return next((tag.removeprefix(OWNER_TAG) for tag in self.tags if tag.startswith(OWNER_TAG)), "")

    @property
    def active(self) -> bool:
        """Whether there is a device."""
        return self.attributes[4] in "as"

    @property
    def open(self) -> bool:
        """Whether somebody has its device open."""
        return self.attributes[5] == "o"

    @property
    def syncing(self) -> bool:
        """Whether its images are being made alike. One that cannot be, for want of a drive, is idle."""
        return self.action in ("resync", "recover") or (self.raid and self.active and self.percent < 100)

    @property
    def moving(self) -> bool:
        """Whether extents of it are being moved: they are not its own meanwhile."""
        return not self.thin_pool and any(not image.pieces for image in self.images)

    @property
    def suspended(self) -> bool:
        """Whether reads and writes would wait."""
        return self.attributes[4] == "s"

    @property
    def areas(self) -> list[Area]:
        """Its extents, but for those of a RAID's own."""
        return [Area(p.drive.name, p.start, p.length) for image in self.images for p in image.pieces]

    @property
    def raid(self) -> bool:
        """Whether it is a RAID, which has images."""
        return self.type.startswith("raid")


class Group(msgspec.Struct, frozen=True):
    """A volume group as found."""

    extent: int
    """Bytes."""
    drives: tuple[Drive, ...]
    volumes: Mapping[str, Volume]
    """By name; those at the top, temporary and foreign ones included."""
    free: Mapping[str, tuple[Area, ...]]
    """By the drive's UUID."""
    used: tuple[tuple[Piece, str], ...]
    """What is not free, and whose it is: a LUN's id, or `OTHER`."""
    moving: Mapping[str, tuple[str, ...]]
    """The drives, by name, whose extents are being moved away, and the devices of that: the one that copies, and those
    that it makes alike."""

    def room(self, drive: Drive) -> int:
        """The drive's free extents."""
        return sum(area.length for area in self.free[drive.uuid])

    def without(self, lun: str) -> "Group":
        """The group as it would be without the LUN's volume."""
        gone = [piece for piece, owner in self.used if owner == lun]
        free = {
            drive.uuid: tuple(
                merged(
                    [
                        *self.free[drive.uuid],
                        *(Area(drive.name, piece.start, piece.length) for piece in gone if piece.drive == drive),
                    ]
                )
            )
            for drive in self.drives
        }
        return msgspec.structs.replace(self, free=free)


_COLUMNS = {
    "vg": _Vg,
    "pv": _Pv,
    "lv": _Lv,
    "seg": _Seg,
    "pvseg": _PvSeg,
}


_scan = threading.local()
_asking = threading.Lock()
_silent: dict[str, list[command.Running]] = {}
"""By volume group: reports that LVM owes."""


@contextmanager
def scan() -> Iterator[None]:
    """Within it, this thread reads each volume group once."""
    _scan.groups = {}
    try:
        yield
    finally:
        del _scan.groups


def look(vg: str, *, anew: bool = False) -> Group:
    """Read the volume group; in a `scan` only if that was not done yet, or `anew`. Raises `VolumeFailed`, `Refused`."""
    groups: dict[str, Group] = getattr(_scan, "groups", {})
    if anew or vg not in groups:
        groups[vg] = _read(vg)
    return groups[vg]


def _read(vg: str) -> Group:
    arguments = ["fullreport", "--all", "--reportformat", "json", "--units", "b", "--nosuffix"]
    for name, columns in _COLUMNS.items():
        arguments += ["--configreport", name, "--options", ",".join(columns.__struct_fields__)]
    outcome = _answer(vg, arguments)
    try:
        found = msgspec.json.decode(outcome.output, type=_Output, strict=False)
    except msgspec.DecodeError as error:
        raise VolumeFailed(f"cannot read volume group {vg}: LVM says: {outcome.text} ({error})") from error
    # LVM complains of a drive that is missing, and yet has the report.
    report = next((report for report in found.report if report.vg), None)
    if report is None:
        errors = [entry.log_message for entry in found.log if entry.log_type == "error"]
        raise VolumeFailed(f"cannot read volume group {vg}: LVM says: {'; '.join(errors) or outcome.text}")
    return _group(report)


def _answer(vg: str, arguments: list[str]) -> command.Outcome:
    """What LVM says of the group. Raises `VolumeFailed` when it says nothing, because a drive hangs or somebody's command
    holds the group: one that does not answer is enough, and is not killed."""
    what = f"cannot read volume group {vg}: LVM does not answer; a drive of it hangs, or another command of LVM's does"
    with _asking:
        _silent[vg] = [report for report in _silent.get(vg, ()) if not report.ended()]
        if _silent[vg]:
            raise VolumeFailed(what)
    running = command.start("lvm", *arguments, vg)
    try:
        return running.finish(PATIENCE)
    except TimeoutError as error:
        with _asking:
            _silent[vg].append(running)
        raise VolumeFailed(what) from error


def _group(report: _Report) -> Group:
    drives = {pv.pv_uuid: _drive(pv) for pv in report.pv}
    by_name = {_plain(lv.lv_name): lv for lv in report.lv}
    tops = {lv.lv_uuid: _top(lv, by_name) for lv in report.lv}
    free: dict[str, list[Area]] = {uuid: [] for uuid in drives}
    used = []
    pieces: dict[str, list[Piece]] = {lv.lv_uuid: [] for lv in report.lv}
    for seg in report.pvseg:
        drive = drives[seg.pv_uuid]
        if seg.lv_uuid:
            piece = Piece(drive, seg.pvseg_start, seg.pvseg_size, seg.seg_start_pe)
            pieces[seg.lv_uuid].append(piece)
            top = tops[seg.lv_uuid]
            used.append((piece, _lun(top.lv_name, _tags(top.lv_tags)) or OTHER))
        else:
            free[seg.pv_uuid].append(Area(drive.name, seg.pvseg_start, seg.pvseg_size))
    for found in pieces.values():
        found.sort(key=lambda piece: (piece.place, piece.drive.name, piece.start))
    segs: dict[str, _Seg] = {}
    for segment in report.seg:  # the last is where a volume grows
        if segment.lv_uuid not in segs or segs[segment.lv_uuid].seg_start_pe < segment.seg_start_pe:
            segs[segment.lv_uuid] = segment
    images: dict[str, list[tuple[int, Image]]] = {}
    for lv in report.lv:
        base, kind, number = _plain(lv.lv_name).rpartition("_rimage_")
        if kind and number.isdecimal() and lv.lv_parent:
            image = Image(
                tuple(pieces[lv.lv_uuid]),
                in_sync=lv.lv_attr[0] != "I",
                broken=lv.lv_attr[8] in "pr",
            )
            images.setdefault(base, []).append((int(number), image))
    return Group(
        extent=report.vg[0].vg_extent_size,
        drives=tuple(drives.values()),
        volumes={
            lv.lv_name: _volume(lv, segs[lv.lv_uuid], images.get(lv.lv_name, ()), pieces[lv.lv_uuid])
            for lv in report.lv
            if not lv.lv_parent and not lv.lv_name.startswith("[") and lv.lv_uuid in segs
        },
        free={uuid: tuple(areas) for uuid, areas in free.items()},
        used=tuple(used),
        moving={
            lv.move_pv: (
                lv.lv_dm_path,
                *(image.lv_dm_path for image in report.lv if _plain(image.lv_parent) == _plain(lv.lv_name)),
            )
            for lv in report.lv
            if lv.move_pv
        },
    )


def _drive(pv: _Pv) -> Drive:
    there = pv.pv_name.startswith("/")
    return Drive(
        uuid=pv.pv_uuid,
        name=pv.pv_name if there else "",
        node=os.path.realpath(pv.pv_name) if there else "",
        extents=pv.pv_pe_count,
        allocatable=bool(pv.pv_allocatable) and there and not pv.pv_missing,
        flagged=bool(pv.pv_missing),
        tags=_tags(pv.pv_tags),
    )


def _volume(lv: _Lv, segment: _Seg, images: "list[tuple[int, Image]] | tuple[()]", pieces: list[Piece]) -> Volume:
    percent = _number(lv.sync_percent)
    raid = segment.segtype.startswith("raid")
    broken = lv.lv_attr[8] in "pr"
    return Volume(
        name=lv.lv_name,
        size=lv.lv_size,
        tags=_tags(lv.lv_tags),
        type=segment.segtype,
        attributes=lv.lv_attr,
        health=lv.lv_health_status,
        action=lv.raid_sync_action,
        percent=percent if raid else _number(lv.data_percent),
        images=tuple(image for _, image in sorted(images, key=lambda entry: entry[0]))
        or (Image(tuple(pieces), broken=broken),),
        columns=1 if segment.segtype == "raid1" else max(1, segment.data_stripes),
        stripe_size=segment.stripe_size,
        thin_pool=lv.pool_lv,
        zero=segment.zero,
        chunk_size=segment.chunk_size,
    )


def _plain(name: str) -> str:
    return name.strip("[]")


def _tags(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def _number(text: str) -> float:
    return float(text) if text else 0.0


def _top(lv: _Lv, by_name: Mapping[str, _Lv]) -> _Lv:
    while lv.lv_parent and _plain(lv.lv_parent) in by_name:
        lv = by_name[_plain(lv.lv_parent)]
    return lv


def _lun(name: str, tags: tuple[str, ...]) -> str:
    """The LUN whose volume that is, "" for none of ours. LVM hands tags down to hidden volumes, whose names are others."""
    name = name.removesuffix(NEW)
    return name if TAG in tags and is_id(name) else ""
