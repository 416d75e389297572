"""The objects of VDS, each as one immutable value: what shall be, which comes from the store, and what was found."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any, TypeVar, cast

import msgspec

from vdsprovd.hardware import PRODUCT, BlockDevice, Condition, Leg, Member, Secret
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


def object_type(entity: Entity) -> ObjectType:
    """The VDS type of an object."""
    return OBJECT_TYPES[type(entity)]
