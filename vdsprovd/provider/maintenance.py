"""Maintenance of drives: lights, motors, signs of life: IVdsMaintenance."""

import asyncio

from vdsprovd import inventory
from vdsprovd.hardware import Unsupported
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.model import MaintenanceOperation
from vdsprovd.provider.api import Interface, Role, SuccessReply, method

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


class Maintenance(Interface):
    """Maintenance of a drive."""

    com = "IVdsMaintenance"

    @method(Role.OPERATOR, *_USUAL, exclusive=True)
    async def start_maintenance(self, drive: inventory.Drive, operation: MaintenanceOperation) -> None:
        """Start an operation: the light at the drive's slot blinks until StopMaintenance; spin_down, spin_up and ping are
        over when this returns. VDS_E_NOT_SUPPORTED for what the drive and its enclosure do not have: nothing on Linux
        beeps. (IVdsMaintenance::StartMaintenance)"""
        self.context.pulses.pop(drive.id, None)
        await self._do(drive, operation, on=True)
        if operation is _LASTING:
            self.context.lit.add(drive.id)

    @method(Role.OPERATOR, *_USUAL, Hresult.S_FALSE, exclusive=True)
    async def stop_maintenance(self, drive: inventory.Drive, operation: MaintenanceOperation) -> SuccessReply:
        """Stop an operation; `hresult` is S_FALSE when it is not running. (IVdsMaintenance::StopMaintenance)"""
        _check(drive, operation)
        if operation is not _LASTING or drive.id not in self.context.lit:
            return SuccessReply(Hresult.S_FALSE)
        self.context.pulses.pop(drive.id, None)
        await self._do(drive, operation, on=False)
        self.context.lit.discard(drive.id)
        return SuccessReply(Hresult.S_OK)

    @method(Role.OPERATOR, *_USUAL, Hresult.S_FALSE, exclusive=True)
    async def pulse_maintenance(
        self, drive: inventory.Drive, operation: MaintenanceOperation, count: int
    ) -> SuccessReply:
        """Let a running operation go on for so many pulses and then stop; `hresult` is S_FALSE when it is not running.

        VDS_E_NOT_SUPPORTED for spin_down and spin_up. (IVdsMaintenance::PulseMaintenance)
        """
        _check(drive, operation)
        if operation in (MaintenanceOperation.SPIN_DOWN, MaintenanceOperation.SPIN_UP):
            raise VdsError(Hresult.VDS_E_NOT_SUPPORTED, f"{operation.value} cannot be pulsed", drive.id)
        if count < 0:
            raise VdsError(Hresult.E_INVALIDARG, f"{count} pulses cannot be given", drive.id)
        if operation is not _LASTING or drive.id not in self.context.lit:
            return SuccessReply(Hresult.S_FALSE)
        pulse = object()
        self.context.pulses[drive.id] = pulse
        self.context.operations.spawn(self._pulse(drive, count, pulse))
        return SuccessReply(Hresult.S_OK)

    async def _pulse(self, drive: inventory.Drive, count: int, pulse: object) -> None:
        for _ in range(count):
            for on in (True, False):
                # Started or stopped meanwhile: this pulse is nobody's any more.
                if self.context.pulses.get(drive.id) is not pulse:
                    return
                await self._do(drive, _LASTING, on=on)
                await asyncio.sleep(PULSE)
        if self.context.pulses.get(drive.id) is pulse:
            await self._do(drive, _LASTING, on=False)
            self.context.pulses.pop(drive.id)
            self.context.lit.discard(drive.id)

    async def _do(self, drive: inventory.Drive, operation: MaintenanceOperation, *, on: bool) -> None:
        maintenance = self.context.hardware.maintenance
        work = maintenance.start if on else maintenance.stop
        try:
            await self.context.work(work, drive.node, operation)
        except Unsupported as error:
            raise VdsError(Hresult.VDS_E_NOT_SUPPORTED, str(error), drive.id) from error
        except Exception as error:
            raise self.context.translate(error, drive.id) from error


def _check(drive: inventory.Drive, operation: MaintenanceOperation) -> None:
    if operation is MaintenanceOperation.BEEP_ALARM:
        raise VdsError(Hresult.VDS_E_NOT_SUPPORTED, "nothing on Linux beeps at a drive", drive.id)
