"""The provider cache: the newest inventory, the notifications that its changes make, and whether it can be trusted.

Everything here belongs to the event loop's thread. The cache is corrupt once it is *proven* wrong; then it takes
`rediscovered` and `refreshed`, in that order, to be trusted again (IVdsHwProvider::Reenumerate, then ::Refresh).
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping

import msgspec

from vdsprovd import journal
from vdsprovd.deviations import Deviation, Deviations
from vdsprovd.hardware import Key
from vdsprovd.hresult import Hresult
from vdsprovd.ids import new_id
from vdsprovd.inventory import Entity, Inventory, Lun, differences
from vdsprovd.model import Notification
from vdsprovd.store import REMEMBERED

log = logging.getLogger(__name__)

BACKLOG = 10_000
"""How many notifications a sink may be behind before it is told to enumerate again."""


class Sink:
    """An advise sink's queue of notification groups. `overrun` says that some were dropped."""

    def __init__(self) -> None:
        self.groups: list[tuple[int, tuple[Notification, ...]]] = []
        self.overrun = False
        self._waiting = 0
        self._filled = asyncio.Event()

    def put(self, sequence: int, group: tuple[Notification, ...]) -> None:
        """Queue a group, or drop everything when the reader is too far behind."""
        if self._waiting + len(group) > BACKLOG:
            self.groups.clear()
            self._waiting = 0
            self.overrun = True
        else:
            self.groups.append((sequence, group))
            self._waiting += len(group)
        self._filled.set()

    async def take(self) -> tuple[bool, list[tuple[int, tuple[Notification, ...]]]]:
        """Wait for something; gives whether groups were dropped, and the groups that came since."""
        await self._filled.wait()
        self._filled.clear()
        taken, overrun = self.groups, self.overrun
        self.groups, self.overrun, self._waiting = [], False, 0
        return overrun, taken


class Cache:
    """The newest inventory and who is told of its changes."""

    def __init__(self, inventory: Inventory, deleted: Iterable[str] = ()) -> None:
        self.inventory = inventory
        self.epoch = new_id()
        """Names this run of the daemon; sequence numbers count within it."""
        self.sequence = 0
        self.corruption = ""
        """Why the cache is corrupt, for people; empty while it is sound."""
        self.on_corruption: Callable[[], object] | None = None
        """Called with each proof of corruption."""
        self.deviations = Deviations()
        self._rediscovered = False
        self._deleted: OrderedDict[str, None] = OrderedDict.fromkeys(deleted)
        self._sinks: set[Sink] = set()

    def apply(self, put: Iterable[Entity] = (), drop: Iterable[str] = (), also: Iterable[str] = ()) -> None:
        """Change the inventory and tell every sink what changed, as one group.

        `also` names objects whose relations, not properties, may have changed.
        """
        before = self.inventory
        drop = tuple(id for id in drop if id in before.objects)
        # What a command puts, it read before the last look.
        put = tuple(self.deviations.shown(entity, before) for entity in put)
        # Arrivals and changes before departures' ids are forgotten: a dropped target may still be named by a LUN.
        self.inventory = before.put(*put).drop(*drop)
        self._remember(drop)
        group = tuple(differences(before, self.inventory, [*(entity.id for entity in put), *drop, *also]))
        if group:
            self.sequence += 1
            for sink in self._sinks:
                sink.put(self.sequence, group)

    def hide(self, lun: Lun) -> None:
        """The kernel has nothing of the LUN any more, for it is being deleted. That is told once it is gone."""
        hidden = msgspec.structs.replace(lun, mask=(), exported=False)
        self.inventory = self.inventory.put(self.deviations.shown(hidden, self.inventory))

    def deviate(self, looked: Mapping[Key, Deviation | None]) -> None:
        """A look found how these kernel objects deviate, None for not at all: change what objects show of it."""
        ids = {id for key, deviation in looked.items() for id in self.deviations.note(key, deviation)}
        self.apply(entity for id in ids if (entity := self.inventory.objects.get(id)))

    def silence(self, texts: Mapping[str, str]) -> None:
        """The kernel does not answer what was asked about these objects, for people, or did, "": change what they show."""
        for id, text in texts.items():
            self.deviations.silence(id, text)
        self.apply(entity for id in texts if (entity := self.inventory.objects.get(id)))

    def agree(self) -> list[Entity]:
        """Nothing deviates any more; gives the objects that did, to be applied with what else was found."""
        return [entity for id in self.deviations.clear() if (entity := self.inventory.objects.get(id))]

    def _remember(self, deleted: Iterable[str]) -> None:
        for id in deleted:
            self._deleted[id] = None
        while len(self._deleted) > REMEMBERED:
            self._deleted.popitem(last=False)

    def set_import_target(self, computer: str, sub_system_id: str, iscsi_name: str | None) -> None:
        """Remember, or with None forget, an import target; VDS has no notification for it."""
        targets = self.inventory.import_targets
        key = (computer, sub_system_id)
        targets = targets.insert(key, iscsi_name) if iscsi_name is not None else targets.discard(key)
        self.inventory = msgspec.structs.replace(self.inventory, import_targets=targets)

    @property
    def deleted(self) -> Collection[str]:
        """The ids of deleted objects that are remembered, the oldest first."""
        return self._deleted.keys()

    def was_deleted(self, id: str) -> bool:
        """Whether an object of that id existed and was deleted."""
        return id in self._deleted

    def advise(self) -> Sink:
        """A new sink; from now on it is told of every change."""
        sink = Sink()
        self._sinks.add(sink)
        return sink

    def unadvise(self, sink: Sink) -> None:
        """The sink is told no more."""
        self._sinks.discard(sink)

    @property
    def sinks(self) -> int:
        """How many sinks are told."""
        return len(self._sinks)

    # Trust.

    def corrupt(self, proof: str) -> None:
        """The cache is proven wrong."""
        if not self.corruption:
            about = journal.about(journal.CACHE_CORRUPT, code=Hresult.VDS_E_PROVIDER_CACHE_CORRUPT)
            log.error("the provider cache is corrupt: %s", proof, extra=about)
        self.corruption = proof
        self._rediscovered = False
        if self.on_corruption:
            self.on_corruption()

    def rediscovered(self) -> None:
        """A scan found out what there is."""
        self._rediscovered = True

    @property
    def refreshable(self) -> bool:
        """Whether a refresh may make the cache sound: it is, or what there is was discovered since it was not."""
        return not self.corruption or self._rediscovered

    def refreshed(self) -> None:
        """Everything was read again and agrees."""
        if self.corruption:
            about = journal.about(journal.CACHE_SOUND)
            log.warning("the provider cache is sound again; it was corrupt because %s", self.corruption, extra=about)
        self.corruption = ""
        self._rediscovered = False
