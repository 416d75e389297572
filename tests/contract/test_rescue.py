"""A store that is lost or damaged is rebuilt from a backup, the kernel's target and the pools, and the daemon goes on as if
nothing had happened. Initiators notice nothing: the kernel is never touched."""

import os
import random
import shutil
import sqlite3
import time
from collections.abc import Callable, Collection
from contextlib import closing, suppress
from typing import Any

import pytest

from tests.arrays import INITIATOR, MIB, OTHER_INITIATOR, SECRET, Array, Failed, SimulatedArray
from vdsprovd import backups
from vdsprovd.hardware import Acl, Fact, Grant, Group, Unit
from vdsprovd.provider import safekeeping
from vdsprovd.store import Store

SEEDS = int(os.environ.get("VDSPROVD_RESCUE_SEEDS", "2"))
"""How many random histories are tried."""
COMMANDS = int(os.environ.get("VDSPROVD_RESCUE_COMMANDS", "40"))
"""How many commands each of them has."""

Luns = dict[str, tuple[int, int, str, tuple[str, ...]]]
"""Number, size, mask and the names of targets, by id."""


def luns(array: Array) -> Luns:
    """The LUNs of all subsystems."""
    return {
        entry["id"]: (
            array.call("LunNumber.GetLunNumber", id=entry["id"])["lunNumber"],
            entry["size"],
            entry["unmaskingList"],
            tuple(array.name_of(target) for target in array.associated(entry["id"])),
        )
        for sub_system in array.sub_systems().values()
        for entry in array.call("SubSystem.QueryLuns", id=sub_system)["luns"]
    }


def back_up(array: Array) -> None:
    """Make a backup beside the running daemon."""
    backups.make(array.store.parent, 1000)


def forget_backups(array: Array) -> None:
    """Let there be no backup."""
    for file in backups.made(array.store.parent):
        file.unlink()


def lose_file(array: Array) -> None:
    """The store's file is gone, and its log."""
    for file in array.store.parent.glob(f"{array.store.name}*"):
        file.unlink()


def overwrite(array: Array) -> None:
    """Nothing of the store can be read."""
    array.store.write_bytes(os.urandom(array.store.stat().st_size))


def alter(array: Array) -> None:
    """A table is not what was written; the others are."""
    with closing(sqlite3.connect(array.store, isolation_level=None)) as db:
        db.execute("UPDATE lun SET mask = 'iqn.2026-11.org.example:nobody', number = number + 1000")


DAMAGES: tuple[Callable[[Array], None], ...] = (lose_file, overwrite, alter)


def rescued(array: Array, damage: Callable[[Array], None]) -> dict[str, Any]:
    """Stop the daemon, damage the store, see that it does not start, rescue, start it, and see that the kernel has not
    changed; gives the report."""
    array.stop()
    before = set(array.facts())
    damage(array)
    assert "vdsprovd --rescue" in array.refuses()
    report = array.rescue()
    assert set(array.facts()) == before, "the rescue touches nothing"
    array.start()
    assert settled(array.facts()) == settled(before)
    told = [text for text in report["unknown"] if text.startswith("the next start")]
    assert len(told) == len(set(array.facts()) ^ before), "what a start changes is told"
    return report


def settled(facts: Collection[Fact]) -> set[Fact]:
    """The facts but for ACLs that give no LUN: one that is offline may have had them, which nobody can see."""
    used = {(fact.target, fact.tag, fact.initiator) for fact in facts if isinstance(fact, Grant)}
    return {fact for fact in facts if not isinstance(fact, Acl) or (fact.target, fact.tag, fact.initiator) in used}


@pytest.mark.parametrize("damage", DAMAGES)
def test_everything_comes_back(array: Array, damage: Callable[[Array], None]) -> None:
    """With a backup from before the last changes: all LUNs with number, size, mask and targets, also new ones and those that
    were changed since; secrets are kept, and so are names that are in the backup."""
    old, (target, _) = array.make_lun(mask=INITIATOR), array.make_reachable_target()
    array.call("LunNaming.SetFriendlyName", id=old, friendlyName="old one")
    array.call("LunIscsi.AssociateTargets", id=old, targetIds=[target])
    array.call("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret=SECRET)
    back_up(array)
    new, (other, _) = array.make_lun(2 * MIB, mask=f"{OTHER_INITIATOR};{INITIATOR}"), array.make_reachable_target()
    array.call("LunIscsi.AssociateTargets", id=new, targetIds=[other, target])
    array.call("IscsiTarget.SetSharedSecret", id=other, targetSharedSecret=SECRET)
    array.wait(array.call("Lun.Extend", id=old, numberOfBytesToAdd=MIB))
    array.call("Lun.SetMask", id=old, unmaskingList=OTHER_INITIATOR)
    truth = luns(array)
    report = rescued(array, damage)
    found = luns(array)
    assert {id: (*entry[:2], sorted(entry[2].split(";")), sorted(entry[3])) for id, entry in found.items()} == {
        id: (*entry[:2], sorted(entry[2].split(";")), sorted(entry[3])) for id, entry in truth.items()
    }
    assert array.call("Lun.GetProperties", id=old)["properties"]["friendlyName"] == "old one"
    rows = {row["id"]: row for row in report["objects"]}
    assert {"kernel", "pool"} <= set(rows[new]["sources"])
    assert "store" in rows[old]["sources"]
    assert report["damage"]
    assert array.call("Lun.GetProperties", id=array.make_lun())["properties"]["status"] == "online"


@pytest.mark.parametrize("reboot", [False, True])
def test_without_any_backup(array: Array, reboot: bool) -> None:
    """From kernel and pools alone every LUN comes back as it was; after a reboot each that has a volume, for nobody."""
    ids = [array.make_lun(size * MIB, mask=INITIATOR) for size in (1, 2, 3)]
    target, _ = array.make_reachable_target()
    for id in ids[1:]:
        array.call("LunIscsi.AssociateTargets", id=id, targetIds=[target])
    elsewhere = array.make_lun(sub_system=array.sub_systems()["array1"])
    truth, name = luns(array), array.name_of(target)
    array.stop()
    forget_backups(array)
    if reboot:
        array.lose_kernel()
    lose_file(array)
    array.rescue()
    before = set(array.facts())
    array.start()
    found = luns(array)
    assert {id: entry[1] for id, entry in found.items()} == {id: entry[1] for id, entry in truth.items()}
    assert elsewhere in found
    if reboot:
        assert {entry[2:] for entry in found.values()} == {("", ())}
    else:
        assert {id: entry[0] for id, entry in found.items()} == {id: entry[0] for id, entry in truth.items()}
        assert [found[id][2:] for id in ids[1:]] == [(INITIATOR, (name,))] * 2
        assert settled(array.facts()) == settled(before)


def test_a_lun_that_was_deleted_since(array: Array) -> None:
    """A LUN of the backup whose volume is gone stays one, without it, and gives nobody access to another's place; unless the
    damaged store says that it was deleted."""
    lost, (target, _) = array.make_lun(mask=INITIATOR), array.make_reachable_target()
    array.call("LunIscsi.AssociateTargets", id=lost, targetIds=[target])
    back_up(array)
    array.call("Lun.Delete", id=lost)
    new = array.make_lun(mask=INITIATOR)
    array.call("LunIscsi.AssociateTargets", id=new, targetIds=[target])
    report = rescued(array, lose_file)
    (row,) = [row for row in report["objects"] if row["id"] == lost]
    assert "lost, or deleted since" in row["note"]
    assert array.call("Lun.GetProperties", id=lost)["properties"]["status"] == "offline"
    assert array.associated(new) == [target]
    assert array.associated(lost) == []
    array.call("Lun.Delete", id=lost)
    rescued(array, alter)
    assert set(luns(array)) == {new}


def test_a_backup_that_is_given(array: Array) -> None:
    """A good store is left alone; with a backup given it is replaced by what that says and the host has."""
    lun = array.make_lun()
    back_up(array)
    (backup, *_) = backups.made(array.store.parent)
    array.call("LunNaming.SetFriendlyName", id=lun, friendlyName="new name")
    array.stop()
    assert array.rescue() == {}
    assert array.rescue(backup)["backup"] == str(backup)
    array.start()
    assert array.call("Lun.GetProperties", id=lun)["properties"]["friendlyName"] == ""


def test_a_store_that_was_begun_anew(array: Array) -> None:
    """A daemon that found its folder empty has a good store without the LUNs that the host has: a rescue adds them."""
    lun, (target, _) = array.make_lun(mask=INITIATOR), array.make_reachable_target()
    array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    truth = luns(array)
    array.stop()
    before = set(array.facts())
    shutil.rmtree(array.store.parent)
    array.start()
    assert luns(array) == {}
    array.stop()
    assert array.rescue()["backup"] == str(array.store)
    array.start()
    assert luns(array) == truth
    assert set(array.facts()) == before


def test_random_histories(array: Array) -> None:
    """Whatever was done, whenever the backup was made, and whatever became of the store: every LUN is there with its number
    and size, and with its mask and targets where the kernel has it in one."""
    for seed in range(SEEDS):
        chance = random.Random(seed)
        history = History(array, chance)
        moment = chance.randrange(COMMANDS)
        forget_backups(array)
        for number in range(COMMANDS):
            if number == moment:
                back_up(array)
            with suppress(Failed):  # what the state of things does not allow
                history.command()
        truth = luns(array)
        placed = {fact.lun for fact in array.facts() if isinstance(fact, Unit)}
        # A target without groups shows nothing of its LUNs.
        seen = {fact.target for fact in array.facts() if isinstance(fact, Group)}
        assert len(truth) >= 2
        rescued(array, chance.choice(DAMAGES))
        found = luns(array)
        assert set(truth) <= set(found), seed
        for id, entry in truth.items():
            assert found[id][:2] == entry[:2], seed
            if id in placed:
                assert set(expanded(found[id][2])) == set(expanded(entry[2])), seed
                assert seen & set(found[id][3]) == seen & set(entry[3]), seed
        for id in set(found) - set(truth):
            array.call("Lun.Delete", id=id)


def test_the_daemon_backs_up(simulated: SimulatedArray, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it is ready, and later when something has changed; so many are kept as the configuration says."""
    monkeypatch.setattr(safekeeping, "BACKUP_EVERY", 0.1)
    simulated.configuration["provider"]["backups"] = 2
    simulated.restart()
    folder = simulated.store.parent

    def has(lun: str) -> bool:
        with suppress(sqlite3.OperationalError), closing(Store.copied(backups.made(folder)[0])) as copy:
            return not copy.load().pending and lun in {entity.id for entity in copy.load().entities}
        return False  # it has been let go meanwhile

    for _ in range(3):
        lun, deadline = simulated.make_lun(), time.monotonic() + 20
        while not backups.made(folder) or not has(lun):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    time.sleep(0.5)
    last = backups.made(folder)
    assert len(last) == 2
    time.sleep(0.5)
    assert backups.made(folder) == last, "nothing has changed"
    simulated.configuration["provider"]["backups"] = 0
    simulated.restart()
    simulated.make_lun()
    time.sleep(0.5)
    assert backups.made(folder) == last


def test_a_damaged_store_heals_itself(simulated: SimulatedArray) -> None:
    """With self-heal the daemon makes its damaged store anew without a client."""
    simulated.configuration["provider"] |= {"audit": 1, "self-heal": True}
    simulated.restart()
    lun = simulated.make_lun()
    simulated.damage_store()
    deadline = time.monotonic() + 20
    while not list(simulated.store.parent.glob("*.damaged-*")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    simulated.restart()
    assert set(luns(simulated)) == {lun}


def expanded(mask: str) -> list[str]:
    """The initiators that a mask means: "*" this host's, which is all that the kernel knows of it."""
    return mask.replace("*", INITIATOR).split(";")


class History:
    """Commands as they come."""

    def __init__(self, array: Array, chance: random.Random) -> None:
        self.array = array
        self.chance = chance

    def command(self) -> None:
        """Give one."""
        array, chance = self.array, self.chance
        ids = list(luns(array))
        targets = [entry["id"] for entry in array.call("SubSystemIscsi.QueryTargets", id=array.sub_system)["targets"]]
        if len(ids) < 2:
            array.make_lun(chance.randint(1, 4) * MIB, mask=chance.choice(("", INITIATOR)))
            return
        if len(targets) < 2:
            array.make_reachable_target()
            return
        lun, target = chance.choice(ids), chance.choice(targets)
        # What puts LUNs into the kernel comes more often than what takes them out.
        match chance.choice((*range(20), *(4, 5, 6, 7) * 4, 0, 9)):
            case 0:
                array.make_lun(chance.randint(1, 4) * MIB, mask=chance.choice(("", INITIATOR)))
            case 1:
                array.call("Lun.Delete", id=lun)
            case 2:
                array.wait(array.call("Lun.Extend", id=lun, numberOfBytesToAdd=MIB))
            case 3:
                array.wait(array.call("Lun.Shrink", id=lun, numberOfBytesToRemove=4096))
            case 4 | 5:
                mask = chance.choice(("", INITIATOR, OTHER_INITIATOR, "*", f"{INITIATOR};{OTHER_INITIATOR}"))
                array.call("Lun.SetMask", id=lun, unmaskingList=mask)
            case 6 | 7:
                some = chance.sample(targets, chance.randint(0, len(targets)))
                array.call("LunIscsi.AssociateTargets", id=lun, targetIds=some)
            case 8:
                array.call("Lun.SetStatus", id=lun, status=chance.choice(("online", "online", "offline")))
            case 9:
                array.make_reachable_target()
            case 10:
                array.wait(array.call("IscsiTarget.Delete", id=target))
            case 11:
                array.call("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret=SECRET)
            case 12:
                array.call("IscsiTarget.SetFriendlyName", id=target, friendlyName=chance.choice(("", "a, b", "name")))
            case 13:
                array.call(
                    "IscsiTarget.SetSharedSecret",
                    id=target,
                    targetSharedSecret=chance.choice((None, SECRET, SECRET[::-1])),
                    initiatorName=chance.choice((None, INITIATOR, OTHER_INITIATOR)),
                )
            case 14:
                secret = chance.choice((None, "another-secret"))
                name = chance.choice((INITIATOR, OTHER_INITIATOR))
                array.call(
                    "IscsiTarget.RememberInitiatorSharedSecret",
                    id=target,
                    initiatorName=name,
                    initiatorSharedSecret=secret,
                )
            case 15:
                self._set(f"{chance.choice(('Controller', 'ControllerPort'))}.SetStatus")
            case 16:
                array.call(
                    "SubSystem.SetStatus", id=array.sub_system, status=chance.choice(("online", "online", "offline"))
                )
            case 17:
                node = array.call("SubSystem.QueryControllers", id=array.sub_system)["controllers"][0]["id"]
                lists = chance.choice(({"activeControllerIds": [node]}, {"inactiveControllerIds": [node]}))
                array.call("Lun.AssociateControllers", id=lun, **lists)
            case 18:
                portal = chance.choice(array.portals())
                array.call("IscsiPortal.SetStatus", id=portal, status=chance.choice(("online", "online", "offline")))
            case 19:
                self._regroup(target)

    def _set(self, method: str) -> None:
        array = self.array
        id = array.call("SubSystem.QueryControllers", id=array.sub_system)["controllers"][0]["id"]
        if method.startswith("ControllerPort"):
            id = array.call("ControllerControllerPort.QueryControllerPorts", id=id)["controllerPorts"][0]["id"]
        array.call(method, id=id, status=self.chance.choice(("online", "online", "offline")))

    def _regroup(self, target: str) -> None:
        array, chance = self.array, self.chance
        groups = [entry["id"] for entry in array.call("IscsiTarget.QueryPortalGroups", id=target)["portalGroups"]]
        if not groups or chance.random() < 0.25:
            array.make_group(target)
            return
        group, portal = chance.choice(groups), chance.choice(array.portals())
        match chance.randrange(3):
            case 0:
                array.wait(array.call("IscsiPortalGroup.AddPortal", id=group, portalId=portal))
            case 1:
                array.wait(array.call("IscsiPortalGroup.RemovePortal", id=group, portalId=portal))
            case 2:
                array.wait(array.call("IscsiPortalGroup.Delete", id=group))
