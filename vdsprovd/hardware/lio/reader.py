"""Every fact in LIO's configfs, read once each. Objects of others are read too; one that is odd breaks nothing else."""

import logging
import os
import re
from collections import deque
from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from vdsprovd.hardware import (
    PRODUCT,
    Access,
    Acl,
    Credentials,
    Disk,
    Fact,
    Grant,
    Group,
    Identity,
    Key,
    Listener,
    Secret,
    TargetNode,
    Unit,
    designators,
)
from vdsprovd.hardware.lio import configfs
from vdsprovd.ids import is_id
from vdsprovd.model import ForeignObject, ForeignType, PathStatus

log = logging.getLogger(__name__)

T = TypeVar("T")

_INFO = re.compile(r"File: (?P<path>.*\S)\s+Size: (?P<size>\d+)\s+Mode:")
_ADDRESS = re.compile(r"\[?(?P<address>[^\]]*)\]?:(?P<port>\d+)")
_LU_GROUP = re.compile(r"^LU Group ID: (\d+)", re.MULTILINE)
_ALUA = re.compile(r"^TG Port (Primary|Secondary) Access State: (.*)$", re.MULTILINE)
_UNSET = ("", "NULL")
_FABRIC = ("discovery_auth", "cpus_allowed_list")
"""What is beside the targets in the fabric's folder."""
TRIES = 3
"""How often a target is read that changes meanwhile."""

AUTHENTICATION = {
    "userid": "user",
    "password": "secret",
    "userid_mutual": "mutual_user",
    "password_mutual": "mutual_secret",
}
"""The attributes of an ACL's authentication, and the fields of `Credentials` that they hold."""

GROUP_ATTRIBUTES = {
    "authentication": "authentication",
    "generate_node_acls": "demo_mode",
    "prod_mode_write_protect": "read_only",
}
"""The attributes of a portal group, and the fields of `Group` that they hold."""
ACCESS = "alua/default_tg_pt_gp/alua_access_state"
"""The attribute of a storage object that holds its ALUA access state."""
IDENTITY = {
    "vendor_id": "LIO-ORG",
    "product_id": "FILEIO",
    "revision": "4.0",
    "company_id": f"{designators.COMPANY:#x}",
}
"""Attributes of a storage object's wwn folder, and what kernels answer that do not have them yet (before 5.9)."""


def facts(needed: Container[str] | None = None) -> Iterator[Fact]:
    """Every fact of the host. Raises OSError when a disk cannot be read, or one of the targets that are needed (None: all
    are); what vanished meanwhile is left out."""
    for folder, lun, number in _disks():
        with suppress(FileNotFoundError if number >= 0 else OSError):  # gone since, or somebody else's and odd
            yield described(folder, lun, number)
    for target in targets():
        yield from _whole(of_target, target, needed is None or target in needed)


def keys(needed: Container[str] | None = None) -> Iterator[Key]:
    """The keys of every object of the host, from the names of folders alone; otherwise as `facts`."""
    yield from ((Disk, lun, number) for _, lun, number in _disks())
    for target in targets():
        yield from _whole(_keys_of_target, target, needed is None or target in needed)


def _whole(read: Callable[[str], Iterator[T]], target: str, needed: bool) -> Iterator[T]:
    for _ in range(TRIES):
        try:
            found = deque(read(target))
        except OSError as error:
            trouble = error
        else:
            while found:  # what nobody keeps goes one by one, too
                yield found.popleft()
            return
    if needed:
        raise trouble
    log.warning("leaving out target %s, which is somebody else's: %s", target, trouble)


def foreign_disks(disks: Container[Key]) -> Iterator[ForeignObject]:
    """The storage objects that are not these disks."""
    for hba, name in storage_objects():
        if (Disk, *identified(hba, name)) not in disks:
            detail = _told(_behind, configfs.CORE / hba / name)
            yield ForeignObject(ForeignType.STORAGE_OBJECT, text(f"{hba}/{name}"), detail)


def storage_objects() -> Iterator[tuple[str, str]]:
    """Every storage object: its HBA folder and its name."""
    for hba in configfs.folders(configfs.CORE):
        if hba != "alua":
            yield from ((hba, name) for name in configfs.folders(configfs.CORE / hba))


def identified(hba: str, name: str) -> tuple[str, int]:
    """What facts call a storage object: the id of its LUN, and the number. One of others' that can be no LUN keeps its name."""
    number = configfs.number(hba)
    if number < -1:
        with suppress(OSError):
            serial = _serial(f"{configfs.CORE}/{hba}/{name}")
            return (serial if is_id(serial) else name), number
    return name, number


def _behind(disk: Path) -> str:
    if configfs.read(disk / "enable") != "1":
        return "not configured"
    return configfs.read(disk / "udev_path") or " ".join(configfs.read(disk / "info").split())


def foreign_targets(known: Container[str], disks: Container[Key]) -> Iterator[ForeignObject]:
    """The targets that are not among these, and the logical units in these that do not lead to one of the disks."""
    for target in configfs.folders(configfs.ISCSI):
        if is_target(target) and target in known:
            for tag in tags(target):
                units = f"{configfs.group(target, tag)}/lun"
                for unit in configfs.folders(units):
                    linked = Path(configfs.target_of(f"{units}/{unit}"))
                    if linked.name and not (is_ours(linked.parent.name) or _leads_to(linked, disks)):
                        name = text(f"{target}/tpgt_{tag}/lun/{unit}")
                        yield ForeignObject(ForeignType.LOGICAL_UNIT, name, f"{linked.parent.name}/{linked.name}")
        elif target not in _FABRIC:
            detail = _told(_contents, configfs.ISCSI / target)
            yield ForeignObject(ForeignType.TARGET, text(target), detail)


def _leads_to(linked: Path, disks: Container[Key]) -> bool:
    return (Disk, *identified(linked.parent.name, linked.name)) in disks


def _contents(target: Path) -> str:
    groups = [target / name for name in configfs.folders(target) if name.startswith("tpgt_")]
    counts = [sum(len(configfs.folders(group / kind)) for group in groups) for kind in ("lun", "acls", "np")]
    return "{} portal groups, {} logical units, {} ACLs, {} portals".format(len(groups), *counts)


def _told(detail: Callable[[Path], str], folder: Path) -> str:
    try:
        return text(detail(folder))
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def text(name: str) -> str:
    """A name of somebody else's as text, whatever its bytes are."""
    return os.fsencode(name).decode(errors="replace")


def targets() -> list[str]:
    """The names of all targets."""
    return [name for name in configfs.folders(configfs.ISCSI) if is_target(name)]


def is_target(name: str) -> bool:
    """Whether the folder of that name is a target's: beside them are the fabric's own, such as discovery_auth."""
    return name.startswith(("iqn.", "eui.", "naa."))


def of_target(target: str) -> Iterator[Fact]:
    """A target and everything in it. Raises OSError when a folder or an attribute vanishes during the scan."""
    return (fact for key in _keys_of_target(target) if (fact := _read(key)))


def _keys_of_target(target: str) -> Iterator[Key]:
    if not (configfs.ISCSI / target).exists():
        return
    yield (TargetNode, target)
    for tag in tags(target):
        yield from _keys_of_group(target, tag)


def _keys_of_group(target: str, tag: int) -> Iterator[Key]:
    path = configfs.group(target, tag)
    yield (Group, target, tag)
    for name in configfs.folders(f"{path}/lun"):
        yield (Unit, target, tag, _number(name))
    for initiator in configfs.folders(f"{path}/acls"):
        yield (Acl, target, tag, initiator)
        for name in configfs.folders(_acl(target, tag, initiator)):
            if name.startswith("lun_"):
                yield (Grant, target, tag, initiator, _number(name))
    yield from (listener.key for listener in listeners(target, tag))


def tags(target: str) -> list[int]:
    """The tags of the target's portal groups."""
    names = configfs.folders(configfs.ISCSI / target)
    return [int(name.removeprefix("tpgt_")) for name in names if name.startswith("tpgt_")]


def listeners(target: str, tag: int) -> Iterator[Listener]:
    """The portals of a portal group."""
    for name in configfs.folders(f"{configfs.group(target, tag)}/np"):
        if found := _ADDRESS.fullmatch(name):
            yield Listener(target, tag, found["address"], int(found["port"]))
        else:
            log.warning("ignoring the portal %s of %s: its name is no address", name, target)


def key(parts: tuple[str, ...]) -> Key | None:
    """The key of the object that has the folder or attribute of that path below `configfs.ROOT`, None for no object."""
    match parts:
        case ("core", hba, lun, *_) if is_ours(hba) and is_id(lun):
            return (Disk, lun, configfs.number(hba))
        case ("core", hba, _, *_) if configfs.number(hba) < -1:
            return some_disk(hba)
        case ("iscsi", target) if is_target(target):
            return (TargetNode, target)
        case ("iscsi", target, group, *rest) if is_target(target) and group.startswith("tpgt_"):
            return _key_in_group(target, int(group.removeprefix("tpgt_")), rest)
    return None


def some_disk(hba: str) -> Key:
    """The key of the disk that is or was in an HBA folder: of which LUN it is only the inventory knows."""
    return (Disk, "", configfs.number(hba))


def contents(target: str, group: str) -> Key:
    """The key of all that shall be in a portal group's folder: what that is only the inventory knows."""
    return (Group, target, int(group.removeprefix("tpgt_")), "")


def _key_in_group(target: str, tag: int, parts: list[str]) -> Key | None:
    match parts:
        case [] | ["enable"] | ["param", "TargetAlias"]:
            return (Group, target, tag)
        case ["attrib", name] if name in GROUP_ATTRIBUTES:
            return (Group, target, tag)
        case ["lun", unit, *_]:
            return (Unit, target, tag, _number(unit))
        case ["acls", initiator, unit, *_] if unit.startswith("lun_"):
            return (Grant, target, tag, initiator, _number(unit))
        case ["acls", initiator] | ["acls", initiator, "auth", *_]:
            return (Acl, target, tag, initiator)
        case ["np", name] if found := _ADDRESS.fullmatch(name):
            return (Listener, target, tag, found["address"], int(found["port"]))
    return None


def at(wanted: Key) -> Fact | None:
    """The fact of that key, None when there is no such object. Raises OSError when it cannot be read."""
    try:
        return _read(wanted)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _read(wanted: Key) -> Fact | None:
    match wanted:
        case (kind, str(target), int(tag), str(initiator), int(index)) if kind is Grant:
            return _grant(target, tag, initiator, index)
        case (kind, str(target), int(tag), int(index)) if kind is Unit:
            return _unit(target, tag, index)
        case (kind, str(target), int(tag), str(initiator)) if kind is Acl:
            return Acl(target, tag, initiator, _credentials(_acl(target, tag, initiator)))
        case (kind, str(lun), int(number)) if kind is Disk:
            return disk(lun, number)
        case (kind, str(target), int(tag)) if kind is Group:
            return group_itself(target, tag)
        case (kind, str(target)) if kind is TargetNode:
            return TargetNode(target) if (configfs.ISCSI / target).exists() else None
        case (kind, str(target), int(tag), str(address), int(port)) if kind is Listener:
            there = os.path.exists(configfs.listener(target, tag, address, port))
            return Listener(target, tag, address, port) if there else None
    raise ValueError(f"{wanted} is no key")


def is_ours(hba: str) -> bool:
    """Whether an HBA folder's name is one that a vdsprovd gives."""
    return configfs.number(hba) >= 0


def _disks() -> Iterator[tuple[str, str, int]]:
    """The folders of our disks, and of those of others that could be a LUN's, with the LUN and the number of each."""
    for hba in configfs.folders(configfs.CORE):
        number = configfs.number(hba)
        if number == -1:
            continue
        folder = f"{configfs.CORE}/{hba}"
        names = configfs.folders(folder)
        if number < 0 and len(names) > 1:
            continue
        for name in names:
            lun, _ = identified(hba, name)
            if is_id(lun):
                yield f"{folder}/{name}", lun, number


def disk(lun: str, number: int) -> Disk:
    """The storage object of that LUN, as the kernel describes it."""
    if number < 0:
        found = described(str(configfs.disk(lun, number)), lun, number)
        if found.serial != lun:
            raise FileNotFoundError(f"somebody else's disk is at the place of LUN {lun}")
        return found
    file, block = configfs.places(lun, number)
    try:
        return described(file, lun, number)
    except FileNotFoundError:
        return described(block, lun, number)


def described(folder: str, lun: str, number: int) -> Disk:
    """The storage object in that folder, as a disk."""
    block = folder.startswith(f"{configfs.CORE}/iblock")
    serial = _serial(folder)
    path, size = behind(folder, block=block)
    return Disk(lun, number, path, size, block, _access(folder), serial, _product(folder))


def behind(folder: str, *, block: bool) -> tuple[str, int]:
    """The path of a storage object's bytes, and its size if that is a file. One that a crash left half made has no file
    yet: no path tells so."""
    if block:
        return configfs.read(f"{folder}/udev_path"), 0
    found = _INFO.search(configfs.read(f"{folder}/info"))
    return (found["path"], int(found["size"])) if found else ("", 0)


def _serial(folder: Path | str) -> str:
    return configfs.read(f"{folder}/wwn/vpd_unit_serial").rpartition(": ")[2]


def _product(folder: str) -> str:
    try:
        return configfs.read(f"{folder}/wwn/product_id")
    except FileNotFoundError:  # kernels before 5.9 have none
        return PRODUCT


def _access(folder: str) -> Access:
    try:
        return Access(int(configfs.read(f"{folder}/{ACCESS}")))
    except (FileNotFoundError, ValueError):
        # Half made; or in a state that we do not set, which is put right like any other setting.
        return Access.UNAVAILABLE


def identity(folder: Path) -> Identity:
    """What the kernel answers initiators about the storage object, from the attributes of which it makes its answer."""
    serial = _serial(folder)
    vendor, product, revision, company = (
        configfs.read(folder / "wwn" / name) if (folder / "wwn" / name).exists() else default
        for name, default in IDENTITY.items()
    )
    group = _LU_GROUP.search(configfs.read(folder / "alua_lu_gp"))
    return Identity(
        f"{vendor:<8}",
        f"{product:<16}",
        f"{revision:<4}",
        serial,
        (
            designators.naa(serial, int(company, 16)),
            designators.t10(vendor, product, serial),
            *([designators.logical_unit_group(int(group[1]))] if group else []),
        ),
    )


def group_itself(target: str, tag: int) -> Group:
    """A portal group alone. Raises OSError when it is not there."""
    path = configfs.group(target, tag)
    return Group(
        target,
        tag,
        enabled=configfs.read(f"{path}/enable") == "1",
        alias=configfs.read(f"{path}/param/TargetAlias"),
        **{field: configfs.read(f"{path}/attrib/{name}") == "1" for name, field in GROUP_ATTRIBUTES.items()},
    )


def path_status(unit: Unit) -> PathStatus:
    """What the ALUA states of the logical unit's port mean for the paths through it."""
    folder = f"{configfs.group(unit.target, unit.tag)}/lun/lun_{unit.index}"
    states = dict(_ALUA.findall(configfs.read(f"{folder}/alua_tg_pt_gp")))
    if states["Secondary"] == "Offline":
        return PathStatus.FAILED
    # In all other states (unavailable, offline, in transition) the kernel refuses to read and write.
    return {
        "Active/Optimized": PathStatus.ONLINE,
        "Active/NonOptimized": PathStatus.ONLINE,
        "Standby": PathStatus.STANDBY,
    }.get(states["Primary"], PathStatus.FAILED)


def _unit(target: str, tag: int, index: int) -> Unit:
    *_, hba, name = f"/{configfs.target_of(f'{configfs.group(target, tag)}/lun/lun_{index}')}".rsplit("/", 2)
    return Unit(target, tag, index, *identified(hba, name))


def _acl(target: str, tag: int, initiator: str) -> str:
    return f"{configfs.group(target, tag)}/acls/{initiator}"


def _grant(target: str, tag: int, initiator: str, index: int) -> Grant:
    unit = configfs.target_of(f"{_acl(target, tag, initiator)}/lun_{index}").rpartition("/")[2]
    return Grant(target, tag, initiator, index, _number(unit) if unit else -1)


def _number(folder: str) -> int:
    return int(folder.removeprefix("lun_"))


def _credentials(acl: str) -> Credentials:
    values = {field: configfs.read(f"{acl}/auth/{name}") for name, field in AUTHENTICATION.items()}
    return Credentials(**{field: Secret(value) for field, value in values.items() if value not in _UNSET})
