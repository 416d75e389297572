"""LIO's configfs tree: where objects are, plain reading and writing, and errors translated at the door.

rtslib searches whole trees for logical units, mapped LUNs and every deletion, and looks at an object's folder a dozen times
for a target, a portal group or a portal. Here each is a directory or a link, at the cost of that one operation.
"""

import errno
import os
import re
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from vdsprovd.hardware import HardwareError, Mismatch, Refused, door
from vdsprovd.hardware.lio.rtslib import NotInConfigfs, RTSLibError, refusal

ROOT = Path("/sys/kernel/config/target")
ISCSI = ROOT / "iscsi"
CORE = ROOT / "core"

# rtslib and targetcli take the lowest free number for a storage object's HBA folder; ours stay out of their way.
FIRST_HBA = 1_000_000

_LINK = "vdsprovd"
"""The name of our links; each is alone in its folder."""

_MISMATCHES = (errno.ENOENT, errno.ENOTDIR, errno.EEXIST)


_KINDS = ("fileio", "iblock")
_OTHERS = -2
"""The number of the first place of others; -1 is none."""
_HBA = re.compile(rf"(?P<kind>{'|'.join(_KINDS)})_(?P<index>\d+)")


def hba(number: int, *, block: bool) -> Path:
    """The HBA folder for the storage object of the LUN of that number; where others put theirs for one below 0."""
    return CORE / hba_name(number, block=block)


def hba_name(number: int, *, block: bool) -> str:
    """The name of that folder."""
    if number < 0:
        index, kind = divmod(_OTHERS - number, len(_KINDS))
        return f"{_KINDS[kind]}_{index}"
    return f"{_KINDS[block]}_{FIRST_HBA + number}"


def number(hba: str) -> int:
    """The number of the LUN whose storage object is in the HBA folder of that name; below 0 for a place of others, -1 for
    one that can have no disk of a LUN."""
    found = _HBA.fullmatch(hba)
    if not found:
        return -1
    index = int(found["index"])
    return index - FIRST_HBA if index >= FIRST_HBA else _OTHERS - (index * len(_KINDS) + _KINDS.index(found["kind"]))


def sweep(taken: Container[int]) -> None:
    """Remove the HBA folders of ours that a crash, between the two steps in which a storage object comes or goes, left
    empty; those of the numbers that are `taken` have one."""
    for name in folders(CORE):
        place = number(name)
        if place >= 0 and place not in taken:
            with suppress(OSError):
                os.rmdir(f"{CORE}/{name}")


def places(lun: str, number: int) -> tuple[str, str]:
    """Where the storage object of a LUN can be, if its place is one of ours: that of a file, and of a block device."""
    index = FIRST_HBA + number
    return f"{CORE}/fileio_{index}/{lun}", f"{CORE}/iblock_{index}/{lun}"


def disk(lun: str, number: int) -> Path:
    """The LUN's storage object, of whichever kind it is, and whatever others have named it."""
    if number < 0:
        folder = hba(number, block=False)
        names = folders(folder)
        return folder / names[0] if len(names) == 1 else folder / lun
    file, block = places(lun, number)
    return Path(file if os.path.exists(file) else block)


@lru_cache(1000)
def group(target: str, tag: int) -> str:
    """A target portal group's folder."""
    return f"{ISCSI}/{target}/tpgt_{tag}"


def listener(target: str, tag: int, address: str, port: int) -> str:
    """A network portal's folder."""
    host = f"[{address}]" if ":" in address else address
    return f"{group(target, tag)}/np/{host}:{port}"


class Door(door.Door):
    """Translates what the kernel and rtslib raise, all of it."""

    __slots__ = ()

    def translated(self, what: object, error: Exception) -> HardwareError:
        return translated(what, error)


def translated(what: object, error: Exception) -> HardwareError:
    """What the kernel or rtslib raised when asked for that, as adapters raise it."""
    if isinstance(error, NotInConfigfs):
        return Mismatch(f"cannot {what}: {error}")
    cause = refusal(error) if isinstance(error, RTSLibError) else error
    if isinstance(cause, OSError) and cause.errno in _MISMATCHES:
        return Mismatch(f"cannot {what}: the kernel says: {cause.strerror}")
    if isinstance(error, RTSLibError | OSError):
        text = cause.strerror if isinstance(cause, OSError) else ""
        return Refused(f"cannot {what}: the kernel says: {text or error}")
    # rtslib lets pyudev's errors, KeyError, ValueError and others escape.
    return Refused(f"cannot {what}: {error!r}")


@contextmanager
def scan() -> Iterator[None]:
    """As `Door`, to read what there is. Raises `Mismatch` where configfs is not mounted: then nothing is known, not even
    that there is nothing."""
    with Door("read the kernel's target configuration"):
        CORE.stat()
        yield


def read(path: Path | str) -> str:
    """An attribute's text without the newline at its end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 65536).decode(errors="replace").rstrip("\n\0")
    finally:
        os.close(descriptor)


def write(path: Path | str, value: str) -> None:
    """Write an attribute, without a newline: the kernel would make it part of a CHAP secret."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode())
    finally:
        os.close(descriptor)


class OpenFolders:
    """Folders that are held open, so that the kernel does not look for what is made in one of them from the root on: the first
    so many that are asked for more than once. Safe in several threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: dict[str, int] = {}
        self._asked: set[str] = set()

    def at(self, folder: str) -> int | None:
        """A descriptor of the folder, None at first, and when as many others are held. Raises OSError when it is not there."""
        held = self._held.get(folder)
        if held is None and len(self._held) < self._most:
            if folder not in self._asked:
                # To open it takes as long as it saves a few times.
                self._asked.add(folder)
                return None
            opened = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            held = self._held.setdefault(folder, opened)
            if held != opened:
                os.close(opened)
        return held

    def close(self) -> None:
        """Let go of all of them."""
        while self._held:
            os.close(self._held.popitem()[1])


def link(held: OpenFolders, parent: str, name: str, to: str, otherwise: str = "") -> None:
    """Make a folder in another that holds one link, to the first of these that is there, or leave nothing."""
    at = held.at(parent)
    folder = f"{parent}/{name}" if at is None else name
    os.mkdir(folder, dir_fd=at)
    try:
        try:
            os.symlink(to, f"{folder}/{_LINK}", dir_fd=at)
        except FileNotFoundError:
            if not otherwise:
                raise
            os.symlink(otherwise, f"{folder}/{_LINK}", dir_fd=at)
    except OSError:
        with suppress(OSError):
            os.rmdir(folder, dir_fd=at)
        raise


def unlink(folder: str) -> None:
    """Remove a folder and the link in it, whatever its name; a folder without a link (half made) goes too."""
    for name in linked(folder):
        os.unlink(f"{folder}/{name}")
    os.rmdir(folder)


def target_of(folder: Path | str) -> str:
    """Where the folder's link leads, whatever its name; "" when it has none (half made)."""
    # Ours is found by its name, with one system call.
    with suppress(FileNotFoundError):
        return os.readlink(f"{folder}/{_LINK}")
    for name in linked(folder):
        return os.readlink(f"{folder}/{name}")
    return ""


def linked(folder: Path | str) -> list[str]:
    """The names of the links in a folder."""
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if entry.is_symlink()]


def folders(folder: Path | str) -> list[str]:
    """The names of the folders in a folder, sorted; none when it does not exist."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []
