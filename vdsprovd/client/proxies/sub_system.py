"""SubSystem: A storage host's LIO configuration, or one part of it, with its pools, LUNs, targets and portals.

Generated from the daemon's methods by scripts/client-proxies; do not edit.
"""

from collections.abc import Iterator, Sequence

from vdsprovd.client.operation import Operation
from vdsprovd.client.proxies.proxy import ObjectProxy
from vdsprovd.model import (
    ControllerProperties,
    DriveProperties,
    Hints,
    Hints2,
    LunProperties,
    LunType,
    MaintenanceOperation,
    NewLun,
    NewTarget,
    PortalProperties,
    SubSystemStatus,
    TargetProperties,
)
from vdsprovd.replies import (
    ControllersReply,
    DriveReply,
    DrivesReply,
    InterconnectsReply,
    IscsiNameReply,
    LunsReply,
    MaxLunSizeReply,
    PortalsReply,
    ProviderReply,
    SubSystemProperties2Reply,
    SubSystemPropertiesReply,
    SuccessReply,
    TargetsReply,
)


class SubSystem(ObjectProxy):
    """A storage host's LIO configuration, or one part of it, with its pools, LUNs, targets and portals.

    It has the methods of IVdsSubSystem, IVdsSubSystem2, IVdsSubSystemNaming, IVdsSubSystemIscsi,
    IVdsSubSystemInterconnect, IVdsSubSystemImportTarget, Provisioning, IVdsMaintenance.
    """

    # IVdsSubSystem

    def get_properties(self) -> SubSystemPropertiesReply:
        """The subsystem's properties; `flags` tell what it can do.

        `hresult` is VDS_S_PROPERTIES_INCOMPLETE while a pool cannot be read: what it can do is not known then.
        (IVdsSubSystem::GetProperties)

        Role: viewer. Codes: VDS_S_PROPERTIES_INCOMPLETE, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return self._call("SubSystem.GetProperties", SubSystemPropertiesReply)

    def get_provider(self) -> ProviderReply:
        """The provider that manages the subsystem. (IVdsSubSystem::GetProvider)

        Role: viewer. Codes: VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return self._call("SubSystem.GetProvider", ProviderReply)

    def query_luns(self) -> Iterator[LunProperties]:
        """All LUNs, masked or not, as they are now: a snapshot. (IVdsSubSystem::QueryLuns)

        Role: viewer. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._each("SubSystem.QueryLuns", LunsReply)

    def create_lun(
        self,
        type: LunType,
        size_in_bytes: int,
        drive_ids: Sequence[str] | None = None,
        unmasking_list: str | None = None,
        hints: Hints | None = None,
    ) -> Operation:
        """Create a LUN of at least `sizeInBytes` bytes in the roomiest pool; unmasked to nobody if not said otherwise.

        `type` is concrete or automagic (default, fault_tolerant, non_fault_tolerant: docs/automagic.md says what comes
        of them). `driveIds` go with concrete types: the drives are used in their order, each exhausted before the next.
        `hints` are wishes and go with automagic types; a stripeSize alone goes with stripe and raid10, too. `unmaskingList`
        is as for Lun.SetMask. Async.Wait gives the LUN's id. (IVdsSubSystem::CreateLun)

        Role: operator. Codes: VDS_E_NOT_SUPPORTED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_NOT_FOUND,
        VDS_E_OBJECT_DELETED, VDS_E_NOT_ENOUGH_SPACE, VDS_E_NOT_ENOUGH_DRIVE, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED, E_INVALIDARG.
        """
        return self._start(
            "SubSystem.CreateLun",
            type=type,
            sizeInBytes=size_in_bytes,
            driveIds=drive_ids,
            unmaskingList=unmasking_list,
            hints=hints,
        )

    def query_max_lun_create_size(
        self, type: LunType, drive_ids: Sequence[str] | None = None, hints: Hints | None = None
    ) -> MaxLunSizeReply:
        """The size in bytes of the largest LUN that could be created now. (IVdsSubSystem::QueryMaxLunCreateSize)

        Role: viewer. Codes: VDS_E_NOT_SUPPORTED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_NOT_FOUND,
        VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._call(
            "SubSystem.QueryMaxLunCreateSize", MaxLunSizeReply, type=type, driveIds=drive_ids, hints=hints
        )

    def query_controllers(self) -> Iterator[ControllerProperties]:
        """The controllers: one, this host. (IVdsSubSystem::QueryControllers)

        Role: viewer. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._each("SubSystem.QueryControllers", ControllersReply)

    def query_drives(self) -> Iterator[DriveProperties]:
        """The drives: members of the pools, hot spares, and the free ones that the configuration gives the subsystem.

        (IVdsSubSystem::QueryDrives)

        Role: viewer. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._each("SubSystem.QueryDrives", DrivesReply)

    def get_drive(self, bus_number: int, slot_number: int) -> DriveReply:
        """The id of the drive in that slot; all drives are on bus 0. VDS_E_OBJECT_NOT_FOUND for an empty slot.

        (IVdsSubSystem::GetDrive)

        Role: viewer. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_NOT_FOUND, VDS_E_OBJECT_DELETED,
        VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._call("SubSystem.GetDrive", DriveReply, busNumber=bus_number, slotNumber=slot_number)

    def set_controller_status(
        self, online_controller_ids: Sequence[str] | None = None, offline_controller_ids: Sequence[str] | None = None
    ) -> None:
        """Set every controller online or offline: each is in one of the two lists. (IVdsSubSystem::SetControllerStatus)

        Role: admin. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_NOT_FOUND, VDS_E_OBJECT_DELETED,
        VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED, E_INVALIDARG.
        """
        self._do(
            "SubSystem.SetControllerStatus",
            onlineControllerIds=online_controller_ids,
            offlineControllerIds=offline_controller_ids,
        )

    def replace_drive(self, drive_to_be_replaced: str, replacement_drive: str) -> None:
        """Move everything from one drive to another, which takes its place in the pool; all or nothing.

        The replacement is a free drive or a hot spare; what is on it is lost. Initiators notice nothing. A drive that
        is not there any more cannot be read: use Lun.Recover. (IVdsSubSystem::ReplaceDrive)

        Role: admin. Codes: VDS_E_NOT_SUPPORTED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_NOT_FOUND,
        VDS_E_OBJECT_DELETED, VDS_E_NOT_ENOUGH_SPACE, VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED.
        """
        self._do("SubSystem.ReplaceDrive", driveToBeReplaced=drive_to_be_replaced, replacementDrive=replacement_drive)

    def reenumerate(self) -> None:
        """Look for what was added, removed, broken or mended: pools, volumes, addresses. (IVdsSubSystem::Reenumerate)

        Role: operator. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED.
        """
        self._do("SubSystem.Reenumerate")

    def set_status(self, status: SubSystemStatus) -> None:
        """Set the subsystem online or offline; offline disables all its portal groups, and so ends their sessions.

        (IVdsSubSystem::SetStatus)

        Role: admin. Codes: VDS_E_NOT_SUPPORTED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED,
        VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED, E_INVALIDARG.
        """
        self._do("SubSystem.SetStatus", status=status)

    # IVdsSubSystem2

    def get_properties2(self) -> SubSystemProperties2Reply:
        """As SubSystem.GetProperties, with the RAID forms of LUNs and the number of enclosures.

        (IVdsSubSystem2::GetProperties2)

        Role: viewer. Codes: VDS_S_PROPERTIES_INCOMPLETE, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return self._call("SubSystem2.GetProperties2", SubSystemProperties2Reply)

    def get_drive2(self, bus_number: int, slot_number: int, enclosure_number: int) -> DriveReply:
        """As SubSystem.GetDrive, if the drive is in that enclosure (4294967295: in none). (IVdsSubSystem2::GetDrive2)

        Role: viewer. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_NOT_FOUND, VDS_E_OBJECT_DELETED,
        VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._call(
            "SubSystem2.GetDrive2",
            DriveReply,
            busNumber=bus_number,
            slotNumber=slot_number,
            enclosureNumber=enclosure_number,
        )

    def create_lun2(
        self,
        type: LunType,
        size_in_bytes: int,
        drive_ids: Sequence[str] | None = None,
        unmasking_list: str | None = None,
        hints2: Hints2 | None = None,
    ) -> Operation:
        """As SubSystem.CreateLun, with VDS_HINTS2. (IVdsSubSystem2::CreateLun2)

        Role: operator. Codes: VDS_E_NOT_SUPPORTED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_NOT_FOUND,
        VDS_E_OBJECT_DELETED, VDS_E_NOT_ENOUGH_SPACE, VDS_E_NOT_ENOUGH_DRIVE, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED, E_INVALIDARG.
        """
        return self._start(
            "SubSystem2.CreateLun2",
            type=type,
            sizeInBytes=size_in_bytes,
            driveIds=drive_ids,
            unmaskingList=unmasking_list,
            hints2=hints2,
        )

    def query_max_lun_create_size2(
        self, type: LunType, drive_ids: Sequence[str] | None = None, hints2: Hints2 | None = None
    ) -> MaxLunSizeReply:
        """As SubSystem.QueryMaxLunCreateSize, with VDS_HINTS2. (IVdsSubSystem2::QueryMaxLunCreateSize2)

        Role: viewer. Codes: VDS_E_NOT_SUPPORTED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_NOT_FOUND,
        VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._call(
            "SubSystem2.QueryMaxLunCreateSize2", MaxLunSizeReply, type=type, driveIds=drive_ids, hints2=hints2
        )

    # IVdsSubSystemNaming

    def set_friendly_name(self, friendly_name: str) -> SuccessReply:
        """Name the subsystem; VDS_S_NAME_TRUNCATED when the name was cut to 255 bytes of UTF-8.

        (IVdsSubSystemNaming::SetFriendlyName)

        Role: operator. Codes: VDS_S_NAME_TRUNCATED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED,
        VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._call("SubSystemNaming.SetFriendlyName", SuccessReply, friendlyName=friendly_name)

    # IVdsSubSystemIscsi

    def query_targets(self) -> Iterator[TargetProperties]:
        """All targets of the subsystem: a snapshot. (IVdsSubSystemIscsi::QueryTargets)

        Role: viewer. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._each("SubSystemIscsi.QueryTargets", TargetsReply)

    def query_portals(self) -> Iterator[PortalProperties]:
        """All portals: the addresses, with a TCP port each, that portal groups can have.

        They come and go with the host's addresses, or are those of the configuration. (IVdsSubSystemIscsi::QueryPortals)

        Role: viewer. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._each("SubSystemIscsi.QueryPortals", PortalsReply)

    def create_target(self, iscsi_name: str | None = None, friendly_name: str | None = None) -> Operation:
        """Create a target without portal groups; null or "" as `iscsiName` has a name generated.

        Authentication is on: nobody logs in before IscsiTarget.SetSharedSecret. Async.Wait gives the target's id.
        (IVdsSubSystemIscsi::CreateTarget)

        Role: operator. Codes: VDS_E_NOT_SUPPORTED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED,
        VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED, VDS_E_NAME_NOT_UNIQUE, E_INVALIDARG.
        """
        return self._start("SubSystemIscsi.CreateTarget", iscsiName=iscsi_name, friendlyName=friendly_name)

    def set_ipsec_group_preshared_key(self, key: str | None = None) -> None:
        """Always VDS_E_NOT_SUPPORTED, as VDS documents it. (IVdsSubSystemIscsi::SetIpsecGroupPresharedKey)

        Role: admin. Codes: VDS_E_NOT_SUPPORTED.
        """
        self._do("SubSystemIscsi.SetIpsecGroupPresharedKey", key=key)

    # IVdsSubSystemInterconnect

    def get_supported_interconnects(self) -> InterconnectsReply:
        """Always iscsi alone. (IVdsSubSystemInterconnect::GetSupportedInterconnects)

        Role: viewer.
        """
        return self._call("SubSystemInterconnect.GetSupportedInterconnects", InterconnectsReply)

    # IVdsSubSystemImportTarget

    def get_import_target(self, computer: str | None = None) -> IscsiNameReply:
        """The iSCSI name of the import target of a computer (this host, if null) at this subsystem.

        VDS_E_NO_IMPORT_TARGET when none is set. The name of a target that was deleted is still returned.
        (IVdsSubSystemImportTarget::GetImportTarget)

        Role: viewer. Codes: VDS_E_NOT_SUPPORTED, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_NO_IMPORT_TARGET.
        """
        return self._call("SubSystemImportTarget.GetImportTarget", IscsiNameReply, computer=computer)

    def set_import_target(self, iscsi_name: str | None = None, computer: str | None = None) -> None:
        """Set the import target of a computer (this host, if null) at this subsystem; null or "" clears it.

        Whether there is a target of that name is not checked. (IVdsSubSystemImportTarget::SetImportTarget)

        Role: operator. Codes: VDS_E_NOT_SUPPORTED, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        self._do("SubSystemImportTarget.SetImportTarget", iscsiName=iscsi_name, computer=computer)

    # Provisioning

    def create_luns(self, luns: Sequence[NewLun]) -> Operation:
        """Create up to 1,000 LUNs, with their names, unmasked and associated as each says.

        They are there, all of them, when Async.Wait says that the operation is over; when it fails, is cancelled or is cut
        off by a crash, none is. What one call makes costs a few transactions, whatever their number: 1,000 LUNs take a
        fraction of the time that 1,000 calls do.

        Role: operator. Codes: VDS_E_NOT_SUPPORTED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_NOT_FOUND,
        VDS_E_OBJECT_DELETED, VDS_E_NOT_ENOUGH_SPACE, VDS_E_NOT_ENOUGH_DRIVE, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED, E_INVALIDARG.
        """
        return self._start("Provisioning.CreateLuns", luns=luns)

    def create_targets(self, targets: Sequence[NewTarget]) -> Operation:
        """Create up to 1,000 targets, each with a portal group of the portals that it names, if it names any.

        They are there, all of them, when Async.Wait says that the operation is over; when it fails or is cut off by a crash,
        none is. Authentication is on, as after SubSystemIscsi.CreateTarget.

        Role: operator. Codes: VDS_E_NOT_SUPPORTED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_NOT_FOUND,
        VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED, VDS_E_NAME_NOT_UNIQUE,
        E_INVALIDARG.
        """
        return self._start("Provisioning.CreateTargets", targets=targets)

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
