"""How a LUN comes to be, whichever method asks for it."""

import uuid
from collections.abc import Sequence

from vdsprovd.hardware import Layout, Step, realize, undo
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.inventory import Lun, StoragePool
from vdsprovd.model import AsyncOutputType, LunType
from vdsprovd.operations import Operation
from vdsprovd.provider import facts, names
from vdsprovd.provider.context import Context

LARGEST = (1 << 63) - 1
"""Bytes; what a file system and the wire's integers can express."""


def check_type(type: LunType) -> LunType:
    """The concrete type that a pool of files gives for what was asked for.

    Raises E_INVALIDARG for `unknown`, VDS_E_NOT_SUPPORTED for what files cannot be.
    """
    if type is LunType.UNKNOWN:
        raise VdsError(Hresult.E_INVALIDARG, "the LUN type unknown cannot be created")
    if type not in (LunType.DEFAULT, LunType.NON_FAULT_TOLERANT, LunType.SIMPLE):
        raise VdsError(
            Hresult.VDS_E_NOT_SUPPORTED, f"no pool can hold a LUN of type {type.value}; use simple or default"
        )
    return LunType.SIMPLE


def rounded(size: int, granule: int) -> int:
    """The size rounded up. Raises E_INVALIDARG for a size that no LUN can have."""
    if size <= 0:
        raise VdsError(Hresult.E_INVALIDARG, f"the size is {size} bytes; it must be positive")
    rounded_up = -(-size // granule) * granule
    if rounded_up > LARGEST:
        raise VdsError(Hresult.VDS_E_NOT_ENOUGH_SPACE, f"no pool can hold {size} bytes")
    return rounded_up


async def create_lun(
    context: Context, type: LunType, size: int, pools: Sequence[StoragePool], unmasking_list: str
) -> Operation:
    """Start to create a LUN of that many bytes in the roomiest of the pools, unmasked to the list.

    Raises VDS_E_NOT_ENOUGH_SPACE at once when no pool has the room now.
    """
    concrete = check_type(type)
    mask = names.unmasking_list(unmasking_list)
    rounded(size, 1)
    pool, free = await _roomiest(context, pools)
    size = rounded(size, context.pool(pool.id).granule)
    if size > free and not context.pool(pool.id).sparse:
        raise VdsError(
            Hresult.VDS_E_NOT_ENOUGH_SPACE,
            f"{size} bytes are wanted, and the roomiest pool, {pool.name}, has {free} free",
            pool.id,
        )
    lun_id = str(uuid.uuid4())
    number = context.next_lun_number()
    lun = Lun(
        id=lun_id,
        sub_system_id=pool.sub_system_id,
        pool_id=pool.id,
        number=number,
        path=context.pool(pool.id).path(lun_id),
        name="",
        size=size,
        type=concrete,
        mask=mask,
    )

    async def work(operation: Operation) -> str:
        await context.guarded(context.work(_make, context, operation, lun), pool.id)
        context.cache.apply([lun, await context.measured(pool.id)])
        return lun.id

    return context.operations.start(
        AsyncOutputType.CREATE_LUN,
        lun_id,
        work,
        shared=[pool.sub_system_id, context.provider_id],
        translate=context.translate,
    )


def _make(context: Context, operation: Operation, lun: Lun) -> None:
    """Make the volume and the disk, and write the LUN down; or leave nothing. Runs in a worker thread."""
    pool = context.pool(lun.pool_id)
    step = context.store.begin("create_lun", lun=lun.id, pool=lun.pool_id, number=lun.number)
    try:
        pool.create(lun.id, lun.size, Layout(lun.type), operation.progress)
        try:
            operation.commit()
            on_disk = [Step(None, facts.disk(lun))]
            realize(context.hardware, on_disk)
            try:
                context.store.finish(step, put=[lun])
            except Exception as error:
                undo(context.hardware, on_disk, error)
                raise
        except Exception:
            pool.delete(lun.id)
            raise
    except Exception:
        context.store.finish(step)
        raise


async def largest_lun(context: Context, type: LunType, pools: Sequence[StoragePool]) -> int:
    """The size in bytes of the largest LUN that one of the pools can hold now."""
    check_type(type)
    pool, free = await _roomiest(context, pools)
    granule = context.pool(pool.id).granule
    return free // granule * granule


async def _roomiest(context: Context, pools: Sequence[StoragePool]) -> tuple[StoragePool, int]:
    measured = [await context.measured(pool.id) for pool in pools]
    usable = [pool for pool in measured if not pool.fault]
    if not usable:
        reasons = "; ".join(pool.fault for pool in measured) or "the subsystem has no pool"
        raise VdsError(Hresult.VDS_E_NOT_ENOUGH_DRIVE, f"there is no pool that can be used: {reasons}")
    pool = max(usable, key=lambda entry: entry.free)
    return pool, pool.free
