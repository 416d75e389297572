"""Take everything of ours out of the kernel, for those who want their exports gone before the host's file systems are.

The store stays as it is: the next start makes all of it again. What somebody else made stays, and what of ours it needs.
"""

import logging
from collections.abc import Collection, Iterable

import msgspec

from vdsprovd.cache import Cache
from vdsprovd.hardware import Disk, Fact, Group, Hardware, HardwareError, Listener, Step, TargetNode, steps
from vdsprovd.inventory import Inventory
from vdsprovd.provider import cut_off, recovery
from vdsprovd.store import Stored

log = logging.getLogger(__name__)


class Teardown:
    """One attempt. Each starts with what there is, so a later one goes on where an earlier one was cut off."""

    def __init__(self, stored: Stored, hardware: Hardware) -> None:
        self._hardware = hardware
        self._cache = Cache(Inventory().put(*stored.entities), stored.deleted)
        self._claims = cut_off.claimed(stored.pending)
        self.doing = "tell what there is"
        """What it waits for the kernel to do, for people."""
        self.problems = 0
        """How many objects the kernel did not remove."""

    def run(self) -> None:
        """Remove it all. Blocks, for as long as the kernel takes. An object that cannot be removed does not keep others
        from it, and is logged."""
        try:
            observed = list(self._hardware.read(needed=self._cache.inventory.target_by_name))
        except HardwareError as error:
            log.error("%s", error)
            self.problems += 1
            return
        mine = recovery.ours(self._cache, observed, self._claims)
        gone = _unneeded(mine, observed)
        self._tell_sessions(gone)
        removed = sum(map(self._take, _in_order(gone)))
        for fact in mine:
            if fact not in gone and isinstance(fact, TargetNode | Disk):
                log.warning("%s stays: something of somebody else's needs it", fact)
        log.info("removed %d objects from the kernel; %d could not be removed", removed, self.problems)

    def _take(self, step: Step) -> bool:
        """Take a step; gives whether an object went with it."""
        self.doing = f"{'end' if step.after else 'remove'} {step.before}"
        try:
            self._hardware.take(step)
        except HardwareError as error:
            log.error("%s", error)
            self.problems += 1
            return False
        if isinstance(step.before, TargetNode):
            log.info("removed %s", step.before)
        return step.after is None

    def _tell_sessions(self, gone: Collection[Fact]) -> None:
        for fact in gone:
            if isinstance(fact, TargetNode):
                self.doing = f"tell who is logged in to {fact}"
                try:
                    initiators = self._hardware.sessions(fact.target)
                except HardwareError as error:
                    log.warning("%s", error)
                else:
                    for initiator in initiators:
                        log.warning("initiator %s is logged in to %s; its session ends", initiator, fact)


def _unneeded(mine: Iterable[Fact], observed: Iterable[Fact]) -> list[Fact]:
    """Of our facts those that nothing of somebody else's stands on, portals of its portal group included."""
    mine = list(mine)
    ours = {fact.key for fact in mine}
    needed = {fact.key for fact in observed if fact.key not in ours}
    for fact in sorted(observed, key=lambda fact: fact.rank, reverse=True):
        if fact.key in needed:
            needed.update(fact.needs)
    return [
        fact
        for fact in mine
        if fact.key not in needed and not (isinstance(fact, Listener) and needed.intersection(fact.needs))
    ]


def _in_order(gone: Collection[Fact]) -> Iterable[Step]:
    """First nobody can log in any more, then sessions end, then everything goes. An initiator that lost its connection
    tries again, until the host is back; one that found its LUN gone from a session would fail what it reads and writes."""
    closed = {fact.key: msgspec.structs.replace(fact, enabled=False) for fact in gone if isinstance(fact, Group)}
    yield from steps([fact for fact in gone if isinstance(fact, Listener)], [])
    yield from steps([fact for fact in gone if isinstance(fact, Group)], closed.values())
    yield from steps([closed.get(fact.key, fact) for fact in gone if not isinstance(fact, Listener)], [])
