"""A subsystem: IVdsSubSystem, IVdsSubSystemNaming, IVdsSubSystemIscsi, IVdsSubSystemInterconnect, IVdsSubSystemImportTarget."""

import msgspec

from vdsprovd import inventory
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.inventory import Controller, Drive, Lun, Portal, StoragePool, Target
from vdsprovd.model import (
    Hints,
    Hints2,
    InterconnectFlag,
    LunType,
    NewLun,
    NewTarget,
    SubSystemProperties,
    SubSystemProperties2,
    SubSystemStatus,
    SupportedRaidTypeFlag,
)
from vdsprovd.operations import Operation
from vdsprovd.provider import facts, names, scans
from vdsprovd.provider.api import Interface, Role, ipsec, method
from vdsprovd.provider.creation import create_luns
from vdsprovd.provider.nodes import check_partition, serve
from vdsprovd.provider.placement import largest_lun
from vdsprovd.provider.replacement import replace_drive
from vdsprovd.provider.target_creation import create_targets
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
from vdsprovd.varlink import More, lazily

_GETTER = (Hresult.VDS_E_PROVIDER_CACHE_CORRUPT, Hresult.VDS_E_OBJECT_DELETED)
_USUAL = (*_GETTER, Hresult.VDS_E_OBJECT_STATUS_FAILED, Hresult.VDS_E_ANOTHER_CALL_IN_PROGRESS)


class SubSystem(Interface):
    """A storage host's LIO configuration, or one part of it, with its pools, LUNs, targets and portals."""

    com = "IVdsSubSystem"

    @method(Role.VIEWER, *_GETTER, Hresult.VDS_S_PROPERTIES_INCOMPLETE)
    def get_properties(self, sub_system: inventory.SubSystem) -> SubSystemPropertiesReply:
        """The subsystem's properties; `flags` tell what it can do.

        `hresult` is VDS_S_PROPERTIES_INCOMPLETE while a pool cannot be read: what it can do is not known then.
        (IVdsSubSystem::GetProperties)
        """
        return SubSystemPropertiesReply(_known(sub_system), self._properties(sub_system))

    def _properties(self, sub_system: inventory.SubSystem) -> SubSystemProperties:
        return sub_system.properties(self._pools(sub_system), len(self._controllers(sub_system)))

    @method(Role.VIEWER, *_GETTER)
    def get_provider(self, sub_system: inventory.SubSystem) -> ProviderReply:
        """The provider that manages the subsystem. (IVdsSubSystem::GetProvider)"""
        return ProviderReply(self.context.provider_id)

    @method(Role.VIEWER, *_USUAL, more=More.SUPPORTED)
    def query_luns(self, sub_system: inventory.SubSystem) -> LunsReply:
        """All LUNs, masked or not, as they are now: a snapshot. (IVdsSubSystem::QueryLuns)"""
        luns = (lun.encoded for lun in self.inventory.all(Lun) if lun.sub_system_id == sub_system.id)
        return LunsReply(lazily(luns))

    @method(
        Role.OPERATOR,
        *_USUAL,
        Hresult.VDS_E_OBJECT_NOT_FOUND,
        Hresult.VDS_E_NOT_SUPPORTED,
        Hresult.VDS_E_NOT_ENOUGH_SPACE,
        Hresult.VDS_E_NOT_ENOUGH_DRIVE,
        Hresult.E_INVALIDARG,
    )
    async def create_lun(
        self,
        sub_system: inventory.SubSystem,
        type: LunType,
        size_in_bytes: int,
        drive_ids: tuple[str, ...] = (),
        unmasking_list: str = "",
        hints: Hints | None = None,
    ) -> Operation:
        """Create a LUN of at least `sizeInBytes` bytes in the roomiest pool; unmasked to nobody if not said otherwise.

        `type` is concrete or automagic (default, fault_tolerant, non_fault_tolerant: docs/automagic.md says what comes
        of them). `driveIds` go with concrete types: the drives are used in their order, each exhausted before the next.
        `hints` are wishes and go with automagic types; a stripeSize alone goes with stripe and raid10, too. `unmaskingList`
        is as for Lun.SetMask. Async.Wait gives the LUN's id. (IVdsSubSystem::CreateLun)
        """
        new = NewLun(size_in_bytes, type, drive_ids=drive_ids, hints2=_extended(hints), unmasking_list=unmasking_list)
        operation, _ = await create_luns(self.context, sub_system.id, [new])
        return operation

    @method(Role.VIEWER, *_USUAL, Hresult.VDS_E_OBJECT_NOT_FOUND, Hresult.VDS_E_NOT_SUPPORTED)
    async def query_max_lun_create_size(
        self,
        sub_system: inventory.SubSystem,
        type: LunType,
        drive_ids: tuple[str, ...] = (),
        hints: Hints | None = None,
    ) -> MaxLunSizeReply:
        """The size in bytes of the largest LUN that could be created now. (IVdsSubSystem::QueryMaxLunCreateSize)"""
        new = NewLun(0, type, drive_ids=drive_ids, hints2=_extended(hints))
        return MaxLunSizeReply(await largest_lun(self.context, sub_system.id, new))

    @method(Role.VIEWER, *_USUAL, more=More.SUPPORTED)
    def query_controllers(self, sub_system: inventory.SubSystem) -> ControllersReply:
        """The controllers: one, this host. (IVdsSubSystem::QueryControllers)"""
        return ControllersReply(tuple(entry.properties for entry in self._controllers(sub_system)))

    @method(Role.VIEWER, *_USUAL, more=More.SUPPORTED)
    def query_drives(self, sub_system: inventory.SubSystem) -> DrivesReply:
        """The drives: members of the pools, hot spares, and the free ones that the configuration gives the subsystem.

        (IVdsSubSystem::QueryDrives)
        """
        found = sorted(self._drives(sub_system), key=lambda drive: drive.slot)
        return DrivesReply(tuple(drive.properties for drive in found))

    @method(Role.VIEWER, *_USUAL, Hresult.VDS_E_OBJECT_NOT_FOUND)
    def get_drive(self, sub_system: inventory.SubSystem, bus_number: int, slot_number: int) -> DriveReply:
        """The id of the drive in that slot; all drives are on bus 0. VDS_E_OBJECT_NOT_FOUND for an empty slot.

        (IVdsSubSystem::GetDrive)
        """
        return DriveReply(self._drive_at(sub_system, bus_number, slot_number).id)

    def _drive_at(self, sub_system: inventory.SubSystem, bus: int, slot: int) -> Drive:
        for drive in self._drives(sub_system):
            if bus == 0 and drive.slot == slot:
                return drive
        raise VdsError(Hresult.VDS_E_OBJECT_NOT_FOUND, f"there is no drive in slot {slot} of bus {bus}", sub_system.id)

    @method(Role.ADMIN, *_USUAL, Hresult.VDS_E_OBJECT_NOT_FOUND, Hresult.E_INVALIDARG, exclusive=True)
    async def set_controller_status(
        self,
        sub_system: inventory.SubSystem,
        online_controller_ids: tuple[str, ...] = (),
        offline_controller_ids: tuple[str, ...] = (),
    ) -> None:
        """Set every controller online or offline: each is in one of the two lists. (IVdsSubSystem::SetControllerStatus)"""
        nodes = {entry.id: entry for entry in self._controllers(sub_system)}
        check_partition(nodes, online_controller_ids, offline_controller_ids, "controller", sub_system.id)
        for id, controller in nodes.items():
            changed = msgspec.structs.replace(controller, online=id in online_controller_ids)
            await serve(self.context, changed)

    @method(
        Role.ADMIN,
        *_USUAL,
        Hresult.VDS_E_OBJECT_NOT_FOUND,
        Hresult.VDS_E_NOT_SUPPORTED,
        Hresult.VDS_E_NOT_ENOUGH_SPACE,
        exclusive=True,
    )
    async def replace_drive(
        self, sub_system: inventory.SubSystem, drive_to_be_replaced: str, replacement_drive: str
    ) -> None:
        """Move everything from one drive to another, which takes its place in the pool; all or nothing.

        The replacement is a free drive or a hot spare; what is on it is lost. Initiators notice nothing. A drive that
        is not there any more cannot be read: use Lun.Recover. (IVdsSubSystem::ReplaceDrive)
        """
        await replace_drive(
            self.context, self._drive(sub_system, drive_to_be_replaced), self._drive(sub_system, replacement_drive)
        )

    def _drive(self, sub_system: inventory.SubSystem, id: str) -> Drive:
        drive = self.inventory.get(Drive, id)
        if drive is None or drive.sub_system_id != sub_system.id:
            raise VdsError(Hresult.VDS_E_OBJECT_NOT_FOUND, f"there is no drive {id!r}", id)
        return drive

    def _drives(self, sub_system: inventory.SubSystem) -> list[Drive]:
        return [drive for drive in self.inventory.all(Drive) if drive.sub_system_id == sub_system.id]

    def _controllers(self, sub_system: inventory.SubSystem) -> list[Controller]:
        return [entry for entry in self.inventory.all(Controller) if entry.sub_system_id == sub_system.id]

    @method(Role.OPERATOR, *_USUAL, exclusive=True)
    async def reenumerate(self, sub_system: inventory.SubSystem) -> None:
        """Look for what was added, removed, broken or mended: pools, volumes, addresses. (IVdsSubSystem::Reenumerate)"""
        await scans.rescan(self.context, sub_system)

    @method(Role.ADMIN, *_USUAL, Hresult.VDS_E_NOT_SUPPORTED, Hresult.E_INVALIDARG, exclusive=True)
    async def set_status(self, sub_system: inventory.SubSystem, status: SubSystemStatus) -> None:
        """Set the subsystem online or offline; offline disables all its portal groups, and so ends their sessions.

        (IVdsSubSystem::SetStatus)
        """
        if status is SubSystemStatus.UNKNOWN:
            raise VdsError(Hresult.E_INVALIDARG, "the status unknown cannot be set", sub_system.id)
        if status not in (SubSystemStatus.ONLINE, SubSystemStatus.OFFLINE):
            raise VdsError(
                Hresult.VDS_E_NOT_SUPPORTED,
                f"the status {status.value} cannot be set; use online or offline",
                sub_system.id,
            )
        changed = msgspec.structs.replace(sub_system, online=status is SubSystemStatus.ONLINE)
        targets = [target for target in self.inventory.all(Target) if target.sub_system_id == sub_system.id]
        async with self.context.reshaping(target.id for target in targets):
            before = self.inventory
            after = before.put(changed)
            groups = [(target, group) for target in targets for group in before.groups_at(target.id)]
            await self.context.change(
                [facts.group_itself(before, *entry) for entry in groups],
                [facts.group_itself(after, *entry) for entry in groups],
                put=[changed],
            )

    def _pools(self, sub_system: inventory.SubSystem) -> list[StoragePool]:
        return [pool for pool in self.inventory.all(StoragePool) if pool.sub_system_id == sub_system.id]


class SubSystem2(SubSystem):
    """A subsystem, with the parameters that came later."""

    com = "IVdsSubSystem2"

    @method(Role.VIEWER, *_GETTER, Hresult.VDS_S_PROPERTIES_INCOMPLETE)
    def get_properties2(self, sub_system: inventory.SubSystem) -> SubSystemProperties2Reply:
        """As SubSystem.GetProperties, with the RAID forms of LUNs and the number of enclosures.

        (IVdsSubSystem2::GetProperties2)
        """
        enclosures = {
            drive.found.enclosure
            for drive in self._drives(sub_system)
            if drive.found and drive.found.enclosure is not None
        }
        types = {type for pool in self._pools(sub_system) for type in pool.types}
        raid = tuple(flag for flag in SupportedRaidTypeFlag if LunType.of(flag.value.split("_")[1]) in types)
        properties = SubSystemProperties2(
            **msgspec.structs.asdict(self._properties(sub_system)),
            supported_raid_type_flags=raid,
            number_of_enclosures=len(enclosures),
        )
        return SubSystemProperties2Reply(_known(sub_system), properties)

    @method(Role.VIEWER, *_USUAL, Hresult.VDS_E_OBJECT_NOT_FOUND)
    def get_drive2(
        self, sub_system: inventory.SubSystem, bus_number: int, slot_number: int, enclosure_number: int
    ) -> DriveReply:
        """As SubSystem.GetDrive, if the drive is in that enclosure (4294967295: in none). (IVdsSubSystem2::GetDrive2)"""
        drive = self._drive_at(sub_system, bus_number, slot_number)
        if drive.properties2.enclosure_number != enclosure_number:
            raise VdsError(
                Hresult.VDS_E_OBJECT_NOT_FOUND,
                f"drive {drive.id} is not in enclosure {enclosure_number}",
                sub_system.id,
            )
        return DriveReply(drive.id)

    @method(
        Role.OPERATOR,
        *_USUAL,
        Hresult.VDS_E_OBJECT_NOT_FOUND,
        Hresult.VDS_E_NOT_SUPPORTED,
        Hresult.VDS_E_NOT_ENOUGH_SPACE,
        Hresult.VDS_E_NOT_ENOUGH_DRIVE,
        Hresult.E_INVALIDARG,
    )
    async def create_lun2(
        self,
        sub_system: inventory.SubSystem,
        type: LunType,
        size_in_bytes: int,
        drive_ids: tuple[str, ...] = (),
        unmasking_list: str = "",
        hints2: Hints2 | None = None,
    ) -> Operation:
        """As SubSystem.CreateLun, with VDS_HINTS2. (IVdsSubSystem2::CreateLun2)"""
        new = NewLun(size_in_bytes, type, drive_ids=drive_ids, hints2=hints2, unmasking_list=unmasking_list)
        operation, _ = await create_luns(self.context, sub_system.id, [new])
        return operation

    @method(Role.VIEWER, *_USUAL, Hresult.VDS_E_OBJECT_NOT_FOUND, Hresult.VDS_E_NOT_SUPPORTED)
    async def query_max_lun_create_size2(
        self,
        sub_system: inventory.SubSystem,
        type: LunType,
        drive_ids: tuple[str, ...] = (),
        hints2: Hints2 | None = None,
    ) -> MaxLunSizeReply:
        """As SubSystem.QueryMaxLunCreateSize, with VDS_HINTS2. (IVdsSubSystem2::QueryMaxLunCreateSize2)"""
        new = NewLun(0, type, drive_ids=drive_ids, hints2=hints2)
        return MaxLunSizeReply(await largest_lun(self.context, sub_system.id, new))


class SubSystemNaming(Interface):
    """A subsystem's name for people."""

    com = "IVdsSubSystemNaming"

    @method(
        Role.OPERATOR,
        *_USUAL,
        Hresult.VDS_S_NAME_TRUNCATED,
        never={"VDS_E_NOT_SUPPORTED": "every subsystem can be named"},
        exclusive=True,
    )
    async def set_friendly_name(self, sub_system: inventory.SubSystem, friendly_name: str) -> SuccessReply:
        """Name the subsystem; VDS_S_NAME_TRUNCATED when the name was cut to 255 bytes of UTF-8.

        (IVdsSubSystemNaming::SetFriendlyName)
        """
        name, result = names.friendly_name(friendly_name)
        await self.context.change(put=[msgspec.structs.replace(sub_system, friendly_name=name)])
        return SuccessReply(result)


class SubSystemIscsi(Interface):
    """A subsystem's targets and portals."""

    com = "IVdsSubSystemIscsi"

    @method(Role.VIEWER, *_USUAL, more=More.SUPPORTED)
    def query_targets(self, sub_system: inventory.SubSystem) -> TargetsReply:
        """All targets of the subsystem: a snapshot. (IVdsSubSystemIscsi::QueryTargets)"""
        return TargetsReply(
            tuple(target.properties for target in self.inventory.all(Target) if target.sub_system_id == sub_system.id)
        )

    @method(Role.VIEWER, *_USUAL, more=More.SUPPORTED)
    def query_portals(self, sub_system: inventory.SubSystem) -> PortalsReply:
        """All portals: the addresses, with a TCP port each, that portal groups can have.

        They come and go with the host's addresses, or are those of the configuration. (IVdsSubSystemIscsi::QueryPortals)
        """
        return PortalsReply(
            tuple(portal.properties for portal in self.inventory.all(Portal) if portal.sub_system_id == sub_system.id)
        )

    @method(Role.OPERATOR, *_USUAL, Hresult.VDS_E_NOT_SUPPORTED, Hresult.VDS_E_NAME_NOT_UNIQUE, Hresult.E_INVALIDARG)
    def create_target(
        self, sub_system: inventory.SubSystem, iscsi_name: str | None = None, friendly_name: str = ""
    ) -> Operation:
        """Create a target without portal groups; null or "" as `iscsiName` has a name generated.

        Authentication is on: nobody logs in before IscsiTarget.SetSharedSecret. Async.Wait gives the target's id.
        (IVdsSubSystemIscsi::CreateTarget)
        """
        friendly, _ = names.friendly_name(friendly_name)
        operation, _ = create_targets(self.context, sub_system, [NewTarget(iscsi_name, friendly)])
        return operation

    @method(Role.ADMIN, Hresult.VDS_E_NOT_SUPPORTED)
    def set_ipsec_group_preshared_key(self, sub_system: inventory.SubSystem, key: str | None = None) -> None:
        """Always VDS_E_NOT_SUPPORTED, as VDS documents it. (IVdsSubSystemIscsi::SetIpsecGroupPresharedKey)"""
        raise ipsec(sub_system.id)


class SubSystemInterconnect(Interface):
    """How a subsystem is reached."""

    com = "IVdsSubSystemInterconnect"

    @method(Role.VIEWER)
    def get_supported_interconnects(self, sub_system: inventory.SubSystem) -> InterconnectsReply:
        """Always iscsi alone. (IVdsSubSystemInterconnect::GetSupportedInterconnects)"""
        return InterconnectsReply((InterconnectFlag.ISCSI,))


class SubSystemImportTarget(Interface):
    """The target to which VSS hardware providers attach snapshot LUNs that a computer imports."""

    com = "IVdsSubSystemImportTarget"

    @method(Role.VIEWER, *_GETTER, Hresult.VDS_E_NOT_SUPPORTED, Hresult.VDS_E_NO_IMPORT_TARGET)
    def get_import_target(self, sub_system: inventory.SubSystem, computer: str | None = None) -> IscsiNameReply:
        """The iSCSI name of the import target of a computer (this host, if null) at this subsystem.

        VDS_E_NO_IMPORT_TARGET when none is set. The name of a target that was deleted is still returned.
        (IVdsSubSystemImportTarget::GetImportTarget)
        """
        self._check_supported(sub_system)
        computer = self._computer(computer)
        name = self.inventory.import_targets.get((computer, sub_system.id))
        if name is None:
            raise VdsError(
                Hresult.VDS_E_NO_IMPORT_TARGET,
                f"no import target is set for computer {computer} at subsystem {sub_system.name}; "
                "set one with SubSystemImportTarget.SetImportTarget (vdsprovctl import-target set)",
                sub_system.id,
            )
        return IscsiNameReply(name)

    @method(Role.OPERATOR, *_GETTER, Hresult.VDS_E_NOT_SUPPORTED)
    async def set_import_target(
        self, sub_system: inventory.SubSystem, iscsi_name: str | None = None, computer: str | None = None
    ) -> None:
        """Set the import target of a computer (this host, if null) at this subsystem; null or "" clears it.

        Whether there is a target of that name is not checked. (IVdsSubSystemImportTarget::SetImportTarget)
        """
        self._check_supported(sub_system)
        name = names.iscsi_name(iscsi_name) if iscsi_name else None
        await self.context.set_import_target(self._computer(computer), sub_system.id, name)

    def _check_supported(self, sub_system: inventory.SubSystem) -> None:
        if not sub_system.import_target:
            raise VdsError(
                Hresult.VDS_E_NOT_SUPPORTED,
                f"subsystem {sub_system.name} has no import targets: import-target is false in its configuration",
                sub_system.id,
            )

    def _computer(self, computer: str | None) -> str:
        name = (computer or self.context.computer).lower()
        if not name.isprintable() or len(name) > 255:
            raise VdsError(Hresult.E_INVALIDARG, "the name of a computer has up to 255 printable characters")
        return name


def _extended(hints: Hints | None) -> Hints2 | None:
    """The hints as VDS_HINTS2."""
    return Hints2(**msgspec.structs.asdict(hints)) if hints is not None else None


def _known(sub_system: inventory.SubSystem) -> Hresult:
    return Hresult.VDS_S_PROPERTIES_INCOMPLETE if sub_system.faults else Hresult.S_OK
