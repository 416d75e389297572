"""`vdsprovctl plex`: the copies of a mirrored LUN's bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vdsprovd.cli import destroying, errors, views, waiting
from vdsprovd.cli.nouns.lun.noun import NAMED
from vdsprovd.cli.nouns.lun.noun import title as lun_title
from vdsprovd.cli.objects import LUN, SHORTEST, Object, find
from vdsprovd.cli.output import fields, tell
from vdsprovd.cli.session import Session
from vdsprovd.cli.sizes import size
from vdsprovd.cli.verbs import Noun

if TYPE_CHECKING:
    from vdsprovd.client import Client

plex = Noun("plex", help="Plexes: copies of a LUN's bytes, each on drives of its own.")

PLEX = click.argument("plex")

_ABOUT = ("lun", "lun_plex", "drive")


def find_plex(client: Client, lun: str, text: str) -> Object:
    """The properties of a LUN's plex, by its place in the list (from 1), its id or the beginning of that."""
    listed = client.query("Lun.QueryPlexes", id=lun)
    if text.isdecimal() and len(text) < SHORTEST:
        # A place that there is not is no id either, lest another plex be meant.
        found = listed[int(text) - 1 : int(text)] if int(text) else []
    else:
        found = [entry for entry in listed if len(text) >= SHORTEST and entry["id"].startswith(text)]
    if len(found) != 1:
        there = ", ".join(f"{place} ({entry['id']})" for place, entry in enumerate(listed, 1))
        raise errors.Failure(f"the LUN has no plex {text!r}; its plexes are {there}", errors.NOT_FOUND)
    return dict(found[0])


@plex.verb("list", "list the plexes of LUN {lun}", "Lun.QueryPlexes")
@click.argument("lun", type=NAMED)
@views.options
@click.pass_obj
def list_(session: Session, how: views.How, lun: str) -> None:
    """List the plexes of a LUN: one, or those of a mirror, the original one first.

    --json prints the API's properties.
    """

    def read(client: Client) -> list[Object]:
        return client.query("Lun.QueryPlexes", id=find(client, LUN, lun)["id"])

    def render(found: list[Object]) -> str:
        from vdsprovd.cli.tables import Column, id_column, table  # as for LUNs

        places = {entry["id"]: place for place, entry in enumerate(found, 1)}
        return table(
            [
                Column("PLEX", lambda entry: places[entry["id"]], right=True),
                id_column(how.long),
                Column("SIZE", lambda entry: size(entry["size"]), right=True),
                Column("TYPE", lambda entry: entry["type"]),
                Column("STATUS", lambda entry: entry["status"]),
                Column("HEALTH", lambda entry: entry["health"]),
                Column("STATE", lambda entry: entry["transitionState"]),
            ],
            found,
            whole=how.long,
        )

    views.show(session, how, read, render, about=_ABOUT)


@plex.verb(
    "show",
    "show plex {plex} of LUN {lun}",
    "Lun.QueryPlexes",
    "LunPlex.GetProperties",
    "LunPlex.QueryExtents",
    "Drive.GetProperties",
)
@click.argument("lun", type=NAMED)
@PLEX
@views.options
@click.pass_obj
def show(session: Session, how: views.How, lun: str, plex: str) -> None:
    """Show a plex, and the drives that its bytes are on. PLEX is its place in the list, or its id.

    --json adds to the API's properties: extents, as the API gives them, and driveNames (by id).
    """

    def read(client: Client) -> Object:
        id = find_plex(client, find(client, LUN, lun)["id"], plex)["id"]
        extents = client.call("LunPlex.QueryExtents", id=id)["extents"]
        drives = dict.fromkeys(extent["id"] for extent in extents)
        names = {drive: client.call("Drive.GetProperties", id=drive)["properties"]["friendlyName"] for drive in drives}
        found: Object = client.call("LunPlex.GetProperties", id=id)["properties"]
        return found | {"extents": extents, "driveNames": names}

    def render(found: Object) -> str:
        return fields(
            ("Id", found["id"]),
            ("Size", f"{size(found['size'])} ({found['size']} bytes)"),
            ("Type", found["type"]),
            ("Status", found["status"]),
            ("Health", found["health"]),
            ("State", found["transitionState"]),
            ("Stripe size", size(found["stripeSize"]) if found["stripeSize"] else ""),
            ("Rebuild priority", found["rebuildPriority"]),
            (
                "Extents",
                [f"{size(extent['size'])} of {found['driveNames'][extent['id']]}" for extent in found["extents"]],
            ),
        )

    views.show(session, how, read, render, about=_ABOUT)


@plex.verb("add", "add a plex to LUN {lun}", "Lun.AddPlex", "Async.Wait", "Lun.QueryPlexes")
@click.argument("lun", type=NAMED)
@click.argument("absorbed", type=NAMED, metavar="OTHER-LUN")
@waiting.no_wait_option
@destroying.options
@click.pass_obj
def add(session: Session, lun: str, absorbed: str, no_wait: bool, consent: destroying.Consent) -> None:
    """Make OTHER-LUN, of the same pool and at least as large, a plex of LUN, which is a mirror then.

    OTHER-LUN is gone then, and its data is lost.
    """
    client = session.client
    entry, other = find(client, LUN, lun), find(client, LUN, absorbed)
    losses = [
        f"{lun_title(other)}: {size(other['size'])}, masked to {other['unmaskingList'] or 'nobody'}: it is gone then"
    ]
    if not consent.given(f"make {lun_title(other)} a plex of {lun_title(entry)}", losses):
        return
    operation = client.call("Lun.AddPlex", id=entry["id"], lunId=other["id"])["async"]
    _end(session, entry, operation, "mirroring", no_wait, consent.as_json)


@plex.verb("remove", "remove plex {plex} of LUN {lun}", "Lun.QueryPlexes", "Lun.RemovePlex", "Async.Wait")
@click.argument("lun", type=NAMED)
@PLEX
@waiting.no_wait_option
@destroying.options
@click.pass_obj
def remove(session: Session, lun: str, plex: str, no_wait: bool, consent: destroying.Consent) -> None:
    """Remove a plex of a mirror, not the original one. PLEX is its place in the list, or its id."""
    client = session.client
    entry = find(client, LUN, lun)
    copy = find_plex(client, entry["id"], plex)
    losses = [f"a copy of {size(copy['size'])}, {copy['health']}; the LUN keeps its other copies"]
    if not consent.given(f"remove plex {copy['id']} of {lun_title(entry)}", losses):
        return
    operation = client.call("Lun.RemovePlex", id=entry["id"], plexId=copy["id"])["async"]
    _end(session, entry, operation, "removing a plex of", no_wait, consent.as_json)


def _end(session: Session, entry: Object, operation: str, doing: str, no_wait: bool, as_json: bool) -> None:
    if no_wait:
        waiting.left_running(operation, as_json)
        return
    waiting.wait(session, operation, f"{doing} {LUN.name(entry)}", entry["size"])
    plexes = session.client.query("Lun.QueryPlexes", id=entry["id"])
    tell(f"{lun_title(entry)} has {len(plexes)} {'plex' if len(plexes) == 1 else 'plexes'} now.", plexes, as_json)
