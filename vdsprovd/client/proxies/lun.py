"""Lun: A LUN: a disk that initiators see, with its bytes in a pool.

Generated from the daemon's methods by scripts/client-proxies; do not edit.
"""

from collections.abc import Iterator, Sequence

from vdsprovd.client.operation import Operation
from vdsprovd.client.proxies.proxy import ObjectProxy
from vdsprovd.model import (
    ControllerProperties,
    Hints,
    Hints2,
    LoadBalancePolicy,
    LunPlexProperties,
    LunStatus,
    MaintenanceOperation,
    PathPolicy,
    PortProperties,
    TargetProperties,
)
from vdsprovd.replies import (
    ControllersReply,
    Hints2Reply,
    HintsReply,
    LoadBalancePolicyReply,
    LunInformationReply,
    LunNumberReply,
    LunPropertiesReply,
    MaxBytesReply,
    PathInfoReply,
    PlexesReply,
    PortsReply,
    SubSystemReply,
    SuccessReply,
    SupportedLbPoliciesReply,
    TargetsReply,
)


class Lun(ObjectProxy):
    """A LUN: a disk that initiators see, with its bytes in a pool.

    It has the methods of IVdsLun, IVdsLun2, IVdsLunControllerPorts, IVdsLunNaming, IVdsLunNumber, IVdsLunIscsi,
    IVdsLunMpio, IVdsMaintenance.
    """

    # IVdsLun

    def get_properties(self) -> LunPropertiesReply:
        """The LUN's properties; readable in every state. (IVdsLun::GetProperties)

        `hresult` is VDS_S_PROPERTIES_INCOMPLETE while the LUN's volume is missing: its health is unknown then.

        Role: viewer. Codes: VDS_S_PROPERTIES_INCOMPLETE, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return self._call("Lun.GetProperties", LunPropertiesReply)

    def get_sub_system(self) -> SubSystemReply:
        """The subsystem that has the LUN. (IVdsLun::GetSubSystem)

        Role: viewer. Codes: VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT.
        """
        return self._call("Lun.GetSubSystem", SubSystemReply)

    def get_identification_data(self) -> LunInformationReply:
        """What an initiator reads from INQUIRY and the VPD pages 0x80 and 0x83, byte for byte: the key by which backup
        software finds the LUN among its host's disks. (IVdsLun::GetIdentificationData)

        Vendor, product and revision have the blanks that fill their fields, the serial number is page 0x80's without
        the NUL at its end. Of page 0x83 there are the designators of the logical unit (association 0), in the page's
        order, which are the same on every host and path. Those of the port and of the target are left out: a LUN has
        others on each path, and VDS's structure cannot tell whose they are.

        Role: viewer. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._call("Lun.GetIdentificationData", LunInformationReply)

    def extend(self, number_of_bytes_to_add: int, drive_ids: Sequence[str] | None = None) -> Operation:
        """Grow the LUN by at least so many bytes; all or nothing. New bytes read as zeros.

        Initiators see the new size after a rescan. (IVdsLun::Extend)

        Role: operator. Codes: VDS_E_NOT_SUPPORTED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_NOT_FOUND,
        VDS_E_OBJECT_DELETED, VDS_E_NOT_ENOUGH_SPACE, VDS_E_NOT_ENOUGH_DRIVE, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED, E_INVALIDARG.
        """
        return self._start("Lun.Extend", numberOfBytesToAdd=number_of_bytes_to_add, driveIds=drive_ids)

    def shrink(self, number_of_bytes_to_remove: int) -> Operation:
        """Cut at most so many bytes from the end of the LUN; what is there is lost. (IVdsLun::Shrink)

        Role: operator. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED, E_INVALIDARG.
        """
        return self._start("Lun.Shrink", numberOfBytesToRemove=number_of_bytes_to_remove)

    def set_mask(self, unmasking_list: str) -> None:
        """Replace the list of who may reach the LUN: iSCSI names of initiators separated by ';'.

        "*" stands for this host's own initiators, "" for nobody; each must be alone. Initiators notice after a rescan.
        (IVdsLun::SetMask)

        Role: operator. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED, E_INVALIDARG.
        """
        self._do("Lun.SetMask", unmaskingList=unmasking_list)

    def delete(self) -> None:
        """Delete the LUN and its data; its associations end. The first and last MiB are wiped.

        A LUN that has failed goes, too, unless that is why it cannot: one on a drive that is gone does, one whose bytes
        are there and cannot be wiped does not. (IVdsLun::Delete)

        Role: operator. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED.
        """
        self._do("Lun.Delete")

    def set_status(self, status: LunStatus) -> None:
        """Set the LUN online, or offline: its masks and associations stay, and nobody reaches it. (IVdsLun::SetStatus)

        Role: operator. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED, E_INVALIDARG.
        """
        self._do("Lun.SetStatus", status=status)

    def query_max_lun_extend_size(self, drive_ids: Sequence[str] | None = None) -> MaxBytesReply:
        """By how many bytes the LUN could grow now. (IVdsLun::QueryMaxLunExtendSize)

        Role: viewer. Codes: VDS_E_NOT_SUPPORTED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_NOT_FOUND,
        VDS_E_OBJECT_DELETED, VDS_E_NOT_ENOUGH_DRIVE, VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._call("Lun.QueryMaxLunExtendSize", MaxBytesReply, driveIds=drive_ids)

    def query_plexes(self) -> Iterator[LunPlexProperties]:
        """The LUN's plexes: one, or those of a mirror, the original one first. (IVdsLun::QueryPlexes)

        Role: viewer. Codes: VDS_E_OBJECT_DELETED.
        """
        return self._each("Lun.QueryPlexes", PlexesReply)

    def add_plex(self, lun_id: str) -> Operation:
        """Make another LUN of the same pool a plex of this one, which is a mirror then.

        The other LUN is gone then, and its data is lost. It may be larger. VDS_E_INVALID_OPERATION for one that is
        smaller, in another pool, or where there are no mirrors. (IVdsLun::AddPlex)

        Role: operator. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_NOT_FOUND, VDS_E_OBJECT_DELETED,
        VDS_E_INVALID_OPERATION, VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._start("Lun.AddPlex", lunId=lun_id)

    def remove_plex(self, plex_id: str) -> Operation:
        """Remove a plex of a mirror; VDS_E_INVALID_OPERATION for the only and the original one. (IVdsLun::RemovePlex)

        Role: operator. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_NOT_FOUND, VDS_E_OBJECT_DELETED,
        VDS_E_INVALID_OPERATION, VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._start("Lun.RemovePlex", plexId=plex_id)

    def recover(self) -> Operation:
        """Rebuild what a lost drive took, or synchronize: on free drives of the pool, or on hot spares.

        VDS_E_INVALID_OPERATION for a LUN that is not fault tolerant. (IVdsLun::Recover)

        Role: operator. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_INVALID_OPERATION,
        VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._start("Lun.Recover")

    def query_hints(self) -> HintsReply:
        """The hints in force, which need not be those applied. (IVdsLun::QueryHints)

        Role: viewer. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._call("Lun.QueryHints", HintsReply)

    def apply_hints(self, hints: Hints) -> None:
        """Wish something of the LUN and all its plexes; what is null stays as it was. (IVdsLun::ApplyHints)

        Role: operator. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED, E_INVALIDARG.
        """
        self._do("Lun.ApplyHints", hints=hints)

    def query_active_controllers(self) -> Iterator[ControllerProperties]:
        """The controllers through which the LUN is accessible. (IVdsLun::QueryActiveControllers)

        Role: viewer. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._each("Lun.QueryActiveControllers", ControllersReply)

    def associate_controllers(
        self, active_controller_ids: Sequence[str] | None = None, inactive_controller_ids: Sequence[str] | None = None
    ) -> None:
        """Set each controller of the subsystem active or inactive for the LUN: it is in one of the two lists.

        Through an inactive one initiators find the LUN standing by (SPC-4 5.15.2). (IVdsLun::AssociateControllers)

        Role: operator. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_NOT_FOUND, VDS_E_OBJECT_DELETED,
        VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED, E_INVALIDARG.
        """
        self._do(
            "Lun.AssociateControllers",
            activeControllerIds=active_controller_ids,
            inactiveControllerIds=inactive_controller_ids,
        )

    # IVdsLun2

    def query_hints2(self) -> Hints2Reply:
        """As Lun.QueryHints, with VDS_HINTS2. (IVdsLun2::QueryHints2)

        Role: viewer. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._call("Lun2.QueryHints2", Hints2Reply)

    def apply_hints2(self, hints2: Hints2) -> None:
        """As Lun.ApplyHints, with VDS_HINTS2. (IVdsLun2::ApplyHints2)

        Role: operator. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED, E_INVALIDARG.
        """
        self._do("Lun2.ApplyHints2", hints2=hints2)

    # IVdsLunControllerPorts

    def associate_controller_ports(
        self,
        active_controller_port_ids: Sequence[str] | None = None,
        inactive_controller_port_ids: Sequence[str] | None = None,
    ) -> None:
        """As Lun.AssociateControllers, by the controllers' ports. (IVdsLunControllerPorts::AssociateControllerPorts)

        Role: operator. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_NOT_FOUND, VDS_E_OBJECT_DELETED,
        VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED, E_INVALIDARG.
        """
        self._do(
            "LunControllerPorts.AssociateControllerPorts",
            activeControllerPortIds=active_controller_port_ids,
            inactiveControllerPortIds=inactive_controller_port_ids,
        )

    def query_active_controller_ports(self) -> Iterator[PortProperties]:
        """The controller ports through which the LUN is accessible.

        (IVdsLunControllerPorts::QueryActiveControllerPorts)

        Role: viewer. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._each("LunControllerPorts.QueryActiveControllerPorts", PortsReply)

    # IVdsLunNaming

    def set_friendly_name(self, friendly_name: str) -> SuccessReply:
        """Name the LUN; VDS_S_NAME_TRUNCATED when the name was cut to 255 bytes of UTF-8.

        (IVdsLunNaming::SetFriendlyName)

        Role: operator. Codes: VDS_S_NAME_TRUNCATED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED,
        VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._call("LunNaming.SetFriendlyName", SuccessReply, friendlyName=friendly_name)

    # IVdsLunNumber

    def get_lun_number(self) -> LunNumberReply:
        """The array's own number of the LUN; it is not the SCSI logical unit number. (IVdsLunNumber::GetLunNumber)

        Role: viewer. Codes: VDS_E_OBJECT_DELETED.
        """
        return self._call("LunNumber.GetLunNumber", LunNumberReply)

    # IVdsLunIscsi

    def associate_targets(self, target_ids: Sequence[str] | None = None) -> None:
        """Replace the list of targets through which the LUN is reached; none dissociates it from all.

        All ids are checked before anything changes, and when the kernel refuses a step nothing has changed. A target
        named twice counts once. (IVdsLunIscsi::AssociateTargets)

        Role: operator. Codes: VDS_E_NOT_SUPPORTED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_NOT_FOUND,
        VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED.
        """
        self._do("LunIscsi.AssociateTargets", targetIds=target_ids)

    def query_associated_targets(self) -> Iterator[TargetProperties]:
        """The targets through which the LUN is accessible, in the order given: a snapshot.

        (IVdsLunIscsi::QueryAssociatedTargets)

        Role: viewer. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._each("LunIscsi.QueryAssociatedTargets", TargetsReply)

    # IVdsLunMpio

    def get_path_info(self) -> PathInfoReply:
        """The paths to the LUN. (IVdsLunMpio::GetPathInfo)

        A path is failed when its connection broke and the initiator has not logged in again, or when ALUA forbids to
        use it; standby when ALUA says so. It is unknown when the initiator is connected to the portal and the kernel
        does not tell whether to this target: of the sessions that an initiator has with a portal group, it shows the
        newest only. Where each portal is in a group of its own, every path is known.

        Role: viewer. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._call("LunMpio.GetPathInfo", PathInfoReply)

    def get_load_balance_policy(self) -> LoadBalancePolicyReply:
        """Always round_robin: the array serves a LUN equally well on all its paths, and prefers none.

        A path that is standby or failed is not primary. Which of the paths an initiator's multipath really uses, and
        how, is its own choice, which an array cannot see. (IVdsLunMpio::GetLoadBalancePolicy)

        Role: viewer. Codes: VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED, VDS_E_PROVIDER_CACHE_CORRUPT,
        VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._call("LunMpio.GetLoadBalancePolicy", LoadBalancePolicyReply)

    def set_load_balance_policy(self, policy: LoadBalancePolicy, paths: Sequence[PathPolicy] | None = None) -> None:
        """Accept the policy that is in force, which is what GetLoadBalancePolicy gives, and change nothing.

        Another policy, or another choice of primary paths, is VDS_E_NOT_SUPPORTED: it is set in the multipath of the
        initiators. E_INVALIDARG when there is no such path to the LUN. (IVdsLunMpio::SetLoadBalancePolicy)

        Role: operator. Codes: VDS_E_NOT_SUPPORTED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_DELETED,
        VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED, E_INVALIDARG.
        """
        self._do("LunMpio.SetLoadBalancePolicy", policy=policy, paths=paths)

    def get_supported_lb_policies(self) -> SupportedLbPoliciesReply:
        """Always round_robin alone. (IVdsLunMpio::GetSupportedLbPolicies)

        Role: viewer.
        """
        return self._call("LunMpio.GetSupportedLbPolicies", SupportedLbPoliciesReply)

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
