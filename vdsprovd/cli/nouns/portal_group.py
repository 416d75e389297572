"""`vdsprovctl portal-group`: the portals through which a target can be logged in to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from vdsprovd.cli import destroying, errors, views, waiting
from vdsprovd.cli.objects import (
    PORTAL,
    TARGET,
    Named,
    Naming,
    Object,
    address,
    choose,
    find,
    find_all,
    is_id,
)
from vdsprovd.cli.output import counted, fields, json_option, tell
from vdsprovd.cli.queries import unless_deleted
from vdsprovd.cli.session import Session
from vdsprovd.cli.verbs import Noun

if TYPE_CHECKING:
    from vdsprovd.client import Client

portal_group = Noun("portal-group", help="Portal groups: the portals through which a target can be logged in to.")

_PORTALS = "IscsiPortalGroup.QueryAssociatedPortals"
_ABOUT = ("portal_group", "portal", "target")


class _NamedGroup(Naming):
    """A portal group: TARGET:TAG, its id, or TARGET alone if that has one group."""

    name = "portal group"
    calls = (*TARGET.lists, "IscsiTarget.QueryPortalGroups", "IscsiPortalGroup.GetProperties")

    def candidates(self, client: Client) -> Iterable[tuple[str, str]]:
        for target in TARGET.listing(client):
            for group in unless_deleted(client.portal_groups, target["id"]) or ():
                yield f"{target['iscsiName']}:{group['tag']}", group["id"]


GROUP = _NamedGroup()


def find_group(client: Client, text: str) -> Object:
    """The properties of the portal group that is meant. Raises `Failure`."""
    if is_id(text):
        properties: Object = client.call("IscsiPortalGroup.GetProperties", id=text)["properties"]
        return properties
    targets = TARGET.listing(client)
    name, _, tag = text.rpartition(":")
    # A target's name may well end like a tag; it goes first then.
    if not tag.isdecimal() or not name or any(text in TARGET.names(target) for target in targets):
        name, tag = text, ""
    target = choose(TARGET, targets, name)
    groups = client.portal_groups(target["id"])
    found = [group for group in groups if not tag or group["tag"] == int(tag)]
    if len(found) == 1:
        return found[0]
    tags = ", ".join(str(group["tag"]) for group in groups)
    if not found:
        there = f"its groups are {tags}" if groups else "it has none"
        raise errors.Failure(
            f"target {target['iscsiName']} has no portal group {tag}".rstrip() + f"; {there}", errors.NOT_FOUND
        )
    raise errors.Failure(
        f"target {target['iscsiName']} has several portal groups: {tags}; write {text}:TAG", errors.USAGE
    )


@portal_group.verb("list", "list the portal groups", *TARGET.lists, "IscsiTarget.QueryPortalGroups", _PORTALS)
@click.argument("target", type=Named(TARGET), required=False)
@views.options
@click.pass_obj
def list_(session: Session, how: views.How, target: str | None) -> None:
    """List the portal groups of a target, or of all.

    --json adds to the API's properties: target (id and iscsiName) and portals.
    """

    def read(client: Client) -> list[Object]:
        targets = TARGET.listing(client) if target is None else [find(client, TARGET, target)]
        return [
            group | {"target": {"id": entry["id"], "iscsiName": entry["iscsiName"]}, "portals": portals}
            for entry in sorted(targets, key=lambda entry: str(entry["iscsiName"]))
            for group in unless_deleted(client.portal_groups, entry["id"]) or ()
            if (portals := unless_deleted(client.portals_of_group, group["id"])) is not None
        ]

    def render(found: list[Object]) -> str:
        if not found:
            return "No portal groups. Create one: vdsprovctl portal-group create TARGET --portal ADDRESS"
        from vdsprovd.cli.tables import Column, id_column, table  # rich takes longer than a list

        return table(
            [
                Column("TARGET", lambda group: group["target"]["iscsiName"], cut=True),
                Column("TAG", lambda group: group["tag"], right=True),
                id_column(how.long, spare=True),
                Column("PORTALS", lambda group: [address(portal) for portal in group["portals"]], cut=True),
                Column("DEVIATION", lambda group: group["deviation"], cut=True),
            ],
            found,
            whole=how.long,
        )

    views.show(session, how, read, render, about=_ABOUT)


@portal_group.verb(
    "show",
    "show portal group {group}",
    "IscsiPortalGroup.GetTarget",
    "IscsiTarget.GetProperties",
    "IscsiTarget.GetConnectedInitiators",
    _PORTALS,
)
@click.argument("group", type=GROUP)
@views.options
@click.pass_obj
def show(session: Session, how: views.How, group: str) -> None:
    """Show a portal group. PORTAL-GROUP is TARGET:TAG, its id, or TARGET alone if that has one group.

    --json adds to the API's properties: target (as the API gives it) and portals.
    """

    def read(client: Client) -> Object:
        found = find_group(client, group)
        return found | {"target": _target(client, found), "portals": client.portals_of_group(found["id"])}

    def render(found: Object) -> str:
        return fields(
            ("Target", found["target"]["iscsiName"]),
            ("Tag", found["tag"]),
            ("Id", found["id"]),
            ("Deviation", found["deviation"]),
            ("Portals", [f"{address(portal)} {portal['status']}" for portal in found["portals"]] or "none"),
        )

    views.show(session, how, read, render, about=_ABOUT)


@portal_group.verb(
    "create",
    "create a portal group of target {target}",
    "IscsiTarget.CreatePortalGroup",
    "IscsiPortalGroup.AddPortal",
    "Async.Wait",
    "IscsiPortalGroup.GetProperties",
)
@click.argument("target", type=Named(TARGET))
@click.option("--portal", "portals", type=Named(PORTAL), multiple=True, help="Put this portal into it.")
@waiting.no_wait_option
@json_option("the portal group's properties")
@click.pass_obj
def create(session: Session, target: str, portals: tuple[str, ...], no_wait: bool, as_json: bool) -> None:
    """Create a portal group of a target. The daemon chooses its tag.

    A target with 64 groups gets no more: one that there is is shown then, with a warning.
    """
    if no_wait and portals:
        raise click.UsageError("--no-wait does not go with --portal, which comes when the group is there")
    client = session.client
    entry, inside = find(client, TARGET, target), find_all(client, PORTAL, portals)
    reply = client.call("IscsiTarget.CreatePortalGroup", id=entry["id"])
    if reply["hresult"]:
        errors.warn(f"target {entry['iscsiName']} has as many portal groups as it can have; this is one of them")
    if no_wait:
        waiting.left_running(reply["async"], as_json)
        return
    id = waiting.wait(session, reply["async"], "creating the portal group")["object"]
    made = session.client.call("IscsiPortalGroup.GetProperties", id=id)["properties"]
    with errors.cannot(f"finish portal group {entry['iscsiName']}:{made['tag']}, which was created"):
        for portal in inside:
            _move(session, "IscsiPortalGroup.AddPortal", id, portal)
    tell(
        f"Created portal group {entry['iscsiName']}:{made['tag']} with {counted(len(inside), 'portal')}.", made, as_json
    )


@portal_group.verb(
    "delete",
    "delete portal group {group}",
    "IscsiPortalGroup.GetTarget",
    "IscsiTarget.GetProperties",
    "IscsiTarget.GetConnectedInitiators",
    _PORTALS,
    "IscsiPortalGroup.RemovePortal",
    "IscsiPortalGroup.Delete",
    "Async.Wait",
)
@click.argument("group", type=GROUP)
@click.option("--with-portals", is_flag=True, help="Take its portals out first, which ends the sessions through them.")
@destroying.options
@click.pass_obj
def delete(session: Session, group: str, with_portals: bool, consent: destroying.Consent) -> None:
    """Delete a portal group; refused while portals are in it."""
    client = session.client
    found = find_group(client, group)
    target = _target(client, found)
    portals = client.portals_of_group(found["id"])
    name = f"{target['iscsiName']}:{found['tag']}"
    there = ", ".join(map(address, portals)) or "none"
    losses = [f"portals: {there}", *_connected(client, target)] if consent.asks else []
    if not consent.given(f"delete portal group {name}", losses):
        return
    for portal in portals if with_portals else ():
        _move(session, "IscsiPortalGroup.RemovePortal", found["id"], portal)
    operation = session.client.call("IscsiPortalGroup.Delete", id=found["id"])["async"]
    waiting.wait(session, operation, "deleting the portal group")
    tell(f"Deleted portal group {name}.", {"deleted": [found["id"]]}, consent.as_json)


@portal_group.verb(
    "add-portal", "add a portal to portal group {group}", "IscsiPortalGroup.AddPortal", "Async.Wait", _PORTALS
)
@click.argument("group", type=GROUP)
@click.argument("portals", type=Named(PORTAL), nargs=-1, required=True, metavar="PORTAL...")
@json_option("an array of the group's portals")
@click.pass_obj
def add_portal(session: Session, group: str, portals: tuple[str, ...], as_json: bool) -> None:
    """Let a target be reached at these portals. PORTAL-GROUP is TARGET:TAG, or TARGET alone if that has one group."""
    found, inside = find_group(session.client, group), find_all(session.client, PORTAL, portals)
    for portal in inside:
        with errors.cannot(f"add portal {address(portal)} to portal group {group}"):
            _move(session, "IscsiPortalGroup.AddPortal", found["id"], portal)
    _tell(session, found, as_json)


@portal_group.verb(
    "remove-portal",
    "take a portal out of portal group {group}",
    "IscsiPortalGroup.RemovePortal",
    "IscsiPortalGroup.GetTarget",
    "IscsiTarget.GetProperties",
    "IscsiTarget.GetConnectedInitiators",
    "Async.Wait",
    _PORTALS,
)
@click.argument("group", type=GROUP)
@click.argument("portals", type=Named(PORTAL), nargs=-1, required=True, metavar="PORTAL...")
@destroying.options
@click.pass_obj
def remove_portal(session: Session, group: str, portals: tuple[str, ...], consent: destroying.Consent) -> None:
    """Let a target be reached at these portals no longer, which ends the sessions through them."""
    client = session.client
    found, outside = find_group(client, group), find_all(client, PORTAL, portals)
    losses = _connected(client, _target(client, found)) if consent.asks else []
    if not consent.given(f"end the sessions through {', '.join(map(address, outside))}", losses):
        return
    for portal in outside:
        with errors.cannot(f"take portal {address(portal)} out of portal group {group}"):
            _move(session, "IscsiPortalGroup.RemovePortal", found["id"], portal)
    _tell(session, found, consent.as_json)


def _target(client: Client, group: Object) -> Object:
    id = client.call("IscsiPortalGroup.GetTarget", id=group["id"])["target"]
    properties: Object = client.call("IscsiTarget.GetProperties", id=id)["properties"]
    return properties


def _connected(client: Client, target: Object) -> list[str]:
    there = client.connected_initiators(target["id"])
    return [f"connected to {target['iscsiName']} now: {', '.join(there) or 'nobody'}"]


def _move(session: Session, method: str, group: str, portal: Object) -> None:
    operation = session.client.call(method, id=group, portalId=portal["id"])["async"]
    waiting.wait(session, operation, address(portal))


def _tell(session: Session, group: Object, as_json: bool) -> None:
    portals = session.client.portals_of_group(group["id"])
    there = ", ".join(map(address, portals)) or "none"
    tell(f"The portals of the group are now: {there}.", portals, as_json)
