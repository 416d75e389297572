"""What an older store says: the newest good backup, and over it the tables of the damaged store that are what was written."""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import msgspec

from vdsprovd import backups, digests, write_ahead
from vdsprovd.store import Store, Stored


class Salvage(msgspec.Struct, frozen=True):
    """What was found, and where; `passed_over` are the backups that are no good, with the reason."""

    stored: Stored
    damage: str
    """What is wrong with the store, "" for nothing."""
    backup: Path | None
    tables: tuple[str, ...]
    """Those of the damaged store."""
    passed_over: dict[str, str]


def salvage(folder: Path, backup: Path | None) -> Salvage:
    """What is left in the state folder, which must be held; a `backup` that is given is all that is taken.

    Raises `backups.StoreError` when the backup given is no good, OSError.
    """
    passed_over: dict[str, str] = {}
    base = None
    for file in [backup] if backup else backups.made(folder):
        problem = backups.check(file)
        if not problem:
            base = file
            break
        passed_over[str(file)] = problem
    if backup and base is None:
        raise backups.StoreError(f"cannot rebuild the store from {backup}: {passed_over[str(backup)]}")
    with closing(Store.copied(base) if base else Store(None)) as store, _copied(folder) as (damaged, damage):
        tables = digests.good_tables(damaged) if damaged and damage and not backup else []
        if damaged and tables:
            store.overlay(damaged, tables)
        stored = store.load()
        if "step" not in tables and base != folder / backups.NAME:
            stored = msgspec.structs.replace(stored, pending=())  # what was under way at the backup is long over
        return Salvage(stored, damage, base, tuple(tables), passed_over)


@contextmanager
def _copied(folder: Path) -> Iterator[tuple[sqlite3.Connection | None, str]]:
    """A copy of the store, for to open it would change it, and what is wrong with it."""
    file = folder / backups.NAME
    if not file.exists():
        yield None, "it is gone"
        return
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        copy = Path(temporary) / backups.NAME
        try:
            for end in ("", "-wal"):
                with suppress(FileNotFoundError):
                    shutil.copyfile(f"{file}{end}", f"{copy}{end}")
            if damage := write_ahead.damage(Path(f"{copy}-wal")):
                yield None, damage  # what is before it may be older than a backup
                return
            db = backups.reader(copy)
        except (OSError, sqlite3.Error) as error:
            yield None, str(error)
            return
        with closing(db):
            try:
                damage = digests.damage(db)
            except sqlite3.Error as error:
                damage = str(error)
            yield db, damage
