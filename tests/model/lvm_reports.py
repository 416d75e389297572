"""What LVM and the kernel say of the LUNs: LVM's JSON reports, configfs, and the bytes; without the daemon's code."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.arrays import LioArray
from tests.model.drives_model import REDUNDANT, Lun, Model, sums
from tests.programs import MIB, run

SEGMENTS = {
    "simple": "linear",
    "span": "linear",
    "stripe": "striped",
    "mirror": "raid1",
    "parity": "raid5",
    "raid4": "raid4",
    "raid5": "raid5",
    "raid6": "raid6",
    "raid10": "raid10",
}
"""configuration, "LVM"."""

_BLKFLSBUF = 0x1261
_PAGE = 4096


def compare(model: Model, array: LioArray) -> None:
    """Volumes, drives and extents are what the model says, and the kernel has a disk for each LUN, of its size."""
    for pool, group in array.groups.items():
        luns = {lun.id: lun for lun in model.luns.values() if lun.pool == pool}
        _compare_volumes(luns, group.name)
        _compare_drives(model, array, pool, group.name)
        _compare_extents(model, array, luns, group.name)
    disks = {
        disk.name: _bytes_of(Path("/dev", array.groups[lun.pool].name, disk.name))
        for disk in Path("/sys/kernel/config/target/core").glob("iblock_*/*")
        if disk.is_dir() and (lun := model.luns.get(disk.name)) and not model.failed(lun)
    }
    assert disks == {lun.id: lun.size for lun in model.luns.values() if not model.failed(lun)}


def _report(kind: str, *arguments: str) -> list[dict[str, Any]]:
    text = run("lvm", kind, "--reportformat", "json", "--units", "b", "--nosuffix", *arguments)
    (report,) = json.loads(text)["report"]
    (rows,) = report.values()
    return list(rows)


def _compare_volumes(luns: Mapping[str, Lun], group: str) -> None:
    rows = _report("lvs", "-o", "lv_name,lv_size,segtype,lv_tags", group)
    found = {(row["lv_name"], int(row["lv_size"]), row["segtype"].partition("_")[0]) for row in rows}
    assert found == {(lun.id, lun.size, SEGMENTS[lun.type]) for lun in luns.values()}
    assert all("vdsprovd" in row["lv_tags"].split(",") for row in rows)


def _compare_drives(model: Model, array: LioArray, pool: str, group: str) -> None:
    rows = _report("pvs", "-o", "pv_name,vg_name,pv_allocatable,pv_missing,pv_pe_count")
    mine = [row for row in rows if row["vg_name"] == group]
    members = model.members(pool)
    there = {array.node(drive.name): drive for drive in members if drive.there}
    found = {os.path.realpath(row["pv_name"]): row for row in mine if row["pv_name"].startswith("/")}
    assert set(found) == set(there)
    assert len(mine) == len(members)
    for node, row in found.items():
        assert int(row["pv_pe_count"]) * MIB == model.capacity(there[node])
        assert bool(row["pv_allocatable"]) is there[node].online
        assert not row["pv_missing"], f"{there[node].name} is there, and LVM takes it for missing"


def _compare_extents(model: Model, array: LioArray, luns: Mapping[str, Lun], group: str) -> None:
    names = {array.node(drive.name): drive.name for drive in model.drives.values()}
    images: dict[str, dict[str, int]] = {}
    own: dict[str, int] = {}
    for row in _report("pvs", "--segments", "-o", "pv_name,vg_name,pvseg_size,lv_name"):
        volume = row["lv_name"].strip("[]")
        if row["vg_name"] == group and volume and row["pv_name"].startswith("/"):
            lun, _, part = volume.partition("_")
            size = int(row["pvseg_size"]) * MIB
            if part.startswith("rmeta"):
                own[lun] = own.get(lun, 0) + size
            else:
                assert part == "" or part.startswith("rimage"), f"{volume} is nobody's"
                drives = images.setdefault(lun, {})
                name = names[os.path.realpath(row["pv_name"])]
                drives[name] = drives.get(name, 0) + size
    assert set(images) <= set(luns)
    for id, lun in luns.items():
        wanted: dict[str, int] = {}
        for plex in lun.plexes:
            for name, size in sums(plex.placed).items():
                if model.drives[name].there:
                    wanted[name] = wanted.get(name, 0) + size
        assert images.get(id, {}) == wanted
        if not model.lost(lun):
            parts = len(lun.plexes) if lun.type == "mirror" else lun.shape.width(lun.columns)
            assert own.get(id, 0) == (parts * MIB if lun.type in REDUNDANT else 0)


def _bytes_of(device: Path) -> int:
    with _opened(device, os.O_RDONLY) as descriptor:
        return os.lseek(descriptor, 0, os.SEEK_END)


@contextmanager
def _opened(device: Path, flags: int) -> Iterator[int]:
    """The device, read anew from its drives and not from what was cached."""
    descriptor = os.open(device, flags)
    try:
        fcntl.ioctl(descriptor, _BLKFLSBUF)
        yield descriptor
    finally:
        os.close(descriptor)


class Bytes:
    """What tests wrote to LUNs, and expect to read there: a page at each place, which says whose it is, and when."""

    def __init__(self, array: LioArray) -> None:
        self.array = array
        self._written: dict[str, dict[int, bytes]] = {}
        self._times = 0

    def _device(self, lun: Lun) -> Path:
        return Path("/dev", self.array.groups[lun.pool].name, lun.id)

    def begin(self, lun: Lun, start: int) -> None:
        """From `start` on the LUN is new, and has to read as zeros; then its ends are written."""
        with _opened(self._device(lun), os.O_RDWR) as descriptor:
            for offset in range(start, lun.size, MIB):
                assert not any(os.pread(descriptor, MIB, offset)), f"old bytes at {offset} of {lun}"
        pages = self._written.setdefault(lun.id, {})
        kept = {offset for offset in pages if offset < lun.size}
        self._written[lun.id] = dict.fromkeys(sorted({0, *kept, lun.size - _PAGE}), b"")
        self.write(lun)

    def write(self, lun: Lun) -> None:
        """Write something new to all these places."""
        self._times += 1
        page = f"{lun.id} {self._times}".encode().ljust(_PAGE, b".")
        with _opened(self._device(lun), os.O_RDWR) as descriptor:
            for offset in self._written[lun.id]:
                os.pwrite(descriptor, page, offset)
                self._written[lun.id][offset] = page
            os.fsync(descriptor)

    def check(self, lun: Lun) -> None:
        """They are all there."""
        with _opened(self._device(lun), os.O_RDONLY) as descriptor:
            for offset, page in self._written[lun.id].items():
                assert os.pread(descriptor, _PAGE, offset) == page, f"other bytes at {offset} of {lun}"
