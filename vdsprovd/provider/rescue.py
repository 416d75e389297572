"""A store from what is left: from what an older one says, the kernel's target, and the pools.

What the kernel has is the newest truth: where it differs from what is known, the objects are changed so that they want what
is there, and a start that adopts them changes nothing. No LUN is let go of: one that is known is kept though its volume is
gone, and one that is only a volume in a pool comes back. Nothing here writes anything.
"""

import secrets
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from vdsprovd.cache import Cache
from vdsprovd.config import Config
from vdsprovd.hardware import (
    Access,
    Acl,
    Condition,
    Credentials,
    Disk,
    Fact,
    Grant,
    Group,
    Hardware,
    HardwareError,
    Listener,
    Pool,
    Secret,
    TargetNode,
    Unit,
    VolumeState,
    steps,
)
from vdsprovd.ids import is_id, new_id
from vdsprovd.inventory import (
    Association,
    Controller,
    Drive,
    Entity,
    Inventory,
    Lun,
    Plex,
    Port,
    Portal,
    PortalGroup,
    StoragePool,
    SubSystem,
    Target,
)
from vdsprovd.model import LunType
from vdsprovd.persistent import PersistentMap
from vdsprovd.provider import creation, facts, recovery
from vdsprovd.store import PendingStep, Stored


class Row(msgspec.Struct, frozen=True):
    """A LUN or a target, for people: what it is, from where, and what is to be known about it."""

    kind: Literal["lun", "target"]
    id: str
    name: str
    size: int
    """Bytes; 0 for a target."""
    sources: tuple[str, ...]
    """Of "store" (what an older one says), "kernel" and "pool"."""
    note: str = ""


class Rescued(msgspec.Struct, frozen=True):
    """What the new store is to hold; for people, what became of each LUN and target, and what nobody can know."""

    stored: Stored
    rows: tuple[Row, ...]
    unknown: tuple[str, ...]


class RescueError(recovery.StartError):
    """The store cannot be rebuilt with this configuration; the message says what to change."""


def rescue(config: Config, known: Stored, hardware: Hardware) -> Rescued:
    """The store that what is `known` makes with what the host has. Blocks.

    Raises `recovery.StartError` for a configuration that lacks what is there, `HardwareError` when the
    kernel's target cannot be read.
    """
    entities = tuple(_whole(known.entities))
    ids = {entity.id for entity in entities}
    known = msgspec.structs.replace(
        known,
        entities=entities,
        import_targets={key: name for key, name in known.import_targets.items() if key[1] in ids},
    )
    inventory, _, _ = recovery.assemble(config, known, hardware.pools)
    work = _Work(inventory, known, hardware)
    if work.alive:
        work.take_targets()
    work.take_luns()
    if work.alive:
        work.take_settings()
    return work.done()


def _whole(entities: Iterable[Entity]) -> Iterator[Entity]:
    """The entities without what refers to others that are not there: tables that were saved may be of different times.
    LUNs are kept, whatever they refer to."""
    there = {entity.id: entity for entity in entities}
    for entity in there.values():
        match entity:
            case SubSystem():
                yield entity
            case StoragePool() | Controller() | Drive() | Portal() | Target():
                if entity.sub_system_id in there:
                    yield entity
            case Port():
                if entity.controller_id in there and entity.sub_system_id in there:
                    yield entity
            case PortalGroup():
                if entity.target_id in there:
                    portals = tuple(id for id in entity.portal_ids if id in there)
                    yield msgspec.structs.replace(entity, portal_ids=portals)
            case Plex():
                if entity.lun_id in there:
                    yield entity
            case Lun():
                kept = tuple(entry for entry in entity.associations if entry.target_id in there)
                yield msgspec.structs.replace(entity, associations=kept)


class _Work:
    """A rescue under way: the inventory as far as it goes, and what the host has."""

    def __init__(self, inventory: Inventory, known: Stored, hardware: Hardware) -> None:
        self.inventory = inventory
        self.known = known
        self.hardware = hardware
        self.unknown: list[str] = []
        self.rows: list[Row] = []
        self.local = recovery.initiators(hardware.local_initiators())
        found = list(hardware.read(needed=inventory.target_by_name))
        self.disks = {fact.lun: fact for fact in found if isinstance(fact, Disk) and fact.path and self._is_ours(fact)}
        targets = set(self._targets_of_ours(found))
        self.there: dict[str, list[Fact]] = {name: [] for name in targets}
        """What the kernel has in targets of ours, by target."""
        for fact in found:
            if (name := getattr(fact, "target", "")) in targets:
                self.there[name].append(fact)
        new = not inventory.count(Lun) and not inventory.count(Target)
        self.alive = bool(self.disks) or new or any(name in inventory.target_by_name for name in targets)
        """Whether the kernel has what was ours; after a reboot it has at most a target that is named so."""
        self.volumes = {pool.id: self._volumes(pool) for pool in inventory.all(StoragePool)}
        """The state of each volume in each pool."""

    def _targets_of_ours(self, found: Iterable[Fact]) -> Iterator[str]:
        """A target is ours if it is known, is named as ours are, or has a LUN of ours."""
        prefixes = tuple(f"{entry.iqn_prefix}:" for entry in self.inventory.all(SubSystem))
        for fact in found:
            match fact:
                case TargetNode(name) if name in self.inventory.target_by_name or name.startswith(prefixes):
                    yield name
                case Unit(target=name, lun=lun) if lun in self.disks:
                    yield name

    def _is_ours(self, disk: Disk) -> bool:
        """Of those that others made, the adopted ones have their bytes where a LUN has them."""
        pools = (self._pool(pool.id) for pool in self.inventory.all(StoragePool))
        return disk.number >= 0 or any(pool.path(disk.lun) == disk.path for pool in pools)

    def _pool(self, id: str) -> Pool:
        entry = self.inventory.known(StoragePool, id)
        return self.hardware.pools[self.inventory.known(SubSystem, entry.sub_system_id).name, entry.name]

    def _volumes(self, entry: StoragePool) -> Mapping[str, VolumeState]:
        pool = self._pool(entry.id)
        try:
            return pool.glance([id for id in pool.volumes() if is_id(id)])
        except HardwareError as error:
            self.unknown.append(f"which LUNs are in pool {entry.name}, which cannot be read: {error}")
            return {}

    # Targets, with their groups and portals.

    def take_targets(self) -> None:
        """Let the targets, groups and portals be those of the kernel."""
        for target in list(self.inventory.all(Target)):
            if target.iscsi_name not in self.there:
                groups = self.inventory.groups_at(target.id)
                self.inventory = self.inventory.drop(*(group.id for group in groups), target.id)
                note = "not in the kernel any more: it was deleted, and is let go of"
                self.rows.append(Row("target", target.id, target.iscsi_name, 0, ("store",), note))
        for name, there in sorted(self.there.items()):
            self._take_target(name, [fact for fact in there if isinstance(fact, Group)], there)

    def _take_target(self, name: str, groups: list[Group], there: list[Fact]) -> None:
        id = self.inventory.target_by_name.get(name)
        if id is None:
            sub_system = self._sub_system_of(name, there)
            target = Target(new_id(), sub_system.id, name, "", sub_system.require_chap)
        else:
            target = self.inventory.known(Target, id)
        if groups and facts.alias(target) != groups[0].alias:
            alias = "" if groups[0].alias == name else groups[0].alias
            target = msgspec.structs.replace(target, friendly_name=alias)
        self.inventory = self.inventory.put(target)
        self.rows.append(Row("target", target.id, name, 0, ("store", "kernel") if id else ("kernel",)))
        known = {group.tag: group for group in self.inventory.groups_at(target.id)}
        tags = {group.tag for group in groups}
        self.inventory = self.inventory.drop(*(group.id for tag, group in known.items() if tag not in tags))
        for tag in sorted(tags):
            group = known.get(tag) or PortalGroup(new_id(), target.id, tag)
            portals = [
                self._portal(target.sub_system_id, fact)
                for fact in there
                if isinstance(fact, Listener) and fact.tag == tag
            ]
            ids = {portal.id for portal in portals}
            # One that is offline is in its groups and not in the kernel.
            kept = [id for id in group.portal_ids if id in ids or not self.inventory.known(Portal, id).online]
            ordered = dict.fromkeys((*kept, *(portal.id for portal in portals)))
            self.inventory = self.inventory.put(*portals, msgspec.structs.replace(group, portal_ids=tuple(ordered)))

    def _portal(self, sub_system_id: str, fact: Listener) -> Portal:
        for portal in self.inventory.all(Portal):
            if (portal.sub_system_id, portal.address, portal.port) == (sub_system_id, fact.address, fact.port):
                return msgspec.structs.replace(portal, online=True)
        return Portal(new_id(), sub_system_id, fact.address, fact.port)

    def _sub_system_of(self, name: str, there: Iterable[Fact]) -> SubSystem:
        """Whose a target is that nobody knows: its name says so, or its LUNs."""
        sub_systems = sorted(self.inventory.all(SubSystem), key=lambda entry: entry.name)
        named = [entry for entry in sub_systems if name.startswith(f"{entry.iqn_prefix}:")] or sub_systems
        pools = {self._pool_of(fact.lun) for fact in there if isinstance(fact, Unit) and fact.lun in self.disks}
        owners = {self.inventory.known(StoragePool, pool).sub_system_id for pool in pools}
        return next((entry for entry in named if entry.id in owners), named[0])

    # LUNs.

    def take_luns(self) -> None:
        """Let every LUN that is known, exported or a volume be one, as the kernel and its pool have it."""
        units: dict[str, list[Unit]] = defaultdict(list)
        grants: dict[tuple[object, ...], set[str]] = defaultdict(set)
        for fact in (fact for there in self.there.values() for fact in there):
            match fact:
                case Unit(lun=lun) if lun in self.disks and fact.number == self.disks[lun].number:
                    units[lun].append(fact)
                case Grant(target=target, tag=tag, initiator=initiator, unit=unit):
                    grants[target, tag, unit].add(initiator)
        known = {lun.id: lun for lun in self.inventory.all(Lun)}
        volumes = {id for pool in self.volumes.values() for id in pool}
        # Numbers and places in targets are theirs who have them in the kernel; the others get what is left.
        self.inventory = self.inventory.drop(*(plex.id for plex in self.inventory.all(Plex)), *known)
        ids = sorted({*known, *self.disks, *volumes}, key=lambda id: (id not in units, id not in self.disks, id))
        plexes: dict[str, list[Plex]] = defaultdict(list)
        for entity in self.known.entities:
            if isinstance(entity, Plex):
                plexes[entity.lun_id].append(entity)
        self._numbers = {disk.number for disk in self.disks.values()}
        for id in ids:
            if id in known and id not in self.disks and id not in volumes and id in self.known.deleted:
                continue
            granted = {name for unit in units[id] for name in grants[unit.target, unit.tag, unit.index]}
            self._take_lun(id, known.get(id), units[id], granted, plexes[id])

    def _take_lun(
        self, id: str, known: Lun | None, units: list[Unit], granted: Collection[str], plexes: list[Plex]
    ) -> None:
        pool_id = self._pool_of(id, known)
        state = self.volumes[pool_id].get(id, VolumeState(Condition.MISSING))
        disk, pool = self.disks.get(id), self._pool(pool_id)
        lun = known or Lun(id, "", pool_id, -1, "", "", 0, LunType.UNKNOWN)
        lun = msgspec.structs.replace(
            lun,
            sub_system_id=self.inventory.known(StoragePool, pool_id).sub_system_id,
            pool_id=pool_id,
            number=disk.number if disk else self._number(lun.number),
            path=pool.path(id),
            product=disk.product if disk else lun.product,
            exported=disk is not None or state.condition is Condition.GOOD,
            size=(disk.size if disk else 0) or state.size or lun.size or pool.granule,
            type=_type(lun, pool, state),
        )
        if units:
            lun = self._placed(lun, units, granted)
        elif self.alive:
            lun = self._unplaced(lun, exported=disk is not None)
        found = creation.plexes_of(id, state, sorted(plexes, key=lambda plex: plex.place))
        self.inventory = self.inventory.put(lun, *found)
        there = {
            "store": known is not None,
            "kernel": disk is not None,
            "pool": state.condition is not Condition.MISSING,
        }
        note = ""
        if not there["pool"]:
            note = "its volume is not there" + ("" if disk else ": it was lost, or deleted since")
        elif not known:
            note = "its name is not known" + ("" if units else ", nor its mask and targets")
        elif known.size != lun.size:
            note = f"it had {known.size} bytes"
        sources = tuple(name for name, is_there in there.items() if is_there)
        self.rows.append(Row("lun", id, lun.name, lun.size, sources, note))

    def _pool_of(self, id: str, known: Lun | None = None) -> str:
        """The pool that has the LUN's volume, or should. Raises `RescueError` when it is exported from nowhere."""
        disk = self.disks.get(id)
        pools = sorted(self.inventory.all(StoragePool), key=lambda pool: pool.name)
        holding = [pool.id for pool in pools if id in self.volumes[pool.id]]
        path = disk.path if disk else known.path if known else ""
        at_path = [pool.id for pool in pools if self._pool(pool.id).path(id) == path]
        before = [pool.id for pool in pools if known and known.pool_id == pool.id]
        for candidates in ([id for id in at_path if id in holding], [id for id in before if id in holding], holding):
            if candidates:
                return candidates[0]
        if candidates := at_path or before:
            return candidates[0]
        if disk or not pools:
            raise RescueError(
                f"no pool of the configuration has LUN {id} ({path}); put its pool into the configuration, under the name "
                "that it had"
            )
        return pools[0].id

    def _number(self, wanted: int) -> int:
        """The number for a LUN that the kernel does not have: its own, unless another one has it."""
        number = wanted if wanted > 0 and wanted not in self._numbers else max((0, *self._numbers)) + 1
        self._numbers.add(number)
        return number

    def _placed(self, lun: Lun, units: list[Unit], granted: Collection[str]) -> Lun:
        """The LUN with the targets and the mask that it has in the kernel."""
        by_name = self.inventory.target_by_name
        places = {
            by_name[unit.target]: unit.index for unit in sorted(units, key=lambda u: (u.target, u.tag), reverse=True)
        }
        # A target without groups shows nothing of its LUNs.
        silent = [entry for entry in lun.associations if self._is_silent(entry.target_id)]
        ordered = [entry.target_id for entry in lun.associations if entry.target_id in places]
        found = [Association(id, places[id]) for id in dict.fromkeys((*ordered, *sorted(places)))]
        same = set(facts.expanded(lun.mask, self.local)) == set(granted)
        return msgspec.structs.replace(
            lun,
            online=True,
            mask=lun.mask if same else tuple(sorted(granted)),
            associations=tuple(self._free((*found, *silent))),
        )

    def _unplaced(self, lun: Lun, *, exported: bool) -> Lun:
        """The LUN, which no target has in the kernel: it keeps those that it had if that gives nobody access. One that
        is exported is offline then."""
        initiators = facts.expanded(lun.mask, self.local)
        kept = [
            entry
            for entry in self._free(lun.associations)
            if self._is_silent(entry.target_id) or all(self._lets_in(entry.target_id, name) for name in initiators)
        ]
        seen = any(not self._is_silent(entry.target_id) for entry in kept)
        return msgspec.structs.replace(lun, associations=tuple(kept), online=lun.online and not (exported and seen))

    def _free(self, associations: Iterable[Association]) -> Iterator[Association]:
        """Those whose target is there and whose place in it is free."""
        for entry in associations:
            if self.inventory.get(Target, entry.target_id) is not None:
                taken = self.inventory.luns_of_target.get(entry.target_id)
                if taken is None or entry.index not in taken:
                    yield entry

    def _is_silent(self, target_id: str) -> bool:
        return not self.inventory.groups_of_target.get(target_id)

    def _lets_in(self, target_id: str, initiator: str) -> bool:
        target = self.inventory.known(Target, target_id)
        acls = {
            fact.tag for fact in self.there[target.iscsi_name] if isinstance(fact, Acl) and fact.initiator == initiator
        }
        return acls == {group.tag for group in self.inventory.groups_at(target_id)}

    # Secrets, and what is online.

    def take_settings(self) -> None:
        """Let secrets, and what is online and active, be what the kernel has."""
        for name, there in self.there.items():
            target = self.inventory.known(Target, self.inventory.target_by_name[name])
            groups = [fact for fact in there if isinstance(fact, Group)]
            if groups:
                acls = {fact.initiator: fact.credentials for fact in there if isinstance(fact, Acl)}
                self.inventory = self.inventory.put(self._with_secrets(target, acls, groups[0].authentication))
        for sub_system in list(self.inventory.all(SubSystem)):
            self._take_status(sub_system)

    def _with_secrets(self, target: Target, acls: Mapping[str, Credentials], authentication: bool) -> Target:
        named = {*target.secrets, *target.mutual_secrets} - {""}
        if any(facts.credentials(target, name) != found for name, found in acls.items()) or not named <= set(acls):
            found = {name: entry.secret for name, entry in acls.items()}
            default = target.secrets.get("")
            if default and (None in found.values() or (found and default not in found.values())):
                default = None
            if not default:
                self.unknown.append(
                    f"the secret for all initiators of target {target.iscsi_name}; those of initiators with an ACL are kept"
                )
            target = facts.with_credentials(target, acls)
            if default:
                one_way = {name: secret for name, secret in target.secrets.items() if secret != default}
                target = msgspec.structs.replace(target, secrets=PersistentMap({**one_way, "": default}))
        if authentication and not target.authentication:
            # Who asked for a secret goes on asking, for one that nobody has until it is set anew.
            self.unknown.append(f"the secret of target {target.iscsi_name}; set it anew (IscsiTarget.SetSharedSecret)")
            target = msgspec.structs.replace(target, secrets=PersistentMap({"": Secret(secrets.token_hex(8))}))
        return target

    def _take_status(self, sub_system: SubSystem) -> None:
        names = {target.iscsi_name for target in self.inventory.all(Target) if target.sub_system_id == sub_system.id}
        enabled = [fact.enabled for name in names for fact in self.there[name] if isinstance(fact, Group)]
        if enabled:
            self.inventory = self.inventory.put(msgspec.structs.replace(sub_system, online=any(enabled)))
        luns = {lun.id: lun for lun in self.inventory.all(Lun) if lun.sub_system_id == sub_system.id}
        access = {id: self.disks[id].access for id in luns if id in self.disks}
        if not access:
            return
        served = Access.UNAVAILABLE not in access.values()
        if served != self.inventory.served.get(sub_system.id, True):
            nodes: list[Controller | Port] = [*self.inventory.all(Controller), *self.inventory.all(Port)]
            mine = [node for node in nodes if node.sub_system_id == sub_system.id]
            for node in mine if served else [node for node in mine if isinstance(node, Controller)]:
                self.inventory = self.inventory.put(msgspec.structs.replace(node, online=served))
        if served:
            self.inventory = self.inventory.put(
                *(msgspec.structs.replace(luns[id], active=found is Access.ACTIVE) for id, found in access.items())
            )

    def done(self) -> Rescued:
        """All of it."""
        for step in self.known.pending:
            self.unknown.append(
                f"what became of {step.kind} of {_subject(step)}, which was under way: what there is of it is kept"
            )
        if any(row.kind == "lun" and "store" not in row.sources for row in self.rows):
            self.unknown.append("names, hints and import targets that were set since; which drives were hot spares")
        observed = [*self.disks.values(), *(fact for there in self.there.values() for fact in there)]
        ours = recovery.ours(Cache(self.inventory, self.known.deleted), observed)
        self.unknown += (
            f"the next start {'adds' if step.before is None else 'changes' if step.after else 'removes'} "
            f"{step.after or step.before}"
            for step in steps(ours, facts.of_everything(self.inventory, self.local))
        )
        entities = tuple(self.inventory.objects.values())
        live = self.inventory.objects
        stored = Stored(
            self.known.provider_id,
            entities,
            {key: name for key, name in self.inventory.import_targets.items() if key[1] in live},
            tuple(id for id in self.known.deleted if id not in live),
            (),
        )
        return Rescued(stored, tuple(sorted(self.rows, key=lambda row: (row.kind, row.id))), tuple(self.unknown))


def _type(lun: Lun, pool: Pool, state: VolumeState) -> LunType:
    """The LUN's type: what was asked for, unless its volume has become another."""
    legs = len(state.legs)
    if lun.type is not LunType.UNKNOWN and (not legs or (legs > 1) == (lun.type is LunType.MIRROR)):
        return lun.type
    return state.type if state.type is not LunType.UNKNOWN else next(iter(pool.types))


def _subject(step: PendingStep) -> object:
    return next((step.detail[name] for name in ("lun", "claims", "targets") if step.detail.get(name)), None)
