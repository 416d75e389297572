"""What is around a LUN: pools, drives, portals, as a scan finds them."""

import fnmatch
import ipaddress
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress

import msgspec

from vdsprovd.config import PoolConfig, SubSystemConfig, parse_portal
from vdsprovd.hardware import BlockDevice, Member, Pool, VolumeFailed
from vdsprovd.ids import new_id
from vdsprovd.inventory import Drive, Entity, Inventory, Lun, Plex, Portal, StoragePool, SubSystem
from vdsprovd.provider.context import Context, measure


def storage_pool(id: str, sub_system_id: str, configured: PoolConfig, pool: Pool) -> StoragePool:
    """The storage pool of that configuration."""
    return StoragePool(
        id,
        sub_system_id,
        configured.name,
        configured.place,
        block=pool.block,
        types=tuple(pool.types),
        drives=hasattr(pool, "members"),
        thin=bool(configured.thin_pool),
    )


def scan(sub_system_id: str) -> str:
    """What a scan of the subsystem's surroundings holds: one at a time, as each tells what is new and what is gone."""
    return f"scan of {sub_system_id}"


def find(
    context: Context, inventory: Inventory, configured: Sequence[SubSystemConfig]
) -> tuple[list[Entity], list[Entity]]:
    """Pools with their capacity, subsystems with their health, drives.

    The first list is to be put, the second to be dropped. Blocks. Raises `HardwareError`.
    """
    # To look at every disk of the host is most of a scan's work, and for nothing where nobody has drives.
    with_drives = any(entry.drives for entry in configured) or any(pool.drives for pool in inventory.all(StoragePool))
    devices = context.hardware.drives({lun.id for lun in inventory.all(Lun)}) if with_drives else ()
    put: list[Entity] = []
    drop: list[Entity] = []
    names = {entry.name: entry for entry in configured}
    for sub_system in inventory.all(SubSystem):
        if sub_system.name not in names:  # a scan of one subsystem
            continue
        for pool in inventory.all(StoragePool):
            if pool.sub_system_id == sub_system.id and pool.drives:
                with suppress(VolumeFailed):  # which is found out below
                    context.drive_pool(pool.id).rejoin()
        pools = [
            measure(pool, context.pool(pool.id))
            for pool in inventory.all(StoragePool)
            if pool.sub_system_id == sub_system.id
        ]
        put += [*pools, _judged(sub_system, pools)]
        new_drives, gone_drives = _drives(context, inventory, sub_system, pools, names[sub_system.name], devices)
        put += new_drives
        drop += gone_drives
    return put, drop


def find_portals(
    context: Context, inventory: Inventory, configured: Sequence[SubSystemConfig]
) -> tuple[list[Entity], list[Entity]]:
    """Portals as the host's addresses make them; as `find`."""
    addresses = context.hardware.addresses()
    names = {entry.name: entry for entry in configured}
    put: list[Entity] = []
    drop: list[Entity] = []
    for sub_system in inventory.all(SubSystem):
        if sub_system.name in names:
            new, gone = _portals(inventory, sub_system, names[sub_system.name], addresses)
            put += new
            drop += gone
    return put, drop


def _judged(sub_system: SubSystem, pools: Sequence[StoragePool]) -> SubSystem:
    faults = tuple(pool.fault for pool in pools if pool.fault)
    return msgspec.structs.replace(sub_system, faults=faults, failed=bool(pools) and len(faults) == len(pools))


def _portals(
    inventory: Inventory, sub_system: SubSystem, configured: SubSystemConfig, addresses: Mapping[str, bool]
) -> tuple[list[Entity], list[Entity]]:
    """The subsystem's portals to put, and those to drop: addresses that are gone and in no group. `addresses` says of each
    address of the host whether its link is up."""
    if configured.portals is None:
        wanted = {(address, 3260) for address in addresses if _is_public(address)}
    else:
        wanted = {parse_portal(text) for text in configured.portals}
    put: list[Entity] = []
    drop: list[Entity] = []
    for portal in inventory.all(Portal):
        if portal.sub_system_id != sub_system.id:
            continue
        key = (portal.address, portal.port)
        if key in wanted or portal.id in inventory.groups_of_portal:
            put.append(msgspec.structs.replace(portal, present=_is_here(portal.address, addresses)))
        else:
            drop.append(portal)
        wanted.discard(key)
    put += [
        Portal(new_id(), sub_system.id, address, port, present=_is_here(address, addresses))
        for address, port in sorted(wanted)
    ]
    return put, drop


def merged(found: Iterable[Entity], began: Inventory, now: Inventory, *, working: bool = False) -> list[Entity]:
    """What a scan found that differs from what is known now: what it looked for, in the objects as they are now. Commands
    may have changed them since it began, and know better then. While they are `working` on volumes, what is free on drives
    is left as it was: each tells at its end what it did to them."""

    def merge(entity: Entity) -> Entity | None:
        before, current = began.objects.get(entity.id), now.objects.get(entity.id)
        match entity, current:
            case _, None:
                return entity if before is None else None
            case SubSystem(), SubSystem():
                return msgspec.structs.replace(current, faults=entity.faults, failed=entity.failed)
            case StoragePool(), StoragePool() if current is not before:
                return current
            case Portal(), Portal():
                return msgspec.structs.replace(current, present=entity.present)
            case Drive(), Drive() if current is not before:
                return msgspec.structs.replace(current, found=entity.found)
            case Drive(member=Member() as member), Drive(member=Member() as known) if working and member.id == known.id:
                return msgspec.structs.replace(entity, member=msgspec.structs.replace(member, free=known.free))
        return entity

    return [entity for entity in map(merge, found) if entity and entity != now.objects.get(entity.id)]


def unchanged(gone: Iterable[Entity], now: Inventory) -> list[Entity]:
    """Of the objects that a scan found gone, those that no command has changed since it began."""
    return [entity for entity in gone if now.objects.get(entity.id) is entity]


def _is_here(address: str, addresses: Mapping[str, bool]) -> bool:
    """Whether the host has the address, with its link up. Every host has all of them (0.0.0.0), at which adopted portals may be."""
    return addresses.get(address, False) or ipaddress.ip_address(address.partition("%")[0]).is_unspecified


def _is_public(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return not (parsed.is_loopback or parsed.is_link_local)


def keep(context: Context, put: Iterable[Entity], drop: Sequence[Entity]) -> None:
    """Write down what a scan found that the store has to know: what is new, and what is gone. Blocks."""
    known = context.cache.inventory.objects
    put = list(put)
    fresh = [entry for entry in put if isinstance(entry, Portal | Drive | Plex) and entry.id not in known]
    if fresh or drop:
        context.store.finish(None, put=fresh, drop=drop)
    moved = {
        drive.id: _member(drive)
        for drive in put
        if isinstance(drive, Drive) and drive.id in known and _member(drive) != _member(known[drive.id])
    }
    if moved:
        context.store.set_members(moved)


def _member(drive: Entity) -> str:
    """The pool's own name for the drive, by which it is known while it is missing, also after a restart."""
    return drive.member.id if isinstance(drive, Drive) and drive.member else ""


def _drives(
    context: Context,
    inventory: Inventory,
    sub_system: SubSystem,
    pools: Sequence[StoragePool],
    configured: SubSystemConfig,
    devices: Collection[BlockDevice],
) -> tuple[list[Entity], list[Entity]]:
    """The subsystem's drives to put, and those to drop: the members of its pools, and the disks of the host that the
    configuration gives it. A drive that is gone stays while a pool misses it or it has a setting."""
    by_node = {device.node: device for device in devices}
    held: dict[str, tuple[BlockDevice | None, str, Member | None]] = {}  # by identification
    member: Member | None
    known = {drive.identification: drive for drive in inventory.all(Drive) if drive.sub_system_id == sub_system.id}
    by_member = {drive.member.id: drive for drive in known.values() if drive.member}
    for pool in pools:
        if not pool.drives or pool.fault:
            continue
        for member in context.drive_pool(pool.id).members():
            device = by_node.get(member.node)
            before = by_member.get(member.id)
            name = device.identification if device else before.identification if before else member.id
            # What is on it changes with each volume, and is its pool's business.
            held[name] = (device and msgspec.structs.replace(device, holder=""), pool.id, member)
    for device in devices:
        if device.identification not in held and any(
            fnmatch.fnmatch(text, pattern)
            for pattern in configured.drives
            for text in (device.node, device.identification)
        ):
            held[device.identification] = (device, "", None)
    slots = {drive.slot for drive in known.values()}
    put: list[Entity] = []
    for identification, (device, pool_id, member) in held.items():
        drive = known.pop(identification, None)
        if drive is None:
            slot = next(number for number in range(len(slots) + 1) if number not in slots)
            slots.add(slot)
            drive = Drive(new_id(), sub_system.id, identification, slot)
        # Nothing can be put on a missing drive, but that is no setting of it, for which it would be kept for ever.
        online = member.allocatable if member and member.node else drive.online
        put.append(msgspec.structs.replace(drive, found=device, pool_id=pool_id, member=member, online=online))
    # Of a pool that cannot be read now nobody can tell that it has lost its drives.
    unread = {pool.id for pool in pools if pool.fault}
    waiting = [drive for drive in known.values() if drive.member and unread]
    kept = [drive for drive in known.values() if drive not in waiting and (drive.hot_spare or not drive.online)]
    put += [msgspec.structs.replace(drive, found=None, pool_id="", member=None) for drive in kept]
    put += [msgspec.structs.replace(drive, found=None) for drive in waiting]
    kept += waiting
    return put, [drive for drive in known.values() if drive not in kept]
