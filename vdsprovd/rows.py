"""Objects as rows of the store's tables."""

import json
import sqlite3
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, groupby
from typing import Any, NamedTuple, TypeVar

import msgspec

from vdsprovd.hardware import Member, Secret
from vdsprovd.inventory import (
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

H = TypeVar("H", Hints, Hints2)

Rows = Callable[[str], list[tuple[Any, ...]]]
"""Gives the rows of a query."""


def put(db: sqlite3.Connection, entities: Iterable[Entity]) -> None:
    """Write the objects' rows, new ones or over those that they have; those that others refer to come before them. Objects of
    a kind that follow each other are written together."""
    for kind, values in groupby(entities, type):
        _PUT[kind](db, list(values))


def entities(rows: Rows) -> tuple[Entity, ...]:
    """Every object that has rows, those that others refer to before them."""
    return (
        *_sub_systems(rows),
        *_controllers(rows),
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
            for id, sub_system_id, identification, slot, hot_spare, online, member in rows(
                "SELECT id, sub_system_id, identification, slot, hot_spare, online, member FROM drive"
            )
        ),
        *(
            StoragePool(id, sub_system_id, name, "")
            for id, sub_system_id, name in rows("SELECT id, sub_system_id, name FROM storage_pool")
        ),
        *_targets(rows),
        *(
            Portal(id, sub_system_id, address, port, bool(online))
            for id, sub_system_id, address, port, online in rows(
                "SELECT id, sub_system_id, address, port, online FROM portal"
            )
        ),
        *_portal_groups(rows),
        *_luns(rows),
        *(
            Plex(id, lun_id, place, _hints(hints, Hints))
            for id, lun_id, place, hints in rows("SELECT id, lun_id, place, hints FROM lun_plex")
        ),
    )


def _sub_systems(rows: Rows) -> Iterator[SubSystem]:
    for id, name, friendly_name, online in rows("SELECT id, name, friendly_name, online FROM sub_system"):
        yield SubSystem(id, name, "", friendly_name, True, online=bool(online))


def _controllers(rows: Rows) -> Iterator[Controller | Port]:
    sub_systems: dict[str, str] = {}
    for id, sub_system_id, online in rows("SELECT id, sub_system_id, online FROM controller"):
        sub_systems[id] = sub_system_id
        yield Controller(id, sub_system_id, online=bool(online))
    for id, controller_id, online in rows("SELECT id, controller_id, online FROM port"):
        yield Port(id, sub_systems[controller_id], controller_id, online=bool(online))


def _targets(rows: Rows) -> Iterator[Target]:
    secrets: dict[tuple[str, int], dict[str, Secret]] = {}
    users: dict[tuple[str, int], dict[str, str]] = {}
    for target_id, mutual, initiator, secret, user in rows(
        "SELECT target_id, mutual, initiator, secret, user FROM secret"
    ):
        secrets.setdefault((target_id, mutual), {})[initiator] = Secret(secret)
        if user:
            users.setdefault((target_id, mutual), {})[initiator] = user
    for id, sub_system_id, iscsi_name, friendly_name in rows(
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


def _portal_groups(rows: Rows) -> Iterator[PortalGroup]:
    portals: dict[str, list[str]] = {}
    for group_id, portal_id in rows(
        "SELECT portal_group_id, portal_id FROM portal_group_portal ORDER BY portal_group_id, place"
    ):
        portals.setdefault(group_id, []).append(portal_id)
    for id, target_id, tag in rows("SELECT id, target_id, tag FROM portal_group"):
        yield PortalGroup(id, target_id, tag, tuple(portals.get(id, ())))


def _luns(rows: Rows) -> Iterator[Lun]:
    associations: dict[str, list[Association]] = {}
    for lun_id, target_id, index in rows("SELECT lun_id, target_id, lun_index FROM association ORDER BY lun_id, place"):
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
    ) in rows(
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


_TOGETHER = 16
"""Rows of a statement. What SQLite does for each statement, lest it fails half way, takes a quarter of what a row takes."""


class _Insert(NamedTuple):
    """What adds rows to a table."""

    one: str
    """The statement for one row."""
    many: str
    """The statement for `_TOGETHER` rows."""


def _insert(table: str, columns: str, *, over: Collection[str] = ()) -> _Insert:
    """What adds rows with these columns. In one that is there already, by the first of them, it writes those of `over`."""
    names = columns.split()
    updates = ", ".join(f"{name} = excluded.{name}" for name in over)
    conflict = f" ON CONFLICT ({names[0]}) DO UPDATE SET {updates}" if over else ""
    row = f"({', '.join('?' * len(names))})"
    # Tables and columns are named in this module alone; values come as parameters.
    one, many = (
        f"INSERT INTO {table} ({', '.join(names)}) VALUES {', '.join([row] * number)}{conflict}"  # noqa: S608  # names of ours
        for number in (1, _TOGETHER)
    )
    return _Insert(one, many)


def _upsert(table: str, columns: str) -> _Insert:
    return _insert(table, columns, over=columns.split()[1:])


def _write(db: sqlite3.Connection, insert: _Insert, rows: Sequence[tuple[object, ...]]) -> None:
    whole = len(rows) // _TOGETHER * _TOGETHER
    for place in range(0, whole, _TOGETHER):
        db.execute(insert.many, tuple(chain.from_iterable(rows[place : place + _TOGETHER])))
    db.executemany(insert.one, rows[whole:])


_SUB_SYSTEM = _upsert("sub_system", "id name friendly_name online")
_STORAGE_POOL = _upsert("storage_pool", "id sub_system_id name")
_CONTROLLER = _upsert("controller", "id sub_system_id online")
_PORT = _upsert("port", "id controller_id online")
# What its pool calls a drive is a scan's to say (`set_members`), and the settings are not: neither writes over the other's.
_DRIVE = _insert("drive", "id sub_system_id identification slot hot_spare online member", over=("hot_spare", "online"))
_LUN = _upsert("lun", "id sub_system_id pool_id number path name size type mask online active hints product")
_LUN_PLEX = _upsert("lun_plex", "id lun_id place hints")
_TARGET = _upsert("target", "id sub_system_id iscsi_name friendly_name")
_PORTAL = _upsert("portal", "id sub_system_id address port online")
_PORTAL_GROUP = _upsert("portal_group", "id target_id tag")
_ASSOCIATION = _insert("association", "lun_id target_id lun_index place")
_SECRET = _insert("secret", "target_id mutual initiator secret user")
_PORTAL_GROUP_PORTAL = _insert("portal_group_portal", "portal_group_id portal_id place")


def _clear(db: sqlite3.Connection, table: str, column: str, of: Sequence[Lun | Target | PortalGroup]) -> None:
    """Delete the rows that say more about these objects: in one statement, for mostly there are none."""
    ids = json.dumps([value.id for value in of])
    db.execute(f"DELETE FROM {table} WHERE {column} IN (SELECT value FROM json_each(?))", (ids,))  # noqa: S608  # names of ours


def _put_sub_systems(db: sqlite3.Connection, values: Sequence[SubSystem]) -> None:
    _write(db, _SUB_SYSTEM, [(value.id, value.name, value.friendly_name, value.online) for value in values])


def _put_storage_pools(db: sqlite3.Connection, values: Sequence[StoragePool]) -> None:
    _write(db, _STORAGE_POOL, [(value.id, value.sub_system_id, value.name) for value in values])


@lru_cache(maxsize=64)
def _json(hints: Hints) -> str:
    wished = {name: value for name, value in msgspec.to_builtins(hints).items() if value is not None}
    return json.dumps(wished)


def _put_controllers(db: sqlite3.Connection, values: Sequence[Controller]) -> None:
    _write(db, _CONTROLLER, [(value.id, value.sub_system_id, value.online) for value in values])


def _put_ports(db: sqlite3.Connection, values: Sequence[Port]) -> None:
    _write(db, _PORT, [(value.id, value.controller_id, value.online) for value in values])


def _put_drives(db: sqlite3.Connection, values: Sequence[Drive]) -> None:
    _write(
        db,
        _DRIVE,
        [
            (
                value.id,
                value.sub_system_id,
                value.identification,
                value.slot,
                value.hot_spare,
                value.online,
                value.member.id if value.member else "",
            )
            for value in values
        ],
    )


def _put_plexes(db: sqlite3.Connection, values: Sequence[Plex]) -> None:
    _write(db, _LUN_PLEX, [(value.id, value.lun_id, value.place, _json(value.hints)) for value in values])


def _put_luns(db: sqlite3.Connection, values: Sequence[Lun]) -> None:
    _write(
        db,
        _LUN,
        [
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
            )
            for value in values
        ],
    )
    _clear(db, "association", "lun_id", values)
    _write(
        db,
        _ASSOCIATION,
        [
            (value.id, entry.target_id, entry.index, place)
            for value in values
            for place, entry in enumerate(value.associations)
        ],
    )


def _put_targets(db: sqlite3.Connection, values: Sequence[Target]) -> None:
    _write(db, _TARGET, [(value.id, value.sub_system_id, value.iscsi_name, value.friendly_name) for value in values])
    _clear(db, "secret", "target_id", values)
    _write(
        db,
        _SECRET,
        [
            (value.id, mutual, initiator, str(secret), users.get(initiator, ""))
            for value in values
            for mutual, (secrets, users) in enumerate(
                ((value.secrets, value.users), (value.mutual_secrets, value.mutual_users))
            )
            for initiator, secret in secrets.items()
        ],
    )


def _put_portals(db: sqlite3.Connection, values: Sequence[Portal]) -> None:
    _write(db, _PORTAL, [(value.id, value.sub_system_id, value.address, value.port, value.online) for value in values])


def _put_portal_groups(db: sqlite3.Connection, values: Sequence[PortalGroup]) -> None:
    _write(db, _PORTAL_GROUP, [(value.id, value.target_id, value.tag) for value in values])
    _clear(db, "portal_group_portal", "portal_group_id", values)
    _write(
        db,
        _PORTAL_GROUP_PORTAL,
        [(value.id, portal_id, place) for value in values for place, portal_id in enumerate(value.portal_ids)],
    )


_PUT: dict[type[Any], Callable[[sqlite3.Connection, Any], None]] = {
    SubSystem: _put_sub_systems,
    Controller: _put_controllers,
    Port: _put_ports,
    Drive: _put_drives,
    StoragePool: _put_storage_pools,
    Lun: _put_luns,
    Plex: _put_plexes,
    Target: _put_targets,
    Portal: _put_portals,
    PortalGroup: _put_portal_groups,
}
