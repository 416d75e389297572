"""Exports of others that become ours, while initiators use them.

In the kernel nothing is made or removed. The bytes get the names that the pools have for them, which is one rename each, and
the kernel, which has them open, is told the new name; then the store has it all, in one transaction. A crash before that is
undone: the exports are whole at every moment, and somebody else's or ours.
"""

import logging
from collections.abc import Collection, Sequence

import msgspec

from vdsprovd import journal
from vdsprovd.hardware import Condition, Disk, Hardware, HardwareError, Step, VolumeFailed, verify
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.inventory import Entity, Inventory, Lun, Plex, StoragePool, SubSystem, Target
from vdsprovd.provider import adoption_plan, creation
from vdsprovd.provider.adoption_plan import Move, Plan
from vdsprovd.provider.context import Context
from vdsprovd.store import PendingStep, Store

log = logging.getLogger(__name__)


async def adopt(context: Context, digest: str, targets: Sequence[str]) -> Plan:
    """Carry out the plan of that digest, and give it. Raises VDS_E_INVALID_OPERATION when there is another plan now, or
    nothing to do; `VdsError` for what the host refuses, and nothing is changed then."""
    async with context.operations.holds.claim(context.provider_id):
        plan = await context.guarded(context.work(adoption_plan.make, context, targets))
        if plan.digest != digest:
            raise VdsError(
                Hresult.VDS_E_INVALID_OPERATION,
                "what is to be adopted has changed since that plan was made, or the daemon was started anew; look at the "
                "plan again",
            )
        if not plan.put:
            raise VdsError(Hresult.VDS_E_INVALID_OPERATION, "nothing of that can be adopted; the plan says why")
        context.cache.apply(await context.guarded(context.work(_carry_out, context, plan)))
    log.warning("adopted %s", _text(plan.put))
    return plan


def _carry_out(context: Context, plan: Plan) -> list[Entity]:
    """Do all of it, or leave all as it was; gives what is new, and what changed around it. Runs in a worker thread."""
    step = context.store.begin(
        "adopt",
        targets=plan.targets,
        volumes=[
            {"disk": move.before.lun, "number": move.before.number, "pool": move.pool_id, "path": move.before.path}
            for move in plan.moves
        ],
    )
    tried: list[Move] = []
    try:
        for move in plan.moves:
            tried.append(move)
            context.pool(move.pool_id).take_in(move.before.lun, move.before.path)
            context.hardware.take(Step(move.before, move.after))
        verify(context.hardware, plan.facts)
        put = _as_found(context, plan.put)
        context.store.finish(step, put=put)
    except Exception as error:
        for move in reversed(tried):
            try:
                _undo(context.hardware, context.cache.inventory, move.before, move.pool_id)
            except HardwareError as second:
                error.add_note(f"and could not be undone: {second}")
        if not getattr(error, "__notes__", None):  # else the next start undoes what could not be undone
            context.store.owe(step)
        raise
    pools = {move.pool_id for move in plan.moves}
    return [*put, *(entity for pool_id in pools for entity in context.look_around(pool_id))]


def _as_found(context: Context, put: Sequence[Entity]) -> list[Entity]:
    """What is new, with its volumes as their pools have them now: whose their extents are, they tell by name."""
    plexes = {entity.lun_id: [entity] for entity in put if isinstance(entity, Plex) and entity.place == 0}
    found: list[Entity] = []
    with context.hardware.scan():
        for entity in put:
            if isinstance(entity, Lun):
                state = context.pool(entity.pool_id).glance([entity.id])[entity.id]
                if state.condition is not Condition.GOOD:
                    raise VolumeFailed(state.reason)
                found += [creation.found(entity, state), *creation.plexes_of(entity.id, state, plexes[entity.id])]
            elif not isinstance(entity, Plex):
                found.append(entity)
    return found


def _undo(hardware: Hardware, inventory: Inventory, before: Disk, pool_id: str) -> None:
    """Give the bytes their name back, and tell the kernel if it has the disk; as far as that was changed."""
    for found in hardware.look([before.key]):
        if isinstance(found, Disk) and found.path != before.path:
            hardware.take(Step(found, msgspec.structs.replace(found, path=before.path)))
    pool = inventory.known(StoragePool, pool_id)
    name = inventory.known(SubSystem, pool.sub_system_id).name
    hardware.pools[name, pool.name].give_back(before.lun, before.path)


def settle(store: Store, hardware: Hardware, inventory: Inventory, step: PendingStep) -> None:
    """Undo an adoption that a crash cut off. Raises `HardwareError` while a pool is not there."""
    for entry in step.detail["volumes"]:
        lun, pool_id = str(entry["disk"]), str(entry["pool"])
        if inventory.get(StoragePool, pool_id) is None:
            raise HardwareError(f"the pool of LUN {lun} is not in the configuration")
        _undo(hardware, inventory, Disk(lun, int(entry["number"]), str(entry["path"]), 0), pool_id)
    store.finish(step.number)
    what = ", ".join(step.detail["targets"]) or "disks"
    log.warning("undid the adoption of %s, which a crash had cut off", what, extra=journal.about(journal.CUT_OFF))


def _text(put: Collection[Entity]) -> str:
    luns = [entity.id for entity in put if isinstance(entity, Lun)]
    targets = [entity.iscsi_name for entity in put if isinstance(entity, Target)]
    return f"{len(luns)} LUNs ({', '.join(luns)}) and {len(targets)} targets ({', '.join(targets)})"
