"""Drive: A drive: a disk of the host that is a pool's member, a hot spare, or free.

Generated from the daemon's methods by scripts/client-proxies; do not edit.
"""

from collections.abc import Sequence

from vdsprovd.client.proxies.proxy import ObjectProxy
from vdsprovd.model import DriveFlag, DriveStatus, MaintenanceOperation
from vdsprovd.replies import (
    DriveExtentsReply,
    DriveProperties2Reply,
    DrivePropertiesReply,
    SubSystemReply,
    SuccessReply,
)


class Drive(ObjectProxy):
    """A drive: a disk of the host that is a pool's member, a hot spare, or free.

    It has the methods of IVdsDrive, IVdsDrive2, IVdsMaintenance.
    """

    # IVdsDrive

    def get_properties(self) -> DrivePropertiesReply:
        """The drive's properties; `hresult` is VDS_S_PROPERTIES_INCOMPLETE for one that is not there.

        (IVdsDrive::GetProperties)

        Role: viewer. Codes: VDS_S_PROPERTIES_INCOMPLETE, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return self._call("Drive.GetProperties", DrivePropertiesReply)

    def get_sub_system(self) -> SubSystemReply:
        """The subsystem that has the drive. (IVdsDrive::GetSubSystem)

        Role: viewer. Codes: VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return self._call("Drive.GetSubSystem", SubSystemReply)

    def query_extents(self) -> DriveExtentsReply:
        """All extents of the drive, used and free, as they are now; a drive in no pool is one free extent.

        An extent's `lunId` is null when it is free or used by a volume that is not ours. (IVdsDrive::QueryExtents)

        Role: viewer. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._call("Drive.QueryExtents", DriveExtentsReply)

    def set_flags(self, flags: Sequence[DriveFlag]) -> None:
        """Reserve a free drive as a hot spare, which Lun.Recover takes when a pool lacks a drive; what is on it is lost
        then. No other flag can be set. (IVdsDrive::SetFlags)

        Role: admin. Codes: VDS_E_NOT_SUPPORTED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED,
        VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED.
        """
        self._do("Drive.SetFlags", flags=flags)

    def clear_flags(self, flags: Sequence[DriveFlag]) -> None:
        """Free a hot spare. No other flag can be cleared. (IVdsDrive::ClearFlags)

        Role: admin. Codes: VDS_E_NOT_SUPPORTED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED,
        VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED.
        """
        self._do("Drive.ClearFlags", flags=flags)

    def set_status(self, status: DriveStatus) -> None:
        """Set the drive online, or offline: it keeps what is on it and takes no new extents.

        VDS_E_NOT_SUPPORTED for a pool's drive that is not there, too. (IVdsDrive::SetStatus)

        Role: admin. Codes: VDS_E_NOT_SUPPORTED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED,
        VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED, E_INVALIDARG.
        """
        self._do("Drive.SetStatus", status=status)

    # IVdsDrive2

    def get_properties2(self) -> DriveProperties2Reply:
        """As Drive.GetProperties, with enclosure, bus and rotation. (IVdsDrive2::GetProperties2)

        Role: viewer. Codes: VDS_E_OBJECT_DELETED.
        """
        return self._call("Drive2.GetProperties2", DriveProperties2Reply)

    # IVdsMaintenance

    def start_maintenance(self, operation: MaintenanceOperation) -> None:
        """Start an operation: the light at the drive's slot blinks until StopMaintenance; spin_down, spin_up and ping are
        over when this returns.

        Of a subsystem or a LUN it is that of its drives: all lights that there are blink, and a ping is answered by all
        or is an error; they are spun down and up one by one. A controller answers a ping and has nothing else.
        VDS_E_NOT_SUPPORTED for what the drives and their enclosures do not have: nothing on Linux beeps.
        (IVdsMaintenance::StartMaintenance)

        Role: operator. Codes: VDS_E_NOT_SUPPORTED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED,
        VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED.
        """
        self._do("Maintenance.StartMaintenance", operation=operation)

    def stop_maintenance(self, operation: MaintenanceOperation) -> SuccessReply:
        """Stop an operation; `hresult` is S_FALSE when it is not running. A light that blinks for another object, too,
        goes on. (IVdsMaintenance::StopMaintenance)

        Role: operator. Codes: S_FALSE, VDS_E_NOT_SUPPORTED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED,
        VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._call("Maintenance.StopMaintenance", SuccessReply, operation=operation)

    def pulse_maintenance(self, operation: MaintenanceOperation, count: int) -> SuccessReply:
        """Let a running operation go on for so many pulses and then stop; `hresult` is S_FALSE when it is not running.

        VDS_E_NOT_SUPPORTED for spin_down and spin_up. (IVdsMaintenance::PulseMaintenance)

        Role: operator. Codes: S_FALSE, VDS_E_NOT_SUPPORTED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED,
        VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._call("Maintenance.PulseMaintenance", SuccessReply, operation=operation, count=count)
