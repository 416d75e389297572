"""Plexes that come, go and are rebuilt: what IVdsLun's AddPlex, RemovePlex and Recover do."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import msgspec

from vdsprovd.hardware import (
    DrivePool,
    HardwareError,
    NoDrives,
    NoSpace,
    Pool,
    Progress,
    Refused,
    part,
    realize,
    steps,
    undo,
)
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.inventory import FAULT_TOLERANT, Drive, Entity, Inventory, Lun, Plex, StoragePool, SubSystem
from vdsprovd.model import AsyncOutputType, DriveStatus, Health, LunType, TransitionState
from vdsprovd.operations import Operation
from vdsprovd.provider.context import Context
from vdsprovd.provider.creation import found, plexes_of
from vdsprovd.provider.replacement import check_free
from vdsprovd.provider.reshaping import sides
from vdsprovd.provider.scans import scan


def add_plex(context: Context, lun: Lun, source_id: str) -> Operation:
    """Turn another LUN, the source, into a plex of the LUN."""
    inventory = context.cache.inventory
    source = inventory.get(Lun, source_id)
    if source is None or source.sub_system_id != lun.sub_system_id:
        raise VdsError(Hresult.VDS_E_OBJECT_NOT_FOUND, f"the subsystem has no LUN {source_id!r}", source_id)
    why = _why_not(inventory.known(StoragePool, lun.pool_id), lun, source) or _share(inventory, lun, source)
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

            def absorb() -> tuple[list[Entity], Exception | None]:
                own = len(context.cache.inventory.plexes_at(lun.id))
                step = context.store.begin("add_plex", lun=lun.id, source=absorbed.id, pool=lun.pool_id, own=own)
                parts = [
                    part(operation.progress, place * 100 // len(drives), (place + 1) * 100 // len(drives))
                    for place in range(len(drives))
                ]
                try:
                    # Beside the source, as far as there is room: then a failure costs nothing.
                    added = 0
                    while added < len(drives) and _beside(pool, lun.id, drives[added], parts[added]):
                        added += 1
                    for nodes in drives[added:]:
                        # What would fail without the source, too, fails while it is there.
                        pool.check_leg(lun.id, nodes, absorbed.id)
                    operation.commit()
                    # From here on the source's bytes go: a crash leads to the end of that, not back.
                    context.store.advance(step, absorbed=True)
                    realize(context.hardware, removal)
                    try:
                        pool.delete(absorbed.id)
                    except Exception as error:
                        undo(context.hardware, removal, error)
                        raise
                except Exception as error:
                    try:
                        take_back(pool, lun.id, own)
                    except HardwareError as second:
                        error.add_note(f"and could not be undone: {second}")
                    context.store.owe(step)
                    raise
                failure: Exception | None = None
                try:
                    for place in range(added, len(drives)):
                        pool.add_leg(lun.id, drives[place], parts[place])
                except HardwareError as error:
                    failure = error
                put = as_found(current, pool, context.cache.inventory.plexes_at(lun.id))
                return put, context.store.owe(step, put, gone[::-1]) or failure

            put, failure = await context.guarded(context.long_work(absorb), lun.id)
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


def take_back(pool: DrivePool, lun: str, own: int) -> None:
    """Remove the legs that the volume has beyond its own. Blocks."""
    for place in range(len(pool.probe(lun).legs) - 1, own - 1, -1):
        pool.remove_leg(lun, place, lambda _percent: None)


def as_found(lun: Lun, pool: Pool, known: Sequence[Plex]) -> list[Entity]:
    """The LUN and its plexes, of which these are known, as the volume is now; a mirror is what has several legs. Blocks."""
    state = pool.probe(lun.id)
    if not state.legs:
        type = lun.type  # nothing can be seen of it now
    elif len(state.legs) > 1:
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


def _share(inventory: Inventory, lun: Lun, source: Lun) -> str:
    own = {extent.drive for plex in inventory.plexes_at(lun.id) for extent in plex.leg.extents}
    if any({extent.drive for extent in plex.leg.extents} <= own for plex in inventory.plexes_at(source.id)):
        return "it lies on the LUN's own drives, and plexes are on drives of their own"
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

            def remove() -> tuple[list[Entity], Exception | None]:
                operation.commit()
                step = context.store.begin("remove_plex", lun=lun.id, plex=plex_id, pool=lun.pool_id)
                try:
                    pool.remove_leg(lun.id, plex.place, lambda _percent: None)
                except Exception:
                    context.store.owe(step)
                    raise
                left = [
                    msgspec.structs.replace(other, place=place)
                    for place, other in enumerate(other for other in plexes if other.id != plex_id)
                ]
                put = as_found(current, pool, left)
                return put, context.store.owe(step, put, [plex])

            put, failure = await context.guarded(context.long_work(remove), lun.id)
            context.cache.apply([*put, *await context.surroundings(lun.pool_id)], [plex.id])
            if failure:
                raise failure

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
        # A rebuild cannot be undone, and half of one is worse than none: a crash leads to its end, too.
        operation.commit()
        step = await context.work(context.store.begin, "recover", lun=lun.id, pool=lun.pool_id)
        current = context.cache.inventory.known(Lun, lun.id)
        context.cache.apply([msgspec.structs.replace(current, redundancy=Health.REBUILDING)])
        try:
            try:
                await context.long_work(context.drive_pool(lun.pool_id).repair, lun.id, operation.progress)
            except NoDrives as error:
                await _repair_with_spare(context, lun, operation, error)
        finally:
            await context.work(context.store.owe, step)
            state = await context.work(context.pool(lun.pool_id).probe, lun.id)
            known = context.cache.inventory
            put: list[Entity] = [
                found(known.known(Lun, lun.id), state),
                *plexes_of(lun.id, state, known.plexes_at(lun.id)),
            ]
            await scan(context, known.known(SubSystem, lun.sub_system_id), own=put)

    return _start(context, AsyncOutputType.RECOVER_LUN, lun, work)


async def _repair_with_spare(context: Context, lun: Lun, operation: Operation, why: NoDrives) -> None:
    """Repair the LUN with the first hot spare of the subsystem that suffices, which becomes a drive of the LUN's pool and
    is a spare no longer. Raises what it was called for when none does."""
    pool = context.drive_pool(lun.pool_id)
    spares = [drive for drive in context.cache.inventory.all(Drive) if _is_spare(drive, lun)]
    for spare in sorted(spares, key=lambda drive: drive.size):
        # Where it leaves too little, it is not taken: LVM lets no drive go while the group misses one.
        if spare.size < why.wanted:
            continue
        # Another LUN that lost the same drive may want it at the same time, and it suffices for both.
        async with context.operations.holds.wait([spare.id]):
            current = context.cache.inventory.get(Drive, spare.id)
            if current is None:
                continue
            try:
                if not _is_spare(current, lun):
                    await context.long_work(pool.repair, lun.id, operation.progress)
                else:
                    check_free(context, current)
                    failure = await context.long_work(_spend, context, lun, current, operation.progress)
                    context.cache.apply([msgspec.structs.replace(current, hot_spare=False)])
                    if failure:
                        raise failure
            except NoDrives as error:
                why = error
            else:
                return
    raise why


def _is_spare(drive: Drive, lun: Lun) -> bool:
    return (
        drive.hot_spare
        and drive.sub_system_id == lun.sub_system_id
        and not drive.pool_id
        and drive.status is DriveStatus.ONLINE
    )


def _spend(context: Context, lun: Lun, spare: Drive, progress: Progress) -> Exception | None:
    """Take the spare into the pool and repair the LUN with it. Unless that made use of it, it is a spare again. Blocks."""
    pool = context.drive_pool(lun.pool_id)
    step = context.store.begin("take_spare", lun=lun.id, pool=lun.pool_id, drive=spare.id)
    spent = [msgspec.structs.replace(spare, hot_spare=False)]
    failure: Exception | None = None
    try:
        pool.take_drive(spare.node)
        try:
            pool.repair(lun.id, progress)
        except Exception as error:
            failure = error
            if not any(extent.drive == spare.node and extent.lun for extent in pool.extents()):
                with suppress(Refused):  # it stays in the pool then, and is spent
                    pool.release_drive(spare.node)
                    raise
    except Exception:
        context.store.owe(step)
        raise
    return context.store.owe(step, spent) or failure


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
