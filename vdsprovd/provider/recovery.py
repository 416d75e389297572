"""How inventory, store and kernel come to agree: at start, in Reenumerate and in Refresh.

The store is the truth about what is ours; the kernel's configuration is rebuilt from it. Nothing that somebody else made
is touched: not their targets, not their disks, not their logical units in a target of ours. Whatever else stands in a
target of ours and is not in the store goes, so that nobody has access whom the masks do not name.
"""

import asyncio
import logging
import socket
import uuid
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import msgspec

from vdsprovd.config import Config
from vdsprovd.hardware import (
    Acl,
    Condition,
    Disk,
    Fact,
    Grant,
    Hardware,
    HardwareError,
    Key,
    Pool,
    Step,
    Unit,
    VolumeState,
    steps,
)
from vdsprovd.hresult import VdsError
from vdsprovd.inventory import (
    Controller,
    Drive,
    Entity,
    Inventory,
    Lun,
    Plex,
    Port,
    Portal,
    StoragePool,
    SubSystem,
    Target,
)
from vdsprovd.look_again import looking
from vdsprovd.model import LunType, TransitionState
from vdsprovd.provider import creation, facts, names, surroundings
from vdsprovd.provider.context import Context, measure
from vdsprovd.provider.reshaping import reshape
from vdsprovd.store import PendingStep, Store, Stored

log = logging.getLogger(__name__)


class StartError(Exception):
    """The daemon cannot start with this configuration and this store; the message says what to change."""


def assemble(
    config: Config, stored: Stored, pools_of_host: Mapping[tuple[str, str], Pool]
) -> tuple[Inventory, list[Entity], list[Entity]]:
    """The inventory that configuration, store and the host's pools make, and the rows to put into and to drop from the store.

    Raises `StartError` when the configuration lacks a subsystem or a pool that has LUNs.
    """
    inventory = Inventory().put(*stored.entities)
    put: list[Entity] = []
    drop: list[Entity] = []
    sub_systems = {entry.name: entry for entry in inventory.all(SubSystem)}
    pools = {(entry.sub_system_id, entry.name): entry for entry in inventory.all(StoragePool)}
    for configured in config.subsystem:
        known = sub_systems.pop(configured.name, None)
        sub_system = SubSystem(
            id=known.id if known else str(uuid.uuid4()),
            name=configured.name,
            iqn_prefix=configured.iqn_prefix,
            friendly_name=known.friendly_name if known else configured.name,
            require_chap=configured.require_chap,
            import_target=configured.import_target,
            online=known.online if known else True,
        )
        put.append(sub_system)
        for entry in configured.pool:
            pool = pools.pop((sub_system.id, entry.name), None)
            id = pool.id if pool else str(uuid.uuid4())
            put.append(surroundings.storage_pool(id, sub_system.id, entry, pools_of_host[sub_system.name, entry.name]))
        put += _nodes(inventory, sub_system.id)
    uses: dict[str, int] = {}
    for lun in inventory.all(Lun):
        uses[lun.pool_id] = uses.get(lun.pool_id, 0) + 1
        uses[lun.sub_system_id] = uses.get(lun.sub_system_id, 0) + 1
    for target in inventory.all(Target):
        uses[target.sub_system_id] = uses.get(target.sub_system_id, 0) + 1
    gone_entries: list[StoragePool | SubSystem] = [*pools.values(), *sub_systems.values()]
    for gone in gone_entries:
        if uses.get(gone.id):
            kind = "pool" if isinstance(gone, StoragePool) else "subsystem"
            raise StartError(
                f"the configuration has no {kind} {gone.name!r} any more, and {uses[gone.id]} objects are in it; "
                f"put the {kind} back, delete them, and remove it then"
            )
        drop.append(gone)
    gone_ids = {entry.id for entry in drop}
    drop[:0] = _within(inventory, gone_ids)
    inventory = inventory.put(*put).drop(*(entry.id for entry in drop))
    put += (plexes := [_first_plex(lun) for lun in inventory.all(Lun) if lun.id not in inventory.plexes_of_lun])
    inventory = inventory.put(*plexes)
    require = {entry.id: entry.require_chap for entry in inventory.all(SubSystem)}
    inventory = inventory.put(
        *(
            msgspec.structs.replace(target, require_chap=require[target.sub_system_id])
            for target in inventory.all(Target)
        )
    )
    targets = inventory.import_targets
    for key, name in stored.import_targets.items():
        targets = targets.insert(key, name)
    return msgspec.structs.replace(inventory, import_targets=targets), put, drop


def _nodes(inventory: Inventory, sub_system_id: str) -> list[Controller | Port]:
    """The subsystem's controller and its port: this host."""
    name = socket.gethostname()
    known = next((entry for entry in inventory.all(Controller) if entry.sub_system_id == sub_system_id), None)
    controller = msgspec.structs.replace(known or Controller(str(uuid.uuid4()), sub_system_id), name=name)
    port = next((entry for entry in inventory.all(Port) if entry.controller_id == controller.id), None)
    port = port or Port(str(uuid.uuid4()), sub_system_id, controller.id)
    return [controller, msgspec.structs.replace(port, name=f"{name} port 0")]


def _within(inventory: Inventory, gone_ids: Collection[str]) -> list[Entity]:
    """What goes with subsystems that go."""
    found: list[Portal | Drive | Port | Controller] = [
        *inventory.all(Portal),
        *inventory.all(Drive),
        *inventory.all(Port),
        *inventory.all(Controller),
    ]
    return [entry for entry in found if entry.sub_system_id in gone_ids]


def _first_plex(lun: Lun) -> Plex:
    """The one plex of a LUN of the time when LUNs had none."""
    return Plex(str(uuid.uuid4()), lun.id, 0)


def settle_pending(store: Store, hardware: Hardware, inventory: Inventory, pending: Iterable[PendingStep]) -> Inventory:
    """Complete or undo each step that a crash cut off; gives the inventory as it is then.

    What such a step did in the kernel is put right by the scan that follows; here it is about bytes and rows.
    """
    for step in pending:
        try:
            inventory = _settle(store, hardware, inventory, step)
        except HardwareError as error:
            # Left pending: the next start tries again, and nothing else waits for it.
            log.error("cannot settle step %d (%s), which a crash had cut off: %s", step.number, step.kind, error)
    return inventory


def _settle(store: Store, hardware: Hardware, inventory: Inventory, step: PendingStep) -> Inventory:
    lun_id, pool_id = str(step.detail.get("lun")), str(step.detail.get("pool"))
    if step.kind == "change":
        log.warning("a crash cut off a change of %s", ", ".join(step.detail["claims"]))
        return inventory
    if inventory.get(StoragePool, pool_id) is None:
        raise HardwareError(f"the pool of LUN {lun_id} is not in the configuration")
    pool, lun = _pool(hardware, inventory, pool_id), inventory.get(Lun, lun_id)
    match step.kind:
        case "create_lun":
            _forget_disk(hardware, lun_id, int(step.detail["number"]))
            pool.delete(lun_id)
            store.finish(step.number)
            log.warning("undid the creation of LUN %s, which a crash had cut off", lun_id)
        case "delete_lun":
            if lun:
                _forget_lun(hardware, lun)
                inventory = inventory.drop(lun.id, *(plex.id for plex in inventory.plexes_at(lun.id)))
            pool.delete(lun_id)
            store.finish(step.number, drop=[lun] if lun else [])
            log.warning("completed the deletion of LUN %s, which a crash had cut off", lun_id)
        case "resize_lun" if lun:
            found = pool.probe(lun.id)
            before, after = step.detail["before"], step.detail["after"]
            if found.size == after or (found.size > after > before):
                lun = msgspec.structs.replace(lun, size=found.size)
                inventory = inventory.put(lun)
            elif found.condition is Condition.GOOD:
                pool.resize(lun.id, lun.size, (), lambda _percent: None)
            store.finish(step.number, put=[lun])
            log.warning("LUN %s has %d bytes after a crash cut off its resizing", lun.id, lun.size)
        case "remove_plex" if lun:
            plexes = inventory.plexes_at(lun.id)
            if len(pool.probe(lun.id).legs) < len(plexes):
                inventory = _without_plex(store, inventory, step, lun, plexes)
            else:
                store.finish(step.number)
            log.warning("LUN %s has %d plexes after a crash cut off RemovePlex", lun.id, len(pool.probe(lun.id).legs))
        case "add_plex":
            source = inventory.get(Lun, str(step.detail["source"]))
            if source and pool.probe(source.id).condition is Condition.MISSING:
                _forget_lun(hardware, source)
                gone: list[Entity] = [*inventory.plexes_at(source.id), source]
                inventory = inventory.drop(*(entry.id for entry in gone))
                store.finish(step.number, drop=gone)
            else:
                store.finish(step.number)
            log.warning("a crash cut off AddPlex of LUN %s; what it has now, the scan finds", lun_id)
        case "replace_drive":
            # The pool itself has taken back, or completed, what was moving.
            store.finish(step.number)
            log.warning("a crash cut off the replacement of %s by %s", step.detail["old"], step.detail["new"])
    return inventory


def _without_plex(store: Store, inventory: Inventory, step: PendingStep, lun: Lun, plexes: Sequence[Plex]) -> Inventory:
    """The inventory without the plex that a crash left in the store and not in the volume."""
    gone = [plex for plex in plexes if plex.id == step.detail["plex"]]
    left = [
        msgspec.structs.replace(plex, place=place)
        for place, plex in enumerate(plex for plex in plexes if plex not in gone)
    ]
    changed: list[Entity] = [
        *left,
        msgspec.structs.replace(lun, type=LunType.MIRROR if len(left) > 1 else LunType.SIMPLE),
    ]
    store.finish(step.number, put=changed, drop=gone)
    return inventory.drop(*(plex.id for plex in gone)).put(*changed)


def _forget_disk(hardware: Hardware, lun: str, number: int) -> None:
    for fact in hardware.read():
        if isinstance(fact, Disk) and fact.lun == lun and fact.number == number:
            hardware.take(Step(fact, None))


def _forget_lun(hardware: Hardware, lun: Lun) -> None:
    """Take out of the kernel what is there of a LUN, whatever a crash left of it."""
    there = {fact.key: fact for fact in hardware.read()}
    units = [fact for fact in there.values() if isinstance(fact, Unit) and fact.lun == lun.id]
    places = {(unit.target, unit.tag, unit.index) for unit in units}
    grants = [
        fact for fact in there.values() if isinstance(fact, Grant) and (fact.target, fact.tag, fact.unit) in places
    ]
    disks = [fact for fact in there.values() if isinstance(fact, Disk) and fact.lun == lun.id]
    for step in steps([*grants, *units, *disks], []):
        hardware.take(step)


def _pool(hardware: Hardware, inventory: Inventory, pool_id: str) -> Pool:
    pool = inventory.known(StoragePool, pool_id)
    return hardware.pools[inventory.known(SubSystem, pool.sub_system_id).name, pool.name]


class Found(msgspec.Struct, frozen=True):
    """What a look at the host gave: entities to put, ids to drop from the store, and problems that remain."""

    put: list[Entity]
    drop: list[Entity]
    problems: list[str]


def look(context: Context, claims: Collection[str] = ()) -> Found:
    """Read the whole host, and put right in the kernel what differs from the inventory. Runs in a worker thread.

    Raises `HardwareError` when the scan breaks off. One object that cannot be put right does not keep others from it.
    """
    inventory, hardware = context.cache.inventory, context.hardware
    context.local = _initiators(hardware.local_initiators())
    observed = hardware.read()
    disks = {fact.lun: fact for fact in observed if isinstance(fact, Disk)}
    numbers = [
        *(disk.number for disk in disks.values()),
        *(lun.number for lun in inventory.all(Lun)),
        context.last_lun_number,
    ]
    context.last_lun_number = max(numbers)
    with hardware.scan():
        put, drop = surroundings.find(context, inventory, context.config.subsystem)
        portals, gone_portals = surroundings.find_portals(context, inventory, context.config.subsystem)
        put, drop = [*put, *portals], [*drop, *gone_portals]
        states = _survey(context, inventory.all(Lun), {lun.id for lun in inventory.all(Lun)})
    luns = [
        _placed(context, _probed(lun, states[lun.id], exported=lun.id in disks), disks) for lun in inventory.all(Lun)
    ]
    plexes = [plex for lun in luns for plex in creation.plexes_of(lun.id, states[lun.id], inventory.plexes_at(lun.id))]
    wanted_inventory = inventory.put(*put, *luns)
    work = steps(ours(context, observed, claims), facts.of_everything(wanted_inventory, context.local))
    problems: list[str] = []
    broken: dict[str, str] = {}
    dead: set[Key] = set()
    for step in work:
        try:
            hardware.take(step)
        except HardwareError as error:
            fact = step.after or step.before
            assert fact
            dead.add(fact.key)
            if isinstance(fact, Disk | Unit) and step.after:
                broken.setdefault(fact.lun, str(error))
            elif dead.isdisjoint(fact.needs):  # else it follows from what is known already
                problems.append(str(error))
    for text in (*problems, *broken.values()):
        log.error("%s", text)
    if work:
        log.warning("put right %d objects in the kernel", len(work) - len(problems) - len(broken))
    luns = [
        msgspec.structs.replace(lun, condition=Condition.FAILED, reason=broken[lun.id], exported=lun.id in disks)
        if lun.id in broken
        else lun
        for lun in luns
    ]
    return Found([*put, *luns, *plexes], drop, problems)


def ours(context: Context, observed: Iterable[Fact], claims: Collection[str] = ()) -> list[Fact]:
    """The facts that are the provider's to change: its disks, and all in its targets but others' logical units."""
    inventory = context.cache.inventory
    observed = list(observed)
    foreign_units = {
        (fact.target, fact.tag, fact.index)
        for fact in observed
        if isinstance(fact, Unit) and fact.number < 0 and fact.lun
    }
    foreign_acls = {
        (fact.target, fact.tag, fact.initiator)
        for fact in observed
        if isinstance(fact, Grant) and (fact.target, fact.tag, fact.unit) in foreign_units
    }
    found = []
    for fact in observed:
        match fact:
            case Disk(lun=lun):
                mine = inventory.get(Lun, lun) is not None or lun in claims or context.cache.was_deleted(lun)
                if not mine:
                    log.warning("leaving the disk of LUN %s alone: the store does not know it", lun)
            case Unit(target=target, tag=tag, index=index) if (target, tag, index) in foreign_units:
                mine = False
            case Grant(target=target, tag=tag, unit=unit) if (target, tag, unit) in foreign_units:
                mine = False
            case Acl(target=target, tag=tag, initiator=initiator) if (target, tag, initiator) in foreign_acls:
                mine = False
            case _:
                target = str(getattr(fact, "target", ""))
                mine = target in inventory.target_by_name or target in claims
        if mine:
            found.append(fact)
    return found


def _placed(context: Context, lun: Lun, disks: Mapping[str, Disk]) -> Lun:
    """The LUN at the place where its pool is now: the configuration may have moved it. One that is not there stays where
    the kernel has it, if it does."""
    if lun.condition is Condition.MISSING and lun.id in disks:
        return msgspec.structs.replace(lun, path=disks[lun.id].path)
    return msgspec.structs.replace(lun, path=context.pool(lun.pool_id).path(lun.id))


def _initiators(found: Iterable[str]) -> list[str]:
    """The names of this host's initiators in their normal form; what is no name is logged and left out."""
    normal = []
    for name in found:
        try:
            normal.append(names.iscsi_name(name))
        except VdsError as error:
            log.warning("ignoring this host's initiator: %s", error.message)
    return normal


def _survey(context: Context, luns: Iterable[Lun], wake: Collection[str]) -> dict[str, VolumeState]:
    """The state of each LUN's volume, at the cost of one look at each pool; the volumes of `wake` may be activated."""
    of_pool: dict[str, list[str]] = {}
    for lun in luns:
        of_pool.setdefault(lun.pool_id, []).append(lun.id)
    states: dict[str, VolumeState] = {}
    for pool_id, ids in of_pool.items():
        states.update(context.pool(pool_id).survey(ids, wake))
    return states


def _probed(lun: Lun, state: VolumeState, *, exported: bool) -> Lun:
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


# The calls.


async def start(context: Context, stored: Stored) -> None:
    """Rebuild in the kernel what the store says, adopting what is right already. Raises `HardwareError`."""
    claims = {name for step in stored.pending for name in step.detail.get("claims", ())}
    claims |= {str(step.detail["lun"]) for step in stored.pending if "lun" in step.detail}
    async with context.operations.holds.claim(context.provider_id):
        inventory = await context.work(
            settle_pending, context.store, context.hardware, context.cache.inventory, stored.pending
        )
        context.cache.settle(inventory)
        found = await context.work(look, context, claims)
        changes = [step.number for step in stored.pending if step.kind == "change"]
        await context.work(_write, context, found, changes)
        context.cache.apply(found.put, [entry.id for entry in found.drop])
        if found.problems:
            context.cache.corrupt(found.problems[0])


def _write(context: Context, found: Found, finished: Sequence[int] = ()) -> None:
    surroundings.keep(context, found.put, found.drop)
    for number in finished:
        context.store.finish(number)


async def reenumerate(context: Context) -> None:
    """IVdsHwProvider::Reenumerate. A scan that breaks off leaves the cache corrupt."""
    async with context.operations.holds.claim(context.provider_id):
        try:
            await context.work(context.hardware.read)
        except HardwareError as error:
            context.cache.corrupt(f"the scan broke off: {error}")
            raise context.corrupt() from error
        context.cache.rediscovered()


async def refresh(context: Context) -> None:
    """IVdsHwProvider::Refresh."""
    async with context.operations.holds.claim(context.provider_id):
        if not context.cache.refreshable:
            raise context.corrupt()
        try:
            found = await context.work(look, context)
            await context.work(_write, context, found)
        except HardwareError as error:
            context.cache.corrupt(f"the scan broke off: {error}")
            raise context.corrupt() from error
        settled = [] if found.problems else context.cache.agree()
        context.cache.apply([*settled, *found.put], [entry.id for entry in found.drop])
        if found.problems:
            context.cache.corrupt("; ".join(found.problems))
            raise context.corrupt()
        context.cache.refreshed()


HEAL_AGAIN = 60.0
"""Seconds until a recovery of our own that failed is tried again."""


@asynccontextmanager
async def healing(context: Context) -> AsyncIterator[None]:
    """Recover a corrupt cache without waiting for a client, where the configuration says so, as long as the context
    lasts."""
    if not context.config.provider.self_heal:
        yield
        return
    async with looking(lambda: _heal(context), "recover the cache") as corrupt:
        context.cache.on_corruption = corrupt
        if context.cache.corruption:
            corrupt()
        yield


async def _heal(context: Context) -> None:
    """What a client would do, in the prescribed order."""
    while context.cache.corruption:
        try:
            await reenumerate(context)
            await refresh(context)
        except VdsError as error:
            log.warning("the cache cannot be recovered now: %s", error.message)
            await asyncio.sleep(HEAL_AGAIN)


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
    holds = context.operations.holds
    mine = list(own or ())
    began = context.cache.inventory.put(*mine)
    configured = [entry for entry in context.config.subsystem if entry.name == sub_system.name]
    states: dict[str, VolumeState] = {}

    def search() -> tuple[list[Entity], list[Entity]]:
        with context.hardware.scan():
            put, drop = surroundings.find(context, began, configured)
            if closely:
                portals, gone_portals = surroundings.find_portals(context, began, configured)
                put, drop = [*put, *portals], [*drop, *gone_portals]
            luns = [lun for lun in began.all(Lun) if lun.sub_system_id == sub_system.id]
            if not closely:
                luns = _doubtful(context, began, luns, put)
            # A volume that somebody put to sleep under an exported LUN sleeps on.
            states.update(_survey(context, luns, {lun.id for lun in luns if closely or not lun.exported}))
        return put, drop

    async with _portals_held(context, [sub_system]) if closely else holds.wait([surroundings.scan(sub_system.id)]):
        try:
            put, drop = await context.guarded(context.work(search), sub_system.id)
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
    known = [lun for id in luns if (lun := began.get(Lun, id))]
    states: dict[str, VolumeState] = {}
    pools = {lun.pool_id: began.known(StoragePool, lun.pool_id) for lun in known}

    def search() -> list[StoragePool]:
        doubtful = _doubtful(context, began, known, ())
        states.update(_survey(context, doubtful, {lun.id for lun in doubtful if not lun.exported}))
        return [measure(pool, context.pool(pool.id)) for pool in pools.values()]

    measured = await context.work(search)
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
        state, plexes = states[lun.id], began.plexes_at(lun.id)
        if lun.condition is Condition.MISSING is state.condition:
            return False
        return (
            not lun.exported
            or lun.condition is not Condition.GOOD
            or _probed(lun, state, exported=True) != lun
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
            probed = _probed(lun, state, exported=lun.exported)
            probed = msgspec.structs.replace(probed, exported=lun.exported)
            found[id] = [*([probed] if probed != lun else ()), *plexes]
    fresh = {entity.id: entity for entities in found.values() for entity in entities if entity.id not in began.objects}
    if fresh:
        await context.guarded(context.work(context.store.finish, None, fresh.values()))
        if late := [entity for id in found if busy(id) for entity in found[id] if entity.id in fresh]:
            await context.guarded(context.work(context.store.finish, None, (), late))
    judged = {id: entities for id, entities in found.items() if not busy(id)}
    _complain(context, [entity for entities in judged.values() for entity in entities if isinstance(entity, Lun)])
    return (
        [entity for entities in judged.values() for entity in entities],
        {id for id in states if busy(id) and context.cache.inventory.get(Lun, id)},
    )


def _complain(context: Context, luns: Sequence[Lun]) -> None:
    """Log which of these LUNs cannot be used any more."""
    lost = [
        lun
        for lun in luns
        if lun.condition is not Condition.GOOD
        and context.cache.inventory.known(Lun, lun.id).condition is not lun.condition
    ]
    for lun in lost[:3]:
        log.warning("LUN %s is %s: %s", lun.id, lun.condition.value, lun.reason)
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

    def search() -> Found:
        put, drop = surroundings.find_portals(context, context.cache.inventory, context.config.subsystem)
        found = Found(put, drop, [])
        _write(context, found)
        return found

    sub_systems = list(context.cache.inventory.all(SubSystem))
    async with context.operations.holds.wait(shared=[context.provider_id]), _portals_held(context, sub_systems):
        found = await context.guarded(context.work(search))
        context.cache.apply(found.put, [entry.id for entry in found.drop])


def _portals_held(context: Context, sub_systems: Collection[SubSystem]) -> AbstractAsyncContextManager[None]:
    """Nobody puts a portal into a group or sets its status while it is found out whether it goes. Waits its turn."""
    ids = {sub_system.id for sub_system in sub_systems}
    return context.operations.holds.wait(
        [
            *(surroundings.scan(id) for id in ids),
            *(portal.id for portal in context.cache.inventory.all(Portal) if portal.sub_system_id in ids),
        ]
    )
