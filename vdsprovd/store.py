"""What must last, in SQLite: every object, its identity and its secrets, and the journal of steps under way.

A command writes its intent (`begin`) before it touches the host, and its outcome (`finish`) in one transaction with the
end of the intent. After a crash `pending` says what was under way. Secrets rest here and in the kernel only; the file
is readable by its owner alone.
"""

import copy
import fcntl
import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from vdsprovd import backups, digests, rows
from vdsprovd.backups import StoreDamaged, StoreError
from vdsprovd.ids import new_id
from vdsprovd.inventory import OBJECT_TYPES, Entity
from vdsprovd.schema import MIGRATIONS, SCHEMA, VERSION

log = logging.getLogger(__name__)

REMEMBERED = 10_000
"""How many deleted objects are remembered, so that calls on them answer VDS_E_OBJECT_DELETED."""


class PendingStep(msgspec.Struct, frozen=True):
    """A step that was begun and not finished: its kind and what `begin` was told."""

    number: int
    kind: str
    detail: dict[str, Any]


class Stored(msgspec.Struct, frozen=True):
    """Everything the store holds, as loaded at start."""

    provider_id: str
    entities: tuple[Entity, ...]
    import_targets: Mapping[tuple[str, str], str]
    deleted: tuple[str, ...]
    pending: tuple[PendingStep, ...]


class _Group:
    """Transactions of several threads that are committed together."""

    def __init__(self) -> None:
        self.members = 0
        """How many have written what they have to write."""
        self.owed = 0
        """How much of what is owed is in it."""
        self.over = False
        self.error: BaseException | None = None
        """Why nothing of it was written."""


class Store:
    """The database in `folder`, or in memory when there is none. Calls block; any thread may make them."""

    def __init__(self, folder: Path | None) -> None:
        """Open or make the database. Raises `StoreDamaged`, and `StoreError` when it is newer than this program or in use."""
        self._lock = threading.RLock()
        self._ended = threading.Condition(self._lock)
        self._group: _Group | None = None
        """The transactions that are open."""
        self._counting = threading.Lock()
        self._arriving = 0
        """How many threads wait for the lock to make one."""
        self._named = threading.Lock()
        """Held while the file is read by its name, and while another one gets that name: a connection that opened the one
        and then finds the other's index would cut it off under those who use it."""
        self._owed: list[tuple[int, Sequence[Entity], Sequence[Entity]]] = []
        self._pending: dict[int, PendingStep] = {}
        self._holder = -1
        self.folder = folder
        self.changes = 0
        """A number that is another one after each change that lasts. What is not committed yet is in no backup."""
        self.damage = ""
        """What proves that the database is damaged; nothing is written to it any more then, until it is made anew."""
        if folder is not None:
            _make_folder(folder)
            self._holder = _hold(folder)
        try:
            if folder is not None and backups.find(folder) is None:
                with closing(Store(None)) as fresh:
                    fresh.put_into(folder)
            self._connect()
        except (sqlite3.DatabaseError, StoreError) as error:
            self._let_go()
            if folder is None or isinstance(error, StoreError):
                raise
            if isinstance(error, sqlite3.OperationalError):
                raise StoreError(f"cannot open the store in {folder}: {error}") from error
            raise StoreDamaged(folder, str(error)) from error

    @classmethod
    def copied(cls, file: Path) -> "Store":
        """A store in memory with what the file of another one holds, which must be good, of this version or an older one."""
        store = cls(None)
        store._db.close()
        store._db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        with closing(backups.reader(file)) as db:
            db.backup(store._db)
        store._prepare()
        return store

    def overlay(self, other: sqlite3.Connection, tables: Iterable[str]) -> None:
        """Let these tables have the rows of another database. Rows that refer to others may refer to nothing then."""
        self._db.execute("PRAGMA foreign_keys = OFF")
        with self._transaction():
            for table in tables:
                names = [name for _, name, *_ in self._db.execute(f"PRAGMA table_info({table})")]
                columns, marks = ", ".join(names), ", ".join("?" * len(names))
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608  # names of tables of ours
                self._db.executemany(
                    f"INSERT INTO {table} ({columns}) VALUES ({marks})",  # noqa: S608
                    other.execute(f"SELECT {columns} FROM {table}"),  # noqa: S608
                )

    def _connect(self) -> None:
        file = str(self.folder / backups.NAME) if self.folder else ":memory:"
        self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        try:
            self._prepare()
        except BaseException:
            self._db.close()
            raise

    def _prepare(self) -> None:
        digests.prepare(self._db)
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise StoreError(
                f"cannot open the store in {self.folder}: it was written by a newer vdsprovd (schema {version}, known "
                f"{VERSION}); install that one again"
            )
        if self.folder and (damage := digests.damage(self._db)):
            raise digests.Damaged(damage)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._db.execute("PRAGMA temp_store = MEMORY")
        if version < VERSION:
            with self._transaction():
                for script in (SCHEMA, *MIGRATIONS)[version:]:
                    for statement in script.split(";\n"):
                        self._db.execute(statement)
                if version == 0:
                    self._db.execute("INSERT INTO provider (id) VALUES (?)", (new_id(),))
                digests.write(self._db)
                self._db.execute(f"PRAGMA user_version = {VERSION}")
        digests.keep(self._db)
        # A log begins anew with each start: what a crash left behind its end would look like damage after another one.
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close the database and let go of the folder, when what another thread has begun with it has ended: to close a
        connection under a statement ends the process."""
        with self._alone():
            self._db.close()
            self._let_go()

    def _let_go(self) -> None:
        if self._holder >= 0:
            os.close(self._holder)
            self._holder = -1

    # Damage, and what is made good.

    def check(self) -> None:
        """Read all of the database from its file, as a start would. Raises `digests.Damaged`."""
        if self.folder is None:
            return
        with self._seen():
            with self._named, closing(backups.reader(self.folder / backups.NAME)) as db:
                damage = digests.damage(db)
            if damage:
                raise digests.Damaged(damage)

    def back_up(self, keep: int) -> Path | None:
        """Make one more backup in the folder, as `backups.make` does. There must be a folder."""
        assert self.folder
        with self._named:
            return backups.make(self.folder, keep)

    def renew(self, stored: Stored) -> Path | None:
        """Make the database anew with what is `stored` and the steps that are pending, in one step that a crash does not
        cut in two. Gives where the old one is kept, if there is one. Raises `StoreError` once the store is closed."""
        with self._alone(), closing(Store(None)) as fresh:
            if self.folder and self._holder < 0:
                raise StoreError(f"the store in {self.folder} is closed: another vdsprovd may have it now")
            fresh.fill(msgspec.structs.replace(stored, pending=tuple(self._pending.values())))
            if self.folder is None:
                fresh._db.backup(self._db)
                kept = None
            else:
                new = backups.write(fresh._db, self.folder / backups.NEW)
                with self._named:
                    with suppress(sqlite3.Error):
                        self._db.close()
                    kept = backups.place(new, self.folder)
                    self._connect()
            self._owed.clear()
            self.damage = ""
            self.changes += 1
        return kept

    def put_into(self, folder: Path) -> Path | None:
        """Make this the folder's database; gives where the one that was there is kept. The folder must be held."""
        return backups.place(backups.write(self._db, folder / backups.NEW), folder)

    def fill(self, stored: Stored) -> None:
        """Put everything into a database in which nothing is."""
        with self._transaction():
            self._db.execute("PRAGMA defer_foreign_keys = ON")
            self._db.execute("UPDATE provider SET id = ?", (stored.provider_id,))
            self._write(None, stored.entities, ())
            self._db.executemany(
                "INSERT INTO import_target VALUES (?, ?, ?)",
                [(computer, id, name) for (computer, id), name in stored.import_targets.items()],
            )
            self._db.executemany("INSERT INTO deleted (id, type) VALUES (?, '')", [(id,) for id in stored.deleted])
            self._db.executemany(
                "INSERT INTO step VALUES (?, ?, ?, ?)",
                [(step.number, step.kind, json.dumps(step.detail), time.time()) for step in stored.pending],
            )

    @contextmanager
    def _seen(self) -> Iterator[None]:
        """Take note of what proves damage."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if digests.is_damage(error):
                self.damage = self.damage or str(error)
            raise

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """What is written in the context lasts when it is left, or nothing of it is written. Who comes while others write is
        committed with them, by the last: for the disk, which takes its time, that is one transaction."""
        with self._counting:
            self._arriving += 1
        with self._lock, self._seen():
            with self._counting:
                self._arriving -= 1
            try:
                group = self._join()
                try:
                    yield
                except BaseException as error:
                    self._withdraw(group, error)
                    raise
                group.members += 1
            finally:
                if self._group and not self._arriving:
                    self._commit(self._group)
            while not group.over:
                self._ended.wait()
            if group.error:
                # One of its own for each: who undoes something because of it makes notes in it.
                raise copy.copy(group.error) from group.error

    def _join(self) -> _Group:
        try:
            if self.damage:
                raise digests.Damaged(self.damage)
            if self._group:
                self._db.execute("SAVEPOINT joined")
            else:
                self._db.execute("BEGIN IMMEDIATE")
                self._group = _Group()
                for owed in self._owed:
                    self._write(*owed)
                self._group.owed = len(self._owed)
        except BaseException as error:
            if self._group:
                self._end(self._group, error)
            raise
        return self._group

    def _withdraw(self, group: _Group, error: BaseException) -> None:
        """Take back what the one that failed has written. The others' stays, if SQLite has not rolled back all of it, as it
        does by itself after some errors, a full disk for one."""
        with suppress(sqlite3.Error):
            if group.members and self._db.in_transaction:
                self._db.execute("ROLLBACK TO joined")
                return
        self._end(group, error)

    def _commit(self, group: _Group) -> None:
        try:
            with self._seen():
                if self.damage:
                    raise digests.Damaged(self.damage)
                self._db.execute("COMMIT")
        except BaseException as error:
            self._end(group, error)
        else:
            self.changes += 1
            del self._owed[: group.owed]
            self._end(group)

    def _end(self, group: _Group, error: BaseException | None = None) -> None:
        self._group, group.over, group.error = None, True, error
        self._ended.notify_all()
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While nobody writes, and all that was written lasts."""
        with self._lock:
            if self._group:
                self._commit(self._group)
            yield

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._db.execute(query).fetchall()

    # The journal.

    def begin(self, kind: str, **detail: object) -> int:
        """Write down that a step is about to be taken; gives its number. The step is durable when this returns."""
        with self._transaction():
            cursor = self._db.execute(
                "INSERT INTO step (kind, detail, began) VALUES (?, ?, ?)", (kind, json.dumps(detail), time.time())
            )
        assert cursor.lastrowid is not None
        self._pending[cursor.lastrowid] = PendingStep(cursor.lastrowid, kind, dict(detail))
        return cursor.lastrowid

    def finish(self, number: int | None, put: Iterable[Entity] = (), drop: Iterable[Entity] = ()) -> None:
        """Write the outcome of a step, and that it is over, in one transaction."""
        with self._transaction():
            self._write(number, put, drop)
        self._pending.pop(number or 0, None)

    def owe(self, number: int, put: Sequence[Entity] = (), drop: Sequence[Entity] = ()) -> sqlite3.Error | None:
        """As `finish`, for what is so whether it can be written or not: a step that was undone, or that cannot be undone.
        What the store does not take now it gets with the next that it takes: a step that is over must not be found by a
        later start, which would complete it. Gives the error instead of raising it."""
        with self._lock:
            try:
                self.finish(number, put, drop)
            except sqlite3.IntegrityError:
                raise
            except sqlite3.Error as error:
                self._owed.append((number, put, drop))
                self._pending.pop(number, None)
                return error
        return None

    def advance(self, number: int, **detail: object) -> None:
        """Add to what a step's intent says. It is durable when this returns."""
        with self._transaction():
            self._db.execute(
                "UPDATE step SET detail = json_patch(detail, ?) WHERE number = ?", (json.dumps(detail), number)
            )
        if step := self._pending.get(number):
            self._pending[number] = msgspec.structs.replace(step, detail=step.detail | detail)

    def _write(self, number: int | None, put: Iterable[Entity], drop: Iterable[Entity]) -> None:
        for entity in drop:
            self._drop(entity)
        rows.put(self._db, put)
        if number is not None:
            self._db.execute("DELETE FROM step WHERE number = ?", (number,))

    def set_members(self, members: Mapping[str, str]) -> None:
        """Write what their pools call drives, by the drives' ids."""
        with self._transaction():
            self._db.executemany("UPDATE drive SET member = ? WHERE id = ?", [(m, id) for id, m in members.items()])

    def _drop(self, entity: Entity) -> None:
        table = OBJECT_TYPES[type(entity)].value
        self._db.execute(f"DELETE FROM {table} WHERE id = ?", (entity.id,))  # noqa: S608  # the name of a table of ours
        cursor = self._db.execute("INSERT OR REPLACE INTO deleted (id, type) VALUES (?, ?)", (entity.id, table))
        assert cursor.lastrowid is not None
        self._db.execute("DELETE FROM deleted WHERE number <= ?", (cursor.lastrowid - REMEMBERED,))

    def try_write(self) -> None:
        """Write what is there already. Raises sqlite3.Error while the store cannot be written."""
        with self._transaction():
            # Of an UPDATE that changes nothing SQLite writes nothing.
            self._db.execute(f"PRAGMA user_version = {VERSION}")

    def set_import_target(self, computer: str, sub_system_id: str, iscsi_name: str | None) -> None:
        """Set, or with None clear, the import target of a computer and a subsystem."""
        with self._transaction():
            if iscsi_name is None:
                self._db.execute(
                    "DELETE FROM import_target WHERE computer = ? AND sub_system_id = ?", (computer, sub_system_id)
                )
            else:
                self._db.execute(
                    "INSERT OR REPLACE INTO import_target VALUES (?, ?, ?)", (computer, sub_system_id, iscsi_name)
                )

    def pools_in_use(self) -> set[tuple[str, str]]:
        """The pools that have LUNs, by the names of their subsystem and their own."""
        with self._alone():
            found = self._rows(
                "SELECT DISTINCT sub_system.name, storage_pool.name FROM lun"
                " JOIN storage_pool ON storage_pool.id = lun.pool_id"
                " JOIN sub_system ON sub_system.id = storage_pool.sub_system_id"
            )
        return {(sub_system, pool) for sub_system, pool in found}

    def load(self) -> Stored:
        """Everything. Configured settings (IQN prefix, whether CHAP is required) are not in the store; they stay empty
        in the entities."""
        with self._alone():
            (provider_id,) = self._rows("SELECT id FROM provider")[0]
            stored = Stored(
                provider_id=provider_id,
                entities=rows.entities(self._rows),
                import_targets={
                    (computer, sub_system_id): name
                    for computer, sub_system_id, name in self._rows(
                        "SELECT computer, sub_system_id, iscsi_name FROM import_target"
                    )
                },
                deleted=tuple(id for (id,) in self._rows("SELECT id FROM deleted ORDER BY number")),
                pending=tuple(
                    PendingStep(number, kind, json.loads(detail))
                    for number, kind, detail in self._rows("SELECT number, kind, detail FROM step ORDER BY number")
                ),
            )
            self._pending = {step.number: step for step in stored.pending}
        return stored


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the state folder as a daemon does, and make it if it is gone. Raises `StoreError` with the pid of one that does."""
    _make_folder(folder)
    holder = _hold(folder)
    try:
        yield
    finally:
        os.close(holder)


def _make_folder(folder: Path) -> None:
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        backups.sync(folder.parent)


def _hold(folder: Path) -> int:
    """Lock the state folder for this process; the descriptor holds it. Raises `StoreError` with the holder's pid."""
    descriptor = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(descriptor, 32).decode().strip() or "unknown"
        os.close(descriptor)
        raise StoreError(f"cannot use {folder}: another vdsprovd (pid {holder}) uses it") from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor
