"""Drives that take the place of others: ReplaceDrive, and hot spares."""

from contextlib import suppress

import msgspec

from vdsprovd.hardware import HardwareError
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.inventory import Drive, SubSystem
from vdsprovd.provider.context import Context
from vdsprovd.provider.scans import scan


def check_free(context: Context, drive: Drive) -> None:
    """Raises VDS_E_NOT_SUPPORTED for a drive that cannot be taken: it is in a pool, not there or offline, or something is on it and
    no pool of its subsystem is configured to overwrite. What is mounted or open the pool refuses in any case."""
    why = ""
    if drive.pool_id:
        why = "it is in a pool"
    elif drive.found is None:
        why = "it is not there"
    elif not drive.online:
        why = "it is offline"
    elif drive.found.holder and not drive.hot_spare and not _overwrites(context, drive.sub_system_id):
        why = f"{drive.found.holder}; wipe it, or set overwrite in the pool's configuration"
    if why:
        raise VdsError(
            Hresult.VDS_E_NOT_SUPPORTED,
            f"drive {drive.id} ({drive.node or 'removed'}) cannot be taken: {why}",
            drive.id,
        )


def _overwrites(context: Context, sub_system_id: str) -> bool:
    name = context.cache.inventory.known(SubSystem, sub_system_id).name
    return any(pool.overwrite for entry in context.config.subsystem if entry.name == name for pool in entry.pool)


async def replace_drive(context: Context, old: Drive, new: Drive) -> None:
    """Move all extents of a drive to another and put it in the first one's place."""
    if not old.pool_id or old.found is None:
        why = "it is in no pool" if old.found else "it is not there; use Lun.Recover"
        raise VdsError(Hresult.VDS_E_NOT_SUPPORTED, f"drive {old.id} cannot be replaced: {why}", old.id)
    if old.id == new.id:
        raise VdsError(Hresult.VDS_E_NOT_SUPPORTED, "a drive cannot replace itself", old.id)
    check_free(context, new)

    def exchange() -> Exception | None:
        pool = context.drive_pool(old.pool_id)
        # A drive that was taken could not be let go again.
        pool.check_complete()
        # By what names them for ever: their nodes may be others after a boot.
        step = context.store.begin("replace_drive", pool=old.pool_id, old=old.identification, new=new.identification)
        try:
            pool.take_drive(new.node, reserved=True)
            try:
                pool.move(old.node, new.node, lambda _percent: None)
            except HardwareError as error:
                try:
                    pool.release_drive(new.node)
                except HardwareError as second:
                    error.add_note(f"and could not be undone: {second}")
                raise
        except Exception:
            context.store.owe(step)
            raise
        failure: Exception | None = None
        try:
            pool.release_drive(old.node)
        except HardwareError as error:
            # The extents are where they shall be. A drive that fails may not even let itself be released.
            failure = error
        return context.store.owe(step, spent) or failure

    spent = [msgspec.structs.replace(new, hot_spare=False)]
    sub_system = context.cache.inventory.known(SubSystem, old.sub_system_id)
    try:
        failure = await context.guarded(context.long_work(exchange), old.id)
    except VdsError:
        # A scan of meanwhile has seen the new drive in the pool.
        with suppress(VdsError):
            await scan(context, sub_system, own=())
        raise
    await scan(context, sub_system, own=spent)
    if failure:
        raise context.translate(failure, old.id)
