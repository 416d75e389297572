"""A LUN with all that makes it reachable, for somebody to meddle with, and an advise sink that tells what is told."""

import queue
import socket
import threading
import time
from collections.abc import Collection
from contextlib import suppress

import msgspec

from tests.arrays import INITIATOR, Array
from vdsprovd.hardware import Fact
from vdsprovd.varlink.client import Connection

SOON = 20.0
"""Seconds to wait for what is told at once: far more than it takes, so that a machine that is busy fails no test, and far
less than until the audit looks. How soon it is told `scripts/bench notice` measures, which has its test."""

Told = set[tuple[str, str]]


class Sink:
    """An advise sink that can wait."""

    def __init__(self, array: Array) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(array.socket))
        self.groups: queue.Queue[Told] = queue.Queue()
        self._replies = iter(Connection(self._socket).stream("org.vdsprov.Service.Advise", {}))
        next(self._replies)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with suppress(ConnectionError):  # closed
            for reply in self._replies:
                self.groups.put({(entry["event"], entry["id"]) for entry in reply["notifications"]})

    def take(self, seconds: float = SOON) -> Told:
        """The next group."""
        return self.groups.get(timeout=seconds)

    def until(self, wanted: Told, seconds: float = SOON) -> int:
        """Wait until all of that and nothing else was told; gives in how many groups."""
        deadline, seen, count = time.monotonic() + seconds, Told(), 0
        while seen != wanted:
            try:
                seen |= self.groups.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"wanted {wanted}, told {seen}") from None
            assert seen <= wanted, f"told {seen - wanted}, too"
            count += 1
        return count

    def rest(self, allowed: Told, seconds: float = 0.8) -> None:
        """Wait until nothing has been told for so long; what is told until then must be of these."""
        with suppress(queue.Empty):
            while True:
                told = self.groups.get(timeout=seconds)
                assert told <= allowed, f"told {told - allowed}, too"

    def silent(self, seconds: float = 0.8) -> bool:
        """Whether nothing is told for so long."""
        try:
            raise AssertionError(f"told {self.groups.get(timeout=seconds)}")
        except queue.Empty:
            return True

    def close(self) -> None:
        """Listen no more."""
        with suppress(OSError):  # closed already, if the daemon was restarted
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        assert not self._thread.is_alive()
        self._socket.close()


class Scene:
    """A LUN that this host reaches through a target with one portal, and who listens."""

    def __init__(self, array: Array) -> None:
        self.array = array
        self.lun = array.make_lun(mask=INITIATOR)
        self.target, self.group = array.make_reachable_target()
        self.portal = array.portals()[0]
        array.call("LunIscsi.AssociateTargets", id=self.lun, targetIds=[self.target])
        self.name = array.name_of(self.target)
        self.sink = Sink(array)

    def told(self, *kinds: str) -> Told:
        """Modifications of the scene's objects of these kinds."""
        return {(f"{kind}_modify", str(getattr(self, kind.removeprefix("portal_")))) for kind in kinds}

    def shown(self, kind: str) -> dict[str, str]:
        """The properties of the scene's object of that kind."""
        methods = {"lun": "Lun", "target": "IscsiTarget", "group": "IscsiPortalGroup", "portal": "IscsiPortal"}
        found = self.array.call(f"{methods[kind]}.GetProperties", id=getattr(self, kind))
        return dict(found["properties"])

    def deviations(self) -> dict[str, str]:
        """What the scene's objects show, by kind."""
        kinds = ("lun", "target", "group", "portal")
        return {kind: text for kind in kinds if (text := self.shown(kind)["deviation"])}

    def shows(self, *kinds: str, seconds: float) -> bool:
        """Whether within that time the objects of these kinds, and no others, deviate."""
        deadline = time.monotonic() + seconds
        while set(self.deviations()) != set(kinds):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def ours(self) -> list[Fact]:
        """What the kernel holds of the scene."""
        return [fact for fact in self.array.facts() if getattr(fact, "target", self.name) == self.name]


def without(present: Collection[Fact], *kinds: type[Fact]) -> list[Fact]:
    """The facts without those of these kinds and what needs them."""
    left = [fact for fact in present if not isinstance(fact, kinds)]
    while True:
        keys = {fact.key for fact in left}
        standing = [fact for fact in left if keys.issuperset(fact.needs)]
        if len(standing) == len(left):
            return left
        left = standing


def altered(present: Collection[Fact], kind: type[Fact], **settings: object) -> list[Fact]:
    """The facts, with those of a kind changed."""
    return [msgspec.structs.replace(fact, **settings) if isinstance(fact, kind) else fact for fact in present]
