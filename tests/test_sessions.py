"""What follows from what the kernel tells of sessions and the host of TCP connections."""

import sys
from collections.abc import Collection
from pathlib import Path

import pytest

from vdsprovd.hardware import InitiatorConnection
from vdsprovd.hardware.lio import sessions
from vdsprovd.hardware.lio.sessions import Link, Session, attributed

P1, P2 = ("10.77.0.1", 3260), ("10.78.0.1", 3260)
ONE_GROUP = {P1: 1, P2: 1}
A, B = "iqn.2026-11.org.example:a", "iqn.2026-11.org.example:b"
A1, A2, B1, B2 = "10.77.0.11", "10.78.0.11", "10.77.0.12", "10.78.0.12"


def session(initiator: str, *addresses: str, tag: int = 1) -> Session:
    """An initiator's newest session."""
    return Session(tag, initiator, frozenset(addresses))


def told(
    newest: list[Session],
    links: list[Link],
    count: int,
    portals: dict[tuple[str, int], int] = ONE_GROUP,
    elsewhere: Collection[str] = (),
) -> list[InitiatorConnection]:
    """What is told of the target's connections."""
    return attributed(portals, newest, links, count, lambda: elsewhere)


def test_a_host_with_two_addresses() -> None:
    """The older session's address is not known, and the connection is the initiator's all the same: nobody else is
    logged in, and there are as many sessions as connections."""
    assert told([session(A, A2)], [Link(P2, A2), Link(P1, A1)], 2) == [
        InitiatorConnection(1, (A,), A1, P1),
        InitiatorConnection(1, (A,), A2, P2),
    ]


def test_two_sessions_side_by_side_are_one_path() -> None:
    """Several connections from one address to one portal are told once."""
    assert told([session(A, A1)], [Link(P1, A1), Link(P1, A1)], 2) == [InitiatorConnection(1, (A,), A1, P1)]


def test_a_connection_to_another_target() -> None:
    """Who shares a portal with this target and is known at another one is not taken for a session of this one."""
    links = [Link(P1, A1), Link(P1, B1)]
    assert told([session(A, A1)], links, 1, elsewhere=[B1]) == [InitiatorConnection(1, (A,), A1, P1)]
    # Known at both: with two sessions it is one of this target's.
    assert told([session(A, A1)], [Link(P1, A1), Link(P2, A2)], 2, elsewhere=[A2]) == [
        InitiatorConnection(1, (A,), A1, P1),
        InitiatorConnection(1, (A,), A2, P2),
    ]


def test_what_does_not_follow_is_not_sure() -> None:
    """Two hosts with two addresses each and a target each, on the same two portals: the newest session of each is
    sure, and which of the others is whose is not."""
    links = [Link(P1, A1), Link(P2, A2), Link(P1, B1), Link(P2, B2)]
    assert told([session(A, A2)], links, 2, elsewhere=[B2]) == [
        InitiatorConnection(1, (A,), A1, P1, sure=False),
        InitiatorConnection(1, (A,), B1, P1, sure=False),
        InitiatorConnection(1, (A,), A2, P2),
    ]
    # The same address at two portals, with one session: either may be it.
    found = told([session(A, A1)], [Link(P1, A1), Link(P2, A1)], 1)
    assert [(entry.portal, entry.sure) for entry in found] == [(P1, False), (P2, False)]


def test_a_group_for_each_portal_leaves_no_doubt() -> None:
    """With each portal in a group of its own the same two hosts are told apart."""
    links = [Link(P1, A1), Link(P2, A2), Link(P1, B1), Link(P2, B2)]
    newest = [session(A, A1, tag=1), session(A, A2, tag=2)]
    assert told(newest, links, 2, {P1: 1, P2: 2}, elsewhere=[B1, B2]) == [
        InitiatorConnection(1, (A,), A1, P1),
        InitiatorConnection(2, (A,), A2, P2),
    ]


def test_two_initiators_at_one_target() -> None:
    """An address that no newest session has may be either's; one that both have is both's."""
    newest = [session(A, A2), session(B, B2)]
    links = [Link(P1, A1), Link(P2, A2), Link(P2, B2)]
    found = told(newest, links, 3)
    assert [(entry.address, entry.initiators, entry.sure) for entry in found] == [
        (A1, (A, B), True),
        (A2, (A,), True),
        (B2, (B,), True),
    ]
    (shared,) = told([session(A, A1), session(B, A1)], [Link(P1, A1)], 2)
    assert shared.initiators == (A, B)


def test_a_broken_connection() -> None:
    """A session without its connection is down; the portal is known when the group has one only."""
    assert told([session(A, A1)], [], 1) == [InitiatorConnection(1, (A,), A1, None, up=False)]
    assert told([session(A)], [], 1, {P1: 1, P2: 2}) == [InitiatorConnection(1, (A,), "", P1, up=False)]
    # An older session goes on.
    assert told([session(A)], [Link(P2, A2)], 2) == [
        InitiatorConnection(1, (A,), A2, P2),
        InitiatorConnection(1, (A,), "", None, up=False),
    ]


def test_a_portal_group_without_sessions() -> None:
    """Connections to the portals of a group that nobody is logged in to are not the target's."""
    assert told([session(A, A1)], [Link(P1, A1), Link(P2, A1)], 1, {P1: 1, P2: 2}) == [
        InitiatorConnection(1, (A,), A1, P1)
    ]


HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


@pytest.mark.skipif(sys.byteorder == "big", reason="the lines were taken from a little-endian machine")
def test_the_tables_of_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Established connections, of IPv4, IPv6 and IPv4 through an IPv6 socket; listeners and closed ones are none."""
    v4, v6, none = tmp_path / "tcp", tmp_path / "tcp6", tmp_path / "none"
    v4.write_text(
        HEAD
        + "   0: 01004D0A:0CBD 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 408 1\n"
        + "   1: 01004D0A:0CBC 0B004D0A:D3AA 01 00000000:00000000 00:00000000 00000000     0        0 1063 1\n"
        + "   2: 01004D0A:0CBC 0C004D0A:D3AB 06 00000000:00000000 00:00000000 00000000     0        0 0 3\n"
    )
    v6.write_text(
        HEAD
        + "   0: 000000FD000000000000000077000000:0CBC 000000FD000000000000000078000000:EC1A 01 0:0 0:0 0 0 0 403 1\n"
        + "   1: 0000000000000000FFFF000001004D0A:0CBC 0000000000000000FFFF00000B004D0A:EC1C 01 0:0 0:0 0 0 0 404 1\n"
    )
    monkeypatch.setattr(sessions, "_TABLES", (v4, v6, none))
    assert list(sessions.established()) == [
        Link(("10.77.0.1", 3260), "10.77.0.11"),
        Link(("fd00::77", 3260), "fd00::78"),
        Link(("10.77.0.1", 3260), "10.77.0.11"),
    ]
