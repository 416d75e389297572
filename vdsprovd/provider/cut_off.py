"""Steps that a crash cut off: each is completed or undone, whichever loses nothing.

What such a step did in the kernel is put right by the scan that follows (`recovery`); here it is about bytes and rows.
"""

import logging
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import cast

import msgspec

from vdsprovd import journal
from vdsprovd.hardware import (
    Cancelled,
    Condition,
    Disk,
    DrivePool,
    Grant,
    Hardware,
    HardwareError,
    Mismatch,
    Pool,
    Unit,
    VolumeFailed,
    steps,
)
from vdsprovd.inventory import Drive, Entity, Inventory, Lun, StoragePool, SubSystem
from vdsprovd.provider import adoption, facts, mirroring
from vdsprovd.store import PendingStep, Store

log = logging.getLogger(__name__)


def claimed(pending: Collection[PendingStep]) -> set[str]:
    """The ids and iSCSI names of what was being made when a crash cut it off: ours, although it is in no row."""
    claims = {str(name) for step in pending for name in step.detail.get("claims", ())}
    return claims.union(*(luns_of(step) for step in pending))


def luns_of(step: PendingStep) -> set[str]:
    """The ids of the LUNs that a step is about."""
    named = {str(step.detail[name]) for name in ("lun", "source") if name in step.detail}
    return named | {str(id) for id, *_ in step.detail.get("luns", ())}


def settle(store: Store, hardware: Hardware, inventory: Inventory, pending: Iterable[PendingStep]) -> Inventory:
    """Complete or undo each of the steps; gives the inventory as it is then. One that cannot be settled now stays pending."""
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
    _forget(hardware, lambda fact: facts.is_disk_of(lun, fact))


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
