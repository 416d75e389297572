"""What the host has, as one immutable value. The provider cache is the newest one.

An entity holds what shall be (it comes from the store) and what was found (faults, free space). Maps are persistent, so a
changed inventory shares all but what was touched with the one before: a command costs what it touches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, TypeVar, cast

import msgspec

from vdsprovd.hardware import PRODUCT, BlockDevice, Condition, Extent, Leg, Member, Secret
from vdsprovd.model import (
    ControllerProperties,
    ControllerStatus,
    DriveFlag,
    DriveProperties,
    DriveProperties2,
    DriveStatus,
    Health,
    Hints,
    Hints2,
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
    PortProperties,
    PortStatus,
    StorageBusType,
    StoragePoolProperties,
    StoragePoolStatus,
    StoragePoolType,
    SubSystemFlag,
    SubSystemProperties,
    SubSystemStatus,
    TargetProperties,
    TransitionState,
)
from vdsprovd.persistent import PersistentMap

_NO_REBUILD_PRIORITY = 0
UNDEFINED_ENCLOSURE = 0xFFFFFFFF
_SLOTS = 32767
"""What a SHORT can say; slots are numbers that drives are given."""

FAULT_TOLERANT = frozenset(
    (LunType.MIRROR, LunType.PARITY, LunType.RAID4, LunType.RAID5, LunType.RAID6, LunType.RAID10)
)
"""The types of LUNs that outlive the loss of a drive."""

_TYPE_FLAGS = {
    LunType.SIMPLE: SubSystemFlag.SUPPORTS_SIMPLE_LUNS,
    LunType.SPAN: SubSystemFlag.SUPPORTS_SPAN_LUNS,
    LunType.STRIPE: SubSystemFlag.SUPPORTS_STRIPE_LUNS,
    LunType.MIRROR: SubSystemFlag.SUPPORTS_MIRROR_LUNS,
    LunType.PARITY: SubSystemFlag.SUPPORTS_PARITY_LUNS,
}


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

    def properties(self, pools: Iterable[StoragePool], controllers: int) -> SubSystemProperties:
        """VDS_SUB_SYSTEM_PROP; what it can do is what its pools can. All drives are on one bus."""
        pools = list(pools)
        types = {type for pool in pools for type in pool.types}
        drives = any(pool.drives for pool in pools)
        return SubSystemProperties(
            id=self.id,
            friendly_name=self.friendly_name,
            identification=f"{self.iqn_prefix}:{self.name}",
            flags=(
                SubSystemFlag.LUN_MASKING_CAPABLE,
                SubSystemFlag.WRITE_THROUGH_CACHING_CAPABLE,
                *((SubSystemFlag.LUN_PLEXING_CAPABLE,) if LunType.MIRROR in types else ()),
                *((SubSystemFlag.DRIVE_EXTENT_CAPABLE,) if drives else ()),
                *((SubSystemFlag.SUPPORTS_FAULT_TOLERANT_LUNS,) if types & FAULT_TOLERANT else ()),
                *((SubSystemFlag.SUPPORTS_NON_FAULT_TOLERANT_LUNS,) if types - FAULT_TOLERANT else ()),
                *(flag for type, flag in _TYPE_FLAGS.items() if type in types),
                SubSystemFlag.SUPPORTS_AUTH_CHAP,
                SubSystemFlag.SUPPORTS_AUTH_MUTUAL_CHAP,
                SubSystemFlag.SUPPORTS_LUN_NUMBER,
            ),
            # Bit n is for stripes of 2^n bytes: LVM has 4 KiB and up.
            stripe_size_flags=sum(1 << bit for bit in range(12, 21)) if LunType.STRIPE in types else 0,
            status=self.status,
            health=self.health,
            number_of_internal_buses=1 if drives else 0,
            max_number_of_slots_each_bus=_SLOTS if drives else 0,
            max_number_of_controllers=controllers,
            rebuild_priority=_NO_REBUILD_PRIORITY,
        )


class Controller(msgspec.Struct, frozen=True):
    """A node that serves a subsystem: this host. An offline one serves none of its LUNs."""

    id: str
    sub_system_id: str
    name: str = ""
    online: bool = True

    @property
    def properties(self) -> ControllerProperties:
        """VDS_CONTROLLER_PROP."""
        return ControllerProperties(
            id=self.id,
            friendly_name=self.name,
            identification=self.id,
            status=ControllerStatus.ONLINE if self.online else ControllerStatus.OFFLINE,
            health=Health.HEALTHY,
            number_of_ports=1,
        )


class Port(msgspec.Struct, frozen=True):
    """A controller's port: the ALUA target port group through which all iSCSI portals of the node serve LUNs."""

    id: str
    sub_system_id: str
    controller_id: str
    name: str = ""
    online: bool = True

    @property
    def properties(self) -> PortProperties:
        """VDS_PORT_PROP."""
        return PortProperties(
            id=self.id,
            friendly_name=self.name,
            identification=self.id,
            status=PortStatus.ONLINE if self.online else PortStatus.OFFLINE,
        )


class Drive(msgspec.Struct, frozen=True):
    """A disk of the host that is a pool's member, a hot spare, or free. What is `found` is empty while it is not there."""

    id: str
    sub_system_id: str
    identification: str
    """What names the drive wherever it is plugged in: its WWN, its serial number, or the next best."""
    slot: int
    """Given when it was first seen; unique in the subsystem."""
    hot_spare: bool = False
    online: bool = True
    """Whether new extents may be on it, as set."""
    found: BlockDevice | None = None
    pool_id: str = ""
    """The pool that has it, "" for none."""
    member: Member | None = None
    """As its pool sees it."""

    @property
    def node(self) -> str:
        """The device node, "" while it is not there."""
        return self.found.node if self.found else ""

    @property
    def size(self) -> int:
        """Bytes, as far as anybody knows."""
        return self.found.size if self.found else self.member.size if self.member else 0

    @property
    def status(self) -> DriveStatus:
        """What was set, unless the drive says otherwise."""
        if self.found is None:
            return DriveStatus.REMOVED
        if self.found.health is Health.FAILED:
            return DriveStatus.FAILED
        return DriveStatus.ONLINE if self.online else DriveStatus.OFFLINE

    @property
    def health(self) -> Health:
        """As the host sees it."""
        return self.found.health if self.found else Health.UNKNOWN

    @property
    def flags(self) -> tuple[DriveFlag, ...]:
        """VDS_DRIVE_FLAG. A spare that is a pool's member is in use."""
        flags = [DriveFlag.ASSIGNED if self.pool_id else DriveFlag.UNASSIGNED]
        if self.hot_spare:
            flags = [DriveFlag.HOTSPARE, *flags, DriveFlag.HOTSPARE_STANDBY]
        return tuple(flags)

    @property
    def properties(self) -> DriveProperties:
        """VDS_DRIVE_PROP. All drives are on bus 0; the slot is the number that the drive was given."""
        return DriveProperties(
            id=self.id,
            size=self.size,
            friendly_name=(self.found.name if self.found else "") or self.identification,
            identification=self.identification,
            flags=self.flags,
            status=self.status,
            health=self.health,
            internal_bus_number=0,
            slot_number=self.slot,
        )

    @property
    def properties2(self) -> DriveProperties2:
        """VDS_DRIVE_PROP2; without an enclosure in sysfs the enclosure number is undefined."""
        enclosure = self.found.enclosure if self.found else None
        return DriveProperties2(
            **msgspec.structs.asdict(self.properties),
            enclosure_number=UNDEFINED_ENCLOSURE if enclosure is None else enclosure,
            bus_type=self.found.bus if self.found else StorageBusType.UNKNOWN,
            spindle_speed=self.found.spindle_speed if self.found else 0,
        )


class StoragePool(msgspec.Struct, frozen=True):
    """A place where LUNs' bytes live, with its capacity in bytes as last read; `fault` is empty when it works."""

    id: str
    sub_system_id: str
    name: str
    description: str
    block: bool = False
    """Whether its volumes are block devices; else they are files."""
    types: tuple[LunType, ...] = (LunType.SIMPLE,)
    """The types of LUNs that it can hold."""
    thin: bool = False
    parent: str = ""
    """The pool of whose space it is made, "" for none."""
    drives: bool = False
    """Whether it knows its drives."""
    total: int = 0
    free: int = 0
    provisioned: int = 0
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
            sub_system=self.sub_system_id,
        )


class Association(msgspec.Struct, frozen=True):
    """A LUN's place in a target: its logical unit number there."""

    target_id: str
    index: int


class Lun(msgspec.Struct, frozen=True, dict=True):
    """A LUN: its volume is in the pool under the LUN's id, which is also its unit serial number. The `number` is that of
    its kernel object, below 0 while that is where somebody else has put it."""

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
    product: str = PRODUCT
    """What initiators are told that it is. An adopted LUN stays what it was."""
    active: bool = True
    """Whether the controller serves it."""
    hints: Hints2 = Hints2()
    """As applied."""
    condition: Condition = Condition.GOOD
    reason: str = ""
    redundancy: Health = Health.HEALTHY
    """How well a volume that is good is: with fewer copies than it should have it is degraded."""
    stripe_size: int = 0
    columns: int = 1
    exported: bool = True
    """Whether the kernel has a disk for it; it has none when the volume could not be used at start."""
    transition: TransitionState = TransitionState.STABLE
    deviation: str = ""
    """How the kernel differs from what was set, for people."""
    cut_off: bool = False
    """Nobody reaches it, because the kernel lacks its disk or its logical units."""

    @property
    def status(self) -> LunStatus:
        """What was set, unless the volume or the kernel say otherwise."""
        if self.condition is Condition.FAILED:
            return LunStatus.FAILED
        if self.condition is Condition.MISSING or not self.online:
            return LunStatus.OFFLINE
        if self.cut_off:
            # Offline is what somebody set, and can set back. This ends by itself or by Refresh.
            return LunStatus.NOT_READY
        return LunStatus.ONLINE

    @property
    def health(self) -> Health:
        """How well it works."""
        if self.condition is Condition.MISSING:
            return Health.UNKNOWN
        if self.condition is Condition.FAILED:
            return Health.FAILED
        return Health.DEGRADED if self.deviation and self.redundancy is Health.HEALTHY else self.redundancy

    @cached_property
    def encoded(self) -> LunProperties:
        """`properties` as a part of replies, and for nothing else: encoded once, for a LUN that changes is another one."""
        return cast(LunProperties, msgspec.Raw(msgspec.json.encode(self.properties)))

    @property
    def properties(self) -> LunProperties:
        """VDS_LUN_PROP."""
        return LunProperties(
            id=self.id,
            size=self.size,
            friendly_name=self.name,
            identification=self.id,
            unmasking_list=";".join(self.mask),
            flags=(LunFlag.WRITE_THROUGH_CACHING_ENABLED,),
            type=self.type,
            status=self.status,
            health=self.health,
            transition_state=self.transition,
            rebuild_priority=self.hints.rebuild_priority or _NO_REBUILD_PRIORITY,
            reason=self.reason,
            deviation=self.deviation,
        )


class Plex(msgspec.Struct, frozen=True):
    """A LUN's plex: one copy of its bytes. `place` is that of the leg in the volume."""

    id: str
    lun_id: str
    place: int
    hints: Hints = Hints()
    """As applied."""
    leg: Leg = Leg()
    """As found."""


class Target(msgspec.Struct, frozen=True):
    """An iSCSI target. `secrets` are what it authenticates initiators with, by initiator name, "" for all others;
    `mutual_secrets` what it authenticates itself with to the initiator named."""

    id: str
    sub_system_id: str
    iscsi_name: str
    friendly_name: str
    require_chap: bool
    secrets: PersistentMap[str, Secret] = PersistentMap()
    mutual_secrets: PersistentMap[str, Secret] = PersistentMap()
    users: PersistentMap[str, str] = PersistentMap()
    """By initiator: the CHAP names that go with the secrets, where adopted ones are not the iSCSI names."""
    mutual_users: PersistentMap[str, str] = PersistentMap()
    """The same for `mutual_secrets`."""
    deviation: str = ""
    """As a LUN's."""

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
            deviation=self.deviation,
        )


class PortalGroup(msgspec.Struct, frozen=True):
    """A portal group of a target."""

    id: str
    target_id: str
    tag: int
    portal_ids: tuple[str, ...] = ()
    deviation: str = ""
    """As a LUN's."""

    @property
    def properties(self) -> PortalGroupProperties:
        """VDS_ISCSI_PORTALGROUP_PROP."""
        return PortalGroupProperties(id=self.id, tag=self.tag, deviation=self.deviation)


class Portal(msgspec.Struct, frozen=True):
    """An address of the host and a TCP port; `present` tells whether the host has the address now. It deviates when
    the kernel does not listen there for a group that it is in."""

    id: str
    sub_system_id: str
    address: str
    port: int
    online: bool = True
    present: bool = True
    deviation: str = ""
    """As a LUN's."""

    @property
    def properties(self) -> PortalProperties:
        """VDS_ISCSI_PORTAL_PROP."""
        if not self.online:
            status = IscsiPortalStatus.OFFLINE
        else:
            ready = self.present and not self.deviation
            status = IscsiPortalStatus.ONLINE if ready else IscsiPortalStatus.NOT_READY
        family = IpAddressType.IPV6 if ":" in self.address else IpAddressType.IPV4
        address = IpAddress(family, self.address, self.port)
        return PortalProperties(id=self.id, address=address, status=status, deviation=self.deviation)


Entity = SubSystem | Controller | Port | Drive | StoragePool | Lun | Plex | Target | PortalGroup | Portal
E = TypeVar("E", SubSystem, Controller, Port, Drive, StoragePool, Lun, Plex, Target, PortalGroup, Portal)

OBJECT_TYPES: dict[type[Any], ObjectType] = {
    SubSystem: ObjectType.SUB_SYSTEM,
    Controller: ObjectType.CONTROLLER,
    Port: ObjectType.PORT,
    Drive: ObjectType.DRIVE,
    StoragePool: ObjectType.STORAGE_POOL,
    Lun: ObjectType.LUN,
    Plex: ObjectType.LUN_PLEX,
    Target: ObjectType.TARGET,
    PortalGroup: ObjectType.PORTAL_GROUP,
    Portal: ObjectType.PORTAL,
}

_Index = PersistentMap[str, PersistentMap[Any, str]]


def object_type(entity: Entity) -> ObjectType:
    """The VDS type of an object."""
    return OBJECT_TYPES[type(entity)]


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
        entries = sorted(self.luns_of_target.get(target_id, PersistentMap()).items())
        return [self.known(Lun, lun_id) for _, lun_id in entries]

    def uses_at(self, target_id: str) -> PersistentMap[str, int]:
        """How many of a target's LUNs list which initiator in their masks."""
        found = self.initiator_uses.get(target_id)
        return found if found is not None else PersistentMap()

    def groups_at(self, target_id: str) -> list[PortalGroup]:
        """The portal groups of a target, by tag."""
        entries = sorted(self.groups_of_target.get(target_id, PersistentMap()).items())
        return [self.known(PortalGroup, group_id) for _, group_id in entries]

    def plexes_at(self, lun_id: str) -> list[Plex]:
        """The plexes of a LUN, by place."""
        entries = sorted(self.plexes_of_lun.get(lun_id, PersistentMap()).items())
        return [self.known(Plex, plex_id) for _, plex_id in entries]

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
        of_kinds = {kind: result.by_type.get(kind, PersistentMap()).update(some) for kind, some in kinds.items()}
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
                    counts = uses.get(target_id, PersistentMap())
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
    return index.update({outer: index.get(outer, PersistentMap()).update(inner) for outer, inner in entries.items()})


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


# Which events a kind of object has: arrival, departure, modification. Storage pools and plexes have none
# in VDS.
_EVENTS: dict[type[Any], tuple[NotificationEvent, NotificationEvent, NotificationEvent]] = {
    SubSystem: (
        NotificationEvent.SUB_SYSTEM_ARRIVE,
        NotificationEvent.SUB_SYSTEM_DEPART,
        NotificationEvent.SUB_SYSTEM_MODIFY,
    ),
    Controller: (
        NotificationEvent.CONTROLLER_ARRIVE,
        NotificationEvent.CONTROLLER_DEPART,
        NotificationEvent.CONTROLLER_MODIFY,
    ),
    Port: (NotificationEvent.PORT_ARRIVE, NotificationEvent.PORT_DEPART, NotificationEvent.PORT_MODIFY),
    Drive: (NotificationEvent.DRIVE_ARRIVE, NotificationEvent.DRIVE_DEPART, NotificationEvent.DRIVE_MODIFY),
    Lun: (NotificationEvent.LUN_ARRIVE, NotificationEvent.LUN_DEPART, NotificationEvent.LUN_MODIFY),
    Target: (NotificationEvent.TARGET_ARRIVE, NotificationEvent.TARGET_DEPART, NotificationEvent.TARGET_MODIFY),
    PortalGroup: (
        NotificationEvent.PORTAL_GROUP_ARRIVE,
        NotificationEvent.PORTAL_GROUP_DEPART,
        NotificationEvent.PORTAL_GROUP_MODIFY,
    ),
    Portal: (NotificationEvent.PORTAL_ARRIVE, NotificationEvent.PORTAL_DEPART, NotificationEvent.PORTAL_MODIFY),
}


# What these send when they are there and not used any more.
_REMOVED: dict[type[Any], NotificationEvent] = {
    Controller: NotificationEvent.CONTROLLER_REMOVED,
    Port: NotificationEvent.PORT_REMOVED,
    Drive: NotificationEvent.DRIVE_REMOVED,
}


def _there(entity: Entity) -> bool:
    """A drive that a pool misses is an object, and not there."""
    return not isinstance(entity, Drive) or entity.found is not None


def _used(entity: Entity) -> bool:
    """A drive that has failed is not used, whatever was set."""
    return entity.status is DriveStatus.ONLINE if isinstance(entity, Drive) else getattr(entity, "online", True)


def _seen(entity: Entity) -> object:
    """What clients see of it. What is on a free drive, they do not."""
    if isinstance(entity, Drive):
        return entity.properties2, entity.pool_id, entity.member.free if entity.member else 0
    return entity


def differences(before: Inventory, after: Inventory, touched: Iterable[str]) -> list[Notification]:
    """The notifications that lead from one inventory to another, looking only at the touched ids.

    A target whose LUNs changed counts as modified (VDS documents no event for an association; clients want one), and so
    does a drive whose extents did.
    """
    found = []
    extents: set[Extent] = set()
    for id in dict.fromkeys(touched):
        old, new = before.objects.get(id), after.objects.get(id)
        entity = old if new is None else new
        if isinstance(entity, Plex):
            was, now = (set(plex.leg.extents) if isinstance(plex, Plex) else set() for plex in (old, new))
            extents |= was ^ now
        if entity is None or type(entity) not in _EVENTS:
            continue
        arrive, depart, modify = _EVENTS[type(entity)]
        if old is None or (new is not None and not _there(old) and _there(new)):
            event = arrive
        elif new is None or (_there(old) and not _there(new)):
            event = depart
        elif _used(old) and not _used(new) and type(entity) in _REMOVED:
            event = _REMOVED[type(entity)]
        elif _seen(old) != _seen(new) or before.luns_of_target.get(id) != after.luns_of_target.get(id):
            event = modify
        else:
            continue
        found.append(Notification(object_type(entity), event, id))
    if extents:
        told = {entry.id for entry in found}
        names = {extent.drive for extent in extents}
        for drive in after.all(Drive):
            if drive.id not in told and names & {drive.node, drive.member.id if drive.member else ""}:
                found.append(Notification(ObjectType.DRIVE, NotificationEvent.DRIVE_MODIFY, drive.id))
    return found
