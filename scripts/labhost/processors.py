"""Which processor a guest of user-mode Linux stays on.

Its kernel and each process in it are processes here that take turns: on one processor a system call costs a third of what it
does where they wander between two.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path


@contextlib.contextmanager
def one(folder: Path) -> Iterator[int]:
    """What is started meanwhile stays on one processor, which no other lab with that folder has if there is a free one. Gives
    the descriptor that holds it, for the guest to inherit."""
    mine = os.sched_getaffinity(0)
    processor, descriptor = _free(folder, sorted(mine))
    os.sched_setaffinity(0, {processor})
    try:
        yield descriptor
    finally:
        os.close(descriptor)
        os.sched_setaffinity(0, mine)


def _free(folder: Path, processors: Sequence[int]) -> tuple[int, int]:
    for processor in processors:
        descriptor = _open(folder, processor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
        else:
            return processor, descriptor
    processor = processors[os.getpid() % len(processors)]
    return processor, _open(folder, processor)


def _open(folder: Path, processor: int) -> int:
    return os.open(folder / f"processor{processor}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
