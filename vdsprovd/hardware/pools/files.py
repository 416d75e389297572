"""A pool of files in a folder: one file a LUN, named by the LUN's id and nothing that a caller chose."""

import os
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from vdsprovd.hardware import (
    Condition,
    Fill,
    HardwareError,
    Layout,
    Leg,
    Mismatch,
    NoSpace,
    Progress,
    Space,
    Unsupported,
    VolumeFailed,
    VolumeState,
)
from vdsprovd.hardware.pools.raw import MIB, Asking, Door, read_ends, wipe_ends, zero_ends
from vdsprovd.ids import an_id
from vdsprovd.model import LunType

CHUNK = 64 * MIB
"""Preallocation reports progress, and can be cancelled, after each of these."""

SUFFIX = ".lun"
"""Ends the name of a LUN's file."""
OWNER = "user.vdsprovd.lun"
"""The extended attribute that says whose the bytes are, whatever the file's name. A copy that lacks it is believed."""


class FilesPool:
    """The folder must exist; `sparse` pools promise more than they hold, others preallocate every byte."""

    granule = 4096
    block = False
    types: Collection[LunType] = (LunType.SIMPLE,)

    def __init__(self, folder: Path, *, sparse: bool = False) -> None:
        self.folder = folder
        self._asking = Asking()
        self.sparse = sparse
        self._unflushed: dict[str, tuple[int, int]] = {}
        """Descriptors of the files of LUNs that were just created, and their sizes in bytes."""

    def space(self) -> Space:
        with Door(f"read the free space of {self.folder}"):
            found = os.statvfs(self.folder)
        return Space(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)

    def fill(self) -> Fill | None:
        space = self.space()
        return Fill(space.total, space.total - space.free)

    def largest(self, layout: Layout) -> int:
        _check(layout)
        return self.space().free // self.granule * self.granule

    def growth(self, lun: str, drives: Sequence[str] = ()) -> int:
        return self.largest(Layout(drives=tuple(drives)))

    def path(self, lun: str) -> str:
        return f"{self.folder}/{an_id(lun)}{SUFFIX}"

    def create(self, lun: str, size: int, layout: Layout, progress: Progress) -> None:
        _check(layout)
        path = self.path(lun)
        with Door(f"create {path}", lun):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                # What was never written reads as zeros without being read from the disk. Of what is written here `probe`
                # sees that the disk fails.
                if self.sparse:
                    # A file has its size from its last block.
                    os.pwrite(descriptor, bytes(self.granule), size - self.granule)
                else:
                    self._grow(descriptor, 0, size, progress)
                    zero_ends(descriptor, size)
                with suppress(OSError):  # not every file system keeps it
                    os.setxattr(descriptor, OWNER, lun.encode())
            except BaseException:
                with suppress(OSError):
                    Path(path).unlink()
                os.close(descriptor)
                raise
        self._unflushed[lun] = descriptor, size

    def flush(self, luns: Sequence[str]) -> Mapping[str, VolumeState]:
        states = {}
        with ExitStack() as files:
            fresh = {lun: self._unflushed.pop(lun) for lun in luns}
            for descriptor, _ in fresh.values():
                files.callback(os.close, descriptor)
            for descriptor, _ in fresh.values():
                # The kernel begins to write, and the file system has blocks for it when it is asked to wait for the
                # first one: what it has to keep of all of them it then writes at once.
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            for lun, (descriptor, size) in fresh.items():
                with Door(f"write LUN {lun}", lun):
                    os.fsync(descriptor)
                states[lun] = VolumeState(Condition.GOOD, size=size, legs=(Leg(),))
        with Door(f"write {self.folder}"):
            _sync_folder(self.folder)
        return states

    def resize(self, lun: str, size: int, drives: Sequence[str], progress: Progress) -> None:
        _check(Layout(drives=tuple(drives)))
        with self._open(lun, f"resize LUN {lun}", os.O_RDWR) as (descriptor, before):
            try:
                if size > before:
                    self._grow(descriptor, before, size, progress)
                else:
                    os.ftruncate(descriptor, size)
                os.fsync(descriptor)
            except BaseException:
                if size > before:
                    with suppress(OSError):
                        os.ftruncate(descriptor, before)
                raise

    def _grow(self, descriptor: int, before: int, size: int, progress: Progress) -> None:
        if not self.sparse and size - before > self.space().free:
            raise NoSpace(f"{size - before} bytes are wanted and {self.space().free} are free in {self.folder}")
        if self.sparse:
            os.ftruncate(descriptor, size)
            return
        for offset in range(before, size, CHUNK):
            progress((offset - before) * 100 // (size - before))
            os.posix_fallocate(descriptor, offset, min(CHUNK, size - offset))

    def delete(self, lun: str) -> None:
        if fresh := self._unflushed.pop(lun, None):
            os.close(fresh[0])
        try:
            with self._open(lun, f"wipe LUN {lun}", os.O_WRONLY) as (descriptor, size):
                wipe_ends(descriptor, size)
        except Mismatch:
            return
        with Door(f"delete {self.path(lun)}", lun):
            Path(self.path(lun)).unlink(missing_ok=True)
            _sync_folder(self.folder)

    def probe(self, lun: str) -> VolumeState:
        return self.survey([lun])[lun]

    def _probe(self, lun: str) -> VolumeState:
        try:
            with self._open(lun, f"read LUN {lun}", os.O_RDONLY) as (descriptor, size):
                if strange := _not_of(lun, self.path(lun), descriptor):
                    return strange
                read_ends(descriptor, size)
        except Mismatch as error:
            return VolumeState(Condition.MISSING, str(error))
        except HardwareError as error:
            return VolumeState(Condition.FAILED, str(error))
        return VolumeState(Condition.GOOD, size=size, legs=(Leg(),))

    def survey(self, luns: Collection[str], wake: Collection[str] = ()) -> Mapping[str, VolumeState]:
        return self._asking.ask(luns, self._probe)

    def glance(self, luns: Collection[str]) -> Mapping[str, VolumeState]:
        return {lun: self._glance(lun) for lun in luns}

    def _glance(self, lun: str) -> VolumeState:
        # Two system calls a LUN: only its file knows its size, and whose it is.
        try:
            found = os.lstat(self.path(lun))
        except OSError as error:
            return VolumeState(Condition.MISSING, f"cannot read LUN {lun}: {error.strerror}")
        if not stat.S_ISREG(found.st_mode):
            return VolumeState(Condition.FAILED, f"{self.path(lun)} is not a file")
        if strange := _not_of(lun, self.path(lun), self.path(lun)):
            return strange
        return VolumeState(Condition.GOOD, size=found.st_size, legs=(Leg(),))

    def volumes(self) -> Collection[str]:
        with Door(f"list {self.folder}"):
            return [name.removesuffix(SUFFIX) for name in os.listdir(self.folder) if name.endswith(SUFFIX)]

    def find(self, path: str) -> VolumeState | None:
        try:
            found = Path(path).stat()
            # A file goes from one name to another only within a mount.
            if _mount(path) != _mount(self.folder):
                return None
        except OSError as error:
            return VolumeState(Condition.FAILED, f"cannot read {path}: {error.strerror}")
        if not stat.S_ISREG(found.st_mode):
            return None
        with suppress(OSError):
            owner = os.getxattr(path, OWNER).decode(errors="replace")
            return VolumeState(Condition.FAILED, f"{path} has the bytes of LUN {owner}")
        return VolumeState(Condition.GOOD, size=found.st_size, legs=(Leg(),), type=LunType.SIMPLE)

    def take_in(self, lun: str, path: str) -> None:
        new, real = Path(self.path(lun)), Path(path).resolve()
        with Door(f"take {path} in", lun):
            if os.path.lexists(new):
                raise Mismatch(f"cannot take {path} in: there is a file {new} already")
            with suppress(OSError):  # not every file system keeps it
                os.setxattr(real, OWNER, lun.encode())
            real.rename(new)
            # What targetcli saved leads there: without it, its restore would make an empty file, and export that.
            real.symlink_to(new)
            _sync_folder(real.parent)
            _sync_folder(self.folder)

    def give_back(self, lun: str, path: str) -> None:
        new, real = Path(self.path(lun)), Path(path)
        with Door(f"give {path} back", lun):
            if os.path.lexists(new):
                while real.is_symlink() and (leads := real.parent / real.readlink()) != new:
                    real = leads
                if os.path.lexists(real) and not real.is_symlink():
                    raise Mismatch(f"cannot give {path} back: there is another file")
                new.rename(real)
                _sync_folder(self.folder)
                _sync_folder(real.parent)
            with suppress(OSError):
                os.removexattr(path, OWNER)

    @contextmanager
    def _open(self, lun: str, what: str, flags: int) -> Iterator[tuple[int, int]]:
        """A descriptor of the LUN's file, and its size in bytes."""
        with Door(what, lun):
            descriptor = os.open(self.path(lun), flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                found = os.fstat(descriptor)
                if not stat.S_ISREG(found.st_mode):
                    raise VolumeFailed(f"cannot {what}: {self.path(lun)} is not a file")
                yield descriptor, found.st_size
            finally:
                os.close(descriptor)


def _not_of(lun: str, path: str, file: int | str) -> VolumeState | None:
    """How the LUN is if the file, which has its name, says that it is another one's."""
    try:
        owner = os.getxattr(file, OWNER).decode(errors="replace")
    except OSError:
        return None
    if owner == lun:
        return None
    remedy = f"give the files their names back, or if it is right so, `setfattr -x {OWNER} {path}`"
    return VolumeState(Condition.FAILED, f"{path} has the bytes of LUN {owner}: {remedy}")


def _mount(path: Path | str) -> str:
    """Which mount of which file system the path is in."""
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        with Path(f"/proc/self/fdinfo/{descriptor}").open() as lines:
            return next(line for line in lines if line.startswith("mnt_id:"))
    finally:
        os.close(descriptor)


def _check(layout: Layout) -> None:
    if layout.type is not LunType.SIMPLE:
        raise Unsupported(f"a pool of files holds no LUN of type {layout.type.value}")
    if layout.drives:
        raise Unsupported("a pool of files does not know on which drives its files are")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
