"""Portal: A portal: an address of the host and a TCP port.

Generated from the daemon's methods by scripts/client-proxies; do not edit.
"""

from collections.abc import Iterator

from vdsprovd.client.proxies.proxy import ObjectProxy
from vdsprovd.model import IpAddress, IscsiPortalStatus, PortalGroupProperties
from vdsprovd.replies import PortalGroupsReply, PortalPropertiesReply, SecurityFlagsReply, SubSystemReply


class Portal(ObjectProxy):
    """A portal: an address of the host and a TCP port.

    It has the methods of IVdsIscsiPortal, IVdsIscsiPortalLocal.
    """

    # IVdsIscsiPortal

    def get_properties(self) -> PortalPropertiesReply:
        """The portal's address and status. (IVdsIscsiPortal::GetProperties)

        Role: viewer. Codes: VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return self._call("IscsiPortal.GetProperties", PortalPropertiesReply)

    def get_sub_system(self) -> SubSystemReply:
        """The subsystem that has the portal. (IVdsIscsiPortal::GetSubSystem)

        Role: viewer. Codes: VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return self._call("IscsiPortal.GetSubSystem", SubSystemReply)

    def query_associated_portal_groups(self) -> Iterator[PortalGroupProperties]:
        """The portal groups, of all targets, that the portal is in. (IVdsIscsiPortal::QueryAssociatedPortalGroups)

        Role: viewer. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return self._each("IscsiPortal.QueryAssociatedPortalGroups", PortalGroupsReply)

    def set_status(self, status: IscsiPortalStatus) -> None:
        """Set the portal online or offline; offline closes it in every group, and so ends its sessions.

        (IVdsIscsiPortal::SetStatus)

        Role: admin. Codes: VDS_E_NOT_SUPPORTED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED,
        VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        self._do("IscsiPortal.SetStatus", status=status)

    def set_ipsec_tunnel_address(self, tunnel_address: IpAddress, destination_address: IpAddress) -> None:
        """Always VDS_E_NOT_SUPPORTED, as VDS documents it. (IVdsIscsiPortal::SetIpsecTunnelAddress)

        Role: admin. Codes: VDS_E_NOT_SUPPORTED.
        """
        self._do(
            "IscsiPortal.SetIpsecTunnelAddress", tunnelAddress=tunnel_address, destinationAddress=destination_address
        )

    def get_ipsec_security(self, initiator_portal_address: IpAddress) -> SecurityFlagsReply:
        """Always VDS_E_NOT_SUPPORTED, as VDS documents it. (IVdsIscsiPortal::GetIpsecSecurity)

        Role: viewer. Codes: VDS_E_NOT_SUPPORTED.
        """
        return self._call(
            "IscsiPortal.GetIpsecSecurity", SecurityFlagsReply, initiatorPortalAddress=initiator_portal_address
        )

    def set_ipsec_security(
        self, initiator_portal_address: IpAddress, security_flags: int, key: str | None = None
    ) -> None:
        """Always VDS_E_NOT_SUPPORTED, as VDS documents it. (IVdsIscsiPortal::SetIpsecSecurity)

        Role: admin. Codes: VDS_E_NOT_SUPPORTED.
        """
        self._do(
            "IscsiPortal.SetIpsecSecurity",
            initiatorPortalAddress=initiator_portal_address,
            securityFlags=security_flags,
            key=key,
        )

    # IVdsIscsiPortalLocal

    def set_ipsec_security_local(self, security_flags: int, key: str | None = None) -> None:
        """Always VDS_E_NOT_SUPPORTED, as VDS documents it. (IVdsIscsiPortalLocal::SetIpsecSecurityLocal)

        Role: admin. Codes: VDS_E_NOT_SUPPORTED.
        """
        self._do("IscsiPortalLocal.SetIpsecSecurityLocal", securityFlags=security_flags, key=key)
