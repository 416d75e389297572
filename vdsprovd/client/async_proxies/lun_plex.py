"""LunPlex: A plex: one copy of a LUN's bytes, on drives of its own. Only mirrors have several.

Generated from the daemon's methods by scripts/client-proxies; do not edit.
"""

from vdsprovd.client.async_proxies.proxy import ObjectProxy
from vdsprovd.model import Hints
from vdsprovd.replies import DriveExtentsReply, HintsReply, LunPlexPropertiesReply, LunReply


class LunPlex(ObjectProxy):
    """A plex: one copy of a LUN's bytes, on drives of its own. Only mirrors have several.

    It has the methods of IVdsLunPlex.
    """

    # IVdsLunPlex

    async def get_properties(self) -> LunPlexPropertiesReply:
        """The plex's type, size, status and health; those of a rebuild too.

        `hresult` is VDS_S_PROPERTIES_INCOMPLETE while the LUN's volume is missing. (IVdsLunPlex::GetProperties)

        Role: viewer. Codes: VDS_S_PROPERTIES_INCOMPLETE, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return await self._call("LunPlex.GetProperties", LunPlexPropertiesReply)

    async def get_lun(self) -> LunReply:
        """The LUN that has the plex. (IVdsLunPlex::GetLun)

        Role: viewer. Codes: VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return await self._call("LunPlex.GetLun", LunReply)

    async def query_extents(self) -> DriveExtentsReply:
        """The extents of drives that make up the plex, as last seen; none for a LUN in a pool of files.

        (IVdsLunPlex::QueryExtents)

        Role: viewer. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED.
        """
        return await self._call("LunPlex.QueryExtents", DriveExtentsReply)

    async def query_hints(self) -> HintsReply:
        """The hints in force for the plex. (IVdsLunPlex::QueryHints)

        Role: viewer. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED.
        """
        return await self._call("LunPlex.QueryHints", HintsReply)

    async def apply_hints(self, hints: Hints) -> None:
        """Apply hints to this plex only: its rebuild priority; null leaves it as it was, and the other
        hints make no sense for a plex and are ignored.

        (IVdsLunPlex::ApplyHints)

        Role: operator. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED, E_INVALIDARG.
        """
        await self._do("LunPlex.ApplyHints", hints=hints)
