"""StoragePool: A place where LUNs' bytes live.

Generated from the daemon's methods by scripts/client-proxies; do not edit.
"""

from collections.abc import Iterator

from vdsprovd.client.proxies.proxy import ObjectProxy
from vdsprovd.model import LunProperties, StoragePoolProperties
from vdsprovd.replies import (
    LunsReply,
    PoolAttributesReply,
    PoolDriveExtentsReply,
    ProviderReply,
    StoragePoolPropertiesReply,
    StoragePoolsReply,
)


class StoragePool(ObjectProxy):
    """A place where LUNs' bytes live.

    It has the methods of IVdsStoragePool.
    """

    # IVdsStoragePool

    def get_provider(self) -> ProviderReply:
        """The provider that manages the pool. (IVdsStoragePool::GetProvider)

        Role: viewer. Codes: VDS_E_OBJECT_DELETED.
        """
        return self._call("StoragePool.GetProvider", ProviderReply)

    def get_properties(self) -> StoragePoolPropertiesReply:
        """The pool's properties, with its free space as it is now. (IVdsStoragePool::GetProperties)

        Role: viewer. Codes: VDS_E_OBJECT_DELETED.
        """
        return self._call("StoragePool.GetProperties", StoragePoolPropertiesReply)

    def get_attributes(self) -> PoolAttributesReply:
        """What the pool is like: thin or not, redundancy, stripes, bus. (IVdsStoragePool::GetAttributes)

        Role: viewer. Codes: VDS_E_OBJECT_DELETED.
        """
        return self._call("StoragePool.GetAttributes", PoolAttributesReply)

    def query_drive_extents(self) -> PoolDriveExtentsReply:
        """The extents of drives that the pool has, used by volumes or free; none for a pool of files.

        (IVdsStoragePool::QueryDriveExtents)

        Role: viewer. Codes: VDS_E_OBJECT_DELETED.
        """
        return self._call("StoragePool.QueryDriveExtents", PoolDriveExtentsReply)

    def query_allocated_luns(self) -> Iterator[LunProperties]:
        """The LUNs whose bytes are in the pool: a snapshot. (IVdsStoragePool::QueryAllocatedLuns)

        Role: viewer. Codes: VDS_E_OBJECT_DELETED.
        """
        return self._each("StoragePool.QueryAllocatedLuns", LunsReply)

    def query_allocated_storage_pools(self) -> Iterator[StoragePoolProperties]:
        """The pools that were made of this pool's space: the pools of a volume group's thin pools, if both are
        configured. (IVdsStoragePool::QueryAllocatedStoragePools)

        Role: viewer. Codes: VDS_E_OBJECT_DELETED.
        """
        return self._each("StoragePool.QueryAllocatedStoragePools", StoragePoolsReply)
