"""The rules of a VDS hardware provider in plain Python: what each command answers, and what there is then.

Written from the documents, never by calling the daemon's code. Beside a rule stands where it comes from: VDS is
Microsoft's documentation of the method, api is docs/api.md, README its "Choices" (or the section named).

A command's answer is a set of codes: where several arguments are wrong, no document says which error comes first. What
the provider may choose (ids, tags, logical unit numbers) is told to the model, and has to stay so from then on.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

S_OK = "S_OK"
TRUNCATED = "VDS_S_NAME_TRUNCATED"
INVALID = "E_INVALIDARG"
NOT_SUPPORTED = "VDS_E_NOT_SUPPORTED"
NOT_FOUND = "VDS_E_OBJECT_NOT_FOUND"
DELETED = "VDS_E_OBJECT_DELETED"
EXISTS = "VDS_E_OBJECT_EXISTS"
CORRUPT = "VDS_E_PROVIDER_CACHE_CORRUPT"
NO_SPACE = "VDS_E_NOT_ENOUGH_SPACE"
NOT_UNIQUE = "VDS_E_NAME_NOT_UNIQUE"
LUNS_EXIST = "VDS_E_ASSOCIATED_LUNS_EXIST"
PORTALS_EXIST = "VDS_E_ASSOCIATED_PORTALS_EXIST"
NO_IMPORT_TARGET = "VDS_E_NO_IMPORT_TARGET"

Codes = frozenset[str]
OK: Codes = frozenset({S_OK})
EVERYBODY = "*"

Line = tuple[str | int | bool | None, ...]
"""One thing that the host holds, its kind first."""


@dataclass
class SubSystem:
    """VDS_SUB_SYSTEM_PROP as it was at first, what became of it, and what is configured."""

    properties: Mapping[str, Any]
    name: str
    pool: str
    """The id of its one storage pool."""
    require_chap: bool
    has_import_targets: bool
    online: bool = True
    import_targets: dict[str, str] = field(default_factory=dict)
    """By computer."""

    def __post_init__(self) -> None:
        self.id = str(self.properties["id"])
        self.friendly_name = self.name


@dataclass
class Lun:
    """VDS_LUN_PROP; `targets` are its associations with the logical unit number there, None until it was seen."""

    id: str
    sub_system: str
    number: int
    size: int
    mask: list[str]
    name: str = ""
    online: bool = True
    targets: dict[str, int | None] = field(default_factory=dict)


@dataclass
class Target:
    """VDS_ISCSI_TARGET_PROP; secrets by initiator, "" for all that have none of their own."""

    id: str
    sub_system: str
    iscsi_name: str
    name: str = ""
    secrets: dict[str, str] = field(default_factory=dict)
    mutual_secrets: dict[str, str] = field(default_factory=dict)


@dataclass
class Group:
    """VDS_ISCSI_PORTALGROUP_PROP."""

    id: str
    target: str
    tag: int
    portals: list[str] = field(default_factory=list)


@dataclass
class Portal:
    """VDS_ISCSI_PORTAL_PROP."""

    id: str
    sub_system: str
    address: str
    port: int
    online: bool = True


class Query(NamedTuple):
    """A query and what it has to answer, a code for an error; `ordered` tells whether the order of a list counts."""

    method: str
    parameters: dict[str, Any]
    reply: dict[str, Any] | str
    ordered: bool = False


class Model:
    """What there is by the rules. A command's method gives the codes that the daemon may answer."""

    GRANULE = 4096
    """Sizes are multiples of it: the page of a files pool."""

    def __init__(
        self, sub_systems: Sequence[SubSystem], portals: Sequence[Portal], local: Sequence[str], space: int
    ) -> None:
        self.sub_systems = {entry.id: entry for entry in sub_systems}
        self.portals = {entry.id: entry for entry in portals}
        self.luns: dict[str, Lun] = {}
        self.targets: dict[str, Target] = {}
        self.groups: dict[str, Group] = {}
        self.deleted: dict[str, str] = {}
        """By id, the interface of what was deleted."""
        self.local = local
        """This host's own initiators."""
        self.space = space
        self.corrupt = False
        self._rediscovered = False
        self.lost: dict[tuple[str, str], None] = {}
        """Portals (group, portal) that somebody removed behind the daemon's back."""

    # What every command needs.

    def _refusal(self, objects: Mapping[str, object], id: str) -> Codes:
        """README: no such object or deleted, then cache corrupt; both before a look at the arguments."""
        if id not in objects:
            return frozenset({DELETED if id in self.deleted else NOT_FOUND})
        return frozenset({CORRUPT}) if self.corrupt else frozenset()

    def _proves_corruption(self, *listeners: tuple[str, str]) -> bool:
        """README "How it is built": the cache is corrupt when a command needed what the kernel does not have. The
        command has changed nothing then."""
        if not any(entry in self.lost for entry in listeners):
            return False
        self.corrupt, self._rediscovered = True, False
        return True

    def _used(self, sub_system: str) -> int:
        return sum(lun.size for lun in self.luns.values() if lun.sub_system == sub_system)

    def free(self, sub_system: str) -> int:
        """The bytes that are free in the subsystem's pool."""
        return self.space - self._used(sub_system)

    def groups_of(self, target: str) -> list[Group]:
        """A target's portal groups."""
        return [group for group in self.groups.values() if group.target == target]

    def luns_of(self, target: str) -> list[Lun]:
        """The LUNs associated with a target."""
        return [lun for lun in self.luns.values() if target in lun.targets]

    def groups_with(self, portal: str) -> list[Group]:
        """The portal groups, of all targets, that the portal is in."""
        return [group for group in self.groups.values() if portal in group.portals]

    # Commands on subsystems.

    def create_lun(self, sub_system: str, type: str, size: int, mask: str, drives: Sequence[str]) -> Codes:
        """VDS; `lun_created` when it was."""
        return self._refusal(self.sub_systems, sub_system) or self._lun_errors(sub_system, type, size, mask, drives)

    def create_lun_in_pool(self, pool: str, type: str, size: int, mask: str) -> Codes:
        """VDS: the one command that documents no corrupt cache, so it works with one (README "How it is built")."""
        owners = [entry.id for entry in self.sub_systems.values() if entry.pool == pool]
        if not owners:
            # Where other arguments are wrong too, no document says which error comes first.
            return frozenset({NOT_FOUND, *(self._lun_errors(next(iter(self.sub_systems)), type, size, mask, ()) - OK)})
        return self._lun_errors(owners[0], type, size, mask, ())

    def _lun_errors(self, sub_system: str, type: str, size: int, mask: str, drives: Sequence[str]) -> Codes:
        errors = {NOT_FOUND} if drives else set()  # files know no drives
        if type == "unknown":
            errors.add(INVALID)
        elif type not in ("simple", "default", "non_fault_tolerant"):  # README
            errors.add(NOT_SUPPORTED)
        if unmasking_list(mask) is None:
            errors.add(INVALID)
        if size <= 0:
            errors.add(INVALID)
        elif self._rounded(size) > self.free(sub_system):
            errors.add(NO_SPACE)
        return frozenset(errors) or OK

    def _rounded(self, size: int) -> int:
        return -(-size // self.GRANULE) * self.GRANULE

    def lun_created(self, id: str, sub_system: str, number: int, size: int, mask: str) -> None:
        """The LUN got that id and that number in the array."""
        assert id not in self.luns
        assert id not in self.deleted
        assert number not in {lun.number for lun in self.luns.values()}
        initiators = unmasking_list(mask)
        assert initiators is not None
        self.luns[id] = Lun(id, sub_system, number, self._rounded(size), initiators)

    def create_target(self, sub_system: str, name: str | None) -> Codes:
        """VDS, RFC 3720; null or "" has a name generated (api). `target_created` when it was."""
        if refusal := self._refusal(self.sub_systems, sub_system):
            return refusal
        if not name:
            return OK
        normal = iscsi_name(name)
        if normal is None:
            return frozenset({INVALID})
        if normal.startswith("naa.") and not re.fullmatch("naa.5[0-9a-f]{15}", normal):
            return frozenset({NOT_SUPPORTED})  # LIO has no others
        if normal in {target.iscsi_name for target in self.targets.values()}:
            return frozenset({NOT_UNIQUE})
        return OK

    def target_created(self, id: str, sub_system: str, name: str, friendly_name: str) -> None:
        """The target got that id, and the name if it had to be generated."""
        assert id not in self.targets
        assert id not in self.deleted
        normal = iscsi_name(name)
        assert normal is not None
        assert normal not in {target.iscsi_name for target in self.targets.values()}
        self.targets[id] = Target(id, sub_system, normal, truncated(friendly_name))

    def set_sub_system_status(self, sub_system: str, status: str) -> Codes:
        """VDS: offline ends all sessions of its targets."""
        if refusal := self._refusal(self.sub_systems, sub_system):
            return refusal
        if status not in ("online", "offline"):
            return frozenset({INVALID if status == "unknown" else NOT_SUPPORTED})
        self.sub_systems[sub_system].online = status == "online"
        return OK

    def name_sub_system(self, sub_system: str, name: str) -> Codes:
        """IVdsSubSystemNaming."""
        refusal = self._refusal(self.sub_systems, sub_system) or bad_name(name)
        if not refusal:
            self.sub_systems[sub_system].friendly_name = truncated(name)
        return refusal or naming(name)

    def set_import_target(self, sub_system: str, name: str | None, computer: str | None) -> Codes:
        """VDS, README: kept per computer and subsystem, not checked; null and "" clear it."""
        if refusal := self._refusal(self.sub_systems, sub_system):
            return refusal
        if not self.sub_systems[sub_system].has_import_targets:
            return frozenset({NOT_SUPPORTED})
        normal = iscsi_name(name) if name else ""
        if normal is None:
            return frozenset({INVALID})
        targets = self.sub_systems[sub_system].import_targets
        targets.pop((computer or "").lower(), None)
        if normal:
            targets[(computer or "").lower()] = normal
        return OK

    def reenumerate_sub_system(self, sub_system: str) -> Codes:
        """VDS. Pools, volumes and addresses, not the kernel's target."""
        return self._refusal(self.sub_systems, sub_system) or OK

    # Commands on LUNs.

    def delete_lun(self, id: str) -> Codes:
        """VDS; its associations end (README)."""
        if refusal := self._refusal(self.luns, id):
            return refusal
        del self.luns[id]
        self.deleted[id] = "Lun"
        return OK

    def set_mask(self, id: str, mask: str) -> Codes:
        """VDS: replaces."""
        if refusal := self._refusal(self.luns, id):
            return refusal
        initiators = unmasking_list(mask)
        if initiators is None:
            return frozenset({INVALID})
        self.luns[id].mask = initiators
        return OK

    def extend(self, id: str, size: int, drives: Sequence[str]) -> Codes:
        """VDS: by at least so many bytes, or not at all."""
        if refusal := self._refusal(self.luns, id):
            return refusal
        lun = self.luns[id]
        errors = {NOT_FOUND} if drives else set()
        if size <= 0:
            errors.add(INVALID)
        elif self._rounded(lun.size + size) - lun.size > self.free(lun.sub_system):
            errors.add(NO_SPACE)
        if not errors:
            lun.size = self._rounded(lun.size + size)
        return frozenset(errors) or OK

    def shrink(self, id: str, size: int) -> Codes:
        """VDS: by at most so many bytes; some must stay."""
        if refusal := self._refusal(self.luns, id):
            return refusal
        lun = self.luns[id]
        if not 0 < size < lun.size:
            return frozenset({INVALID})
        lun.size = self._rounded(lun.size - size)
        return OK

    def set_lun_status(self, id: str, status: str) -> Codes:
        """VDS: only online and offline can be set; masks and associations stay (api)."""
        if refusal := self._refusal(self.luns, id):
            return refusal
        if status not in ("online", "offline"):
            return frozenset({INVALID})
        self.luns[id].online = status == "online"
        return OK

    def name_lun(self, id: str, name: str) -> Codes:
        """IVdsLunNaming."""
        refusal = self._refusal(self.luns, id) or bad_name(name)
        if not refusal:
            self.luns[id].name = truncated(name)
        return refusal or naming(name)

    def associate_targets(self, id: str, targets: Sequence[str]) -> Codes:
        """VDS: replaces; all ids are checked first, a target named twice counts once (api)."""
        if refusal := self._refusal(self.luns, id):
            return refusal
        lun = self.luns[id]
        for target in targets:
            if target not in self.targets or self.targets[target].sub_system != lun.sub_system:
                return frozenset({NOT_FOUND})
        # An initiator must not see a LUN under another number because of what happens to others.
        lun.targets = {target: lun.targets.get(target) for target in targets}
        return OK

    # Commands on targets.

    def delete_target(self, id: str) -> Codes:
        """VDS, README: refused while LUNs are associated; its groups go with it."""
        if refusal := self._refusal(self.targets, id):
            return refusal
        if self.luns_of(id):
            return frozenset({LUNS_EXIST})
        groups = self.groups_of(id)
        if self._proves_corruption(*((group.id, portal) for group in groups for portal in group.portals)):
            return frozenset({CORRUPT})
        for group in groups:
            del self.groups[group.id]
            self.deleted[group.id] = "IscsiPortalGroup"
        del self.targets[id]
        self.deleted[id] = "IscsiTarget"
        return OK

    def create_portal_group(self, id: str) -> Codes:
        """VDS; `portal_group_created` when it was. A target gets nowhere near its limit here."""
        return self._refusal(self.targets, id) or OK

    def portal_group_created(self, id: str, target: str, tag: int) -> None:
        """The group got that id and tag."""
        assert id not in self.groups
        assert id not in self.deleted
        assert 0 < tag < 65536  # RFC 7143 13.9
        assert tag not in {group.tag for group in self.groups_of(target)}
        self.groups[id] = Group(id, target, tag)

    def name_target(self, id: str, name: str) -> Codes:
        """VDS."""
        refusal = self._refusal(self.targets, id) or bad_name(name)
        if not refusal:
            self.targets[id].name = truncated(name)
        return refusal or naming(name)

    def set_shared_secret(self, id: str, secret: str | None, initiator: str | None) -> Codes:
        """VDS: what the target authenticates initiators with; null clears."""
        if refusal := self._refusal(self.targets, id):
            return refusal
        target = self.targets[id]
        normal = iscsi_name(initiator) if initiator else ""
        return _set_secret(target.secrets, target.mutual_secrets, secret, normal)

    def remember_initiator_shared_secret(self, id: str, secret: str | None, initiator: str) -> Codes:
        """VDS: what the target answers an initiator with that authenticates it; null clears."""
        if refusal := self._refusal(self.targets, id):
            return refusal
        target = self.targets[id]
        return _set_secret(target.mutual_secrets, target.secrets, secret, iscsi_name(initiator))

    # Commands on portal groups and portals.

    def delete_portal_group(self, id: str) -> Codes:
        """VDS: refused while portals are in it."""
        if refusal := self._refusal(self.groups, id):
            return refusal
        if self.groups[id].portals:
            return frozenset({PORTALS_EXIST})
        del self.groups[id]
        self.deleted[id] = "IscsiPortalGroup"
        return OK

    def add_portal(self, id: str, portal: str) -> Codes:
        """VDS, README: a portal is in at most one group of a target."""
        if refusal := self._refusal(self.groups, id) or self._foreign(id, portal):
            return refusal
        group = self.groups[id]
        if any(portal in other.portals for other in self.groups_of(group.target)):
            return frozenset({EXISTS})
        group.portals.append(portal)
        return OK

    def remove_portal(self, id: str, portal: str) -> Codes:
        """VDS."""
        if refusal := self._refusal(self.groups, id) or self._foreign(id, portal):
            return refusal
        group = self.groups[id]
        if portal not in group.portals:
            return frozenset({NOT_FOUND})
        if self._proves_corruption((id, portal)):
            return frozenset({CORRUPT})
        group.portals.remove(portal)
        return OK

    def _foreign(self, group: str, portal: str) -> Codes:
        owner = self.targets[self.groups[group].target].sub_system
        known = portal in self.portals and self.portals[portal].sub_system == owner
        return frozenset() if known else frozenset({NOT_FOUND})

    def set_portal_status(self, id: str, status: str) -> Codes:
        """VDS: offline closes it in every group (api)."""
        if refusal := self._refusal(self.portals, id):
            return refusal
        if status not in ("online", "offline"):
            return frozenset({NOT_SUPPORTED})
        portal = self.portals[id]
        listeners = [(group.id, id) for group in self.groups_with(id)]
        if portal.online and status == "offline" and self._proves_corruption(*listeners):
            return frozenset({CORRUPT})
        portal.online = status == "online"
        return OK

    # The cache, and what the world does.

    def reenumerate(self) -> Codes:
        """VDS: the first of the two calls that recover."""
        self._rediscovered = True
        return OK

    def refresh(self) -> Codes:
        """VDS: with a corrupt cache only after Reenumerate; then all is as it was set."""
        if self.corrupt and not self._rediscovered:
            return frozenset({CORRUPT})
        self.lost.clear()
        self.corrupt = self._rediscovered = False
        return OK

    def listeners(self) -> list[tuple[str, str]]:
        """The portals, as (group, portal), that the kernel has."""
        every = [(group.id, id) for group in self.groups.values() for id in group.portals]
        return [entry for entry in every if self.portals[entry[1]].online and entry not in self.lost]

    def restarted(self) -> None:
        """README "How it is built": boot, Refresh and recovery take one path; a new daemon's cache is sound."""
        self.lost.clear()
        self.corrupt = self._rediscovered = False

    # What queries answer.

    def queries(self) -> Iterator[Query]:
        """Every query that shows something, with its answer."""
        properties = [self._sub_system_properties(entry) for entry in self.sub_systems.values()]
        yield Query("HwProvider.QuerySubSystems", {}, self._or_corrupt({"subSystems": properties}))
        for id in self.sub_systems:
            yield from self._of_sub_system(id)
        for lun in self.luns.values():
            yield from self._of_lun(lun)
        for target in self.targets.values():
            yield from self._of_target(target)
        for group in self.groups.values():
            portals = [self._portal_properties(self.portals[id]) for id in group.portals]
            tag = {"hresult": 0, "properties": {"id": group.id, "tag": group.tag}}
            yield self._get("IscsiPortalGroup.GetProperties", group.id, tag)
            yield self._get("IscsiPortalGroup.GetTarget", group.id, {"target": group.target})
            yield self._get("IscsiPortalGroup.QueryAssociatedPortals", group.id, {"portals": portals})
        for portal in self.portals.values():
            groups = [{"id": group.id, "tag": group.tag} for group in self.groups_with(portal.id)]
            yield self._get("IscsiPortal.QueryAssociatedPortalGroups", portal.id, {"portalGroups": groups})
        for id, interface in list(self.deleted.items())[-8:]:
            yield Query(f"{interface}.GetProperties", {"id": id}, DELETED)

    def _or_corrupt(self, reply: dict[str, Any] | str) -> dict[str, Any] | str:
        return CORRUPT if self.corrupt else reply

    def _get(self, method: str, id: str, reply: dict[str, Any] | str, *, ordered: bool = False) -> Query:
        return Query(method, {"id": id}, self._or_corrupt(reply), ordered)

    def _of_sub_system(self, id: str) -> Iterator[Query]:
        entry = self.sub_systems[id]
        found = {"hresult": 0, "properties": self._sub_system_properties(entry)}
        yield self._get("SubSystem.GetProperties", id, found)
        luns = [lun for lun in self.luns.values() if lun.sub_system == id]
        properties = [self._lun_properties(lun) for lun in luns]
        yield self._get("SubSystem.QueryLuns", id, {"luns": properties})
        # Pools document no corrupt cache.
        yield Query("StoragePool.QueryAllocatedLuns", {"id": entry.pool}, {"luns": properties})
        targets = [self._target_properties(item) for item in self.targets.values() if item.sub_system == id]
        yield self._get("SubSystemIscsi.QueryTargets", id, {"targets": targets})
        portals = [self._portal_properties(item) for item in self.portals.values() if item.sub_system == id]
        yield self._get("SubSystemIscsi.QueryPortals", id, {"portals": portals})
        for computer in (None, "Backup", "backup"):
            name: dict[str, Any] | str = NO_IMPORT_TARGET if entry.has_import_targets else NOT_SUPPORTED
            if target := entry.import_targets.get((computer or "").lower()):
                name = {"iscsiName": target}
            parameters = {"id": id, "computer": computer}
            yield Query("SubSystemImportTarget.GetImportTarget", parameters, self._or_corrupt(name))

    def _of_lun(self, lun: Lun) -> Iterator[Query]:
        properties = {"hresult": 0, "properties": self._lun_properties(lun)}
        yield self._get("Lun.GetProperties", lun.id, properties)
        yield self._get("Lun.GetSubSystem", lun.id, {"subSystem": lun.sub_system})
        # One of the methods that document no corrupt cache.
        yield Query("LunNumber.GetLunNumber", {"id": lun.id}, {"lunNumber": lun.number})
        targets = [self._target_properties(self.targets[id]) for id in lun.targets]
        yield self._get("LunIscsi.QueryAssociatedTargets", lun.id, {"targets": targets}, ordered=True)

    def _of_target(self, target: Target) -> Iterator[Query]:
        properties = {"hresult": 0, "properties": self._target_properties(target)}
        yield self._get("IscsiTarget.GetProperties", target.id, properties)
        yield self._get("IscsiTarget.GetSubSystem", target.id, {"subSystem": target.sub_system})
        groups = sorted(self.groups_of(target.id), key=lambda group: group.tag)
        tags = [{"id": group.id, "tag": group.tag} for group in groups]
        yield self._get("IscsiTarget.QueryPortalGroups", target.id, {"portalGroups": tags}, ordered=True)
        luns = self.luns_of(target.id)
        numbers = {lun.id: lun.targets[target.id] for lun in luns}
        # By number (api), as far as the kernel has shown the numbers.
        known = None not in numbers.values()
        if known:
            luns.sort(key=lambda lun: numbers[lun.id] or 0)
        found = [self._lun_properties(lun) for lun in luns]
        yield self._get("IscsiTarget.QueryAssociatedLuns", target.id, {"luns": found}, ordered=known)
        yield self._get("IscsiTarget.GetConnectedInitiators", target.id, {"initiatorList": []})

    def _sub_system_properties(self, entry: SubSystem) -> dict[str, Any]:
        status = "online" if entry.online else "offline"
        return {**entry.properties, "friendlyName": entry.friendly_name, "status": status}

    def _lun_properties(self, lun: Lun) -> dict[str, Any]:
        return {
            "id": lun.id,
            "size": lun.size,
            "friendlyName": lun.name,
            "identification": lun.id,  # README: a LUN's id is its serial number for life
            "unmaskingList": ";".join(lun.mask),
            "flags": ["write_through_caching_enabled"],
            "type": "simple",
            "status": "online" if lun.online else "offline",
            "health": "healthy",
            "transitionState": "stable",
            "rebuildPriority": 0,
        }

    def _target_properties(self, target: Target) -> dict[str, Any]:
        return {
            "id": target.id,
            "iscsiName": target.iscsi_name,
            "friendlyName": target.name,
            "chapEnabled": self._authenticates(target),
        }

    def _portal_properties(self, portal: Portal) -> dict[str, Any]:
        return {
            "id": portal.id,
            "address": {"type": "ipv4", "textAddress": portal.address, "port": portal.port},
            "status": "online" if portal.online else "offline",
        }

    def _authenticates(self, target: Target) -> bool:
        """configuration: with require-chap false nobody is asked for a secret until one is set."""
        return self.sub_systems[target.sub_system].require_chap or bool(target.secrets)

    # What the host has to hold.

    def number_seen(self, iscsi_name: str, lun: str, number: int) -> None:
        """The kernel has the LUN under that number at the target. It may not change while they are associated."""
        targets = [target.id for target in self.targets.values() if target.iscsi_name == iscsi_name]
        for target in targets:
            at_target = {entry.id: entry.targets[target] for entry in self.luns_of(target)}
            if lun in at_target and at_target[lun] is None:
                assert number not in at_target.values(), f"{lun} has the number of another LUN at {iscsi_name}"
                self.luns[lun].targets[target] = number

    def exports(self) -> set[Line]:
        """README "Two commands" and "Security": who reaches what, as lines about the host."""
        found: set[Line] = set()
        for lun in self.luns.values():
            found |= {("disk", lun.id, lun.size), ("volume", self.sub_systems[lun.sub_system].name, lun.id, lun.size)}
        for target in self.targets.values():
            found.add(("target", target.iscsi_name))
            for group in self.groups_of(target.id):
                found |= self._of_group(target, group)
        return found

    def _of_group(self, target: Target, group: Group) -> set[Line]:
        place = (target.iscsi_name, group.tag)
        enabled = self.sub_systems[target.sub_system].online
        found: set[Line] = {("group", *place, enabled, self._authenticates(target), alias(target))}
        # An initiator may log in when a LUN there lists it, or a secret of its own was set for it.
        allowed = {name for name in (*target.secrets, *target.mutual_secrets) if name}
        for lun in self.luns_of(target.id):
            initiators = self.local if EVERYBODY in lun.mask else lun.mask
            allowed.update(initiators)
            if lun.online:
                number = lun.targets[target.id]
                found.add(("unit", *place, number, lun.id))
                found |= {("mapped", *place, name, number, lun.id) for name in initiators}
        for name in allowed:
            secret = target.secrets.get(name) or target.secrets.get("")
            mutual = target.mutual_secrets.get(name)
            # VDS: the CHAP name is the iSCSI name of whoever is authenticated.
            credentials = (name if secret else None, secret, target.iscsi_name if mutual else None, mutual)
            found.add(("acl", *place, name, *credentials))
        for owner, id in self.listeners():
            if owner == group.id:
                found.add(("portal", *place, self.portals[id].address, self.portals[id].port))
        return found


def iscsi_name(name: str) -> str | None:
    """RFC 3720 3.2.6, RFC 3722: the name in lower case, None for what is no iSCSI name."""
    normal = name.lower()
    iqn = r"iqn\.\d{4}-(0[1-9]|1[0-2])(\.[a-z0-9-]+){2,}(:[a-z0-9.:-]+)?"
    valid = len(normal) <= 223 and re.fullmatch(rf"{iqn}|eui\.[0-9a-f]{{16}}|naa\.([0-9a-f]{{16}}){{1,2}}", normal)
    return normal if valid else None


def unmasking_list(text: str) -> list[str] | None:
    """VDS: names joined by ';', "*" or "" alone; None for what is no such list."""
    names = [entry.strip() for entry in text.split(";") if entry.strip()]
    if names == [EVERYBODY]:
        return names
    normal = [iscsi_name(entry) for entry in names]
    return None if None in normal else list(dict.fromkeys(entry for entry in normal if entry))


def bad_name(name: str) -> Codes:
    """Names for people have no control characters."""
    return frozenset() if name.isprintable() else frozenset({INVALID})


def truncated(name: str) -> str:
    """api: cut to 255 bytes of UTF-8, at a character."""
    while len(name.encode()) > 255:
        name = name[:-1]
    return name


def naming(name: str) -> Codes:
    """VDS: a success code tells of a name that was cut."""
    return OK if truncated(name) == name else frozenset({TRUNCATED})


def alias(target: Target) -> str:
    """README: what initiators see; a comma is a space, and without a name, or with one of iSCSI's own words (RFC 7143
    6.1), it is the iSCSI name."""
    reserved = ("", "None", "Reject", "Irrelevant", "NotUnderstood")
    return target.iscsi_name if target.name in reserved else target.name.replace(",", " ")


def _set_secret(secrets: dict[str, str], others: Mapping[str, str], secret: str | None, initiator: str | None) -> Codes:
    """api: 12 to 16 bytes, not NULL; RFC 7143 9.2.1: not that of the other direction."""
    errors = set() if initiator is not None else {INVALID}
    if secret and (not 12 <= len(secret.encode()) <= 16 or secret.startswith("NULL")):
        errors.add(INVALID)
    if secret and secret in others.values():
        errors.add(NOT_SUPPORTED)
    if errors or initiator is None:
        return frozenset(errors)
    secrets.pop(initiator, None)
    if secret:
        secrets[initiator] = secret
    return OK
