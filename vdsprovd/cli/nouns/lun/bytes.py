"""`vdsprovctl lun create`, `delete`, `extend`, `shrink`, `resize`: what changes a LUN's bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from vdsprovd.cli import destroying, errors, waiting
from vdsprovd.cli.hints import parsed
from vdsprovd.cli.nouns.lun.noun import NAMED, lun, title
from vdsprovd.cli.objects import DRIVE, LUN, POOL, SUBSYSTEM, TARGET, Named, Object, find, find_all, only
from vdsprovd.cli.output import counted, json_option, tell
from vdsprovd.cli.queries import connected, initiators_of
from vdsprovd.cli.session import Session
from vdsprovd.cli.sizes import MAX, SizeType, size

if TYPE_CHECKING:
    from vdsprovd.client import Client

TYPES: Final = (
    "default",
    "fault_tolerant",
    "non_fault_tolerant",
    "simple",
    "span",
    "stripe",
    "mirror",
    "parity",
    "raid5",
    "raid6",
    "raid10",
)

_type = click.option(
    "--type",
    "type_",
    type=click.Choice(TYPES),
    metavar="TYPE",
    default="default",
    show_default=True,
    help=f"VDS's type of LUN: {', '.join(TYPES)}. The first three leave the choice to the daemon.",
)


@lun.verb(
    "create",
    "create the LUN",
    "HwProviderStoragePools.QueryMaxLunCreateSizeInStoragePool",
    "SubSystem2.QueryMaxLunCreateSize2",
    "Provisioning.CreateLuns",
    "Async.Wait",
    "Lun.GetProperties",
)
@click.argument("name", nargs=-1, metavar="[NAME]...")
@click.option("-s", "--size", "wanted", type=SizeType(max=True), required=True, help='Such as 10G, or "max".')
@click.option("--count", type=click.IntRange(1), metavar="N", help="Create so many LUNs without names.")
@click.option("--pool", type=Named(POOL), help="The pool for its bytes; without it, the roomiest that can hold it.")
@click.option("--subsystem", type=Named(SUBSYSTEM), help="Where there are several.")
@_type
@click.option("--drive", "drives", type=Named(DRIVE), multiple=True, help="Use these drives, in their order.")
@click.option(
    "--hint", "hints", multiple=True, metavar="KEY=VALUE", help="A hint for the daemon's choice; see hint set."
)
@click.option("--target", "targets", type=Named(TARGET), multiple=True, help="Let it be reached through this target.")
@click.option(
    "--initiator",
    "initiators",
    multiple=True,
    metavar="IQN",
    help=("Let this initiator reach it; * stands for those of the daemon's host. Without it, nobody does."),
)
@waiting.no_wait_option
@json_option("the LUN's properties, or an array of them for several LUNs,")
@click.pass_obj
def create(
    session: Session,
    name: tuple[str, ...],
    wanted: int,
    count: int | None,
    pool: str | None,
    subsystem: str | None,
    type_: str,
    drives: tuple[str, ...],
    hints: tuple[str, ...],
    targets: tuple[str, ...],
    initiators: tuple[str, ...],
    no_wait: bool,
    as_json: bool,
) -> None:
    """Create a LUN of at least that size, called NAME; with several NAMEs one for each, all of them or none.

    10G and 10GiB are 10 * 1024^3 bytes, 10GB are 10 * 1000^3; "max" takes all there is room for. TARGETs and INITIATORs
    are options that can be given several times. One command makes up to 1,000 LUNs.

    \b
    Examples:
      vdsprovctl lun create web0 --size 10G --pool vg0 --target web \\
        --initiator iqn.1993-08.org.debian:01:host1
      vdsprovctl lun create db log --size 2T --type mirror --target db
      vdsprovctl lun create --size max --type fault_tolerant
    """
    if name and count:
        raise click.UsageError("--count does not go with NAMEs, which say how many LUNs there are to be")
    if wanted == MAX and (count or len(name)) > 1:
        raise click.UsageError("only one LUN can have all that there is room for")
    if pool and drives:
        raise click.UsageError("--pool does not go with --drive")
    client = session.client
    # Everything that can be wrong is looked up first: a mistake is to leave no LUN behind.
    through = find_all(client, TARGET, targets)
    place = _place(client, pool, subsystem, find_all(client, DRIVE, drives))
    new = {**place.fields, "type": type_, "unmaskingList": ";".join(initiators)}
    if hints:
        new["hints2"] = parsed(hints)
    if wanted == MAX:
        wanted = client.call(place.largest, type=type_, **place.query, **_only(new, "hints2"))["maxLunSize"]
    new |= {"sizeInBytes": wanted, "targetIds": [target["id"] for target in through]}
    luns = [{**new, "friendlyName": one} for one in name] or [new] * (count or 1)
    reply = client.call("Provisioning.CreateLuns", id=place.subsystem, luns=luns)
    if no_wait:
        waiting.left_running(reply["async"], as_json)
        return
    doing = f"creating {f'LUN {name[0]}' if len(name) == 1 else counted(len(luns), 'LUN')}"
    waiting.wait(session, reply["async"], doing, wanted * len(luns))
    made = [session.client.call("Lun.GetProperties", id=id)["properties"] for id in reply["objects"]]
    text = "\n".join(f"Created {title(entry)}: {size(entry['size'])}, {entry['type']}." for entry in made)
    tell(text, made[0] if len(made) == 1 else made, as_json)


class _Place(NamedTuple):
    """Where LUNs are to be: their subsystem, what a new one says of it, and how it is asked how large one can be there."""

    subsystem: str
    fields: dict[str, Any]
    largest: str
    query: dict[str, Any]


def _place(client: Client, pool: str | None, subsystem: str | None, drives: list[Object]) -> _Place:
    if pool is not None:
        within = find(client, SUBSYSTEM, subsystem)["id"] if subsystem else None
        (there,) = find_all(client, POOL, [pool], within)
        if within not in (None, there["subSystem"]):
            raise click.UsageError(f"pool {there['name']} ({there['id']}) is not one of that subsystem")
        fields = {"storagePoolId": there["id"]}
        largest = "HwProviderStoragePools.QueryMaxLunCreateSizeInStoragePool"
        return _Place(there["subSystem"], fields, largest, fields)
    where = only(client, SUBSYSTEM, subsystem, "--subsystem")["id"]
    chosen = {"driveIds": [drive["id"] for drive in drives]} if drives else {}
    return _Place(where, chosen, "SubSystem2.QueryMaxLunCreateSize2", {"id": where, **chosen})


def _only(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: fields[name] for name in names if name in fields}


@lun.verb(
    "delete",
    "delete LUN {luns}",
    "Lun.GetProperties",
    "LunIscsi.QueryAssociatedTargets",
    "IscsiTarget.GetConnectedInitiators",
    "Lun.Delete",
)
@click.argument("luns", type=NAMED, nargs=-1, required=True, metavar="LUN...")
@destroying.options
@click.pass_obj
def delete(session: Session, luns: tuple[str, ...], consent: destroying.Consent) -> None:
    """Delete LUNs with all their data. Their associations end, and initiators lose the disk."""
    client = session.client
    found = find_all(client, LUN, luns)
    losses = [_loss(client, entry) for entry in found] if consent.asks else []
    if not consent.given(
        f"delete {title(found[0]) if len(found) == 1 else counted(len(found), 'LUN')}, with all data", losses
    ):
        return
    for entry in found:
        with errors.cannot(f"delete {title(entry)}"):
            client.call("Lun.Delete", id=entry["id"])
        if not consent.as_json:
            click.echo(f"Deleted {title(entry)}.")
    if consent.as_json:
        tell("", {"deleted": [entry["id"] for entry in found]}, as_json=True)


def _loss(client: Client, entry: Object) -> str:
    targets = connected(client, client.query("LunIscsi.QueryAssociatedTargets", id=entry["id"]))
    there = initiators_of(entry, targets)
    through = ", ".join(target["iscsiName"] for target in targets) or "no target"
    return (
        f"{entry['friendlyName'] or entry['id']}: {size(entry['size'])}, reached through {through}, "
        f"connected now: {', '.join(there) or 'nobody'}"
    )


@lun.verb(
    "extend",
    "extend LUN {lun}",
    "Lun.GetProperties",
    "Lun.QueryMaxLunExtendSize",
    "Lun.Extend",
    "Async.Wait",
)
@click.argument("lun", type=NAMED)
@click.option("--by", type=SizeType(max=True), required=True, help='How much larger, such as 10G, or "max".')
@click.option("--drive", "drives", type=Named(DRIVE), multiple=True, help="Use these drives, in their order.")
@waiting.no_wait_option
@json_option("the LUN's properties")
@click.pass_obj
def extend(session: Session, lun: str, by: int, drives: tuple[str, ...], no_wait: bool, as_json: bool) -> None:
    """Make a LUN larger by at least so much. New bytes read as zeros; initiators see them after a rescan."""
    client = session.client
    entry = find(client, LUN, lun)
    ids = [drive["id"] for drive in find_all(client, DRIVE, drives)] or None
    if by == MAX:
        by = client.call("Lun.QueryMaxLunExtendSize", id=entry["id"], driveIds=ids)["maxBytesToBeAdded"]
    _extend(session, entry, by, ids, no_wait, as_json)


def _extend(session: Session, entry: Object, by: int, drives: list[str] | None, no_wait: bool, as_json: bool) -> None:
    reply = session.client.call("Lun.Extend", id=entry["id"], numberOfBytesToAdd=by, driveIds=drives)
    _changed(session, entry, reply["async"], "extending", by, no_wait, as_json)


def _changed(
    session: Session, entry: Object, operation: str, doing: str, by: int, no_wait: bool, as_json: bool
) -> None:
    if no_wait:
        waiting.left_running(operation, as_json)
        return
    waiting.wait(session, operation, f"{doing} {entry['friendlyName'] or entry['id']}", by)
    now = session.client.call("Lun.GetProperties", id=entry["id"])["properties"]
    tell(f"{title(now)} has {size(now['size'])} now; it had {size(entry['size'])}.", now, as_json)


@lun.verb(
    "shrink",
    "shrink LUN {lun}",
    "Lun.GetProperties",
    "LunIscsi.QueryAssociatedTargets",
    "IscsiTarget.GetConnectedInitiators",
    "Lun.Shrink",
    "Async.Wait",
)
@click.argument("lun", type=NAMED)
@click.option("--by", type=SizeType(), required=True, help="How much smaller at most, such as 10G.")
@waiting.no_wait_option
@destroying.options
@click.pass_obj
def shrink(session: Session, lun: str, by: int, no_wait: bool, consent: destroying.Consent) -> None:
    """Cut so much, or somewhat less, from the end of a LUN. What is there is lost."""
    _shrink(session, find(session.client, LUN, lun), by, no_wait, consent)


def _shrink(session: Session, entry: Object, by: int, no_wait: bool, consent: destroying.Consent) -> None:
    losses = [_loss(session.client, entry)] if consent.asks else []
    if not consent.given(f"cut {size(by)} from the end of {title(entry)}, with all data there", losses):
        return
    reply = session.client.call("Lun.Shrink", id=entry["id"], numberOfBytesToRemove=by)
    _changed(session, entry, reply["async"], "shrinking", by, no_wait, consent.as_json)


@lun.verb(
    "resize",
    "resize LUN {lun}",
    "Lun.GetProperties",
    "LunIscsi.QueryAssociatedTargets",
    "IscsiTarget.GetConnectedInitiators",
    "Lun.Extend",
    "Lun.Shrink",
    "Async.Wait",
)
@click.argument("lun", type=NAMED)
@click.option("-s", "--size", "wanted", type=SizeType(), required=True, help="The size it is to have, such as 20G.")
@waiting.no_wait_option
@destroying.options
@click.pass_obj
def resize(session: Session, lun: str, wanted: int, no_wait: bool, consent: destroying.Consent) -> None:
    """Extend or shrink a LUN to at least that size. Only what makes it smaller needs to be confirmed."""
    entry = find(session.client, LUN, lun)
    by = wanted - entry["size"]
    if by < 0:
        _shrink(session, entry, -by, no_wait, consent)
    elif consent.dry_run:
        consent.given(f"extend {title(entry)} by {size(by)}" if by else f"leave {title(entry)} as it is", [])
    elif by:
        _extend(session, entry, by, None, no_wait, consent.as_json)
    else:
        tell(f"{title(entry)} has {size(wanted)} already.", entry, consent.as_json)
