"""What of somebody else's target can become ours, and what it becomes.

Nobody who is logged in may notice, and after the next boot nobody may find another disk, another number, or a door that was
not open to them: what the inventory cannot say exactly is refused, with what to do about it. Whether it can is seen in the
end as everywhere else: the facts of what it says are compared with those that there are.
"""

import hashlib
import os
import secrets
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence

import msgspec

from vdsprovd.hardware import (
    Acl,
    Condition,
    Disk,
    Fact,
    Grant,
    Group,
    HardwareError,
    Listener,
    Stranger,
    Unit,
    VolumeState,
    changes,
    steps,
)
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.ids import new_id
from vdsprovd.inventory import (
    Association,
    Entity,
    Inventory,
    Lun,
    Plex,
    Portal,
    PortalGroup,
    StoragePool,
    SubSystem,
    Target,
)
from vdsprovd.model import AdoptionObject, ForeignType
from vdsprovd.provider import creation, facts, names
from vdsprovd.provider.context import Context

_KEY = secrets.token_bytes(32)
"""Of this run of the daemon: a digest rests on secrets too, and must not help to guess them."""

Place = tuple[str, int]
"""The serial number and the number of a disk, as logical units have them."""


class Move(msgspec.Struct, frozen=True):
    """A disk whose bytes come into a pool."""

    pool_id: str
    before: Disk
    after: Disk


class Plan(msgspec.Struct, frozen=True):
    """What there is and what becomes of it: `put` is new in the inventory, `facts` are those that it wants then."""

    digest: str
    objects: tuple[AdoptionObject, ...]
    put: tuple[Entity, ...]
    moves: tuple[Move, ...]
    facts: tuple[Fact, ...]

    @property
    def targets(self) -> list[str]:
        """The names of the targets that are adopted."""
        return [entity.iscsi_name for entity in self.put if isinstance(entity, Target)]


class _Candidate:
    """A storage object or a target: `obstacles` grow as they are found."""

    def __init__(self, stranger: Stranger) -> None:
        self.stranger = stranger
        self.name = stranger.name
        self.obstacles = list(stranger.obstacles)
        self.becomes = ""

    def refuse(self, why: str) -> None:
        if why not in self.obstacles:
            self.obstacles.append(why)

    def of(self, kind: type[Fact]) -> list[Fact]:
        return [fact for fact in self.stranger.facts if type(fact) is kind]


class _Storage(_Candidate):
    """A storage object, with the pool that its bytes go into and how they are as a volume of it."""

    pool: StoragePool | None = None
    state = VolumeState(Condition.MISSING)
    size = 0

    @property
    def disk(self) -> Disk | None:
        return next((fact for fact in self.stranger.facts if isinstance(fact, Disk)), None)


class _Target(_Candidate):
    """A target: what its portal groups have in common."""

    sub_system: SubSystem | None = None

    def __init__(self, stranger: Stranger) -> None:
        super().__init__(stranger)
        self.groups = [fact for fact in stranger.facts if isinstance(fact, Group)]
        first = self.groups[0].tag if self.groups else 0
        within = [fact for fact in stranger.facts if getattr(fact, "tag", 0) == first]
        self.units = {fact.index: (fact.lun, fact.number) for fact in within if isinstance(fact, Unit)}
        self.acls = {fact.initiator: fact.credentials for fact in within if isinstance(fact, Acl)}
        self.grants: dict[int, list[str]] = defaultdict(list)
        for fact in within:
            if isinstance(fact, Grant):
                self.grants[fact.unit].append(fact.initiator)


def make(context: Context, wanted: Sequence[str]) -> Plan:
    """The plan for the targets of these names, or for everything. Blocks. Raises `HardwareError`, and `VdsError` for a target
    that there is not."""
    inventory = context.cache.inventory
    known = {(Disk, lun.id, lun.number) for lun in inventory.all(Lun)}
    found = context.hardware.strangers(inventory.target_by_name, known)
    return _Work(context, list(found), wanted).plan()


class _Work:
    """The making of a plan."""

    def __init__(self, context: Context, found: Sequence[Stranger], wanted: Sequence[str]) -> None:
        self._context = context
        self._inventory = context.cache.inventory
        self._found = found
        targets = {entry.name: _Target(entry) for entry in found if entry.type is ForeignType.TARGET}
        for name in wanted:
            if name not in targets:
                whose = "the provider's already" if name in self._inventory.target_by_name else "not on this host"
                raise VdsError(Hresult.VDS_E_OBJECT_NOT_FOUND, f"there is no target {name} to adopt: it is {whose}")
        self._targets = {name: targets[name] for name in wanted or sorted(targets)}
        storage = [_Storage(entry) for entry in found if entry.type is ForeignType.STORAGE_OBJECT]
        places = {place for target in self._targets.values() for place in target.units.values()}
        self._storage = [entry for entry in storage if not wanted or (entry.disk and _place(entry.disk) in places)]
        self._at = {_place(entry.disk): entry for entry in self._storage if entry.disk}
        self._users: dict[Place, list[tuple[str, int]]] = defaultdict(list)
        """Where each disk is a logical unit, in targets of whomever."""
        for stranger in found:
            for fact in stranger.facts:
                if isinstance(fact, Unit):
                    self._users[fact.lun, fact.number].append((fact.target, fact.index))

    def plan(self) -> Plan:
        for entry in self._storage:
            self._judge_storage(entry)
        for target in self._targets.values():
            self._judge_target(target)
        self._spread()
        put = self._entities()
        # What could not be said exactly shows here, whatever it is.
        while wrong := self._differing(put):
            for candidate, why in wrong:
                candidate.refuse(why)
            self._spread()
            put = self._entities()
        after = self._inventory.put(*put)
        luns = [entity for entity in put if isinstance(entity, Lun)]
        moves = []
        for lun in luns:
            disk = self._at[lun.id, lun.number].disk
            assert disk
            moves.append(Move(lun.pool_id, disk, facts.disk(after, lun)))
        objects = tuple(map(self._told, (*self._storage, *self._targets.values())))
        wanted = tuple(self._wanted(after, put))
        return Plan(self._digest(objects), objects, tuple(put), tuple(moves), wanted)

    def _digest(self, objects: Sequence[AdoptionObject]) -> str:
        kinds = [type(fact).__name__ for entry in self._found for fact in entry.facts]
        text = msgspec.json.encode((kinds, self._found, objects), enc_hook=str)
        return hashlib.blake2b(text, key=_KEY, digest_size=16).hexdigest()

    def _told(self, entry: _Candidate) -> AdoptionObject:
        disk = entry.disk if isinstance(entry, _Storage) else None
        return AdoptionObject(
            type=entry.stranger.type,
            name=entry.name,
            becomes=entry.becomes,
            size=entry.size if isinstance(entry, _Storage) else 0,
            id=disk.lun if disk else None,
            adopted=not entry.obstacles,
            lapses=entry.stranger.lapses,
            obstacles=tuple(entry.obstacles),
        )

    # Storage objects.

    def _judge_storage(self, entry: _Storage) -> None:
        disk = entry.disk
        if disk is None:
            return
        if self._inventory.get(Lun, disk.lun) or self._context.cache.was_deleted(disk.lun):
            entry.refuse(f"a LUN with its serial number, {disk.lun}, is or was the provider's")
        for other in self._storage:
            if other is not entry and other.disk and other.disk.lun == disk.lun:
                entry.refuse(f"{other.name} has the same serial number")
            elif other is not entry and other.disk and os.path.realpath(other.disk.path) == os.path.realpath(disk.path):
                entry.refuse(f"{other.name} has the same bytes")
        self._find_pool(entry, disk)

    def _find_pool(self, entry: _Storage, disk: Disk) -> None:
        """The pool that its bytes go into: where several could have them, the one whose folder is nearest."""
        pools = sorted(
            self._inventory.all(StoragePool), key=lambda pool: (-self._nearness(pool, disk), pool.name, pool.id)
        )
        for pool in pools:
            if pool.block is not disk.block:
                continue
            try:
                state = self._context.pool(pool.id).find(disk.path)
            except HardwareError as error:
                entry.refuse(f"pool {pool.name} cannot be read: {error}")
                continue
            if state is not None:
                entry.pool, entry.state = pool, state
                break
        if entry.pool is None:
            entry.refuse(_no_pool(disk))
            return
        entry.size = disk.size or entry.state.size
        sub_system = self._inventory.known(SubSystem, entry.pool.sub_system_id)
        entry.becomes = f"LUN in pool {entry.pool.name} of {sub_system.name}"
        if entry.state.condition is not Condition.GOOD:
            entry.refuse(entry.state.reason)
        elif entry.state.size < entry.size:
            entry.refuse(f"it has {entry.size} bytes, and {disk.path} has {entry.state.size}")

    def _nearness(self, pool: StoragePool, disk: Disk) -> int:
        path = self._context.pool(pool.id).path(disk.lun)
        return 0 if disk.block else len(os.path.commonpath([os.path.dirname(path), os.path.realpath(disk.path)]))  # noqa: PTH120

    # Targets.

    def _judge_target(self, target: _Target) -> None:
        if not target.stranger.facts and target.obstacles:
            return
        for name in (target.name, *target.acls):
            if not _is_name(name):
                target.refuse(f"{name!r} is no iSCSI name in its normal form, lower case, as the provider keeps names")
        for fact in target.stranger.facts:
            if isinstance(fact, Grant) and fact.index != fact.unit:
                target.refuse(
                    f"{fact.initiator} sees logical unit {fact.unit} as LUN {fact.index}, and with the provider a LUN has "
                    "one number for all initiators of a target"
                )
        for index, place in target.units.items():
            if place not in self._at:
                target.refuse(f"its LUN {index} leads to {place[0]}, which can be no LUN of the provider")
        if len(set(target.units.values())) < len(target.units):
            target.refuse("a disk is in it under two numbers")
        granted = {initiator for initiators in target.grants.values() for initiator in initiators}
        for initiator, found in target.acls.items():
            if initiator not in granted and not (found.secret or found.mutual_secret):
                target.refuse(
                    f"{initiator} has an ACL, and neither a mapped LUN nor a secret; map one, or delete the ACL"
                )
        self._find_sub_system(target)
        if target.sub_system:
            self._judge_groups(target, target.sub_system)
        counts = {
            "portal group": len(target.groups),
            "LUN": len(target.units),
            "initiator": len(target.acls),
            "portal": len(target.of(Listener)),
        }
        text = ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for what, count in counts.items())
        target.becomes = f"target with {text}"

    def _find_sub_system(self, target: _Target) -> None:
        """That of its LUNs' pools; without LUNs the one whose names begin as the target's does, or the first."""
        pools = [entry.pool for place in target.units.values() if (entry := self._at.get(place)) and entry.pool]
        owners = {pool.sub_system_id for pool in pools}
        if len(owners) > 1:
            target.refuse("its LUNs are in pools of several subsystems, and a target is in one")
        every = sorted(self._inventory.all(SubSystem), key=lambda entry: entry.name)
        named = [entry for entry in every if target.name.startswith(f"{entry.iqn_prefix}:")]
        target.sub_system = next((entry for entry in every if entry.id in owners), (named or every)[0])

    def _judge_groups(self, target: _Target, sub_system: SubSystem) -> None:
        for group in target.groups:
            if group.enabled is not sub_system.online:
                what = "enabled" if group.enabled else "disabled"
                target.refuse(
                    f"portal group {group.tag} is {what}, and those of subsystem {sub_system.name} are "
                    f"{'enabled' if sub_system.online else 'disabled'}; make it so, or delete it"
                )
            has_secret = any(found.secret for found in target.acls.values())
            command = f"targetcli /iscsi/{target.name}/tpg{group.tag} set attribute authentication"
            if group.authentication and not (has_secret or sub_system.require_chap):
                target.refuse(f"it asks for CHAP, and no initiator has a secret; give them theirs, or {command}=0")
            if not group.authentication and has_secret:
                target.refuse(
                    "it has CHAP secrets and does not ask for them, so initiators may log in without, and could not any "
                    f"more; {command}=1, or take the secrets away"
                )
            elif not group.authentication and sub_system.require_chap:
                target.refuse(
                    f"subsystem {sub_system.name} requires CHAP, and initiators log in without; give them secrets and "
                    f"{command}=1, or set require-chap = false in the configuration"
                )

    # Both.

    def _spread(self) -> None:
        """A disk goes with all of its targets, and a target with all of its disks, or neither goes."""
        before = -1
        while before != (now := sum(len(entry.obstacles) for entry in (*self._storage, *self._targets.values()))):
            before = now
            for place, entry in self._at.items():
                for name, index in self._users[place]:
                    target = self._targets.get(name)
                    # What follows from something else is told of those alone that would not be refused without it.
                    if not entry.obstacles and (target is None or target.obstacles):
                        entry.refuse(f"it is LUN {index} of target {name}, which is not adopted with it")
            for target in self._targets.values():
                for index, place in target.units.items():
                    storage = self._at.get(place)
                    if storage and storage.obstacles and not target.obstacles:
                        target.refuse(f"its LUN {index}, {storage.name}, is not adopted")
            self._compare_masks()

    def _compare_masks(self) -> None:
        for place, entry in self._at.items():
            masks = {
                name: set(self._targets[name].grants[index])
                for name, index in self._users[place]
                if name in self._targets
            }
            if len({frozenset(mask) for mask in masks.values()}) > 1:
                entry.refuse(f"{' and '.join(sorted(masks))} show it to different initiators, and a LUN has one mask")

    def _entities(self) -> list[Entity]:
        """What is new in the inventory."""
        put: list[Entity] = []
        ids: dict[str, str] = {}
        portals = {(entry.sub_system_id, entry.address, entry.port): entry for entry in self._inventory.all(Portal)}
        for target in self._targets.values():
            if target.obstacles or not target.sub_system:
                continue
            sub_system = target.sub_system
            alias = target.groups[0].alias if target.groups else ""
            ids[target.name] = new_id()
            made = Target(
                ids[target.name],
                sub_system.id,
                target.name,
                "" if alias == target.name else alias,
                sub_system.require_chap,
            )
            put.append(facts.with_credentials(made, target.acls))
            for group in target.groups:
                here = []
                for fact in target.stranger.facts:
                    if isinstance(fact, Listener) and fact.tag == group.tag:
                        key = (sub_system.id, fact.address, fact.port)
                        if key not in portals:
                            portals[key] = Portal(new_id(), *key)
                            put.append(portals[key])
                        here.append(portals[key].id)
                put.append(PortalGroup(new_id(), made.id, group.tag, tuple(here)))
        for entry in self._storage:
            if not entry.obstacles:
                put += self._lun(entry, ids)
        return put

    def _lun(self, entry: _Storage, ids: dict[str, str]) -> list[Lun | Plex]:
        disk, pool = entry.disk, entry.pool
        assert disk and pool
        users = dict(self._users[_place(disk)])
        mask = next((self._targets[name].grants[index] for name, index in users.items()), [])
        lun = Lun(
            id=disk.lun,
            sub_system_id=pool.sub_system_id,
            pool_id=pool.id,
            number=disk.number,
            path=self._context.pool(pool.id).path(disk.lun),
            name=names.friendly_name(entry.name.rpartition("/")[2])[0],
            size=entry.size,
            type=entry.state.type,
            mask=tuple(sorted(mask)),
            associations=tuple(Association(ids[name], index) for name, index in users.items()),
            product=disk.product,
        )
        return [creation.found(lun, entry.state), *creation.plexes_of(lun.id, entry.state, ())]

    def _wanted(self, after: Inventory, put: Iterable[Entity]) -> Iterator[Fact]:
        """The facts of what is new."""
        names = {entity.iscsi_name for entity in put if isinstance(entity, Target)}
        luns = {entity.id for entity in put if isinstance(entity, Lun)}
        for fact in facts.of_everything(after, self._context.local):
            if (fact.lun in luns) if isinstance(fact, Disk) else (getattr(fact, "target", "") in names):
                yield fact

    def _differing(self, put: Sequence[Entity]) -> list[tuple[_Candidate, str]]:
        """Who would be other than it is, and how."""
        shall: dict[str, list[Fact]] = defaultdict(list)
        for fact in self._wanted(self._inventory.put(*put), put):
            shall[str(fact.key[1])].append(fact)
        wrong: list[tuple[_Candidate, str]] = []
        for target in self._targets.values():
            if not target.obstacles:
                wrong += ((target, why) for why in _differences(target.stranger.facts, shall[target.name]))
        for entry in self._storage:
            if not entry.obstacles and entry.disk:
                (found,) = shall[entry.disk.lun]
                there = msgspec.structs.replace(entry.disk, path=found.path) if isinstance(found, Disk) else entry.disk
                wrong += ((entry, why) for why in _differences([there], [found]))
        return wrong


def _differences(there: Collection[Fact], shall: Collection[Fact]) -> Iterator[str]:
    for step in steps(there, shall):
        if step.before and step.after:
            yield f"{step.after} would be changed: {changes(step.after, step.before)}"
        else:
            yield f"the provider would {'add' if step.after else 'remove'} {step.after or step.before}"


def _place(disk: Disk) -> Place:
    return disk.lun, disk.number


def _no_pool(disk: Disk) -> str:
    if disk.block:
        return (
            f"{disk.path} is no logical volume of a pool's volume group; put a pool of kind lvm with its group into the "
            "configuration, or copy it into a LUN if it is none"
        )
    return (
        f"{disk.path} is in no file system where a pool has its folder, and cannot go from one to another while it is in use; "
        "put a pool of kind files with a folder there into the configuration"
    )


def _is_name(name: str) -> bool:
    try:
        return names.iscsi_name(name) == name
    except VdsError:
        return False
