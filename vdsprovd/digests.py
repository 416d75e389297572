"""Damage to the store that SQLite does not see: a sum over the rows of each table.

SQLite checks that a database is well formed, not that it says what was written: a bit that flips in a text goes by. So the
table `digest` has for every table the sum of its rows' digests, which triggers of each connection of ours keep in the
transaction that changes the rows. A row that was changed, lost or brought back by anything else shows in it.
"""

import hashlib
import sqlite3
from collections.abc import Iterator

SCHEMA = "sqlite_schema"
"""The tables' own definitions are summed too, as they were after the last migration."""
_SINCE = 4
"""The version of the store's schema that has them."""
_SUM = (1 << 62) - 1
"""Sums are below this, so that one more digest does not overflow SQLite's integers."""


def prepare(db: sqlite3.Connection) -> None:
    """Give the connection the function that the sums are made with."""
    db.create_function("digest_of", -1, _digest, deterministic=True)


def keep(db: sqlite3.Connection) -> None:
    """From now on, changes through this connection keep the sums."""
    # A row that another one replaces is not summed any more either.
    db.execute("PRAGMA recursive_triggers = ON")
    for table in _tables(db):
        added, removed = (f"digest_of({_columns(db, table, f'{row}.')})" for row in ("NEW", "OLD"))
        for event, term in (("INSERT", f"+ {added}"), ("DELETE", f"- {removed}"), ("UPDATE", f"- {removed} + {added}")):
            db.execute(  # only names of our own tables are in it
                f"CREATE TEMP TRIGGER {table}_{event.lower()} AFTER {event} ON main.{table} BEGIN "  # noqa: S608
                f"UPDATE digest SET sum = (sum {term}) & {_SUM} WHERE name = '{table}'; END"
            )


def write(db: sqlite3.Connection) -> None:
    """Sum everything anew: the tables are as they shall be."""
    db.execute("DELETE FROM digest")
    for table in (SCHEMA, *_tables(db)):
        db.execute("INSERT INTO digest (name, sum) VALUES (?, ?)", (table, _sum(db, table)))


def sums(db: sqlite3.Connection) -> dict[str, int]:
    """The sums as they were kept, by table. Two stores with the same sums have the same rows."""
    return dict(db.execute("SELECT name, sum FROM digest"))


def damage(db: sqlite3.Connection) -> str:
    """What is wrong with the database as it is now, for people; "" for nothing. One without sums, of an older version, is
    only looked at as far as SQLite does."""
    try:
        db.execute("BEGIN")  # all of it is of one moment
        try:
            if (verdict := db.execute("PRAGMA integrity_check(1)").fetchone()[0]) != "ok":
                return str(verdict).removeprefix("*** in database main ***\n")
            tables = set(_tables(db))
            if not tables:
                return "it is empty"
            if "digest" not in _names(db) and db.execute("PRAGMA user_version").fetchone()[0] < _SINCE:
                return ""
            bad = sorted({SCHEMA, *tables} - set(_good(db)))
            return f"the rows of {', '.join(bad)} are not what was written (their checksum differs)" if bad else ""
        finally:
            db.execute("ROLLBACK")
    except _TROUBLE as error:
        if _unusable(error):
            raise
        return str(error)


def good_tables(db: sqlite3.Connection) -> list[str]:
    """The tables of a damaged database whose rows can be read and are what was written."""
    try:
        return [table for table in _good(db) if table != SCHEMA]
    except _TROUBLE:
        return []


class Damaged(sqlite3.DatabaseError):
    """The store is not what was written; the message says what is wrong."""


def is_damage(error: BaseException) -> bool:
    """Whether the error proves that a database is damaged, rather than that it cannot be used now."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return isinstance(error, Damaged) or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _good(db: sqlite3.Connection) -> Iterator[str]:
    wanted = sums(db)
    for table in (SCHEMA, *_tables(db)):
        try:
            if wanted.get(table) == _sum(db, table):
                yield table
        except _TROUBLE as error:
            if _unusable(error):
                raise


_TROUBLE = (sqlite3.DatabaseError, sqlite3.Warning, UnicodeDecodeError)
"""What reading a damaged database raises; the last two come of names that are damaged."""


def _unusable(error: Exception) -> bool:
    """Whether reading failed for a reason that lies outside of the database's bytes."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _OUTSIDE


_OUTSIDE = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
)


def _names(db: sqlite3.Connection) -> list[str]:
    return [name for (name,) in db.execute("SELECT CAST(name AS TEXT) FROM main.sqlite_schema WHERE type = 'table'")]


def _tables(db: sqlite3.Connection) -> list[str]:
    """The tables that are summed: all but SQLite's own and that of the sums."""
    return [name for name in _names(db) if name != "digest" and not name.startswith("sqlite_")]


def _columns(db: sqlite3.Connection, table: str, row: str = "") -> str:
    # As bytes: text that is damaged may be none any more. Where a definition is in the file is SQLite's business.
    columns = db.execute(f'PRAGMA table_info("{table}")')
    names = [name for _, name, *_ in columns if (table, name) != (SCHEMA, "rootpage")]
    return ", ".join(f"CAST({row}{name} AS BLOB)" for name in names)


def _sum(db: sqlite3.Connection, table: str) -> int:
    rows = db.execute(f'SELECT digest_of({_columns(db, table)}) FROM main."{table}"')  # noqa: S608  # as above
    return sum(int(value) for (value,) in rows) & _SUM


def _digest(*columns: bytes | None) -> int:
    return int.from_bytes(hashlib.blake2b(repr(columns).encode(), digest_size=8).digest(), "big") & _SUM
