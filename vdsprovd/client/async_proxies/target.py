"""Target: An iSCSI target.

Generated from the daemon's methods by scripts/client-proxies; do not edit.
"""

from collections.abc import AsyncGenerator

from vdsprovd.client.aio import AsyncOperation
from vdsprovd.client.async_proxies.proxy import ObjectProxy
from vdsprovd.model import LunProperties, PortalGroupProperties
from vdsprovd.replies import (
    InitiatorsReply,
    LunsReply,
    PortalGroupsReply,
    SubSystemReply,
    SuccessReply,
    TargetPropertiesReply,
)


class Target(ObjectProxy):
    """An iSCSI target.

    It has the methods of IVdsIscsiTarget.
    """

    # IVdsIscsiTarget

    async def get_properties(self) -> TargetPropertiesReply:
        """The target's names, and whether a CHAP secret is needed to log in. (IVdsIscsiTarget::GetProperties)

        Role: viewer. Codes: VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return await self._call("IscsiTarget.GetProperties", TargetPropertiesReply)

    async def get_sub_system(self) -> SubSystemReply:
        """The subsystem that has the target. (IVdsIscsiTarget::GetSubSystem)

        Role: viewer. Codes: VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return await self._call("IscsiTarget.GetSubSystem", SubSystemReply)

    def query_portal_groups(self) -> AsyncGenerator[PortalGroupProperties, None]:
        """The target's portal groups, by tag: a snapshot. (IVdsIscsiTarget::QueryPortalGroups)

        Role: viewer. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return self._each("IscsiTarget.QueryPortalGroups", PortalGroupsReply)

    def query_associated_luns(self) -> AsyncGenerator[LunProperties, None]:
        """The LUNs associated with the target, by logical unit number. (IVdsIscsiTarget::QueryAssociatedLuns)

        Role: viewer. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return self._each("IscsiTarget.QueryAssociatedLuns", LunsReply)

    async def create_portal_group(self) -> AsyncOperation:
        """Create a portal group; the provider chooses the tag. Async.Wait gives its id.

        At the limit of 64 groups `hresult` is VDS_S_ALREADY_EXISTS, and an existing group is handed out.
        (IVdsIscsiTarget::CreatePortalGroup)

        Role: operator. Codes: VDS_S_ALREADY_EXISTS, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED,
        VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return await self._start("IscsiTarget.CreatePortalGroup")

    async def delete(self) -> AsyncOperation:
        """Delete the target with its portal groups; refused while LUNs are associated. (IVdsIscsiTarget::Delete)

        Role: operator. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_ASSOCIATED_LUNS_EXIST.
        """
        return await self._start("IscsiTarget.Delete")

    async def set_friendly_name(self, friendly_name: str) -> SuccessReply:
        """Name the target; the name is the iSCSI alias that initiators see at login.

        VDS_S_NAME_TRUNCATED when it was cut to 255 bytes of UTF-8. (IVdsIscsiTarget::SetFriendlyName)

        Role: operator. Codes: VDS_S_NAME_TRUNCATED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED,
        VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return await self._call("IscsiTarget.SetFriendlyName", SuccessReply, friendlyName=friendly_name)

    async def set_shared_secret(
        self, target_shared_secret: str | None = None, initiator_name: str | None = None
    ) -> None:
        """Set the CHAP secret, 12 to 16 bytes, with which the target authenticates an initiator; null clears it.

        Without `initiatorName` it is the secret of all initiators that have none of their own. The CHAP name is the
        initiator's iSCSI name; an adopted one stays as long as there is a secret. A secret cannot begin with NULL, nor be one of mutual CHAP
        too. Secrets can be set and never read. (IVdsIscsiTarget::SetSharedSecret)

        Role: admin. Codes: VDS_E_NOT_SUPPORTED, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT, E_INVALIDARG.
        """
        await self._do(
            "IscsiTarget.SetSharedSecret", targetSharedSecret=target_shared_secret, initiatorName=initiator_name
        )

    async def remember_initiator_shared_secret(
        self, initiator_name: str, initiator_shared_secret: str | None = None
    ) -> None:
        """Set the secret with which the target answers an initiator that authenticates it (mutual CHAP); null clears it.

        The target's CHAP name is its iSCSI name. (IVdsIscsiTarget::RememberInitiatorSharedSecret)

        Role: admin. Codes: VDS_E_NOT_SUPPORTED, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT, E_INVALIDARG.
        """
        await self._do(
            "IscsiTarget.RememberInitiatorSharedSecret",
            initiatorName=initiator_name,
            initiatorSharedSecret=initiator_shared_secret,
        )

    async def get_connected_initiators(self) -> InitiatorsReply:
        """The iSCSI names of the initiators that are logged in now. (IVdsIscsiTarget::GetConnectedInitiators)

        One whose connection broke counts until the kernel gives its session up, some seconds later.

        Role: viewer. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return await self._call("IscsiTarget.GetConnectedInitiators", InitiatorsReply)
