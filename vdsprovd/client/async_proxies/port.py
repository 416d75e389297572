"""Port: A controller's port.

Generated from the daemon's methods by scripts/client-proxies; do not edit.
"""

from collections.abc import AsyncGenerator

from vdsprovd.client.async_proxies.proxy import ObjectProxy
from vdsprovd.model import LunProperties, PortStatus
from vdsprovd.replies import ControllerReply, LunsReply, PortPropertiesReply


class Port(ObjectProxy):
    """A controller's port.

    It has the methods of IVdsControllerPort.
    """

    # IVdsControllerPort

    async def get_properties(self) -> PortPropertiesReply:
        """The port's name and status. (IVdsControllerPort::GetProperties)

        Role: viewer. Codes: VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return await self._call("ControllerPort.GetProperties", PortPropertiesReply)

    async def get_controller(self) -> ControllerReply:
        """The controller that has the port. (IVdsControllerPort::GetController)

        Role: viewer. Codes: VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return await self._call("ControllerPort.GetController", ControllerReply)

    def query_associated_luns(self) -> AsyncGenerator[LunProperties, None]:
        """The LUNs for which the port is active: a snapshot. (IVdsControllerPort::QueryAssociatedLuns)

        Role: viewer. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._each("ControllerPort.QueryAssociatedLuns", LunsReply)

    async def reset(self) -> None:
        """End every session through the port; initiators log in again by themselves. (IVdsControllerPort::Reset)

        Role: admin. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        await self._do("ControllerPort.Reset")

    async def set_status(self, status: PortStatus) -> None:
        """Set the port online or offline. (IVdsControllerPort::SetStatus)

        Role: admin. Codes: VDS_E_NOT_SUPPORTED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED,
        VDS_E_PROVIDER_CACHE_CORRUPT, E_INVALIDARG.
        """
        await self._do("ControllerPort.SetStatus", status=status)
