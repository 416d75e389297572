"""Every interface that the daemon serves; a new one is added here and nowhere else."""

from vdsprovd import varlink
from vdsprovd.provider import (
    api,
    async_operation,
    controller,
    drive,
    lun,
    lun_mpio,
    lun_plex,
    maintenance,
    portal,
    portal_group,
    provider,
    provisioning,
    service,
    storage_pool,
    sub_system,
    target,
)
from vdsprovd.provider.context import Context

INTERFACES: tuple[type[api.Interface], ...] = (
    service.Service,
    provider.Provider,
    provider.ProviderSupport,
    provider.HwProvider,
    provider.HwProviderType,
    provider.HwProviderType2,
    provider.HwProviderPrivate,
    provider.HwProviderPrivateMpio,
    provider.HwProviderStoragePools,
    storage_pool.StoragePool,
    sub_system.SubSystem,
    sub_system.SubSystem2,
    sub_system.SubSystemNaming,
    sub_system.SubSystemIscsi,
    sub_system.SubSystemInterconnect,
    sub_system.SubSystemImportTarget,
    provisioning.Provisioning,
    controller.Controller,
    controller.ControllerControllerPort,
    controller.ControllerPort,
    drive.Drive,
    drive.Drive2,
    maintenance.Maintenance,
    lun.Lun,
    lun.Lun2,
    lun.LunControllerPorts,
    lun_plex.LunPlex,
    lun.LunNaming,
    lun.LunNumber,
    lun.LunIscsi,
    lun_mpio.LunMpio,
    target.IscsiTarget,
    portal_group.IscsiPortalGroup,
    portal.IscsiPortal,
    portal.IscsiPortalLocal,
    async_operation.Async,
)


ELSEWHERE = {
    "IVdsProviderPrivate::GetObject": "Service.GetObject",
    "IVdsProviderPrivate::OnLoad": "the daemon's start; VDS_E_INITIALIZED_FAILED for who waits for one that fails",
    "IVdsProviderPrivate::OnUnload": "the daemon's stop; exports go on without it. It can always unload: never S_FALSE",
    "IVdsAdviseSink::OnNotify": "the replies of Service.Advise, called with `more`; `overrun` is its S_FALSE",
    "IEnumVdsObject::Next": "the reply's array; called with `more`, its batches. Its end is S_FALSE",
    "IEnumVdsObject::Skip": "the client's own: it has the array",
    "IEnumVdsObject::Reset": "the client's own: it has the array",
    "IEnumVdsObject::Clone": "the client's own: it has the array",
}
"""Methods of a VDS hardware provider that are COM's plumbing, and what does their work here."""


def describe(context: Context) -> list[varlink.Interface]:
    """The interfaces, bound to a context, as the wire layer wants them."""
    return [api.errors(), *(interface(context).describe() for interface in INTERFACES)]
