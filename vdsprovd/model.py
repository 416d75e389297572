"""VDS structures and enumerations as frozen types, in VDS's own words.

Field names are VDS's without the Hungarian prefix; on the wire they are camelCase (`pwszFriendlyName` is
`friendlyName`). An enumeration's value is its wire name, its `number` the value in the VDS headers.
Sizes are bytes.
"""

from enum import Enum
from typing import Final, Self, cast

import msgspec

NULL_GUID: Final = "00000000-0000-0000-0000-000000000000"
"""GUID_NULL: no object."""


class VdsEnum(str, Enum):
    """A VDS enumeration: `value` is the name on the wire, `number` the value in the headers."""

    number: int

    def __new__(cls, wire: str, number: int) -> Self:
        member = str.__new__(cls, wire)
        member._value_ = wire
        member.number = number
        return member

    @classmethod
    def of(cls, wire: str) -> Self:
        """The member with that wire name; KeyError when there is none."""
        return cast(Self, cls._value2member_map_[wire])


class Struct(msgspec.Struct, frozen=True, rename="camel"):
    """An immutable VDS structure; fields are camelCase on the wire."""


class ObjectType(VdsEnum):
    """VDS_OBJECT_TYPE, the part of it that a hardware provider has."""

    UNKNOWN = "unknown", 0
    PROVIDER = "provider", 1
    SUB_SYSTEM = "sub_system", 30
    CONTROLLER = "controller", 31
    DRIVE = "drive", 32
    LUN = "lun", 33
    LUN_PLEX = "lun_plex", 34
    PORT = "port", 35
    PORTAL = "portal", 36
    TARGET = "target", 37
    PORTAL_GROUP = "portal_group", 38
    STORAGE_POOL = "storage_pool", 39
    ASYNC = "async", 100


class ProviderType(VdsEnum):
    """VDS_PROVIDER_TYPE."""

    UNKNOWN = "unknown", 0
    SOFTWARE = "software", 1
    HARDWARE = "hardware", 2
    VIRTUALDISK = "virtualdisk", 3


class ProviderFlag(VdsEnum):
    """VDS_PROVIDER_FLAG; only the second concerns hardware providers."""

    DYNAMIC = "dynamic", 0x1
    INTERNAL_HARDWARE_PROVIDER = "internal_hardware_provider", 0x2


class Health(VdsEnum):
    """VDS_HEALTH: how well an object works; `failed` implies status failed."""

    UNKNOWN = "unknown", 0
    HEALTHY = "healthy", 1
    REBUILDING = "rebuilding", 2
    STALE = "stale", 3
    FAILING = "failing", 4
    FAILING_REDUNDANCY = "failing_redundancy", 5
    FAILED_REDUNDANCY = "failed_redundancy", 6
    FAILED_REDUNDANCY_FAILING = "failed_redundancy_failing", 7
    FAILED = "failed", 8
    REPLACED = "replaced", 9
    PENDING_FAILURE = "pending_failure", 10
    DEGRADED = "degraded", 11


class TransitionState(VdsEnum):
    """VDS_TRANSITION_STATE: whether an object's configuration is changing."""

    UNKNOWN = "unknown", 0
    STABLE = "stable", 1
    EXTENDING = "extending", 2
    SHRINKING = "shrinking", 3
    RECONFIGING = "reconfiging", 4
    RESTRIPING = "restriping", 5


class SubSystemStatus(VdsEnum):
    """VDS_SUB_SYSTEM_STATUS."""

    UNKNOWN = "unknown", 0
    ONLINE = "online", 1
    NOT_READY = "not_ready", 2
    OFFLINE = "offline", 4
    FAILED = "failed", 5
    PARTIALLY_MANAGED = "partially_managed", 9


class SubSystemFlag(VdsEnum):
    """VDS_SUB_SYSTEM_FLAG: what a subsystem can do; clients offer their commands by it."""

    LUN_MASKING_CAPABLE = "lun_masking_capable", 0x1
    LUN_PLEXING_CAPABLE = "lun_plexing_capable", 0x2
    LUN_REMAPPING_CAPABLE = "lun_remapping_capable", 0x4
    DRIVE_EXTENT_CAPABLE = "drive_extent_capable", 0x8
    HARDWARE_CHECKSUM_CAPABLE = "hardware_checksum_capable", 0x10
    RADIUS_CAPABLE = "radius_capable", 0x20
    READ_BACK_VERIFY_CAPABLE = "read_back_verify_capable", 0x40
    WRITE_THROUGH_CACHING_CAPABLE = "write_through_caching_capable", 0x80
    SUPPORTS_FAULT_TOLERANT_LUNS = "supports_fault_tolerant_luns", 0x200
    SUPPORTS_NON_FAULT_TOLERANT_LUNS = "supports_non_fault_tolerant_luns", 0x400
    SUPPORTS_SIMPLE_LUNS = "supports_simple_luns", 0x800
    SUPPORTS_SPAN_LUNS = "supports_span_luns", 0x1000
    SUPPORTS_STRIPE_LUNS = "supports_stripe_luns", 0x2000
    SUPPORTS_MIRROR_LUNS = "supports_mirror_luns", 0x4000
    SUPPORTS_PARITY_LUNS = "supports_parity_luns", 0x8000
    SUPPORTS_AUTH_CHAP = "supports_auth_chap", 0x10000
    SUPPORTS_AUTH_MUTUAL_CHAP = "supports_auth_mutual_chap", 0x20000
    SUPPORTS_SIMPLE_TARGET_CONFIG = "supports_simple_target_config", 0x40000
    SUPPORTS_LUN_NUMBER = "supports_lun_number", 0x80000


class LunType(VdsEnum):
    """VDS_LUN_TYPE: `default`, `fault_tolerant`, `non_fault_tolerant` are automagic (input only), the rest concrete."""

    UNKNOWN = "unknown", 0
    DEFAULT = "default", 1
    FAULT_TOLERANT = "fault_tolerant", 2
    NON_FAULT_TOLERANT = "non_fault_tolerant", 3
    SIMPLE = "simple", 10
    SPAN = "span", 11
    STRIPE = "stripe", 12
    MIRROR = "mirror", 13
    PARITY = "parity", 14
    RAID2 = "raid2", 15
    RAID3 = "raid3", 16
    RAID4 = "raid4", 17
    RAID5 = "raid5", 18
    RAID6 = "raid6", 19
    RAID01 = "raid01", 20
    RAID03 = "raid03", 21
    RAID05 = "raid05", 22
    RAID10 = "raid10", 23
    RAID15 = "raid15", 24
    RAID30 = "raid30", 25
    RAID50 = "raid50", 26
    RAID51 = "raid51", 27
    RAID53 = "raid53", 28
    RAID60 = "raid60", 29
    RAID61 = "raid61", 30

    @property
    def automagic(self) -> bool:
        """True when the provider chooses the concrete type."""
        return self in (LunType.DEFAULT, LunType.FAULT_TOLERANT, LunType.NON_FAULT_TOLERANT)


class SupportedRaidTypeFlag(VdsEnum):
    """VDS_SUB_SYSTEM_SUPPORTED_RAID_TYPE_FLAG: the RAID forms of LUNs that a subsystem can make."""

    SUPPORTS_RAID2_LUNS = "supports_raid2_luns", 0x1
    SUPPORTS_RAID3_LUNS = "supports_raid3_luns", 0x2
    SUPPORTS_RAID4_LUNS = "supports_raid4_luns", 0x4
    SUPPORTS_RAID5_LUNS = "supports_raid5_luns", 0x8
    SUPPORTS_RAID6_LUNS = "supports_raid6_luns", 0x10
    SUPPORTS_RAID01_LUNS = "supports_raid01_luns", 0x20
    SUPPORTS_RAID10_LUNS = "supports_raid10_luns", 0x100


class ControllerStatus(VdsEnum):
    """VDS_CONTROLLER_STATUS."""

    UNKNOWN = "unknown", 0
    ONLINE = "online", 1
    NOT_READY = "not_ready", 2
    OFFLINE = "offline", 4
    FAILED = "failed", 5
    REMOVED = "removed", 8


class PortStatus(VdsEnum):
    """VDS_PORT_STATUS."""

    UNKNOWN = "unknown", 0
    ONLINE = "online", 1
    NOT_READY = "not_ready", 2
    OFFLINE = "offline", 4
    FAILED = "failed", 5
    REMOVED = "removed", 8


class DriveStatus(VdsEnum):
    """VDS_DRIVE_STATUS: `offline` drives are there and take no new extents; `removed` ones are not there."""

    UNKNOWN = "unknown", 0
    ONLINE = "online", 1
    NOT_READY = "not_ready", 2
    OFFLINE = "offline", 4
    FAILED = "failed", 5
    REMOVED = "removed", 8


class DriveFlag(VdsEnum):
    """VDS_DRIVE_FLAG; callers can set and clear `hotspare` only."""

    HOTSPARE = "hotspare", 0x1
    ASSIGNED = "assigned", 0x2
    UNASSIGNED = "unassigned", 0x4
    HOTSPARE_IN_USE = "hotspare_in_use", 0x8
    HOTSPARE_STANDBY = "hotspare_standby", 0x10


class LunPlexType(VdsEnum):
    """VDS_LUN_PLEX_TYPE: LUN types without the mirrors, which are several plexes."""

    UNKNOWN = "unknown", 0
    SIMPLE = "simple", 10
    SPAN = "span", 11
    STRIPE = "stripe", 12
    PARITY = "parity", 14
    RAID4 = "raid4", 17
    RAID5 = "raid5", 18
    RAID6 = "raid6", 19
    RAID10 = "raid10", 23


class LunPlexStatus(VdsEnum):
    """VDS_LUN_PLEX_STATUS."""

    UNKNOWN = "unknown", 0
    ONLINE = "online", 1
    NOT_READY = "not_ready", 2
    OFFLINE = "offline", 4
    FAILED = "failed", 5


class MaintenanceOperation(VdsEnum):
    """VDS_MAINTENANCE_OPERATION."""

    BLINK_LIGHT = "blink_light", 1
    BEEP_ALARM = "beep_alarm", 2
    SPIN_DOWN = "spin_down", 3
    SPIN_UP = "spin_up", 4
    PING = "ping", 5


class RaidType(VdsEnum):
    """VDS_RAID_TYPE, of a storage pool."""

    UNKNOWN = "unknown", 0
    RAID0 = "raid0", 10
    RAID1 = "raid1", 11
    RAID5 = "raid5", 15
    RAID6 = "raid6", 16
    RAID10 = "raid10", 20


class LunStatus(VdsEnum):
    """VDS_LUN_STATUS."""

    UNKNOWN = "unknown", 0
    ONLINE = "online", 1
    NOT_READY = "not_ready", 2
    OFFLINE = "offline", 4
    FAILED = "failed", 5


class LunFlag(VdsEnum):
    """VDS_LUN_FLAG."""

    LBN_REMAP_ENABLED = "lbn_remap_enabled", 0x1
    READ_BACK_VERIFY_ENABLED = "read_back_verify_enabled", 0x2
    WRITE_THROUGH_CACHING_ENABLED = "write_through_caching_enabled", 0x4
    HARDWARE_CHECKSUM_ENABLED = "hardware_checksum_enabled", 0x8
    READ_CACHE_ENABLED = "read_cache_enabled", 0x10
    WRITE_CACHE_ENABLED = "write_cache_enabled", 0x20
    MEDIA_SCAN_ENABLED = "media_scan_enabled", 0x40
    CONSISTENCY_CHECK_ENABLED = "consistency_check_enabled", 0x80
    SNAPSHOT = "snapshot", 0x100


class StorageBusType(VdsEnum):
    """VDS_STORAGE_BUS_TYPE."""

    UNKNOWN = "unknown", 0x0
    SCSI = "scsi", 0x1
    ATA = "ata", 0x3
    FIBRE = "fibre", 0x6
    USB = "usb", 0x7
    RAID = "raid", 0x8
    ISCSI = "iscsi", 0x9
    SAS = "sas", 0xA
    SATA = "sata", 0xB
    VIRTUAL = "virtual", 0xE
    FILE_BACKED_VIRTUAL = "file_backed_virtual", 0xF
    NVME = "nvme", 0x11


class StorageIdentifierCodeSet(VdsEnum):
    """VDS_STORAGE_IDENTIFIER_CODE_SET."""

    RESERVED = "reserved", 0
    BINARY = "binary", 1
    ASCII = "ascii", 2
    UTF8 = "utf8", 3


class StorageIdentifierType(VdsEnum):
    """VDS_STORAGE_IDENTIFIER_TYPE, the designator types of VPD page 0x83."""

    VENDOR_SPECIFIC = "vendor_specific", 0
    VENDOR_ID = "vendor_id", 1
    EUI64 = "eui64", 2
    FCPH_NAME = "fcph_name", 3
    PORT_RELATIVE = "port_relative", 4
    TARGET_PORT_GROUP = "target_port_group", 5
    LOGICAL_UNIT_GROUP = "logical_unit_group", 6
    MD5_LOGICAL_UNIT_IDENTIFIER = "md5_logical_unit_identifier", 7
    SCSI_NAME_STRING = "scsi_name_string", 8


class PathStatus(VdsEnum):
    """VDS_PATH_STATUS, of an initiator's path to a LUN."""

    UNKNOWN = "unknown", 0
    ONLINE = "online", 1
    FAILED = "failed", 5
    STANDBY = "standby", 7


class LoadBalancePolicy(VdsEnum):
    """VDS_LOADBALANCE_POLICY_ENUM."""

    UNKNOWN = "unknown", 0
    FAILOVER = "failover", 1
    ROUND_ROBIN = "round_robin", 2
    ROUND_ROBIN_WITH_SUBSET = "round_robin_with_subset", 3
    DYN_LEAST_QUEUE_DEPTH = "dyn_least_queue_depth", 4
    WEIGHTED_PATHS = "weighted_paths", 5
    LEAST_BLOCKS = "least_blocks", 6
    VENDOR_SPECIFIC = "vendor_specific", 7


class ProviderLbSupportFlag(VdsEnum):
    """VDS_PROVIDER_LBSUPPORT_FLAG: the load balance policies that can be set."""

    FAILOVER = "failover", 0x1
    ROUND_ROBIN = "round_robin", 0x2
    ROUND_ROBIN_WITH_SUBSET = "round_robin_with_subset", 0x4
    DYN_LEAST_QUEUE_DEPTH = "dyn_least_queue_depth", 0x8
    WEIGHTED_PATHS = "weighted_paths", 0x10
    LEAST_BLOCKS = "least_blocks", 0x20
    VENDOR_SPECIFIC = "vendor_specific", 0x40


class HwProviderType(VdsEnum):
    """VDS_HWPROVIDER_TYPE: the interconnect of a hardware provider."""

    UNKNOWN = "unknown", 0
    PCI_RAID = "pci_raid", 1
    FIBRE_CHANNEL = "fibre_channel", 2
    ISCSI = "iscsi", 3
    SAS = "sas", 4
    HYBRID = "hybrid", 5


class VersionSupportFlag(VdsEnum):
    """VDS_VERSION_SUPPORT_FLAG: the versions of VDS's interfaces. A name in Varlink cannot begin with a digit."""

    V1_0 = "v1_0", 0x1
    V1_1 = "v1_1", 0x2
    V2_0 = "v2_0", 0x4
    V2_1 = "v2_1", 0x8
    V3_0 = "v3_0", 0x10


class InterconnectFlag(VdsEnum):
    """VDS_INTERCONNECT_FLAG: how a subsystem is reached."""

    PCI_RAID = "pci_raid", 0x1
    FIBRE_CHANNEL = "fibre_channel", 0x2
    ISCSI = "iscsi", 0x4
    SAS = "sas", 0x8


class IscsiPortalStatus(VdsEnum):
    """VDS_ISCSI_PORTAL_STATUS; only online and offline can be set."""

    UNKNOWN = "unknown", 0
    ONLINE = "online", 1
    NOT_READY = "not_ready", 2
    OFFLINE = "offline", 4
    FAILED = "failed", 5


class IpAddressType(VdsEnum):
    """VDS_IPADDRESS_TYPE."""

    TEXT = "text", 0
    IPV4 = "ipv4", 1
    IPV6 = "ipv6", 2
    EMPTY = "empty", 3


class StoragePoolStatus(VdsEnum):
    """VDS_STORAGE_POOL_STATUS."""

    UNKNOWN = "unknown", 0
    ONLINE = "online", 1
    NOT_READY = "not_ready", 2
    OFFLINE = "offline", 4


class StoragePoolType(VdsEnum):
    """VDS_STORAGE_POOL_TYPE."""

    UNKNOWN = "unknown", 0x0
    PRIMORDIAL = "primordial", 0x1
    CONCRETE = "concrete", 0x2


class AsyncOutputType(VdsEnum):
    """VDS_ASYNC_OUTPUT_TYPE: which operation an asynchronous object stands for."""

    UNKNOWN = "unknown", 0
    CREATE_LUN = "create_lun", 50
    ADD_LUN_PLEX = "add_lun_plex", 52
    REMOVE_LUN_PLEX = "remove_lun_plex", 53
    EXTEND_LUN = "extend_lun", 54
    SHRINK_LUN = "shrink_lun", 55
    RECOVER_LUN = "recover_lun", 56
    CREATE_TARGET = "create_target", 62
    CREATE_PORTAL_GROUP = "create_portal_group", 63
    DELETE_TARGET = "delete_target", 64
    ADD_PORTAL = "add_portal", 65
    REMOVE_PORTAL = "remove_portal", 66
    DELETE_PORTAL_GROUP = "delete_portal_group", 67


class NotificationEvent(VdsEnum):
    """VDS_NF_...: what happened to an object."""

    SUB_SYSTEM_ARRIVE = "sub_system_arrive", 101
    SUB_SYSTEM_DEPART = "sub_system_depart", 102
    SUB_SYSTEM_MODIFY = "sub_system_modify", 151
    CONTROLLER_ARRIVE = "controller_arrive", 103
    CONTROLLER_DEPART = "controller_depart", 104
    CONTROLLER_MODIFY = "controller_modify", 350
    CONTROLLER_REMOVED = "controller_removed", 351
    PORT_ARRIVE = "port_arrive", 121
    PORT_DEPART = "port_depart", 122
    PORT_MODIFY = "port_modify", 352
    PORT_REMOVED = "port_removed", 353
    DRIVE_REMOVED = "drive_removed", 354
    DRIVE_ARRIVE = "drive_arrive", 105
    DRIVE_DEPART = "drive_depart", 106
    DRIVE_MODIFY = "drive_modify", 107
    LUN_ARRIVE = "lun_arrive", 108
    LUN_DEPART = "lun_depart", 109
    LUN_MODIFY = "lun_modify", 110
    PORTAL_ARRIVE = "portal_arrive", 123
    PORTAL_DEPART = "portal_depart", 124
    PORTAL_MODIFY = "portal_modify", 125
    TARGET_ARRIVE = "target_arrive", 126
    TARGET_DEPART = "target_depart", 127
    TARGET_MODIFY = "target_modify", 128
    PORTAL_GROUP_ARRIVE = "portal_group_arrive", 129
    PORTAL_GROUP_DEPART = "portal_group_depart", 130
    PORTAL_GROUP_MODIFY = "portal_group_modify", 131


class Notification(Struct, frozen=True):
    """VDS_NOTIFICATION: carries only the event and the object's id; resolve it with Service.GetObject."""

    object_type: ObjectType
    event: NotificationEvent
    id: str


class ProviderProperties(Struct, frozen=True):
    """VDS_PROVIDER_PROP."""

    id: str
    name: str
    version_id: str
    version: str
    type: ProviderType
    flags: tuple[ProviderFlag, ...]
    stripe_size_flags: int
    rebuild_priority: int


class SubSystemProperties(Struct, frozen=True):
    """VDS_SUB_SYSTEM_PROP."""

    id: str
    friendly_name: str
    identification: str
    flags: tuple[SubSystemFlag, ...]
    stripe_size_flags: int
    status: SubSystemStatus
    health: Health
    number_of_internal_buses: int
    max_number_of_slots_each_bus: int
    max_number_of_controllers: int
    rebuild_priority: int


class SubSystemProperties2(Struct, frozen=True):
    """VDS_SUB_SYSTEM_PROP2."""

    id: str
    friendly_name: str
    identification: str
    flags: tuple[SubSystemFlag, ...]
    stripe_size_flags: int
    supported_raid_type_flags: tuple[SupportedRaidTypeFlag, ...]
    status: SubSystemStatus
    health: Health
    number_of_internal_buses: int
    max_number_of_slots_each_bus: int
    max_number_of_controllers: int
    rebuild_priority: int
    number_of_enclosures: int


class ControllerProperties(Struct, frozen=True):
    """VDS_CONTROLLER_PROP."""

    id: str
    friendly_name: str
    identification: str
    status: ControllerStatus
    health: Health
    number_of_ports: int


class PortProperties(Struct, frozen=True):
    """VDS_PORT_PROP."""

    id: str
    friendly_name: str
    identification: str
    status: PortStatus


class DriveProperties(Struct, frozen=True):
    """VDS_DRIVE_PROP; `size` in bytes."""

    id: str
    size: int
    friendly_name: str
    identification: str
    flags: tuple[DriveFlag, ...]
    status: DriveStatus
    health: Health
    internal_bus_number: int
    slot_number: int


class DriveProperties2(Struct, frozen=True):
    """VDS_DRIVE_PROP2. `enclosureNumber` 4294967295 is undefined; `spindleSpeed` in RPM, 0 unknown, 1 does not rotate."""

    id: str
    size: int
    friendly_name: str
    identification: str
    flags: tuple[DriveFlag, ...]
    status: DriveStatus
    health: Health
    internal_bus_number: int
    slot_number: int
    enclosure_number: int
    bus_type: StorageBusType
    spindle_speed: int


class DriveExtent(Struct, frozen=True):
    """VDS_DRIVE_EXTENT: `id` is the drive's, `lunId` null for bytes that belong to no LUN; `size` in bytes."""

    id: str
    lun_id: str | None
    size: int
    used: bool


class StoragePoolDriveExtent(Struct, frozen=True):
    """VDS_STORAGE_POOL_DRIVE_EXTENT: `id` is the drive's; `size` in bytes."""

    id: str
    size: int
    used: bool


class LunPlexProperties(Struct, frozen=True):
    """VDS_LUN_PLEX_PROP; sizes in bytes."""

    id: str
    size: int
    type: LunPlexType
    status: LunPlexStatus
    health: Health
    transition_state: TransitionState
    # VDS_LUN_PLEX_FLAG is the first of VDS_LUN_FLAG; an enumeration of one is more than some Varlink parsers can read.
    flags: tuple[LunFlag, ...]
    stripe_size: int
    rebuild_priority: int


class PoolAttributes(Struct, frozen=True, forbid_unknown_fields=True):
    """VDS_POOL_ATTRIBUTES: what is null does not apply, or does not count in a query."""

    raid_type: RaidType | None = None
    bus_type: StorageBusType | None = None
    intended_usage: str | None = None
    spin_down: bool | None = None
    is_thin_provisioned: bool | None = None
    provisioned_space: int | None = None
    no_single_point_of_failure: bool | None = None
    data_redundancy_max: int | None = None
    data_redundancy_min: int | None = None
    data_redundancy_default: int | None = None
    package_redundancy_max: int | None = None
    package_redundancy_min: int | None = None
    package_redundancy_default: int | None = None
    stripe_size: int | None = None
    stripe_size_max: int | None = None
    stripe_size_min: int | None = None
    default_stripe_size: int | None = None
    number_of_columns: int | None = None
    number_of_columns_max: int | None = None
    number_of_columns_min: int | None = None
    default_number_of_columns: int | None = None
    data_availability_hint: int | None = None
    access_randomness_hint: int | None = None
    access_direction_hint: int | None = None
    access_size_hint: int | None = None
    access_latency_hint: int | None = None
    access_bandwidth_weight_hint: int | None = None
    storage_cost_hint: int | None = None
    storage_efficiency_hint: int | None = None


class StoragePoolProperties(Struct, frozen=True):
    """VDS_STORAGE_POOL_PROP; spaces in bytes.

    `subSystem` is ours, the id of the subsystem whose LUNs the pool holds: VDS has no method that tells it.
    """

    id: str
    status: StoragePoolStatus
    health: Health
    type: StoragePoolType
    name: str
    description: str
    total_consumed_space: int
    total_managed_space: int
    remaining_free_space: int
    sub_system: str = ""


class LunProperties(Struct, frozen=True):
    """VDS_LUN_PROP; `unmaskingList` holds initiator names joined by ';', "*" for everybody, "" for nobody.

    `reason` and `deviation` are ours, for people, and "" as a rule: why the LUN cannot be used, and how the kernel differs
    from what was set or what it does not answer.
    """

    id: str
    size: int
    friendly_name: str
    identification: str
    unmasking_list: str
    flags: tuple[LunFlag, ...]
    type: LunType
    status: LunStatus
    health: Health
    transition_state: TransitionState
    rebuild_priority: int
    reason: str = ""
    deviation: str = ""


class ForeignType(Enum):
    """What an object of somebody else's is."""

    STORAGE_OBJECT = "storage_object"
    TARGET = "target"
    LOGICAL_UNIT = "logical_unit"


class ForeignObject(Struct, frozen=True):
    """Something in the kernel's target that is not the provider's, and is left alone: `name` is its place in configfs, below
    core/ or iscsi/, `detail` says for people what it leads to."""

    type: ForeignType
    name: str
    detail: str


class AsyncOperation(Struct, frozen=True):
    """An asynchronous operation. `subject` is the id of the object that it works on, or the name of a target that it makes;
    `hresult` is as in Async.QueryStatus."""

    id: str
    type: AsyncOutputType
    subject: str
    percent_completed: int
    hresult: int


class AdoptionObject(Struct, frozen=True):
    """Something of somebody else's and what adopting makes of it: `name` as a `ForeignObject`'s, the rest for people."""

    type: ForeignType
    name: str
    becomes: str
    """What it is then; what it would be, if it is not adopted."""
    size: int = 0
    """Bytes of a storage object, 0 while they are not known."""
    id: str | None = None
    """That of the LUN which a storage object becomes: its serial number."""
    adopted: bool = False
    lapses: tuple[str, ...] = ()
    """What is different after the next boot, when the object is made anew. Until then it stays as it is."""
    obstacles: tuple[str, ...] = ()
    """Why it is not adopted, and what to do."""


class StorageIdentifier(Struct, frozen=True):
    """VDS_STORAGE_IDENTIFIER: one designator of VPD page 0x83."""

    code_set: StorageIdentifierCodeSet
    type: StorageIdentifierType
    identifier: bytes


class StorageDeviceIdDescriptor(Struct, frozen=True):
    """VDS_STORAGE_DEVICE_ID_DESCRIPTOR: the designators of VPD page 0x83, in the page's order."""

    version: int = 1
    identifiers: tuple[StorageIdentifier, ...] = ()


class LunInformation(Struct, frozen=True):
    """VDS_LUN_INFORMATION: what an initiator reads from INQUIRY and VPD pages 0x80 and 0x83; "" is what it has not."""

    version: int = 1
    device_type: int = 0
    device_type_modifier: int = 0
    command_queueing: bool = False
    bus_type: StorageBusType = StorageBusType.UNKNOWN
    vendor_id: str = ""
    product_id: str = ""
    product_revision: str = ""
    serial_number: str = ""
    disk_signature: str = NULL_GUID
    device_id_descriptor: StorageDeviceIdDescriptor = StorageDeviceIdDescriptor()
    interconnects: tuple[str, ...] = ()


class TargetProperties(Struct, frozen=True):
    """VDS_ISCSI_TARGET_PROP; `chapEnabled` tells whether a secret is needed to log in, `deviation` as for a LUN."""

    id: str
    iscsi_name: str
    friendly_name: str
    chap_enabled: bool
    deviation: str = ""


class PortalGroupProperties(Struct, frozen=True):
    """VDS_ISCSI_PORTALGROUP_PROP; `deviation` as for a LUN."""

    id: str
    tag: int
    deviation: str = ""


class IpAddress(Struct, frozen=True):
    """VDS_IPADDRESS: the address as text, whatever its `type`, and the TCP port."""

    type: IpAddressType
    text_address: str
    port: int


class PathId(Struct, frozen=True):
    """VDS_PATH_ID: the path's number, which stays the same as long as there is the path; `sourceId` is always 0."""

    source_id: int
    path_id: int


class PathInfo(Struct, frozen=True):
    """VDS_PATH_INFO, of an iSCSI path.

    `targetPortalId` is null when the portal is not known any more; `initiatorAdapterId` always is, since the provider
    does not know the host's adapters. An initiator's portal has no TCP port: it is 0.
    """

    path_id: PathId
    type: HwProviderType
    status: PathStatus
    target_portal_id: str
    initiator_adapter_id: str
    initiator_portal_ip_addr: IpAddress


class PathPolicy(Struct, frozen=True):
    """VDS_PATH_POLICY; `weight` matters only with weighted_paths."""

    path_id: PathId
    primary_path: bool
    weight: int = 0


class PortalProperties(Struct, frozen=True):
    """VDS_ISCSI_PORTAL_PROP; `deviation` as for a LUN."""

    id: str
    address: IpAddress
    status: IscsiPortalStatus
    deviation: str = ""


class Hints(Struct, frozen=True, forbid_unknown_fields=True):
    """VDS_HINTS: wishes for a LUN. A hint that is null does not count; sizes in bytes, 0 for no wish."""

    expected_maximum_size: int | None = None
    optimal_read_size: int | None = None
    optimal_read_alignment: int | None = None
    optimal_write_size: int | None = None
    optimal_write_alignment: int | None = None
    maximum_drive_count: int | None = None
    stripe_size: int | None = None
    fast_crash_recovery_required: bool | None = None
    mostly_reads: bool | None = None
    optimize_for_sequential_reads: bool | None = None
    optimize_for_sequential_writes: bool | None = None
    remap_enabled: bool | None = None
    read_back_verify_enabled: bool | None = None
    write_through_caching_enabled: bool | None = None
    hardware_checksum_enabled: bool | None = None
    is_yankable: bool | None = None
    rebuild_priority: int | None = None


class Hints2(Hints, frozen=True):
    """VDS_HINTS2: VDS_HINTS and some more."""

    allocate_hot_spare: bool | None = None
    use_mirrored_cache: bool | None = None
    read_caching_enabled: bool | None = None
    write_caching_enabled: bool | None = None
    media_scan_enabled: bool | None = None
    consistency_check_enabled: bool | None = None
    bus_type: StorageBusType | None = None


class NewLun(Struct, frozen=True, forbid_unknown_fields=True):
    """What Provisioning.CreateLuns is to make: the parameters of SubSystem2.CreateLun2 and of
    HwProviderStoragePools.CreateLunInStoragePool, with the name that LunNaming.SetFriendlyName would give, and the targets that
    LunIscsi.AssociateTargets would. Without a pool it is in the roomiest one."""

    size_in_bytes: int
    type: LunType = LunType.SIMPLE
    storage_pool_id: str | None = None
    drive_ids: tuple[str, ...] = ()
    hints2: Hints2 | None = None
    unmasking_list: str = ""
    target_ids: tuple[str, ...] = ()
    friendly_name: str = ""


class NewTarget(Struct, frozen=True, forbid_unknown_fields=True):
    """What Provisioning.CreateTargets is to make: the parameters of SubSystemIscsi.CreateTarget, and the portals, if any, that
    its one portal group has."""

    iscsi_name: str | None = None
    friendly_name: str = ""
    portal_ids: tuple[str, ...] = ()
