"""What administrators do without a client: `vdsprovd --backup`, `vdsprovd --rescue` and `vdsprovd --teardown`."""

import json
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from vdsprovd import backups, digests
from vdsprovd.backups import StoreDamaged, StoreError
from vdsprovd.cli.sizes import size
from vdsprovd.cli.tables import Column, table
from vdsprovd.config import Config
from vdsprovd.hardware import Hardware, Refused
from vdsprovd.provider.rescue import Rescued, rescue
from vdsprovd.provider.teardown import Teardown
from vdsprovd.salvage import Salvage, salvage
from vdsprovd.store import Store

TEARDOWN_TIMEOUT = 60.0
"""Seconds until a teardown no longer waits for the kernel."""


def back_up(folder: Path, file: Path) -> None:
    """Copy the store, which a daemon may be using, into a new file, and check that. Raises `StoreError`, OSError."""
    if file.exists():
        raise StoreError(f"cannot back up the store to {file}: it exists already")
    if not (folder / backups.NAME).exists():
        raise StoreError(f"cannot back up the store in {folder}: there is none")
    try:
        with closing(backups.reader(folder / backups.NAME)) as db:
            backups.write(db, file)
    except digests.Damaged as error:
        raise StoreDamaged(folder, str(error)) from error
    except sqlite3.Error as error:
        raise StoreError(f"cannot back up the store in {folder} to {file}: {error}") from error
    print(f"backed up the store in {folder} to {file}, {file.stat().st_size} bytes, checked")


def rebuild(
    configuration: Config, hardware: Hardware, folder: Path, backup: Path | None, *, yes: bool, as_json: bool
) -> None:
    """Say what the store can be rebuilt from, and do it if `yes`, or on a terminal if the answer is. A good store that has
    every LUN is left alone, unless a backup is given. The folder must be held. Raises what `salvage` and `rescue` do, and sqlite3.Error when the new store cannot be written."""
    found = salvage(folder, backup)
    if not found.damage and not backup:
        found = salvage(folder, folder / backups.NAME)
    rescued = rescue(configuration, found.stored, hardware)
    known = {
        *(entity.id for entity in found.stored.entities),
        *(step.detail.get("lun") for step in found.stored.pending),
    }
    if not found.damage and not backup and all(row.id in known for row in rescued.rows if row.kind == "lun"):
        print(f"the store {folder / backups.NAME} is good and has every LUN: there is nothing to rescue")
        return
    if as_json:
        print(json.dumps(_report(folder, found, rescued), indent=2))
    else:
        _explain(folder, found, rescued)
    if not yes and not _agreed(as_json=as_json):
        print("nothing was changed; add --yes to rebuild the store", file=sys.stderr)
        return
    with closing(Store(None)) as store:
        store.fill(rescued.stored)
        kept = store.put_into(folder)
    print(f"rebuilt the store {folder / backups.NAME}", file=sys.stderr)
    if kept:
        print(f"the one that was there is kept as {kept}", file=sys.stderr)


def tear_down(folder: Path) -> int:
    """Take everything of ours out of the kernel, by the store; gives how many objects are left. Raises `StoreError`, while
    a daemon runs, too, and `Refused` when the kernel does not finish."""
    from vdsprovd.hardware.lio import Lio  # noqa: PLC0415  # where there is no LIO, the rest works

    if not (folder / backups.NAME).exists():
        print(f"there is no store in {folder}, so nothing in the kernel is ours")
        return 0
    with closing(Store(folder)) as store:
        work = Teardown(store.load(), Lio({}))
        # What the kernel never finishes nobody can break off; so it is a thread that is waited for.
        thread = threading.Thread(target=work.run, daemon=True)
        thread.start()
        thread.join(TEARDOWN_TIMEOUT)
        if thread.is_alive():
            raise Refused(f"the kernel does not {work.doing}; try again later, what is done stays done")
        return work.problems


def _agreed(*, as_json: bool) -> bool:
    if as_json or not sys.stdin.isatty():
        return False
    return input("Rebuild the store from that? [y/N] ").strip().lower() in ("y", "yes")


def _report(folder: Path, found: Salvage, rescued: Rescued) -> dict[str, Any]:
    return {
        "store": str(folder / backups.NAME),
        "damage": found.damage,
        "backup": str(found.backup) if found.backup else None,
        "passedOver": found.passed_over,
        "tables": list(found.tables),
        "objects": [msgspec.to_builtins(row) for row in rescued.rows],
        "unknown": list(rescued.unknown),
    }


def _explain(folder: Path, found: Salvage, rescued: Rescued) -> None:
    if found.damage:
        print(f"The store {folder / backups.NAME} is damaged: {found.damage}.")
    for file, problem in found.passed_over.items():
        print(f"Passed over the backup {file}: {problem}.")
    print(f"From {found.backup}." if found.backup else "There is no good backup.")
    if found.tables:
        print(f"From the damaged store, whose checksums are right there: {', '.join(found.tables)}.")
    print("From the kernel's target and the pools:\n")
    columns = [
        Column("ID", lambda row: row.id),
        Column("KIND", lambda row: row.kind),
        Column("NAME", lambda row: row.name, cut=True),
        Column("SIZE", lambda row: size(row.size) if row.size else "", right=True),
        Column("FROM", lambda row: "+".join(row.sources)),
        Column("NOTE", lambda row: row.note, cut=True),
    ]
    print(table(columns, rescued.rows, whole=not sys.stdout.isatty()))
    if rescued.unknown:
        print("\nWhat could not be known:")
        for text in rescued.unknown:
            print(f"  {text}")
