"""`vdsprovctl portal`: the addresses at which targets can be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vdsprovd.cli import destroying, views
from vdsprovd.cli.objects import PORTAL, Named, Object, address, find, sub_system, with_sub_system, within_option
from vdsprovd.cli.output import fields
from vdsprovd.cli.queries import groups_of_portal
from vdsprovd.cli.session import Session
from vdsprovd.cli.states import add_status, tell_state
from vdsprovd.cli.verbs import Noun

if TYPE_CHECKING:
    from vdsprovd.client import Client

portal = Noun("portal", help="Portals: addresses of the host that targets can be reached at.")

NAMED = Named(PORTAL)

_GROUPS = ("IscsiPortal.QueryAssociatedPortalGroups", "IscsiPortalGroup.GetTarget", "IscsiTarget.GetProperties")


@portal.verb("list", "list the portals", *PORTAL.lists)
@within_option
@views.options
@click.pass_obj
def list_(session: Session, how: views.How, subsystem: str | None) -> None:
    """List the portals: addresses of the host, with a TCP port, that portal groups can have.

    --json adds to the API's properties: subSystem (id and friendlyName).
    """

    def read(client: Client) -> list[Object]:
        return sorted(
            PORTAL.listing(client, sub_system(client, subsystem)),
            key=lambda entry: (entry["subSystem"]["friendlyName"], address(entry)),
        )

    def render(found: list[Object]) -> str:
        if not found:
            return "No portals. Give the host an address, or set portals in /etc/vdsprovd/vdsprovd.toml."
        from vdsprovd.cli.tables import Column, id_column, sub_system_column, table  # rich takes longer than a list

        return table(
            [
                Column("ADDRESS", address),
                id_column(how.long),
                Column("STATUS", lambda entry: entry["status"]),
                Column("DEVIATION", lambda entry: entry["deviation"], cut=True),
                *sub_system_column(found),
            ],
            found,
            whole=how.long,
        )

    views.show(session, how, read, render, about=("portal", "sub_system"))


@portal.verb("show", "show portal {portal}", "IscsiPortal.GetSubSystem", "SubSystem.GetProperties", *_GROUPS)
@click.argument("portal", type=NAMED)
@views.options
@click.pass_obj
def show(session: Session, how: views.How, portal: str) -> None:
    """Show a portal, and in which targets' portal groups it is.

    --json adds to the API's properties: subSystem (id and friendlyName) and portalGroups (each with id, tag and iscsiName).
    """

    def read(client: Client) -> Object:
        found = with_sub_system(client, "IscsiPortal", find(client, PORTAL, portal))
        return found | {"portalGroups": groups_of_portal(client, found["id"])}

    def render(found: Object) -> str:
        return fields(
            ("Address", address(found)),
            ("Id", found["id"]),
            ("Status", found["status"]),
            ("Deviation", found["deviation"]),
            (
                "In groups of",
                [f"{group['iscsiName']}, group {group['tag']}" for group in found["portalGroups"]] or "none",
            ),
        )

    views.show(session, how, read, render, about=("portal", "portal_group", "target"))


@portal.verb(
    "offline",
    "set portal {portal} offline",
    *_GROUPS,
    "IscsiTarget.GetConnectedInitiators",
    "IscsiPortal.SetStatus",
)
@click.argument("portal", type=NAMED)
@destroying.options
@click.pass_obj
def offline(session: Session, portal: str, consent: destroying.Consent) -> None:
    """Close a portal in every portal group, which ends the sessions through it."""
    client = session.client
    entry = find(client, PORTAL, portal)
    losses = [_loss(client, group) for group in groups_of_portal(client, entry["id"])] if consent.asks else []
    if consent.given(f"close portal {address(entry)}", losses or ["No portal group has it."]):
        client.call("IscsiPortal.SetStatus", id=entry["id"], status="offline")
        tell_state(client, PORTAL, entry["id"], _title, consent.as_json)


def _loss(client: Client, group: Object) -> str:
    there = client.connected_initiators(group["target"])
    return f"{group['iscsiName']}, group {group['tag']}: connected to the target now: {', '.join(there) or 'nobody'}"


def _title(entry: Object) -> str:
    return f"portal {address(entry)}"


add_status(portal, PORTAL, "online", _title, "Let a portal be reached again after it was set offline.")
