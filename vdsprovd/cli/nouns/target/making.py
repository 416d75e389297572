"""`vdsprovctl target create`, `delete`, `rename`."""

from __future__ import annotations

import click

from vdsprovd.cli import destroying, errors, waiting
from vdsprovd.cli.nouns.target.noun import NAMED, target, title
from vdsprovd.cli.objects import PORTAL, SUBSYSTEM, TARGET, Named, Object, find_all, only
from vdsprovd.cli.output import counted, json_option, tell
from vdsprovd.cli.session import Session
from vdsprovd.cli.states import add_rename

ALL = "all"


@target.verb(
    "create",
    "create the target",
    "Provisioning.CreateTargets",
    "Async.Wait",
    "IscsiTarget.GetProperties",
)
@click.argument("iqn", nargs=-1, metavar="[IQN]...")
@click.option("--name", help="Its name for people, which initiators see at login.")
@click.option(
    "--portal",
    "portals",
    type=Named(PORTAL, ALL),
    multiple=True,
    help=('Let it be reached at this address; "all" for all that there are. Can be given several times.'),
)
@click.option("--subsystem", type=Named(SUBSYSTEM), help="Where there are several.")
@waiting.no_wait_option
@json_option("the target's properties, or an array of them for several targets,")
@click.pass_obj
def create(
    session: Session,
    iqn: tuple[str, ...],
    name: str | None,
    portals: tuple[str, ...],
    subsystem: str | None,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Create a target with that iSCSI name, with several IQNs one for each, all of them or none; without an IQN, a name is
    generated.

    Portals get a portal group of the new target. Nobody can log in before a CHAP secret is set: vdsprovctl target chap.
    """
    if name is not None and len(iqn) > 1:
        raise click.UsageError("--name does not go with several IQNs")
    client = session.client
    where = only(client, SUBSYSTEM, subsystem, "--subsystem")
    reached = _portals(session, where, portals)
    new = {"friendlyName": name or "", "portalIds": [portal["id"] for portal in reached]}
    targets = [{**new, "iscsiName": one} for one in iqn] or [new]
    reply = client.call("Provisioning.CreateTargets", id=where["id"], targets=targets)
    if no_wait:
        waiting.left_running(reply["async"], as_json)
        return
    waiting.wait(
        session, reply["async"], f"creating {'the target' if len(targets) == 1 else counted(len(targets), 'target')}"
    )
    made = [session.client.call("IscsiTarget.GetProperties", id=id)["properties"] for id in reply["objects"]]
    text = "\n".join(f"Created {title(entry)} with {counted(len(reached), 'portal')}." for entry in made)
    tell(text, made[0] if len(made) == 1 else made, as_json)


def _portals(session: Session, sub_system: Object, texts: tuple[str, ...]) -> list[Object]:
    if texts == (ALL,):
        return session.client.portals(sub_system["id"])
    return find_all(session.client, PORTAL, texts)


@target.verb(
    "delete",
    "delete target {targets}",
    "IscsiTarget.GetProperties",
    "IscsiTarget.QueryAssociatedLuns",
    "IscsiTarget.GetConnectedInitiators",
    "IscsiTarget.QueryPortalGroups",
    "IscsiTarget.Delete",
    "Async.Wait",
)
@click.argument("targets", type=NAMED, nargs=-1, required=True, metavar="TARGET...")
@destroying.options
@click.pass_obj
def delete(session: Session, targets: tuple[str, ...], consent: destroying.Consent) -> None:
    """Delete targets with their portal groups and CHAP secrets; refused while LUNs are associated."""
    client = session.client
    found = find_all(client, TARGET, targets)
    losses = [_loss(session, entry) for entry in found] if consent.asks else []
    if not consent.given(f"delete {title(found[0]) if len(found) == 1 else counted(len(found), 'target')}", losses):
        return
    for entry in found:
        with errors.cannot(f"delete {title(entry)}"):
            operation = session.client.call("IscsiTarget.Delete", id=entry["id"])["async"]
            waiting.wait(session, operation, f"deleting {entry['iscsiName']}")
        if not consent.as_json:
            click.echo(f"Deleted {title(entry)}.")
    if consent.as_json:
        tell("", {"deleted": [entry["id"] for entry in found]}, as_json=True)


def _loss(session: Session, entry: Object) -> str:
    client = session.client
    luns = [lun["friendlyName"] or lun["id"] for lun in client.luns_of_target(entry["id"])]
    there = client.connected_initiators(entry["id"])
    return (
        f"{entry['iscsiName']}: {counted(len(client.portal_groups(entry['id'])), 'portal group')}, "
        f"LUNs: {', '.join(luns) or 'none'}, connected now: {', '.join(there) or 'nobody'}"
    )


add_rename(
    target,
    TARGET,
    "IscsiTarget",
    title,
    "Call a target by another NAME for people, which initiators see at their next login. Its iSCSI name stays for life.",
)
