"""DETAIL: all about the selected object."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from vdsprovd.diskraid import host, layout
from vdsprovd.diskraid.grammar import Flag, Form, Given
from vdsprovd.diskraid.hints import shown
from vdsprovd.diskraid.kinds import Object, address, free
from vdsprovd.diskraid.layout import exact_size, words, yes
from vdsprovd.diskraid.problems import NotSelected
from vdsprovd.diskraid.session import Session
from vdsprovd.hresult import Hresult, VdsError

Entry = tuple[str, object]

_NO_ENCLOSURE: Final = 0xFFFFFFFF
"""VDS's way to say that a drive is in none."""


def _detail(session: Session, given: Given) -> None:
    word = given.words[1]
    id = session.focus.require(word)
    entries = list(_DETAILS[word](session, id))
    if "verbose" in given.flags and word == "lun":
        entries += _verbose(session, id)
    session.say("", session.called(word, id), "", *layout.details(entries))


def _hba_port(session: Session, id: str) -> Iterator[Entry]:
    port = _found(host.hba_ports(session, ""), id)
    yield "Name", port["id"]
    yield "Status", port["status"]
    yield "Node WWN", port["nodeWwn"]
    yield "Port WWN", port["portWwn"]


def _adapter(session: Session, id: str) -> Iterator[Entry]:
    adapter = _found(host.adapters(session, ""), id)
    yield "Name", adapter["id"]
    yield "Transport", adapter["transport"]
    yield "Network interface", adapter["interface"] or "any"
    yield "Initiator name", host.initiator_name()


def _initiator_portal(session: Session, id: str) -> Iterator[Entry]:
    portal = _found(host.portals(session, session.focus.require("iadapter")), id)
    yield "Address", portal["address"]
    yield "Network interface", portal["interface"]


def _found(objects: list[Object], id: str) -> Object:
    for entry in objects:
        if entry["id"] == id:
            return entry
    raise NotSelected("what was selected is not on this host any more")


def _provider(session: Session, _: str) -> Iterator[Entry]:
    provider = session.client.call("Provider.GetProperties")["properties"]
    versions = session.client.call("ProviderSupport.GetVersionSupport")["versionSupport"]
    yield "Name", provider["name"]
    yield "Id", provider["id"]
    yield "Type", words(provider["type"])
    yield "Version", provider["version"]
    yield "VDS versions", ", ".join(version.removeprefix("v").replace("_", ".") for version in versions)


def _sub_system(session: Session, id: str) -> Iterator[Entry]:
    found = session.properties("SubSystem", id)
    yield "Name", found["friendlyName"]
    yield "Id", id
    yield "Identification", found["identification"]
    yield from _state(found)
    yield "Internal buses", found["numberOfInternalBuses"]
    yield "Flags", _list(found["flags"])
    yield "Import target", import_target(session, id)


def import_target(session: Session, sub_system: str) -> str:
    """The import target of the daemon's host, for people."""
    try:
        return session.client.import_target(sub_system) or "none"
    except VdsError as error:
        if error.code is not Hresult.VDS_E_NOT_SUPPORTED:
            raise
        return "not supported"


def _controller(session: Session, id: str) -> Iterator[Entry]:
    found = session.properties("Controller", id)
    yield "Name", found["friendlyName"]
    yield "Id", id
    yield "Identification", found["identification"]
    yield from _state(found)
    yield "Ports", found["numberOfPorts"]
    yield "LUNs", _luns(session, session.client.query("Controller.QueryAssociatedLuns", id=id))


def _port(session: Session, id: str) -> Iterator[Entry]:
    found = session.properties("ControllerPort", id)
    yield "Name", found["friendlyName"]
    yield "Id", id
    yield "Identification", found["identification"]
    yield "Status", words(found["status"])
    yield "LUNs", _luns(session, session.client.query("ControllerPort.QueryAssociatedLuns", id=id))


def _drive(session: Session, id: str) -> Iterator[Entry]:
    found = session.client.call("Drive2.GetProperties2", id=id)["properties"]
    yield "Name", found["friendlyName"]
    yield "Id", id
    yield "Serial number", found["identification"]
    yield from _state(found)
    yield "Size", exact_size(found["size"])
    extents = session.client.query("Drive.QueryExtents", id=id)
    yield "Free", exact_size(free(extents))
    yield "Bus", found["internalBusNumber"]
    yield "Slot", found["slotNumber"]
    enclosure = found["enclosureNumber"]
    yield "Enclosure", "none" if enclosure == _NO_ENCLOSURE else enclosure
    yield "Bus type", words(found["busType"])
    yield "Flags", _list(found["flags"])
    used: dict[str, int] = {}
    for extent in extents:
        if extent["lunId"]:
            used[extent["lunId"]] = used.get(extent["lunId"], 0) + extent["size"]
    yield "LUNs", [f"{session.called('lun', lun)} ({layout.size(bytes)})" for lun, bytes in used.items()]


def _lun(session: Session, id: str) -> Iterator[Entry]:
    found = session.properties("Lun", id)
    yield "Name", found["friendlyName"]
    yield "Id", id
    yield "Identification", found["identification"]
    yield "Type", words(found["type"])
    yield from _state(found)
    yield "State", words(found["transitionState"])
    yield from _reasons(found)
    yield "Size", exact_size(found["size"])
    yield "LUN number", session.client.call("LunNumber.GetLunNumber", id=id)["lunNumber"]
    yield "Flags", _list(found["flags"])
    # A star alone is all hosts, as in DiskRAID.
    yield "Unmasked hosts", found["unmaskingList"].split(";") if found["unmaskingList"] else "none"
    targets = session.client.query("LunIscsi.QueryAssociatedTargets", id=id)
    yield "Targets", [f"{session.called('target', entry['id'])} ({entry['iscsiName']})" for entry in targets]
    yield "Drives", _drives_of(session, id)


def _drives_of(session: Session, lun: str) -> list[str]:
    drives: dict[str, int] = {}
    for plex in session.client.query("Lun.QueryPlexes", id=lun):
        for extent in session.client.query("LunPlex.QueryExtents", id=plex["id"]):
            drives[extent["id"]] = drives.get(extent["id"], 0) + extent["size"]
    return [f"{session.called('drive', drive)} ({layout.size(bytes)})" for drive, bytes in drives.items()]


def _verbose(session: Session, id: str) -> Iterator[Entry]:
    active = session.client.query("LunControllerPorts.QueryActiveControllerPorts", id=id)
    ports = all_ports(session)
    yield "Ports", [ports.get(port["id"], port["friendlyName"]) for port in active]
    for number, plex in enumerate(session.client.query("Lun.QueryPlexes", id=id)):
        stripe = f", stripes of {layout.size(plex['stripeSize'])}" if plex["stripeSize"] else ""
        yield (
            f"Plex {number}",
            f"{words(plex['type'])}, {words(plex['status'])}, {words(plex['health'])}, {layout.size(plex['size'])}{stripe}",
        )
    policy = session.client.call("LunMpio.GetLoadBalancePolicy", id=id)["policy"]
    yield "Load balance policy", words(policy)
    for number, path in enumerate(session.client.query("LunMpio.GetPathInfo", id=id)):
        yield (
            f"Path {number}",
            f"{words(path['status'])}, from {path['initiatorPortalIpAddr']['textAddress'] or 'unknown'}",
        )
    hints = session.client.call("Lun.QueryHints", id=id)["hints"]
    yield "Hints", ", ".join(shown({name: value for name, value in hints.items() if value})) or "none"


def all_ports(session: Session) -> dict[str, str]:
    """The selected subsystem's controller ports, and what DiskRAID calls them: Ctlr 0 Port 1."""
    found = {}
    sub_system = session.focus.require("subsystem")
    for controller in session.client.query("SubSystem.QueryControllers", id=sub_system):
        id = controller["id"]
        for port in session.client.query("ControllerControllerPort.QueryControllerPorts", id=id):
            numbers = session.focus.number("controller", id), session.focus.number("port", port["id"], inside=id)
            found[port["id"]] = f"Ctlr {numbers[0]} Port {numbers[1]}"
    return found


def _target_portal(session: Session, id: str) -> Iterator[Entry]:
    found = session.properties("IscsiPortal", id)
    yield "Address", address(found)
    yield "Id", id
    yield "Status", words(found["status"])
    yield from _reasons(found)


def _target(session: Session, id: str) -> Iterator[Entry]:
    found = session.properties("IscsiTarget", id)
    yield "Name", found["friendlyName"]
    yield "Id", id
    yield "iSCSI name", found["iscsiName"]
    yield "CHAP", yes(found["chapEnabled"])
    yield from _reasons(found)
    yield "Portal groups", [f"tag {group['tag']}" for group in session.client.portal_groups(id)]
    yield "LUNs", _luns(session, session.client.luns_of_target(id))
    yield "Initiators", session.client.connected_initiators(id)


def _portal_group(session: Session, id: str) -> Iterator[Entry]:
    found = session.properties("IscsiPortalGroup", id)
    yield "Tag", found["tag"]
    yield "Id", id
    yield from _reasons(found)
    portals = session.client.portals_of_group(id)
    yield "Target portals", [f"{session.called('tportal', entry['id'])} ({address(entry)})" for entry in portals]


def _state(found: Object) -> Iterator[Entry]:
    yield "Status", words(found["status"])
    yield "Health", words(found["health"])


def _reasons(found: Object) -> Iterator[Entry]:
    """What the daemon tells beside VDS's properties, where there is something to tell."""
    for key in ("reason", "deviation"):
        if found.get(key):
            yield key.title(), found[key]


def _list(flags: list[str]) -> str:
    return ", ".join(map(words, flags)) or "none"


def _luns(session: Session, luns: list[Object]) -> list[str]:
    return [session.called("lun", lun["id"]) for lun in luns]


_DETAILS: Final[Mapping[str, Callable[[Session, str], Iterator[Entry]]]] = {
    "hbaport": _hba_port,
    "iadapter": _adapter,
    "iportal": _initiator_portal,
    "provider": _provider,
    "subsystem": _sub_system,
    "controller": _controller,
    "port": _port,
    "drive": _drive,
    "lun": _lun,
    "tportal": _target_portal,
    "target": _target,
    "tpgroup": _portal_group,
}

FORMS: Final = (
    Form(
        ("detail", tuple(_DETAILS)),
        _detail,
        "Shows all about the selected object of a kind. An unmasked host * is all hosts.",
        calls="GetProperties, and the Query methods of what belongs to the object",
        flags=(
            Flag("verbose", "of a LUN: also its ports, plexes, paths and hints, with the numbers of plexes and paths"),
        ),
    ),
)
