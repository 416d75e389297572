"""What pools do to bytes through a descriptor of a file or a block device, and how the kernel's errors are told."""

import errno
import fcntl
import mmap
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from vdsprovd.asking import Question, asked, asking
from vdsprovd.hardware import (
    Condition,
    HardwareError,
    Mismatch,
    NoSpace,
    Progress,
    Refused,
    Unsupported,
    VolumeFailed,
    VolumeState,
    door,
)
from vdsprovd.model import Health

MIB = 1 << 20
PATIENCE = 8.0
"""Seconds that a volume has to be read when somebody looks how it is."""
_LOOKS = 8
"""How often it is looked in that time whether the next one is asked already."""
_MOST_SILENT = 8
"""How many volumes of a pool may have no answer before the others are not asked."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


class Door(door.Door):
    """Translates OSErrors."""

    __slots__ = ()

    def translated(self, what: object, error: Exception) -> HardwareError | None:
        if not isinstance(error, OSError):
            return None
        text = f"cannot {what}: {error.strerror or error}"
        if error.errno in _FULL:
            return NoSpace(text)
        if error.errno == errno.EFBIG:
            return Unsupported(f"cannot {what}: its file system holds no file of that size")
        if error.errno in (errno.ENOENT, errno.EEXIST, errno.ENOTDIR):
            return Mismatch(text)
        if error.errno in (errno.EIO, errno.EROFS, errno.EUCLEAN):
            return VolumeFailed(text)
        return Refused(text)


class Asking:
    """Finds out how the volumes of a pool are, and waits for no answer that does not come."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._silent: dict[str, tuple[threading.Thread, float]] = {}
        """By LUN: the thread that has no answer, and when it asked."""

    def ask(self, luns: Iterable[str], function: Callable[[str], VolumeState]) -> dict[str, VolumeState]:
        """What the function finds of each volume: it never raises, and goes through the `Door` of each.

        One thread asks for all of them, and another one goes on when that gets no answer. While some volumes have none, the
        others of the pool get little time, or are not asked at all: mostly they are on the same disk, and each would keep a
        thread.
        """
        found: dict[str, VolumeState] = {}
        left: deque[str] = deque()
        for lun in luns:
            if since := self._silent_since(lun):
                found[lun] = _no_answer(lun, f"it has not answered for {time.monotonic() - since:.0f} s")
            else:
                left.append(lun)
        while left:
            silent = self._count_silent()
            if silent >= _MOST_SILENT:
                return found | {lun: _no_answer(lun, "other volumes of its pool do not answer") for lun in left}
            asker = _Asker(left, function)
            stuck = asker.wait(PATIENCE / 10 if silent else PATIENCE)
            found |= asker.found
            if stuck:
                with self._lock:
                    self._silent[stuck.lun] = asker, stuck.since
                found[stuck.lun] = _no_answer(stuck.lun, f"it has not answered for {stuck.answered()[0]} s")
        return found

    def _silent_since(self, lun: str) -> float:
        """Since when the volume has no answer (time.monotonic), 0 if it has."""
        with self._lock:
            former = self._silent.get(lun)
        if former is None:
            return 0.0
        thread, since = former
        thread.join(PATIENCE / 10)  # its disk may just have come back
        return since if thread.is_alive() else 0.0

    def _count_silent(self) -> int:
        with self._lock:
            self._silent = {lun: entry for lun, entry in self._silent.items() if entry[0].is_alive()}
            return len(self._silent)


class _Asker(threading.Thread):
    """Asks for one volume after the other until none is left, or until somebody else goes on without it."""

    def __init__(self, left: deque[str], function: Callable[[str], VolumeState]) -> None:
        super().__init__(daemon=True)
        self.found: dict[str, VolumeState] = {}
        self._left = left
        self._function = function
        self._lock = threading.Lock()
        self._given_up = False
        self._done = threading.Event()
        self.start()

    def run(self) -> None:
        while lun := self._next():
            self.found[lun] = self._function(lun)
        self._done.set()

    def _next(self) -> str:
        with self._lock:
            return self._left.popleft() if self._left and not self._given_up else ""

    def wait(self, patience: float) -> Question | None:
        """Wait until no volume is left, and give None; or until one has had no answer for `patience` seconds, and give what
        was asked: the thread does not go on then."""
        while not self._done.wait(0.001):
            if (question := asked(self.ident or 0)) is None:
                continue
            with asking(question.to, question.lun):
                end = question.since + patience
                while asked(self.ident or 0) is question and (left := end - time.monotonic()) > 0:
                    if self._done.wait(min(left, patience / _LOOKS)):
                        return None
            with self._lock:
                if asked(self.ident or 0) is question:
                    self._given_up = True
                    return question
        return None


def _no_answer(lun: str, why: str) -> VolumeState:
    return VolumeState(Condition.FAILED, f"cannot read LUN {lun}: {why}", health=Health.FAILED, answers=False)


def zero_ends(descriptor: int, size: int) -> None:
    """Zero the first and the last MiB, where partition tables and signatures are."""
    for offset in (0, max(0, size - MIB)):
        os.pwrite(descriptor, bytes(min(MIB, size - offset)), offset)


def wipe_ends(descriptor: int, size: int) -> None:
    """As `zero_ends`, so that it lasts."""
    zero_ends(descriptor, size)
    os.fsync(descriptor)


_UNREAD = mmap.mmap(-1, 4096)
"""Where `read_ends` reads to. Nobody looks at what is there, so all threads have the same."""


def read_ends(descriptor: int, size: int) -> None:
    """Read the first and the last 4 KiB from the device itself where the file system can: a failed disk hides behind the
    page cache. The descriptor is good for nothing else then."""
    with suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_DIRECT | os.O_NONBLOCK)
    for offset in {0, max(0, size - 4096) // 4096 * 4096}:
        try:
            os.preadv(descriptor, [_UNREAD], offset)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a device with larger sectors takes no direct reads of this size
                raise
            fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_NONBLOCK)
            os.pread(descriptor, 1, offset)


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
