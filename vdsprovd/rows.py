"""Objects as rows of the store's tables."""

import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, TypeVar

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


def put(db: sqlite3.Connection, entity: Entity) -> None:
    """Write an object's rows, new ones or over those that it has."""
    _PUT[type(entity)](db, entity)


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


def _upsert(table: str, columns: str) -> str:
    names = columns.split()
    marks = ", ".join("?" * len(names))
    updates = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
    # Tables and columns are named in this module alone; values come as parameters.
    insert = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608
    return f"{insert} ON CONFLICT (id) DO UPDATE SET {updates}"


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


@lru_cache(maxsize=64)
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
