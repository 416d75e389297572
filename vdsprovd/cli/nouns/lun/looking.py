"""`vdsprovctl lun list` and `show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vdsprovd.cli import views
from vdsprovd.cli.nouns.lun.noun import NAMED, lun
from vdsprovd.cli.objects import (
    LUN,
    POOL,
    TARGET,
    Named,
    Object,
    find,
    in_order,
    sub_system,
    with_sub_system,
    within_option,
)
from vdsprovd.cli.output import fields
from vdsprovd.cli.queries import connected, unless_deleted
from vdsprovd.cli.session import Session
from vdsprovd.cli.sizes import size

if TYPE_CHECKING:
    from vdsprovd.client import Client


@lun.verb(
    "list",
    "list the LUNs",
    *LUN.lists,
    *POOL.lists,
    *TARGET.lists,
    "IscsiTarget.QueryAssociatedLuns",
    "StoragePool.QueryAllocatedLuns",
)
@click.option("--pool", type=Named(POOL), help="Only those whose bytes are in this pool.")
@click.option("--target", type=Named(TARGET), help="Only those reached through this target.")
@within_option
@views.options
@click.pass_obj
def list_(session: Session, how: views.How, subsystem: str | None, pool: str | None, target: str | None) -> None:
    """List the LUNs: where their bytes are, who may reach them, and through which targets.

    The mask names the initiators that may reach the LUN; * stands for those of the daemon's host.

    --json adds to the API's properties: subSystem (id and friendlyName), pool (id and name), targets (each with id and iscsiName).
    """

    def read(client: Client) -> list[Object]:
        pools = client.pools() if pool is None else [find(client, POOL, pool)]
        targets = TARGET.listing(client) if target is None else [find(client, TARGET, target)]
        in_pool = _owners(client, pools, "StoragePool.QueryAllocatedLuns", "name")
        through = _owners(client, targets, "IscsiTarget.QueryAssociatedLuns", "iscsiName")
        found = [
            entry | {"pool": next(iter(in_pool.get(entry["id"], ())), None), "targets": through.get(entry["id"], [])}
            for entry in LUN.listing(client, sub_system(client, subsystem))
            if (pool is None or entry["id"] in in_pool) and (target is None or entry["id"] in through)
        ]
        return sorted(found, key=lambda entry: (in_order(entry["friendlyName"]), entry["id"]))

    def render(found: list[Object]) -> str:
        if not found:
            return "No LUNs. Create one: vdsprovctl lun create NAME --size 10G"
        from vdsprovd.cli.tables import Column, id_column, sub_system_column, table

        return table(
            [
                Column("NAME", lambda entry: entry["friendlyName"], cut=True),
                id_column(how.long),
                Column("SIZE", lambda entry: size(entry["size"]), right=True),
                Column("STATUS", lambda entry: entry["status"]),
                Column("HEALTH", lambda entry: entry["health"]),
                Column("POOL", lambda entry: entry["pool"]["name"] if entry["pool"] else "", spare=True),
                Column("MASK", lambda entry: _mask(entry) or "nobody", cut=True),
                Column("TARGETS", lambda entry: [reached["iscsiName"] for reached in entry["targets"]], cut=True),
                *sub_system_column(found),
            ],
            found,
            whole=how.long,
        )

    views.show(session, how, read, render, about=("lun", "target", "sub_system"))


@lun.verb(
    "show",
    "show LUN {lun}",
    "Lun.GetProperties",
    "Lun.GetSubSystem",
    "SubSystem.GetProperties",
    "LunNumber.GetLunNumber",
    "LunIscsi.QueryAssociatedTargets",
    "IscsiTarget.GetConnectedInitiators",
    "Lun.QueryPlexes",
    *POOL.lists,
    "StoragePool.QueryAllocatedLuns",
    "Lun.GetIdentificationData",
    "Lun.QueryMaxLunExtendSize",
)
@click.argument("lun", type=NAMED)
@views.options
@click.pass_obj
def show(session: Session, how: views.How, lun: str) -> None:
    """Show a LUN: its state, who may reach it, who is connected, how its disk is known to initiators.

    --json adds to the API's properties: subSystem (id and friendlyName), pool (id and name), lunNumber, targets (each with id, iscsiName and
    connectedInitiators), plexes, identificationData (null while it cannot be read) and maxBytesToBeAdded (null where it
    cannot grow).
    """
    views.show(
        session,
        how,
        lambda client: _read_one(client, lun),
        lambda found: _one(found, how.long),
        about=("lun", "lun_plex", "target"),
    )


def _read_one(client: Client, text: str) -> Object:
    found = with_sub_system(client, "Lun", find(client, LUN, text))
    id: str = found["id"]
    return found | {
        "lunNumber": client.call("LunNumber.GetLunNumber", id=id)["lunNumber"],
        "pool": _pool(client, id),
        "targets": connected(client, client.query("LunIscsi.QueryAssociatedTargets", id=id)),
        "plexes": client.query("Lun.QueryPlexes", id=id),
        "identificationData": _unless_failed(client, "Lun.GetIdentificationData", "properties", id),
        "maxBytesToBeAdded": _unless_failed(client, "Lun.QueryMaxLunExtendSize", "maxBytesToBeAdded", id),
    }


def _pool(client: Client, lun: str) -> Object | None:
    """The pool that has the LUN's bytes. No query of the API says it: each pool is asked for its LUNs, until one has it."""
    for pool in POOL.listing(client):
        if any(entry["id"] == lun for entry in client.query("StoragePool.QueryAllocatedLuns", id=pool["id"])):
            return {"id": pool["id"], "name": pool["name"]}
    return None


def _one(found: Object, long: bool) -> str:
    data = found["identificationData"]
    return fields(
        ("Name", found["friendlyName"]),
        ("Id", found["id"]),
        ("Subsystem", found["subSystem"]["friendlyName"]),
        ("Pool", found["pool"]["name"] if found["pool"] else ""),
        ("Size", f"{size(found['size'])} ({found['size']} bytes)"),
        ("Can grow by", size(found["maxBytesToBeAdded"]) if found["maxBytesToBeAdded"] else ""),
        ("Status", found["status"]),
        ("Health", found["health"]),
        ("Reason", found["reason"]),
        ("Deviation", found["deviation"]),
        ("Changing", "" if found["transitionState"] in ("stable", "unknown") else found["transitionState"]),
        ("Type", found["type"]),
        ("Flags", ", ".join(found["flags"])),
        ("Number", found["lunNumber"]),
        ("Serial number", data["serialNumber"] if data else ""),
        ("Mask", _mask(found) or "nobody"),
        ("Targets", [_reached(target, found) for target in found["targets"]] or "none"),
        ("Plexes", [_plex(plex, long) for plex in found["plexes"]] if len(found["plexes"]) > 1 else ""),
    )


def _reached(target: Object, found: Object) -> str:
    mask = _mask(found)
    here = [name for name in target["connectedInitiators"] if name in mask or mask == ["*"]]
    return f"{target['iscsiName']}: {', '.join(here) or 'nobody'} connected"


def _plex(plex: Object, long: bool) -> str:
    from vdsprovd.cli.tables import short

    return f"{plex['id'] if long else short(plex['id'])}: {plex['type']}, {plex['status']}, {plex['health']}"


def _mask(entry: Object) -> list[str]:
    return [name for name in entry["unmaskingList"].split(";") if name]


def _owners(client: Client, owners: list[Object], query: str, name: str) -> dict[str, list[Object]]:
    """By the id of a LUN, who of the owners has it: one query each."""
    found: dict[str, list[Object]] = {}
    for owner in owners:
        shown = {"id": owner["id"], name: owner[name]}
        for entry in unless_deleted(client.query, query, id=owner["id"]) or ():
            found.setdefault(entry["id"], []).append(shown)
    return found


def _unless_failed(client: Client, method: str, key: str, id: str) -> Any:
    """What the method gives, null while the LUN is in no state to answer it."""
    from vdsprovd.hresult import VdsError

    try:
        return client.call(method, id=id)[key]
    except VdsError:
        return None
