"""Pools of files where space ends: a full disk in the middle, and a quota."""

import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.arrays import MIB, run
from vdsprovd.hardware import Layout, NoSpace
from vdsprovd.hardware.pools.files import FilesPool

pytestmark = pytest.mark.lab

LUN = str(uuid.uuid4())


def free(folder: Path) -> int:
    """Bytes that are free there."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def test_a_disk_that_fills_up_in_the_middle(disk: Path, tmp_path: Path) -> None:
    """Space that somebody else takes while a volume is being made or grown: NoSpace, and all of it is given back."""
    folder = disk / tmp_path.name
    folder.mkdir()
    pool, filler = FilesPool(folder), folder / "filler"
    before = free(folder)

    def fill(percent: int) -> None:
        if percent and not filler.exists():
            with filler.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, free(folder) - 8 * MIB)

    with pytest.raises(NoSpace, match="No space left"):
        pool.create(LUN, before - 64 * MIB, Layout(), fill)
    filler.unlink()
    assert list(folder.iterdir()) == []
    assert free(folder) == before
    pool.create(LUN, MIB, Layout(), lambda _percent: None)
    with pytest.raises(NoSpace, match="No space left"):
        pool.resize(LUN, before - 64 * MIB, (), fill)
    filler.unlink()
    assert Path(pool.path(LUN)).stat().st_size == MIB
    pool.delete(LUN)
    assert free(folder) == before
    folder.rmdir()


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Path]:
    """A folder of XFS with a project quota of 32 MiB."""
    image, mount = tmp_path / "xfs", tmp_path / "mount"
    with image.open("wb") as file:
        file.truncate(320 * MIB)
    run("modprobe", "--all", "loop", "xfs")
    run("mkfs.xfs", "-q", str(image))
    mount.mkdir()
    run("mount", "-o", "loop,prjquota", str(image), str(mount))
    try:
        folder = mount / "luns"
        folder.mkdir()
        run("xfs_quota", "-x", "-c", f"project -s -p {folder} 42", str(mount))
        run("xfs_quota", "-x", "-c", "limit -p bhard=32m 42", str(mount))
        yield folder
    finally:
        subprocess.run(["umount", mount], check=False)


def test_a_quota_is_the_pool_s_size(limited: Path) -> None:
    """The pool has what its quota allows, no more can be made, and what cannot leaves nothing."""
    pool = FilesPool(limited)
    assert pool.space().total == 32 * MIB
    largest = pool.largest(Layout())
    assert 24 * MIB < largest <= 32 * MIB
    pool.create(LUN, 16 * MIB, Layout(), lambda _percent: None)
    assert pool.largest(Layout()) <= 16 * MIB
    other = str(uuid.uuid4())
    with pytest.raises(NoSpace):
        pool.create(other, 24 * MIB, Layout(), lambda _percent: None)
    with pytest.raises(NoSpace):
        pool.resize(LUN, 40 * MIB, (), lambda _percent: None)
    assert [path.stem for path in limited.iterdir()] == [LUN]
