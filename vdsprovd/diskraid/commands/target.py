"""Targets, portal groups, portals, and the import target."""

from typing import Final

from vdsprovd.diskraid import values
from vdsprovd.diskraid.commands.looking import import_target
from vdsprovd.diskraid.grammar import Form, Given, Parameter
from vdsprovd.diskraid.session import Session
from vdsprovd.hresult import Hresult

_PORTAL: Final = Parameter("tportal", values.number, "<n>", "the target portal's number", required=True)


def _create(session: Session, given: Given) -> None:
    reply = session.client.call(
        "SubSystemIscsi.CreateTarget",
        id=session.focus.require("subsystem"),
        friendlyName=given.get("name"),
        iscsiName=given.get("iscsiname"),
    )
    target = session.wait(reply["async"])["object"]
    number = session.focus.add("target", target)
    name = session.properties("IscsiTarget", target)["iscsiName"]
    session.say("", f"Target {number} ({name}) was created and is now the selected target.")


def _create_group(session: Session, _: Given) -> None:
    reply = session.client.call("IscsiTarget.CreatePortalGroup", id=session.focus.require("target"))
    group = session.wait(reply["async"])["object"]
    number = session.focus.add("tpgroup", group)
    if reply["hresult"] == Hresult.VDS_S_ALREADY_EXISTS:
        session.say(
            "", f"The target can have no more: portal group {number}, which was there, is now the selected one."
        )
    else:
        session.say("", f"Portal Group {number} was created and is now the selected portal group.")


def _delete(session: Session, given: Given) -> None:
    word = given.words[1]
    id = session.focus.require(word)
    number = session.focus.number(word, id)
    interface, title = {"target": ("IscsiTarget", "Target"), "tpgroup": ("IscsiPortalGroup", "Portal Group")}[word]
    session.wait(session.client.call(f"{interface}.Delete", id=id)["async"])
    session.focus.forget(id)
    session.say("", f"{title} {number} was deleted.")


def _add_portal(session: Session, given: Given) -> None:
    group = session.focus.require("tpgroup")
    portal = session.focus.at("tportal", given.get("tportal"))
    session.wait(session.client.call("IscsiPortalGroup.AddPortal", id=group, portalId=portal)["async"])
    session.say("", f"Target Portal {given.get('tportal')} was added to the selected portal group.")


def _remove_portal(session: Session, given: Given) -> None:
    group = session.focus.require("tpgroup")
    portal = session.focus.at("tportal", given.get("tportal"))
    session.wait(session.client.call("IscsiPortalGroup.RemovePortal", id=group, portalId=portal)["async"])
    session.say("", f"Target Portal {given.get('tportal')} was removed from the selected portal group.")


def _show_import_target(session: Session, _: Given) -> None:
    session.say("", f"VSS import target: {import_target(session, session.focus.require('subsystem'))}")


def _set_import_target(session: Session, _: Given) -> None:
    sub_system = session.focus.require("subsystem")
    name = session.properties("IscsiTarget", session.focus.require("target"))["iscsiName"]
    session.client.call("SubSystemImportTarget.SetImportTarget", id=sub_system, iscsiName=name)
    session.say("", f"The VSS import target is now {name}.")


FORMS: Final = (
    Form(
        ("add", "tpgroup"),
        _add_portal,
        "Adds a target portal to the selected portal group.",
        calls="IscsiPortalGroup.AddPortal",
        parameters=(_PORTAL,),
        noerr=True,
    ),
    Form(
        ("create", "target"),
        _create,
        "Creates an iSCSI target on the selected subsystem, and selects it. It has no portal group yet.",
        calls="SubSystemIscsi.CreateTarget",
        parameters=(
            Parameter("name", str, "<name>", "the friendly name, in quotes where it has blanks", required=True),
            Parameter("iscsiname", str, "<iscsiname>", "the iSCSI name; the daemon makes one if left out"),
        ),
        noerr=True,
    ),
    Form(
        ("create", "tpgroup"),
        _create_group,
        "Creates a portal group on the selected target, and selects it.",
        calls="IscsiTarget.CreatePortalGroup",
        noerr=True,
    ),
    Form(
        ("delete", "target"),
        _delete,
        "Deletes the selected target, with its portal groups. No LUN may be associated with it.",
        calls="IscsiTarget.Delete",
        noerr=True,
    ),
    Form(
        ("delete", "tpgroup"),
        _delete,
        "Deletes the selected portal group. No portal may be in it.",
        calls="IscsiPortalGroup.Delete",
        noerr=True,
    ),
    Form(
        ("importtarget", "subsystem"),
        _show_import_target,
        "Shows the import target of the selected subsystem: what VSS attaches imported snapshots to.",
        calls="SubSystemImportTarget.GetImportTarget",
    ),
    Form(
        ("importtarget", "subsystem", "set", "target"),
        _set_import_target,
        "Makes the selected target the import target of the selected subsystem.",
        calls="SubSystemImportTarget.SetImportTarget",
        difference="It is that of the daemon's host; `vdsprovctl import-target set --computer NAME` sets that of others, and clears it.",
    ),
    Form(
        ("remove", "tpgroup"),
        _remove_portal,
        "Removes a target portal from the selected portal group.",
        calls="IscsiPortalGroup.RemovePortal",
        parameters=(_PORTAL,),
        noerr=True,
    ),
)
