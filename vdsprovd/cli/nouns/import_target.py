"""`vdsprovctl import-target`: the target to which snapshots that a computer imports are attached."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vdsprovd.cli import errors, views
from vdsprovd.cli.objects import SUBSYSTEM, Named, Object, only
from vdsprovd.cli.output import json_option, tell
from vdsprovd.cli.session import Session
from vdsprovd.cli.verbs import Noun

if TYPE_CHECKING:
    from vdsprovd.client import Client

import_target = Noun("import-target", help="Import targets: where snapshots are attached that a computer imports.")

_subsystem = click.option("--subsystem", type=Named(SUBSYSTEM), help="Where there are several.")
_computer = click.option(
    "--computer", metavar="NAME", help="The computer whose import target it is (default: the daemon's host)."
)
_SHOWS = (*SUBSYSTEM.lists, "SubSystemImportTarget.GetImportTarget", "SubSystemIscsi.QueryTargets")


@import_target.verb("show", "show the import target", *_SHOWS)
@_subsystem
@_computer
@views.options
@click.pass_obj
def show(session: Session, how: views.How, subsystem: str | None, computer: str | None) -> None:
    """Print the iSCSI name of the import target; fails where none is set.

    A name that no target of the subsystem has is warned of: it dangles. Nobody is told when an import target is set: --watch
    shows another one when a target changes.

    --json prints the iSCSI name, and whether it dangles.
    """
    entry = only(session.client, SUBSYSTEM, subsystem, "--subsystem")

    def render(found: Object) -> str:
        _warn(entry, found)
        return str(found["iscsiName"])

    views.show(session, how, lambda client: _read(client, entry, computer), render, about=("target",))


@import_target.verb("set", "set the import target", *_SHOWS, "SubSystemImportTarget.SetImportTarget")
@click.argument("iqn")
@_subsystem
@_computer
@json_option("the iSCSI name, and whether it dangles,")
@click.pass_obj
def set_(session: Session, iqn: str, subsystem: str | None, computer: str | None, as_json: bool) -> None:
    """Make the target of that iSCSI name the import target.

    It is a name only: there need not be such a target yet, which is warned of.
    """
    if not iqn:
        raise click.UsageError("an iSCSI name is needed; to have no import target: vdsprovctl import-target clear")
    entry = only(session.client, SUBSYSTEM, subsystem, "--subsystem")
    _set(session.client, entry, iqn, computer)
    # Read after it was set: the daemon brings names into their normal form.
    _show(session.client, entry, computer, as_json)


@import_target.verb("clear", "clear the import target", "SubSystemImportTarget.SetImportTarget")
@_subsystem
@_computer
@click.pass_obj
def clear(session: Session, subsystem: str | None, computer: str | None) -> None:
    """Have no import target."""
    entry = only(session.client, SUBSYSTEM, subsystem, "--subsystem")
    _set(session.client, entry, None, computer)
    whose = f" for {computer}" if computer else ""
    click.echo(f"Subsystem {entry['friendlyName']} has no import target{whose}.")


def _set(client: Client, entry: Object, iqn: str | None, computer: str | None) -> None:
    client.call("SubSystemImportTarget.SetImportTarget", id=entry["id"], iscsiName=iqn, computer=computer)


def _show(client: Client, entry: Object, computer: str | None, as_json: bool) -> None:
    found = _read(client, entry, computer)
    tell(found["iscsiName"], found, as_json)
    _warn(entry, found)


def _read(client: Client, entry: Object, computer: str | None) -> Object:
    name = client.call("SubSystemImportTarget.GetImportTarget", id=entry["id"], computer=computer)["iscsiName"]
    return {"iscsiName": name, "dangles": name not in [target["iscsiName"] for target in client.targets(entry["id"])]}


def _warn(entry: Object, found: Object) -> None:
    if found["dangles"]:
        errors.warn(
            f"the import target of subsystem {entry['friendlyName']} dangles: it has no target {found['iscsiName']}; "
            "create that target, or set another: vdsprovctl import-target set IQN"
        )
