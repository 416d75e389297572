"""What must last, in SQLite: every object, its identity and its secrets, and the journal of steps under way.

A command writes its intent (`begin`) before it touches the host, and its outcome (`finish`) in one transaction with the
end of the intent. After a crash `pending` says what was under way. Secrets rest here and in the kernel only; the file
is readable by its owner alone.
"""

import fcntl
import json
import logging
import os
import sqlite3
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from vdsprovd import backups, digests
from vdsprovd.backups import StoreDamaged, StoreError
from vdsprovd.hardware import PRODUCT, Member, Secret
from vdsprovd.inventory import (
    OBJECT_TYPES,
    Association,
    Controller,
    Drive,
    Entity,
    Lun,
    Plex,
    Port,
    Portal,
    PortalGroup,
    StoragePool,
    SubSystem,
    Target,
)
from vdsprovd.model import Hints, Hints2, LunType
from vdsprovd.persistent import PersistentMap

log = logging.getLogger(__name__)

H = TypeVar("H", Hints, Hints2)

REMEMBERED = 10_000
"""How many deleted objects are remembered, so that calls on them answer VDS_E_OBJECT_DELETED."""

_SCHEMA = """
CREATE TABLE provider (
    id TEXT NOT NULL
) STRICT;
CREATE TABLE sub_system (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    friendly_name TEXT NOT NULL,
    online INTEGER NOT NULL
) STRICT;
CREATE TABLE storage_pool (
    id TEXT PRIMARY KEY,
    sub_system_id TEXT NOT NULL REFERENCES sub_system,
    name TEXT NOT NULL,
    UNIQUE (sub_system_id, name)
) STRICT;
CREATE TABLE lun (
    id TEXT PRIMARY KEY,
    sub_system_id TEXT NOT NULL REFERENCES sub_system,
    pool_id TEXT NOT NULL REFERENCES storage_pool,
    number INTEGER NOT NULL UNIQUE,
    path TEXT NOT NULL,
    name TEXT NOT NULL,
    size INTEGER NOT NULL CHECK (size > 0),
    type TEXT NOT NULL,
    mask TEXT NOT NULL,
    online INTEGER NOT NULL
) STRICT;
CREATE TABLE target (
    id TEXT PRIMARY KEY,
    sub_system_id TEXT NOT NULL REFERENCES sub_system,
    iscsi_name TEXT NOT NULL UNIQUE,
    friendly_name TEXT NOT NULL
) STRICT;
CREATE TABLE secret (
    target_id TEXT NOT NULL REFERENCES target ON DELETE CASCADE,
    mutual INTEGER NOT NULL,
    initiator TEXT NOT NULL,
    secret TEXT NOT NULL,
    PRIMARY KEY (target_id, mutual, initiator)
) STRICT, WITHOUT ROWID;
CREATE TABLE portal (
    id TEXT PRIMARY KEY,
    sub_system_id TEXT NOT NULL REFERENCES sub_system,
    address TEXT NOT NULL,
    port INTEGER NOT NULL,
    online INTEGER NOT NULL,
    UNIQUE (sub_system_id, address, port)
) STRICT;
CREATE TABLE portal_group (
    id TEXT PRIMARY KEY,
    target_id TEXT NOT NULL REFERENCES target,
    tag INTEGER NOT NULL,
    UNIQUE (target_id, tag)
) STRICT;
CREATE TABLE portal_group_portal (
    portal_group_id TEXT NOT NULL REFERENCES portal_group ON DELETE CASCADE,
    portal_id TEXT NOT NULL REFERENCES portal,
    place INTEGER NOT NULL,
    PRIMARY KEY (portal_group_id, portal_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE association (
    lun_id TEXT NOT NULL REFERENCES lun ON DELETE CASCADE,
    target_id TEXT NOT NULL REFERENCES target,
    lun_index INTEGER NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (lun_id, target_id),
    UNIQUE (target_id, lun_index)
) STRICT, WITHOUT ROWID;
CREATE TABLE import_target (
    computer TEXT NOT NULL,
    sub_system_id TEXT NOT NULL REFERENCES sub_system ON DELETE CASCADE,
    iscsi_name TEXT NOT NULL,
    PRIMARY KEY (computer, sub_system_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE deleted (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL
) STRICT;
CREATE TABLE step (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    began REAL NOT NULL
) STRICT;
"""


# What each version adds to the one before it, from the second on.
_MIGRATIONS = (
    """
ALTER TABLE lun ADD COLUMN active INTEGER NOT NULL DEFAULT 1;
ALTER TABLE lun ADD COLUMN hints TEXT NOT NULL DEFAULT '{}';
CREATE TABLE lun_plex (
    id TEXT PRIMARY KEY,
    lun_id TEXT NOT NULL REFERENCES lun ON DELETE CASCADE,
    place INTEGER NOT NULL,
    hints TEXT NOT NULL
) STRICT;
CREATE INDEX lun_plex_lun ON lun_plex (lun_id);
CREATE TABLE controller (
    id TEXT PRIMARY KEY,
    sub_system_id TEXT NOT NULL REFERENCES sub_system ON DELETE CASCADE,
    online INTEGER NOT NULL
) STRICT;
CREATE TABLE port (
    id TEXT PRIMARY KEY,
    controller_id TEXT NOT NULL REFERENCES controller ON DELETE CASCADE,
    online INTEGER NOT NULL
) STRICT;
CREATE TABLE drive (
    id TEXT PRIMARY KEY,
    sub_system_id TEXT NOT NULL REFERENCES sub_system ON DELETE CASCADE,
    identification TEXT NOT NULL,
    slot INTEGER NOT NULL,
    hot_spare INTEGER NOT NULL,
    online INTEGER NOT NULL,
    UNIQUE (sub_system_id, identification),
    UNIQUE (sub_system_id, slot)
) STRICT;
""",
    """
ALTER TABLE drive ADD COLUMN member TEXT NOT NULL DEFAULT '';
""",
    """
CREATE TABLE digest (
    name TEXT PRIMARY KEY,
    sum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
""",
    f"""
ALTER TABLE lun ADD COLUMN product TEXT NOT NULL DEFAULT '{PRODUCT}';
ALTER TABLE secret ADD COLUMN user TEXT NOT NULL DEFAULT '';
""",
)
VERSION = 1 + len(_MIGRATIONS)


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


class Store:
    """The database in `folder`, or in memory when there is none. Calls block; any thread may make them."""

    def __init__(self, folder: Path | None) -> None:
        """Open or make the database. Raises `StoreDamaged`, and `StoreError` when it is newer than this program or in use."""
        self._lock = threading.RLock()
        self._named = threading.Lock()
        """Held while the file is read by its name, and while another one gets that name: a connection that opened the one
        and then finds the other's index would cut it off under those who use it."""
        self._owed: list[tuple[int, Sequence[Entity], Sequence[Entity]]] = []
        self._pending: dict[int, PendingStep] = {}
        self._holder = -1
        self.folder = folder
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
                for script in (_SCHEMA, *_MIGRATIONS)[version:]:
                    for statement in script.split(";\n"):
                        self._db.execute(statement)
                if version == 0:
                    self._db.execute("INSERT INTO provider (id) VALUES (?)", (str(uuid.uuid4()),))
                digests.write(self._db)
                self._db.execute(f"PRAGMA user_version = {VERSION}")
        digests.keep(self._db)
        # A log begins anew with each start: what a crash left behind its end would look like damage after another one.
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close the database and let go of the folder, when what another thread has begun with it has ended: to close a
        connection under a statement ends the process."""
        with self._lock:
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

    @property
    def changes(self) -> int:
        """A number that is another one after each change."""
        return self._db.total_changes

    def renew(self, stored: Stored) -> Path | None:
        """Make the database anew with what is `stored` and the steps that are pending, in one step that a crash does not
        cut in two. Gives where the old one is kept, if there is one. Raises `StoreError` once the store is closed."""
        with self._lock, closing(Store(None)) as fresh:
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
        with self._lock, self._seen():
            if self.damage:
                raise digests.Damaged(self.damage)
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for owed in self._owed:
                    self._write(*owed)
                yield
                self._db.execute("COMMIT")
            except BaseException:
                # After some errors, a full disk for one, SQLite has rolled back by itself.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            self._owed.clear()

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
        for entity in put:
            _PUT[type(entity)](self._db, entity)
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
        with self._lock:
            rows = self._rows(
                "SELECT DISTINCT sub_system.name, storage_pool.name FROM lun"
                " JOIN storage_pool ON storage_pool.id = lun.pool_id"
                " JOIN sub_system ON sub_system.id = storage_pool.sub_system_id"
            )
        return {(sub_system, pool) for sub_system, pool in rows}

    def load(self) -> Stored:
        """Everything. Configured settings (IQN prefix, whether CHAP is required) are not in the store; they stay empty
        in the entities."""
        with self._lock:
            (provider_id,) = self._rows("SELECT id FROM provider")[0]
            stored = Stored(
                provider_id=provider_id,
                entities=(
                    *self._sub_systems(),
                    *self._controllers(),
                    *(
                        Drive(
                            id,
                            sub_system_id,
                            identification,
                            slot,
                            bool(hot_spare),
                            bool(online),
                            member=Member(member, "", 0, 0) if member else None,
                        )
                        for id, sub_system_id, identification, slot, hot_spare, online, member in self._rows(
                            "SELECT id, sub_system_id, identification, slot, hot_spare, online, member FROM drive"
                        )
                    ),
                    *(
                        StoragePool(id, sub_system_id, name, "")
                        for id, sub_system_id, name in self._rows("SELECT id, sub_system_id, name FROM storage_pool")
                    ),
                    *self._targets(),
                    *(
                        Portal(id, sub_system_id, address, port, bool(online))
                        for id, sub_system_id, address, port, online in self._rows(
                            "SELECT id, sub_system_id, address, port, online FROM portal"
                        )
                    ),
                    *self._portal_groups(),
                    *self._luns(),
                    *(
                        Plex(id, lun_id, place, _hints(hints, Hints))
                        for id, lun_id, place, hints in self._rows("SELECT id, lun_id, place, hints FROM lun_plex")
                    ),
                ),
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

    def _sub_systems(self) -> Iterator[SubSystem]:
        for id, name, friendly_name, online in self._rows("SELECT id, name, friendly_name, online FROM sub_system"):
            yield SubSystem(id, name, "", friendly_name, True, online=bool(online))

    def _controllers(self) -> Iterator[Controller | Port]:
        sub_systems: dict[str, str] = {}
        for id, sub_system_id, online in self._rows("SELECT id, sub_system_id, online FROM controller"):
            sub_systems[id] = sub_system_id
            yield Controller(id, sub_system_id, online=bool(online))
        for id, controller_id, online in self._rows("SELECT id, controller_id, online FROM port"):
            yield Port(id, sub_systems[controller_id], controller_id, online=bool(online))

    def _targets(self) -> Iterator[Target]:
        secrets: dict[tuple[str, int], dict[str, Secret]] = {}
        users: dict[tuple[str, int], dict[str, str]] = {}
        for target_id, mutual, initiator, secret, user in self._rows(
            "SELECT target_id, mutual, initiator, secret, user FROM secret"
        ):
            secrets.setdefault((target_id, mutual), {})[initiator] = Secret(secret)
            if user:
                users.setdefault((target_id, mutual), {})[initiator] = user
        for id, sub_system_id, iscsi_name, friendly_name in self._rows(
            "SELECT id, sub_system_id, iscsi_name, friendly_name FROM target"
        ):
            yield Target(
                id,
                sub_system_id,
                iscsi_name,
                friendly_name,
                True,
                PersistentMap(secrets.get((id, 0), {})),
                PersistentMap(secrets.get((id, 1), {})),
                PersistentMap(users.get((id, 0), {})),
                PersistentMap(users.get((id, 1), {})),
            )

    def _portal_groups(self) -> Iterator[PortalGroup]:
        portals: dict[str, list[str]] = {}
        for group_id, portal_id in self._rows(
            "SELECT portal_group_id, portal_id FROM portal_group_portal ORDER BY portal_group_id, place"
        ):
            portals.setdefault(group_id, []).append(portal_id)
        for id, target_id, tag in self._rows("SELECT id, target_id, tag FROM portal_group"):
            yield PortalGroup(id, target_id, tag, tuple(portals.get(id, ())))

    def _luns(self) -> Iterator[Lun]:
        associations: dict[str, list[Association]] = {}
        for lun_id, target_id, index in self._rows(
            "SELECT lun_id, target_id, lun_index FROM association ORDER BY lun_id, place"
        ):
            associations.setdefault(lun_id, []).append(Association(sys.intern(target_id), index))
        for (
            id,
            sub_system_id,
            pool_id,
            number,
            path,
            name,
            size,
            type,
            mask,
            online,
            active,
            hints,
            product,
        ) in self._rows(
            "SELECT id, sub_system_id, pool_id, number, path, name, size, type, mask, online, active, hints, product FROM lun"
        ):
            yield Lun(
                id=id,
                sub_system_id=sys.intern(sub_system_id),
                pool_id=sys.intern(pool_id),
                number=number,
                path=path,
                name=name,
                size=size,
                type=LunType.of(type),
                mask=tuple(map(sys.intern, mask.split(";"))) if mask else (),
                online=bool(online),
                active=bool(active),
                hints=_hints(hints, Hints2),
                product=sys.intern(product),
                associations=tuple(associations.get(id, ())),
            )


@lru_cache(maxsize=64)
def _hints(text: str, kind: type[H]) -> H:
    """Most LUNs have the same, which are one object then."""
    return msgspec.json.decode(text, type=kind)


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


def _upsert(table: str, columns: str) -> str:
    names = columns.split()
    marks = ", ".join("?" * len(names))
    updates = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET {updates}"  # noqa: S608


_SUB_SYSTEM = _upsert("sub_system", "id name friendly_name online")
_STORAGE_POOL = _upsert("storage_pool", "id sub_system_id name")
_CONTROLLER = _upsert("controller", "id sub_system_id online")
_PORT = _upsert("port", "id controller_id online")
# What its pool calls a drive is a scan's to say (`set_members`), and the settings are not: neither writes over the other's.
_DRIVE = """
INSERT INTO drive (id, sub_system_id, identification, slot, hot_spare, online, member) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET hot_spare = excluded.hot_spare, online = excluded.online
"""
_LUN = _upsert("lun", "id sub_system_id pool_id number path name size type mask online active hints product")
_LUN_PLEX = _upsert("lun_plex", "id lun_id place hints")
_TARGET = _upsert("target", "id sub_system_id iscsi_name friendly_name")
_PORTAL = _upsert("portal", "id sub_system_id address port online")
_PORTAL_GROUP = _upsert("portal_group", "id target_id tag")


def _put_sub_system(db: sqlite3.Connection, value: SubSystem) -> None:
    db.execute(_SUB_SYSTEM, (value.id, value.name, value.friendly_name, value.online))


def _put_storage_pool(db: sqlite3.Connection, value: StoragePool) -> None:
    db.execute(_STORAGE_POOL, (value.id, value.sub_system_id, value.name))


def _json(hints: Hints) -> str:
    wished = {name: value for name, value in msgspec.to_builtins(hints).items() if value is not None}
    return json.dumps(wished)


def _put_controller(db: sqlite3.Connection, value: Controller) -> None:
    db.execute(_CONTROLLER, (value.id, value.sub_system_id, value.online))


def _put_port(db: sqlite3.Connection, value: Port) -> None:
    db.execute(_PORT, (value.id, value.controller_id, value.online))


def _put_drive(db: sqlite3.Connection, value: Drive) -> None:
    member = value.member.id if value.member else ""
    row = (value.id, value.sub_system_id, value.identification, value.slot, value.hot_spare, value.online, member)
    db.execute(_DRIVE, row)


def _put_plex(db: sqlite3.Connection, value: Plex) -> None:
    db.execute(_LUN_PLEX, (value.id, value.lun_id, value.place, _json(value.hints)))


def _put_lun(db: sqlite3.Connection, value: Lun) -> None:
    db.execute(
        _LUN,
        (
            value.id,
            value.sub_system_id,
            value.pool_id,
            value.number,
            value.path,
            value.name,
            value.size,
            value.type.value,
            ";".join(value.mask),
            value.online,
            value.active,
            _json(value.hints),
            value.product,
        ),
    )
    db.execute("DELETE FROM association WHERE lun_id = ?", (value.id,))
    db.executemany(
        "INSERT INTO association (lun_id, target_id, lun_index, place) VALUES (?, ?, ?, ?)",
        [(value.id, entry.target_id, entry.index, place) for place, entry in enumerate(value.associations)],
    )


def _put_target(db: sqlite3.Connection, value: Target) -> None:
    db.execute(_TARGET, (value.id, value.sub_system_id, value.iscsi_name, value.friendly_name))
    db.execute("DELETE FROM secret WHERE target_id = ?", (value.id,))
    db.executemany(
        "INSERT INTO secret (target_id, mutual, initiator, secret, user) VALUES (?, ?, ?, ?, ?)",
        [
            (value.id, mutual, initiator, str(secret), users.get(initiator, ""))
            for mutual, (secrets, users) in enumerate(
                ((value.secrets, value.users), (value.mutual_secrets, value.mutual_users))
            )
            for initiator, secret in secrets.items()
        ],
    )


def _put_portal(db: sqlite3.Connection, value: Portal) -> None:
    db.execute(_PORTAL, (value.id, value.sub_system_id, value.address, value.port, value.online))


def _put_portal_group(db: sqlite3.Connection, value: PortalGroup) -> None:
    db.execute(_PORTAL_GROUP, (value.id, value.target_id, value.tag))
    db.execute("DELETE FROM portal_group_portal WHERE portal_group_id = ?", (value.id,))
    db.executemany(
        "INSERT INTO portal_group_portal (portal_group_id, portal_id, place) VALUES (?, ?, ?)",
        [(value.id, portal_id, place) for place, portal_id in enumerate(value.portal_ids)],
    )


_PUT: dict[type[Any], Callable[[sqlite3.Connection, Any], None]] = {
    SubSystem: _put_sub_system,
    Controller: _put_controller,
    Port: _put_port,
    Drive: _put_drive,
    StoragePool: _put_storage_pool,
    Lun: _put_lun,
    Plex: _put_plex,
    Target: _put_target,
    Portal: _put_portal,
    PortalGroup: _put_portal_group,
}
