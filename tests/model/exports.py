"""What the host holds, as the model's lines: the simulator's facts, or a plain walk of configfs."""

import os
import re
from pathlib import Path

from tests.arrays import Array, LioArray, SimulatedArray
from tests.model.vds_model import Line
from vdsprovd.hardware import Acl, Disk, Grant, Group, Listener, Step, TargetNode, Unit
from vdsprovd.hardware.simulator import SimulatedPool

CONFIGFS = Path("/sys/kernel/config/target")
POOLS = (("array0", "files0"), ("array1", "spare0"))
_GRANTS_NOTHING_ITSELF = {"generate_node_acls": "0", "demo_mode_discovery": "0", "demo_mode_write_protect": "1"}
_CREDENTIALS = ("userid", "password", "userid_mutual", "password_mutual")


def exports(array: Array) -> set[Line]:
    """All that the host holds: its target and the pools' volumes."""
    if isinstance(array, LioArray):
        return _walk() | _files(array)
    assert isinstance(array, SimulatedArray)
    return _facts(array)


def remove_portal(array: Array, target: str, tag: int, address: str, port: int) -> None:
    """Somebody removes one portal of a portal group, behind the daemon's back."""
    if isinstance(array, SimulatedArray):
        array.hardware.take(Step(Listener(target, tag, address, port), None))
    else:
        (CONFIGFS / "iscsi" / target / f"tpgt_{tag}" / "np" / f"{address}:{port}").rmdir()


def _facts(array: SimulatedArray) -> set[Line]:
    found: set[Line] = set()
    for (name, _), pool in array.pools.items():
        assert isinstance(pool, SimulatedPool)
        found |= {("volume", name, lun, size) for lun, size in pool.sizes.items()}
    facts = list(array.hardware.facts.values())
    units = {(fact.target, fact.tag, fact.index): fact.lun for fact in facts if isinstance(fact, Unit)}
    for fact in facts:
        match fact:
            case Disk(lun=lun, size=size):
                found.add(("disk", lun, size))
            case TargetNode(target):
                found.add(("target", target))
            case Group(target, tag, enabled, authentication, alias):
                found.add(("group", target, tag, enabled, authentication, alias))
            case Unit(target, tag, index, lun):
                found.add(("unit", target, tag, index, lun))
            case Acl(target, tag, initiator, credentials):
                secrets = (credentials.user, credentials.secret, credentials.mutual_user, credentials.mutual_secret)
                found.add(("acl", target, tag, initiator, *(str(entry) if entry else None for entry in secrets)))
            case Grant(target, tag, initiator, index, unit):
                found.add(("mapped", target, tag, initiator, index, units[target, tag, unit]))
            case Listener(target, tag, address, port):
                found.add(("portal", target, tag, address, port))
    return found


def _walk() -> set[Line]:
    found: set[Line] = set()
    for hba in (CONFIGFS / "core").glob("fileio_*"):
        disks = [folder for folder in hba.iterdir() if folder.is_dir()]
        assert len(disks) == 1, f"{hba} holds {disks}"
        for disk in disks:
            size = re.search(r"\bSize: (\d+)", _text(disk / "info"))
            assert size, _text(disk / "info")
            assert _text(disk / "wwn/vpd_unit_serial").endswith(disk.name)
            found.add(("disk", disk.name, int(size[1])))
    for target in (CONFIGFS / "iscsi").iterdir():
        if target.is_dir() and target.name != "discovery_auth":
            found.add(("target", target.name))
            for group in target.glob("tpgt_*"):
                found |= _group(target.name, group)
    return found


def _group(target: str, group: Path) -> set[Line]:
    place = (target, _number(group))
    for name, value in _GRANTS_NOTHING_ITSELF.items():
        assert _text(group / "attrib" / name) == value
    flags = (_text(group / "enable") == "1", _text(group / "attrib/authentication") == "1")
    found: set[Line] = {("group", *place, *flags, _text(group / "param/TargetAlias"))}
    for unit in (group / "lun").iterdir():
        found.add(("unit", *place, _number(unit), _linked(unit).name))
    for acl in (group / "acls").iterdir():
        values = (_text(acl / "auth" / name) for name in _CREDENTIALS)
        found.add(("acl", *place, acl.name, *(None if value in ("", "NULL") else value for value in values)))
        for mapped in acl.glob("lun_*"):
            assert _text(mapped / "write_protect") == "0"
            unit = group / "lun" / _linked(mapped).name
            found.add(("mapped", *place, acl.name, _number(mapped), _linked(unit).name))
    for portal in (group / "np").iterdir():
        address, _, port = portal.name.rpartition(":")
        found.add(("portal", *place, address, int(port)))
    return found


def _files(array: LioArray) -> set[Line]:
    return {
        ("volume", name, file.stem, file.stat().st_size)
        for name, pool in POOLS
        for file in (array.pools_folder / pool).iterdir()
    }


def _text(file: Path) -> str:
    return file.read_text().rstrip("\n\0")


def _number(folder: Path) -> int:
    return int(folder.name.rpartition("_")[2])


def _linked(folder: Path) -> Path:
    """Where the one link in the folder leads."""
    (link,) = (entry for entry in folder.iterdir() if entry.is_symlink())
    return Path(os.readlink(link))
