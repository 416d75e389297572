"""What others have made in LIO, closely: the facts of it, and the settings that no fact tells.

A setting that initiators would notice, or that decides who gets in, is an obstacle if the provider does not have it; the
rest lapse when the object is made anew. The tables say what one of ours has there.
"""

import re
from collections.abc import Callable, Container, Iterator, Mapping
from functools import partial
from pathlib import Path

from vdsprovd.hardware import Access, Disk, Fact, Key, Stranger, Unit, designators
from vdsprovd.hardware.lio import configfs, reader
from vdsprovd.ids import is_id
from vdsprovd.model import ForeignType

_DISK = {
    "emulate_3pc": "1",
    "emulate_caw": "1",
    "emulate_dpo": "1",
    "emulate_fua_write": "1",
    "emulate_pr": "1",
    "emulate_rest_reord": "0",
    "emulate_rsoc": "1",
    "emulate_tas": "1",
    "emulate_tpu": "0",
    "emulate_tpws": "0",
    "emulate_ua_intlck_ctrl": "0",
    "enforce_pr_isids": "1",
    "force_pr_aptpl": "0",
    "submit_type": "0",
    "complete_type": "0",
    "unmap_zeroes_data": "0",
}
_GROUP = {
    "cache_dynamic_acls": "0",
    "default_cmdsn_depth": "64",
    "default_erl": "0",
    "demo_mode_write_protect": "1",
    "fabric_prot_type": "0",
    "login_keys_workaround": "1",
    "login_timeout": "15",
    "t10_pi": "0",
    "tpg_enabled_sendtargets": "1",
}
_PARAMETERS = {
    "DataDigest": "CRC32C,None",
    "DataPDUInOrder": "Yes",
    "DataSequenceInOrder": "Yes",
    "DefaultTime2Retain": "20",
    "DefaultTime2Wait": "2",
    "ErrorRecoveryLevel": "0",
    "FirstBurstLength": "65536",
    "HeaderDigest": "CRC32C,None",
    "ImmediateData": "Yes",
    "InitialR2T": "Yes",
    "MaxBurstLength": "262144",
    "MaxConnections": "1",
    "MaxOutstandingR2T": "1",
    "MaxRecvDataSegmentLength": "8192",
    "MaxXmitDataSegmentLength": "262144",
}
_ACL = {
    "attrib/dataout_timeout": "3",
    "attrib/dataout_timeout_retries": "5",
    "attrib/default_erl": "0",
    "attrib/nopin_response_timeout": "30",
    "attrib/nopin_timeout": "15",
    "cmdsn_depth": "64",
}
_UNSET = ("", "NULL")
_ASYNC = re.compile(r"Async: 1")
_READ_ONLY = re.compile(r"readonly: 1")


def strangers(targets: Container[str], disks: Container[Key]) -> Iterator[Stranger]:
    """All but these targets and disks. What cannot be read has that for an obstacle."""
    for hba, name in reader.storage_objects():
        if (Disk, *reader.identified(hba, name)) not in disks:
            yield _read(ForeignType.STORAGE_OBJECT, f"{hba}/{name}", partial(_storage, hba, name))
    for target in configfs.folders(configfs.ISCSI):
        if not reader.is_target(target):
            continue
        if target in targets:
            yield from _strange_units(target, disks)
        else:
            yield _read(ForeignType.TARGET, target, partial(_target, target))


def _strange_units(target: str, disks: Container[Key]) -> Iterator[Stranger]:
    for fact in reader.of_target(target):
        if isinstance(fact, Unit) and fact.number < 0 and (Disk, fact.lun, fact.number) not in disks:
            name = f"{target}/tpgt_{fact.tag}/lun/lun_{fact.index}"
            yield Stranger(ForeignType.LOGICAL_UNIT, name, (fact,))


Found = tuple[list[Fact], list[str], list[str]]
"""Facts, lapses, obstacles."""


def _read(type: ForeignType, name: str, read: Callable[[], Found]) -> Stranger:
    try:
        facts, lapses, obstacles = read()
    except OSError as error:
        return Stranger(type, reader.text(name), obstacles=(f"it cannot be read: {error.strerror}",))
    return Stranger(type, reader.text(name), tuple(facts), tuple(lapses), tuple(obstacles))


def _storage(hba: str, name: str) -> Found:
    folder = configfs.CORE / hba / name
    lun, number = reader.identified(hba, name)
    if number == -1:
        return [], [], ["the provider has files and block devices, and this is neither"]
    if len(configfs.folders(folder.parent)) > 1:
        return [], [], [f"other storage objects are in {hba} with it, which neither targetcli nor the provider makes"]
    if _value(folder / "enable") != "1":
        return [], [], ["it is not configured"]
    disk = reader.described(str(folder), lun, number)
    obstacles = list(_disk_obstacles(folder, disk))
    if is_id(disk.serial):
        return [disk], [*_disk_lapses(folder)], obstacles
    why = (
        f"its serial number is {disk.serial!r}, and a LUN's is its id, a UUID in lower case, for life: initiators would find "
        "another disk; copy its bytes into a LUN"
    )
    return [], [*_disk_lapses(folder)], [why, *obstacles]


def _disk_lapses(folder: Path) -> Iterator[str]:
    if _value(folder / "attrib/emulate_write_cache") == "1":
        yield "it has a write cache, and is write-through after the next boot"
    if _ASYNC.search(configfs.read(folder / "info")):
        yield "it is read and written asynchronously (aio), and is not after the next boot"
    yield from _differences(folder / "attrib", _DISK)


def _disk_obstacles(folder: Path, disk: Disk) -> Iterator[str]:
    sector, usual = _value(folder / "attrib/block_size"), _value(folder / "attrib/hw_block_size")
    if sector != usual:
        yield f"its sectors have {sector} bytes, and a LUN's there would have {usual}: initiators would find other bytes"
    if _READ_ONLY.search(configfs.read(folder / "info")):
        yield "it is read-only, and a LUN is not"
    if _value(folder / "attrib/pi_prot_type") not in ("0", ""):
        yield "it has protection information (T10 PI), and a LUN has none"
    vendor, company = _value(folder / "wwn/vendor_id"), _value(folder / "wwn/company_id")
    if vendor not in (reader.IDENTITY["vendor_id"], "") or (company and int(company, 16) != designators.COMPANY):
        yield f"its vendor is {vendor}, {company}, and initiators would find another disk; a LUN's is LIO's"
    if groups := [name for name in configfs.folders(folder / "alua") if name != "default_tg_pt_gp"]:
        yield f"it has ALUA target port groups ({', '.join(groups)}), and a LUN has the one of its controller's port"
    if "Alias: default_lu_gp" not in configfs.read(folder / "alua_lu_gp"):
        yield "it is in an ALUA logical unit group of its own, and a LUN is in none"
    if disk.access is not Access.ACTIVE:
        yield "its ALUA state is not active/optimized; set that first"
    if not (disk.product.isascii() and disk.product.isprintable()):
        yield "its product identification is no ASCII"
    if any(character in disk.path for character in ",\n"):
        yield f"the kernel cannot be told {disk.path!r} again, should that be needed: it takes a comma for the end"


def _target(target: str) -> Found:
    facts = list(reader.of_target(target))
    lapses: list[str] = []
    obstacles: list[str] = []
    if _value(configfs.ISCSI / "discovery_auth/enforce_discovery_auth") == "1":
        obstacles.append(
            "discovery needs a CHAP secret on this host, which the provider would not set after the next boot; turn that "
            "off first: targetcli /iscsi set discovery_auth enable=0"
        )
    for tag in reader.tags(target):
        group = Path(configfs.group(target, tag))
        obstacles += _group_obstacles(target, tag, group)
        lapses += _group_lapses(group)
        for initiator in configfs.folders(group / "acls"):
            acl = group / "acls" / initiator
            obstacles += _acl_obstacles(initiator, acl)
            lapses += (f"{text} for {initiator}" for text in _differences(acl, _ACL))
        for portal in configfs.folders(group / "np"):
            obstacles += (
                f"portal {portal} is one of {kind}, and the provider's are of TCP"
                for kind in ("iser", "cxgbit")
                if _value(group / "np" / portal / kind) == "1"
            )
    return facts, list(dict.fromkeys(lapses)), list(dict.fromkeys(obstacles))


def _group_obstacles(target: str, tag: int, group: Path) -> Iterator[str]:
    tpg = f"/iscsi/{target}/tpg{tag}"
    if _value(group / "attrib/generate_node_acls") == "1":
        yield (
            f"portal group {tag} lets in everybody (demo mode, generate_node_acls=1), and the provider only whom a mask "
            f"names; make an ACL for each initiator (targetcli {tpg}/acls create INITIATOR), then targetcli {tpg} set "
            "attribute generate_node_acls=0, and let them log in again"
        )
    if _value(group / "attrib/prod_mode_write_protect") == "1":
        yield f"portal group {tag} is read-only (prod_mode_write_protect=1), and a LUN is not"


def _group_lapses(group: Path) -> Iterator[str]:
    if _value(group / "attrib/demo_mode_discovery") == "1":
        yield "who has no ACL finds it in discovery, and does not after the next boot"
    yield from _differences(group / "attrib", _GROUP)
    yield from _differences(group / "param", _PARAMETERS)
    if _value(group / "auth/userid") not in _UNSET:
        yield "the CHAP names and secrets of the portal group itself, which are for demo mode, are not set after the next boot"


def _acl_obstacles(initiator: str, acl: Path) -> Iterator[str]:
    if _value(acl / "attrib/authentication") not in ("-1", ""):
        yield f"{initiator} has a setting of its own for authentication, and the provider has one for the target"
    for name in configfs.folders(acl):
        if name.startswith("lun_") and _value(acl / name / "write_protect") == "1":
            yield f"{initiator} may only read {name}, and to whom a LUN is unmasked may write; targetcli cannot change that live"


def _differences(folder: Path, usual: Mapping[str, str]) -> Iterator[str]:
    for name, value in usual.items():
        if (found := _value(folder / name)) not in (value, ""):
            yield f"{name.rpartition('/')[2]} is {found}, and {value} after the next boot"


def _value(path: Path) -> str:
    """An attribute's text; "" where this kernel has none of that name."""
    try:
        return configfs.read(path).strip()
    except FileNotFoundError:
        return ""
