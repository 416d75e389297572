"""A controller and its port: IVdsController, IVdsControllerControllerPort, IVdsControllerPort.

A subsystem has one controller, this host, with one port: LIO's ALUA target port group, through which all iSCSI portals
of the node serve LUNs. What is offline serves none: initiators that log in see the LUNs as unavailable (SPC-4 5.15.2).
"""

import msgspec

from vdsprovd import inventory
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.inventory import Lun
from vdsprovd.model import ControllerStatus, PortStatus
from vdsprovd.provider import nodes
from vdsprovd.provider.api import ALL_KNOWN, Interface, Role, method
from vdsprovd.provider.context import Context
from vdsprovd.replies import (
    ControllerPropertiesReply,
    ControllerReply,
    LunsReply,
    PortPropertiesReply,
    PortsReply,
    SubSystemReply,
)
from vdsprovd.varlink import More, lazily

_GETTER = (Hresult.VDS_E_PROVIDER_CACHE_CORRUPT, Hresult.VDS_E_OBJECT_DELETED)
_BUSY = (*_GETTER, Hresult.VDS_E_ANOTHER_CALL_IN_PROGRESS)
_USUAL = (*_BUSY, Hresult.VDS_E_OBJECT_STATUS_FAILED)
_ALWAYS = {"VDS_E_NOT_SUPPORTED": "LIO can always do it, on every node"}


class Controller(Interface):
    """A controller: the host as a node that serves LUNs."""

    com = "IVdsController"

    @method(Role.VIEWER, *_GETTER, never={"VDS_S_PROPERTIES_INCOMPLETE": ALL_KNOWN})
    def get_properties(self, controller: inventory.Controller) -> ControllerPropertiesReply:
        """The controller's name, status and number of ports. (IVdsController::GetProperties)"""
        return ControllerPropertiesReply(Hresult.S_OK, controller.properties)

    @method(Role.VIEWER, *_GETTER)
    def get_sub_system(self, controller: inventory.Controller) -> SubSystemReply:
        """The subsystem that has the controller. (IVdsController::GetSubSystem)"""
        return SubSystemReply(controller.sub_system_id)

    @method(Role.VIEWER, *_GETTER, Hresult.VDS_E_NOT_SUPPORTED)
    def get_port_properties(self, controller: inventory.Controller, port_number: int) -> PortPropertiesReply:
        """The properties of port 0; there is no other: VDS_E_NOT_SUPPORTED. (IVdsController::GetPortProperties)"""
        ports = _ports(self.inventory, controller)
        if not 0 <= port_number < len(ports):
            raise VdsError(
                Hresult.VDS_E_NOT_SUPPORTED, f"the controller has no port {port_number}; it has 0", controller.id
            )
        return PortPropertiesReply(Hresult.S_OK, ports[port_number].properties)

    @method(Role.OPERATOR, *_USUAL, never=_ALWAYS, exclusive=True)
    async def flush_cache(self, controller: inventory.Controller) -> None:
        """Write what the host has cached of LUNs, and of everything else, to its disks.

        LUNs are write-through, so nothing that an initiator was told is written depends on it.
        (IVdsController::FlushCache)
        """
        await self.context.guarded(self.context.work(self.context.hardware.flush), controller.id)

    @method(Role.ADMIN, *_BUSY, never=_ALWAYS, exclusive=True)
    async def invalidate_cache(self, controller: inventory.Controller) -> None:
        """Drop what the host has cached of LUNs. Nothing is lost, unlike with other arrays: what is not on the disks yet
        is written first. (IVdsController::InvalidateCache)"""
        await _invalidate(self.context, controller.sub_system_id, controller.id)

    @method(Role.ADMIN, *_BUSY, never=_ALWAYS, exclusive=True)
    async def reset(self, controller: inventory.Controller) -> None:
        """End every session with the subsystem's targets, which initiators then make anew, and drop what is cached.

        (IVdsController::Reset)
        """
        await _invalidate(self.context, controller.sub_system_id, controller.id)
        await nodes.reset(self.context, controller.sub_system_id)

    @method(Role.VIEWER, *_GETTER, Hresult.VDS_E_OBJECT_STATUS_FAILED, never=_ALWAYS, more=More.SUPPORTED)
    def query_associated_luns(self, controller: inventory.Controller) -> LunsReply:
        """The LUNs for which the controller is active: a snapshot. (IVdsController::QueryAssociatedLuns)"""
        return _active_luns(self.inventory, controller.sub_system_id)

    @method(Role.ADMIN, *_USUAL, Hresult.VDS_E_NOT_SUPPORTED, Hresult.E_INVALIDARG, exclusive=True)
    async def set_status(self, controller: inventory.Controller, status: ControllerStatus) -> None:
        """Set the controller online or offline. (IVdsController::SetStatus)"""
        online = _wanted(status.value, controller.id)
        await nodes.serve(self.context, msgspec.structs.replace(controller, online=online))


class ControllerControllerPort(Interface):
    """A controller's ports."""

    com = "IVdsControllerControllerPort"

    @method(Role.VIEWER, *_USUAL, never=_ALWAYS, more=More.SUPPORTED)
    def query_controller_ports(self, controller: inventory.Controller) -> PortsReply:
        """The controller's ports: one. (IVdsControllerControllerPort::QueryControllerPorts)"""
        return PortsReply(tuple(port.properties for port in _ports(self.inventory, controller)))


class ControllerPort(Interface):
    """A controller's port."""

    com = "IVdsControllerPort"

    @method(Role.VIEWER, *_GETTER, never={"VDS_S_PROPERTIES_INCOMPLETE": ALL_KNOWN})
    def get_properties(self, port: inventory.Port) -> PortPropertiesReply:
        """The port's name and status. (IVdsControllerPort::GetProperties)"""
        return PortPropertiesReply(Hresult.S_OK, port.properties)

    @method(Role.VIEWER, *_GETTER)
    def get_controller(self, port: inventory.Port) -> ControllerReply:
        """The controller that has the port. (IVdsControllerPort::GetController)"""
        return ControllerReply(port.controller_id)

    @method(Role.VIEWER, *_USUAL, never=_ALWAYS, more=More.SUPPORTED)
    def query_associated_luns(self, port: inventory.Port) -> LunsReply:
        """The LUNs for which the port is active: a snapshot. (IVdsControllerPort::QueryAssociatedLuns)"""
        return _active_luns(self.inventory, port.sub_system_id)

    @method(Role.ADMIN, *_BUSY, never=_ALWAYS, exclusive=True)
    async def reset(self, port: inventory.Port) -> None:
        """End every session through the port; initiators log in again by themselves. (IVdsControllerPort::Reset)"""
        await nodes.reset(self.context, port.sub_system_id)

    @method(Role.ADMIN, *_BUSY, Hresult.VDS_E_NOT_SUPPORTED, Hresult.E_INVALIDARG, exclusive=True)
    async def set_status(self, port: inventory.Port, status: PortStatus) -> None:
        """Set the port online or offline. (IVdsControllerPort::SetStatus)"""
        online = _wanted(status.value, port.id)
        await nodes.serve(self.context, msgspec.structs.replace(port, online=online))


def _ports(current: inventory.Inventory, controller: inventory.Controller) -> list[inventory.Port]:
    return [port for port in current.all(inventory.Port) if port.controller_id == controller.id]


def _active_luns(current: inventory.Inventory, sub_system_id: str) -> LunsReply:
    if not current.served.get(sub_system_id, True):
        return LunsReply(())
    return LunsReply(
        lazily(lun.encoded for lun in current.all(Lun) if lun.active and lun.sub_system_id == sub_system_id)
    )


async def _invalidate(context: Context, sub_system_id: str, subject: str) -> None:
    paths = [
        lun.path for lun in context.cache.inventory.all(Lun) if lun.sub_system_id == sub_system_id and lun.exported
    ]
    await context.guarded(context.work(context.hardware.drop_caches, paths), subject)


def _wanted(status: str, id: str) -> bool:
    """Whether it shall be online. Raises E_INVALIDARG for unknown, VDS_E_NOT_SUPPORTED for what cannot be set."""
    if status == "unknown":
        raise VdsError(Hresult.E_INVALIDARG, "the status unknown cannot be set", id)
    if status not in ("online", "offline"):
        raise VdsError(Hresult.VDS_E_NOT_SUPPORTED, f"the status {status} cannot be set; use online or offline", id)
    return status == "online"
