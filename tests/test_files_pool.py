"""A pool of files: sizes, zeros, wiping, and what is left when something fails (nothing)."""

import errno
import os
import resource
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from vdsprovd.hardware import Cancelled, Condition, HardwareError, Layout, Mismatch, NoSpace, Unsupported, VolumeFailed
from vdsprovd.hardware.pools import files, raw
from vdsprovd.hardware.pools.files import CHUNK, FilesPool
from vdsprovd.hardware.pools.raw import MIB

LUN = str(uuid.uuid4())


def ignore(_percent: int) -> None:
    """Progress that nobody wants."""


@pytest.fixture(params=[False, True], ids=["preallocated", "sparse"])
def pool(request: pytest.FixtureRequest, tmp_path: Path) -> FilesPool:
    """A pool in a folder of its own."""
    return FilesPool(tmp_path, sparse=request.param)


def blocks(pool: FilesPool) -> int:
    """How many bytes the LUN's file holds on the disk."""
    return Path(pool.path(LUN)).stat().st_blocks * 512


def test_a_new_volume_reads_as_zeros(pool: FilesPool) -> None:
    """It has its size, is preallocated unless the pool is sparse, and is readable by its owner only."""
    pool.create(LUN, 4 * MIB, Layout(), ignore)
    path = Path(pool.path(LUN))
    assert path.read_bytes() == bytes(4 * MIB)
    assert path.stat().st_mode & 0o777 == 0o600
    assert (blocks(pool) >= 4 * MIB) is not pool.sparse
    assert pool.probe(LUN).condition is Condition.GOOD
    assert pool.probe(LUN).size == 4 * MIB
    assert list(pool.volumes()) == [LUN]


def test_growing_and_cutting_keep_what_stays(pool: FilesPool) -> None:
    """Growth adds zeros, cutting takes from the end."""
    pool.create(LUN, MIB, Layout(), ignore)
    path = Path(pool.path(LUN))
    path.write_bytes(b"x" * MIB)
    pool.resize(LUN, 2 * MIB, (), ignore)
    assert path.read_bytes() == b"x" * MIB + bytes(MIB)
    pool.resize(LUN, MIB // 2, (), ignore)
    assert path.read_bytes() == b"x" * (MIB // 2)


def test_deleting_wipes_both_ends(pool: FilesPool) -> None:
    """The first and the last MiB are zeroed before the file goes, also where they overlap; a missing file is no error."""
    for size in (4 * MIB, MIB + 4096, 4096):
        pool.create(LUN, size, Layout(), ignore)
        path = Path(pool.path(LUN))
        path.write_bytes(b"x" * size)
        with path.open("rb") as file:
            pool.delete(LUN)
            left = file.read()
        assert left == bytes(min(size, MIB)) + b"x" * max(0, size - 2 * MIB) + bytes(max(0, min(size - MIB, MIB)))
        assert not path.exists()
    pool.delete(LUN)


def test_it_is_strict(pool: FilesPool) -> None:
    """Creating what is there, and resizing what is not, are mismatches; a name that is no UUID is never a path."""
    pool.create(LUN, MIB, Layout(), ignore)
    with pytest.raises(Mismatch):
        pool.create(LUN, MIB, Layout(), ignore)
    with pytest.raises(Mismatch):
        pool.resize(str(uuid.uuid4()), MIB, (), ignore)
    with pytest.raises(ValueError, match="no id of an object"):
        pool.path("../../etc/passwd")
    assert pool.probe(str(uuid.uuid4())).condition is Condition.MISSING


def test_links_and_folders_in_place_of_a_volume_are_not_followed(pool: FilesPool, tmp_path: Path) -> None:
    """A symbolic link where a volume should be is an error, and what it leads to is not touched."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"x" * MIB)
    Path(pool.path(LUN)).symlink_to(secret)
    assert pool.probe(LUN).condition is Condition.FAILED
    with pytest.raises(HardwareError):
        pool.delete(LUN)
    with pytest.raises(HardwareError):
        pool.resize(LUN, 4096, (), ignore)
    assert secret.read_bytes() == b"x" * MIB
    Path(pool.path(LUN)).unlink()
    Path(pool.path(LUN)).mkdir()
    with pytest.raises((VolumeFailed, HardwareError)):
        pool.resize(LUN, 4096, (), ignore)


def test_cancelling_leaves_nothing(tmp_path: Path) -> None:
    """Work that is cancelled in the middle leaves no file, or the old size."""
    pool = FilesPool(tmp_path)
    seen: list[int] = []

    def cancel(percent: int) -> None:
        seen.append(percent)
        if percent > 0:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        pool.create(LUN, 3 * CHUNK, Layout(), cancel)
    assert seen == [0, 33]
    assert list(tmp_path.iterdir()) == []
    pool.create(LUN, MIB, Layout(), ignore)
    with pytest.raises(Cancelled):
        pool.resize(LUN, 3 * CHUNK, (), cancel)
    assert Path(pool.path(LUN)).stat().st_size == MIB


def test_nothing_stays_open_of_what_was_created(pool: FilesPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is flushed, when that fails, of which LUN is told, and when it is deleted without."""
    luns = [str(uuid.uuid4()) for _ in range(3)]
    for number, lun in enumerate(luns, 1):
        pool.create(lun, number * 4096, Layout(), ignore)
    states = pool.flush(luns[:2])
    assert [(states[lun].condition, states[lun].size) for lun in luns[:2]] == [
        (Condition.GOOD, 4096),
        (Condition.GOOD, 8192),
    ]
    assert states == pool.glance(luns[:2])
    with monkeypatch.context() as patches:

        def fail(_descriptor: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        patches.setattr(os, "fsync", fail)
        with pytest.raises(VolumeFailed, match=f"cannot write LUN {luns[2]}: Input/output error"):
            pool.flush(luns[2:])
    pool.create(LUN, 4096, Layout(), ignore)
    pool.delete(LUN)
    assert not Path(pool.path(LUN)).exists()
    # Only what is open of the pool: other tests' threads may close theirs meanwhile.
    opened = [os.path.realpath(descriptor) for descriptor in Path("/proc/self/fd").iterdir()]
    assert [path for path in opened if path.startswith(str(pool.folder))] == []


def test_more_than_there_is(tmp_path: Path) -> None:
    """A size beyond the file system's free space is refused before anything is written."""
    pool = FilesPool(tmp_path)
    for size in (pool.space().free + MIB, 1 << 60):
        with pytest.raises(NoSpace):
            pool.create(LUN, size, Layout(), ignore)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_files() -> Iterator[int]:
    """A limit on the size of files, which stands for a quota: preallocation ends in the middle."""
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (CHUNK + MIB, before[1]))
    yield CHUNK + MIB
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_file_that_ends_in_the_middle_leaves_nothing(tmp_path: Path, small_files: int) -> None:
    """When the second chunk cannot be had the first is given back."""
    pool = FilesPool(tmp_path)
    with pytest.raises(Unsupported):
        pool.create(LUN, small_files + MIB, Layout(), ignore)
    assert list(tmp_path.iterdir()) == []
    pool.create(LUN, MIB, Layout(), ignore)
    with pytest.raises(Unsupported):
        pool.resize(LUN, small_files + MIB, (), ignore)
    assert Path(pool.path(LUN)).stat().st_size == MIB


def test_a_glance_sees_what_can_be_seen_from_outside(pool: FilesPool) -> None:
    """A file that is there, missing, of another size, or no file; without reading it."""
    pool.create(LUN, MIB, Layout(), ignore)
    path = Path(pool.path(LUN))
    assert pool.glance([LUN]) == pool.survey([LUN])
    path.write_bytes(b"x")
    assert pool.glance([LUN])[LUN].size == 1
    path.unlink()
    assert pool.glance([LUN])[LUN].condition is Condition.MISSING
    path.mkdir()
    assert pool.glance([LUN])[LUN].condition is Condition.FAILED


def test_volumes_that_do_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A volume whose read gets no answer has failed, until it is read; no more than a few threads wait for those of a pool,
    whose other volumes are not asked meanwhile."""
    monkeypatch.setattr(raw, "PATIENCE", 0.2)
    pool, answer = FilesPool(tmp_path), threading.Event()
    asked: list[threading.Thread] = []
    luns = [str(uuid.uuid4()) for _ in range(20)]
    for lun in luns:
        pool.create(lun, MIB, Layout(), ignore)
    pool.flush(luns)

    def hangs(_descriptor: int, _size: int) -> None:
        asked.append(threading.current_thread())
        assert answer.wait(60)

    with monkeypatch.context() as patched:
        patched.setattr(files, "read_ends", hangs)
        for _ in range(2):
            for lun, state in pool.survey(luns).items():
                assert (state.condition, state.answers) == (Condition.FAILED, False)
                assert lun in state.reason
        assert len(asked) == 8
        answer.set()
        for thread in asked:
            thread.join(20)
    assert {state.condition for state in pool.survey(luns).values()} == {Condition.GOOD}


def test_one_that_hangs_keeps_no_other_from_being_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread reads the rest, and the one that hung does not go on when it has its answer."""
    monkeypatch.setattr(raw, "PATIENCE", 0.2)
    pool, answer = FilesPool(tmp_path), threading.Event()
    read: dict[str, threading.Thread] = {}
    luns = [str(uuid.uuid4()) for _ in range(5)]
    for lun in luns:
        pool.create(lun, MIB, Layout(), ignore)
    pool.flush(luns)

    def hangs(descriptor: int, _size: int) -> None:
        lun = Path(f"/proc/self/fd/{descriptor}").readlink().stem
        assert lun not in read
        read[lun] = threading.current_thread()
        if lun == luns[2]:
            assert answer.wait(60)

    monkeypatch.setattr(files, "read_ends", hangs)
    states = pool.survey(luns)
    assert [states[lun].answers for lun in luns] == [True, True, False, True, True]
    answer.set()
    read[luns[2]].join(20)
    assert list(read) == luns
    assert len(set(read.values())) == 2


def theirs(tmp_path: Path) -> Path:
    """A file of somebody else's, by a link in another folder."""
    (tmp_path / "theirs").mkdir()
    image = tmp_path / "theirs" / "disk.img"
    image.write_bytes(b"their bytes" * 4096)
    link = tmp_path / "link"
    link.symlink_to("theirs/disk.img")
    return link


def test_a_file_of_others_becomes_a_volume_and_goes_back(pool: FilesPool, tmp_path: Path) -> None:
    """The file itself, by a rename; its old name leads to it. Given back, all is as it was, whatever was done of it."""
    link = theirs(tmp_path)
    image, inode = link.resolve(), link.stat().st_ino
    found = pool.find(str(link))
    assert found
    assert (found.condition, found.size) == (Condition.GOOD, link.stat().st_size)
    for undo in (lambda: None, image.unlink, lambda: Path(pool.path(LUN)).rename(image)):
        pool.take_in(LUN, str(link))
        assert pool.probe(LUN).condition is Condition.GOOD
        assert (Path(pool.path(LUN)).stat().st_ino, link.stat().st_ino) == (inode, inode)
        assert image.is_symlink()
        undo()
        pool.give_back(LUN, str(link))
        assert not image.is_symlink()
        assert (image.stat().st_ino, list(pool.volumes())) == (inode, [])
        assert pool.find(str(link)) == found
    pool.give_back(LUN, str(link))
    assert image.stat().st_ino == inode


def test_files_of_others_that_cannot_be_volumes(pool: FilesPool, tmp_path: Path) -> None:
    """One that is gone, a LUN's own, one of another file system, a folder, and one whose place is taken."""
    pool.create(LUN, MIB, Layout(), ignore)
    for path, why in ((tmp_path / "none", "cannot read"), (Path(pool.path(LUN)), "has the bytes of LUN")):
        found = pool.find(str(path))
        assert found
        assert found.condition is Condition.FAILED
        assert why in found.reason
    assert pool.find("/proc/self/status") is None
    assert pool.find(str(tmp_path)) is None
    with pytest.raises(Mismatch, match="already"):
        pool.take_in(LUN, str(theirs(tmp_path)))
