"""ASSOCIATE and DISSOCIATE: which targets a LUN has, and which controllers and ports are active for it.

The API sets whole lists. So ADD and DISSOCIATE read the list, change it and set it.
"""

from collections.abc import Sequence
from typing import Final

from vdsprovd.diskraid import values
from vdsprovd.diskraid.commands.looking import all_ports
from vdsprovd.diskraid.grammar import Flag, Form, Given, Operand
from vdsprovd.diskraid.session import Session


def _changed(given: Given, present: Sequence[str], named: Sequence[str]) -> list[str]:
    """The new list: with, without, or nothing but those that are named."""
    if given.words[0] == "dissociate":
        return [id for id in present if id not in named]
    return list(dict.fromkeys([*(present if "add" in given.flags else ()), *named]))


def _targets(session: Session, given: Given) -> None:
    lun = session.focus.require("lun")
    named = [session.focus.at("target", number) for number in given.operand]
    present = [target["id"] for target in session.client.query("LunIscsi.QueryAssociatedTargets", id=lun)]
    wanted = _changed(given, present, named)
    session.client.call("LunIscsi.AssociateTargets", id=lun, targetIds=wanted)
    shown = ", ".join(session.called("target", id) for id in wanted) or "none"
    session.say("", "Target associations changed.", f"(Targets associated after this command: {shown})")


def _controllers(session: Session, given: Given) -> None:
    lun = session.focus.require("lun")
    named = [session.focus.at("controller", number) for number in given.operand]
    present = [entry["id"] for entry in session.client.query("Lun.QueryActiveControllers", id=lun)]
    active = _changed(given, present, named)
    there = [
        entry["id"]
        for entry in session.client.query("SubSystem.QueryControllers", id=session.focus.require("subsystem"))
    ]
    session.client.call(
        "Lun.AssociateControllers",
        id=lun,
        activeControllerIds=active,
        inactiveControllerIds=[id for id in there if id not in active],
    )
    shown = ", ".join(f"Ctlr {session.focus.number('controller', id)}" for id in active) or "none"
    session.say("", "Controller associations changed.", f"(Controllers active after this command: {shown})")


def _ports(session: Session, given: Given) -> None:
    lun = session.focus.require("lun")
    named = [
        session.focus.at("port", port, inside=session.focus.at("controller", controller))
        for controller, port in given.operand
    ]
    present = [entry["id"] for entry in session.client.query("LunControllerPorts.QueryActiveControllerPorts", id=lun)]
    active = _changed(given, present, named)
    there = all_ports(session)
    session.client.call(
        "LunControllerPorts.AssociateControllerPorts",
        id=lun,
        activeControllerPortIds=active,
        inactiveControllerPortIds=[id for id in there if id not in active],
    )
    shown = ", ".join(there.get(id, id) for id in active) or "none"
    session.say("", "Controller port associations changed.", f"(Controller ports active after this command: {shown})")


_ADD: Final = Flag("add", "keep those that there are", early=True)
_NUMBERS: Final = Operand(values.numbers, "<n>[,<n>[,...]]", "their numbers", required=True)
_PORTS: Final = Operand(
    values.pairs, "<n-m>[,<n-m>[,...]]", "numbers of controllers, each with that of one of its ports", required=True
)

FORMS: Final = (
    Form(
        ("associate", "controllers"),
        _controllers,
        "Makes these controllers, and no others, active for the selected LUN; with ADD these as well.",
        calls="Lun.AssociateControllers",
        operand=_NUMBERS,
        flags=(_ADD,),
    ),
    Form(
        ("associate", "ports"),
        _ports,
        "Makes these controller ports, and no others, active for the selected LUN; with ADD these as well.",
        calls="LunControllerPorts.AssociateControllerPorts",
        operand=_PORTS,
        flags=(_ADD,),
    ),
    Form(
        ("associate", "targets"),
        _targets,
        "Associates the selected LUN with these targets and no others; with ADD with these as well.",
        calls="LunIscsi.AssociateTargets",
        operand=_NUMBERS,
        flags=(_ADD,),
    ),
    Form(
        ("dissociate", "controllers"),
        _controllers,
        "Makes these controllers inactive for the selected LUN.",
        calls="Lun.AssociateControllers",
        operand=_NUMBERS,
    ),
    Form(
        ("dissociate", "ports"),
        _ports,
        "Makes these controller ports inactive for the selected LUN.",
        calls="LunControllerPorts.AssociateControllerPorts",
        operand=_PORTS,
    ),
    Form(
        ("dissociate", "targets"),
        _targets,
        "Dissociates the selected LUN from these targets.",
        calls="LunIscsi.AssociateTargets",
        operand=_NUMBERS,
    ),
)
