"""INITIATOR, LOGIN, LOGOUT: this host's open-iscsi."""

from pathlib import Path
from typing import Final

from vdsprovd.diskraid import host, layout, records, values
from vdsprovd.diskraid.commands.chap import ways_to
from vdsprovd.diskraid.grammar import Flag, Form, Given, Parameter
from vdsprovd.diskraid.problems import HostFailed, NotSelected
from vdsprovd.diskraid.records import Way
from vdsprovd.diskraid.session import Session

_SESSIONS: Final = Path("/sys/class/iscsi_session")
_STARTUP: Final = {"manual": "manual", "persistent": "automatic", "boot": "onboot"}
_CHAP: Final = ("none", "oneway", "mutual")
_BOUND: Final = "vdsprovctl-"
"""How the interfaces of open-iscsi are called that IPORTAL= makes, bound to the address's network interface."""


def _show(session: Session, _: Given) -> None:
    session.say(
        "",
        *layout.details(
            [
                ("Initiator name", host.initiator_name()),
                ("Adapters", [adapter["id"] for adapter in host.adapters(session, "")]),
                ("Sessions", [name for name, _, _ in _sessions()] or "none"),
            ]
        ),
    )


def _login(session: Session, given: Given) -> None:
    target = session.focus.require("target")
    adapter = session.focus.at("iadapter", given.get("iadapter"))
    if "ips" in given.flags:
        raise HostFailed("IPS: IPsec is not supported (VDS_E_NOT_SUPPORTED 0x80042400)")
    name = str(session.properties("IscsiTarget", target)["iscsiName"])
    interface = _interface(session, adapter, given)
    way = _way(session, given, target, name, interface)
    file = records.ensure(way)
    records.write(file, _settings(session, given, name, records.read(file)))
    host.iscsiadm(*way.node, "--login")
    session.say("", f"Logged in to {name} through {way.address}:{way.port}.")


def _way(session: Session, given: Given, target: str, name: str, interface: str) -> Way:
    ways = ways_to(session, target, name, interface)
    if not ways:
        raise NotSelected("the selected target has no portal: ADD TPGROUP first")
    number = given.get("tportal")
    if number is None:
        return ways[0]
    portal = session.properties("IscsiPortal", session.focus.at("tportal", number))["address"]
    for way in ways:
        if (way.address, way.port) == (portal["textAddress"], portal["port"]):
            return way
    raise NotSelected(f"Target Portal {number} is in no portal group of the selected target")


def _interface(session: Session, adapter: str, given: Given) -> str:
    """The open-iscsi interface to log in with: the adapter, or one that is bound to where IPORTAL= is."""
    number = given.get("iportal")
    if number is None:
        return adapter
    portal = session.focus.at("iportal", number, inside=adapter)
    _, _, network = portal.partition("%")
    there = {entry["id"]: entry["interface"] for entry in host.adapters(session, "")}
    if there[adapter]:
        return adapter
    bound = f"{_BOUND}{network}"
    if bound not in there:
        host.iscsiadm("-m", "iface", "-I", bound, "-o", "new")
        host.iscsiadm("-m", "iface", "-I", bound, "-o", "update", "-n", "iface.net_ifacename", "-v", network)
    return bound


def _settings(session: Session, given: Given, name: str, known: dict[str, str]) -> dict[str, str]:
    chap = given.get("chap") or "none"
    settings = {
        "node.startup": _STARTUP[given.get("type") or "manual"],
        "node.conn[0].iscsi.HeaderDigest": "CRC32C" if "ehd" in given.flags else "None",
        "node.conn[0].iscsi.DataDigest": "CRC32C" if "edd" in given.flags else "None",
        records.METHOD: "None" if chap == "none" else "CHAP",
    }
    if chap != "none" and not known.get(records.PASSWORD):
        raise HostFailed(f"the initiator knows no secret of {name}: CHAP INITIATOR REMEMBER tells it")
    if chap == "mutual" and not known.get(records.PASSWORD_IN):
        own = session.secrets.get("")
        if not own:
            raise HostFailed(f"the initiator has no secret of its own for {name}: CHAP INITIATOR SET sets it")
        settings |= {records.USER_IN: name, records.PASSWORD_IN: own}
    if chap == "oneway":
        # open-iscsi asks for mutual CHAP as soon as it has the secret for it.
        settings |= {records.USER_IN: "", records.PASSWORD_IN: ""}
    return settings


def _logout(session: Session, given: Given) -> None:
    name = str(session.properties("IscsiTarget", session.focus.require("target"))["iscsiName"])
    adapter = session.focus.at("iadapter", given.get("iadapter"))
    found = [sid for target, interface, sid in _sessions() if target == name and _is_of(interface, adapter)]
    if not found:
        raise HostFailed(f"adapter {adapter} is not logged in to {name}")
    for sid in found:
        host.iscsiadm("-m", "session", "-r", sid, "--logout")
    session.say("", f"Logged out from {name}.")


def _is_of(interface: str, adapter: str) -> bool:
    return interface == adapter or (adapter == "default" and interface.startswith(_BOUND))


def _sessions() -> list[tuple[str, str, str]]:
    """This host's sessions: the target's name, the interface, and open-iscsi's number."""
    return [
        (
            (folder / "targetname").read_text().strip(),
            (folder / "ifacename").read_text().strip(),
            folder.name.removeprefix("session"),
        )
        for folder in sorted(_SESSIONS.glob("session*"))
    ]


_ADAPTER: Final = Parameter("iadapter", values.number, "<n>", "the initiator adapter's number", required=True)

FORMS: Final = (
    Form(
        ("initiator",),
        _show,
        "Shows this host's iSCSI initiator: its name, its adapters, and the targets that it is logged in to.",
        calls="open-iscsi",
    ),
    Form(
        ("login", "target"),
        _login,
        "Logs this host's initiator in to the selected target.",
        calls="open-iscsi",
        parameters=(
            _ADAPTER,
            Parameter(
                "type", values.one_of(*_STARTUP), "{manual | persistent | boot}", "whether the host logs in again"
            ),
            Parameter(
                "chap", values.one_of(*_CHAP), "{none | oneway | mutual}", "the authentication; none if left out"
            ),
            Parameter("iportal", values.number, "<n>", "the adapter's initiator portal to log in from"),
            Parameter("tportal", values.number, "<n>", "the target portal to log in to; the first if left out"),
        ),
        flags=(
            Flag("ips", "require IPsec"),
            Flag("emp", "enable multipath"),
            Flag("ehd", "enable header digest"),
            Flag("edd", "enable data digest"),
        ),
        difference=(
            "It is open-iscsi's login: records and secrets are in its database. `iportal=` binds to the network interface of "
            "that address. `EMP` changes nothing, each login is a path for multipathd; `IPS` is refused."
        ),
    ),
    Form(
        ("logout", "target"),
        _logout,
        "Logs this host's initiator out from the selected target.",
        calls="open-iscsi",
        parameters=(_ADAPTER,),
    ),
)
