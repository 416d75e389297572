"""Looks at what is around the LUNs, drives, pools, volumes and addresses, while commands go on.

What a scan sees of an object that a command is changing may be half of the change: the command tells of it itself, and
the scan leaves it alone.
"""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

import msgspec

from vdsprovd import journal
from vdsprovd.hardware import Condition, VolumeState
from vdsprovd.hresult import VdsError
from vdsprovd.inventory import Drive, Entity, Inventory, Lun, Portal, StoragePool, SubSystem, Target
from vdsprovd.model import TransitionState
from vdsprovd.provider import creation, surroundings
from vdsprovd.provider.context import Context, measure
from vdsprovd.provider.reshaping import reshape

log = logging.getLogger(__name__)


def survey(context: Context, luns: Iterable[Lun], wake: Collection[str]) -> dict[str, VolumeState]:
    """The state of each LUN's volume, at the cost of one look at each pool; the volumes of `wake` may be activated."""
    of_pool: dict[str, list[str]] = {}
    for lun in luns:
        of_pool.setdefault(lun.pool_id, []).append(lun.id)
    states: dict[str, VolumeState] = {}
    for pool_id, ids in of_pool.items():
        states.update(context.pool(pool_id).survey(ids, wake))
    return states


def probed(lun: Lun, state: VolumeState, *, exported: bool) -> Lun:
    condition, reason = state.condition, state.reason
    if condition is Condition.GOOD and state.size < lun.size:
        condition, reason = Condition.FAILED, f"the volume has {state.size} bytes and should have {lun.size}"
    return msgspec.structs.replace(
        creation.found(lun, state),
        condition=condition,
        reason=reason,
        # A disk that the kernel has stays: initiators may be using it, and its open file outlives a lost name.
        exported=exported or condition is Condition.GOOD,
        transition=TransitionState.STABLE,
    )


async def rescan(context: Context, sub_system: SubSystem) -> None:
    """IVdsSubSystem::Reenumerate: pools, drives, volumes and addresses, without a look at the kernel's target."""
    await scan(context, sub_system, closely=True)


async def scan(
    context: Context, sub_system: SubSystem, *, closely: bool = False, own: Sequence[Entity] | None = None
) -> set[str]:
    """Look what became of a subsystem's pools, drives and volumes, and tell of it as one event.

    If `closely`, at its portals too, and every volume is read; else those that seem to be other than they were. A command
    that asks for it gives as `own` what it has changed itself, which is told with the rest. Gives the ids of what could not
    be judged, because a command was changing it meanwhile: LUNs, or the subsystem.
    """
    holds, stuck = context.operations.holds, context.stuck
    mine = list(own or ())
    configured = [entry for entry in context.config.subsystem if entry.name == sub_system.name]
    states: dict[str, VolumeState] = {}

    def search(began: Inventory) -> tuple[list[Entity], list[Entity]]:
        with context.hardware.scan():
            put, drop = surroundings.find(context, began, configured)
            if closely:
                portals, gone_portals = surroundings.find_portals(context, began, configured)
                put, drop = [*put, *portals], [*drop, *gone_portals]
            luns = [lun for lun in began.all(Lun) if lun.sub_system_id == sub_system.id and lun.id not in stuck]
            if not closely:
                luns = _doubtful(context, began, luns, put)
            # A volume that somebody put to sleep under an exported LUN sleeps on.
            states.update(survey(context, luns, {lun.id for lun in luns if closely or not lun.exported}))
        return put, drop

    async with _portals_held(context, [sub_system]) if closely else holds.wait([surroundings.scan(sub_system.id)]):
        began = context.cache.inventory.put(*mine)
        try:
            put, drop = await context.guarded(context.look(search, began), sub_system.id)
        except VdsError:
            context.cache.apply(mine)
            raise
        judged, busy = await _judge(context, began, states)
        if own is None and not closely and holds.busy(sub_system.id):
            return {sub_system.id}
        drop = surroundings.unchanged(drop, context.cache.inventory)
        await context.guarded(context.work(surroundings.keep, context, put, drop))
        working = own is None and _is_worked_on(context, sub_system)
        if working:
            busy.add(sub_system.id)
        around = surroundings.merged(put, began, context.cache.inventory.put(*mine), working=working)
        context.cache.apply([*mine, *around, *judged], [entry.id for entry in drop])
    await _export(context, states)
    return busy


def _is_worked_on(context: Context, sub_system: SubSystem) -> bool:
    """Whether a command may be changing a volume of the subsystem."""
    holds, inventory = context.operations.holds, context.cache.inventory
    luns = (lun for id in holds.held if (lun := inventory.get(Lun, id)))
    return holds.needed(sub_system.id) or any(lun.sub_system_id == sub_system.id for lun in luns)


async def revisit(context: Context, luns: Collection[str]) -> set[str]:
    """Look what became of the volumes of these LUNs, and of the room in their pools; gives what `scan` does."""
    began = context.cache.inventory
    known = [lun for id in luns if (lun := began.get(Lun, id)) and id not in context.stuck]
    states: dict[str, VolumeState] = {}
    pools = {lun.pool_id: began.known(StoragePool, lun.pool_id) for lun in known}

    def search() -> list[StoragePool]:
        doubtful = _doubtful(context, began, known, ())
        states.update(survey(context, doubtful, {lun.id for lun in doubtful if not lun.exported}))
        return [measure(pool, context.pool(pool.id)) for pool in pools.values()]

    measured = await context.look(search)
    judged, busy = await _judge(context, began, states)
    context.cache.apply([*surroundings.merged(measured, began, context.cache.inventory), *judged])
    await _export(context, states)
    return busy


def _doubtful(context: Context, began: Inventory, luns: Sequence[Lun], found: Iterable[Entity]) -> list[Lun]:
    """The LUNs whose volumes have to be looked at: those that seem to be other than they were, on drives too that are,
    and those that are not well. Runs in a worker thread."""
    drives = {
        name
        for drive in found
        if isinstance(drive, Drive) and drive.pool_id
        if (before := began.get(Drive, drive.id)) and before.found != drive.found
        for name in (before.node, drive.node, drive.member.id if drive.member else "")
    }
    of_pool: dict[str, list[str]] = {}
    for lun in luns:
        of_pool.setdefault(lun.pool_id, []).append(lun.id)
    states: dict[str, VolumeState] = {}
    for pool_id, ids in of_pool.items():
        states.update(context.pool(pool_id).glance(ids))

    def doubtful(lun: Lun) -> bool:
        state, plexes = states.pop(lun.id), began.plexes_at(lun.id)
        if lun.condition is Condition.MISSING is state.condition:
            return False
        return (
            not lun.exported
            or lun.condition is not Condition.GOOD
            or probed(lun, state, exported=True) != lun
            or creation.plexes_of(lun.id, state, plexes) != plexes
            or any(extent.drive in drives for plex in plexes for extent in plex.leg.extents)
        )

    return [lun for lun in luns if doubtful(lun)]


async def _judge(
    context: Context, began: Inventory, states: Mapping[str, VolumeState]
) -> tuple[list[Entity], set[str]]:
    """The LUNs and plexes that a look found to be other than they were, and the ids of the LUNs that were changed while it
    looked: it saw them at a bad moment, and what they are, their change has found out."""

    def busy(id: str) -> bool:
        return context.operations.holds.busy(id) or context.cache.inventory.get(Lun, id) is not began.get(Lun, id)

    found: dict[str, list[Entity]] = {}
    for id, state in states.items():
        if (lun := began.get(Lun, id)) and not busy(id):
            known = began.plexes_at(id)
            plexes = [plex for plex in creation.plexes_of(id, state, known) if plex not in known]
            now = msgspec.structs.replace(probed(lun, state, exported=lun.exported), exported=lun.exported)
            found[id] = [*([now] if now != lun else ()), *plexes]
    fresh = {entity.id: entity for entities in found.values() for entity in entities if entity.id not in began.objects}
    if fresh:
        await context.guarded(context.work(context.store.finish, None, fresh.values()))
        if late := [entity for id in found if busy(id) for entity in found[id] if entity.id in fresh]:
            await context.guarded(context.work(context.store.finish, None, (), late))
    judged = {id: entities for id, entities in found.items() if not busy(id)}
    complain(context, [entity for entities in judged.values() for entity in entities if isinstance(entity, Lun)])
    return (
        [entity for entities in judged.values() for entity in entities],
        # One that does not answer now may soon.
        {
            id
            for id, state in states.items()
            if (busy(id) or not state.answers) and context.cache.inventory.get(Lun, id)
        },
    )


def complain(context: Context, luns: Iterable[Lun]) -> None:
    """Log which of these LUNs cannot be used any more."""
    lost = [
        lun
        for lun in luns
        if lun.condition is not Condition.GOOD
        and context.cache.inventory.known(Lun, lun.id).condition is not lun.condition
    ]
    for lun in lost[:3]:
        about = journal.about(journal.LUN_LOST, object=lun.id)
        log.warning("LUN %s is %s: %s", lun.id, lun.condition.value, lun.reason, extra=about)
    if lost[3:]:
        log.warning("and %d more LUNs", len(lost) - 3)


async def _export(context: Context, states: Iterable[str]) -> None:
    """Give the kernel the LUNs that it lacked because their volumes could not be used, and now can. Where somebody changed
    what they would be put into, that waits for a Refresh."""
    for id in states:
        lun, holds = context.cache.inventory.get(Lun, id), context.operations.holds
        if lun and lun.condition is Condition.GOOD and not lun.exported and not holds.busy(id) and _sound(context, lun):
            with holds.hold([id]):
                await reshape(context, lun, lambda found: msgspec.structs.replace(found, exported=True))


def _sound(context: Context, lun: Lun) -> bool:
    """Whether nothing deviates in the targets that the LUN is associated with."""
    inventory = context.cache.inventory
    targets = [inventory.known(Target, entry.target_id) for entry in lun.associations]
    groups = [group for target in targets for group in inventory.groups_at(target.id)]
    return not any((lun.deviation, *(entry.deviation for entry in targets), *(entry.deviation for entry in groups)))


async def readdress(context: Context) -> None:
    """The host's addresses or links changed: portals come, go, and become reachable or not."""

    def search() -> tuple[list[Entity], list[Entity]]:
        put, drop = surroundings.find_portals(context, context.cache.inventory, context.config.subsystem)
        surroundings.keep(context, put, drop)
        return put, drop

    sub_systems = list(context.cache.inventory.all(SubSystem))
    async with context.operations.holds.wait(shared=[context.provider_id]), _portals_held(context, sub_systems):
        put, drop = await context.guarded(context.work(search))
        context.cache.apply(put, [entry.id for entry in drop])


def _portals_held(context: Context, sub_systems: Collection[SubSystem]) -> AbstractAsyncContextManager[None]:
    """Nobody puts a portal into a group or sets its status while it is found out whether it goes. Waits its turn."""
    ids = {sub_system.id for sub_system in sub_systems}
    return context.operations.holds.wait(
        [
            *(surroundings.scan(id) for id in ids),
            *(portal.id for portal in context.cache.inventory.all(Portal) if portal.sub_system_id in ids),
        ]
    )
