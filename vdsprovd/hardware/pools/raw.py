"""What pools do to bytes through a descriptor of a file or a block device, and how the kernel's errors are told."""

import errno
import fcntl
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from vdsprovd.hardware import Mismatch, NoSpace, Refused, Unsupported, VolumeFailed

MIB = 1 << 20

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def door(what: str) -> Iterator[None]:
    """Translate OSErrors; `what` completes "cannot ..."."""
    try:
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
