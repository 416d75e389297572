"""Where all contenders have their files: a file system with a journal, on a disk in memory."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MIB = 1024
NODES = 40_000
"""More than there are files."""


@contextmanager
def disk() -> Iterator[Path]:
    """A new ext4, mounted; gives its folder. To sync there costs what the kernel has to do, and no waiting for a disk:
    nothing hides behind that."""
    # brd takes memory for what is written, not before.
    _run("modprobe", "brd", "rd_nr=1", f"rd_size={MIB << 10}")
    _run("mkfs.ext4", "-q", "-N", str(NODES), "-E", "lazy_itable_init=0,lazy_journal_init=0", "/dev/ram0")
    mount = Path(tempfile.mkdtemp())
    _run("mount", "/dev/ram0", str(mount))
    try:
        yield mount
    finally:
        _run("umount", str(mount))
        mount.rmdir()
        _run("modprobe", "-r", "brd")


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
