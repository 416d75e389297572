"""The kinds of objects that DiskRAID selects and lists: what each is called, what it is inside of, how it is found.

Numbers follow the order of the lists here: that of the API, or a lasting one where the API promises none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from vdsprovd.diskraid import host
from vdsprovd.diskraid.layout import Column, size, words, yes

if TYPE_CHECKING:
    from vdsprovd.diskraid.session import Session

Object = dict[str, Any]

Find = Callable[["Session", str], list[Object]]
"""The objects inside of the one with that id, "" where they are in none; each with its `id`."""


@dataclass(frozen=True)
class Kind:
    """A kind of object. To select one of it takes the selection from what `clears` names."""

    word: str
    title: str
    find: Find
    columns: tuple[Column, ...]
    inside: str = ""
    clears: tuple[str, ...] = ()

    @property
    def noun(self) -> str:
        """As it is called inside of a sentence."""
        return " ".join(part if part.isupper() else part.lower() for part in self.title.split())

    @property
    def plural(self) -> str:
        """As LIST has it."""
        return f"{self.word}s"


def address(portal: Object) -> str:
    """A portal's address as one writes it: 10.77.0.1:3260 or [fd00::1]:3260."""
    where = portal["address"]
    text = f"[{where['textAddress']}]" if where["type"] == "ipv6" else where["textAddress"]
    return f"{text}:{where['port']}"


def _status(entry: Object) -> str:
    return words(entry["status"])


def _health(entry: Object) -> str:
    return words(entry["health"])


_STATUS = Column("Status", _status)
_HEALTH = Column("Health", _health)
_NAME = Column("Name", lambda entry: entry["friendlyName"])


def _providers(session: Session, _: str) -> list[Object]:
    return [session.client.call("Provider.GetProperties")["properties"]]


def _sub_systems(session: Session, _: str) -> list[Object]:
    return session.client.subsystems()


def _controllers(session: Session, sub_system: str) -> list[Object]:
    return session.client.query("SubSystem.QueryControllers", id=sub_system)


def _ports(session: Session, controller: str) -> list[Object]:
    return session.client.query("ControllerControllerPort.QueryControllerPorts", id=controller)


def _drives(session: Session, sub_system: str) -> list[Object]:
    found = session.client.query("SubSystem.QueryDrives", id=sub_system)
    return sorted(found, key=lambda drive: (drive["internalBusNumber"], drive["slotNumber"], drive["id"]))


def _luns(session: Session, sub_system: str) -> list[Object]:
    return session.client.luns(sub_system)


def _target_portals(session: Session, sub_system: str) -> list[Object]:
    return sorted(session.client.portals(sub_system), key=lambda portal: (address(portal), portal["id"]))


def _targets(session: Session, sub_system: str) -> list[Object]:
    return session.client.targets(sub_system)


def _portal_groups(session: Session, target: str) -> list[Object]:
    return sorted(session.client.portal_groups(target), key=lambda group: int(group["tag"]))


_IN_SUBSYSTEM: Final = ("controller", "port", "drive", "lun", "tportal", "target", "tpgroup")


def _others(*kept: str) -> tuple[str, ...]:
    return tuple(word for word in _IN_SUBSYSTEM if word not in kept)


KINDS: Final[Mapping[str, Kind]] = {
    kind.word: kind
    for kind in (
        Kind(
            "hbaport",
            "HBA Port",
            host.hba_ports,
            (
                Column("Status", lambda port: port["status"]),
                Column("Node WWN", lambda port: port["nodeWwn"]),
                Column("Port WWN", lambda port: port["portWwn"]),
                Column("Name", lambda port: port["id"]),
            ),
            clears=("iadapter", "iportal"),
        ),
        Kind(
            "iadapter",
            "Adapter",
            host.adapters,
            (
                Column("Name", lambda adapter: adapter["id"]),
                Column("Transport", lambda adapter: adapter["transport"]),
                Column("Interface", lambda adapter: adapter["interface"] or "any"),
            ),
            clears=("hbaport", "iportal"),
        ),
        Kind(
            "iportal",
            "Initiator Portal",
            host.portals,
            (
                Column("Address", lambda portal: portal["address"]),
                Column("Interface", lambda portal: portal["interface"]),
            ),
            inside="iadapter",
        ),
        Kind(
            "provider",
            "Provider",
            _providers,
            (
                Column("Type", lambda provider: words(provider["type"])),
                Column("Version", lambda provider: provider["version"]),
                Column("Name", lambda provider: provider["name"]),
            ),
        ),
        Kind(
            "subsystem",
            "Subsystem",
            _sub_systems,
            (_STATUS, _HEALTH, _NAME, Column("Identification", lambda entry: entry["identification"])),
            clears=_IN_SUBSYSTEM,
        ),
        Kind(
            "controller",
            "Controller",
            _controllers,
            (_STATUS, _HEALTH, Column("Ports", lambda entry: entry["numberOfPorts"], right=True), _NAME),
            inside="subsystem",
            clears=_others("controller"),
        ),
        Kind("port", "Port", _ports, (_STATUS, _NAME), inside="controller"),
        Kind(
            "drive",
            "Drive",
            _drives,
            (
                _STATUS,
                _HEALTH,
                Column("Size", lambda drive: size(drive["size"]), right=True),
                Column("Free", lambda drive: size(drive["free"]), right=True),
                Column("Bus", lambda drive: drive["internalBusNumber"], right=True),
                Column("Slot", lambda drive: drive["slotNumber"], right=True),
                Column("Flags", lambda drive: ", ".join(map(words, drive["flags"]))),
            ),
            inside="subsystem",
            clears=_others("drive"),
        ),
        Kind(
            "lun",
            "LUN",
            _luns,
            (
                _STATUS,
                _HEALTH,
                Column("Type", lambda lun: words(lun["type"])),
                Column("Size", lambda lun: size(lun["size"]), right=True),
                Column("State", lambda lun: words(lun["transitionState"])),
                _NAME,
            ),
            inside="subsystem",
            clears=_others("lun"),
        ),
        Kind(
            "tportal",
            "Target Portal",
            _target_portals,
            (_STATUS, Column("Address", address)),
            inside="subsystem",
            clears=_others("tportal"),
        ),
        Kind(
            "target",
            "Target",
            _targets,
            (
                Column("CHAP", lambda target: yes(target["chapEnabled"])),
                Column("iSCSI Name", lambda target: target["iscsiName"]),
                _NAME,
            ),
            inside="subsystem",
            clears=_others("target"),
        ),
        Kind(
            "tpgroup",
            "Portal Group",
            _portal_groups,
            (Column("Tag", lambda group: group["tag"], right=True),),
            inside="target",
        ),
    )
}
"""In the order of Microsoft's reference."""

PLURALS: Final = {kind.plural: kind.word for kind in KINDS.values()}


def with_space(session: Session, drives: list[Object]) -> list[Object]:
    """The drives with `free`, the bytes in their free extents: a call each, which only LIST DRIVES is worth."""
    return [drive | {"free": free(session.client.query("Drive.QueryExtents", id=drive["id"]))} for drive in drives]


def free(extents: list[Object]) -> int:
    """The bytes in a drive's free extents."""
    return sum(int(extent["size"]) for extent in extents if not extent["used"])
