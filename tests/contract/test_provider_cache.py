"""The provider cache: what proves it corrupt, what answers then, and how it is recovered."""

import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import pytest

from tests.arrays import INITIATOR, MIB, Array, Failed, SimulatedArray, run
from tests.conformance import Call, documenting, shows_each
from vdsprovd.hardware import HardwareError, Listener
from vdsprovd.hresult import Hresult
from vdsprovd.inventory import (
    Controller,
    Drive,
    Lun,
    Plex,
    Port,
    Portal,
    PortalGroup,
    StoragePool,
    SubSystem,
    Target,
)
from vdsprovd.provider import recovery

DELETED = Hresult.VDS_E_OBJECT_DELETED
CORRUPT = Hresult.VDS_E_PROVIDER_CACHE_CORRUPT
FAILED = Hresult.VDS_E_OBJECT_STATUS_FAILED
BUSY = Hresult.VDS_E_ANOTHER_CALL_IN_PROGRESS

PARAMETERS: dict[str, dict[str, object]] = {
    "SubSystem.CreateLun": {"type": "simple", "sizeInBytes": MIB},
    "SubSystem.QueryMaxLunCreateSize": {"type": "simple"},
    "SubSystem.SetStatus": {"status": "online"},
    "SubSystem.GetDrive": {"busNumber": 0, "slotNumber": 0},
    "SubSystem.ReplaceDrive": {"driveToBeReplaced": "x", "replacementDrive": "y"},
    "SubSystem2.GetDrive2": {"busNumber": 0, "slotNumber": 0, "enclosureNumber": 0},
    "SubSystem2.CreateLun2": {"type": "simple", "sizeInBytes": MIB},
    "Provisioning.CreateLuns": {"luns": [{"sizeInBytes": MIB}]},
    "Provisioning.CreateTargets": {"targets": [{}]},
    "SubSystem2.QueryMaxLunCreateSize2": {"type": "simple"},
    "Controller.GetPortProperties": {"portNumber": 0},
    "Controller.SetStatus": {"status": "online"},
    "ControllerPort.SetStatus": {"status": "online"},
    "Drive.SetFlags": {"flags": ["hotspare"]},
    "Drive.ClearFlags": {"flags": ["hotspare"]},
    "Drive.SetStatus": {"status": "online"},
    "Maintenance.StartMaintenance": {"operation": "ping"},
    "Maintenance.StopMaintenance": {"operation": "blink_light"},
    "Maintenance.PulseMaintenance": {"operation": "blink_light", "count": 1},
    "Lun.AddPlex": {"lunId": "x"},
    "Lun.RemovePlex": {"plexId": "x"},
    "Lun.ApplyHints": {"hints": {}},
    "Lun2.ApplyHints2": {"hints2": {}},
    "LunPlex.ApplyHints": {"hints": {}},
    "SubSystemNaming.SetFriendlyName": {"friendlyName": "x"},
    "Lun.Extend": {"numberOfBytesToAdd": MIB},
    "Lun.Shrink": {"numberOfBytesToRemove": 4096},
    "Lun.SetMask": {"unmaskingList": ""},
    "Lun.SetStatus": {"status": "online"},
    "LunNaming.SetFriendlyName": {"friendlyName": "x"},
    "LunMpio.SetLoadBalancePolicy": {"policy": "round_robin"},
    "IscsiTarget.SetFriendlyName": {"friendlyName": "x"},
    "IscsiTarget.RememberInitiatorSharedSecret": {"initiatorName": INITIATOR},
    "IscsiPortalGroup.AddPortal": {"portalId": "x"},
    "IscsiPortalGroup.RemovePortal": {"portalId": "x"},
    "IscsiPortal.SetStatus": {"status": "online"},
    "Service.Adopt": {"digest": "x"},
}
"""What the methods that need more than an id are called with."""


Objects = dict[type[Any], str]
"""The ids of objects, one of each kind."""


def one_of_each(array: Array) -> Objects:
    """An object of each kind."""
    drive = array.add_scsi_disk(16 * MIB)
    lun, (target, group) = array.make_lun(mask=INITIATOR), array.make_reachable_target()
    return {
        Lun: lun,
        Plex: array.plexes(lun)[0]["id"],
        Target: target,
        PortalGroup: group,
        Drive: drive,
        **surroundings(array, "array0", "files0"),
    }


def surroundings(array: Array, sub_system: str, pool: str) -> Objects:
    """What the configuration makes: the subsystem and the pool of these names, and what goes with them."""
    id = array.sub_systems()[sub_system]
    node = array.call("SubSystem.QueryControllers", id=id)["controllers"][0]["id"]
    pools = array.call("HwProviderStoragePools.QueryStoragePools")["storagePools"]
    return {
        SubSystem: id,
        Controller: node,
        Port: array.call("ControllerControllerPort.QueryControllerPorts", id=node)["controllerPorts"][0]["id"],
        StoragePool: next(entry["id"] for entry in pools if entry["name"] == pool),
        Portal: array.call("SubSystemIscsi.QueryPortals", id=id)["portals"][0]["id"],
    }


def arguments(call: Call, objects: Objects) -> dict[str, object]:
    """What the method can be called with."""
    return ({"id": objects[call.subject]} if call.subject else {}) | PARAMETERS.get(call.method, {})


def answers(array: Array, calls: Iterable[Call], objects: Objects) -> dict[Call, str]:
    """The error that each of the methods answers."""
    return {call: array.error(call.method, **arguments(call, objects)) for call in calls}


def all_alike(calls: Iterable[Call], code: Hresult) -> dict[Call, str]:
    """What `answers` gives when all methods answer that."""
    return dict.fromkeys(calls, code.name)


@shows_each(CORRUPT)
def test_a_corrupt_cache(array: Array) -> None:
    """While the cache is corrupt every method that documents VDS_E_PROVIDER_CACHE_CORRUPT answers it; others work."""
    objects = one_of_each(array)
    array.prove_corruption()
    # Reenumerate is what recovers: it answers the code only when the host cannot be read.
    others = [call for call in documenting(CORRUPT) if call.method != "HwProvider.Reenumerate"]
    assert answers(array, others, objects) == all_alike(others, CORRUPT)
    with array.unreadable():
        assert array.error("HwProvider.Reenumerate") == CORRUPT.name
    array.call("Provider.GetProperties")
    array.call("LunNumber.GetLunNumber", id=objects[Lun])
    array.call("Service.GetObject", objectId=objects[Lun], type="lun")


@shows_each(CORRUPT)
def test_a_damaged_store(array: Array) -> None:
    """Damage to the store's file under the daemon, which only a checksum tells, is found by the audit and proves corruption;
    Reenumerate and Refresh make the store anew, with everything, and the kernel stays as it is."""
    array.configuration["provider"]["audit"] = 1
    array.restart()
    objects = one_of_each(array)
    array.call("LunIscsi.AssociateTargets", id=objects[Lun], targetIds=[objects[Target]])
    kernel = array.kernel()
    array.damage_store()
    deadline = time.monotonic() + 20
    with pytest.raises(Failed, match=CORRUPT.name):
        while time.monotonic() < deadline:
            array.call("Lun.GetProperties", id=objects[Lun])
            time.sleep(0.05)
    others = [call for call in documenting(CORRUPT) if call.method != "HwProvider.Reenumerate"]
    assert answers(array, others, objects) == all_alike(others, CORRUPT)
    with array.unreadable():
        assert array.error("HwProvider.Reenumerate") == CORRUPT.name
    # Not a byte goes to a damaged store, whatever a method documents.
    wanted: dict[str, object] = {"type": "simple", "sizeInBytes": MIB, "storagePoolId": objects[StoragePool]}
    with pytest.raises(Failed, match=CORRUPT.name):
        array.wait(array.call("HwProviderStoragePools.CreateLunInStoragePool", **wanted))
    array.call("HwProvider.Reenumerate")
    array.call("HwProvider.Refresh")
    assert array.kernel() == kernel
    assert len(list(array.store.parent.glob(f"{array.store.name}.damaged-*"))) == 1
    later = array.make_lun()
    array.restart()
    assert array.associated(objects[Lun]) == [objects[Target]]
    for getter, subject in GETTERS.items():
        array.call(f"{getter}.GetProperties", id=objects[subject])
    array.call("Lun.GetProperties", id=later)


def test_a_command_meets_damage(simulated: SimulatedArray) -> None:
    """A page of the store that a command cannot read is proof of corruption at once."""
    lun = simulated.make_lun()
    store = simulated.context.store
    store._db.execute("PRAGMA shrink_memory")
    with closing(sqlite3.connect(simulated.store, isolation_level=None)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    program = "import sys; file = open(sys.argv[1], 'r+b'); file.seek(4096); file.write(bytes(1 << 20))"
    run(sys.executable, "-c", program, str(simulated.store))
    assert simulated.error("LunNaming.SetFriendlyName", id=lun, friendlyName="x") == CORRUPT.name
    assert simulated.error("Lun.GetProperties", id=lun) == CORRUPT.name
    simulated.call("HwProvider.Reenumerate")
    simulated.call("HwProvider.Refresh")
    simulated.call("LunNaming.SetFriendlyName", id=lun, friendlyName="x")
    simulated.restart()
    assert simulated.call("Lun.GetProperties", id=lun)["properties"]["friendlyName"] == "x"


CHANGES: dict[type[Any], tuple[str, dict[str, object]]] = {
    SubSystem: ("SubSystem.SetStatus", {"status": "offline"}),
    Lun: ("Lun.Extend", {"numberOfBytesToAdd": MIB}),
    Controller: ("Controller.SetStatus", {"status": "offline"}),
    Port: ("ControllerPort.SetStatus", {"status": "offline"}),
    Drive: ("Drive.SetStatus", {"status": "offline"}),
    Target: ("IscsiTarget.CreatePortalGroup", {}),
    PortalGroup: ("IscsiPortalGroup.RemovePortal", {}),
    Portal: ("IscsiPortal.SetStatus", {"status": "offline"}),
}
"""A change of each kind of object, which takes some time."""


@shows_each(BUSY)
def test_two_calls_on_an_object(array: Array) -> None:
    """While a change of an object is under way every method that documents it answers
    VDS_E_ANOTHER_CALL_IN_PROGRESS, and pure getters answer."""
    array.store_on_disk()
    objects = one_of_each(array)
    kinds = dict.fromkeys(call.subject for call in documenting(BUSY))
    assert set(kinds) == {None, Plex, *CHANGES}
    for kind in kinds:
        calls = documenting(BUSY, kind)
        with changing(array, kind, objects):
            assert answers(array, calls, objects) == all_alike(calls, BUSY)
            for getter, subject in GETTERS.items():
                array.call(f"{getter}.GetProperties", id=objects[subject])


GETTERS = {
    "SubSystem": SubSystem,
    "Lun": Lun,
    "IscsiTarget": Target,
    "IscsiPortalGroup": PortalGroup,
    "IscsiPortal": Portal,
}


@contextmanager
def changing(array: Array, kind: type[Any] | None, objects: Objects) -> Iterator[None]:
    """A change of the object of that kind goes on for a while. A plex is changed with its LUN; the provider is being
    reenumerated, which waits for a change of the LUN, as everybody else waits for it."""
    # No getter: GetIdentificationData keeps a change away while it reads.
    query = next(call for call in documenting(BUSY, kind) if ".Query" in call.method)

    def busy() -> bool:
        try:
            array.call(query.method, **arguments(query, objects))
        except Failed as failed:
            assert failed.symbol == BUSY.name
            return True
        return False

    def until(wanted: bool) -> None:
        deadline = time.monotonic() + 20
        while busy() is not wanted:
            assert time.monotonic() < deadline, f"{method} {'does not hold' if wanted else 'holds'} its object"
            time.sleep(0.001)

    changed: type[Any] = Lun if kind is None or kind is Plex else kind
    method, parameters = CHANGES[changed]
    if changed is PortalGroup:
        parameters = {"portalId": array.portals_of(objects[PortalGroup])[0]}
    with array.connect() as other:
        with array.hanging():
            # The reply, which may come at the end only, is waited for there.
            if kind is None:
                array.call(method, id=objects[changed], **parameters)
                replies = other.stream("org.vdsprov.HwProvider.Reenumerate")
            else:
                replies = other.stream(f"org.vdsprov.{method}", {"id": objects[changed], **parameters})
            until(True)
            yield
            assert busy(), "it was over too soon to show anything"
        until(False)
        assert list(replies)
    if "status" in parameters:
        array.call(method, id=objects[changed], status="online")


@shows_each(FAILED, Lun, SubSystem)
def test_failed_luns_and_sub_systems(array: Array) -> None:
    """On a LUN whose volume cannot be read, and a subsystem whose pools cannot, every method that documents it answers
    VDS_E_OBJECT_STATUS_FAILED."""
    objects: Objects = {Lun: array.make_lun(), SubSystem: array.sub_system}
    calls = documenting(FAILED, Lun)
    array.break_volume(objects[Lun])
    array.call("HwProvider.Refresh")
    assert answers(array, calls, objects) == all_alike(calls, FAILED)
    array.mend_volume(objects[Lun])
    calls = documenting(FAILED, SubSystem)
    with array.pool_gone("files0"):
        array.call("HwProvider.Refresh")
        assert answers(array, calls, objects) == all_alike(calls, FAILED)
        found = array.call("SubSystem.GetProperties", id=objects[SubSystem])["properties"]
        assert (found["status"], found["health"]) == ("failed", "failed")


@shows_each(FAILED, Plex, Drive)
def test_failed_plexes_and_drives(drives: Array) -> None:
    """On a drive that the kernel has given up, and a plex of which a drive is missing, every method that documents it
    answers VDS_E_OBJECT_STATUS_FAILED."""
    objects: Objects = {Drive: drives.add_scsi_disk(16 * MIB)}
    mirror = drives.make_volume("mirror", drives=["drive1", "drive2"])
    drives.scsi_disk_dies()
    drives.lose_drive("drive1")
    objects[Plex] = drives.plexes(mirror)[0]["id"]
    calls = documenting(FAILED, Plex, Drive)
    assert answers(drives, calls, objects) == all_alike(calls, FAILED)


def has_failed(array: Array) -> bool:
    """Whether the provider says so."""
    try:
        array.call("HwProvider.QuerySubSystems")
    except Failed as failed:
        assert failed.symbol == FAILED.name
        return True
    return False


@shows_each(FAILED, None, Controller, Port)
def test_a_store_that_cannot_be_written_fails_the_provider(array: Array) -> None:
    """When the store refuses a write the change is undone, and the methods of the provider and its nodes that document
    VDS_E_OBJECT_STATUS_FAILED answer it until it is found that the store can be written again."""
    array.store_on_disk()
    lun, (target, _) = array.make_lun(mask=INITIATOR), array.make_reachable_target()
    objects = surroundings(array, "array0", "files0")
    calls = documenting(FAILED, None, Controller, Port)
    before = array.kernel()
    with array.full():
        assert array.error("LunIscsi.AssociateTargets", id=lun, targetIds=[target]) == FAILED.name
        assert array.kernel() == before
        assert array.associated(lun) == []
        assert answers(array, calls, objects) == all_alike(calls, FAILED)
    deadline = time.monotonic() + 10
    while has_failed(array):
        assert time.monotonic() < deadline
    array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])


@shows_each(DELETED, Lun, Plex, Target, PortalGroup)
def test_deleted_objects(array: Array) -> None:
    """On deleted LUNs, targets and groups every method that documents it answers VDS_E_OBJECT_DELETED."""
    lun, (target, group) = array.make_lun(mask=INITIATOR), array.make_reachable_target()
    objects: Objects = {Lun: lun, Plex: array.plexes(lun)[0]["id"], Target: target, PortalGroup: group}
    calls = documenting(DELETED, *objects)
    array.call("Lun.Delete", id=lun)
    array.wait(array.call("IscsiTarget.Delete", id=target))
    assert answers(array, calls, objects) == all_alike(calls, DELETED)


@shows_each(DELETED, SubSystem, Controller, Port, Drive, StoragePool, Portal)
def test_objects_that_left_the_configuration(array: Array) -> None:
    """On subsystems, pools, drives and portals that the configuration had and has not any more every method that
    documents it answers VDS_E_OBJECT_DELETED."""
    objects: Objects = {Drive: array.add_scsi_disk(16 * MIB), **surroundings(array, "array1", "spare0")}
    calls = documenting(DELETED, *objects)
    array.configuration["subsystem"].pop()
    array.restart()
    assert answers(array, calls, objects) == all_alike(calls, DELETED)


def test_recovery_needs_both_calls_in_order(array: Array) -> None:
    """Refresh alone answers VDS_E_PROVIDER_CACHE_CORRUPT; Reenumerate alone leaves the cache corrupt; both end it."""
    before = array.kernel()
    array.prove_corruption()
    assert array.error("HwProvider.Refresh") == CORRUPT.name
    assert array.error("HwProvider.QuerySubSystems") == CORRUPT.name
    array.call("HwProvider.Reenumerate")
    assert array.error("HwProvider.QuerySubSystems") == CORRUPT.name
    array.call("HwProvider.Refresh")
    # What somebody had removed is in the kernel again.
    assert any("10.77.0.1:3260" in line for line in array.kernel() - before)


def test_a_cache_that_heals_itself(array: Array) -> None:
    """Where the configuration says so, a corrupt cache is recovered without a client."""
    array.configuration["provider"]["self-heal"] = True
    array.restart()
    array.prove_corruption()
    deadline = time.monotonic() + 20
    while True:
        with suppress(Failed):
            (target,) = array.call("SubSystemIscsi.QueryTargets", id=array.sub_system)["targets"]
            break
        assert time.monotonic() < deadline
        time.sleep(0.02)
    listeners = [fact for fact in array.facts() if isinstance(fact, Listener)]
    assert [fact.target for fact in listeners] == [target["iscsiName"]]


def test_a_cache_that_cannot_heal_yet(simulated: SimulatedArray, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recovery that fails is tried again, until what kept it from working is gone."""
    monkeypatch.setattr(recovery, "HEAL_AGAIN", 0.05)
    simulated.configuration["provider"]["self-heal"] = True
    simulated.restart()
    simulated.hardware.scan_fault = HardwareError("a folder vanished")
    simulated.prove_corruption()
    time.sleep(0.5)
    assert simulated.error("HwProvider.QuerySubSystems") == CORRUPT.name
    simulated.hardware.scan_fault = None
    deadline = time.monotonic() + 20
    while simulated.context.cache.corruption:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert simulated.sub_system


def test_a_restart_recovers_too(array: Array) -> None:
    """A new daemon rebuilds what is missing, and its cache is sound."""
    array.make_reachable_target()
    before = array.kernel()
    (target,) = array.call("SubSystemIscsi.QueryTargets", id=array.sub_system)["targets"]
    array.lose_portal(target["iscsiName"])
    assert array.kernel() != before
    array.restart()
    assert array.kernel() == before
    assert array.call("HwProvider.QuerySubSystems")


@pytest.mark.shows("HwProvider.QuerySubSystems")
@pytest.mark.shows("HwProvider.Reenumerate")
@pytest.mark.shows("HwProvider.Refresh")
def test_a_scan_that_breaks_off_proves_corruption(array: Array) -> None:
    """Reenumerate answers VDS_E_PROVIDER_CACHE_CORRUPT when the host cannot be read to the end, and so do others."""
    with array.unreadable():
        assert array.error("HwProvider.Reenumerate") == CORRUPT.name
        assert array.error("HwProvider.QuerySubSystems") == CORRUPT.name
    array.call("HwProvider.Reenumerate")
    array.call("HwProvider.Refresh")
    assert array.sub_system


@pytest.mark.parametrize("call", ["HwProvider.Reenumerate", "HwProvider.Refresh"])
def test_recovery_waits_for_changes_and_one_excludes_another(simulated: SimulatedArray, call: str) -> None:
    """Reenumerate and Refresh wait for what is under way; a second one meanwhile is ANOTHER_CALL_IN_PROGRESS."""
    lun = simulated.make_lun()
    simulated.pool.delay = 0.5
    growth = simulated.call("Lun.Extend", id=lun, numberOfBytesToAdd=MIB)
    with simulated.connect() as other:
        waiting = other.stream(f"org.vdsprov.{call}", {})
        time.sleep(0.1)  # two sockets: which one the daemon reads first is nobody's promise
        for method in ("HwProvider.Reenumerate", "HwProvider.Refresh", "HwProvider.QuerySubSystems"):
            assert simulated.error(method) == BUSY.name
        next(iter(waiting))
        assert simulated.call("Async.QueryStatus", id=growth["async"])["hresult"] == 0
        assert simulated.call("Lun.GetProperties", id=lun)["properties"]["size"] == 2 * MIB


@shows_each(Hresult.VDS_E_INITIALIZE_NOT_CALLED)
def test_while_the_daemon_starts(array: Array) -> None:
    """Until the host is rebuilt the provider's methods answer VDS_E_INITIALIZE_NOT_CALLED, and then they work."""
    calls = documenting(Hresult.VDS_E_INITIALIZE_NOT_CALLED)
    array.make_lun()
    array.stop()
    array.lose_kernel()
    with array.hanging():
        array.launch()
        with array.connect_early() as array.connection:
            assert answers(array, calls, {}) == all_alike(calls, Hresult.VDS_E_INITIALIZE_NOT_CALLED)
    array.ready()
    for call in calls:
        array.call(call.method)
