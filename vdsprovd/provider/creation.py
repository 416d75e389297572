"""How a LUN comes to be, whichever method asks for it."""

import uuid
from collections.abc import Iterable, Sequence

import msgspec

from vdsprovd.hardware import Condition, HardwareError, Layout, NoDrives, Step, Unsupported, VolumeState, realize, undo
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.inventory import Drive, Entity, Lun, Plex, StoragePool
from vdsprovd.model import AsyncOutputType, DriveStatus, Hints2, LunType
from vdsprovd.operations import Operation
from vdsprovd.provider import automagic, facts, names
from vdsprovd.provider.context import Context
from vdsprovd.provider.nodes import serving

LARGEST = (1 << 63) - 1
"""Bytes; what a file system and the wire's integers can express."""


class Wish(msgspec.Struct, frozen=True):
    """What was asked of a new LUN, but for its size: type, drives in order (none: any), hints."""

    type: LunType
    drives: tuple[Drive, ...] = ()
    hints: Hints2 = Hints2()

    def layouts(self) -> Iterable[Layout]:
        """The ways to fulfil it, the best first."""
        for type in automagic.types(self.type, self.hints):
            yield Layout(
                type,
                tuple(drive.node for drive in self.drives),
                stripe_size=(self.hints.stripe_size or 0) if type in _STRIPED else 0,
            )


_STRIPED = (LunType.STRIPE, LunType.RAID10)


class Choice(msgspec.Struct, frozen=True):
    """A pool and a layout, and how many bytes a LUN could have there."""

    pool: StoragePool
    layout: Layout
    largest: int


def check(wish: Wish, given_hints: object) -> None:
    """Raises E_INVALIDARG for the type unknown, VDS_E_NOT_SUPPORTED for parameters that exclude each other."""
    if wish.type is LunType.UNKNOWN:
        raise VdsError(Hresult.E_INVALIDARG, "the LUN type unknown cannot be created")
    if wish.type.automagic and wish.drives:
        raise VdsError(
            Hresult.VDS_E_NOT_SUPPORTED,
            f"with the automagic type {wish.type.value} the drives are chosen for you; name a type to choose drives",
        )
    if given_hints is not None and not wish.type.automagic and not _only_a_stripe_size(wish):
        also = "no other than a stripeSize" if wish.type in _STRIPED else "none"
        raise VdsError(
            Hresult.VDS_E_NOT_SUPPORTED, f"hints go with automagic types; type {wish.type.value} takes {also}"
        )


def _only_a_stripe_size(wish: Wish) -> bool:
    """Whether all that is hinted is the stripes of a striped LUN: that is part of what it is, as DiskRAID has it."""
    stripe_size = wish.hints.stripe_size
    return wish.type in _STRIPED and stripe_size is not None and wish.hints == Hints2(stripe_size=stripe_size)


def drives(context: Context, sub_system_id: str, ids: Sequence[str]) -> tuple[Drive, ...]:
    """The drives of these ids, each once. Raises VDS_E_OBJECT_NOT_FOUND, VDS_E_NOT_ENOUGH_DRIVE for one that cannot be
    used, VDS_E_NOT_SUPPORTED for one that is in no pool."""
    found = []
    for id in dict.fromkeys(ids):
        drive = context.cache.inventory.get(Drive, id)
        if drive is None or drive.sub_system_id != sub_system_id:
            raise VdsError(Hresult.VDS_E_OBJECT_NOT_FOUND, f"there is no drive {id!r}", id)
        if drive.status is not DriveStatus.ONLINE:
            raise VdsError(Hresult.VDS_E_NOT_ENOUGH_DRIVE, f"drive {id} is {drive.status.value}", id)
        if not drive.pool_id:
            raise VdsError(
                Hresult.VDS_E_NOT_SUPPORTED, f"drive {id} is in no pool; LUNs are made on the drives of a pool", id
            )
        found.append(drive)
    return tuple(found)


def rounded(size: int, granule: int) -> int:
    """The size rounded up. Raises E_INVALIDARG for a size that no LUN can have."""
    if size <= 0:
        raise VdsError(Hresult.E_INVALIDARG, f"the size is {size} bytes; it must be positive")
    rounded_up = -(-size // granule) * granule
    if rounded_up > LARGEST:
        raise VdsError(Hresult.VDS_E_NOT_ENOUGH_SPACE, f"no pool can hold {size} bytes")
    return rounded_up


async def create_lun(
    context: Context, wish: Wish, size: int, pools: Sequence[StoragePool], unmasking_list: str
) -> Operation:
    """Start to create a LUN of that many bytes in one of the pools, unmasked to the list.

    Raises VDS_E_NOT_ENOUGH_SPACE at once when no pool has the room now.
    """
    mask = names.unmasking_list(unmasking_list)
    rounded(size, 1)
    choice = await _choose(context, wish, pools, size)
    pool = context.pool(choice.pool.id)
    size = rounded(size, pool.granule)
    if size > choice.largest and not pool.sparse:
        raise VdsError(
            Hresult.VDS_E_NOT_ENOUGH_SPACE,
            f"{size} bytes are wanted as {choice.layout.type.value}, and the roomiest pool, {choice.pool.name}, has "
            f"{choice.largest} free for that",
            choice.pool.id,
        )
    lun_id = str(uuid.uuid4())
    lun = Lun(
        id=lun_id,
        sub_system_id=choice.pool.sub_system_id,
        pool_id=choice.pool.id,
        number=context.next_lun_number(),
        path=pool.path(lun_id),
        name="",
        size=size,
        type=choice.layout.type,
        mask=mask,
        hints=wish.hints,
    )

    async def work(operation: Operation) -> str:
        made = await context.guarded(context.long_work(_make, context, operation, lun, choice.layout), choice.pool.id)
        context.cache.apply(made)
        return lun.id

    return context.operations.start(
        AsyncOutputType.CREATE_LUN,
        lun_id,
        work,
        shared=[lun.sub_system_id, context.provider_id, serving(lun.sub_system_id)],
        translate=context.translate,
    )


def _make(context: Context, operation: Operation, lun: Lun, layout: Layout) -> list[Entity]:
    """Make the volume and the disk, and write the LUN down; or leave nothing. Gives the LUN, its plexes, and what has changed
    around them. Runs in a worker thread."""
    pool = context.pool(lun.pool_id)
    step = context.store.begin("create_lun", lun=lun.id, pool=lun.pool_id, number=lun.number)
    try:
        pool.create(lun.id, lun.size, layout, operation.progress)
        try:
            operation.commit()
            # Not read: its ends have just been written.
            state = pool.glance([lun.id])[lun.id]
            made, plexes = found(lun, state), plexes_of(lun.id, state, ())
            on_disk = [Step(None, facts.disk(context.cache.inventory, made))]
            realize(context.hardware, on_disk)
            try:
                context.store.finish(step, put=[made, *plexes])
            except Exception as error:
                undo(context.hardware, on_disk, error)
                raise
        except Exception as error:
            try:
                pool.delete(lun.id)
            except HardwareError as second:
                error.add_note(f"and could not be undone: {second}")
            raise
    except Exception as error:
        if not getattr(error, "__notes__", None):  # else the next start undoes what could not be undone
            context.store.owe(step)
        raise
    return [made, *plexes, *context.look_around(lun.pool_id)]


def found(lun: Lun, state: VolumeState) -> Lun:
    """The LUN as its volume is. A block device's size is the LUN's, whoever set it; a file's disk has its own."""
    follows = state.condition is Condition.GOOD and lun.path.startswith("/dev/")
    size = max(lun.size, state.size) if follows else lun.size
    return msgspec.structs.replace(
        lun, size=size, redundancy=state.health, stripe_size=state.stripe_size, columns=state.columns
    )


def plexes_of(lun_id: str, state: VolumeState, known: Sequence[Plex]) -> list[Plex]:
    """The LUN's plexes, one a leg; those known keep their ids by place. There is always one."""
    legs = state.legs or (known[0].leg,) if known else state.legs
    fresh = [Plex(str(uuid.uuid4()), lun_id, place) for place in range(len(known), max(1, len(legs)))]
    return [
        msgspec.structs.replace(plex, leg=legs[place]) if place < len(legs) else plex
        for place, plex in enumerate((*known, *fresh))
    ]


async def largest_lun(context: Context, wish: Wish, pools: Sequence[StoragePool]) -> int:
    """The size in bytes of the largest LUN that one of the pools can hold now."""
    choice = await _choose(context, wish, pools, LARGEST)
    granule = context.pool(choice.pool.id).granule
    return choice.largest // granule * granule


async def _choose(context: Context, wish: Wish, pools: Sequence[StoragePool], size: int) -> Choice:
    """The roomiest pool for the first layout that has the room, or else the roomiest of all.

    Raises VDS_E_NOT_SUPPORTED when no pool holds such LUNs, VDS_E_NOT_ENOUGH_DRIVE when none can be used for it.
    """
    holding = {drive.pool_id for drive in wish.drives}
    if len(holding) > 1:
        raise VdsError(Hresult.VDS_E_NOT_SUPPORTED, "the drives are in several pools; a LUN is in one")
    usable = [pool for pool in pools if not holding or pool.id in holding]
    choices, reasons, unsupported = await context.look(_look, context, wish, usable)
    if not choices:
        if reasons or not pools:
            why = "; ".join(reasons) or "the subsystem has no pool"
            raise VdsError(Hresult.VDS_E_NOT_ENOUGH_DRIVE, f"there is no pool that can be used: {why}")
        raise VdsError(
            Hresult.VDS_E_NOT_SUPPORTED,
            f"no pool can hold a LUN of type {wish.type.value}: {'; '.join(unsupported) or 'none has its drives'}",
        )
    roomy = [choice for choice in choices if choice.largest >= size]
    if roomy:
        best = [choice for choice in roomy if choice.layout == roomy[0].layout]
        return max(best, key=lambda choice: choice.largest)
    return max(choices, key=lambda choice: choice.largest)


def _look(context: Context, wish: Wish, pools: Sequence[StoragePool]) -> tuple[list[Choice], list[str], list[str]]:
    """The choices that there are, the pools' reasons for having none, and what they cannot hold at all. Runs in a
    worker thread."""
    choices, reasons, unsupported = [], [], []
    for layout in wish.layouts():
        for pool in pools:
            if layout.type not in pool.types:
                unsupported.append(f"{pool.name} holds {', '.join(type.value for type in pool.types)}")
                continue
            try:
                choices.append(Choice(pool, layout, context.pool(pool.id).largest(layout)))
            except Unsupported as error:
                unsupported.append(str(error))
            except (NoDrives, HardwareError) as error:
                reasons.append(str(error))
    return choices, list(dict.fromkeys(reasons)), list(dict.fromkeys(unsupported))
