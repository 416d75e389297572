"""How inventory, store and kernel come to agree: at start, in Reenumerate and in Refresh.

The store is the truth about what is ours; the kernel's configuration is rebuilt from it. Nothing that somebody else made
is touched: not their targets, not their disks, not their logical units in a target of ours. Whatever else stands in a
target of ours and is not in the store goes, so that nobody has access whom the masks do not name.
"""

import asyncio
import logging
import socket
import sqlite3
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager

import msgspec

from vdsprovd import garbage
from vdsprovd.backups import StoreError
from vdsprovd.cache import Cache
from vdsprovd.config import Config
from vdsprovd.hardware import (
    Acl,
    Condition,
    Disk,
    Fact,
    Grant,
    HardwareError,
    Key,
    Pool,
    Unit,
    VolumeState,
    attempt,
    steps,
)
from vdsprovd.hresult import VdsError
from vdsprovd.ids import new_id
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
from vdsprovd.operations import Work, begin
from vdsprovd.provider import creation, cut_off, facts, names, scans, surroundings
from vdsprovd.provider.context import Context
from vdsprovd.store import PendingStep, Stored

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
            id=known.id if known else new_id(),
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
            id = pool.id if pool else new_id()
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
    controller = msgspec.structs.replace(known or Controller(new_id(), sub_system_id), name=name)
    port = next((entry for entry in inventory.all(Port) if entry.controller_id == controller.id), None)
    port = port or Port(new_id(), sub_system_id, controller.id)
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
    return Plex(new_id(), lun.id, 0)


class Found(msgspec.Struct, frozen=True):
    """What a look at the host gave: entities to put, which are other than they were, ids to drop from the store, and
    problems that remain."""

    put: list[Entity]
    drop: list[Entity]
    problems: list[str]


def look(context: Context, claims: Collection[str] = ()) -> Found:
    """Read the whole host, and put right in the kernel what differs from the inventory. Runs in a worker thread.

    Raises `HardwareError` when the scan breaks off. One object that cannot be put right does not keep others from it.
    """
    inventory, hardware = context.cache.inventory, context.hardware
    context.local = initiators(hardware.local_initiators())
    observed = hardware.read(needed=inventory.target_by_name)
    disks = {fact.lun: fact for fact in observed if isinstance(fact, Disk) and _is_known(inventory, fact)}
    known = list(inventory.all(Lun))
    numbers = [
        *(fact.number for fact in observed if isinstance(fact, Disk)),
        *(lun.number for lun in known),
        context.last_lun_number,
    ]
    context.last_lun_number = max(numbers)
    with hardware.scan():
        put, drop = surroundings.find(context, inventory, context.config.subsystem)
        portals, gone_portals = surroundings.find_portals(context, inventory, context.config.subsystem)
        put, drop = [*put, *portals], [*drop, *gone_portals]
        states = scans.survey(context, known, {lun.id for lun in known})
    # Here and below, of what is as it was nothing is kept: with many LUNs, to let go of all at once keeps everybody waiting.
    luns: dict[str, Lun] = {}
    plexes: list[Entity] = []
    for lun in known:
        state = states.pop(lun.id)
        if (now := _judged(context, lun, state, disks)) != lun:
            luns[lun.id] = now
        plexes += _changed(inventory, creation.plexes_of(lun.id, state, inventory.plexes_at(lun.id)))
    scans.complain(context, luns.values())
    if moved := {lun.id: lun.number for lun in luns.values() if lun.number != inventory.known(Lun, lun.id).number}:
        # Before the kernel has them: the next start must find them there.
        kept = [msgspec.structs.replace(inventory.known(Lun, id), number=number) for id, number in moved.items()]
        context.store.finish(None, put=kept)
    wanted_inventory = inventory.put(*_changed(inventory, put), *luns.values())
    work = steps(ours(context.cache, observed, claims), facts.of_everything(wanted_inventory, context.local))
    problems: list[str] = []
    broken: dict[str, str] = {}
    dead: set[Key] = set()
    for step, error in attempt(hardware, work):
        if error:
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
    for id, reason in broken.items():
        lun = luns.get(id) or inventory.known(Lun, id)
        luns[id] = msgspec.structs.replace(lun, condition=Condition.FAILED, reason=reason, exported=id in disks)
    garbage.let_go(observed, disks)
    return Found([*_changed(inventory, [*put, *luns.values()]), *plexes], drop, problems)


def _changed(inventory: Inventory, found: Iterable[Entity]) -> list[Entity]:
    """The objects that are other than the inventory has them."""
    return [entity for entity in found if entity != inventory.objects.get(entity.id)]


def ours(cache: Cache, observed: Iterable[Fact], claims: Collection[str] = ()) -> list[Fact]:
    """The facts that are the provider's to change: its disks, and all in its targets but others' logical units."""
    inventory = cache.inventory
    observed = list(observed)
    foreign_units = {
        (fact.target, fact.tag, fact.index)
        for fact in observed
        if isinstance(fact, Unit) and fact.lun and fact.number < 0 and not _is_known(inventory, fact)
    }
    foreign_acls = {
        (fact.target, fact.tag, fact.initiator)
        for fact in observed
        if isinstance(fact, Grant) and (fact.target, fact.tag, fact.unit) in foreign_units
    }
    found = []
    for fact in observed:
        match fact:
            case Disk(lun=lun, number=number):
                mine = _is_known(inventory, fact)
                if not mine and number >= 0:
                    mine = lun in claims or cache.was_deleted(lun)
                if not mine and number >= 0:
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


def _is_known(inventory: Inventory, fact: Disk | Unit) -> bool:
    """Whether that is, or leads to, the disk of a LUN of ours."""
    lun = inventory.get(Lun, fact.lun)
    return lun is not None and facts.is_disk_of(lun, fact)


def _judged(context: Context, lun: Lun, state: VolumeState, disks: Mapping[str, Disk]) -> Lun:
    """The LUN as its volume and the kernel have it. What is being settled stays as it is."""
    exported = lun.id in disks
    found = _placed(context, scans.probed(lun, state, exported=exported), disks)
    return msgspec.structs.replace(found, exported=exported) if context.operations.holds.busy(lun.id) else found


def _placed(context: Context, lun: Lun, disks: Mapping[str, Disk]) -> Lun:
    """The LUN at the place where its pool is now: the configuration may have moved it. One that is not there stays where
    the kernel has it, if it does."""
    if lun.condition is Condition.MISSING and lun.id in disks:
        return msgspec.structs.replace(lun, path=disks[lun.id].path)
    if lun.number < 0 and lun.id not in disks:
        # Adopted, and made anew: from now on it is where ours are.
        lun = msgspec.structs.replace(lun, number=context.next_lun_number())
    return msgspec.structs.replace(lun, path=context.pool(lun.pool_id).path(lun.id))


def initiators(found: Iterable[str]) -> list[str]:
    """The names of this host's initiators in their normal form; what is no name is logged and left out."""
    normal = []
    for name in found:
        try:
            normal.append(names.iscsi_name(name))
        except VdsError as error:
            log.warning("ignoring this host's initiator: %s", error.message)
    return normal


# The calls.


async def start(context: Context, pending: Collection[PendingStep]) -> None:
    """Rebuild in the kernel what the store says, adopting what is right already. Raises `HardwareError`."""
    begin(Work("the start"))
    claims = cut_off.claimed(pending)
    async with context.operations.holds.claim(context.provider_id):
        for step in pending:
            await _settled(context, step)
        with context.counted.audit("kernel"):
            found = await context.work(look, context, claims)
        changes = [step.number for step in pending if step.kind == "change"]
        await context.work(_write, context, found, changes)
        context.cache.apply(_current(context, found.put), [entry.id for entry in found.drop])
        if found.problems:
            context.cache.corrupt(found.problems[0])
        for text in await context.look(context.hardware.rivals, context.cache.inventory.target_by_name):
            log.warning("%s", text)


def _current(context: Context, found: Iterable[Entity]) -> Iterator[Entity]:
    """What a look found, but for what has been settled since it began."""
    for entity in found:
        known = context.cache.inventory.objects.get(entity.id)
        if isinstance(entity, Lun | Plex) and context.cache.was_deleted(entity.id):
            continue
        if isinstance(entity, Lun) and isinstance(known, Lun):
            yield msgspec.structs.replace(entity, size=known.size)
        else:
            yield entity


async def _settled(context: Context, step: PendingStep) -> None:
    """Settle a step that a crash cut off. When the kernel does not answer, that goes on by itself, with the LUNs held that it
    is about, and nobody waits for it."""
    work = Work(f"settle step {step.number} ({step.kind}), which a crash had cut off")

    async def settle() -> None:
        ids = cut_off.luns_of(step)
        with context.operations.holds.hold(ids):
            before = context.cache.inventory
            after = await context.work(cut_off.settle, context.store, context.hardware, before, [step])
            put = [entity for id, entity in after.objects.items() if before.objects.get(id) is not entity]
            # It was hidden below, and could not be deleted.
            hidden = (
                lun for id in ids if (lun := after.get(Lun, id)) and not context.cache.inventory.known(Lun, id).mask
            )
            put += [msgspec.structs.replace(lun, exported=False) for lun in hidden if lun.mask]
            context.cache.apply(put, [id for id in before.objects if id not in after.objects])

    settling = context.operations.spawn(settle(), work)
    while not settling.done() and not work.silences:
        await asyncio.wait((settling,), timeout=0.1)
    if settling.done():
        settling.result()
    elif step.kind == "delete_lun" and (lun := context.cache.inventory.get(Lun, str(step.detail["lun"]))):
        context.cache.hide(lun)


def _write(context: Context, found: Found, finished: Sequence[int] = ()) -> None:
    surroundings.keep(context, found.put, found.drop)
    for number in finished:
        context.store.finish(number)


async def reenumerate(context: Context) -> None:
    """IVdsHwProvider::Reenumerate: discovers what there is; how it is, Refresh reads. A scan that breaks off leaves the cache
    corrupt."""
    async with context.operations.holds.claim(context.provider_id):
        try:
            with garbage.left_alone():
                await context.look(context.hardware.discover, needed=context.cache.inventory.target_by_name)
        except HardwareError as error:
            context.cache.corrupt(f"the scan broke off: {error}")
            raise context.corrupt() from error
        context.cache.rediscovered()


async def refresh(context: Context) -> None:
    """IVdsHwProvider::Refresh."""
    async with context.operations.holds.claim(context.provider_id):
        if not context.cache.refreshable:
            raise context.corrupt()
        if context.store.damage:
            await _renew(context)
        try:
            with context.counted.audit("kernel"), garbage.left_alone():
                found = await context.work(look, context)
            await context.work(_write, context, found)
        except HardwareError as error:
            context.cache.corrupt(f"the scan broke off: {error}")
            raise context.corrupt() from error
        settled = [] if found.problems else context.cache.agree()
        context.cache.apply([*settled, *_current(context, found.put)], [entry.id for entry in found.drop])
        if found.problems:
            context.cache.corrupt("; ".join(found.problems))
            raise context.corrupt()
        context.cache.refreshed()


async def _renew(context: Context) -> None:
    """Make a store that is damaged anew, from what the daemon knows: that is all of it. Raises VDS_E_PROVIDER_CACHE_CORRUPT."""
    cache = context.cache
    known = Stored(
        context.provider_id,
        tuple(cache.inventory.objects.values()),
        dict(cache.inventory.import_targets.items()),
        tuple(cache.deleted),
        (),
    )
    try:
        kept = await context.work(context.store.renew, known)
    except (sqlite3.Error, OSError, StoreError) as error:
        cache.corrupt(f"the store is damaged, and cannot be made anew: {error}")
        raise context.corrupt() from error
    log.warning("made the store anew from memory; the damaged one is %s", kept)


HEAL_AGAIN = 60.0
"""Seconds until a recovery of our own that failed is tried again."""


@asynccontextmanager
async def healing(context: Context) -> AsyncIterator[None]:
    """Recover a corrupt cache without waiting for a client, where the configuration says so, as long as the context
    lasts."""
    async with looking(lambda: _heal(context), "recover the cache") as corrupt:
        context.cache.on_corruption = corrupt
        if context.cache.corruption:
            corrupt()
        yield


async def _heal(context: Context) -> None:
    """What a client would do, in the prescribed order."""
    while context.cache.corruption and context.config.provider.self_heal:
        try:
            await reenumerate(context)
            await refresh(context)
        except VdsError as error:
            log.warning("the cache cannot be recovered now: %s", error.message)
            await asyncio.sleep(HEAL_AGAIN)
