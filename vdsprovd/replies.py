"""What the methods of the API reply, for the daemon which sends it and the client which reads it.

VDS's own structures are in `model`. A field that is added has a default: a client may be newer than its daemon.
"""

import msgspec

from vdsprovd.model import (
    AdoptionObject,
    AsyncOperation,
    AsyncOutputType,
    ControllerProperties,
    DriveExtent,
    DriveProperties,
    DriveProperties2,
    ForeignObject,
    Hints,
    Hints2,
    HwProviderType,
    InterconnectFlag,
    LoadBalancePolicy,
    LunInformation,
    LunPlexProperties,
    LunProperties,
    Notification,
    PathInfo,
    PathPolicy,
    PoolAttributes,
    PortalGroupProperties,
    PortalProperties,
    PortProperties,
    ProviderLbSupportFlag,
    ProviderProperties,
    StoragePoolDriveExtent,
    StoragePoolProperties,
    Struct,
    SubSystemProperties,
    SubSystemProperties2,
    TargetProperties,
    VersionSupportFlag,
)


class AsyncReply(Struct, frozen=True):
    """`async` is the id of the org.vdsprov.Async object to wait for."""

    async_: str = msgspec.field(name="async")


class CreationReply(Struct, frozen=True):
    """`objects` are the ids that what is made will have, in the order in which it was asked for. It is there, all of it, when
    `async` is over; who loses the answer to that can ask for it by its ids."""

    objects: tuple[str, ...]
    async_: str = msgspec.field(name="async")


class SuccessReply(Struct, frozen=True):
    """`hresult` is 0, or the success code of the method that has one, such as VDS_S_NAME_TRUNCATED."""

    hresult: int


class ObjectReply(Struct, frozen=True):
    """The id of an object."""

    object: str


class AdviseReply(Struct, frozen=True, omit_defaults=True):
    """First `established`; then `notifications`, those of one event together; `overrun` when some were lost.

    `sequence` numbers the groups within an `epoch`, which is one run of the daemon.
    """

    epoch: str
    sequence: int
    established: bool = False
    overrun: bool = False
    notifications: tuple[Notification, ...] = ()


class ForeignObjectsReply(Struct, frozen=True):
    """What is somebody else's."""

    objects: tuple[ForeignObject, ...]


class AsyncOperationsReply(Struct, frozen=True):
    """Asynchronous operations."""

    operations: tuple[AsyncOperation, ...]


class AdoptionPlanReply(Struct, frozen=True):
    """What would be adopted. The digest names this plan, and changes with anything that it rests on."""

    digest: str
    objects: tuple[AdoptionObject, ...]
    notes: tuple[str, ...] = ()
    """For people: what of the host's would fight with the provider over the targets, and what to do."""


class AdoptionReply(Struct, frozen=True):
    """The ids of what was adopted."""

    luns: tuple[str, ...]
    targets: tuple[str, ...]


class ConfigurationReply(Struct, frozen=True):
    """A configuration for targetcli."""

    configuration: str
    """JSON, as in saveconfig.json."""
    secrets: tuple[str, ...] = ()
    """The ACLs whose CHAP secrets it does not have: target and initiator."""
    missing: tuple[str, ...] = ()
    """For people: what else it does not have of what there is."""


class ProviderPropertiesReply(Struct, frozen=True):
    """The provider's properties."""

    hresult: int
    properties: ProviderProperties


class SubSystemsReply(Struct, frozen=True):
    """Subsystems."""

    sub_systems: tuple[SubSystemProperties, ...]


class ProviderTypeReply(Struct, frozen=True):
    """The interconnect."""

    type: HwProviderType


class VersionSupportReply(Struct, frozen=True):
    """Versions of VDS's interfaces."""

    version_support: tuple[VersionSupportFlag, ...]


class CreatedLunReply(Struct, frozen=True):
    """`hresult` is S_FALSE, and the id null, when there is no such LUN."""

    hresult: int
    lun_id: str


class StoragePoolsReply(Struct, frozen=True):
    """Storage pools."""

    storage_pools: tuple[StoragePoolProperties, ...]


class MaxLunSizeReply(Struct, frozen=True):
    """The largest possible size, in bytes."""

    max_lun_size: int


class StoragePoolPropertiesReply(Struct, frozen=True):
    """A storage pool's properties."""

    properties: StoragePoolProperties


class PoolAttributesReply(Struct, frozen=True):
    """A storage pool's attributes; null for what does not apply."""

    attributes: PoolAttributes


class PoolDriveExtentsReply(Struct, frozen=True):
    """The extents of drives that a pool has."""

    extents: tuple[StoragePoolDriveExtent, ...]


class SubSystemPropertiesReply(Struct, frozen=True):
    """A subsystem's properties."""

    hresult: int
    properties: SubSystemProperties


class ProviderReply(Struct, frozen=True):
    """The id of the provider."""

    provider: str


class SubSystemProperties2Reply(Struct, frozen=True):
    """A subsystem's properties."""

    hresult: int
    properties: SubSystemProperties2


class ControllersReply(Struct, frozen=True):
    """Controllers."""

    controllers: tuple[ControllerProperties, ...]


class DrivesReply(Struct, frozen=True):
    """Drives."""

    drives: tuple[DriveProperties, ...]


class DriveReply(Struct, frozen=True):
    """The id of a drive."""

    drive: str


class LunsReply(Struct, frozen=True):
    """LUNs."""

    luns: tuple[LunProperties, ...]


class TargetsReply(Struct, frozen=True):
    """Targets."""

    targets: tuple[TargetProperties, ...]


class PortalsReply(Struct, frozen=True):
    """Portals."""

    portals: tuple[PortalProperties, ...]


class IscsiNameReply(Struct, frozen=True):
    """An iSCSI name."""

    iscsi_name: str


class InterconnectsReply(Struct, frozen=True):
    """Interconnects."""

    supported_interconnects_flag: tuple[InterconnectFlag, ...]


class ControllerPropertiesReply(Struct, frozen=True):
    """A controller's properties."""

    hresult: int
    properties: ControllerProperties


class PortPropertiesReply(Struct, frozen=True):
    """A port's properties."""

    hresult: int
    properties: PortProperties


class ControllerReply(Struct, frozen=True):
    """The id of a controller."""

    controller: str


class DrivePropertiesReply(Struct, frozen=True):
    """A drive's properties."""

    hresult: int
    properties: DriveProperties


class DriveProperties2Reply(Struct, frozen=True):
    """A drive's properties."""

    hresult: int
    properties: DriveProperties2


class DriveExtentsReply(Struct, frozen=True):
    """Extents of drives."""

    extents: tuple[DriveExtent, ...]


class LunPropertiesReply(Struct, frozen=True):
    """A LUN's properties."""

    hresult: int
    properties: LunProperties


class SubSystemReply(Struct, frozen=True):
    """The id of a subsystem."""

    sub_system: str


class LunInformationReply(Struct, frozen=True):
    """What initiators read of a LUN."""

    properties: LunInformation


class PlexesReply(Struct, frozen=True):
    """Plexes."""

    plexes: tuple[LunPlexProperties, ...]


class HintsReply(Struct, frozen=True):
    """The hints in force."""

    hints: Hints


class Hints2Reply(Struct, frozen=True):
    """The hints in force."""

    hints2: Hints2


class PortsReply(Struct, frozen=True):
    """Controller ports."""

    controller_ports: tuple[PortProperties, ...]


class MaxBytesReply(Struct, frozen=True):
    """By how many bytes a LUN can grow."""

    max_bytes_to_be_added: int


class LunNumberReply(Struct, frozen=True):
    """The array's own number of a LUN."""

    lun_number: int


class LunPlexPropertiesReply(Struct, frozen=True):
    """A plex's properties."""

    hresult: int
    properties: LunPlexProperties


class LunReply(Struct, frozen=True):
    """The id of a LUN."""

    lun: str


class PathInfoReply(Struct, frozen=True):
    """Paths."""

    paths: tuple[PathInfo, ...]


class LoadBalancePolicyReply(Struct, frozen=True):
    """How the array wants its paths to be used."""

    policy: LoadBalancePolicy
    paths: tuple[PathPolicy, ...]


class SupportedLbPoliciesReply(Struct, frozen=True):
    """Load balance policies."""

    lb_flags: tuple[ProviderLbSupportFlag, ...]


class TargetPropertiesReply(Struct, frozen=True):
    """A target's properties."""

    hresult: int
    properties: TargetProperties


class PortalGroupsReply(Struct, frozen=True):
    """Portal groups."""

    portal_groups: tuple[PortalGroupProperties, ...]


class CreatePortalGroupReply(Struct, frozen=True):
    """`hresult` is VDS_S_ALREADY_EXISTS when an existing group is handed out."""

    hresult: int
    async_: str = msgspec.field(name="async")


class InitiatorsReply(Struct, frozen=True):
    """iSCSI names of initiators."""

    initiator_list: tuple[str, ...]


class PortalGroupPropertiesReply(Struct, frozen=True):
    """A portal group's properties."""

    hresult: int
    properties: PortalGroupProperties


class TargetReply(Struct, frozen=True):
    """The id of a target."""

    target: str


class PortalPropertiesReply(Struct, frozen=True):
    """A portal's properties."""

    hresult: int
    properties: PortalProperties


class SecurityFlagsReply(Struct, frozen=True):
    """VDS_ISCSI_IPSEC_FLAG values, together."""

    security_flags: int


class WaitReply(Struct, frozen=True, omit_defaults=True):
    """While the operation runs, only `percentCompleted`; at its end also its result, and what it made, if anything."""

    percent_completed: int
    hresult: int | None = None
    type: AsyncOutputType | None = None
    object: str | None = None
    message: str | None = None


class QueryStatusReply(Struct, frozen=True):
    """`hresult` is VDS_E_OPERATION_PENDING while the operation runs, then its result."""

    hresult: int
    percent_completed: int
