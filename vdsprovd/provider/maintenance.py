"""Maintenance of drives, and of what is made of drives: lights, motors, signs of life: IVdsMaintenance."""

import asyncio
from collections.abc import Collection

import msgspec

from vdsprovd import inventory
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.inventory import Drive
from vdsprovd.model import MaintenanceOperation
from vdsprovd.provider.api import Interface, Role, method
from vdsprovd.provider.context import Context
from vdsprovd.replies import SuccessReply

_USUAL = (
    Hresult.VDS_E_PROVIDER_CACHE_CORRUPT,
    Hresult.VDS_E_OBJECT_DELETED,
    Hresult.VDS_E_OBJECT_STATUS_FAILED,
    Hresult.VDS_E_ANOTHER_CALL_IN_PROGRESS,
    Hresult.VDS_E_NOT_SUPPORTED,
)

PULSE = 0.5
"""Seconds that a pulse's light is on, and off."""

_LASTING = MaintenanceOperation.BLINK_LIGHT
"""The operation that goes on until it is stopped; the others are over when they have begun."""
_MOTORS = (MaintenanceOperation.SPIN_DOWN, MaintenanceOperation.SPIN_UP)

Maintained = inventory.Drive | inventory.Lun | inventory.SubSystem | inventory.Controller
"""What has this interface (VDS: subsystem, controller, drive and LUN objects)."""


class Blinking(msgspec.Struct, frozen=True):
    """The lights that blink for an object, by the ids of their drives. Each Start and each Pulse is one of its own."""

    drives: frozenset[str]


class Maintenance(Interface):
    """Maintenance of a drive, of all drives of a subsystem or under a LUN, and of a controller, which is this host."""

    com = "IVdsMaintenance"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._blinking: dict[str, Blinking] = {}
        """By object."""
        self._lights = asyncio.Lock()
        """Held while lights are switched: a pulse and a call must not cross."""

    @method(Role.OPERATOR, *_USUAL, exclusive=True)
    async def start_maintenance(self, thing: Maintained, operation: MaintenanceOperation) -> None:
        """Start an operation: the light at the drive's slot blinks until StopMaintenance; spin_down, spin_up and ping are
        over when this returns.

        Of a subsystem or a LUN it is that of its drives: all lights that there are blink, and a ping is answered by all
        or is an error; they are spun down and up one by one. A controller answers a ping and has nothing else.
        VDS_E_NOT_SUPPORTED for what the drives and their enclosures do not have: nothing on Linux beeps.
        (IVdsMaintenance::StartMaintenance)
        """
        _check(thing, operation)
        if isinstance(thing, inventory.Controller):
            return
        drives = self._drives(thing)
        if operation is not _LASTING:
            for drive in drives:
                await self._do(drive, operation)
            return
        async with self._lights:
            lit = await self._light(drives)
            await self._put_out(thing.id, keep=lit)
            self._blinking[thing.id] = Blinking(frozenset(lit))

    @method(Role.OPERATOR, *_USUAL, Hresult.S_FALSE, exclusive=True)
    async def stop_maintenance(self, thing: Maintained, operation: MaintenanceOperation) -> SuccessReply:
        """Stop an operation; `hresult` is S_FALSE when it is not running. A light that blinks for another object, too,
        goes on. (IVdsMaintenance::StopMaintenance)"""
        _check(thing, operation)
        async with self._lights:
            if operation is not _LASTING or thing.id not in self._blinking:
                return SuccessReply(Hresult.S_FALSE)
            await self._put_out(thing.id)
        return SuccessReply(Hresult.S_OK)

    @method(Role.OPERATOR, *_USUAL, Hresult.S_FALSE, exclusive=True)
    async def pulse_maintenance(self, thing: Maintained, operation: MaintenanceOperation, count: int) -> SuccessReply:
        """Let a running operation go on for so many pulses and then stop; `hresult` is S_FALSE when it is not running.

        VDS_E_NOT_SUPPORTED for spin_down and spin_up. (IVdsMaintenance::PulseMaintenance)
        """
        _check(thing, operation)
        if operation in _MOTORS:
            raise VdsError(Hresult.VDS_E_NOT_SUPPORTED, f"{operation.value} cannot be pulsed", thing.id)
        if count < 0:
            raise VdsError(Hresult.E_INVALIDARG, f"{count} pulses cannot be given", thing.id)
        running = self._blinking.get(thing.id)
        if operation is not _LASTING or running is None:
            return SuccessReply(Hresult.S_FALSE)
        pulsing = Blinking(running.drives)
        self._blinking[thing.id] = pulsing
        self.context.operations.spawn(self._pulse(thing.id, pulsing, count))
        return SuccessReply(Hresult.S_OK)

    async def _pulse(self, id: str, pulsing: Blinking, count: int) -> None:
        for _ in range(count):
            for on in (True, False):
                async with self._lights:
                    # Started or stopped meanwhile: this pulse is nobody's any more.
                    if self._blinking.get(id) is not pulsing:
                        return
                    for drive in self._there(pulsing.drives - self._wanted(but=id)):
                        await self._do(drive, _LASTING, on=on)
                await asyncio.sleep(PULSE)
        async with self._lights:
            if self._blinking.get(id) is pulsing:
                await self._put_out(id)

    def _drives(self, thing: inventory.Drive | inventory.Lun | inventory.SubSystem) -> list[Drive]:
        """The drives that the object is made of. Raises VDS_E_NOT_SUPPORTED when the provider knows none."""
        match thing:
            case inventory.Drive():
                return [thing]
            case inventory.SubSystem():
                found = [drive for drive in self.inventory.all(Drive) if drive.sub_system_id == thing.id]
            case inventory.Lun():
                plexes = self.inventory.plexes_at(thing.id)
                nodes = {extent.drive for plex in plexes for extent in plex.leg.extents}
                found = [drive for drive in self.inventory.all(Drive) if drive.node in nodes]
        there = [drive for drive in found if drive.node]
        if not there:
            raise VdsError(
                Hresult.VDS_E_NOT_SUPPORTED,
                "it has no drives that the provider knows, so they have no maintenance",
                thing.id,
            )
        return there

    def _there(self, ids: Collection[str]) -> list[Drive]:
        return [drive for id in ids if (drive := self.inventory.get(Drive, id)) and drive.node]

    async def _light(self, drives: Collection[Drive]) -> set[str]:
        """Light up those of the drives that have a light; gives their ids. Raises VDS_E_NOT_SUPPORTED when none has, and
        leaves nothing lit when one fails."""
        lit: list[Drive] = []
        unsupported: VdsError | None = None
        for drive in drives:
            try:
                await self._do(drive, _LASTING)
            except VdsError as error:
                if error.code is Hresult.VDS_E_NOT_SUPPORTED:
                    unsupported = error
                    continue
                others = self._wanted()
                for done in lit:
                    if done.id not in others:
                        await self._do(done, _LASTING, on=False)
                raise
            lit.append(drive)
        if unsupported and not lit:
            raise unsupported
        return {drive.id for drive in lit}

    async def _put_out(self, id: str, keep: Collection[str] = ()) -> None:
        """End an object's blinking; the lights of other objects, and those to keep, go on."""
        blinking = self._blinking.get(id)
        if blinking is None:
            return
        for drive in self._there(blinking.drives - self._wanted(but=id) - set(keep)):
            await self._do(drive, _LASTING, on=False)
        del self._blinking[id]

    def _wanted(self, but: str = "") -> set[str]:
        """The drives whose lights blink for an object, or for another than this one."""
        return {drive for id, blinking in self._blinking.items() if id != but for drive in blinking.drives}

    async def _do(self, drive: Drive, operation: MaintenanceOperation, *, on: bool = True) -> None:
        maintenance = self.context.hardware.maintenance
        work = self.context.work(maintenance.start if on else maintenance.stop, drive.node, operation)
        await self.context.guarded(work, drive.id)


def _check(thing: Maintained, operation: MaintenanceOperation) -> None:
    if operation is MaintenanceOperation.BEEP_ALARM:
        raise VdsError(Hresult.VDS_E_NOT_SUPPORTED, "nothing on Linux beeps at a drive", thing.id)
    if isinstance(thing, inventory.Controller) and operation is not MaintenanceOperation.PING:
        raise VdsError(
            Hresult.VDS_E_NOT_SUPPORTED, f"a controller, this host, has nothing to {operation.value}", thing.id
        )
