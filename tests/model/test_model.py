"""Random commands against the daemon and against a model of the VDS rules: both have to say the same, always.

After every command the code that it answered, every query, and what the host holds are compared; at the end of a
sequence once more, after a restart and after a reboot. A failure prints the shortest sequence that shows it.

The sequences are the same on every run. VDSPROVD_MODEL_SEED=7 gives others, VDSPROVD_MODEL_COMMANDS=20000 more of them.
"""

import functools
import itertools
import json
import logging
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, Phase, note, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.arrays import (
    DISK_SIZE,
    INITIATOR,
    MIB,
    OTHER_INITIATOR,
    SPACE,
    Array,
    Failed,
    LioArray,
    SimulatedArray,
    clear_kernel,
)
from tests.model.exports import POOLS, exports, remove_portal
from tests.model.vds_model import NOT_FOUND, Codes, Model, Portal, SubSystem
from vdsprovd.hresult import Hresult

STEPS = 30
"""Commands in a sequence."""

BATCH = settings(
    # From the tenth on hypothesis makes them of those before, and most would have the same few commands.
    max_examples=9,
    stateful_step_count=STEPS,
    database=None,
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)

SHRINKING = 900
"""Seconds that a failure may take: hypothesis gives itself five minutes to find the shortest sequence."""

UNKNOWN = "00000000-0000-0000-0000-000000000000"
_GOOD = ("twelve-bytes", "sixteen-bytes-16")
SECRETS = (*_GOOD, *_GOOD, *_GOOD, None, "", "short", "seventeen-bytes-x", "NULL-is-none")
NAMES = ("", "disk", "Größe 3, b", "a" * 255, "é" * 128, "\N{OPTICAL DISC}" * 64, "None", "two\nlines")
ISCSI_NAMES = (
    None,
    "",
    "iqn.2026-11.org.example:one",
    "IQN.2026-11.org.example:One",
    "iqn.2026-11.org.example:two",
    "eui.0123456789abcdef",
    "naa.5000000000000001",
    "naa.6000000000000001",
    "iqn.2026-13.org.example",
    "no name",
    "iqn.2026-11.org.example:" + "x" * 200,
)
MASKS = (
    "",
    "*",
    INITIATOR,
    OTHER_INITIATOR,
    f"{OTHER_INITIATOR};{INITIATOR}",
    f"{INITIATOR.upper()} ; {INITIATOR};",
    f"*;{INITIATOR}",
    "nobody",
)
# Either fits wherever others of its kind do, or nowhere at all where another one is.
SIZES = (MIB, 1, 4096, 5000, 3 * MIB, 600 * MIB, 0, -1, 1 << 50, (1 << 63) - 1)
STATUSES = ("offline", "online", "offline", "online", "offline", "unknown", "not_ready", "failed")


@dataclass
class Tally:
    """What was run, over all sequences: a test that does nothing must not pass."""

    commands: int = 0
    queries: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By method and the code that it answered."""
    proofs: int = 0
    """How often the cache was proven corrupt."""


def command(**strategies: Any) -> Callable[[Callable[..., Any]], Any]:
    """A rule of hypothesis that is counted."""

    def mark(function: Callable[..., Any]) -> Any:
        @functools.wraps(function)
        def counted(self: "Commands", **values: Any) -> Any:
            self.tally.rules[function.__name__] += 1
            self.agreed = False
            return function(self, **values)

        return cast(Any, rule)(**strategies)(counted)

    return mark


class Commands(RuleBasedStateMachine):
    """A client that calls anything with anything, and a model that knows what has to come of it."""

    luns = Bundle[str]("luns")
    targets = Bundle[str]("targets")
    groups = Bundle[str]("groups")

    sub_system_names = st.sampled_from(["array0", "array0", "array0", "array1"])
    portal_names = st.sampled_from(["array0 3260", "array0 3261", "array0 3260", "array0 3261", "array1 3260", "none"])

    def __init__(self, array: Array, tally: Tally) -> None:
        super().__init__()
        self.array = array
        self.tally = tally
        self.agreed = False
        """Whether model and daemon agreed after the last command: else the end has nothing to add."""
        self._was_corrupt = False
        self.array.configuration["subsystem"][1]["require-chap"] = False
        self.array.start()
        self.model = self._first_look()
        self.sub_systems = {entry.name: entry.id for entry in self.model.sub_systems.values()}
        self.portals = {
            f"{self.model.sub_systems[entry.sub_system].name} {entry.port}": entry.id
            for entry in self.model.portals.values()
        }
        assert len(self.portals) == 4

    def _first_look(self) -> Model:
        """What a new daemon has got by its configuration."""
        found = {entry["friendlyName"]: entry for entry in self.array.call("HwProvider.QuerySubSystems")["subSystems"]}
        pools = {
            entry["name"]: entry["id"]
            for entry in self.array.call("HwProviderStoragePools.QueryStoragePools")["storagePools"]
        }
        sub_systems = [
            SubSystem(
                found[name], name, pools[pool], require_chap=name == "array0", has_import_targets=name == "array0"
            )
            for name, pool in POOLS
        ]
        portals = [
            Portal(portal["id"], entry.id, portal["address"]["textAddress"], portal["address"]["port"])
            for entry in sub_systems
            for portal in self.array.call("SubSystemIscsi.QueryPortals", id=entry.id)["portals"]
        ]
        space = SPACE if isinstance(self.array, SimulatedArray) else DISK_SIZE
        return Model(sub_systems, portals, [INITIATOR], space)

    # How a command is given, and what is compared.

    def expect(self, codes: Codes, method: str, **parameters: Any) -> str:
        """Call the method, wait for what it starts, and compare the code in the end with those that the model allows;
        gives the id of what was made."""
        found, made = self._answer(method, parameters)
        self.tally.commands += 1
        self.tally.proofs += self.model.corrupt and not self._was_corrupt
        self._was_corrupt = self.model.corrupt
        self.tally.pairs[method, found] += 1
        assert found in codes, f"{method} answered {found}; by the rules it is {' or '.join(sorted(codes))}"
        return made

    def _answer(self, method: str, parameters: dict[str, Any]) -> tuple[str, str]:
        try:
            reply = self.array.call(method, **parameters)
            result = self.array.result(reply) if "async" in reply else reply
        except Failed as error:
            note(f"{method} {parameters}: {error}")
            return error.symbol, ""
        code = Hresult(result.get("hresult") or reply.get("hresult") or 0).name
        note(f"{method} {parameters}: {code} {result}")
        return code, result.get("object") or ""

    def _forget_deviations(self, found: Any) -> None:
        """What somebody took away is noticed soon, the model cannot know when; what nobody touched never deviates."""
        if isinstance(found, dict):
            assert not found.pop("reason", "")
            if found.pop("deviation", ""):
                assert self.model.lost
                if found.get("status") == "not_ready":
                    found["status"] = "online"
            found = list(found.values())
        if isinstance(found, list):
            for entry in found:
                self._forget_deviations(entry)

    @invariant()
    def queries_agree(self) -> None:
        """Every query answers what the model says, also with a corrupt cache and about what was deleted."""
        for query in self.model.queries():
            self.tally.queries += 1
            try:
                reply: dict[str, Any] | str = self.array.call(query.method, **query.parameters)
            except Failed as error:
                reply = error.symbol
            self._forget_deviations(reply)
            expected = query.reply
            if not query.ordered:
                reply, expected = _sorted(reply), _sorted(expected)
            assert reply == expected, f"{query.method} {query.parameters}"
        if isinstance(self.array, SimulatedArray) and not self.model.corrupt:
            for id in self.sub_systems.values():
                largest = self.array.call("SubSystem.QueryMaxLunCreateSize", id=id, type="simple")["maxLunSize"]
                assert largest == self.model.free(id)

    @invariant()
    def host_agrees(self) -> None:
        """The host holds what the model says, no more and no less, whatever state the cache is in."""
        found = exports(self.array)
        for line in found:
            match line:
                case ("unit", str(target), int(), int(number), str(lun)):
                    self.model.number_seen(target, lun, number)
        expected = self.model.exports()
        surplus, lack = found - expected, expected - found
        assert not (surplus or lack), f"the host holds what it should not: {surplus}; and lacks: {lack}"
        self.agreed = True

    def teardown(self) -> None:
        """The end of a sequence: a new daemon, and one on a host that lost its configuration, have the same again."""
        try:
            if self.agreed:
                if self.model.corrupt:
                    self.recover()
                    self.queries_agree()
                    self.host_agrees()
                for again in (self.array.restart, self.array.reboot):
                    again()
                    self.model.restarted()
                    self.queries_agree()
                    self.host_agrees()
            elif isinstance(self.array, LioArray):
                note(self.array.log.read_text())
        finally:
            self.array.stop()

    # Subsystems.

    def _begin(self) -> None:
        """To begin with there is something to give commands to: few sequences would get far without."""
        if self.model.luns:
            return
        for mask in (INITIATOR, "*", OTHER_INITIATOR):
            self._create_lun("array0", "simple", MIB, mask, [])
        for _ in range(2):
            target = self._create_target("array0", None, "")
            self._add_portal(self._create_group(target), "array0 3260")
        first, *_ = self.model.targets
        for lun in list(self.model.luns)[:2]:
            codes = self.model.associate_targets(lun, [first])
            self.expect(codes, "LunIscsi.AssociateTargets", id=lun, targetIds=[first])
        self._create_target("array1", None, "")

    @initialize(target=luns)
    def begin_with_luns(self) -> MultipleResults[str]:
        """The LUNs."""
        self._begin()
        return multiple(*self.model.luns)

    @initialize(target=targets)
    def begin_with_targets(self) -> MultipleResults[str]:
        """The targets."""
        self._begin()
        return multiple(*self.model.targets)

    @initialize(target=groups)
    def begin_with_groups(self) -> MultipleResults[str]:
        """Their portal groups."""
        self._begin()
        return multiple(*self.model.groups)

    def _create_lun(self, name: str, type: str, size: int, mask: str, drives: list[str]) -> str:
        id = self.sub_systems.get(name, UNKNOWN)
        made = self.expect(
            self.model.create_lun(id, type, size, mask, drives),
            "SubSystem.CreateLun",
            id=id,
            type=type,
            sizeInBytes=size,
            unmaskingList=mask,
            driveIds=drives,
        )
        return self._lun_created(made, id, size, mask)

    def _lun_created(self, made: str, sub_system: str, size: int, mask: str) -> str:
        if made:
            number = self.array.call("LunNumber.GetLunNumber", id=made)["lunNumber"]
            self.model.lun_created(made, sub_system, number, size, mask)
        return made

    @command(
        target=luns,
        name=sub_system_names,
        type=st.sampled_from(["simple", "simple", "default", "non_fault_tolerant", "mirror", "unknown"]),
        size=st.sampled_from(SIZES),
        mask=st.sampled_from(MASKS),
        drives=st.sampled_from([[], [], [], ["no-drive"]]),
    )
    def create_lun(self, **values: Any) -> MultipleResults[str]:
        """IVdsSubSystem::CreateLun."""
        return _made(self._create_lun(**values))

    @command(
        target=luns,
        pool=st.sampled_from(["array0", "array0", "array1", "none"]),
        size=st.sampled_from(SIZES),
        mask=st.sampled_from(MASKS),
    )
    def create_lun_in_pool(self, pool: str, size: int, mask: str) -> MultipleResults[str]:
        """IVdsHwProviderStoragePools::CreateLunInStoragePool."""
        owner = self.sub_systems.get(pool, "")
        id = self.model.sub_systems[owner].pool if owner else UNKNOWN
        made = self.expect(
            self.model.create_lun_in_pool(id, "simple", size, mask),
            "HwProviderStoragePools.CreateLunInStoragePool",
            storagePoolId=id,
            type="simple",
            sizeInBytes=size,
            unmaskingList=mask,
        )
        return _made(self._lun_created(made, owner, size, mask))

    def _create_target(self, name: str, iscsi_name: str | None, friendly_name: str) -> str:
        id = self.sub_systems[name]
        codes = self.model.create_target(id, iscsi_name)
        made = self.expect(
            codes, "SubSystemIscsi.CreateTarget", id=id, iscsiName=iscsi_name, friendlyName=friendly_name
        )
        if made:
            self.model.target_created(made, id, iscsi_name or self.array.name_of(made), friendly_name)
        return made

    @command(
        target=targets,
        name=sub_system_names,
        iscsi_name=st.sampled_from(ISCSI_NAMES),
        friendly_name=st.sampled_from(NAMES[:-1]),
    )
    def create_target(self, **values: Any) -> MultipleResults[str]:
        """IVdsSubSystemIscsi::CreateTarget."""
        return _made(self._create_target(**values))

    @command(name=sub_system_names, status=st.sampled_from([*STATUSES, "partially_managed"]))
    def set_sub_system_status(self, name: str, status: str) -> None:
        """IVdsSubSystem::SetStatus."""
        id = self.sub_systems[name]
        self.expect(self.model.set_sub_system_status(id, status), "SubSystem.SetStatus", id=id, status=status)

    @command(name=sub_system_names, friendly_name=st.sampled_from(NAMES))
    def name_sub_system(self, name: str, friendly_name: str) -> None:
        """IVdsSubSystemNaming::SetFriendlyName."""
        id = self.sub_systems[name]
        codes = self.model.name_sub_system(id, friendly_name)
        self.expect(codes, "SubSystemNaming.SetFriendlyName", id=id, friendlyName=friendly_name)

    @command(
        name=sub_system_names,
        iscsi_name=st.sampled_from(ISCSI_NAMES),
        computer=st.sampled_from([None, "Backup", "backup"]),
    )
    def set_import_target(self, name: str, iscsi_name: str | None, computer: str | None) -> None:
        """IVdsSubSystemImportTarget::SetImportTarget."""
        id = self.sub_systems[name]
        codes = self.model.set_import_target(id, iscsi_name, computer)
        self.expect(codes, "SubSystemImportTarget.SetImportTarget", id=id, iscsiName=iscsi_name, computer=computer)

    @command(name=sub_system_names)
    def reenumerate_sub_system(self, name: str) -> None:
        """IVdsSubSystem::Reenumerate."""
        id = self.sub_systems[name]
        self.expect(self.model.reenumerate_sub_system(id), "SubSystem.Reenumerate", id=id)

    # LUNs.

    @command(lun=luns)
    def delete_lun(self, lun: str) -> None:
        """IVdsLun::Delete."""
        self.expect(self.model.delete_lun(lun), "Lun.Delete", id=lun)

    @command(lun=luns, mask=st.sampled_from(MASKS))
    def set_mask(self, lun: str, mask: str) -> None:
        """IVdsLun::SetMask."""
        self.expect(self.model.set_mask(lun, mask), "Lun.SetMask", id=lun, unmaskingList=mask)

    @command(lun=luns, size=st.sampled_from(SIZES), drives=st.sampled_from([[], [], ["no-drive"]]))
    def extend(self, lun: str, size: int, drives: list[str]) -> None:
        """IVdsLun::Extend."""
        codes = self.model.extend(lun, size, drives)
        self.expect(codes, "Lun.Extend", id=lun, numberOfBytesToAdd=size, driveIds=drives)

    @command(lun=luns, size=st.sampled_from(SIZES))
    def shrink(self, lun: str, size: int) -> None:
        """IVdsLun::Shrink."""
        self.expect(self.model.shrink(lun, size), "Lun.Shrink", id=lun, numberOfBytesToRemove=size)

    @command(lun=luns, status=st.sampled_from(STATUSES))
    def set_lun_status(self, lun: str, status: str) -> None:
        """IVdsLun::SetStatus."""
        self.expect(self.model.set_lun_status(lun, status), "Lun.SetStatus", id=lun, status=status)

    @command(lun=luns, name=st.sampled_from(NAMES))
    def name_lun(self, lun: str, name: str) -> None:
        """IVdsLunNaming::SetFriendlyName."""
        self.expect(self.model.name_lun(lun, name), "LunNaming.SetFriendlyName", id=lun, friendlyName=name)

    @command(lun=luns, ids=st.lists(targets, max_size=3), unknown=st.sampled_from([False, False, False, True]))
    def associate_targets(self, lun: str, ids: list[str], unknown: bool) -> None:
        """IVdsLunIscsi::AssociateTargets: with targets named twice, deleted, of another subsystem, or unknown."""
        ids = [*ids, UNKNOWN] if unknown else ids
        self.expect(self.model.associate_targets(lun, ids), "LunIscsi.AssociateTargets", id=lun, targetIds=ids)

    @command(lun=luns, mask=st.sampled_from(MASKS))
    def give_access(self, lun: str, mask: str) -> None:
        """What hosts are served by: a mask, and all targets of the LUN's subsystem."""
        self.expect(self.model.set_mask(lun, mask), "Lun.SetMask", id=lun, unmaskingList=mask)
        owner = self.model.luns[lun].sub_system if lun in self.model.luns else ""
        ids = [id for id, target in self.model.targets.items() if target.sub_system == owner]
        self.expect(self.model.associate_targets(lun, ids), "LunIscsi.AssociateTargets", id=lun, targetIds=ids)

    # Targets.

    @command(id=targets)
    def delete_target(self, id: str) -> None:
        """IVdsIscsiTarget::Delete."""
        self.expect(self.model.delete_target(id), "IscsiTarget.Delete", id=id)

    def _create_group(self, id: str) -> str:
        codes = self.model.create_portal_group(id)
        made = self.expect(codes, "IscsiTarget.CreatePortalGroup", id=id)
        if made:
            tag = self.array.call("IscsiPortalGroup.GetProperties", id=made)["properties"]["tag"]
            self.model.portal_group_created(made, id, tag)
        return made

    @command(target=groups, id=targets)
    def create_portal_group(self, id: str) -> MultipleResults[str]:
        """IVdsIscsiTarget::CreatePortalGroup."""
        return _made(self._create_group(id))

    @command(target=groups, id=targets, portal=portal_names)
    def create_portal_group_with_a_portal(self, id: str, portal: str) -> MultipleResults[str]:
        """What makes a target reachable, at once: without it few sequences get there."""
        group = self._create_group(id)
        if group:
            self._add_portal(group, portal)
        return _made(group)

    @command(id=targets, name=st.sampled_from(NAMES))
    def name_target(self, id: str, name: str) -> None:
        """IVdsIscsiTarget::SetFriendlyName."""
        self.expect(self.model.name_target(id, name), "IscsiTarget.SetFriendlyName", id=id, friendlyName=name)

    @command(
        id=targets,
        secret=st.sampled_from(SECRETS),
        initiator=st.sampled_from([None, "", INITIATOR, OTHER_INITIATOR.upper(), "nobody"]),
    )
    def set_shared_secret(self, id: str, secret: str | None, initiator: str | None) -> None:
        """IVdsIscsiTarget::SetSharedSecret."""
        codes = self.model.set_shared_secret(id, secret, initiator)
        method = "IscsiTarget.SetSharedSecret"
        self.expect(codes, method, id=id, targetSharedSecret=secret, initiatorName=initiator)

    @command(
        id=targets,
        secret=st.sampled_from(SECRETS),
        initiator=st.sampled_from([INITIATOR, OTHER_INITIATOR, "nobody"]),
    )
    def remember_initiator_shared_secret(self, id: str, secret: str | None, initiator: str) -> None:
        """IVdsIscsiTarget::RememberInitiatorSharedSecret."""
        codes = self.model.remember_initiator_shared_secret(id, secret, initiator)
        method = "IscsiTarget.RememberInitiatorSharedSecret"
        self.expect(codes, method, id=id, initiatorName=initiator, initiatorSharedSecret=secret)

    @command(id=targets, secret=st.sampled_from(_GOOD), mutual_secret=st.sampled_from(_GOOD))
    def set_both_secrets(self, id: str, secret: str, mutual_secret: str) -> None:
        """Mutual CHAP, with the same secret in both directions or not."""
        self.set_shared_secret(id=id, secret=secret, initiator=INITIATOR)
        self.remember_initiator_shared_secret(id=id, secret=mutual_secret, initiator=INITIATOR)

    # Portal groups and portals.

    @command(group=groups)
    def delete_portal_group(self, group: str) -> None:
        """IVdsIscsiPortalGroup::Delete."""
        self.expect(self.model.delete_portal_group(group), "IscsiPortalGroup.Delete", id=group)

    def _add_portal(self, group: str, portal: str) -> None:
        """One portal, by its name here."""
        id = self.portals.get(portal, UNKNOWN)
        self.expect(self.model.add_portal(group, id), "IscsiPortalGroup.AddPortal", id=group, portalId=id)

    @command(group=groups, portal=portal_names)
    def add_portal(self, group: str, portal: str) -> None:
        """IVdsIscsiPortalGroup::AddPortal."""
        self._add_portal(group, portal)

    @command(group=groups, portal=portal_names)
    def remove_portal(self, group: str, portal: str) -> None:
        """IVdsIscsiPortalGroup::RemovePortal."""
        id = self.portals.get(portal, UNKNOWN)
        self.expect(self.model.remove_portal(group, id), "IscsiPortalGroup.RemovePortal", id=group, portalId=id)

    @command(portal=portal_names, status=st.sampled_from(STATUSES))
    def set_portal_status(self, portal: str, status: str) -> None:
        """IVdsIscsiPortal::SetStatus."""
        id = self.portals.get(portal, UNKNOWN)
        self.expect(self.model.set_portal_status(id, status), "IscsiPortal.SetStatus", id=id, status=status)

    # The cache, the daemon, and the world.

    @command()
    def reenumerate(self) -> None:
        """IVdsHwProvider::Reenumerate."""
        self.expect(self.model.reenumerate(), "HwProvider.Reenumerate")

    @command()
    def refresh(self) -> None:
        """IVdsHwProvider::Refresh."""
        self.expect(self.model.refresh(), "HwProvider.Refresh")

    @precondition(lambda self: self.model.corrupt)
    @command()
    def recover(self) -> None:
        """Refresh alone does not do it, the prescribed order does."""
        self.expect(self.model.refresh(), "HwProvider.Refresh")
        self.expect(self.model.reenumerate(), "HwProvider.Reenumerate")
        self.queries_agree()
        self.expect(self.model.refresh(), "HwProvider.Refresh")
        assert not self.model.corrupt

    @precondition(lambda self: self.model.listeners())
    @command(
        which=st.integers(0, 9),
        needed_by=st.sampled_from(["remove", "set_status", "delete", "nobody yet"]),
        rediscovered=st.booleans(),
    )
    def lose_portal(self, which: int, needed_by: str, rediscovered: bool) -> None:
        """Somebody removes a portal behind the daemon's back, and a command that needs it finds out, now or later."""
        if rediscovered:  # which does not count: what there is was discovered before the cache was proven corrupt
            self.expect(self.model.reenumerate(), "HwProvider.Reenumerate")
        listeners = self.model.listeners()
        group, portal = listeners[which % len(listeners)]
        place, found = self.model.groups[group], self.model.portals[portal]
        target = place.target
        remove_portal(self.array, self.model.targets[target].iscsi_name, place.tag, found.address, found.port)
        self.model.lost[group, portal] = None
        match needed_by:
            case "remove":
                codes = self.model.remove_portal(group, portal)
                self.expect(codes, "IscsiPortalGroup.RemovePortal", id=group, portalId=portal)
            case "set_status":
                codes = self.model.set_portal_status(portal, "offline")
                self.expect(codes, "IscsiPortal.SetStatus", id=portal, status="offline")
            case "delete":
                self.expect(self.model.delete_target(target), "IscsiTarget.Delete", id=target)

    @command(reboot=st.booleans())
    def restart(self, reboot: bool) -> None:
        """The daemon begins anew, on a host that may have lost its configuration."""
        (self.array.reboot if reboot else self.array.restart)()
        self.model.restarted()

    @command(
        call=st.sampled_from(
            [
                ("Lun.Delete", {}),
                ("Lun.SetMask", {"unmaskingList": ""}),
                ("LunIscsi.AssociateTargets", {"targetIds": []}),
                ("LunIscsi.QueryAssociatedTargets", {}),
                ("SubSystem.CreateLun", {"type": "simple", "sizeInBytes": MIB}),
                ("SubSystem.QueryLuns", {}),
                ("IscsiTarget.Delete", {}),
                ("IscsiTarget.CreatePortalGroup", {}),
                ("IscsiPortalGroup.Delete", {}),
                ("IscsiPortalGroup.AddPortal", {"portalId": UNKNOWN}),
                ("IscsiPortal.SetStatus", {"status": "online"}),
            ]
        ),
        of_another_kind=st.booleans(),
    )
    def call_on_nothing(self, call: tuple[str, dict[str, Any]], of_another_kind: bool) -> None:
        """An id that no object of that kind has, before any look at the cache."""
        method, parameters = call
        pool = self.model.sub_systems[self.sub_systems["array0"]].pool
        self.expect(frozenset({NOT_FOUND}), method, id=pool if of_another_kind else UNKNOWN, **parameters)


def _made(id: str) -> MultipleResults[str]:
    return multiple(id) if id else multiple()


def _sorted(reply: dict[str, Any] | str) -> dict[str, Any] | str:
    if isinstance(reply, str):
        return reply
    return {
        name: sorted(value, key=lambda entry: json.dumps(entry, sort_keys=True)) if isinstance(value, list) else value
        for name, value in reply.items()
    }


def run(make: Callable[[Path], Array], folder: Path, commands: int) -> Tally:
    """Give at least that many commands, in sequences of `STEPS`, each to a daemon and a host that are new."""
    commands = max(commands, int(os.environ.get("VDSPROVD_MODEL_COMMANDS", "0")))
    first_seed = int(os.environ.get("VDSPROVD_MODEL_SEED", "1"))
    tally, numbers, begun = Tally(), itertools.count(), time.monotonic()

    def machine() -> Commands:
        return Commands(make(folder / str(next(numbers))), tally)

    for number in itertools.count(first_seed):
        if tally.commands >= commands:
            break
        seed(number)(machine)
        run_state_machine_as_test(machine, settings=BATCH, _min_steps=STEPS)  # type: ignore[arg-type]
    seconds = time.monotonic() - begun
    print(f"{tally.commands} commands, {tally.queries} queries, {next(numbers)} sequences in {seconds:.1f} s")
    print(f"{len(tally.pairs)} pairs of method and code, the cache proven corrupt {tally.proofs} times:")
    print("\n".join(f"{count:6} {method} {code}" for (method, code), count in sorted(tally.pairs.items())))
    return tally


def check(tally: Tally, commands: int, pairs: int, proofs: int) -> None:
    """It was not for nothing: so many commands and pairs of method and code at least, and every rule was reached."""
    assert tally.commands >= commands
    assert {entry.function.__name__ for entry in Commands.setup_state().rules} == set(tally.rules)
    assert len(tally.pairs) >= pairs
    assert tally.proofs >= proofs


@pytest.mark.timeout(SHRINKING)
def test_simulator(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of commands, on the simulator."""
    caplog.set_level(logging.CRITICAL)  # else the shortest sequence drowns in what the daemon logged in all the others
    check(run(SimulatedArray, tmp_path, 3000), commands=3000, pairs=90, proofs=10)


@pytest.mark.lab
@pytest.mark.timeout(SHRINKING)
def test_kernel(tmp_path: Path, disk: Path) -> None:
    """Hundreds, on the kernel's target; what the host holds is read from configfs."""
    made: list[LioArray] = []

    def clear() -> None:
        # Only a sequence that failed leaves anything but its folder.
        clear_kernel()
        for array in made:
            shutil.rmtree(array.pools_folder)
        made.clear()

    def make(folder: Path) -> Array:
        clear()
        folder.mkdir()
        made.append(LioArray(folder, disk / f"model-{folder.name}"))
        return made[0]

    try:
        check(run(make, tmp_path, 600), commands=600, pairs=70, proofs=1)
    finally:
        clear()
