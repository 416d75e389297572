"""A disk that fails when a test wants it to."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.programs import MIB, run

DISK = "vdsprovd-test"
DISK_SIZE = 512 * MIB


@contextmanager
def breakable_disk(folder: Path) -> Iterator[Path]:
    """A file system on a device that can be made to fail, mounted; gives the mount point."""
    run("modprobe", "--all", "loop", "dm_mod", "ext4")
    image, mount = folder / "image", folder / "disk"
    with image.open("wb") as file:
        file.truncate(DISK_SIZE)
    loop = run("losetup", "--find", "--show", str(image)).strip()
    _LOOP.append(loop)
    run("dmsetup", "create", DISK, "--table", _table("linear"))
    run("mkfs.ext4", "-q", "-O", "^has_journal", f"/dev/mapper/{DISK}")
    mount.mkdir()
    run("mount", f"/dev/mapper/{DISK}", str(mount))
    try:
        yield mount
    finally:
        reload_disk("linear")
        run("umount", str(mount), check=False)
        run("dmsetup", "remove", "--retry", DISK, check=False)
        run("losetup", "--detach", loop, check=False)


_LOOP: list[str] = []
"""The loop device under the breakable disk."""


def _table(kind: str) -> str:
    return f"0 {DISK_SIZE // 512} " + (f"linear {_LOOP[-1]} 0" if kind == "linear" else "error")


def reload_disk(kind: str) -> None:
    """Make the breakable disk work ("linear") or fail every read and write ("error")."""
    run("dmsetup", "suspend", "--noflush", "--nolockfs", DISK)
    run("dmsetup", "load", DISK, "--table", _table(kind))
    run("dmsetup", "resume", DISK)
