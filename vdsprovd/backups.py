"""The files of the store: the database itself, backups of it, and how one takes another's place.

Each is written whole beside its place, synchronized, and renamed: a power cut leaves the old or the new one. A backup is
one file, the owner's alone; it is checked before it counts as one.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from vdsprovd import digests, write_ahead

NAME = "vdsprovd.sqlite"
NEW = "vdsprovd.sqlite.new"
"""What is to be the database; complete once the database itself is out of the way."""
FOLDER = "backups"
_LOG = "-wal"
_INDEX = "-shm"
_TIME = "%Y%m%dT%H%M%S.%fZ"


class StoreError(Exception):
    """The store cannot be opened or is damaged; the message names the file and says what to do."""


class StoreDamaged(StoreError):
    """The folder's database is damaged, and will not become better by itself."""

    def __init__(self, folder: Path, damage: str) -> None:
        good = next(good_ones(folder), None)
        found = f"the newest good backup is {good}" if good else "there is no good backup"
        super().__init__(
            f"the store {folder / NAME} is damaged: {damage}; {found}; rebuild the store with: vdsprovd --rescue"
        )


# The database.


def find(folder: Path) -> Path | None:
    """The folder's database, None where there was none ever. Completes a change of it that a crash cut off.

    Raises `StoreDamaged` when it is gone and should be there, or its log is damaged.
    """
    file, new = folder / NAME, folder / NEW
    if new.exists():
        if file.exists():
            new.unlink()
        else:
            place(new, folder)
    if file.exists():
        os.close(os.open(file, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW))
        # To open it would be to forget the log's rest.
        if damage := write_ahead.damage(_beside(file, _LOG)):
            raise StoreDamaged(folder, damage)
        return file
    if _beside(file, _LOG).exists() or (folder / FOLDER).exists():
        raise StoreDamaged(folder, "it is gone")
    return None


def place(new: Path, folder: Path) -> Path | None:
    """Make the complete file `new` the folder's database; gives where the one that was there is kept.

    The old one goes first, with its log after it, which would be taken for the new one's: in between there is none, and
    the next start goes on here.
    """
    file = folder / NAME
    kept = folder / f"{NAME}.damaged-{now()}"
    there = file.exists()
    for end in ("", _LOG):
        if _beside(file, end).exists():
            _beside(file, end).rename(_beside(kept, end))
            sync(folder)
    _beside(file, _INDEX).unlink(missing_ok=True)
    new.rename(file)
    sync(folder)
    return kept if there else None


def reader(file: Path) -> sqlite3.Connection:
    """A connection of its own to a database that others may be using; it writes nothing. Raises sqlite3.Error."""
    db = sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=30)
    db.execute("PRAGMA query_only = ON")
    digests.prepare(db)
    return db


# Backups.


def made(folder: Path) -> list[Path]:
    """The backups in the state folder, the newest first, good or not."""
    return sorted((folder / FOLDER).glob("vdsprovd-*.sqlite"), reverse=True)


def good_ones(folder: Path) -> Iterator[Path]:
    """Those of them that are good."""
    return (file for file in made(folder) if not check(file))


def check(file: Path) -> str:
    """What is wrong with a backup, "" for nothing."""
    try:
        with closing(reader(file)) as db:
            return digests.damage(db)
    except (sqlite3.Error, OSError) as error:
        return str(error)


def make(folder: Path, keep: int) -> Path | None:
    """Back up the state folder's database, which may be in use, and let go of backups beyond so many. Gives the new one,
    None when the newest one says the same already. Raises `digests.Damaged`, sqlite3.Error, OSError."""
    (folder / FOLDER).mkdir(mode=0o700, exist_ok=True)
    with closing(reader(folder / NAME)) as db:
        newest = next(good_ones(folder), None)
        if newest and _sums(newest) == digests.sums(db):
            return None
        written = write(db, folder / FOLDER / f"vdsprovd-{now()}.sqlite")
    for file in _thinned(made(folder), keep):
        file.unlink()
    sync(folder / FOLDER)
    return written


def write(db: sqlite3.Connection, file: Path) -> Path:
    """Copy the database into a new file, check the copy, and give the file, which is there whole or not at all. Raises
    `digests.Damaged` when what was copied is damaged, sqlite3.Error, OSError."""
    half = file.with_name(f".{file.name}.half")
    with suppress(FileNotFoundError):
        half.unlink()
    os.close(os.open(half, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    try:
        with closing(sqlite3.connect(half, isolation_level=None)) as copy:
            digests.prepare(copy)
            db.backup(copy)
            # One file, without a log beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
            if damage := digests.damage(copy):
                raise digests.Damaged(damage)
        sync(half)
        half.rename(file)
        sync(file.parent)
    except BaseException:
        half.unlink(missing_ok=True)
        raise
    return file


def _sums(file: Path) -> dict[str, int]:
    with closing(reader(file)) as db:
        return digests.sums(db)


def _thinned(files: list[Path], keep: int) -> list[Path]:
    """Which of the backups, the newest first, to let go of, so that `keep` of them are left whose ages are spread: of two
    that are close to each other for their age the newer one goes. The newest and the oldest stay."""
    times = [datetime.strptime(file.name, f"vdsprovd-{_TIME[:-1]}Z.sqlite").timestamp() for file in files]
    left, gone = list(range(len(files))), []
    while len(left) > keep:
        if len(left) <= 2:  # nothing is between the newest and the oldest
            place = len(left) - 1
        else:

            def closeness(place: int) -> float:
                before, after = times[left[place - 1]], times[left[place + 1]]
                return (before - after) / (times[left[0]] - after + 1)

            place = min(range(1, len(left) - 1), key=closeness)
        gone.append(files[left.pop(place)])
    return gone


def now() -> str:
    """The time as it stands in the names of files, which sort by it."""
    return datetime.now(UTC).strftime(_TIME)


def sync(path: Path) -> None:
    """Write a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(file: Path, end: str) -> Path:
    return file.with_name(file.name + end)
