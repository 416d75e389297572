"""`vdsprovctl target list`, `show`, `sessions` and `login`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vdsprovd.cli import views
from vdsprovd.cli.nouns.target.noun import NAMED, target, title
from vdsprovd.cli.objects import TARGET, Object, address, find, in_order, sub_system, with_sub_system, within_option
from vdsprovd.cli.output import fields
from vdsprovd.cli.queries import initiators_of, unless_deleted
from vdsprovd.cli.session import Session
from vdsprovd.cli.sizes import size

if TYPE_CHECKING:
    from vdsprovd.client import Client

_RELATIONS = (
    "IscsiTarget.QueryPortalGroups",
    "IscsiPortalGroup.QueryAssociatedPortals",
    "IscsiTarget.QueryAssociatedLuns",
    "IscsiTarget.GetConnectedInitiators",
)
_ABOUT = ("target", "portal_group", "portal", "lun", "sub_system")


@target.verb("list", "list the targets", *TARGET.lists, *_RELATIONS)
@within_option
@views.options
@click.pass_obj
def list_(session: Session, how: views.How, subsystem: str | None) -> None:
    """List the iSCSI targets: whether they need a CHAP secret, where they are reached, who is logged in.

    Portals stand after the tag of their portal group. Nobody is told of sessions: --watch shows new ones when something
    else changes.

    --json adds to the API's properties: subSystem (id and friendlyName), portalGroups (each with id, tag and portals), lunIds and
    connectedInitiators.
    """

    def read(client: Client) -> list[Object]:
        found = [
            entry | related
            for entry in TARGET.listing(client, sub_system(client, subsystem))
            if (related := unless_deleted(_relations, client, entry["id"])) is not None
        ]
        for entry in found:
            entry["lunIds"] = [lun["id"] for lun in entry.pop("luns")]
        return sorted(found, key=lambda entry: in_order(entry["iscsiName"]))

    def render(found: list[Object]) -> str:
        if not found:
            return "No targets. Create one: vdsprovctl target create --name NAME --portal all"
        from vdsprovd.cli.tables import (
            Column,
            id_column,
            sub_system_column,
            table,
        )  # rich takes longer to load than a list

        return table(
            [
                Column("ISCSI NAME", lambda entry: entry["iscsiName"], cut=True),
                Column("NAME", lambda entry: entry["friendlyName"], cut=True),
                id_column(how.long, spare=True),
                Column("CHAP", lambda entry: "yes" if entry["chapEnabled"] else "no"),
                Column("LUNS", lambda entry: len(entry["lunIds"]), right=True),
                Column("GROUP: PORTALS", lambda entry: [_group(group) for group in entry["portalGroups"]], cut=True),
                Column("INITIATORS", lambda entry: entry["connectedInitiators"], cut=True),
                *sub_system_column(found),
            ],
            found,
            whole=how.long,
        )

    views.show(session, how, read, render, about=_ABOUT)


@target.verb(
    "show",
    "show target {target}",
    "IscsiTarget.GetProperties",
    "IscsiTarget.GetSubSystem",
    "SubSystem.GetProperties",
    *_RELATIONS,
)
@click.argument("target", type=NAMED)
@views.options
@click.pass_obj
def show(session: Session, how: views.How, target: str) -> None:
    """Show a target: its portal groups, its LUNs by logical unit number, who is logged in.

    --json adds to the API's properties: subSystem (id and friendlyName), portalGroups (each with id, tag and portals), luns and
    connectedInitiators.
    """

    def read(client: Client) -> Object:
        found = with_sub_system(client, "IscsiTarget", find(client, TARGET, target))
        return found | _relations(client, found["id"])

    def render(found: Object) -> str:
        return fields(
            ("iSCSI name", found["iscsiName"]),
            ("Name", found["friendlyName"]),
            ("Id", found["id"]),
            ("Subsystem", found["subSystem"]["friendlyName"]),
            ("CHAP", "a secret is needed" if found["chapEnabled"] else "no secret is needed"),
            ("Deviation", found["deviation"]),
            ("Portal groups", [_group(group) for group in found["portalGroups"]] or "none: nobody can log in"),
            ("Initiators", found["connectedInitiators"] or "nobody is logged in"),
            ("LUNs", [_lun(lun, found) for lun in found["luns"]] or "none"),
        )

    views.show(session, how, read, render, about=_ABOUT)


@target.verb(
    "login",
    "show how to log in to target {target}",
    "IscsiTarget.GetProperties",
    "IscsiTarget.QueryPortalGroups",
    "IscsiPortalGroup.QueryAssociatedPortals",
)
@click.argument("target", type=NAMED)
@click.pass_obj
def login(session: Session, target: str) -> None:
    """Print the commands with which an initiator logs in to a target, one for each of its portals.

    They are open-iscsi's; other initiators want the same names and addresses.
    """
    client = session.client
    found = find(client, TARGET, target)
    groups = client.portal_groups(found["id"])
    portals = [portal for group in groups for portal in client.portals_of_group(group["id"])]
    name = found["iscsiName"]
    lines = [f"# {title(found)}"]
    if not portals:
        lines.append("# No portal: nobody can log in. Add one: vdsprovctl portal-group add-portal")
    for portal in portals:
        where = address(portal)
        lines.append(f"iscsiadm --mode node --targetname {name} --portal {where} --op new")
        if found["chapEnabled"]:
            record = f"iscsiadm --mode node --targetname {name} --portal {where} --op update"
            lines += [
                f"{record} --name node.session.auth.authmethod --value CHAP",
                f'{record} --name node.session.auth.username --value "$(sed -n s/^InitiatorName=//p /etc/iscsi/initiatorname.iscsi)"',
                "# and the secret, in the record's node.session.auth.password",
            ]
        lines.append(f"iscsiadm --mode node --targetname {name} --portal {where} --login")
    click.echo("\n".join(lines))


def _relations(client: Client, target: str) -> Object:
    return {
        "portalGroups": [
            group | {"portals": client.portals_of_group(group["id"])} for group in client.portal_groups(target)
        ],
        "luns": client.luns_of_target(target),
        "connectedInitiators": client.connected_initiators(target),
    }


def _group(group: Object) -> str:
    return f"{group['tag']}: {', '.join(map(address, group['portals'])) or 'none'}"


def _lun(lun: Object, found: Object) -> str:
    there = ", ".join(initiators_of(lun, [found])) or "nobody"
    return f"{lun['friendlyName'] or lun['id']}: {size(lun['size'])}, {lun['status']}, {there} connected"
