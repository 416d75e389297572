"""The provider: IVdsProvider, IVdsProviderSupport, IVdsHwProvider, IVdsHwProviderType, IVdsHwProviderType2,
IVdsHwProviderPrivate, IVdsHwProviderStoragePools."""

import platform
import uuid
from typing import Final

from vdsprovd import __version__, model
from vdsprovd.hardware import designators
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.inventory import Controller, Lun, StoragePool, SubSystem
from vdsprovd.model import (
    NULL_GUID,
    Hints2,
    LunInformation,
    LunType,
    NewLun,
    PathStatus,
    PoolAttributes,
    ProviderProperties,
    ProviderType,
    StorageIdentifierType,
    StoragePoolType,
    SubSystemProperties,
    VersionSupportFlag,
)
from vdsprovd.operations import Operation
from vdsprovd.provider import recovery
from vdsprovd.provider.api import ALL_KNOWN, Interface, Role, method
from vdsprovd.provider.creation import create_luns
from vdsprovd.provider.placement import largest_lun
from vdsprovd.provider.pool_attributes import attributes, match
from vdsprovd.replies import (
    CreatedLunReply,
    MaxLunSizeReply,
    ProviderPropertiesReply,
    ProviderTypeReply,
    StoragePoolsReply,
    SubSystemsReply,
    VersionSupportReply,
)
from vdsprovd.varlink import More

_STATE = (
    Hresult.VDS_E_PROVIDER_CACHE_CORRUPT,
    Hresult.VDS_E_OBJECT_STATUS_FAILED,
    Hresult.VDS_E_ANOTHER_CALL_IN_PROGRESS,
    Hresult.VDS_E_INITIALIZE_NOT_CALLED,
)

# One GUID a version, the same on every host.
VERSION_ID: Final = str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:vdsprovd:{__version__}"))


class Provider(Interface):
    """The daemon itself."""

    com = "IVdsProvider"

    @method(Role.VIEWER, never={"VDS_S_PROPERTIES_INCOMPLETE": ALL_KNOWN})
    def get_properties(self) -> ProviderPropertiesReply:
        """The provider's properties. Its id is the only one in VDS that lasts for ever. (IVdsProvider::GetProperties)"""
        properties = ProviderProperties(
            id=self.context.provider_id,
            name=f"vdsprovd on {platform.node()}",
            version_id=VERSION_ID,
            version=__version__,
            type=ProviderType.HARDWARE,
            flags=(),
            stripe_size_flags=0,
            rebuild_priority=0,
        )
        return ProviderPropertiesReply(Hresult.S_OK, properties)


class ProviderSupport(Interface):
    """Which versions of VDS's interfaces the provider has."""

    com = "IVdsProviderSupport"

    @method(Role.VIEWER)
    def get_version_support(self) -> VersionSupportReply:
        """All versions, from that of Windows Server 2003 to that of 2008 R2. (IVdsProviderSupport::GetVersionSupport)"""
        return VersionSupportReply(tuple(VersionSupportFlag))


class HwProvider(Interface):
    """The root of the hardware side: subsystems, and the two calls that recover a corrupt cache."""

    com = "IVdsHwProvider"

    @method(Role.VIEWER, *_STATE, more=More.SUPPORTED)
    def query_sub_systems(self) -> SubSystemsReply:
        """The subsystems. Discovers nothing and reads nothing anew. (IVdsHwProvider::QuerySubSystems)"""
        found = sorted(self.inventory.all(SubSystem), key=lambda entry: entry.name)
        return SubSystemsReply(tuple(self._properties(entry) for entry in found))

    def _properties(self, sub_system: SubSystem) -> SubSystemProperties:
        pools = (pool for pool in self.inventory.all(StoragePool) if pool.sub_system_id == sub_system.id)
        controllers = (entry for entry in self.inventory.all(Controller) if entry.sub_system_id == sub_system.id)
        return sub_system.properties(pools, len(list(controllers)))

    @method(Role.OPERATOR, *_STATE, recovers=True)
    async def reenumerate(self) -> None:
        """Discover what there is; the first of the two calls that recover a corrupt cache.

        Answers VDS_E_PROVIDER_CACHE_CORRUPT itself only when the host cannot be scanned to the end. Waits for changes
        under way and lets no other begin; queries go on. (IVdsHwProvider::Reenumerate)
        """
        await recovery.reenumerate(self.context)

    @method(Role.OPERATOR, *_STATE, recovers=True)
    async def refresh(self) -> None:
        """Read every object anew, put right in the kernel what is not as it was set, and notify of the differences.

        With a corrupt cache it answers VDS_E_PROVIDER_CACHE_CORRUPT unless Reenumerate went before it; after both the
        cache is sound. Do not call it while handling notifications. (IVdsHwProvider::Refresh)
        """
        await recovery.refresh(self.context)


class HwProviderType(Interface):
    """What kind of hardware provider this is."""

    com = "IVdsHwProviderType"

    @method(Role.VIEWER)
    def get_provider_type(self) -> ProviderTypeReply:
        """Always iscsi. (IVdsHwProviderType::GetProviderType)"""
        return ProviderTypeReply(model.HwProviderType.ISCSI)


class HwProviderType2(Interface):
    """What kind of hardware provider this is, for those who know the newer kinds."""

    com = "IVdsHwProviderType2"

    @method(Role.VIEWER)
    def get_provider_type2(self) -> ProviderTypeReply:
        """Always iscsi, as GetProviderType. (IVdsHwProviderType2::GetProviderType2)"""
        return ProviderTypeReply(model.HwProviderType.ISCSI)


class HwProviderPrivateMpio(Interface):
    """The paths from a port of a Fibre Channel or SAS adapter."""

    com = "IVdsHwProviderPrivateMpio"

    @method(
        Role.ADMIN,
        Hresult.VDS_E_NOT_SUPPORTED,
        never=dict.fromkeys(("S_OK", "VDS_S_STATUSES_INCOMPLETELY_SET"), "iSCSI has no paths from such ports"),
    )
    def set_all_path_statuses_from_hba_port(self, wwn_node: str, wwn_port: str, status: PathStatus) -> None:
        """Always VDS_E_NOT_SUPPORTED: it is not for providers of iSCSI.

        (IVdsHwProviderPrivateMpio::SetAllPathStatusesFromHbaPort)
        """
        raise VdsError(
            Hresult.VDS_E_NOT_SUPPORTED,
            "an iSCSI subsystem has no paths from ports of Fibre Channel or SAS adapters; see LunMpio for its paths",
            self.context.provider_id,
        )


class HwProviderPrivate(Interface):
    """Which of a host's disks are the provider's."""

    com = "IVdsHwProviderPrivate"

    @method(Role.VIEWER, Hresult.S_FALSE)
    def query_if_created_lun(self, device_path: str, lun_information: LunInformation) -> CreatedLunReply:
        """The LUN behind a host's disk; S_FALSE and a null id when it is none of this provider's.

        The disk is known by its serial number (VPD 0x80) and the NAA designators of its device identification (VPD
        0x83), whichever of both is given, byte for byte; when both are, both must fit. Nothing else is looked at, nor
        is `devicePath`, which means something on that host only. (IVdsHwProviderPrivate::QueryIfCreatedLun)
        """
        serial, identifiers = lun_information.serial_number, lun_information.device_id_descriptor.identifiers
        naas = [entry.identifier for entry in identifiers if entry.type is StorageIdentifierType.FCPH_NAME]
        if serial:
            lun = self.inventory.get(Lun, serial)
            candidates = [lun] if lun else []
        else:
            candidates = list(self.inventory.all(Lun)) if naas else []
        for lun in candidates:
            if not naas or designators.naa(lun.id).identifier in naas:
                return CreatedLunReply(Hresult.S_OK, lun.id)
        return CreatedLunReply(Hresult.S_FALSE, NULL_GUID)


class HwProviderStoragePools(Interface):
    """Storage pools over all subsystems."""

    com = "IVdsHwProviderStoragePools"

    @method(Role.VIEWER, more=More.SUPPORTED)
    def query_storage_pools(
        self,
        flags: tuple[StoragePoolType, ...] = (),
        remaining_free_space: int = 0,
        pool_attributes: PoolAttributes | None = None,
    ) -> StoragePoolsReply:
        """The storage pools of the types given (none: all) with at least so many bytes free and these attributes.

        Every attribute that is not null must be the pool's own, to the number.
        (IVdsHwProviderStoragePools::QueryStoragePools)
        """
        wanted = pool_attributes or PoolAttributes()
        found = sorted(self.inventory.all(StoragePool), key=lambda entry: entry.name)
        return StoragePoolsReply(
            tuple(
                pool.properties
                for pool in found
                if pool.free >= remaining_free_space
                and (not flags or pool.properties.type in flags)
                and match(wanted, attributes(self.inventory, pool))
            )
        )

    @method(
        Role.OPERATOR,
        Hresult.E_INVALIDARG,
        Hresult.VDS_E_NOT_SUPPORTED,
        Hresult.VDS_E_OBJECT_NOT_FOUND,
        Hresult.VDS_E_NOT_ENOUGH_SPACE,
    )
    async def create_lun_in_storage_pool(
        self,
        type: LunType,
        size_in_bytes: int,
        storage_pool_id: str,
        unmasking_list: str = "",
        hints2: Hints2 | None = None,
    ) -> Operation:
        """Create a LUN in a pool; otherwise as SubSystem.CreateLun. (IVdsHwProviderStoragePools::CreateLunInStoragePool)"""
        sub_system_id = self._pool(storage_pool_id).sub_system_id
        new = NewLun(size_in_bytes, type, storage_pool_id=storage_pool_id, hints2=hints2, unmasking_list=unmasking_list)
        operation, _ = await create_luns(self.context, sub_system_id, [new])
        return operation

    @method(Role.VIEWER)
    async def query_max_lun_create_size_in_storage_pool(
        self, type: LunType, storage_pool_id: str, hints2: Hints2 | None = None
    ) -> MaxLunSizeReply:
        """The largest LUN that the pool can hold. (IVdsHwProviderStoragePools::QueryMaxLunCreateSizeInStoragePool)"""
        sub_system_id = self._pool(storage_pool_id).sub_system_id
        new = NewLun(0, type, storage_pool_id=storage_pool_id, hints2=hints2)
        return MaxLunSizeReply(await largest_lun(self.context, sub_system_id, new))

    def _pool(self, id: str) -> StoragePool:
        pool = self.inventory.get(StoragePool, id)
        if pool is None:
            raise VdsError(Hresult.VDS_E_OBJECT_NOT_FOUND, f"there is no storage pool {id!r}", id)
        return pool
