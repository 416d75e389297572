"""A LUN: IVdsLun, IVdsLunNaming, IVdsLunNumber, IVdsLunIscsi."""

from collections.abc import Callable

import msgspec

from vdsprovd import inventory
from vdsprovd.hardware import Condition, HardwareError, Step, Unsupported, realize, steps, undo, verify
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.inventory import Association, Controller, Drive, Entity, Port, SubSystem, Target
from vdsprovd.model import (
    NULL_GUID,
    AsyncOutputType,
    Hints,
    Hints2,
    LunInformation,
    LunStatus,
    StorageBusType,
    StorageDeviceIdDescriptor,
    TransitionState,
)
from vdsprovd.operations import Operation
from vdsprovd.provider import facts, names
from vdsprovd.provider.api import Interface, Role, method
from vdsprovd.provider.associations import check_targets, free_indexes
from vdsprovd.provider.context import Context
from vdsprovd.provider.creation import found, plexes_of
from vdsprovd.provider.hints import check as check_hints
from vdsprovd.provider.hints import in_force, merged
from vdsprovd.provider.mirroring import add_plex, recover, remove_plex
from vdsprovd.provider.nodes import check_partition
from vdsprovd.provider.placement import drives, rounded
from vdsprovd.provider.plexes import properties
from vdsprovd.provider.reshaping import reshape, sides
from vdsprovd.provider.scans import scan
from vdsprovd.replies import (
    ControllersReply,
    Hints2Reply,
    HintsReply,
    LunInformationReply,
    LunNumberReply,
    LunPropertiesReply,
    MaxBytesReply,
    PlexesReply,
    PortsReply,
    SubSystemReply,
    SuccessReply,
    TargetsReply,
)
from vdsprovd.varlink import More

_GETTER = (Hresult.VDS_E_PROVIDER_CACHE_CORRUPT, Hresult.VDS_E_OBJECT_DELETED)
_USUAL = (*_GETTER, Hresult.VDS_E_OBJECT_STATUS_FAILED, Hresult.VDS_E_ANOTHER_CALL_IN_PROGRESS)


class Lun(Interface):
    """A LUN: a disk that initiators see, with its bytes in a pool."""

    com = "IVdsLun"

    @method(Role.VIEWER, *_GETTER, Hresult.VDS_S_PROPERTIES_INCOMPLETE)
    def get_properties(self, lun: inventory.Lun) -> LunPropertiesReply:
        """The LUN's properties; readable in every state. (IVdsLun::GetProperties)

        `hresult` is VDS_S_PROPERTIES_INCOMPLETE while the LUN's volume is missing: its health is unknown then.
        """
        missing = lun.condition is Condition.MISSING
        return LunPropertiesReply(Hresult.VDS_S_PROPERTIES_INCOMPLETE if missing else Hresult.S_OK, lun.encoded)

    @method(Role.VIEWER, *_GETTER)
    def get_sub_system(self, lun: inventory.Lun) -> SubSystemReply:
        """The subsystem that has the LUN. (IVdsLun::GetSubSystem)"""
        return SubSystemReply(lun.sub_system_id)

    @method(Role.VIEWER, *_USUAL)
    async def get_identification_data(self, lun: inventory.Lun) -> LunInformationReply:
        """What an initiator reads from INQUIRY and the VPD pages 0x80 and 0x83, byte for byte: the key by which backup
        software finds the LUN among its host's disks. (IVdsLun::GetIdentificationData)

        Vendor, product and revision have the blanks that fill their fields, the serial number is page 0x80's without
        the NUL at its end. Of page 0x83 there are the designators of the logical unit (association 0), in the page's
        order, which are the same on every host and path. Those of the port and of the target are left out: a LUN has
        others on each path, and VDS's structure cannot tell whose they are.
        """
        _check_there(lun)
        with self.context.operations.holds.hold(shared=[lun.id]):
            work = self.context.look(self.context.hardware.identity, facts.disk(self.inventory, lun))
            found = await self.context.guarded(work, lun.id)
        return LunInformationReply(
            LunInformation(
                version=1,
                device_type=0,
                device_type_modifier=0,
                command_queueing=True,
                bus_type=StorageBusType.ISCSI,
                vendor_id=found.vendor,
                product_id=found.product,
                product_revision=found.revision,
                serial_number=found.serial,
                disk_signature=NULL_GUID,
                device_id_descriptor=StorageDeviceIdDescriptor(1, found.designators),
                interconnects=(),
            )
        )

    @method(
        Role.OPERATOR,
        *_USUAL,
        Hresult.VDS_E_OBJECT_NOT_FOUND,
        Hresult.VDS_E_NOT_SUPPORTED,
        Hresult.VDS_E_NOT_ENOUGH_SPACE,
        Hresult.VDS_E_NOT_ENOUGH_DRIVE,
        Hresult.E_INVALIDARG,
    )
    async def extend(
        self, lun: inventory.Lun, number_of_bytes_to_add: int, drive_ids: tuple[str, ...] = ()
    ) -> Operation:
        """Grow the LUN by at least so many bytes; all or nothing. New bytes read as zeros.

        Initiators see the new size after a rescan. (IVdsLun::Extend)
        """
        _check_there(lun)
        nodes = self._nodes(lun, drive_ids)
        rounded(number_of_bytes_to_add, 1)
        pool = self.context.pool(lun.pool_id)
        growth = rounded(lun.size + number_of_bytes_to_add, pool.granule) - lun.size
        # When the drives given are full, others are used: only with none given do they limit the growth.
        room = await self._room(lun, ())
        if growth > room and not pool.sparse:
            raise VdsError(
                Hresult.VDS_E_NOT_ENOUGH_SPACE,
                f"{growth} more bytes are wanted, and the LUN can grow by {room} in its pool",
                lun.id,
            )

        # Counted from what the LUN has once it is held: another Extend may have ended meanwhile.
        def grown(current: inventory.Lun) -> int:
            return rounded(current.size + number_of_bytes_to_add, pool.granule)

        return self._resize(lun, grown, AsyncOutputType.EXTEND_LUN, TransitionState.EXTENDING, nodes)

    def _nodes(self, lun: inventory.Lun, drive_ids: tuple[str, ...]) -> tuple[str, ...]:
        """The nodes of the drives, which must be of the LUN's pool."""
        found = drives(self.context, lun.sub_system_id, drive_ids)
        for drive in found:
            if drive.pool_id != lun.pool_id:
                raise VdsError(Hresult.VDS_E_NOT_SUPPORTED, f"drive {drive.id} is not in the LUN's pool", lun.id)
        return tuple(drive.node for drive in found)

    async def _room(self, lun: inventory.Lun, nodes: tuple[str, ...]) -> int:
        try:
            return await self.context.look(self.context.pool(lun.pool_id).growth, lun.id, nodes)
        except Unsupported as error:
            raise VdsError(Hresult.VDS_E_NOT_SUPPORTED, str(error), lun.id) from error
        except HardwareError as error:
            raise VdsError(Hresult.VDS_E_NOT_ENOUGH_DRIVE, f"the LUN's pool cannot be used: {error}", lun.id) from error

    @method(Role.OPERATOR, *_USUAL, Hresult.E_INVALIDARG)
    def shrink(self, lun: inventory.Lun, number_of_bytes_to_remove: int) -> Operation:
        """Cut at most so many bytes from the end of the LUN; what is there is lost. (IVdsLun::Shrink)"""
        _check_there(lun)
        if number_of_bytes_to_remove <= 0:
            raise VdsError(
                Hresult.E_INVALIDARG,
                f"{number_of_bytes_to_remove} bytes cannot be removed; give a positive number",
                lun.id,
            )
        if number_of_bytes_to_remove >= lun.size:
            raise VdsError(Hresult.E_INVALIDARG, f"the LUN has only {lun.size} bytes; some must stay", lun.id)
        size = rounded(lun.size - number_of_bytes_to_remove, self.context.pool(lun.pool_id).granule)
        return self._resize(lun, lambda _current: size, AsyncOutputType.SHRINK_LUN, TransitionState.SHRINKING)

    def _resize(
        self,
        lun: inventory.Lun,
        size: Callable[[inventory.Lun], int],
        type: AsyncOutputType,
        transition: TransitionState,
        nodes: tuple[str, ...] = (),
    ) -> Operation:
        async def work(operation: Operation) -> None:
            # The object may have changed between the check and the hold.
            current = self.inventory.known(inventory.Lun, lun.id)
            resized = msgspec.structs.replace(current, size=size(current))
            async with self.context.changing(lun.id, transition):
                put, failure = await self.context.guarded(
                    self.context.long_work(_resize_volume, self.context, operation, current, resized, nodes), lun.id
                )
                self.context.cache.apply([*put, *await self.context.surroundings(lun.pool_id)])
                if failure:
                    raise failure

        return self.context.operations.start(
            type,
            lun.id,
            work,
            exclusive=[lun.id],
            shared=[lun.sub_system_id, self.context.provider_id],
            translate=self.context.translate,
        )

    @method(Role.OPERATOR, *_USUAL, Hresult.E_INVALIDARG, exclusive=True)
    async def set_mask(self, lun: inventory.Lun, unmasking_list: str) -> None:
        """Replace the list of who may reach the LUN: iSCSI names of initiators separated by ';'.

        "*" stands for this host's own initiators, "" for nobody; each must be alone. Initiators notice after a rescan.
        (IVdsLun::SetMask)
        """
        mask = names.unmasking_list(unmasking_list)
        await reshape(self.context, lun, lambda current: msgspec.structs.replace(current, mask=mask))

    @method(Role.OPERATOR, *_USUAL, exclusive=True, although_failed=True)
    async def delete(self, lun: inventory.Lun) -> None:
        """Delete the LUN and its data; its associations end. The first and last MiB are wiped.

        A LUN that has failed goes, too, unless that is why it cannot: one on a drive that is gone does, one whose bytes
        are there and cannot be wiped does not. (IVdsLun::Delete)
        """
        targets = [entry.target_id for entry in lun.associations]
        # Its targets are free while its bytes are wiped: that may take its time, and a disk that hangs keeps for itself.
        async with self.context.reshaping(targets):
            removal = steps(*sides(self.context, lun, None))
            number = await self.context.guarded(self.context.work(_withdraw, self.context, lun, removal), lun.id)
            self.context.cache.hide(lun)
        try:
            failure = await self.context.work(_wipe, self.context, lun, number)
        except Exception as error:
            await self._take_back(lun, number, error)
            raise self.context.translate(error, lun.id) from error
        gone = [lun.id, *(plex.id for plex in self.inventory.plexes_at(lun.id))]
        self.context.cache.apply(await self.context.surroundings(lun.pool_id), gone, targets)
        if any(drive.pool_id == lun.pool_id and drive.found is None for drive in self.inventory.all(Drive)):
            # The pool has waited for it because of this LUN, perhaps.
            await scan(self.context, self.inventory.known(SubSystem, lun.sub_system_id), own=())
        if failure:
            raise self.context.translate(failure)

    async def _take_back(self, lun: inventory.Lun, number: int, error: Exception) -> None:
        """Give the kernel a LUN again whose bytes could not be wiped; where that fails too, `error` gets a note."""

        def back(wanted: list[Step]) -> None:
            try:
                realize(self.context.hardware, wanted)
            finally:
                self.context.store.owe(number)

        try:
            async with self.context.reshaping(entry.target_id for entry in lun.associations):
                hidden = self.inventory.known(inventory.Lun, lun.id)
                await self.context.work(back, steps(*sides(self.context, hidden, lun)))
                self.context.cache.apply([lun])
        except Exception as second:
            error.add_note(f"and could not be undone: {second}")

    @method(Role.OPERATOR, *_USUAL, Hresult.E_INVALIDARG, exclusive=True)
    async def set_status(self, lun: inventory.Lun, status: LunStatus) -> None:
        """Set the LUN online, or offline: its masks and associations stay, and nobody reaches it. (IVdsLun::SetStatus)"""
        if status not in (LunStatus.ONLINE, LunStatus.OFFLINE):
            raise VdsError(
                Hresult.E_INVALIDARG, f"the status {status.value} cannot be set; use online or offline", lun.id
            )
        online = status is LunStatus.ONLINE
        await reshape(self.context, lun, lambda current: msgspec.structs.replace(current, online=online))

    @method(
        Role.VIEWER,
        *_USUAL,
        Hresult.VDS_E_OBJECT_NOT_FOUND,
        Hresult.VDS_E_NOT_SUPPORTED,
        Hresult.VDS_E_NOT_ENOUGH_DRIVE,
    )
    async def query_max_lun_extend_size(self, lun: inventory.Lun, drive_ids: tuple[str, ...] = ()) -> MaxBytesReply:
        """By how many bytes the LUN could grow now. (IVdsLun::QueryMaxLunExtendSize)"""
        room = await self._room(lun, self._nodes(lun, drive_ids))
        # Not before: of a pool that is not there yet it is not known, and to ask takes as long as its disks.
        granule = self.context.pool(lun.pool_id).granule
        return MaxBytesReply(room // granule * granule)

    @method(Role.VIEWER, Hresult.VDS_E_OBJECT_DELETED, more=More.SUPPORTED)
    def query_plexes(self, lun: inventory.Lun) -> PlexesReply:
        """The LUN's plexes: one, or those of a mirror, the original one first. (IVdsLun::QueryPlexes)"""
        return PlexesReply(tuple(properties(lun, plex) for plex in self.inventory.plexes_at(lun.id)))

    @method(Role.OPERATOR, *_USUAL, Hresult.VDS_E_OBJECT_NOT_FOUND, Hresult.VDS_E_INVALID_OPERATION)
    def add_plex(self, lun: inventory.Lun, lun_id: str) -> Operation:
        """Make another LUN of the same pool a plex of this one, which is a mirror then.

        The other LUN is gone then, and its data is lost. It may be larger. VDS_E_INVALID_OPERATION for one that is
        smaller, in another pool, or where there are no mirrors. (IVdsLun::AddPlex)
        """
        _check_there(lun)
        return add_plex(self.context, lun, lun_id)

    @method(Role.OPERATOR, *_USUAL, Hresult.VDS_E_OBJECT_NOT_FOUND, Hresult.VDS_E_INVALID_OPERATION)
    def remove_plex(self, lun: inventory.Lun, plex_id: str) -> Operation:
        """Remove a plex of a mirror; VDS_E_INVALID_OPERATION for the only and the original one. (IVdsLun::RemovePlex)"""
        _check_there(lun)
        return remove_plex(self.context, lun, plex_id)

    @method(Role.OPERATOR, *_USUAL, Hresult.VDS_E_INVALID_OPERATION)
    def recover(self, lun: inventory.Lun) -> Operation:
        """Rebuild what a lost drive took, or synchronize: on free drives of the pool, or on hot spares.

        VDS_E_INVALID_OPERATION for a LUN that is not fault tolerant. (IVdsLun::Recover)
        """
        return recover(self.context, lun)

    @method(Role.VIEWER, *_USUAL, never={"VDS_E_NOT_SUPPORTED": "every LUN has hints"})
    def query_hints(self, lun: inventory.Lun) -> HintsReply:
        """The hints in force, which need not be those applied. (IVdsLun::QueryHints)"""
        return HintsReply(msgspec.convert(in_force(lun), Hints, from_attributes=True))

    @method(
        Role.OPERATOR, *_USUAL, Hresult.E_INVALIDARG, never={"VDS_E_NOT_SUPPORTED": "hints are wishes"}, exclusive=True
    )
    async def apply_hints(self, lun: inventory.Lun, hints: Hints) -> None:
        """Wish something of the LUN and all its plexes; what is null stays as it was. (IVdsLun::ApplyHints)"""
        await self._apply(lun, hints)

    async def _apply(self, lun: inventory.Lun, hints: Hints) -> None:
        check_hints(hints, lun.id)
        changed = msgspec.structs.replace(lun, hints=merged(lun.hints, hints))
        plexes = [
            msgspec.structs.replace(plex, hints=Hints(rebuild_priority=hints.rebuild_priority))
            for plex in self.inventory.plexes_at(lun.id)
            if hints.rebuild_priority is not None
        ]
        await self.context.change(put=[changed, *plexes])

    @method(Role.VIEWER, *_USUAL, more=More.SUPPORTED)
    def query_active_controllers(self, lun: inventory.Lun) -> ControllersReply:
        """The controllers through which the LUN is accessible. (IVdsLun::QueryActiveControllers)"""
        found = (entry for entry in self.inventory.all(Controller) if entry.sub_system_id == lun.sub_system_id)
        return ControllersReply(tuple(entry.properties for entry in found if entry.online and lun.active))

    @method(
        Role.OPERATOR,
        *_USUAL,
        Hresult.VDS_E_OBJECT_NOT_FOUND,
        Hresult.E_INVALIDARG,
        never={"VDS_E_NOT_SUPPORTED": "every controller can be active or inactive for every LUN"},
        exclusive=True,
    )
    async def associate_controllers(
        self,
        lun: inventory.Lun,
        active_controller_ids: tuple[str, ...] = (),
        inactive_controller_ids: tuple[str, ...] = (),
    ) -> None:
        """Set each controller of the subsystem active or inactive for the LUN: it is in one of the two lists.

        Through an inactive one initiators find the LUN standing by (SPC-4 5.15.2). (IVdsLun::AssociateControllers)
        """
        ids = [entry.id for entry in self.inventory.all(Controller) if entry.sub_system_id == lun.sub_system_id]
        check_partition(ids, active_controller_ids, inactive_controller_ids, "controller", lun.id)
        active = bool(active_controller_ids)
        await reshape(self.context, lun, lambda current: msgspec.structs.replace(current, active=active))


class Lun2(Lun):
    """A LUN, with the hints that came later."""

    com = "IVdsLun2"

    @method(Role.VIEWER, *_USUAL, never={"VDS_E_NOT_SUPPORTED": "every LUN has hints"})
    def query_hints2(self, lun: inventory.Lun) -> Hints2Reply:
        """As Lun.QueryHints, with VDS_HINTS2. (IVdsLun2::QueryHints2)"""
        return Hints2Reply(in_force(lun))

    @method(
        Role.OPERATOR, *_USUAL, Hresult.E_INVALIDARG, never={"VDS_E_NOT_SUPPORTED": "hints are wishes"}, exclusive=True
    )
    async def apply_hints2(self, lun: inventory.Lun, hints2: Hints2) -> None:
        """As Lun.ApplyHints, with VDS_HINTS2. (IVdsLun2::ApplyHints2)"""
        await self._apply(lun, hints2)


class LunControllerPorts(Interface):
    """Through which controller ports a LUN is reached."""

    com = "IVdsLunControllerPorts"

    @method(
        Role.OPERATOR,
        *_USUAL,
        Hresult.VDS_E_OBJECT_NOT_FOUND,
        Hresult.E_INVALIDARG,
        never={"VDS_E_NOT_SUPPORTED": "every port can be active or inactive for every LUN"},
        exclusive=True,
    )
    async def associate_controller_ports(
        self,
        lun: inventory.Lun,
        active_controller_port_ids: tuple[str, ...] = (),
        inactive_controller_port_ids: tuple[str, ...] = (),
    ) -> None:
        """As Lun.AssociateControllers, by the controllers' ports. (IVdsLunControllerPorts::AssociateControllerPorts)"""
        ids = [entry.id for entry in self.inventory.all(Port) if entry.sub_system_id == lun.sub_system_id]
        check_partition(ids, active_controller_port_ids, inactive_controller_port_ids, "controller port", lun.id)
        active = bool(active_controller_port_ids)
        await reshape(self.context, lun, lambda current: msgspec.structs.replace(current, active=active))

    @method(Role.VIEWER, *_USUAL, more=More.SUPPORTED)
    def query_active_controller_ports(self, lun: inventory.Lun) -> PortsReply:
        """The controller ports through which the LUN is accessible.

        (IVdsLunControllerPorts::QueryActiveControllerPorts)
        """
        found = (entry for entry in self.inventory.all(Port) if entry.sub_system_id == lun.sub_system_id)
        return PortsReply(tuple(entry.properties for entry in found if entry.online and lun.active))


class LunNaming(Interface):
    """A LUN's name for people."""

    com = "IVdsLunNaming"

    @method(
        Role.OPERATOR,
        *_USUAL,
        Hresult.VDS_S_NAME_TRUNCATED,
        never={"VDS_E_NOT_SUPPORTED": "every LUN can be named"},
        exclusive=True,
    )
    async def set_friendly_name(self, lun: inventory.Lun, friendly_name: str) -> SuccessReply:
        """Name the LUN; VDS_S_NAME_TRUNCATED when the name was cut to 255 bytes of UTF-8.

        (IVdsLunNaming::SetFriendlyName)
        """
        name, result = names.friendly_name(friendly_name)
        await self.context.change(put=[msgspec.structs.replace(lun, name=name)])
        return SuccessReply(result)


class LunNumber(Interface):
    """A LUN's number in the array."""

    com = "IVdsLunNumber"

    @method(Role.VIEWER, Hresult.VDS_E_OBJECT_DELETED)
    def get_lun_number(self, lun: inventory.Lun) -> LunNumberReply:
        """The array's own number of the LUN; it is not the SCSI logical unit number. (IVdsLunNumber::GetLunNumber)"""
        return LunNumberReply(lun.number)


class LunIscsi(Interface):
    """Through which targets a LUN is reached."""

    com = "IVdsLunIscsi"

    @method(Role.OPERATOR, *_USUAL, Hresult.VDS_E_OBJECT_NOT_FOUND, Hresult.VDS_E_NOT_SUPPORTED, exclusive=True)
    async def associate_targets(self, lun: inventory.Lun, target_ids: tuple[str, ...] = ()) -> None:
        """Replace the list of targets through which the LUN is reached; none dissociates it from all.

        All ids are checked before anything changes, and when the kernel refuses a step nothing has changed. A target
        named twice counts once. (IVdsLunIscsi::AssociateTargets)
        """
        wanted = tuple(dict.fromkeys(target_ids))

        def associated(current: inventory.Lun) -> inventory.Lun:
            kept = {entry.target_id: entry for entry in current.associations}
            return msgspec.structs.replace(
                current,
                associations=tuple(
                    kept.get(id) or Association(id, next(free_indexes(self.inventory, id))) for id in wanted
                ),
            )

        check_targets(self.inventory, lun.sub_system_id, wanted)
        # A target that is being deleted is gone when the wait is over.
        async with self.context.operations.holds.wait(shared=wanted):
            check_targets(self.inventory, lun.sub_system_id, wanted)
            await reshape(self.context, lun, associated, wanted)

    @method(Role.VIEWER, *_USUAL, more=More.SUPPORTED)
    def query_associated_targets(self, lun: inventory.Lun) -> TargetsReply:
        """The targets through which the LUN is accessible, in the order given: a snapshot.

        (IVdsLunIscsi::QueryAssociatedTargets)
        """
        return TargetsReply(
            tuple(self.inventory.known(Target, entry.target_id).properties for entry in lun.associations)
        )


def _check_there(lun: inventory.Lun) -> None:
    """What needs the LUN's bytes is refused while its volume is missing; its settings can be changed all the same."""
    if lun.condition is Condition.MISSING:
        raise VdsError(Hresult.VDS_E_OBJECT_STATUS_FAILED, f"the LUN's volume is missing: {lun.reason}", lun.id)


def _resize_volume(
    context: Context, operation: Operation, lun: inventory.Lun, resized: inventory.Lun, nodes: tuple[str, ...]
) -> tuple[list[Entity], Exception | None]:
    """Resize volume, disk and row, and give the LUN and its plexes as they are then; or leave all as they were. Bytes that
    were cut off do not come back: then the store's failure comes with the outcome. Runs in a worker thread."""
    pool, known = context.pool(lun.pool_id), context.cache.inventory
    there = [facts.disk(known, lun)] if lun.exported else []
    on_disk = steps(there, [facts.disk(known, resized)]) if lun.exported else []
    verify(context.hardware, there)
    grows = resized.size > lun.size
    if not grows:
        operation.commit()
    number = context.store.begin("resize_lun", lun=lun.id, pool=lun.pool_id, before=lun.size, after=resized.size)

    def outcome() -> list[Entity]:
        state = pool.probe(lun.id)
        return [found(resized, state), *plexes_of(lun.id, state, known.plexes_at(lun.id))]

    try:
        if grows:
            pool.resize(lun.id, resized.size, nodes, operation.progress)
            try:
                operation.commit()
                realize(context.hardware, on_disk)
                try:
                    put = outcome()
                    context.store.finish(number, put=put)
                except Exception as error:
                    undo(context.hardware, on_disk, error)
                    raise
            except Exception as error:
                try:
                    pool.resize(lun.id, lun.size, (), _no_progress)
                except HardwareError as second:
                    error.add_note(f"and could not be undone: {second}")
                raise
            return put, None
        # The disk shrinks before its bytes go: initiators get no error that the medium is gone under them.
        realize(context.hardware, on_disk)
        try:
            pool.resize(lun.id, resized.size, (), _no_progress)
        except Exception as error:
            undo(context.hardware, on_disk, error)
            raise
    except Exception:
        context.store.owe(number)
        raise
    put = outcome()
    return put, context.store.owe(number, put=put)


def _withdraw(context: Context, lun: inventory.Lun, removal: list[Step]) -> int:
    """Take a LUN that is to be deleted out of the kernel; gives the number of the intent. Runs in a worker thread."""
    number = context.store.begin("delete_lun", lun=lun.id, pool=lun.pool_id, number=lun.number)
    try:
        realize(context.hardware, removal)
    except Exception:
        context.store.owe(number)
        raise
    return number


def _wipe(context: Context, lun: inventory.Lun, number: int) -> Exception | None:
    """Wipe and free the volume, and forget the LUN; gives the store's failure, which changes nothing about that. Runs in a
    worker thread."""
    context.pool(lun.pool_id).delete(lun.id)
    return context.store.owe(number, drop=[*context.cache.inventory.plexes_at(lun.id), lun])


def _no_progress(_percent: int) -> None:
    """Work that undoes cannot be cancelled."""
