"""How inventory, store and kernel come to agree: at start, in Reenumerate and in Refresh.

The store is the truth about what is ours; the kernel's configuration is rebuilt from it. Nothing that somebody else made
is touched: not their targets, not their disks, not their logical units in a target of ours. Whatever else stands in a
target of ours and is not in the store goes, so that nobody has access whom the masks do not name.
"""

import asyncio
import logging
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import cast

import msgspec

from vdsprovd import journal
from vdsprovd.backups import StoreError
from vdsprovd.cache import Cache
from vdsprovd.config import Config
from vdsprovd.hardware import (
    Acl,
    Cancelled,
    Condition,
    Disk,
    DrivePool,
    Fact,
    Grant,
    Hardware,
    HardwareError,
    Key,
    Mismatch,
    Pool,
    Unit,
    VolumeFailed,
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
from vdsprovd.provider import adoption, creation, facts, mirroring, names, scans, surroundings
from vdsprovd.provider.context import Context
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


def settle_pending(store: Store, hardware: Hardware, inventory: Inventory, pending: Iterable[PendingStep]) -> Inventory:
    """Complete or undo each step that a crash cut off; gives the inventory as it is then.

    What such a step did in the kernel is put right by the scan that follows; here it is about bytes and rows.
    """
    for step in pending:
        try:
            inventory = _settle(store, hardware, inventory, step)
        except HardwareError as error:
            # Left pending: the next start tries again, and nothing else waits for it.
            about = journal.about(journal.CUT_OFF, object=str(step.detail.get("lun", "")))
            text = "cannot settle step %d (%s), which a crash had cut off: %s"
            log.error(text, step.number, step.kind, error, extra=about)
    return inventory


def _settle(store: Store, hardware: Hardware, inventory: Inventory, step: PendingStep) -> Inventory:
    lun_id, pool_id = str(step.detail.get("lun")), str(step.detail.get("pool"))
    if step.kind == "change":
        _tell("", "a crash cut off a change of %s", ", ".join(step.detail["claims"]))
        return inventory
    if step.kind == "adopt":
        adoption.settle(store, hardware, inventory, step)
        return inventory
    if step.kind in ("create_lun", "create_luns"):  # the one of before 2026-11-28
        _undo_creation(store, hardware, inventory, step)
        return inventory
    if inventory.get(StoragePool, pool_id) is None:
        raise HardwareError(f"the pool of LUN {lun_id} is not in the configuration")
    pool, lun = _pool(hardware, inventory, pool_id), inventory.get(Lun, lun_id)
    pool.space()  # while the pool is not there, nothing of it is settled
    match step.kind:
        case "delete_lun":
            if lun:
                _forget_lun(hardware, lun)
                inventory = inventory.drop(lun.id, *(plex.id for plex in inventory.plexes_at(lun.id)))
            pool.delete(lun_id)
            store.finish(step.number, drop=[lun] if lun else [])
            _tell(lun_id, "completed the deletion of LUN %s, which a crash had cut off", lun_id)
        case "resize_lun" if lun:
            lun = _settled_size(pool, lun, int(step.detail["before"]), int(step.detail["after"]))
            inventory = inventory.put(lun)
            store.finish(step.number, put=[lun])
            _tell(lun.id, "LUN %s has %d bytes after a crash cut off its resizing", lun.id, lun.size)
        case "remove_plex" if lun:
            plexes, state = inventory.plexes_at(lun.id), pool.probe(lun.id)
            gone: list[Entity] = []
            put: list[Entity] = []
            if not state.legs:
                raise VolumeFailed(state.reason)
            if len(state.legs) < len(plexes):
                gone = [plex for plex in plexes if plex.id == step.detail["plex"]]
                left = [plex for plex in plexes if plex not in gone]
                left = [msgspec.structs.replace(plex, place=place) for place, plex in enumerate(left)]
                put = mirroring.as_found(lun, pool, left)
                inventory = inventory.drop(*(plex.id for plex in gone)).put(*put)
            store.finish(step.number, put=put, drop=gone)
            _tell(
                lun.id, "%s RemovePlex of LUN %s, which a crash had cut off", "completed" if gone else "undid", lun.id
            )
        case "add_plex" if lun:
            inventory = _settle_add_plex(store, hardware, inventory, step, pool, lun)
        case "replace_drive":
            inventory = _settle_replacement(store, hardware, inventory, step, pool_id)
        case "recover" if lun:
            _settle_recovery(store, step, cast(DrivePool, pool), lun)
        case "take_spare":
            inventory = _settle_spare(store, hardware, inventory, step, pool_id)
        case _:
            store.finish(step.number)  # of a LUN that has been deleted since
    return inventory


def _settled_size(pool: Pool, lun: Lun, before: int, after: int) -> Lun:
    """The LUN with the size that it has after its resizing was cut off. Bytes that were cut off do not come back, and
    growth is undone unless all of it is there. Raises `VolumeFailed` when the volume cannot be read."""
    found = pool.probe(lun.id)
    if found.condition is Condition.MISSING:
        return lun
    if found.condition is not Condition.GOOD:
        raise VolumeFailed(found.reason)
    size = found.size
    if not (size == after or size > after > before or size < before):
        # Nothing that the LUN has had goes, whatever became of it since.
        size = min(size, max(before, lun.size))
    # Also where nothing is to be changed: what is there is on the disk for sure then.
    pool.resize(lun.id, size, (), lambda _percent: None)
    return msgspec.structs.replace(lun, size=size)


def _settle_add_plex(
    store: Store, hardware: Hardware, inventory: Inventory, step: PendingStep, pool: Pool, lun: Lun
) -> Inventory:
    """Once the source's bytes began to go, it goes, and the LUN keeps the legs that it has; before, it has its own."""
    known, source = inventory.plexes_at(lun.id), inventory.get(Lun, str(step.detail["source"]))
    gone: list[Entity] = []
    if source and (step.detail.get("absorbed") or pool.probe(source.id).condition is Condition.MISSING):
        _forget_lun(hardware, source)
        pool.delete(source.id)
        gone = [*inventory.plexes_at(source.id), source]
    else:
        mirroring.take_back(cast(DrivePool, pool), lun.id, int(step.detail.get("own", len(known))))
    put = mirroring.as_found(lun, pool, known)
    store.finish(step.number, put=put, drop=gone)
    what = "completed" if gone else "undid"
    _tell(lun.id, "%s AddPlex of LUN %s, which a crash had cut off; it has %d plexes", what, lun.id, len(put) - 1)
    return inventory.drop(*(entry.id for entry in gone)).put(*put)


def _settle_replacement(
    store: Store, hardware: Hardware, inventory: Inventory, step: PendingStep, pool_id: str
) -> Inventory:
    """The pool itself has taken back what was moving, or let it arrive. Where that is, the other drive goes."""
    pool = cast(DrivePool, _pool(hardware, inventory, pool_id))
    found = {drive.identification: drive for drive in inventory.all(Drive)}
    nodes = {device.identification: device.node for device in hardware.drives({lun.id for lun in inventory.all(Lun)})}
    old, new = nodes.get(str(step.detail["old"]), ""), nodes.get(str(step.detail["new"]), "")
    used = {extent.drive for extent in pool.extents() if extent.lun}
    members = {member.node for member in pool.members()}
    moved = new in members and old not in used and (new in used or old not in members)
    for node in (old,) if moved else (new,):
        if node and node not in used:
            with suppress(Mismatch):  # it is no drive of the pool, or not any more
                pool.release_drive(node)
    drive = found.get(str(step.detail["new"]))
    put = [msgspec.structs.replace(drive, hot_spare=False)] if moved and drive else []
    store.finish(step.number, put=put)
    what = "completed" if moved else "undid"
    _tell("", "%s the replacement of drive %s by %s, which a crash had cut off", what, old, new)
    return inventory.put(*put)


def _settle_recovery(store: Store, step: PendingStep, pool: DrivePool, lun: Lun) -> None:
    """The rebuild is begun, or goes on by itself; nobody waits for its end."""

    def enough(_percent: int) -> None:
        raise Cancelled("the rebuild goes on by itself")

    what = "completed"
    try:
        pool.repair(lun.id, enough)
    except Cancelled as error:
        what = str(error)
    except HardwareError as error:
        what = f"LUN {lun.id} stays as it is: {error}"
    store.finish(step.number)
    _tell(lun.id, "a crash cut off Recover of LUN %s: %s", lun.id, what)


def _settle_spare(store: Store, hardware: Hardware, inventory: Inventory, step: PendingStep, pool_id: str) -> Inventory:
    """A hot spare of which a repair made use is one no longer; another leaves the pool again."""
    pool = cast(DrivePool, _pool(hardware, inventory, pool_id))
    spare = inventory.get(Drive, str(step.detail["drive"]))
    nodes = {device.identification: device.node for device in hardware.drives({lun.id for lun in inventory.all(Lun)})}
    node = nodes.get(spare.identification, "") if spare else ""
    used = any(extent.drive == node and extent.lun for extent in pool.extents())
    if node and not used:
        with suppress(Mismatch):  # it was not taken yet
            pool.release_drive(node)
    put = [msgspec.structs.replace(spare, hot_spare=False)] if spare and used else []
    store.finish(step.number, put=put)
    _tell(
        str(step.detail["lun"]),
        "a crash cut off Recover of LUN %s; its hot spare is %s",
        step.detail["lun"],
        "used" if used else "free",
    )
    return inventory.put(*put)


def _tell(lun: str, text: str, *arguments: object) -> None:
    """Log what became of a change that a crash had cut off."""
    log.warning(text, *arguments, extra=journal.about(journal.CUT_OFF, object=lun))


def _undo_creation(store: Store, hardware: Hardware, inventory: Inventory, step: PendingStep) -> None:
    """Nobody was told of the LUNs; whoever has logged in to their targets may see them go."""
    detail = step.detail
    luns = detail["luns"] if "luns" in detail else [(detail["lun"], detail["pool"], detail["number"])]
    made = {id: (pool_id, number) for id, pool_id, number in luns}
    pools = {pool_id: inventory.get(StoragePool, pool_id) for pool_id, _ in made.values()}
    for pool_id, pool in pools.items():
        if pool is None:
            raise HardwareError(f"the pool {pool_id} of LUNs is not in the configuration")
        _pool(hardware, inventory, pool_id).space()  # while the pool is not there, nothing of it is settled
    _forget(hardware, lambda fact: fact.lun in made and fact.number == made[fact.lun][1])
    for id, (pool_id, _) in made.items():
        _pool(hardware, inventory, pool_id).delete(id)
    store.finish(step.number)
    for id in made:
        _tell(id, "undid the creation of LUN %s, which a crash had cut off", id)


def _forget_lun(hardware: Hardware, lun: Lun) -> None:
    """Take out of the kernel what is there of a LUN, whatever a crash left of it."""
    _forget(hardware, lambda fact: _is_disk_of(lun, fact))


def _forget(hardware: Hardware, gone: Callable[[Disk | Unit], bool]) -> None:
    """Take these disks out of the kernel, with their logical units and the grants of those."""
    there = hardware.read(needed=())
    units = [fact for fact in there if isinstance(fact, Unit) and gone(fact)]
    places = {(unit.target, unit.tag, unit.index) for unit in units}
    grants = [fact for fact in there if isinstance(fact, Grant) and (fact.target, fact.tag, fact.unit) in places]
    disks = [fact for fact in there if isinstance(fact, Disk) and gone(fact)]
    for step in steps([*grants, *units, *disks], []):
        hardware.take(step)


def _pool(hardware: Hardware, inventory: Inventory, pool_id: str) -> Pool:
    pool = inventory.known(StoragePool, pool_id)
    return hardware.pools[inventory.known(SubSystem, pool.sub_system_id).name, pool.name]


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
    luns = [_placed(context, scans.probed(lun, states[lun.id], exported=lun.id in disks), disks) for lun in known]
    # What is being settled stays as it is.
    luns = [
        msgspec.structs.replace(lun, exported=lun.id in disks) if context.operations.holds.busy(lun.id) else lun
        for lun in luns
    ]
    scans.complain(context, luns)
    if moved := {lun.id: lun.number for lun in luns if lun.number != inventory.known(Lun, lun.id).number}:
        # Before the kernel has them: the next start must find them there.
        kept = [msgspec.structs.replace(inventory.known(Lun, id), number=number) for id, number in moved.items()]
        context.store.finish(None, put=kept)
    plexes = [plex for lun in luns for plex in creation.plexes_of(lun.id, states[lun.id], inventory.plexes_at(lun.id))]
    wanted_inventory = inventory.put(*_changed(inventory, [*put, *luns]))
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
    luns = [
        msgspec.structs.replace(lun, condition=Condition.FAILED, reason=broken[lun.id], exported=lun.id in disks)
        if lun.id in broken
        else lun
        for lun in luns
    ]
    return Found(_changed(inventory, [*put, *luns, *plexes]), drop, problems)


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
    return lun is not None and _is_disk_of(lun, fact)


def _is_disk_of(lun: Lun, fact: Disk | Unit) -> bool:
    """Of what others made, it is what was adopted and nothing else with the LUN's serial number."""
    return fact.lun == lun.id and (fact.number >= 0 or fact.number == lun.number)


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


def claimed(pending: Collection[PendingStep]) -> set[str]:
    """The ids and iSCSI names of what was being made when a crash cut it off: ours, although it is in no row."""
    claims = {str(name) for step in pending for name in step.detail.get("claims", ())}
    return claims.union(*(_luns_of(step) for step in pending))


def _luns_of(step: PendingStep) -> set[str]:
    """The ids of the LUNs that a step is about."""
    named = {str(step.detail[name]) for name in ("lun", "source") if name in step.detail}
    return named | {str(id) for id, *_ in step.detail.get("luns", ())}


async def start(context: Context, pending: Collection[PendingStep]) -> None:
    """Rebuild in the kernel what the store says, adopting what is right already. Raises `HardwareError`."""
    begin(Work("the start"))
    claims = claimed(pending)
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
        ids = _luns_of(step)
        with context.operations.holds.hold(ids):
            before = context.cache.inventory
            after = await context.work(settle_pending, context.store, context.hardware, before, [step])
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
            with context.counted.audit("kernel"):
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
