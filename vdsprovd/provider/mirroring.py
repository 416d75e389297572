"""Plexes that come, go and are rebuilt: what IVdsLun's AddPlex, RemovePlex and Recover do."""

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from vdsprovd.hardware import DrivePool, HardwareError, NoDrives, NoSpace, Progress, realize, steps, undo
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.inventory import FAULT_TOLERANT, Drive, Entity, Lun, Plex, StoragePool, SubSystem
from vdsprovd.model import AsyncOutputType, Health, LunType, TransitionState
from vdsprovd.operations import Operation
from vdsprovd.provider.context import Context
from vdsprovd.provider.creation import found, plexes_of
from vdsprovd.provider.recovery import scan
from vdsprovd.provider.replacement import check_free
from vdsprovd.provider.reshaping import sides


def add_plex(context: Context, lun: Lun, source_id: str) -> Operation:
    """Turn another LUN, the source, into a plex of the LUN."""
    inventory = context.cache.inventory
    source = inventory.get(Lun, source_id)
    if source is None or source.sub_system_id != lun.sub_system_id:
        raise VdsError(Hresult.VDS_E_OBJECT_NOT_FOUND, f"the subsystem has no LUN {source_id!r}", source_id)
    why = _why_not(inventory.known(StoragePool, lun.pool_id), lun, source)
    if why:
        raise VdsError(Hresult.VDS_E_INVALID_OPERATION, f"LUN {source.id} cannot become a plex: {why}", lun.id)
    drives = [[extent.drive for extent in plex.leg.extents] for plex in inventory.plexes_at(source.id)]

    async def work(operation: Operation) -> None:
        current, absorbed = context.cache.inventory.known(Lun, lun.id), context.cache.inventory.known(Lun, source.id)
        targets = [entry.target_id for entry in absorbed.associations]
        async with context.changing(lun.id, TransitionState.RECONFIGING), context.reshaping(targets):
            pool = context.drive_pool(lun.pool_id)
            gone: list[Lun | Plex] = [absorbed, *context.cache.inventory.plexes_at(absorbed.id)]
            before, after = sides(context, absorbed, None)

            removal = steps(before, after)

            def absorb() -> tuple[list[Entity], HardwareError | None]:
                step = context.store.begin("add_plex", lun=lun.id, source=absorbed.id, pool=lun.pool_id)
                own = len(context.cache.inventory.plexes_at(lun.id))
                try:
                    # Beside the source, as far as there is room: then a failure costs nothing.
                    added = 0
                    while added < len(drives) and _beside(pool, lun.id, drives[added], operation.progress):
                        added += 1
                    operation.commit()
                    realize(context.hardware, removal)
                    try:
                        pool.delete(absorbed.id)
                    except Exception as error:
                        undo(context.hardware, removal, error)
                        raise
                except Exception as error:
                    _take_back(pool, lun.id, own, error)
                    context.store.finish(step)
                    raise
                failure = None
                try:
                    for nodes in drives[added:]:
                        pool.add_leg(lun.id, nodes, lambda _percent: None)
                except HardwareError as error:
                    failure = error
                put = _as_found(context, current)
                context.store.finish(step, put=put, drop=gone[::-1])
                return put, failure

            put, failure = await context.guarded(context.work(absorb), lun.id)
            ids = [entry.id for entry in gone]
            context.cache.apply([*put, *await context.surroundings(lun.pool_id)], ids, targets)
            if failure:
                raise failure

    return _start(context, AsyncOutputType.ADD_LUN_PLEX, lun, work, [source.id])


def _beside(pool: DrivePool, lun: str, nodes: list[str], progress: Progress) -> bool:
    try:
        pool.add_leg(lun, nodes, progress)
    except (NoSpace, NoDrives):
        return False
    return True


def _take_back(pool: DrivePool, lun: str, own: int, error: Exception) -> None:
    """Remove the legs that the volume has beyond its own."""
    try:
        for place in range(len(pool.probe(lun).legs) - 1, own - 1, -1):
            pool.remove_leg(lun, place, lambda _percent: None)
    except HardwareError as second:
        error.add_note(f"and could not be undone: {second}")


def _as_found(context: Context, lun: Lun, known: Sequence[Plex] | None = None) -> list[Entity]:
    """The LUN and its plexes as the volume is now; a mirror is what has several legs. Blocks."""
    state = context.pool(lun.pool_id).probe(lun.id)
    known = context.cache.inventory.plexes_at(lun.id) if known is None else known
    if len(state.legs) > 1:
        type = LunType.MIRROR
    else:
        # What is left of a mirror is simple, or a span where it lies on several drives.
        drives = {extent.drive for leg in state.legs for extent in leg.extents}
        type = LunType.SPAN if len(drives) > 1 else LunType.SIMPLE
    return [msgspec.structs.replace(found(lun, state), type=type), *plexes_of(lun.id, state, known)]


def _why_not(pool: StoragePool, lun: Lun, source: Lun) -> str:
    if lun.id == source.id:
        return "it is the LUN itself"
    if source.pool_id != lun.pool_id:
        return "it is in another pool"
    if LunType.MIRROR not in pool.types or lun.type not in (LunType.SIMPLE, LunType.SPAN, LunType.MIRROR):
        return f"LUNs of type {lun.type.value} in pool {pool.name} have no further plexes"
    if source.size < lun.size:
        return f"it has {source.size} bytes, and the LUN {lun.size}"
    return ""


def remove_plex(context: Context, lun: Lun, plex_id: str) -> Operation:
    """Remove one of a mirror's plexes."""
    plex = context.cache.inventory.get(Plex, plex_id)
    if plex is None or plex.lun_id != lun.id:
        raise VdsError(Hresult.VDS_E_OBJECT_NOT_FOUND, f"the LUN has no plex {plex_id!r}", plex_id)
    plexes = context.cache.inventory.plexes_at(lun.id)
    if len(plexes) == 1 or plex.place == 0:
        why = "it is the only one" if len(plexes) == 1 else "it is the original one"
        raise VdsError(Hresult.VDS_E_INVALID_OPERATION, f"plex {plex_id} cannot be removed: {why}", lun.id)

    async def work(operation: Operation) -> None:
        current = context.cache.inventory.known(Lun, lun.id)
        async with context.changing(lun.id, TransitionState.RECONFIGING):
            plexes = context.cache.inventory.plexes_at(lun.id)
            pool = context.drive_pool(lun.pool_id)

            def remove() -> list[Entity]:
                step = context.store.begin("remove_plex", lun=lun.id, plex=plex_id, pool=lun.pool_id)
                try:
                    operation.commit()
                    pool.remove_leg(lun.id, plex.place, lambda _percent: None)
                except Exception:
                    context.store.finish(step)
                    raise
                left = [
                    msgspec.structs.replace(other, place=place)
                    for place, other in enumerate(other for other in plexes if other.id != plex_id)
                ]
                put = _as_found(context, current, left)
                context.store.finish(step, put=put, drop=[plex])
                return put

            put = await context.guarded(context.work(remove), lun.id)
            context.cache.apply([*put, *await context.surroundings(lun.pool_id)], [plex.id])

    return _start(context, AsyncOutputType.REMOVE_LUN_PLEX, lun, work)


def recover(context: Context, lun: Lun) -> Operation:
    """Make the LUN whole again, with hot spares where its pool has no drive for it."""
    if lun.type not in FAULT_TOLERANT:
        raise VdsError(
            Hresult.VDS_E_INVALID_OPERATION,
            f"a LUN of type {lun.type.value} has nothing to be recovered from; only fault tolerant ones have",
            lun.id,
        )

    async def work(operation: Operation) -> None:
        current = context.cache.inventory.known(Lun, lun.id)
        context.cache.apply([msgspec.structs.replace(current, redundancy=Health.REBUILDING)])
        try:
            while True:
                try:
                    await context.work(context.drive_pool(lun.pool_id).repair, lun.id, operation.progress)
                except NoDrives:
                    if not await _take_spare(context, lun):
                        raise
                else:
                    break
        finally:
            state = await context.work(context.pool(lun.pool_id).probe, lun.id)
            known = context.cache.inventory
            put: list[Entity] = [
                found(known.known(Lun, lun.id), state),
                *plexes_of(lun.id, state, known.plexes_at(lun.id)),
            ]
            await scan(context, known.known(SubSystem, lun.sub_system_id), own=put)

    return _start(context, AsyncOutputType.RECOVER_LUN, lun, work)


async def _take_spare(context: Context, lun: Lun) -> bool:
    """Make a hot spare of the subsystem a drive of the LUN's pool; it is a spare no longer. False when there is none."""
    for spare in context.cache.inventory.all(Drive):
        if spare.hot_spare and spare.sub_system_id == lun.sub_system_id and not spare.pool_id and spare.found:
            check_free(context, spare)
            await context.guarded(context.work(context.drive_pool(lun.pool_id).take_drive, spare.node), spare.id)
            spent = [msgspec.structs.replace(spare, hot_spare=False)]
            await context.guarded(context.work(context.store.finish, None, spent))
            context.cache.apply(spent)
            return True
    return False


def _start(
    context: Context,
    type: AsyncOutputType,
    lun: Lun,
    work: Callable[[Operation], Awaitable[None]],
    others: list[str] | None = None,
) -> Operation:
    return context.operations.start(
        type,
        lun.id,
        work,
        exclusive=[lun.id, *(others or [])],
        shared=[lun.sub_system_id, context.provider_id],
        translate=context.translate,
    )
