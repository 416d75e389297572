"""A volume group on drives that a test can break, slow down and mend, for the lab."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.programs import MIB, run

JUNK = 0xA5
"""What every byte of a drive is before LVM gets it: a volume that is not zeroed shows it."""
_HEAD = MIB
"""Where LVM's label and metadata are, which can still be read on a drive of which only the data fails."""


class TestDrive:
    """A part of the image behind device-mapper. `node` is what LVM calls it, `device` the node in /dev."""

    __test__ = False

    def __init__(self, name: str, loop: str, offset: int, size: int) -> None:
        self.name = name
        self.node = f"/dev/mapper/{name}"
        self.size = size
        self._loop, self._offset = loop, offset
        run("dmsetup", "create", name, "--table", self._linear(0, size))
        self.device = str(Path(self.node).resolve())

    def _linear(self, start: int, end: int, kind: str = "linear", end_of_line: str = "") -> str:
        return f"{start // 512} {(end - start) // 512} {kind} {self._loop} {(self._offset + start) // 512}{end_of_line}"

    def mend(self) -> None:
        """Read and write again, with the bytes from before."""
        self._reload(self._linear(0, self.size))

    def fail(self) -> None:
        """Fail every read and write: LVM does not even find its label."""
        self._reload(f"0 {self.size // 512} error")

    def fail_data(self) -> None:
        """Fail every read and write but those of LVM's own."""
        self._reload(f"{self._linear(0, _HEAD)}\n{_HEAD // 512} {(self.size - _HEAD) // 512} error")

    def slow(self, milliseconds: int) -> None:
        """Let each read and write of data take longer."""
        run("modprobe", "dm_delay")
        self._reload(f"{self._linear(0, _HEAD)}\n{self._linear(_HEAD, self.size, 'delay', f' {milliseconds}')}")

    def content(self) -> bytes:
        """Every byte, read where it is not slow."""
        run("blockdev", "--flushbufs", self._loop)
        with Path(self._loop).open("rb") as file:
            file.seek(self._offset)
            return file.read(self.size)

    def fill(self) -> None:
        """Write junk to every byte."""
        block = bytes([JUNK]) * MIB
        with Path(self.node).open("r+b") as file:
            for _ in range(self.size // MIB):
                file.write(block)

    def _reload(self, table: str) -> None:
        run("dmsetup", "suspend", "--noflush", "--nolockfs", self.name)
        run("dmsetup", "load", self.name, "--table", table)
        run("dmsetup", "resume", self.name)

    def remove(self) -> None:
        """Take the device away."""
        run("dmsetup", "remove", "--retry", "--force", self.name, check=False)


class VolumeGroup:
    """A volume group and its drives, in order; `spare` ones are not in the group."""

    def __init__(self, name: str, drives: Sequence[TestDrive], spare: Sequence[TestDrive], extent: int) -> None:
        self.name = name
        self._extent = extent
        self.drives = drives
        self.spare = spare

    def lvm(self, *arguments: str) -> str:
        """Run a command of LVM."""
        return run("lvm", *arguments)

    def lvs(self, columns: str, *arguments: str) -> list[list[str]]:
        """Columns of the group's logical volumes."""
        lines = run("lvm", "lvs", "--noheadings", "--separator", "|", "-o", columns, *arguments, self.name).splitlines()
        return [line.strip().split("|") for line in lines]

    def names(self) -> set[str]:
        """The names of all its logical volumes, hidden ones included."""
        return {line[0] for line in self.lvs("lv_name", "-a")}

    def clear(self) -> None:
        """Make the group anew, empty, whatever state it is in, with its drives full of junk."""
        self.remove()
        for drive in (*self.drives, *self.spare):
            drive.fill()
        nodes = [drive.node for drive in self.drives]
        run("lvm", "vgcreate", "--yes", "--force", "--physicalextentsize", f"{self._extent}b", self.name, *nodes)

    def remove(self) -> None:
        """Take everything down, whatever state it is in."""
        for drive in (*self.drives, *self.spare):
            drive.mend()
        if self.name in run("lvm", "vgs", "--noheadings", "-o", "vg_name", check=False).split():
            run("lvm", "vgremove", "--yes", "--force", "--force", self.name, check=False)
        prefix = self.name.replace("-", "--") + "-"
        for _ in range(5):  # the outer ones first
            names = [line.split("\t")[0] for line in run("dmsetup", "ls").splitlines()]
            ours = [name for name in names if name.startswith(prefix)]
            for name in ours:
                run("dmsetup", "remove", "--force", name, check=False)
            if not ours:
                break
            time.sleep(0.1)


@contextmanager
def volume_group(
    folder: Path, sizes: Sequence[int], *, spare: Sequence[int] = (), name: str = "vdsprovd-vg", extent: int = MIB
) -> Iterator[VolumeGroup]:
    """A volume group on drives of these many extents, and spare drives of the same kind that are not in it."""
    run("modprobe", "--all", "loop", "dm_mod", "dm_raid", "raid1", "raid456", "raid10", "dm_thin_pool", "dm_mirror")
    # Its first MiB is nobody's: a physical volume at its start would be seen twice, on the loop device and on the drive.
    total = MIB + sum((*sizes, *spare)) * extent + MIB * (len(sizes) + len(spare))
    image = folder / f"{name}.image"
    with image.open("wb") as file:
        file.truncate(total)
    loop = run("losetup", "--find", "--show", str(image)).strip()
    drives: list[TestDrive] = []
    group = VolumeGroup(name, [], [], extent)
    try:
        offset = MIB
        for number, extents in enumerate((*sizes, *spare)):
            size = MIB + extents * extent
            drives.append(TestDrive(f"{name.replace('-', '')}{number}", loop, offset, size))
            offset += size
        group = VolumeGroup(name, drives[: len(sizes)], drives[len(sizes) :], extent)
        group.clear()
        yield group
    finally:
        group.remove()
        for drive in drives:
            drive.remove()
        run("losetup", "--detach", loop, check=False)
        image.unlink()
