"""PortalGroup: A portal group: the portals through which a target can be logged in to.

Generated from the daemon's methods by scripts/client-proxies; do not edit.
"""

from collections.abc import Iterator

from vdsprovd.client.operation import Operation
from vdsprovd.client.proxies.proxy import ObjectProxy
from vdsprovd.model import PortalProperties
from vdsprovd.replies import PortalGroupPropertiesReply, PortalsReply, TargetReply


class PortalGroup(ObjectProxy):
    """A portal group: the portals through which a target can be logged in to.

    It has the methods of IVdsIscsiPortalGroup.
    """

    # IVdsIscsiPortalGroup

    def get_properties(self) -> PortalGroupPropertiesReply:
        """The group's tag. (IVdsIscsiPortalGroup::GetProperties)

        Role: viewer. Codes: VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return self._call("IscsiPortalGroup.GetProperties", PortalGroupPropertiesReply)

    def get_target(self) -> TargetReply:
        """The target that has the group. (IVdsIscsiPortalGroup::GetTarget)

        Role: viewer. Codes: VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return self._call("IscsiPortalGroup.GetTarget", TargetReply)

    def query_associated_portals(self) -> Iterator[PortalProperties]:
        """The portals in the group: a snapshot. (IVdsIscsiPortalGroup::QueryAssociatedPortals)

        Role: viewer. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return self._each("IscsiPortalGroup.QueryAssociatedPortals", PortalsReply)

    def add_portal(self, portal_id: str) -> Operation:
        """Put a portal into the group.

        A portal is in at most one group of a target: VDS_E_OBJECT_EXISTS when it is in one already. It can be in
        groups of other targets. (IVdsIscsiPortalGroup::AddPortal)

        Role: operator. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_NOT_FOUND, VDS_E_OBJECT_DELETED,
        VDS_E_OBJECT_EXISTS, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return self._start("IscsiPortalGroup.AddPortal", portalId=portal_id)

    def remove_portal(self, portal_id: str) -> Operation:
        """Take a portal out of the group; sessions through it end. (IVdsIscsiPortalGroup::RemovePortal)

        Role: operator. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_NOT_FOUND, VDS_E_OBJECT_DELETED,
        VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return self._start("IscsiPortalGroup.RemovePortal", portalId=portal_id)

    def delete(self) -> Operation:
        """Delete the group; refused while portals are in it. (IVdsIscsiPortalGroup::Delete)

        Role: operator. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_ASSOCIATED_PORTALS_EXIST.
        """
        return self._start("IscsiPortalGroup.Delete")
