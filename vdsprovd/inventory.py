"""What the host has, as one immutable value. The provider cache is the newest one.

An entity holds what shall be (it comes from the store) and what was found (faults, free space). Maps are persistent
(rpds), so a changed inventory shares all but the touched path with the one before: a command costs what it touches.
"""

from __future__ import annotations  # rpds types are generic for the checker only

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
from rpds import HashTrieMap

from vdsprovd.hardware import Condition, Secret
from vdsprovd.model import (
    Health,
    IpAddress,
    IpAddressType,
    IscsiPortalStatus,
    LunFlag,
    LunProperties,
    LunStatus,
    LunType,
    Notification,
    NotificationEvent,
    ObjectType,
    PortalGroupProperties,
    PortalProperties,
    StoragePoolProperties,
    StoragePoolStatus,
    StoragePoolType,
    SubSystemFlag,
    SubSystemProperties,
    SubSystemStatus,
    TargetProperties,
    TransitionState,
)

_NO_REBUILD_PRIORITY = 0


class SubSystem(msgspec.Struct, frozen=True):
    """A storage host's LIO configuration, or one part of it with its own pools and IQN prefix."""

    id: str
    name: str
    iqn_prefix: str
    friendly_name: str
    require_chap: bool
    import_target: bool = True
    online: bool = True
    faults: tuple[str, ...] = ()
    """What is wrong with its pools, one text a pool."""
    failed: bool = False
    """None of its pools works."""

    @property
    def status(self) -> SubSystemStatus:
        """What was set, unless the pools say otherwise."""
        if self.failed:
            return SubSystemStatus.FAILED
        return SubSystemStatus.ONLINE if self.online else SubSystemStatus.OFFLINE

    @property
    def health(self) -> Health:
        """Failed with its last pool, degraded with the first."""
        if self.failed:
            return Health.FAILED
        return Health.DEGRADED if self.faults else Health.HEALTHY

    @property
    def properties(self) -> SubSystemProperties:
        """VDS_SUB_SYSTEM_PROP. There are no buses, slots and controllers to report, and no stripes."""
        return SubSystemProperties(
            id=self.id,
            friendly_name=self.friendly_name,
            identification=f"{self.iqn_prefix}:{self.name}",
            flags=(
                SubSystemFlag.LUN_MASKING_CAPABLE,
                SubSystemFlag.WRITE_THROUGH_CACHING_CAPABLE,
                SubSystemFlag.SUPPORTS_NON_FAULT_TOLERANT_LUNS,
                SubSystemFlag.SUPPORTS_SIMPLE_LUNS,
                SubSystemFlag.SUPPORTS_AUTH_CHAP,
                SubSystemFlag.SUPPORTS_AUTH_MUTUAL_CHAP,
                SubSystemFlag.SUPPORTS_LUN_NUMBER,
            ),
            stripe_size_flags=0,
            status=self.status,
            health=self.health,
            number_of_internal_buses=0,
            max_number_of_slots_each_bus=0,
            max_number_of_controllers=0,
            rebuild_priority=_NO_REBUILD_PRIORITY,
        )


class StoragePool(msgspec.Struct, frozen=True):
    """A place where LUNs' bytes live, with its capacity in bytes as last read; `fault` is empty when it works."""

    id: str
    sub_system_id: str
    name: str
    description: str
    total: int = 0
    free: int = 0
    fault: str = ""

    @property
    def properties(self) -> StoragePoolProperties:
        """VDS_STORAGE_POOL_PROP."""
        return StoragePoolProperties(
            id=self.id,
            status=StoragePoolStatus.UNKNOWN if self.fault else StoragePoolStatus.ONLINE,
            health=Health.UNKNOWN if self.fault else Health.HEALTHY,
            type=StoragePoolType.CONCRETE,
            name=self.name,
            description=self.fault or self.description,
            total_consumed_space=self.total,
            total_managed_space=self.total,
            remaining_free_space=self.free,
        )


class Association(msgspec.Struct, frozen=True):
    """A LUN's place in a target: its logical unit number there."""

    target_id: str
    index: int


class Lun(msgspec.Struct, frozen=True):
    """A LUN: its volume is in the pool under the LUN's id, which is also its unit serial number."""

    id: str
    sub_system_id: str
    pool_id: str
    number: int
    path: str
    name: str
    size: int
    type: LunType
    mask: tuple[str, ...] = ()
    online: bool = True
    associations: tuple[Association, ...] = ()
    condition: Condition = Condition.GOOD
    reason: str = ""
    exported: bool = True
    """Whether the kernel has a disk for it; it has none when the volume could not be used at start."""
    transition: TransitionState = TransitionState.STABLE

    @property
    def status(self) -> LunStatus:
        """What was set, unless the volume says otherwise."""
        if self.condition is Condition.FAILED:
            return LunStatus.FAILED
        if self.condition is Condition.MISSING or not self.online:
            return LunStatus.OFFLINE
        return LunStatus.ONLINE

    @property
    def properties(self) -> LunProperties:
        """VDS_LUN_PROP."""
        health = {Condition.GOOD: Health.HEALTHY, Condition.MISSING: Health.UNKNOWN, Condition.FAILED: Health.FAILED}
        return LunProperties(
            id=self.id,
            size=self.size,
            friendly_name=self.name,
            identification=self.id,
            unmasking_list=";".join(self.mask),
            flags=(LunFlag.WRITE_THROUGH_CACHING_ENABLED,),
            type=self.type,
            status=self.status,
            health=health[self.condition],
            transition_state=self.transition,
            rebuild_priority=_NO_REBUILD_PRIORITY,
        )


class Target(msgspec.Struct, frozen=True):
    """An iSCSI target. `secrets` are what it authenticates initiators with, by initiator name, "" for all others;
    `mutual_secrets` what it authenticates itself with to the initiator named."""

    id: str
    sub_system_id: str
    iscsi_name: str
    friendly_name: str
    require_chap: bool
    secrets: HashTrieMap[str, Secret] = HashTrieMap()
    mutual_secrets: HashTrieMap[str, Secret] = HashTrieMap()

    @property
    def authentication(self) -> bool:
        """Whether a secret is needed to log in."""
        return self.require_chap or bool(self.secrets)

    @property
    def properties(self) -> TargetProperties:
        """VDS_ISCSI_TARGET_PROP."""
        return TargetProperties(
            id=self.id,
            iscsi_name=self.iscsi_name,
            friendly_name=self.friendly_name,
            chap_enabled=self.authentication,
        )


class PortalGroup(msgspec.Struct, frozen=True):
    """A portal group of a target."""

    id: str
    target_id: str
    tag: int
    portal_ids: tuple[str, ...] = ()

    @property
    def properties(self) -> PortalGroupProperties:
        """VDS_ISCSI_PORTALGROUP_PROP."""
        return PortalGroupProperties(id=self.id, tag=self.tag)


class Portal(msgspec.Struct, frozen=True):
    """An address of the host and a TCP port; `present` tells whether the host has the address now."""

    id: str
    sub_system_id: str
    address: str
    port: int
    online: bool = True
    present: bool = True

    @property
    def properties(self) -> PortalProperties:
        """VDS_ISCSI_PORTAL_PROP."""
        if not self.online:
            status = IscsiPortalStatus.OFFLINE
        else:
            status = IscsiPortalStatus.ONLINE if self.present else IscsiPortalStatus.NOT_READY
        family = IpAddressType.IPV6 if ":" in self.address else IpAddressType.IPV4
        return PortalProperties(id=self.id, address=IpAddress(family, self.address, self.port), status=status)


Entity = SubSystem | StoragePool | Lun | Target | PortalGroup | Portal
E = TypeVar("E", SubSystem, StoragePool, Lun, Target, PortalGroup, Portal)

OBJECT_TYPES: dict[type[Any], ObjectType] = {
    SubSystem: ObjectType.SUB_SYSTEM,
    StoragePool: ObjectType.STORAGE_POOL,
    Lun: ObjectType.LUN,
    Target: ObjectType.TARGET,
    PortalGroup: ObjectType.PORTAL_GROUP,
    Portal: ObjectType.PORTAL,
}

if TYPE_CHECKING:
    _Index = HashTrieMap[str, HashTrieMap[Any, str]]


def object_type(entity: Entity) -> ObjectType:
    """The VDS type of an object."""
    return OBJECT_TYPES[type(entity)]


class Inventory(msgspec.Struct, frozen=True):
    """Every object by id, and the reverse indexes that queries need. Make another with `put` and `drop`."""

    objects: HashTrieMap[str, Entity] = HashTrieMap()
    by_type: HashTrieMap[ObjectType, HashTrieMap[str, Entity]] = HashTrieMap()
    luns_of_target: _Index = HashTrieMap()  # target id -> LUN index -> LUN id
    groups_of_target: _Index = HashTrieMap()  # target id -> tag -> portal group id
    groups_of_portal: _Index = HashTrieMap()  # portal id -> portal group id -> the same
    target_by_name: HashTrieMap[str, str] = HashTrieMap()
    import_targets: HashTrieMap[tuple[str, str], str] = HashTrieMap()  # (computer, subsystem id) -> iSCSI name
    initiator_uses: HashTrieMap[str, HashTrieMap[str, int]] = (
        HashTrieMap()
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
        return (cast(E, entity) for entity in of_kind.values()) if of_kind is not None else iter(())

    def count(self, kind: type[Any]) -> int:
        """How many objects of a kind there are."""
        return len(self.by_type.get(OBJECT_TYPES[kind], ()))

    def luns_at(self, target_id: str) -> list[Lun]:
        """The LUNs associated with a target, by logical unit number."""
        entries = sorted(self.luns_of_target.get(target_id, HashTrieMap()).items())
        return [self.known(Lun, lun_id) for _, lun_id in entries]

    def uses_at(self, target_id: str) -> HashTrieMap[str, int]:
        """How many of a target's LUNs list which initiator in their masks."""
        found = self.initiator_uses.get(target_id)
        return found if found is not None else HashTrieMap()

    def groups_at(self, target_id: str) -> list[PortalGroup]:
        """The portal groups of a target, by tag."""
        entries = sorted(self.groups_of_target.get(target_id, HashTrieMap()).items())
        return [self.known(PortalGroup, group_id) for _, group_id in entries]

    def put(self, *entities: Entity) -> Inventory:
        """This inventory with the entities added or replaced."""
        result = self
        for entity in entities:
            result = result._link(entity)
        return result

    def drop(self, *ids: str) -> Inventory:
        """This inventory without the objects of those ids."""
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

    def _link(self, entity: Entity) -> Inventory:
        before = self.objects.get(entity.id)
        result = self._unlink(before) if before is not None else self
        kind = object_type(entity)
        changes: dict[str, Any] = {
            "objects": result.objects.insert(entity.id, entity),
            "by_type": result.by_type.insert(kind, result.by_type.get(kind, HashTrieMap()).insert(entity.id, entity)),
        }
        match entity:
            case Lun():
                luns, uses = result.luns_of_target, result.initiator_uses
                for association in entity.associations:
                    target_id = association.target_id
                    luns = _index_insert(luns, target_id, association.index, entity.id)
                    counts = uses.get(target_id, HashTrieMap())
                    for initiator in entity.mask:
                        counts = counts.insert(initiator, counts.get(initiator, 0) + 1)
                    uses = uses.insert(target_id, counts)
                changes |= {"luns_of_target": luns, "initiator_uses": uses}
            case Target():
                changes["target_by_name"] = result.target_by_name.insert(entity.iscsi_name, entity.id)
            case PortalGroup():
                changes["groups_of_target"] = _index_insert(
                    result.groups_of_target, entity.target_id, entity.tag, entity.id
                )
                portals = result.groups_of_portal
                for portal_id in entity.portal_ids:
                    portals = _index_insert(portals, portal_id, entity.id, entity.id)
                changes["groups_of_portal"] = portals
        return msgspec.structs.replace(result, **changes)

    def _unlink(self, entity: Entity) -> Inventory:
        changes: dict[str, Any] = {}
        match entity:
            case Lun():
                luns, uses = self.luns_of_target, self.initiator_uses
                for association in entity.associations:
                    target_id = association.target_id
                    luns = _index_remove(luns, target_id, association.index)
                    counts = uses.get(target_id, HashTrieMap())
                    for initiator in entity.mask:
                        left = counts[initiator] - 1
                        counts = counts.insert(initiator, left) if left else counts.remove(initiator)
                    uses = uses.insert(target_id, counts) if counts else uses.discard(target_id)
                changes = {"luns_of_target": luns, "initiator_uses": uses}
            case Target():
                changes["target_by_name"] = self.target_by_name.remove(entity.iscsi_name)
            case PortalGroup():
                changes["groups_of_target"] = _index_remove(self.groups_of_target, entity.target_id, entity.tag)
                portals = self.groups_of_portal
                for portal_id in entity.portal_ids:
                    portals = _index_remove(portals, portal_id, entity.id)
                changes["groups_of_portal"] = portals
        return msgspec.structs.replace(self, **changes) if changes else self


def _index_insert(index: _Index, outer: str, inner: Any, id: str) -> _Index:
    return index.insert(outer, index.get(outer, HashTrieMap()).insert(inner, id))


def _index_remove(index: _Index, outer: str, inner: Any) -> _Index:
    left = index[outer].remove(inner)
    return index.insert(outer, left) if left else index.remove(outer)


# Which events a kind of object has: arrival, departure, modification. Storage pools have none in VDS.
_EVENTS: dict[type[Any], tuple[NotificationEvent, NotificationEvent, NotificationEvent]] = {
    SubSystem: (
        NotificationEvent.SUB_SYSTEM_ARRIVE,
        NotificationEvent.SUB_SYSTEM_DEPART,
        NotificationEvent.SUB_SYSTEM_MODIFY,
    ),
    Lun: (NotificationEvent.LUN_ARRIVE, NotificationEvent.LUN_DEPART, NotificationEvent.LUN_MODIFY),
    Target: (NotificationEvent.TARGET_ARRIVE, NotificationEvent.TARGET_DEPART, NotificationEvent.TARGET_MODIFY),
    PortalGroup: (
        NotificationEvent.PORTAL_GROUP_ARRIVE,
        NotificationEvent.PORTAL_GROUP_DEPART,
        NotificationEvent.PORTAL_GROUP_MODIFY,
    ),
    Portal: (NotificationEvent.PORTAL_ARRIVE, NotificationEvent.PORTAL_DEPART, NotificationEvent.PORTAL_MODIFY),
}


def differences(before: Inventory, after: Inventory, touched: Iterable[str]) -> list[Notification]:
    """The notifications that lead from one inventory to another, looking only at the touched ids.

    A target whose LUNs changed counts as modified (VDS documents no event for an association; clients want one).
    """
    found = []
    for id in dict.fromkeys(touched):
        old, new = before.objects.get(id), after.objects.get(id)
        entity = old if new is None else new
        if entity is None or type(entity) not in _EVENTS:
            continue
        arrive, depart, modify = _EVENTS[type(entity)]
        if old is None:
            event = arrive
        elif new is None:
            event = depart
        elif old != new or before.luns_of_target.get(id) != after.luns_of_target.get(id):
            event = modify
        else:
            continue
        found.append(Notification(object_type(entity), event, id))
    return found
