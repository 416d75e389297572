"""All objects, and the indexes that queries need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec

from vdsprovd.inventory.objects import (
    OBJECT_TYPES,
    Controller,
    E,
    Entity,
    Lun,
    Plex,
    Port,
    PortalGroup,
    Target,
    object_type,
)
from vdsprovd.model import ObjectType
from vdsprovd.persistent import PersistentMap

_Index = PersistentMap[str, PersistentMap[Any, str]]
_NONE: PersistentMap[Any, Any] = PersistentMap()


class Inventory(msgspec.Struct, frozen=True):
    """Every object by id, and the reverse indexes that queries need. Make another with `put` and `drop`."""

    objects: PersistentMap[str, Entity] = PersistentMap()
    by_type: PersistentMap[ObjectType, PersistentMap[str, Entity]] = PersistentMap()
    luns_of_target: _Index = PersistentMap()  # target id -> LUN index -> LUN id
    groups_of_target: _Index = PersistentMap()  # target id -> tag -> portal group id
    groups_of_portal: _Index = PersistentMap()  # portal id -> portal group id -> the same
    served: PersistentMap[str, bool] = PersistentMap()  # subsystem id -> whether its controller and its port are online
    plexes_of_lun: _Index = PersistentMap()  # LUN id -> place -> plex id
    target_by_name: PersistentMap[str, str] = PersistentMap()
    import_targets: PersistentMap[tuple[str, str], str] = PersistentMap()  # (computer, subsystem id) -> iSCSI name
    initiator_uses: PersistentMap[str, PersistentMap[str, int]] = (
        PersistentMap()
    )  # target id -> initiator -> LUNs that list it

    def get(self, kind: type[E], id: str) -> E | None:
        """The object of that kind and id, or None."""
        found = self.objects.get(id)
        return found if isinstance(found, kind) else None

    def known(self, kind: type[E], id: str) -> E:
        """The object of that kind and id, which must be there."""
        found = self.objects[id]
        assert isinstance(found, kind)
        return found

    def all(self, kind: type[E]) -> Iterator[E]:
        """Every object of a kind, in no order."""
        of_kind = self.by_type.get(OBJECT_TYPES[kind])
        return cast("Iterator[E]", of_kind.values() if of_kind is not None else iter(()))

    def count(self, kind: type[Any]) -> int:
        """How many objects of a kind there are."""
        return len(self.by_type.get(OBJECT_TYPES[kind], ()))

    def luns_at(self, target_id: str) -> list[Lun]:
        """The LUNs associated with a target, by logical unit number."""
        return self._at(Lun, self.luns_of_target, target_id)

    def uses_at(self, target_id: str) -> PersistentMap[str, int]:
        """How many of a target's LUNs list which initiator in their masks."""
        return self.initiator_uses.get(target_id, _NONE)

    def groups_at(self, target_id: str) -> list[PortalGroup]:
        """The portal groups of a target, by tag."""
        return self._at(PortalGroup, self.groups_of_target, target_id)

    def plexes_at(self, lun_id: str) -> list[Plex]:
        """The plexes of a LUN, by place."""
        return self._at(Plex, self.plexes_of_lun, lun_id)

    def _at(self, kind: type[E], index: _Index, id: str) -> list[E]:
        return [self.known(kind, inner_id) for _, inner_id in sorted(index.get(id, _NONE).items())]

    def put(self, *entities: Entity) -> Inventory:
        """This inventory with the entities added or replaced; of those with one id the last. What they are in is copied once
        for all of them."""
        latest = {entity.id: entity for entity in entities}
        result, linked = self, list[Entity]()
        kinds: dict[ObjectType, dict[str, Entity]] = {}
        for id, entity in latest.items():
            kinds.setdefault(object_type(entity), {})[id] = entity
            before = self.objects.get(id)
            if before is None or _links(before) != _links(entity):
                linked.append(entity)
                if before is not None:
                    result = result._unlink(before)
        luns, plexes, groups, portals = (dict[str, dict[Any, str]]() for _ in range(4))
        names, uses = dict[str, str](), dict[str, Counter[str]]()
        for entity in linked:
            match entity:
                case Lun():
                    for association in entity.associations:
                        luns.setdefault(association.target_id, {})[association.index] = entity.id
                        if entity.mask:
                            uses.setdefault(association.target_id, Counter()).update(entity.mask)
                case Plex():
                    plexes.setdefault(entity.lun_id, {})[entity.place] = entity.id
                case Target():
                    names[entity.iscsi_name] = entity.id
                case PortalGroup():
                    groups.setdefault(entity.target_id, {})[entity.tag] = entity.id
                    for portal_id in entity.portal_ids:
                        portals.setdefault(portal_id, {})[entity.id] = entity.id
        of_kinds = {kind: result.by_type.get(kind, _NONE).update(some) for kind, some in kinds.items()}
        result = msgspec.structs.replace(
            result,
            objects=result.objects.update(latest),
            by_type=result.by_type.update(of_kinds),
            luns_of_target=_index_update(result.luns_of_target, luns),
            plexes_of_lun=_index_update(result.plexes_of_lun, plexes),
            groups_of_target=_index_update(result.groups_of_target, groups),
            groups_of_portal=_index_update(result.groups_of_portal, portals),
            target_by_name=result.target_by_name.update(names),
            initiator_uses=result.initiator_uses.update({id: result._uses_with(id, more) for id, more in uses.items()}),
        )
        nodes = {entity.sub_system_id for entity in latest.values() if isinstance(entity, Controller | Port)}
        return msgspec.structs.replace(result, served=result.served.update({id: result._served(id) for id in nodes}))

    def _uses_with(self, target_id: str, more: Counter[str]) -> PersistentMap[str, int]:
        counts = self.uses_at(target_id)
        return counts.update({initiator: counts.get(initiator, 0) + count for initiator, count in more.items()})

    def drop(self, *ids: str) -> Inventory:
        """This inventory without the objects of those ids. A LUN's plexes are to be named with it."""
        result = self
        for id in ids:
            entity = result.objects[id]
            result = result._unlink(entity)
            kind = object_type(entity)
            result = msgspec.structs.replace(
                result,
                objects=result.objects.remove(id),
                by_type=result.by_type.insert(kind, result.by_type[kind].remove(id)),
            )
        return result

    def _served(self, sub_system_id: str) -> bool:
        nodes: list[Controller | Port] = [*self.all(Controller), *self.all(Port)]
        return all(node.online for node in nodes if node.sub_system_id == sub_system_id)

    def _unlink(self, entity: Entity) -> Inventory:
        changes: dict[str, Any] = {}
        match entity:
            case Lun():
                luns, uses = self.luns_of_target, self.initiator_uses
                for association in entity.associations:
                    target_id = association.target_id
                    luns = _index_remove(luns, target_id, association.index)
                    counts = uses.get(target_id, _NONE)
                    for initiator in entity.mask:
                        left = counts[initiator] - 1
                        counts = counts.insert(initiator, left) if left else counts.remove(initiator)
                    uses = uses.insert(target_id, counts) if counts else uses.discard(target_id)
                changes = {"luns_of_target": luns, "initiator_uses": uses}
            case Plex() if (
                self.plexes_of_lun[entity.lun_id].get(entity.place) == entity.id
            ):  # else another took its place
                changes["plexes_of_lun"] = _index_remove(self.plexes_of_lun, entity.lun_id, entity.place)
            case Target():
                changes["target_by_name"] = self.target_by_name.remove(entity.iscsi_name)
            case PortalGroup():
                changes["groups_of_target"] = _index_remove(self.groups_of_target, entity.target_id, entity.tag)
                portals = self.groups_of_portal
                for portal_id in entity.portal_ids:
                    portals = _index_remove(portals, portal_id, entity.id)
                changes["groups_of_portal"] = portals
        return msgspec.structs.replace(self, **changes) if changes else self


def _index_update(index: _Index, entries: Mapping[str, Mapping[Any, str]]) -> _Index:
    return index.update({outer: index.get(outer, _NONE).update(inner) for outer, inner in entries.items()})


def _links(entity: Entity) -> object:
    """What the indexes have of it."""
    match entity:
        case Lun():
            return entity.associations, entity.mask
        case Plex():
            return entity.lun_id, entity.place
        case Target():
            return entity.iscsi_name
        case PortalGroup():
            return entity.target_id, entity.tag, entity.portal_ids
    return None


def _index_remove(index: _Index, outer: str, inner: Any) -> _Index:
    left = index[outer].remove(inner)
    return index.insert(outer, left) if left else index.remove(outer)
