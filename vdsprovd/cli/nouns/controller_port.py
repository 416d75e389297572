"""`vdsprovctl controller-port`: the ports of controllers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from vdsprovd.cli import destroying, views
from vdsprovd.cli.objects import CONTROLLER, Kind, Named, Object, find, sub_system, with_sub_system, within_option
from vdsprovd.cli.output import fields
from vdsprovd.cli.session import Session
from vdsprovd.cli.states import add_status, tell_state
from vdsprovd.cli.verbs import Noun

if TYPE_CHECKING:
    from vdsprovd.client import Client


@dataclass(frozen=True)
class _OfControllers(Kind):
    """Ports are listed by controller."""

    @property
    def lists(self) -> tuple[str, ...]:
        return (*CONTROLLER.lists, self.query)

    def listing(self, client: Client, within: str | None = None) -> list[Object]:
        return [
            entry | {"controller": {"id": owner["id"], "friendlyName": owner["friendlyName"]}}
            for owner in CONTROLLER.listing(client, within)
            for entry in client.query(self.query, id=owner["id"])
        ]


PORT: Final = _OfControllers(
    "controller port",
    "ControllerPort",
    "ControllerControllerPort.QueryControllerPorts",
    lambda entry: (entry["friendlyName"],),
    "vdsprovctl controller-port list",
)

controller_port = Noun("controller-port", help="Ports of controllers: each has one, with all portals.")

NAMED = Named(PORT)

_SESSIONS = (
    "ControllerPort.GetController",
    "Controller.GetSubSystem",
    "SubSystem.GetProperties",
    "SubSystemIscsi.QueryTargets",
    "IscsiTarget.GetConnectedInitiators",
)
_ABOUT = ("port", "controller")


@controller_port.verb("list", "list the controller ports", *PORT.lists)
@within_option
@views.options
@click.pass_obj
def list_(session: Session, how: views.How, subsystem: str | None) -> None:
    """List the ports of controllers.

    --json adds to the API's properties: controller (id and friendlyName).
    """

    def read(client: Client) -> list[Object]:
        return PORT.listing(client, sub_system(client, subsystem))

    def render(found: list[Object]) -> str:
        from vdsprovd.cli.tables import Column, id_column, table  # as for LUNs

        return table(
            [
                Column("NAME", lambda entry: entry["friendlyName"], cut=True),
                id_column(how.long),
                Column("STATUS", lambda entry: entry["status"]),
                Column("CONTROLLER", lambda entry: entry["controller"]["friendlyName"], cut=True),
            ],
            found,
            whole=how.long,
        )

    views.show(session, how, read, render, about=_ABOUT)


@controller_port.verb(
    "show", "show controller port {port}", "ControllerPort.GetController", "ControllerPort.QueryAssociatedLuns"
)
@click.argument("port", type=NAMED)
@views.options
@click.pass_obj
def show(session: Session, how: views.How, port: str) -> None:
    """Show a port, and for how many LUNs it is active.

    --json adds to the API's properties: controller (its id) and luns, as the API gives them.
    """

    def read(client: Client) -> Object:
        found = find(client, PORT, port)
        return found | {
            "controller": client.call("ControllerPort.GetController", id=found["id"])["controller"],
            "luns": client.query("ControllerPort.QueryAssociatedLuns", id=found["id"]),
        }

    def render(found: Object) -> str:
        return fields(
            ("Name", found["friendlyName"]),
            ("Id", found["id"]),
            ("Identification", found["identification"]),
            ("Status", found["status"]),
            ("Controller", found["controller"]),
            ("Active for", f"{len(found['luns'])} LUNs"),
        )

    views.show(session, how, read, render, about=_ABOUT)


@controller_port.verb("reset", "reset controller port {port}", *_SESSIONS, "ControllerPort.Reset")
@click.argument("port", type=NAMED)
@destroying.options
@click.pass_obj
def reset(session: Session, port: str, consent: destroying.Consent) -> None:
    """End every session through a port; initiators log in again by themselves."""
    entry = find(session.client, PORT, port)
    if consent.given(f"end all sessions through controller port {PORT.name(entry)}", _losses(session, entry, consent)):
        session.client.call("ControllerPort.Reset", id=entry["id"])
        tell_state(session.client, PORT, entry["id"], _title, consent.as_json)


@controller_port.verb("offline", "set controller port {port} offline", *_SESSIONS, "ControllerPort.SetStatus")
@click.argument("port", type=NAMED)
@destroying.options
@click.pass_obj
def offline(session: Session, port: str, consent: destroying.Consent) -> None:
    """Let no LUN be reached through a port, which ends the sessions."""
    entry = find(session.client, PORT, port)
    if consent.given(f"set controller port {PORT.name(entry)} offline", _losses(session, entry, consent)):
        session.client.call("ControllerPort.SetStatus", id=entry["id"], status="offline")
        tell_state(session.client, PORT, entry["id"], _title, consent.as_json)


def _losses(session: Session, entry: Object, consent: destroying.Consent) -> list[str]:
    if not consent.asks:
        return []
    client = session.client
    owner = client.call("ControllerPort.GetController", id=entry["id"])["controller"]
    return destroying.sessions(client, with_sub_system(client, "Controller", {"id": owner})["subSystem"]["id"])


def _title(entry: Object) -> str:
    return f"controller port {PORT.name(entry)}"


add_status(
    controller_port, PORT, "online", _title, "Let LUNs be reached again after the controller port was set offline."
)
