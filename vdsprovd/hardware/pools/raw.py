"""What pools do to bytes through a descriptor of a file or a block device, and how the kernel's errors are told."""

import errno
import fcntl
import mmap
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from vdsprovd.asking import asking
from vdsprovd.hardware import (
    Condition,
    Mismatch,
    NoSpace,
    Progress,
    Refused,
    Unsupported,
    VolumeFailed,
    VolumeState,
)
from vdsprovd.model import Health

MIB = 1 << 20
PATIENCE = 8.0
"""Seconds that a volume has to be read when somebody looks how it is."""
_MOST_SILENT = 8
"""How many volumes of a pool may have no answer before the others are not asked."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def door(what: str, lun: str = "") -> Iterator[None]:
    """Translate OSErrors; `what` completes "cannot ..."; `lun` is the LUN that it is about, if it is about one."""
    try:
        with asking(what, lun):
            yield
    except OSError as error:
        text = f"cannot {what}: {error.strerror or error}"
        if error.errno in _FULL:
            raise NoSpace(text) from error
        if error.errno == errno.EFBIG:
            raise Unsupported(f"cannot {what}: its file system holds no file of that size") from error
        if error.errno in (errno.ENOENT, errno.EEXIST, errno.ENOTDIR):
            raise Mismatch(text) from error
        if error.errno in (errno.EIO, errno.EROFS, errno.EUCLEAN):
            raise VolumeFailed(text) from error
        raise Refused(text) from error


class Asking:
    """Finds out how the volumes of a pool are, and waits for no answer that does not come."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._silent: dict[str, tuple[threading.Thread, float]] = {}
        """By LUN: the thread that has no answer, and when it asked."""

    def ask(self, lun: str, function: Callable[[], VolumeState]) -> VolumeState:
        """What the function finds, which never raises. While some volumes have no answer, the others of the pool get little
        time, or are not asked at all: mostly they are on the same disk, and each would keep a thread."""
        with self._lock:
            former = self._silent.get(lun)
        if former:
            former[0].join(PATIENCE / 10)  # its disk may just have come back
        with self._lock:
            self._silent = {id: entry for id, entry in self._silent.items() if entry[0].is_alive()}
            _, since = self._silent.get(lun, (None, 0.0))
            silent = len(self._silent)
        if since:
            return _no_answer(lun, f"it has not answered for {time.monotonic() - since:.0f} s")
        if silent >= _MOST_SILENT:
            return _no_answer(lun, "other volumes of its pool do not answer")
        found: list[VolumeState] = []
        since = time.monotonic()
        thread = threading.Thread(target=lambda: found.append(function()), daemon=True)
        with asking(f"read LUN {lun}", lun):
            thread.start()
            thread.join(PATIENCE / 10 if silent else PATIENCE)
        if found:
            return found[0]
        with self._lock:
            self._silent[lun] = thread, since
        return _no_answer(lun, f"it has not answered for {time.monotonic() - since:.0f} s")


def _no_answer(lun: str, why: str) -> VolumeState:
    return VolumeState(Condition.FAILED, f"cannot read LUN {lun}: {why}", health=Health.FAILED, answers=False)


def wipe_ends(descriptor: int, size: int, length: int) -> None:
    """Zero so many bytes at both ends: the first and last MiB is where partition tables and signatures are."""
    for offset in (0, max(0, size - length)):
        os.pwrite(descriptor, bytes(min(length, size - offset)), offset)
    os.fsync(descriptor)


def read_through(descriptor: int, offset: int) -> None:
    """Read a block from the device itself where the file system can: a failed disk hides behind the page cache."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    with suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_DIRECT)
    with mmap.mmap(-1, 4096) as block:
        try:
            os.preadv(descriptor, [block], offset)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a device with larger sectors takes no direct reads of this size
                raise
            os.pread(descriptor, 1, offset)
        finally:
            fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)


def alike(first: str, second: str, progress: Progress) -> bool:
    """Whether two block devices have the same bytes, read from the disks themselves. They may be written meanwhile, both
    at the same time: what differs is read again until it does not, for two seconds."""
    with _opened(first) as one, _opened(second) as other:
        buffers = mmap.mmap(-1, MIB), mmap.mmap(-1, MIB)

        def differ(offset: int, length: int) -> bool:
            parts = [memoryview(buffer)[:length] for buffer in buffers]
            for descriptor, part in zip((one, other), parts, strict=True):
                os.preadv(descriptor, [part], offset)
            return parts[0] != parts[1]

        size = os.lseek(one, 0, os.SEEK_END)
        for start in range(0, size, MIB):
            progress(start * 100 // size)
            end = min(start + MIB, size)
            blocks = list(range(start, end, 4096)) if differ(start, end - start) else []
            for _ in range(20):
                blocks = [block for block in blocks if differ(block, min(4096, size - block))]
                if not blocks:
                    break
                time.sleep(0.1)
            else:
                return False
    return True


@contextmanager
def _opened(path: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
