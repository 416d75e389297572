"""A storage pool: IVdsStoragePool."""

from vdsprovd import inventory
from vdsprovd.hresult import Hresult
from vdsprovd.model import StoragePoolProperties, Struct
from vdsprovd.provider.api import Interface, Role, method
from vdsprovd.provider.sub_system import LunsReply, ProviderReply
from vdsprovd.varlink import More


class StoragePoolPropertiesReply(Struct, frozen=True):
    """A storage pool's properties."""

    properties: StoragePoolProperties


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

    @method(Role.VIEWER, Hresult.VDS_E_OBJECT_DELETED, more=More.SUPPORTED)
    def query_allocated_luns(self, pool: inventory.StoragePool) -> LunsReply:
        """The LUNs whose bytes are in the pool: a snapshot. (IVdsStoragePool::QueryAllocatedLuns)"""
        return LunsReply(tuple(lun.properties for lun in self.inventory.all(inventory.Lun) if lun.pool_id == pool.id))
