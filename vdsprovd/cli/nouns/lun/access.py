"""`vdsprovctl lun mask`, `associate`, `dissociate`: who reaches a LUN, and through what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vdsprovd.cli import views
from vdsprovd.cli.nouns.lun.noun import NAMED, lun, title
from vdsprovd.cli.objects import LUN, TARGET, Named, Object, find, find_all
from vdsprovd.cli.output import json_option, tell
from vdsprovd.cli.session import Session

if TYPE_CHECKING:
    from vdsprovd.client import Client

mask = lun.noun("mask", "Who may reach a LUN: the initiators of its unmasking list.")


@mask.verb("show", "show the mask of LUN {lun}")
@click.argument("lun", type=NAMED)
@views.options
@click.pass_obj
def show(session: Session, how: views.How, lun: str) -> None:
    """Print who may reach a LUN, an iSCSI name a line; * stands for the initiators of the daemon's host.

    --json prints an array of the names.
    """

    def read(client: Client) -> list[str]:
        return _names(find(client, LUN, lun)["unmaskingList"])

    views.show(session, how, read, _shown, about=("lun",))


@mask.verb("set", "set the mask of LUN {lun}", "Lun.SetMask")
@click.argument("lun", type=NAMED)
@click.argument("initiators", nargs=-1, metavar="[IQN]...")
@click.option("--nobody", is_flag=True, help="Let nobody reach it.")
@json_option("an array of the initiators")
@click.pass_obj
def set_(session: Session, lun: str, initiators: tuple[str, ...], nobody: bool, as_json: bool) -> None:
    """Let these initiators reach a LUN, and nobody else.

    '*' (in quotes) alone stands for the initiators of the daemon's host. Those that lose the LUN notice at once, those that
    gain it after a rescan.
    """
    if nobody == bool(initiators):
        raise click.UsageError("name initiators, or give --nobody")
    _set(session.client, find(session.client, LUN, lun), list(initiators), as_json)


@mask.verb("add", "add to the mask of LUN {lun}", "Lun.SetMask")
@click.argument("lun", type=NAMED)
@click.argument("initiators", nargs=-1, required=True, metavar="IQN...")
@json_option("an array of the initiators")
@click.pass_obj
def add(session: Session, lun: str, initiators: tuple[str, ...], as_json: bool) -> None:
    """Let these initiators reach a LUN, too."""
    entry = _fresh(session.client, lun)
    _set(session.client, entry, [*_names(entry["unmaskingList"]), *initiators], as_json)


@mask.verb("remove", "remove from the mask of LUN {lun}", "Lun.SetMask")
@click.argument("lun", type=NAMED)
@click.argument("initiators", nargs=-1, required=True, metavar="IQN...")
@json_option("an array of the initiators")
@click.pass_obj
def remove(session: Session, lun: str, initiators: tuple[str, ...], as_json: bool) -> None:
    """Let these initiators reach a LUN no longer."""
    entry = _fresh(session.client, lun)
    there = _names(entry["unmaskingList"])
    unwanted = {name.lower() for name in initiators}
    if missing := unwanted.difference(there):
        raise click.UsageError(f"not in the mask of {title(entry)}: {', '.join(sorted(missing))}")
    _set(session.client, entry, [name for name in there if name not in unwanted], as_json)


@lun.verb(
    "associate",
    "associate LUN {lun} with target {targets}",
    "IscsiTarget.GetProperties",
    "LunIscsi.QueryAssociatedTargets",
    "LunIscsi.AssociateTargets",
)
@click.argument("lun", type=NAMED)
@click.argument("targets", type=Named(TARGET), nargs=-1, required=True, metavar="TARGET...")
@json_option("an array of the targets")
@click.pass_obj
def associate(session: Session, lun: str, targets: tuple[str, ...], as_json: bool) -> None:
    """Let a LUN be reached through these targets, too. Initiators see it after a rescan."""
    client = session.client
    entry, more = find(client, LUN, lun), find_all(client, TARGET, targets)
    there = client.query("LunIscsi.QueryAssociatedTargets", id=entry["id"])
    _associate(client, entry, list({target["id"]: target for target in [*there, *more]}.values()), as_json)


@lun.verb(
    "dissociate",
    "dissociate LUN {lun}",
    "IscsiTarget.GetProperties",
    "LunIscsi.QueryAssociatedTargets",
    "LunIscsi.AssociateTargets",
)
@click.argument("lun", type=NAMED)
@click.argument("targets", type=Named(TARGET), nargs=-1, metavar="[TARGET]...")
@click.option("--all", "all_", is_flag=True, help="From all targets.")
@json_option("an array of the targets")
@click.pass_obj
def dissociate(session: Session, lun: str, targets: tuple[str, ...], all_: bool, as_json: bool) -> None:
    """Let a LUN be reached no longer through these targets. Its data and its mask stay."""
    if all_ == bool(targets):
        raise click.UsageError("name targets, or give --all")
    client = session.client
    entry = find(client, LUN, lun)
    there = client.query("LunIscsi.QueryAssociatedTargets", id=entry["id"])
    unwanted = {target["id"]: target for target in (there if all_ else find_all(client, TARGET, targets))}
    if missing := [target["iscsiName"] for id, target in unwanted.items() if id not in [kept["id"] for kept in there]]:
        raise click.UsageError(f"{title(entry)} is not associated with {', '.join(missing)}")
    _associate(client, entry, [target for target in there if target["id"] not in unwanted], as_json)


def _fresh(client: Client, text: str) -> Object:
    """The LUN as it is now. SetMask replaces the list, so that as little time as possible is to pass since it was read."""
    properties: Object = client.call("Lun.GetProperties", id=find(client, LUN, text)["id"])["properties"]
    return properties


def _set(client: Client, entry: Object, names: list[str], as_json: bool) -> None:
    client.call("Lun.SetMask", id=entry["id"], unmaskingList=";".join(names))
    # The daemon brings names into their normal form.
    _tell(client.call("Lun.GetProperties", id=entry["id"])["properties"]["unmaskingList"], as_json)


def _names(unmasking_list: str) -> list[str]:
    return [name for name in unmasking_list.split(";") if name]


def _tell(unmasking_list: str, as_json: bool) -> None:
    names = _names(unmasking_list)
    tell(_shown(names), names, as_json)


def _shown(names: list[str]) -> str:
    return "\n".join(names) or "nobody"


def _associate(client: Client, entry: Object, targets: list[Object], as_json: bool) -> None:
    client.call("LunIscsi.AssociateTargets", id=entry["id"], targetIds=[target["id"] for target in targets])
    through = ", ".join(target["iscsiName"] for target in targets) or "no target"
    tell(f"{title(entry)} is reached through {through}.", targets, as_json)
