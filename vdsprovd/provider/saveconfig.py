"""What the provider exports as targetcli saves it: for hosts that go on without vdsprovd.

It is made of the facts that the kernel shall have, so it says what initiators see and nothing else. Secrets are not in it:
the store's go nowhere but to the kernel.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from vdsprovd.hardware import PRODUCT, Access, Acl, Disk, Fact, Grant, Group, Listener, TargetNode, Unit
from vdsprovd.inventory import Inventory, Lun
from vdsprovd.provider import facts

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_MODEL = 16
"""Bytes of a name that initiators see as the product."""
_CLOSED = {"generate_node_acls": 0, "demo_mode_discovery": 0, "demo_mode_write_protect": 1}


class Saved(NamedTuple):
    """The configuration as JSON; the ACLs that have secrets, which it does not have, as target and initiator; and for people
    what else is not in it."""

    text: str
    secrets: tuple[str, ...]
    missing: tuple[str, ...]


def saved(inventory: Inventory, local: Iterable[str]) -> Saved:
    """The configuration of all that is exported. `local` are the names of this host's initiators."""
    wanted = sorted(facts.of_everything(inventory, tuple(local)), key=lambda fact: (fact.rank, fact.key[1:]))
    names = _names(inventory)
    storage = [_storage(fact, names[fact.lun]) for fact in wanted if isinstance(fact, Disk)]
    kinds = {fact.lun: _plugin(fact) for fact in wanted if isinstance(fact, Disk)}
    targets = [_target(fact.target, wanted, names, kinds) for fact in wanted if isinstance(fact, TargetNode)]
    secrets = {
        f"{fact.target} {fact.initiator}": None
        for fact in wanted
        if isinstance(fact, Acl) and (fact.credentials.secret or fact.credentials.mutual_secret)
    }
    missing = [
        f"LUN {lun.id} ({lun.name or 'without a name'}): its volume cannot be used: {lun.reason}"
        for lun in inventory.all(Lun)
        if not lun.exported
    ]
    if changed := sum(names[lun.id] != lun.product for lun in inventory.all(Lun) if lun.exported):
        missing.append(
            f"the product that {changed} LUNs say they are ({PRODUCT}): rtslib cannot save it; serial numbers and WWIDs stay, "
            "names that are made of the product change"
        )
    text = json.dumps({"fabric_modules": [], "storage_objects": storage, "targets": targets}, indent=2, sort_keys=True)
    return Saved(f"{text}\n", tuple(secrets), tuple(missing))


def _names(inventory: Inventory) -> dict[str, str]:
    """What each LUN's storage object is called: as it was when it was adopted, as people call it, or by its id."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for lun in sorted(inventory.all(Lun), key=lambda lun: (lun.product == PRODUCT, lun.id)):
        own = lun.product if lun.product != PRODUCT else lun.name
        name = own if _NAME.fullmatch(own) and own not in taken else lun.id
        taken.add(name)
        found[lun.id] = name
    return found


def _plugin(disk: Disk) -> str:
    return "block" if disk.block else "fileio"


def _storage(disk: Disk, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "attributes": {"emulate_model_alias": int(name[:_MODEL] == disk.product)},
        "dev": disk.path,
        "name": name,
        "plugin": _plugin(disk),
        "write_back": False,
        "wwn": disk.serial,
    }
    if disk.access is not Access.ACTIVE:
        group = {"name": "default_tg_pt_gp", "tg_pt_gp_id": 0, "alua_access_state": disk.access.value}
        found["alua_tpgs"] = [group]
    return found | ({"readonly": False} if disk.block else {"aio": False, "size": disk.size})


def _target(name: str, wanted: Iterable[Fact], names: Mapping[str, str], kinds: Mapping[str, str]) -> dict[str, Any]:
    groups: dict[int, dict[str, Any]] = {}
    acls: dict[tuple[int, str], dict[str, Any]] = {}
    for fact in wanted:
        if getattr(fact, "target", "") != name:
            continue
        match fact:
            case Group(_, tag, enabled, authentication, alias):
                groups[tag] = {
                    "attributes": {**_CLOSED, "authentication": int(authentication)},
                    "enable": enabled,
                    "luns": [],
                    "node_acls": [],
                    "parameters": {"TargetAlias": alias},
                    "portals": [],
                    "tag": tag,
                }
            case Unit(_, tag, index, lun):
                path = f"/backstores/{kinds[lun]}/{names[lun]}"
                groups[tag]["luns"].append({"index": index, "storage_object": path})
            case Acl(_, tag, initiator):
                acls[tag, initiator] = {"mapped_luns": [], "node_wwn": initiator}
                groups[tag]["node_acls"].append(acls[tag, initiator])
            case Grant(_, tag, initiator, index, unit):
                mapped = {"index": index, "tpg_lun": unit, "write_protect": False}
                acls[tag, initiator]["mapped_luns"].append(mapped)
            case Listener(_, tag, address, port):
                host = f"[{address}]" if ":" in address else address
                portal = {"ip_address": host, "iser": False, "offload": False, "port": port}
                groups[tag]["portals"].append(portal)
    return {"fabric": "iscsi", "tpgs": list(groups.values()), "wwn": name}
