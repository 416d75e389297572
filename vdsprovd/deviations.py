"""Where the kernel differs from what was set, as last seen, and how that shows in the objects concerned.

Somebody else did it, or it would be a failed command. It is no corruption: the inventory still says what shall be, and
the objects say what is otherwise. Nothing here is stored.
"""

from collections import Counter
from collections.abc import Iterable

import msgspec

from vdsprovd.hardware import Acl, Disk, Fact, Grant, Group, Key, Listener, TargetNode, Unit
from vdsprovd.inventory import Entity, Inventory, Lun, Portal, PortalGroup, Target

_KINDS: dict[type[Fact], str] = {
    Disk: "disk",
    TargetNode: "target",
    Group: "portal_group",
    Unit: "logical_unit",
    Acl: "acl",
    Grant: "grant",
    Listener: "portal",
}
_SHOWN = 3
"""How many deviations of an object are written out."""


class Deviation(msgspec.Struct, frozen=True):
    """One kernel object that is not as it was set: the ids of the objects that show it, and for people what is wrong."""

    fact: Fact
    """What shall be, or what nobody set."""
    objects: tuple[str, ...]
    text: str
    missing: bool = False
    strange: bool = False
    """Nobody set it."""


class Deviations:
    """What deviates now, by kernel object and by the object that shows it."""

    def __init__(self) -> None:
        self._found: dict[Key, Deviation] = {}
        self._by_object: dict[str, dict[Key, Deviation]] = {}
        self._silences: dict[str, str] = {}
        """By object: what the kernel does not answer."""

    def silence(self, id: str, text: str) -> None:
        """The kernel does not answer what was asked about the object; or did, if there is no text."""
        if text:
            self._silences[id] = text
        else:
            self._silences.pop(id, None)

    def note(self, key: Key, deviation: Deviation | None) -> Iterable[str]:
        """Remember how that kernel object deviates, None for not at all; gives the ids of objects that show it otherwise
        than before."""
        before = self._found.get(key)
        if before == deviation:
            return ()
        if before:
            self._unlink(key, before)
        if deviation:
            self._found[key] = deviation
            for id in deviation.objects:
                self._by_object.setdefault(id, {})[key] = deviation
        return {id for entry in (before, deviation) if entry for id in entry.objects}

    def _unlink(self, key: Key, deviation: Deviation) -> None:
        del self._found[key]
        for id in deviation.objects:
            del self._by_object[id][key]
            if not self._by_object[id]:
                del self._by_object[id]

    def clear(self) -> Iterable[str]:
        """Nothing deviates any more; gives the ids of the objects that did."""
        ids = tuple(self._by_object)
        self._found.clear()
        self._by_object.clear()
        return ids

    def keys(self) -> set[Key]:
        """The keys of everything that deviates."""
        return set(self._found)

    def strange_in(self, target: str) -> set[Key]:
        """The keys of what nobody set in the target of that IQN."""
        return {
            key for key, entry in self._found.items() if entry.strange and getattr(entry.fact, "target", "") == target
        }

    def count(self) -> Counter[str]:
        """How many deviate, by kind of object."""
        return Counter(_KINDS[type(entry.fact)] for entry in self._found.values())

    def get(self, key: Key) -> Deviation | None:
        """How the kernel object of that key deviates, None for not at all."""
        return self._found.get(key)

    def follows(self, deviation: Deviation) -> bool:
        """Whether it is missing because something else is."""
        needed = (self._found.get(key) for key in deviation.fact.needs)
        return deviation.missing and any(entry is not None and entry.missing for entry in needed)

    def shown(self, entity: Entity, inventory: Inventory) -> Entity:
        """The object as it shows its deviations."""
        found, silence = self._by_object.get(entity.id), self._silences.get(entity.id)
        text = "; ".join(filter(None, (silence, _text(found or {})))) if found or silence else ""
        match entity:
            case Lun():
                cut_off = found is not None and _is_cut_off(entity, inventory, found.values())
                if (entity.deviation, entity.cut_off) != (text, cut_off):
                    return msgspec.structs.replace(entity, deviation=text, cut_off=cut_off)
            case Target() | PortalGroup() | Portal():
                if entity.deviation != text:
                    return msgspec.structs.replace(entity, deviation=text)
        return entity


def _text(found: dict[Key, Deviation]) -> str:
    roots = [
        entry
        for entry in found.values()
        if not (entry.missing and any(_is_missing(found, key) for key in entry.fact.needs))
    ]
    texts = [entry.text for entry in sorted(roots, key=lambda entry: (entry.fact.rank, entry.text))]
    more = [f"and {len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
    return "; ".join([*texts[:_SHOWN], *more])


def _is_missing(found: dict[Key, Deviation], key: Key) -> bool:
    return key in found and found[key].missing


def _is_cut_off(lun: Lun, inventory: Inventory, found: Iterable[Deviation]) -> bool:
    """Whether the kernel lacks the LUN's disk, or each of the logical units that it should have."""
    # A logical unit that is there and deviates leads to another disk.
    units = sum(isinstance(entry.fact, Unit) and not entry.strange for entry in found)
    wanted = sum(len(inventory.groups_at(entry.target_id)) for entry in lun.associations)
    return 0 < wanted <= units or any(isinstance(entry.fact, Disk) and entry.missing for entry in found)
