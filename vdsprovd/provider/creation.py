"""How LUNs come to be, whichever method asks for them."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from vdsprovd.hardware import (
    Condition,
    HardwareError,
    Layout,
    VolumeState,
    part,
    realize,
    steps,
    undo,
)
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.ids import new_id
from vdsprovd.inventory import Association, Entity, Lun, Plex
from vdsprovd.model import AsyncOutputType, NewLun
from vdsprovd.operations import Operation
from vdsprovd.provider import names
from vdsprovd.provider.associations import check_targets, free_indexes
from vdsprovd.provider.context import Context
from vdsprovd.provider.nodes import serving
from vdsprovd.provider.placement import Places, rounded, wish_of
from vdsprovd.provider.reshaping import arrival

_SHOWN_AT_ONCE = 48
"""How many objects that were made together come into the cache without others being answered meanwhile."""


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
                await _show(context, made)
        return plans[0].lun.id if len(plans) == 1 else None

    operation = context.operations.start(
        AsyncOutputType.CREATE_LUN,
        plans[0].lun.id,
        work,
        shared=[sub_system_id, context.provider_id, serving(sub_system_id), *targets],
        translate=context.translate,
    )
    return operation, tuple(plan.lun.id for plan in plans)


async def _show(context: Context, made: Sequence[Entity]) -> None:
    """Put what was made into the cache, some at a time: who asks for something meanwhile does not wait for all of it."""
    for place in range(0, len(made), _SHOWN_AT_ONCE):
        some = made[place : place + _SHOWN_AT_ONCE]
        targets = {entry.target_id for lun in some if isinstance(lun, Lun) for entry in lun.associations}
        context.cache.apply(some, also=targets)
        await asyncio.sleep(0)


_FLUSHED_AT_ONCE = 64
"""Volumes that are written to their disks at the cost of one, as far as file systems can; each may take a descriptor until then."""


class Plan(msgspec.Struct, frozen=True):
    """A LUN that is to be, and its bytes' layout. `targets` are the ids of those through which it will be reached."""

    lun: Lun
    layout: Layout
    targets: tuple[str, ...] = ()


def _plan(context: Context, sub_system_id: str, wanted: Sequence[NewLun], number: int) -> list[Plan]:
    """Where each of them will be, with numbers from that one on. Runs in a worker thread. Raises `VdsError`."""
    places = Places(context, sub_system_id)
    plans = []
    for place, new in enumerate(wanted):
        try:
            plans.append(_planned(context, places, new, number + place))
        except VdsError as error:
            if len(wanted) == 1:
                raise
            raise VdsError(error.code, f"LUN {place + 1} of {len(wanted)}: {error.message}", error.object) from error
    return plans


def _planned(context: Context, places: Places, new: NewLun, number: int) -> Plan:
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
    id = new_id()
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
        self._states: dict[str, VolumeState] = {}
        """How those bytes are, by LUN."""

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
                if len(self._volumes) - len(self._states) == _FLUSHED_AT_ONCE:
                    self._flush()
            self._flush()
            operation.commit()

    def _flush(self) -> None:
        """See that the volumes last that have been made since the last time."""
        luns: dict[str, list[str]] = {}
        for plan in self._volumes[len(self._states) :]:
            luns.setdefault(plan.lun.pool_id, []).append(plan.lun.id)
        for pool_id, ids in luns.items():
            self._states.update(self._context.pool(pool_id).flush(ids))

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
        free = {id: free_indexes(inventory, id) for plan in self._plans for id in plan.targets}
        for plan in self._plans:
            state = self._states[plan.lun.id]
            indexes = tuple(Association(id, next(free[id])) for id in plan.targets)
            lun = msgspec.structs.replace(found(plan.lun, state), associations=indexes)
            made += [*plexes_of(lun.id, state, ()), lun]
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
    fresh = [Plex(new_id(), lun_id, place) for place in range(len(known), max(1, len(legs)))]
    return [
        msgspec.structs.replace(plex, leg=legs[place]) if place < len(legs) else plex
        for place, plex in enumerate((*known, *fresh))
    ]
