"""`vdsprovctl drive`: the disks of the host that pools are made of, hot spares, and free ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vdsprovd.cli import destroying, maintenance, views
from vdsprovd.cli.objects import (
    DRIVE,
    LUN,
    SUBSYSTEM,
    Named,
    Object,
    find,
    only,
    sub_system,
    with_sub_system,
    within_option,
)
from vdsprovd.cli.output import fields, json_option, tell
from vdsprovd.cli.session import Session
from vdsprovd.cli.sizes import size
from vdsprovd.cli.states import add_status, tell_state
from vdsprovd.cli.verbs import Noun

if TYPE_CHECKING:
    from vdsprovd.client import Client

drive = Noun("drive", help="Drives: disks of the host that are a pool's, hot spares, or free.")

NAMED = Named(DRIVE)

_UNDEFINED = 0xFFFFFFFF
_ABOUT = ("drive", "lun", "sub_system")
_SHOWS = ("Drive2.GetProperties2", "Drive.QueryExtents", "Drive.GetSubSystem", "SubSystem.GetProperties", *LUN.lists)


@drive.verb("list", "list the drives", *DRIVE.lists)
@click.option("--spare", is_flag=True, help="Only hot spares.")
@within_option
@views.options
@click.pass_obj
def list_(session: Session, how: views.How, subsystem: str | None, spare: bool) -> None:
    """List the drives: the members of pools, hot spares, and free ones.

    --json adds to the API's properties: subSystem (id and friendlyName).
    """

    def read(client: Client) -> list[Object]:
        found = [
            entry
            for entry in DRIVE.listing(client, sub_system(client, subsystem))
            if not spare or "hotspare" in entry["flags"]
        ]
        return sorted(found, key=lambda entry: (entry["subSystem"]["friendlyName"], entry["slotNumber"]))

    def render(found: list[Object]) -> str:
        if not found:
            return "No hot spares." if spare else "No drives. Pools of files have none; see drives in vdsprovd.toml."
        from vdsprovd.cli.tables import Column, id_column, sub_system_column, table  # as for LUNs

        return table(
            [
                Column("NAME", lambda entry: entry["friendlyName"], cut=True),
                id_column(how.long),
                Column("SLOT", lambda entry: entry["slotNumber"], right=True),
                Column("SIZE", lambda entry: size(entry["size"]), right=True),
                Column("STATUS", lambda entry: entry["status"]),
                Column("HEALTH", lambda entry: entry["health"]),
                Column("USE", lambda entry: ", ".join(entry["flags"]), cut=True),
                *sub_system_column(found),
            ],
            found,
            whole=how.long,
        )

    views.show(session, how, read, render, about=_ABOUT)


@drive.verb("show", "show drive {drive}", *_SHOWS)
@click.argument("drive", type=NAMED)
@views.options
@click.pass_obj
def show(session: Session, how: views.How, drive: str) -> None:
    """Show a drive, and which LUNs have their bytes on it.

    --json adds to the properties of Drive2.GetProperties2: subSystem (id and friendlyName), extents, and luns (id and
    friendlyName of those on it).
    """
    views.show(session, how, lambda client: _read(client, find(client, DRIVE, drive)["id"]), _render, about=_ABOUT)


@drive.verb("at", "show the drive in slot {slot}", "SubSystem.GetDrive", "SubSystem2.GetDrive2", *_SHOWS)
@click.argument("slot", type=click.IntRange(min=0))
@click.option("--enclosure", type=click.IntRange(min=0), metavar="N", help="The enclosure that it must be in.")
@click.option("--subsystem", type=Named(SUBSYSTEM), help="Where there are several.")
@views.options
@click.pass_obj
def at(session: Session, how: views.How, slot: int, enclosure: int | None, subsystem: str | None) -> None:
    """Show the drive in a slot, as show does."""

    def read(client: Client) -> Object:
        where = {
            "id": only(client, SUBSYSTEM, subsystem, "--subsystem")["id"],
            "busNumber": 0,
            "slotNumber": slot,
        }
        if enclosure is None:
            return _read(client, client.call("SubSystem.GetDrive", **where)["drive"])
        return _read(client, client.call("SubSystem2.GetDrive2", **where, enclosureNumber=enclosure)["drive"])

    views.show(session, how, read, _render, about=_ABOUT)


def _read(client: Client, id: str) -> Object:
    extents = client.call("Drive.QueryExtents", id=id)["extents"]
    there = {extent["lunId"] for extent in extents}
    found: Object = client.call("Drive2.GetProperties2", id=id)["properties"]
    return with_sub_system(client, "Drive", found) | {
        "extents": extents,
        "luns": [
            {"id": lun["id"], "friendlyName": lun["friendlyName"]}
            for lun in (LUN.listing(client) if there - {None} else [])
            if lun["id"] in there
        ],
    }


def _render(found: Object) -> str:
    speed, enclosure = found["spindleSpeed"], found["enclosureNumber"]
    used = sum(extent["size"] for extent in found["extents"] if extent["used"])
    return fields(
        ("Name", found["friendlyName"]),
        ("Id", found["id"]),
        ("Identification", found["identification"]),
        ("Subsystem", found["subSystem"]["friendlyName"]),
        ("Size", f"{size(found['size'])} ({found['size']} bytes)"),
        ("Used", size(used)),
        ("Status", found["status"]),
        ("Health", found["health"]),
        ("Use", ", ".join(found["flags"])),
        ("Slot", found["slotNumber"]),
        ("Enclosure", "" if enclosure == _UNDEFINED else enclosure),
        ("Bus", found["busType"]),
        ("Rotation", {0: "", 1: "none"}.get(speed, f"{speed} per minute")),
        ("LUNs", [lun["friendlyName"] or lun["id"] for lun in found["luns"]] or "none"),
    )


@drive.verb("replace", "replace drive {old}", "SubSystem.ReplaceDrive", "Drive.GetSubSystem", "SubSystem.GetProperties")
@click.argument("old", type=NAMED)
@click.argument("new", type=NAMED)
@destroying.options
@click.pass_obj
def replace(session: Session, old: str, new: str, consent: destroying.Consent) -> None:
    """Move everything from drive OLD to drive NEW, which takes its place in the pool; all or nothing.

    NEW is a free drive or a hot spare, and what is on it is lost. Initiators notice nothing. A drive that is not there any
    more cannot be read: see vdsprovctl lun recover.
    """
    client = session.client
    leaving, coming = find(client, DRIVE, old), find(client, DRIVE, new)
    losses = [f"{title(coming)}: {size(coming['size'])}, {', '.join(coming['flags'])}: what is on it is lost"]
    if not consent.given(f"move everything from {title(leaving)} to {title(coming)}", losses):
        return
    where = with_sub_system(client, "Drive", leaving)["subSystem"]["id"]
    client.call("SubSystem.ReplaceDrive", id=where, driveToBeReplaced=leaving["id"], replacementDrive=coming["id"])
    tell(
        f"{title(coming)[0].upper()}{title(coming)[1:]} has taken the place of {title(leaving)}.",
        coming,
        consent.as_json,
    )


spare = drive.noun("spare", "Hot spares, which take the place of drives that pools lose.")


@spare.verb("set", "reserve drive {drive} as a hot spare", "Drive.SetFlags", "Drive.GetProperties")
@click.argument("drive", type=NAMED)
@destroying.options
@click.pass_obj
def set_(session: Session, drive: str, consent: destroying.Consent) -> None:
    """Reserve a free drive as a hot spare. What is on it is lost when lun recover takes it."""
    entry = find(session.client, DRIVE, drive)
    losses = [f"{title(entry)}: {size(entry['size'])}: what is on it is lost when a pool takes it"]
    if consent.given(f"make {title(entry)} a hot spare", losses):
        session.client.call("Drive.SetFlags", id=entry["id"], flags=["hotspare"])
        tell_state(session.client, DRIVE, entry["id"], title, consent.as_json)


@spare.verb("clear", "free hot spare {drive}", "Drive.ClearFlags", "Drive.GetProperties")
@click.argument("drive", type=NAMED)
@json_option("the drive's properties")
@click.pass_obj
def clear(session: Session, drive: str, as_json: bool) -> None:
    """Have a drive be a hot spare no longer."""
    id = find(session.client, DRIVE, drive)["id"]
    session.client.call("Drive.ClearFlags", id=id, flags=["hotspare"])
    tell_state(session.client, DRIVE, id, title, as_json)


def title(entry: Object) -> str:
    """The drive in a sentence."""
    return f"drive {entry['friendlyName'] or entry['id']}"


maintenance.add_lights(drive, DRIVE)
maintenance.add_motors(drive, DRIVE)
maintenance.add_ping(drive, DRIVE)
add_status(drive, DRIVE, "online", title, "Let a drive take new extents again after it was set offline.")
add_status(
    drive,
    DRIVE,
    "offline",
    title,
    "Let a drive take no new extents. It keeps what is on it, and LUNs there stay reachable.",
)
