"""Controller: A controller: the host as a node that serves LUNs.

Generated from the daemon's methods by scripts/client-proxies; do not edit.
"""

from collections.abc import AsyncGenerator

from vdsprovd.client.async_proxies.proxy import ObjectProxy
from vdsprovd.model import ControllerStatus, LunProperties, MaintenanceOperation, PortProperties
from vdsprovd.replies import (
    ControllerPropertiesReply,
    LunsReply,
    PortPropertiesReply,
    PortsReply,
    SubSystemReply,
    SuccessReply,
)


class Controller(ObjectProxy):
    """A controller: the host as a node that serves LUNs.

    It has the methods of IVdsController, IVdsControllerControllerPort, IVdsMaintenance.
    """

    # IVdsController

    async def get_properties(self) -> ControllerPropertiesReply:
        """The controller's name, status and number of ports. (IVdsController::GetProperties)

        Role: viewer. Codes: VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return await self._call("Controller.GetProperties", ControllerPropertiesReply)

    async def get_sub_system(self) -> SubSystemReply:
        """The subsystem that has the controller. (IVdsController::GetSubSystem)

        Role: viewer. Codes: VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return await self._call("Controller.GetSubSystem", SubSystemReply)

    async def get_port_properties(self, port_number: int) -> PortPropertiesReply:
        """The properties of port 0; there is no other: VDS_E_NOT_SUPPORTED. (IVdsController::GetPortProperties)

        Role: viewer. Codes: VDS_E_NOT_SUPPORTED, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return await self._call("Controller.GetPortProperties", PortPropertiesReply, portNumber=port_number)

    async def flush_cache(self) -> None:
        """Write what the host has cached of LUNs, and of everything else, to its disks.

        LUNs are write-through, so nothing that an initiator was told is written depends on it.
        (IVdsController::FlushCache)

        Role: operator. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED.
        """
        await self._do("Controller.FlushCache")

    async def invalidate_cache(self) -> None:
        """Drop what the host has cached of LUNs. Nothing is lost, unlike with other arrays: what is not on the disks yet
        is written first. (IVdsController::InvalidateCache)

        Role: admin. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        await self._do("Controller.InvalidateCache")

    async def reset(self) -> None:
        """End every session with the subsystem's targets, which initiators then make anew, and drop what is cached.

        (IVdsController::Reset)

        Role: admin. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        await self._do("Controller.Reset")

    def query_associated_luns(self) -> AsyncGenerator[LunProperties, None]:
        """The LUNs for which the controller is active: a snapshot. (IVdsController::QueryAssociatedLuns)

        Role: viewer. Codes: VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._each("Controller.QueryAssociatedLuns", LunsReply)

    async def set_status(self, status: ControllerStatus) -> None:
        """Set the controller online or offline. (IVdsController::SetStatus)

        Role: admin. Codes: VDS_E_NOT_SUPPORTED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED,
        VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED, E_INVALIDARG.
        """
        await self._do("Controller.SetStatus", status=status)

    # IVdsControllerControllerPort

    def query_controller_ports(self) -> AsyncGenerator[PortProperties, None]:
        """The controller's ports: one. (IVdsControllerControllerPort::QueryControllerPorts)

        Role: viewer. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._each("ControllerControllerPort.QueryControllerPorts", PortsReply)

    # IVdsMaintenance

    async def start_maintenance(self, operation: MaintenanceOperation) -> None:
        """Start an operation: the light at the drive's slot blinks until StopMaintenance; spin_down, spin_up and ping are
        over when this returns.

        Of a subsystem or a LUN it is that of its drives: all lights that there are blink, and a ping is answered by all
        or is an error; they are spun down and up one by one. A controller answers a ping and has nothing else.
        VDS_E_NOT_SUPPORTED for what the drives and their enclosures do not have: nothing on Linux beeps.
        (IVdsMaintenance::StartMaintenance)

        Role: operator. Codes: VDS_E_NOT_SUPPORTED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED,
        VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED.
        """
        await self._do("Maintenance.StartMaintenance", operation=operation)

    async def stop_maintenance(self, operation: MaintenanceOperation) -> SuccessReply:
        """Stop an operation; `hresult` is S_FALSE when it is not running. A light that blinks for another object, too,
        goes on. (IVdsMaintenance::StopMaintenance)

        Role: operator. Codes: S_FALSE, VDS_E_NOT_SUPPORTED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED,
        VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED.
        """
        return await self._call("Maintenance.StopMaintenance", SuccessReply, operation=operation)

    async def pulse_maintenance(self, operation: MaintenanceOperation, count: int) -> SuccessReply:
        """Let a running operation go on for so many pulses and then stop; `hresult` is S_FALSE when it is not running.

        VDS_E_NOT_SUPPORTED for spin_down and spin_up. (IVdsMaintenance::PulseMaintenance)

        Role: operator. Codes: S_FALSE, VDS_E_NOT_SUPPORTED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED,
        VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED.
        """
        return await self._call("Maintenance.PulseMaintenance", SuccessReply, operation=operation, count=count)
