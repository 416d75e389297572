"""`vdsprovctl pool`: where LUNs' bytes live."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vdsprovd.cli import views
from vdsprovd.cli.objects import DRIVE, POOL, Named, Object, find, sub_system, within_option
from vdsprovd.cli.output import fields
from vdsprovd.cli.session import Session
from vdsprovd.cli.sizes import SizeType, size
from vdsprovd.cli.verbs import Noun

if TYPE_CHECKING:
    from vdsprovd.client import Client

pool = Noun("pool", help="Storage pools: where LUNs' bytes live. They are made in the configuration.")

# Pools have no notifications of their own: what changes them shows at others.
_ABOUT = ("lun", "drive", "sub_system")


@pool.verb("list", "list the storage pools", *POOL.lists)
@click.option("--free", type=SizeType(), help="Only those with at least so much free, such as 10G.")
@click.option("--thin/--thick", default=None, help="Only those that are thin, or are not.")
@within_option
@views.options
@click.pass_obj
def list_(session: Session, how: views.How, subsystem: str | None, free: int | None, thin: bool | None) -> None:
    """List the storage pools, with the space that is free in each.

    --json prints the API's properties.
    """

    def read(client: Client) -> list[Object]:
        attributes = None if thin is None else {"isThinProvisioned": thin}
        within = sub_system(client, subsystem)
        found = client.query(POOL.query, remainingFreeSpace=free, poolAttributes=attributes)
        return [entry for entry in found if within in (None, entry["subSystem"])]

    def render(found: list[Object]) -> str:
        if not found:
            return "No such storage pools. They are made in the configuration: see [[subsystem.pool]] in vdsprovd.toml."
        from vdsprovd.cli.tables import Column, id_column, table  # rich takes longer than a list

        return table(
            [
                Column("NAME", lambda entry: entry["name"], cut=True),
                id_column(how.long),
                Column("TOTAL", lambda entry: _space(entry, "totalManagedSpace"), right=True),
                Column("FREE", lambda entry: _space(entry, "remainingFreeSpace"), right=True),
                Column("USED", used, right=True),
                Column("STATUS", lambda entry: entry["status"]),
                Column("HEALTH", lambda entry: entry["health"]),
                Column("DESCRIPTION", lambda entry: entry["description"], cut=True),
            ],
            found,
            whole=how.long,
        )

    views.show(session, how, read, render, about=_ABOUT)


@pool.verb(
    "show",
    "show storage pool {pool}",
    "StoragePool.GetProperties",
    "StoragePool.GetAttributes",
    "StoragePool.QueryDriveExtents",
    "StoragePool.QueryAllocatedLuns",
    "StoragePool.QueryAllocatedStoragePools",
    *DRIVE.lists,
)
@click.argument("pool", type=Named(POOL))
@views.options
@click.pass_obj
def show(session: Session, how: views.How, pool: str) -> None:
    """Show a storage pool: its space, what it is like, its drives, its LUNs.

    --json adds to the API's properties: attributes, driveExtents, luns and storagePools, each as the API gives them.
    """

    def read(client: Client) -> Object:
        found = find(client, POOL, pool)
        id = found["id"]
        return found | {
            "attributes": client.call("StoragePool.GetAttributes", id=id)["attributes"],
            "driveExtents": (extents := client.call("StoragePool.QueryDriveExtents", id=id)["extents"]),
            "driveNames": {drive["id"]: drive["friendlyName"] for drive in DRIVE.listing(client)} if extents else {},
            "luns": client.query("StoragePool.QueryAllocatedLuns", id=id),
            "storagePools": client.query("StoragePool.QueryAllocatedStoragePools", id=id),
        }

    def render(found: Object) -> str:
        luns = found["luns"]
        return fields(
            ("Name", found["name"]),
            ("Id", found["id"]),
            ("Description", found["description"]),
            ("Status", found["status"]),
            ("Health", found["health"]),
            ("Total", _space(found, "totalManagedSpace")),
            ("Used", f"{size(found['totalManagedSpace'] - found['remainingFreeSpace'])}, {used(found)}"),
            ("Free", _space(found, "remainingFreeSpace")),
            ("Attributes", [f"{name}: {value}" for name, value in found["attributes"].items() if value is not None]),
            ("Drives", _drives(found)),
            ("LUNs", f"{len(luns)}, {size(sum(lun['size'] for lun in luns))} in all"),
            ("Pools in it", [inner["name"] for inner in found["storagePools"]]),
        )

    views.show(session, how, read, render, about=_ABOUT)


def used(entry: Object) -> str:
    """How much of a pool is used, in hundredths."""
    total, free = entry["totalManagedSpace"], entry["remainingFreeSpace"]
    return f"{100 * (total - free) / total:.0f} %" if total else ""


def _space(entry: Object, key: str) -> str:
    # A pool that cannot be read has no size, which is not a size of 0.
    return size(entry[key]) if entry["totalManagedSpace"] else ""


def _drives(found: Object) -> list[str]:
    total: dict[str, int] = {}
    taken: dict[str, int] = {}
    for extent in found["driveExtents"]:
        total[extent["id"]] = total.get(extent["id"], 0) + extent["size"]
        taken[extent["id"]] = taken.get(extent["id"], 0) + extent["size"] * extent["used"]
    names = sorted((found["driveNames"].get(id, id), id) for id in total)
    return [f"{name}: {size(taken[id])} of {size(total[id])} used" for name, id in names]
