"""A portal, an address of the host and a TCP port: IVdsIscsiPortal."""

import msgspec

from vdsprovd.hardware import Fact
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.inventory import Inventory, Portal, PortalGroup, Target
from vdsprovd.model import IpAddress, IscsiPortalStatus
from vdsprovd.provider import facts
from vdsprovd.provider.api import ALL_KNOWN, Interface, Role, ipsec, method
from vdsprovd.replies import PortalGroupsReply, PortalPropertiesReply, SecurityFlagsReply, SubSystemReply
from vdsprovd.varlink import More

_GETTER = (Hresult.VDS_E_PROVIDER_CACHE_CORRUPT, Hresult.VDS_E_OBJECT_DELETED)
_USUAL = (*_GETTER, Hresult.VDS_E_ANOTHER_CALL_IN_PROGRESS)


class IscsiPortal(Interface):
    """A portal: an address of the host and a TCP port."""

    com = "IVdsIscsiPortal"

    @method(Role.VIEWER, *_GETTER, never={"VDS_S_PROPERTIES_INCOMPLETE": ALL_KNOWN})
    def get_properties(self, portal: Portal) -> PortalPropertiesReply:
        """The portal's address and status. (IVdsIscsiPortal::GetProperties)"""
        return PortalPropertiesReply(Hresult.S_OK, portal.properties)

    @method(Role.VIEWER, *_GETTER)
    def get_sub_system(self, portal: Portal) -> SubSystemReply:
        """The subsystem that has the portal. (IVdsIscsiPortal::GetSubSystem)"""
        return SubSystemReply(portal.sub_system_id)

    @method(Role.VIEWER, *_USUAL, more=More.SUPPORTED)
    def query_associated_portal_groups(self, portal: Portal) -> PortalGroupsReply:
        """The portal groups, of all targets, that the portal is in. (IVdsIscsiPortal::QueryAssociatedPortalGroups)"""
        return PortalGroupsReply(tuple(group.properties for group in _groups(self.inventory, portal)))

    @method(Role.ADMIN, *_USUAL, Hresult.VDS_E_NOT_SUPPORTED, exclusive=True)
    async def set_status(self, portal: Portal, status: IscsiPortalStatus) -> None:
        """Set the portal online or offline; offline closes it in every group, and so ends its sessions.

        (IVdsIscsiPortal::SetStatus)
        """
        if status not in (IscsiPortalStatus.ONLINE, IscsiPortalStatus.OFFLINE):
            raise VdsError(
                Hresult.VDS_E_NOT_SUPPORTED,
                f"the status {status.value} cannot be set; use online or offline",
                portal.id,
            )
        changed = msgspec.structs.replace(portal, online=status is IscsiPortalStatus.ONLINE)
        targets = {group.target_id for group in _groups(self.inventory, portal)}
        async with self.context.reshaping(targets):
            await self.context.change(self._listeners(portal), self._listeners(changed), put=[changed])

    @method(Role.ADMIN, Hresult.VDS_E_NOT_SUPPORTED)
    def set_ipsec_tunnel_address(
        self, portal: Portal, tunnel_address: IpAddress, destination_address: IpAddress
    ) -> None:
        """Always VDS_E_NOT_SUPPORTED, as VDS documents it. (IVdsIscsiPortal::SetIpsecTunnelAddress)"""
        raise ipsec(portal.id)

    @method(Role.VIEWER, Hresult.VDS_E_NOT_SUPPORTED)
    def get_ipsec_security(self, portal: Portal, initiator_portal_address: IpAddress) -> SecurityFlagsReply:
        """Always VDS_E_NOT_SUPPORTED, as VDS documents it. (IVdsIscsiPortal::GetIpsecSecurity)"""
        raise ipsec(portal.id)

    @method(Role.ADMIN, Hresult.VDS_E_NOT_SUPPORTED)
    def set_ipsec_security(
        self, portal: Portal, initiator_portal_address: IpAddress, security_flags: int, key: str | None = None
    ) -> None:
        """Always VDS_E_NOT_SUPPORTED, as VDS documents it. (IVdsIscsiPortal::SetIpsecSecurity)"""
        raise ipsec(portal.id)

    def _listeners(self, portal: Portal) -> list[Fact]:
        return [
            fact
            for group in _groups(self.inventory, portal)
            for fact in facts.listener(portal, self.inventory.known(Target, group.target_id), group)
        ]


class IscsiPortalLocal(Interface):
    """A portal, as this host's own initiator is to see it."""

    com = "IVdsIscsiPortalLocal"

    @method(Role.ADMIN, Hresult.VDS_E_NOT_SUPPORTED)
    def set_ipsec_security_local(self, portal: Portal, security_flags: int, key: str | None = None) -> None:
        """Always VDS_E_NOT_SUPPORTED, as VDS documents it. (IVdsIscsiPortalLocal::SetIpsecSecurityLocal)"""
        raise ipsec(portal.id)


def _groups(inventory: Inventory, portal: Portal) -> list[PortalGroup]:
    ids = inventory.groups_of_portal.get(portal.id)
    return [inventory.known(PortalGroup, id) for id in ids] if ids is not None else []
