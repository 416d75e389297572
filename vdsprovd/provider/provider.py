"""The provider: IVdsProvider, IVdsHwProvider, IVdsHwProviderType, IVdsHwProviderStoragePools."""

import platform
import uuid
from typing import Final

from vdsprovd import __version__, model
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.inventory import Controller, StoragePool, SubSystem
from vdsprovd.model import (
    Hints2,
    LunType,
    PoolAttributes,
    ProviderProperties,
    ProviderType,
    StoragePoolProperties,
    StoragePoolType,
    Struct,
    SubSystemProperties,
)
from vdsprovd.operations import Operation
from vdsprovd.provider import recovery
from vdsprovd.provider.api import ALL_KNOWN, Interface, Role, method
from vdsprovd.provider.creation import Wish, check, create_lun, largest_lun
from vdsprovd.provider.pool_attributes import attributes, match
from vdsprovd.varlink import More

_STATE = (
    Hresult.VDS_E_PROVIDER_CACHE_CORRUPT,
    Hresult.VDS_E_OBJECT_STATUS_FAILED,
    Hresult.VDS_E_ANOTHER_CALL_IN_PROGRESS,
    Hresult.VDS_E_INITIALIZE_NOT_CALLED,
)

# One GUID a version, the same on every host.
VERSION_ID: Final = str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:vdsprovd:{__version__}"))


class ProviderPropertiesReply(Struct, frozen=True):
    """The provider's properties."""

    hresult: int
    properties: ProviderProperties


class SubSystemsReply(Struct, frozen=True):
    """Subsystems."""

    sub_systems: tuple[SubSystemProperties, ...]


class ProviderTypeReply(Struct, frozen=True):
    """The interconnect."""

    type: model.HwProviderType


class StoragePoolsReply(Struct, frozen=True):
    """Storage pools."""

    storage_pools: tuple[StoragePoolProperties, ...]


class MaxLunSizeReply(Struct, frozen=True):
    """The largest possible size, in bytes."""

    max_lun_size: int


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
        wish = Wish(type, hints=hints2 or Hints2())
        check(wish, hints2)
        return await create_lun(self.context, wish, size_in_bytes, [self._pool(storage_pool_id)], unmasking_list)

    @method(Role.VIEWER)
    async def query_max_lun_create_size_in_storage_pool(
        self, type: LunType, storage_pool_id: str, hints2: Hints2 | None = None
    ) -> MaxLunSizeReply:
        """The largest LUN that the pool can hold. (IVdsHwProviderStoragePools::QueryMaxLunCreateSizeInStoragePool)"""
        wish = Wish(type, hints=hints2 or Hints2())
        check(wish, hints2)
        return MaxLunSizeReply(await largest_lun(self.context, wish, [self._pool(storage_pool_id)]))

    def _pool(self, id: str) -> StoragePool:
        pool = self.inventory.get(StoragePool, id)
        if pool is None:
            raise VdsError(Hresult.VDS_E_OBJECT_NOT_FOUND, f"there is no storage pool {id!r}", id)
        return pool
