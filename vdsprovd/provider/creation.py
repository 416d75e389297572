"""How a LUN comes to be, whichever method asks for it."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from vdsprovd.hardware import (
    Condition,
    HardwareError,
    Layout,
    NoDrives,
    Unsupported,
    VolumeState,
    part,
    realize,
    steps,
    undo,
)
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.inventory import Association, Drive, Entity, Lun, Plex, StoragePool
from vdsprovd.model import AsyncOutputType, DriveStatus, Hints2, LunType, NewLun
from vdsprovd.operations import Operation
from vdsprovd.provider import automagic, names
from vdsprovd.provider.associations import check_targets, free_index
from vdsprovd.provider.context import Context
from vdsprovd.provider.nodes import serving
from vdsprovd.provider.reshaping import arrival

LARGEST = (1 << 63) - 1
"""Bytes; what a file system and the wire's integers can express."""
_SHOWN_AT_ONCE = 16
"""How many objects that were made together come into the cache without others being answered meanwhile."""


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


def wish_of(context: Context, sub_system_id: str, new: NewLun) -> Wish:
    """What is asked of it. Raises E_INVALIDARG for the type unknown, VDS_E_NOT_SUPPORTED for parameters that exclude each
    other, and what `drives` does."""
    wish = Wish(new.type, drives(context, sub_system_id, new.drive_ids), new.hints2 or Hints2())
    if wish.type is LunType.UNKNOWN:
        raise VdsError(Hresult.E_INVALIDARG, "the LUN type unknown cannot be created")
    if wish.type.automagic and wish.drives:
        raise VdsError(
            Hresult.VDS_E_NOT_SUPPORTED,
            f"with the automagic type {wish.type.value} the drives are chosen for you; name a type to choose drives",
        )
    if new.hints2 is not None and not wish.type.automagic and not _only_a_stripe_size(wish):
        also = "no other than a stripeSize" if wish.type in _STRIPED else "none"
        raise VdsError(
            Hresult.VDS_E_NOT_SUPPORTED, f"hints go with automagic types; type {wish.type.value} takes {also}"
        )
    return wish


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


async def create_luns(
    context: Context, sub_system_id: str, wanted: Sequence[NewLun]
) -> tuple[Operation, tuple[str, ...]]:
    """Start to create LUNs in a subsystem, all of them or none; gives the operation, and the ids that they will have, in the
    order given. What is wrong with one of them is raised at once, VDS_E_NOT_ENOUGH_SPACE with it when no pool has the room
    now."""
    first = context.next_lun_numbers(len(wanted))
    plans = await context.look(_plan, context, sub_system_id, wanted, first)
    targets = tuple(dict.fromkeys(id for plan in plans for id in plan.targets))
    check_targets(context.cache.inventory, sub_system_id, targets)
    luns = Creation(context, plans)

    async def work(operation: Operation) -> str | None:
        blamed = plans[0].lun.pool_id
        if not targets:
            made = await context.guarded(context.long_work(luns.make, operation), blamed)
            await _show(context, made)
        else:
            # Others change what is in the targets while the bytes are made, which may take its time.
            await context.guarded(context.long_work(luns.make_volumes, operation), blamed)
            async with context.reshaping(targets):
                made = await context.guarded(context.work(luns.expose), blamed)
                await _show(context, made, targets)
        return plans[0].lun.id if len(plans) == 1 else None

    operation = context.operations.start(
        AsyncOutputType.CREATE_LUN,
        plans[0].lun.id,
        work,
        shared=[sub_system_id, context.provider_id, serving(sub_system_id), *targets],
        translate=context.translate,
    )
    return operation, tuple(plan.lun.id for plan in plans)


async def _show(context: Context, made: Sequence[Entity], targets: Sequence[str] = ()) -> None:
    """Put what was made into the cache, some at a time: who asks for something meanwhile does not wait for all of it."""
    for place in range(0, len(made), _SHOWN_AT_ONCE):
        context.cache.apply(made[place : place + _SHOWN_AT_ONCE], also=targets)
        await asyncio.sleep(0)


class Plan(msgspec.Struct, frozen=True):
    """A LUN that is to be, and its bytes' layout. `targets` are the ids of those through which it will be reached."""

    lun: Lun
    layout: Layout
    targets: tuple[str, ...] = ()


def _plan(context: Context, sub_system_id: str, wanted: Sequence[NewLun], number: int) -> list[Plan]:
    """Where each of them will be, with numbers from that one on. Runs in a worker thread. Raises `VdsError`."""
    places = _Places(context, sub_system_id)
    plans = []
    for place, new in enumerate(wanted):
        try:
            plans.append(_planned(context, places, new, number + place))
        except VdsError as error:
            if len(wanted) == 1:
                raise
            raise VdsError(error.code, f"LUN {place + 1} of {len(wanted)}: {error.message}", error.object) from error
    return plans


def _planned(context: Context, places: "_Places", new: NewLun, number: int) -> Plan:
    wish = wish_of(context, places.sub_system_id, new)
    mask = names.unmasking_list(new.unmasking_list)
    name, cut = names.friendly_name(new.friendly_name)
    if cut:
        raise VdsError(Hresult.E_INVALIDARG, f"the name has more than {names.FRIENDLY_NAME_LENGTH} bytes of UTF-8")
    rounded(new.size_in_bytes, 1)
    choice = places.choose(wish, new.storage_pool_id, new.size_in_bytes)
    pool = context.pool(choice.pool.id)
    size = rounded(new.size_in_bytes, pool.granule)
    if size > choice.largest and not pool.sparse:
        raise VdsError(
            Hresult.VDS_E_NOT_ENOUGH_SPACE,
            f"{size} bytes are wanted as {choice.layout.type.value}, and the roomiest pool, {choice.pool.name}, has "
            f"{choice.largest} free for that",
            choice.pool.id,
        )
    places.take(choice.pool, size)
    id = str(uuid.uuid4())
    lun = Lun(
        id=id,
        sub_system_id=choice.pool.sub_system_id,
        pool_id=choice.pool.id,
        number=number,
        path=pool.path(id),
        name=name,
        size=size,
        type=choice.layout.type,
        mask=mask,
        hints=wish.hints,
    )
    return Plan(lun, choice.layout, tuple(dict.fromkeys(new.target_ids)))


class Creation:
    """LUNs on their way into the world: bytes, then what the kernel has of them, then their rows. Its functions run in worker
    threads; when one of them raises, nothing is left of any of the LUNs."""

    def __init__(self, context: Context, plans: Sequence[Plan]) -> None:
        self._context = context
        self._plans = plans
        self._step = 0
        self._volumes: list[Plan] = []
        """Those whose bytes are there."""

    def make(self, operation: Operation) -> list[Entity]:
        """All of it, for LUNs of no target; gives the LUNs, their plexes, and what has changed around them."""
        self.make_volumes(operation)
        return self.expose()

    def make_volumes(self, operation: Operation) -> None:
        """The LUNs' bytes, once it is for sure that a later start will know of them. Then it is too late to cancel."""
        luns = [[plan.lun.id, plan.lun.pool_id, plan.lun.number] for plan in self._plans]
        self._step = self._context.store.begin("create_luns", luns=luns)
        with self._all_or_nothing():
            for place, plan in enumerate(self._plans):
                begun, over = (n * 100 // len(self._plans) for n in (place, place + 1))
                progress = part(operation.progress, begun, over)
                if place and over > begun:
                    progress(0)
                self._context.pool(plan.lun.pool_id).create(plan.lun.id, plan.lun.size, plan.layout, progress)
                self._volumes.append(plan)
            operation.commit()

    def expose(self) -> list[Entity]:
        """The rest, while nobody else changes what is in the targets. Gives what `make` does."""
        hardware = self._context.hardware
        with self._all_or_nothing():
            made = self._found()
            luns = [entity for entity in made if isinstance(entity, Lun)]
            before, after = arrival(self._context, luns)
            wanted = steps(before, after)
            realize(hardware, wanted, before)
            try:
                # There, a plex's row refers to its LUN's.
                self._context.store.finish(self._step, put=[*luns, *(plex for plex in made if isinstance(plex, Plex))])
            except Exception as error:
                undo(hardware, wanted, error)
                raise
        for pool_id in dict.fromkeys(plan.lun.pool_id for plan in self._plans):
            made += self._context.look_around(pool_id)
        return made

    def _found(self) -> list[Entity]:
        """The LUNs as their volumes are, which are not read: their ends have just been written. With the logical unit numbers
        that they will have; each after its plexes, so that it is never seen without."""
        made: list[Entity] = []
        inventory = self._context.cache.inventory
        by_pool: dict[str, list[str]] = {}
        for plan in self._plans:
            by_pool.setdefault(plan.lun.pool_id, []).append(plan.lun.id)
        states = {
            id: state for pool, ids in by_pool.items() for id, state in self._context.pool(pool).glance(ids).items()
        }
        for plan in self._plans:
            state = states[plan.lun.id]
            indexes = tuple(Association(id, free_index(inventory, id)) for id in plan.targets)
            lun = msgspec.structs.replace(found(plan.lun, state), associations=indexes)
            made += [*plexes_of(lun.id, state, ()), lun]
            if indexes:
                inventory = inventory.put(lun)
        return made

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            for plan in self._volumes:
                try:
                    self._context.pool(plan.lun.pool_id).delete(plan.lun.id)
                except HardwareError as second:
                    error.add_note(f"and could not be undone: {second}")
            if not getattr(error, "__notes__", None):  # else the next start undoes what could not be undone
                self._context.store.owe(self._step)
            raise


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


async def largest_lun(context: Context, sub_system_id: str, new: NewLun) -> int:
    """The size in bytes of the largest LUN of that kind that could be created now; its own size does not matter."""

    def look() -> int:
        wish = wish_of(context, sub_system_id, new)
        choice = _Places(context, sub_system_id).choose(wish, new.storage_pool_id, LARGEST)
        granule = context.pool(choice.pool.id).granule
        return choice.largest // granule * granule

    return await context.look(look)


class _Places:
    """Where LUNs can be in a subsystem, as it is now, less what has been taken of it. Blocks."""

    def __init__(self, context: Context, sub_system_id: str) -> None:
        self.sub_system_id = sub_system_id
        self._context = context
        self._taken: Counter[str] = Counter()
        self._looked: dict[tuple[Wish, str | None], list[Choice]] = {}

    def take(self, pool: StoragePool, size: int) -> None:
        """So many bytes of the pool are for a LUN that was chosen there."""
        self._taken[pool.id] += size

    def choose(self, wish: Wish, pool_id: str | None, size: int) -> Choice:
        """The roomiest pool (or that one) for the first layout that has the room, or else the roomiest of all.

        Raises VDS_E_NOT_SUPPORTED when no pool holds such LUNs, VDS_E_NOT_ENOUGH_DRIVE when none can be used for it.
        """
        if (wish, pool_id) not in self._looked:
            self._looked[wish, pool_id] = self._choices(wish, pool_id)
        choices = [
            msgspec.structs.replace(choice, largest=max(0, choice.largest - self._taken[choice.pool.id]))
            for choice in self._looked[wish, pool_id]
        ]
        roomy = [choice for choice in choices if choice.largest >= size]
        if roomy:
            best = [choice for choice in roomy if choice.layout == roomy[0].layout]
            return max(best, key=lambda choice: choice.largest)
        return max(choices, key=lambda choice: choice.largest)

    def _choices(self, wish: Wish, pool_id: str | None) -> list[Choice]:
        pools = self._pools(pool_id)
        holding = {drive.pool_id for drive in wish.drives}
        if len(holding) > 1:
            raise VdsError(Hresult.VDS_E_NOT_SUPPORTED, "the drives are in several pools; a LUN is in one")
        usable = [pool for pool in pools if not holding or pool.id in holding]
        choices, reasons, unsupported = _look(self._context, wish, usable)
        if choices:
            return choices
        if reasons or not pools:
            why = "; ".join(reasons) or "the subsystem has no pool"
            raise VdsError(Hresult.VDS_E_NOT_ENOUGH_DRIVE, f"there is no pool that can be used: {why}")
        raise VdsError(
            Hresult.VDS_E_NOT_SUPPORTED,
            f"no pool can hold a LUN of type {wish.type.value}: {'; '.join(unsupported) or 'none has its drives'}",
        )

    def _pools(self, pool_id: str | None) -> list[StoragePool]:
        inventory = self._context.cache.inventory
        if pool_id is None:
            return [pool for pool in inventory.all(StoragePool) if pool.sub_system_id == self.sub_system_id]
        pool = inventory.get(StoragePool, pool_id)
        if pool is None or pool.sub_system_id != self.sub_system_id:
            raise VdsError(Hresult.VDS_E_OBJECT_NOT_FOUND, f"the subsystem has no storage pool {pool_id!r}", pool_id)
        return [pool]


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
