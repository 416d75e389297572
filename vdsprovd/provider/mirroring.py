"""Plexes that come, go and are rebuilt: what IVdsLun's AddPlex, RemovePlex and Recover do."""

from collections.abc import Awaitable, Callable

import msgspec

from vdsprovd.hardware import NoDrives, NoSpace, Progress, steps
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.inventory import FAULT_TOLERANT, Drive, Entity, Lun, Plex, StoragePool
from vdsprovd.model import AsyncOutputType, Health, LunType, TransitionState
from vdsprovd.operations import Operation
from vdsprovd.provider.context import Context
from vdsprovd.provider.creation import found, plexes_of
from vdsprovd.provider.replacement import check_free, look
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

            def absorb() -> list[Entity]:
                step = context.store.begin("add_plex", lun=lun.id, source=absorbed.id, pool=lun.pool_id)
                try:
                    for nodes in drives:
                        # Beside the source, if there is room: then a failure costs nothing.
                        with_room = _beside(pool.add_leg, lun.id, nodes, operation.progress)
                        if not with_room:
                            break
                    operation.commit()
                    for one in steps(before, after):
                        context.hardware.take(one)
                    pool.delete(absorbed.id)
                    if not with_room:
                        for nodes in drives:
                            pool.add_leg(lun.id, nodes, lambda _percent: None)
                except Exception:
                    context.store.finish(step)
                    raise
                state = pool.probe(lun.id)
                mirrored = msgspec.structs.replace(found(current, state), type=LunType.MIRROR)
                put: list[Entity] = [mirrored, *plexes_of(lun.id, state, context.cache.inventory.plexes_at(lun.id))]
                context.store.finish(step, put=put, drop=gone[::-1])
                return put

            put = await context.guarded(context.work(absorb), lun.id)
            ids = [entry.id for entry in gone]
            context.cache.apply([*put, *await context.surroundings(lun.pool_id)], ids, targets)

    return _start(context, AsyncOutputType.ADD_LUN_PLEX, lun, work, [source.id])


def _beside(
    add_leg: Callable[[str, list[str], Progress], None], lun: str, nodes: list[str], progress: Progress
) -> bool:
    try:
        add_leg(lun, nodes, progress)
    except (NoSpace, NoDrives):
        return False
    return True


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
        async with context.changing(lun.id, TransitionState.RECONFIGING):
            current = context.cache.inventory.known(Lun, lun.id)
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
                state = pool.probe(lun.id)
                left = [
                    msgspec.structs.replace(other, place=place)
                    for place, other in enumerate(other for other in plexes if other.id != plex_id)
                ]
                # What is left of a mirror of two is no mirror.
                type = LunType.MIRROR if len(left) > 1 else LunType.SIMPLE
                simple = msgspec.structs.replace(found(current, state), type=type)
                put: list[Entity] = [simple, *plexes_of(lun.id, state, left)]
                context.store.finish(step, put=put, drop=[plex])
                return put

            put = await context.guarded(context.work(remove), lun.id)
            # The plex goes first: another takes its place.
            context.cache.apply(drop=[plex.id])
            context.cache.apply([*put, *await context.surroundings(lun.pool_id)])

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
            context.cache.apply([*put, *await context.surroundings(lun.pool_id)])
            await look(context, lun.sub_system_id)

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
