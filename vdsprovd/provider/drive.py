"""A drive: IVdsDrive, IVdsDrive2."""

import msgspec

from vdsprovd import inventory
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.model import DriveExtent, DriveFlag, DriveStatus
from vdsprovd.provider.api import Interface, Role, method
from vdsprovd.provider.replacement import check_free
from vdsprovd.replies import DriveExtentsReply, DriveProperties2Reply, DrivePropertiesReply, SubSystemReply

_GETTER = (Hresult.VDS_E_PROVIDER_CACHE_CORRUPT, Hresult.VDS_E_OBJECT_DELETED)
_USUAL = (*_GETTER, Hresult.VDS_E_OBJECT_STATUS_FAILED, Hresult.VDS_E_ANOTHER_CALL_IN_PROGRESS)


class Drive(Interface):
    """A drive: a disk of the host that is a pool's member, a hot spare, or free."""

    com = "IVdsDrive"

    @method(Role.VIEWER, *_GETTER, Hresult.VDS_S_PROPERTIES_INCOMPLETE)
    def get_properties(self, drive: inventory.Drive) -> DrivePropertiesReply:
        """The drive's properties; `hresult` is VDS_S_PROPERTIES_INCOMPLETE for one that is not there.

        (IVdsDrive::GetProperties)
        """
        return DrivePropertiesReply(_known(drive), drive.properties)

    @method(Role.VIEWER, *_GETTER)
    def get_sub_system(self, drive: inventory.Drive) -> SubSystemReply:
        """The subsystem that has the drive. (IVdsDrive::GetSubSystem)"""
        return SubSystemReply(drive.sub_system_id)

    @method(Role.VIEWER, *_USUAL, never={"VDS_E_NOT_SUPPORTED": "LVM knows the extents of all its drives"})
    async def query_extents(self, drive: inventory.Drive) -> DriveExtentsReply:
        """All extents of the drive, used and free, as they are now; a drive in no pool is one free extent.

        An extent's `lunId` is null when it is free or used by a volume that is not ours. (IVdsDrive::QueryExtents)
        """
        if not drive.pool_id:
            return DriveExtentsReply((DriveExtent(drive.id, None, drive.size, False),) if drive.size else ())
        pool = self.context.drive_pool(drive.pool_id)
        extents = await self.context.guarded(self.context.look(pool.extents), drive.id)
        return DriveExtentsReply(
            tuple(
                DriveExtent(
                    drive.id,
                    extent.lun if self.inventory.get(inventory.Lun, extent.lun) else None,
                    extent.size,
                    bool(extent.lun),
                )
                for extent in extents
                if extent.drive == drive.node
            )
        )

    @method(Role.ADMIN, *_USUAL, Hresult.VDS_E_NOT_SUPPORTED, exclusive=True)
    async def set_flags(self, drive: inventory.Drive, flags: tuple[DriveFlag, ...]) -> None:
        """Reserve a free drive as a hot spare, which Lun.Recover takes when a pool lacks a drive; what is on it is lost
        then. No other flag can be set. (IVdsDrive::SetFlags)"""
        _check(drive, flags)
        if DriveFlag.HOTSPARE in flags and not drive.hot_spare:
            check_free(self.context, drive)
            await self.context.change(put=[msgspec.structs.replace(drive, hot_spare=True)])

    @method(Role.ADMIN, *_USUAL, Hresult.VDS_E_NOT_SUPPORTED, exclusive=True)
    async def clear_flags(self, drive: inventory.Drive, flags: tuple[DriveFlag, ...]) -> None:
        """Free a hot spare. No other flag can be cleared. (IVdsDrive::ClearFlags)"""
        _check(drive, flags)
        if DriveFlag.HOTSPARE in flags and drive.hot_spare:
            await self.context.change(put=[msgspec.structs.replace(drive, hot_spare=False)])

    @method(Role.ADMIN, *_USUAL, Hresult.VDS_E_NOT_SUPPORTED, Hresult.E_INVALIDARG, exclusive=True)
    async def set_status(self, drive: inventory.Drive, status: DriveStatus) -> None:
        """Set the drive online, or offline: it keeps what is on it and takes no new extents.

        VDS_E_NOT_SUPPORTED for a pool's drive that is not there, too. (IVdsDrive::SetStatus)"""
        if status is DriveStatus.UNKNOWN:
            raise VdsError(Hresult.E_INVALIDARG, "the status unknown cannot be set", drive.id)
        if status not in (DriveStatus.ONLINE, DriveStatus.OFFLINE):
            raise VdsError(
                Hresult.VDS_E_NOT_SUPPORTED, f"the status {status.value} cannot be set; use online or offline", drive.id
            )
        if drive.pool_id and drive.found is None:
            raise VdsError(
                Hresult.VDS_E_NOT_SUPPORTED, f"drive {drive.id} is not there, and its pool cannot be told", drive.id
            )
        online = status is DriveStatus.ONLINE
        if drive.pool_id:
            pool = self.context.drive_pool(drive.pool_id)
            await self.context.guarded(self.context.work(pool.allow, drive.node, online), drive.id)
        # A scan may have seen it meanwhile.
        current = self.inventory.get(inventory.Drive, drive.id) or drive
        member = current.member and msgspec.structs.replace(current.member, allocatable=online)
        changed = msgspec.structs.replace(current, online=online, member=member)
        await self.context.change(put=[changed])


class Drive2(Interface):
    """A drive, with the properties that came later."""

    com = "IVdsDrive2"

    @method(Role.VIEWER, Hresult.VDS_E_OBJECT_DELETED)
    def get_properties2(self, drive: inventory.Drive) -> DriveProperties2Reply:
        """As Drive.GetProperties, with enclosure, bus and rotation. (IVdsDrive2::GetProperties2)"""
        return DriveProperties2Reply(_known(drive), drive.properties2)


def _known(drive: inventory.Drive) -> Hresult:
    return Hresult.S_OK if drive.found else Hresult.VDS_S_PROPERTIES_INCOMPLETE


def _check(drive: inventory.Drive, flags: tuple[DriveFlag, ...]) -> None:
    for flag in flags:
        if flag is not DriveFlag.HOTSPARE:
            raise VdsError(
                Hresult.VDS_E_NOT_SUPPORTED,
                f"the flag {flag.value} is the provider's; only hotspare is yours",
                drive.id,
            )
