"""A storage pool: IVdsStoragePool."""

from vdsprovd import inventory
from vdsprovd.hresult import Hresult
from vdsprovd.inventory import Drive
from vdsprovd.model import (
    StoragePoolDriveExtent,
)
from vdsprovd.provider.api import Interface, Role, method
from vdsprovd.provider.pool_attributes import attributes
from vdsprovd.replies import (
    LunsReply,
    PoolAttributesReply,
    PoolDriveExtentsReply,
    ProviderReply,
    StoragePoolPropertiesReply,
    StoragePoolsReply,
)
from vdsprovd.varlink import More, lazily


class StoragePool(Interface):
    """A place where LUNs' bytes live."""

    com = "IVdsStoragePool"

    @method(Role.VIEWER, Hresult.VDS_E_OBJECT_DELETED)
    def get_provider(self, pool: inventory.StoragePool) -> ProviderReply:
        """The provider that manages the pool. (IVdsStoragePool::GetProvider)"""
        return ProviderReply(self.context.provider_id)

    @method(Role.VIEWER, Hresult.VDS_E_OBJECT_DELETED)
    async def get_properties(self, pool: inventory.StoragePool) -> StoragePoolPropertiesReply:
        """The pool's properties, with its free space as it is now. (IVdsStoragePool::GetProperties)"""
        return StoragePoolPropertiesReply((await self.context.measured(pool.id)).properties)

    @method(Role.VIEWER, Hresult.VDS_E_OBJECT_DELETED)
    async def get_attributes(self, pool: inventory.StoragePool) -> PoolAttributesReply:
        """What the pool is like: thin or not, redundancy, stripes, bus. (IVdsStoragePool::GetAttributes)"""
        return PoolAttributesReply(attributes(self.inventory, await self.context.measured(pool.id)))

    @method(Role.VIEWER, Hresult.VDS_E_OBJECT_DELETED)
    async def query_drive_extents(self, pool: inventory.StoragePool) -> PoolDriveExtentsReply:
        """The extents of drives that the pool has, used by volumes or free; none for a pool of files.

        (IVdsStoragePool::QueryDriveExtents)
        """
        if not pool.drives:
            return PoolDriveExtentsReply(())
        drives = {drive.node: drive.id for drive in self.inventory.all(Drive) if drive.pool_id == pool.id}
        found = await self.context.guarded(self.context.look(self.context.drive_pool(pool.id).extents), pool.id)
        return PoolDriveExtentsReply(
            tuple(
                StoragePoolDriveExtent(drives[extent.drive], extent.size, bool(extent.lun))
                for extent in found
                if extent.drive in drives
            )
        )

    @method(Role.VIEWER, Hresult.VDS_E_OBJECT_DELETED, more=More.SUPPORTED)
    def query_allocated_luns(self, pool: inventory.StoragePool) -> LunsReply:
        """The LUNs whose bytes are in the pool: a snapshot. (IVdsStoragePool::QueryAllocatedLuns)"""
        return LunsReply(lazily(lun.encoded for lun in self.inventory.all(inventory.Lun) if lun.pool_id == pool.id))

    @method(Role.VIEWER, Hresult.VDS_E_OBJECT_DELETED, more=More.SUPPORTED)
    def query_allocated_storage_pools(self, pool: inventory.StoragePool) -> StoragePoolsReply:
        """The pools that were made of this pool's space: the pools of a volume group's thin pools, if both are
        configured. (IVdsStoragePool::QueryAllocatedStoragePools)"""
        return StoragePoolsReply(
            tuple(other.properties for other in self.inventory.all(inventory.StoragePool) if other.parent == pool.id)
        )
