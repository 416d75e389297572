"""`vdsprovctl controller`: the host as a node that serves LUNs, and its ports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vdsprovd.cli import destroying, maintenance, views
from vdsprovd.cli.objects import CONTROLLER, Named, Object, find, sub_system, with_sub_system, within_option
from vdsprovd.cli.output import fields
from vdsprovd.cli.session import Session
from vdsprovd.cli.states import add_status, tell_state
from vdsprovd.cli.verbs import Noun

if TYPE_CHECKING:
    from vdsprovd.client import Client

controller = Noun("controller", help="Controllers: the host as a node that serves LUNs.")

NAMED = Named(CONTROLLER)

_SESSIONS = (
    "Controller.GetSubSystem",
    "SubSystem.GetProperties",
    "SubSystemIscsi.QueryTargets",
    "IscsiTarget.GetConnectedInitiators",
)
_ABOUT = ("controller", "port", "sub_system")


@controller.verb("list", "list the controllers", *CONTROLLER.lists)
@within_option
@views.options
@click.pass_obj
def list_(session: Session, how: views.How, subsystem: str | None) -> None:
    """List the controllers: one for each subsystem, which is this host.

    --json adds to the API's properties: subSystem (id and friendlyName).
    """

    def read(client: Client) -> list[Object]:
        return CONTROLLER.listing(client, sub_system(client, subsystem))

    def render(found: list[Object]) -> str:
        from vdsprovd.cli.tables import Column, id_column, sub_system_column, table  # as for LUNs

        return table(
            [
                Column("NAME", lambda entry: entry["friendlyName"], cut=True),
                id_column(how.long),
                Column("STATUS", lambda entry: entry["status"]),
                Column("HEALTH", lambda entry: entry["health"]),
                Column("PORTS", lambda entry: entry["numberOfPorts"], right=True),
                *sub_system_column(found),
            ],
            found,
            whole=how.long,
        )

    views.show(session, how, read, render, about=_ABOUT)


@controller.verb(
    "show",
    "show controller {controller}",
    "Controller.GetSubSystem",
    "SubSystem.GetProperties",
    "ControllerControllerPort.QueryControllerPorts",
    "Controller.QueryAssociatedLuns",
)
@click.argument("controller", type=NAMED)
@views.options
@click.pass_obj
def show(session: Session, how: views.How, controller: str) -> None:
    """Show a controller, its ports, and for how many LUNs it is active.

    --json adds to the API's properties: subSystem (id and friendlyName), ports and luns, as the API gives them.
    """

    def read(client: Client) -> Object:
        found = with_sub_system(client, "Controller", find(client, CONTROLLER, controller))
        return found | {
            "ports": client.query("ControllerControllerPort.QueryControllerPorts", id=found["id"]),
            "luns": client.query("Controller.QueryAssociatedLuns", id=found["id"]),
        }

    def render(found: Object) -> str:
        return fields(
            ("Name", found["friendlyName"]),
            ("Id", found["id"]),
            ("Identification", found["identification"]),
            ("Subsystem", found["subSystem"]["friendlyName"]),
            ("Status", found["status"]),
            ("Health", found["health"]),
            ("Ports", [f"{port['friendlyName'] or port['id']}: {port['status']}" for port in found["ports"]]),
            ("Active for", f"{len(found['luns'])} LUNs"),
        )

    views.show(session, how, read, render, about=_ABOUT)


@controller.verb("flush", "flush controller {controller}", "Controller.FlushCache")
@click.argument("controller", type=NAMED)
@click.pass_obj
def flush(session: Session, controller: str) -> None:
    """Write what the host has cached to its disks.

    LUNs are write-through: nothing that an initiator was told is written depends on it.
    """
    entry = find(session.client, CONTROLLER, controller)
    session.client.call("Controller.FlushCache", id=entry["id"])
    click.echo(f"Controller {CONTROLLER.name(entry)} has written what it had cached.")


@controller.verb("drop-cache", "drop what controller {controller} has cached", "Controller.InvalidateCache")
@click.argument("controller", type=NAMED)
@click.pass_obj
def drop_cache(session: Session, controller: str) -> None:
    """Drop what the host has cached of LUNs. Nothing is lost: what is not on the disks yet is written first."""
    entry = find(session.client, CONTROLLER, controller)
    session.client.call("Controller.InvalidateCache", id=entry["id"])
    click.echo(f"Controller {CONTROLLER.name(entry)} has dropped what it had cached.")


@controller.verb("reset", "reset controller {controller}", *_SESSIONS, "Controller.Reset")
@click.argument("controller", type=NAMED)
@destroying.options
@click.pass_obj
def reset(session: Session, controller: str, consent: destroying.Consent) -> None:
    """End every session with a subsystem's targets, which initiators then make anew, and drop what is cached."""
    entry = find(session.client, CONTROLLER, controller)
    if consent.given(
        f"end all sessions by resetting controller {CONTROLLER.name(entry)}", _losses(session, entry, consent)
    ):
        session.client.call("Controller.Reset", id=entry["id"])
        tell_state(session.client, CONTROLLER, entry["id"], _title, consent.as_json)


@controller.verb("offline", "set controller {controller} offline", *_SESSIONS, "Controller.SetStatus")
@click.argument("controller", type=NAMED)
@destroying.options
@click.pass_obj
def offline(session: Session, controller: str, consent: destroying.Consent) -> None:
    """Let no LUN of the subsystem be reached through the controller, which ends the sessions."""
    entry = find(session.client, CONTROLLER, controller)
    if consent.given(f"set controller {CONTROLLER.name(entry)} offline", _losses(session, entry, consent)):
        session.client.call("Controller.SetStatus", id=entry["id"], status="offline")
        tell_state(session.client, CONTROLLER, entry["id"], _title, consent.as_json)


def _losses(session: Session, entry: Object, consent: destroying.Consent) -> list[str]:
    if not consent.asks:
        return []
    where = with_sub_system(session.client, "Controller", entry)["subSystem"]["id"]
    return destroying.sessions(session.client, where)


def _title(entry: Object) -> str:
    return f"controller {CONTROLLER.name(entry)}"


maintenance.add_ping(controller, CONTROLLER)
add_status(controller, CONTROLLER, "online", _title, "Let LUNs be reached again after the controller was set offline.")
