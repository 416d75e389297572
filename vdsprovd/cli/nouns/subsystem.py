"""`vdsprovctl subsystem`: this host's storage, or one part of it, with pools, LUNs, targets and portals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vdsprovd.cli import destroying, maintenance, views
from vdsprovd.cli.objects import SUBSYSTEM, Named, Object, find
from vdsprovd.cli.output import fields, json_option
from vdsprovd.cli.queries import import_target
from vdsprovd.cli.session import Session
from vdsprovd.cli.sizes import size
from vdsprovd.cli.states import add_rename, add_status, tell_state
from vdsprovd.cli.verbs import Noun

if TYPE_CHECKING:
    from vdsprovd.client import Client

subsystem = Noun("subsystem", help="Subsystems: a storage host, or one part of it.")

NAMED = Named(SUBSYSTEM)

_CONTENTS = ("SubSystem.QueryLuns", "SubSystemIscsi.QueryTargets", "SubSystemImportTarget.GetImportTarget")
_ABOUT = ("sub_system", "lun", "target")


@subsystem.verb("list", "list the subsystems", *SUBSYSTEM.lists, *_CONTENTS)
@views.options
@click.pass_obj
def list_(session: Session, how: views.How) -> None:
    """List the subsystems, with the import target of the daemon's host at each.

    An import target is a name only: that of a target that was deleted stays, and is warned of.

    --json adds to the API's properties: lunCount, targetCount, importTarget (null where none is set) and
    importTargetDangles (whether the subsystem has no target of that name).
    """

    def read(client: Client) -> list[Object]:
        return [entry | _contents(client, entry["id"]) for entry in client.subsystems()]

    def render(found: list[Object]) -> str:
        if not found:
            return "No subsystems. Add a table [[subsystem]] to /etc/vdsprovd/vdsprovd.toml and reload vdsprovd."
        from vdsprovd.cli.tables import Column, id_column, table  # rich takes longer than a list

        return table(
            [
                Column("NAME", lambda entry: entry["friendlyName"], cut=True),
                id_column(how.long),
                Column("STATUS", lambda entry: entry["status"]),
                Column("HEALTH", lambda entry: entry["health"]),
                Column("LUNS", lambda entry: entry["lunCount"], right=True),
                Column("TARGETS", lambda entry: entry["targetCount"], right=True),
                Column("IMPORT TARGET", _import_target, cut=True),
            ],
            found,
            whole=how.long,
        )

    views.show(session, how, read, render, about=_ABOUT)


@subsystem.verb(
    "show",
    "show subsystem {subsystem}",
    "SubSystem.GetProperties",
    "SubSystem2.GetProperties2",
    "SubSystem2.QueryMaxLunCreateSize2",
    "SubSystemInterconnect.GetSupportedInterconnects",
    *_CONTENTS,
)
@click.argument("subsystem", type=NAMED)
@views.options
@click.pass_obj
def show(session: Session, how: views.How, subsystem: str) -> None:
    """Show a subsystem: its state and what it can do.

    --json adds to the properties of SubSystem2.GetProperties2: interconnects, maxLunSize (of type default, in bytes) and
    the keys that list adds.
    """

    def read(client: Client) -> Object:
        id = find(client, SUBSYSTEM, subsystem)["id"]
        found: Object = client.call("SubSystem2.GetProperties2", id=id)["properties"]
        connects = client.call("SubSystemInterconnect.GetSupportedInterconnects", id=id)
        largest = client.call("SubSystem2.QueryMaxLunCreateSize2", id=id, type="default")["maxLunSize"]
        more = {"interconnects": connects["supportedInterconnectsFlag"], "maxLunSize": largest}
        return found | more | _contents(client, id)

    def render(found: Object) -> str:
        return fields(
            ("Name", found["friendlyName"]),
            ("Id", found["id"]),
            ("Identification", found["identification"]),
            ("Status", found["status"]),
            ("Health", found["health"]),
            ("LUNs", found["lunCount"]),
            ("Targets", found["targetCount"]),
            ("Import target", _import_target(found)),
            ("Largest new LUN", size(found["maxLunSize"])),
            ("Interconnects", ", ".join(found["interconnects"])),
            ("Enclosures", found["numberOfEnclosures"]),
            ("Can do", found["flags"]),
            ("RAID types", ", ".join(found["supportedRaidTypeFlags"])),
        )

    views.show(session, how, read, render, about=_ABOUT)


@subsystem.verb("rescan", "rescan subsystem {subsystem}", "SubSystem.Reenumerate")
@click.argument("subsystem", type=NAMED)
@json_option("the subsystem's properties")
@click.pass_obj
def rescan(session: Session, subsystem: str, as_json: bool) -> None:
    """Look for what was added, removed, broken or mended: pools, volumes, addresses."""
    entry = find(session.client, SUBSYSTEM, subsystem)
    session.client.call("SubSystem.Reenumerate", id=entry["id"])
    tell_state(session.client, SUBSYSTEM, entry["id"], _title, as_json)


@subsystem.verb(
    "offline",
    "set subsystem {subsystem} offline",
    "SubSystemIscsi.QueryTargets",
    "IscsiTarget.GetConnectedInitiators",
    "SubSystem.SetStatus",
)
@click.argument("subsystem", type=NAMED)
@destroying.options
@click.pass_obj
def offline(session: Session, subsystem: str, consent: destroying.Consent) -> None:
    """Close all portal groups of a subsystem, which ends all sessions with it."""
    client = session.client
    entry = find(client, SUBSYSTEM, subsystem)
    losses = destroying.sessions(client, entry["id"]) if consent.asks else []
    if consent.given(f"set {_title(entry)} offline", losses):
        client.call("SubSystem.SetStatus", id=entry["id"], status="offline")
        tell_state(client, SUBSYSTEM, entry["id"], _title, consent.as_json)


def _title(entry: Object) -> str:
    return f"subsystem {entry['friendlyName']} ({entry['id']})"


def _contents(client: Client, id: str) -> Object:
    targets = client.targets(id)
    name = import_target(client, id)
    return {
        "lunCount": len(client.luns(id)),
        "targetCount": len(targets),
        "importTarget": name,
        "importTargetDangles": name is not None and name not in [target["iscsiName"] for target in targets],
    }


def _import_target(entry: Object) -> str:
    name: str = entry["importTarget"] or "none"
    return f"WARNING dangling: {name}" if entry["importTargetDangles"] else name


maintenance.add_lights(subsystem, SUBSYSTEM)
add_rename(subsystem, SUBSYSTEM, "SubSystemNaming", _title, "Call a subsystem by another NAME. Its id stays for life.")
add_status(subsystem, SUBSYSTEM, "online", _title, "Let a subsystem be reached again after it was set offline.")
