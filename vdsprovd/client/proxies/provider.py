"""Provider: The daemon itself.

Generated from the daemon's methods by scripts/client-proxies; do not edit.
"""

from collections.abc import Iterator, Sequence

from vdsprovd.client.operation import Operation
from vdsprovd.client.proxies.proxy import Proxy
from vdsprovd.model import (
    Hints2,
    LunInformation,
    LunType,
    PathStatus,
    PoolAttributes,
    StoragePoolProperties,
    StoragePoolType,
    SubSystemProperties,
)
from vdsprovd.replies import (
    CreatedLunReply,
    MaxLunSizeReply,
    ProviderPropertiesReply,
    ProviderTypeReply,
    StoragePoolsReply,
    SubSystemsReply,
    VersionSupportReply,
)


class Provider(Proxy):
    """The daemon itself.

    It has the methods of IVdsProvider, IVdsProviderSupport, IVdsHwProvider, IVdsHwProviderType, IVdsHwProviderType2,
    IVdsHwProviderPrivate, IVdsHwProviderPrivateMpio, IVdsHwProviderStoragePools.
    """

    # IVdsProvider

    def get_properties(self) -> ProviderPropertiesReply:
        """The provider's properties. Its id is the only one in VDS that lasts for ever. (IVdsProvider::GetProperties)

        Role: viewer.
        """
        return self._call("Provider.GetProperties", ProviderPropertiesReply)

    # IVdsProviderSupport

    def get_version_support(self) -> VersionSupportReply:
        """All versions, from that of Windows Server 2003 to that of 2008 R2. (IVdsProviderSupport::GetVersionSupport)

        Role: viewer.
        """
        return self._call("ProviderSupport.GetVersionSupport", VersionSupportReply)

    # IVdsHwProvider

    def query_sub_systems(self) -> Iterator[SubSystemProperties]:
        """The subsystems. Discovers nothing and reads nothing anew. (IVdsHwProvider::QuerySubSystems)

        Role: viewer. Codes: VDS_E_INITIALIZE_NOT_CALLED, VDS_E_ANOTHER_CALL_IN_PROGRESS,
        VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._each("HwProvider.QuerySubSystems", SubSystemsReply)

    def reenumerate(self) -> None:
        """Discover what there is; the first of the two calls that recover a corrupt cache.

        Answers VDS_E_PROVIDER_CACHE_CORRUPT itself only when the host cannot be scanned to the end. Waits for changes
        under way and lets no other begin; queries go on. (IVdsHwProvider::Reenumerate)

        Role: operator. Codes: VDS_E_INITIALIZE_NOT_CALLED, VDS_E_ANOTHER_CALL_IN_PROGRESS,
        VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED.
        """
        self._do("HwProvider.Reenumerate")

    def refresh(self) -> None:
        """Read every object anew, put right in the kernel what is not as it was set, and notify of the differences.

        With a corrupt cache it answers VDS_E_PROVIDER_CACHE_CORRUPT unless Reenumerate went before it; after both the
        cache is sound. Do not call it while handling notifications. (IVdsHwProvider::Refresh)

        Role: operator. Codes: VDS_E_INITIALIZE_NOT_CALLED, VDS_E_ANOTHER_CALL_IN_PROGRESS,
        VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED.
        """
        self._do("HwProvider.Refresh")

    # IVdsHwProviderType

    def get_provider_type(self) -> ProviderTypeReply:
        """Always iscsi. (IVdsHwProviderType::GetProviderType)

        Role: viewer.
        """
        return self._call("HwProviderType.GetProviderType", ProviderTypeReply)

    # IVdsHwProviderType2

    def get_provider_type2(self) -> ProviderTypeReply:
        """Always iscsi, as GetProviderType. (IVdsHwProviderType2::GetProviderType2)

        Role: viewer.
        """
        return self._call("HwProviderType2.GetProviderType2", ProviderTypeReply)

    # IVdsHwProviderPrivate

    def query_if_created_lun(self, device_path: str, lun_information: LunInformation) -> CreatedLunReply:
        """The LUN behind a host's disk; S_FALSE and a null id when it is none of this provider's.

        The disk is known by its serial number (VPD 0x80) and the NAA designators of its device identification (VPD
        0x83), whichever of both is given, byte for byte; when both are, both must fit. Nothing else is looked at, nor
        is `devicePath`, which means something on that host only. (IVdsHwProviderPrivate::QueryIfCreatedLun)

        Role: viewer. Codes: S_FALSE.
        """
        return self._call(
            "HwProviderPrivate.QueryIfCreatedLun",
            CreatedLunReply,
            devicePath=device_path,
            lunInformation=lun_information,
        )

    # IVdsHwProviderPrivateMpio

    def set_all_path_statuses_from_hba_port(self, wwn_node: str, wwn_port: str, status: PathStatus) -> None:
        """Always VDS_E_NOT_SUPPORTED: it is not for providers of iSCSI.

        (IVdsHwProviderPrivateMpio::SetAllPathStatusesFromHbaPort)

        Role: admin. Codes: VDS_E_NOT_SUPPORTED.
        """
        self._do(
            "HwProviderPrivateMpio.SetAllPathStatusesFromHbaPort", wwnNode=wwn_node, wwnPort=wwn_port, status=status
        )

    # IVdsHwProviderStoragePools

    def query_storage_pools(
        self,
        flags: Sequence[StoragePoolType] | None = None,
        remaining_free_space: int | None = None,
        pool_attributes: PoolAttributes | None = None,
    ) -> Iterator[StoragePoolProperties]:
        """The storage pools of the types given (none: all) with at least so many bytes free and these attributes.

        Every attribute that is not null must be the pool's own, to the number.
        (IVdsHwProviderStoragePools::QueryStoragePools)

        Role: viewer.
        """
        return self._each(
            "HwProviderStoragePools.QueryStoragePools",
            StoragePoolsReply,
            flags=flags,
            remainingFreeSpace=remaining_free_space,
            poolAttributes=pool_attributes,
        )

    def create_lun_in_storage_pool(
        self,
        type: LunType,
        size_in_bytes: int,
        storage_pool_id: str,
        unmasking_list: str | None = None,
        hints2: Hints2 | None = None,
    ) -> Operation:
        """Create a LUN in a pool; otherwise as SubSystem.CreateLun. (IVdsHwProviderStoragePools::CreateLunInStoragePool)

        Role: operator. Codes: VDS_E_NOT_SUPPORTED, VDS_E_OBJECT_NOT_FOUND, VDS_E_NOT_ENOUGH_SPACE, E_INVALIDARG.
        """
        return self._start(
            "HwProviderStoragePools.CreateLunInStoragePool",
            type=type,
            sizeInBytes=size_in_bytes,
            storagePoolId=storage_pool_id,
            unmaskingList=unmasking_list,
            hints2=hints2,
        )

    def query_max_lun_create_size_in_storage_pool(
        self, type: LunType, storage_pool_id: str, hints2: Hints2 | None = None
    ) -> MaxLunSizeReply:
        """The largest LUN that the pool can hold. (IVdsHwProviderStoragePools::QueryMaxLunCreateSizeInStoragePool)

        Role: viewer.
        """
        return self._call(
            "HwProviderStoragePools.QueryMaxLunCreateSizeInStoragePool",
            MaxLunSizeReply,
            type=type,
            storagePoolId=storage_pool_id,
            hints2=hints2,
        )
