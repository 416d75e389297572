"""Who is connected to a target, and through which portals.

The kernel tells little: of an ACL's sessions only the newest, with the initiator's address and without the portal, and
how many sessions a target has. The rest is in the host's table of TCP connections, which says nothing of targets. What
follows from both is told as sure; where several targets share a portal and several hosts have several addresses, it may
not follow.
"""

import errno
import ipaddress
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

import msgspec

from vdsprovd.hardware import InitiatorConnection, PortalAddress
from vdsprovd.hardware.lio import configfs, reader

_STATE = re.compile(r"^Session State: TARG_SESS_STATE_(\w+)", re.MULTILINE)
_INITIATOR = re.compile(r"^ +Address (\S+) ", re.MULTILINE)
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_ESTABLISHED = "01"
_GONE = (errno.ENOENT, errno.ENODEV)


class Session(msgspec.Struct, frozen=True):
    """An initiator's newest session with a portal group; without an address when its connection broke."""

    tag: int
    initiator: str
    addresses: frozenset[str]


class Link(msgspec.Struct, frozen=True, order=True):
    """An established TCP connection to a portal, from an initiator's address."""

    portal: PortalAddress
    address: str


def of_target(target: str) -> list[Session]:
    """The newest session of each ACL that has one. What vanishes meanwhile has none."""
    found = []
    for tag in reader.tags(target):
        acls = f"{configfs.group(target, tag)}/acls"
        for initiator in configfs.folders(acls):
            info = _read(f"{acls}/{initiator}/info")
            if _STATE.search(info):
                addresses = frozenset(_normal(address) for address in _INITIATOR.findall(info))
                found.append(Session(tag, initiator, addresses))
    return found


def without_acl(target: str) -> list[str]:
    """The initiators that are logged in without an ACL, which only a group that somebody else set up allows."""
    texts = (_read(f"{configfs.group(target, tag)}/dynamic_sessions") for tag in reader.tags(target))
    return "\n".join(texts).replace("\0", "\n").split()


def connections(target: str) -> list[InitiatorConnection]:
    """The connections to the target's portals, as far as the kernel tells. Raises OSError when there is no target."""
    count = int(configfs.read(configfs.ISCSI / target / "fabric_statistics/iscsi_instance/sessions"))
    portals = {
        (_normal(entry.address), entry.port): tag
        for tag in reader.tags(target)
        for entry in reader.listeners(target, tag)
    }
    links = [link for link in established() if link.portal in portals]

    def elsewhere() -> set[str]:
        others = (session for other in reader.targets() if other != target for session in of_target(other))
        return {address for session in others for address in session.addresses}

    return attributed(portals, of_target(target), links, count, elsewhere)


def attributed(
    portals: Mapping[PortalAddress, int],
    sessions: Collection[Session],
    links: Collection[Link],
    count: int,
    elsewhere: Callable[[], Collection[str]],
) -> list[InitiatorConnection]:
    """Which of the links are a target's sessions, and whose; links side by side from one address to one portal are one.

    `portals` gives the tag of each portal's group, `count` is the number of the target's sessions, `elsewhere`
    tells the addresses of the newest sessions with other targets, where that matters.
    """
    tags = {session.tag for session in sessions}
    mine = sorted({link for link in links if portals[link.portal] in tags})

    def newest(link: Link) -> list[Session]:
        return [entry for entry in sessions if entry.tag == portals[link.portal] and link.address in entry.addresses]

    # A session outlives its connection for a while.
    lost = [session for session in sessions if not any(session in newest(link) for link in mine)]
    if len(mine) + len(lost) > count:
        foreign = elsewhere()
        likely = [link for link in mine if newest(link) or link.address not in foreign]
        if len(likely) + len(lost) >= count:
            mine = likely
    found = []
    for link in mine:
        tag = portals[link.portal]
        beside = [other for other in mine if portals[other.portal] == tag and other.address == link.address]
        # An address without a newest session is that of an older one, of whichever initiator.
        owners = newest(link) or [session for session in sessions if session.tag == tag]
        sure = len(mine) + len(lost) <= count or (bool(newest(link)) and len(beside) == 1)
        initiators = tuple(sorted({session.initiator for session in owners}))
        found.append(InitiatorConnection(tag, initiators, link.address, link.portal, sure))
    for session in lost:
        places = [portal for portal, tag in portals.items() if tag == session.tag]
        address = min(session.addresses, default="")
        portal = places[0] if len(places) == 1 else None
        found.append(InitiatorConnection(session.tag, (session.initiator,), address, portal, up=False))
    return found


def established() -> Iterator[Link]:
    """Every established TCP connection of the host, seen from its local end."""
    for table in _TABLES:
        # Without IPv6 there is no second table.
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            _, local, remote, state, *_ = line.split()
            if state == _ESTABLISHED:
                yield Link(_end(local), _end(remote)[0])


def _end(text: str) -> PortalAddress:
    """An address and port of the table: hexadecimal, the address in 32-bit words of this machine's byte order."""
    words, port = text.split(":")
    octets = b"".join(int(words[place : place + 8], 16).to_bytes(4, sys.byteorder) for place in range(0, len(words), 8))
    return _normal(str(ipaddress.ip_address(octets))), int(port, 16)


def _normal(address: str) -> str:
    """The one form of an address: without a scope, and IPv4 as IPv4 also where it came through an IPv6 socket."""
    found = ipaddress.ip_address(address.partition("%")[0])
    return str((isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped) or found)


def _read(path: Path | str) -> str:
    """The attribute's text, "" when its object has just been removed: that somebody else's is gone proves nothing."""
    try:
        return configfs.read(path)
    except OSError as error:
        if error.errno in _GONE:
            return ""
        raise
