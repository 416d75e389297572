"""What pools do to bytes through a descriptor of a file or a block device, and how the kernel's errors are told."""

import errno
import fcntl
import mmap
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from vdsprovd.asking import asking
from vdsprovd.hardware import Mismatch, NoSpace, Progress, Refused, Unsupported, VolumeFailed

MIB = 1 << 20

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
