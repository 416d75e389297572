"""The provider cache: what proves it corrupt, what answers then, and how it is recovered."""

import threading
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from tests.arrays import INITIATOR, MIB, Array, Failed, SimulatedArray
from tests.conformance import documenting
from vdsprovd.hardware import Fact, HardwareError, Listener
from vdsprovd.hresult import Hresult
from vdsprovd.model import Health
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
}
"""What the methods that need more than an id are called with."""


def ids(simulated: SimulatedArray) -> dict[str, str]:
    """An object for each interface that has objects."""
    simulated.add_drives()
    lun, (target, group) = simulated.make_lun(mask=INITIATOR), simulated.make_reachable_target()
    node = simulated.call("SubSystem.QueryControllers", id=simulated.sub_system)["controllers"][0]["id"]
    ports = simulated.call("ControllerControllerPort.QueryControllerPorts", id=node)["controllerPorts"]
    portal = simulated.portals()[0]
    pool = simulated.call("HwProviderStoragePools.QueryStoragePools")["storagePools"][0]["id"]
    sub_system = simulated.sub_system
    return {
        "SubSystem": sub_system,
        "Lun": lun,
        "LunPlex": simulated.plexes(lun)[0]["id"],
        "Controller": node,
        "ControllerPort": ports[0]["id"],
        "Drive": simulated.drives()["drive0"],
        "IscsiTarget": target,
        "IscsiPortalGroup": group,
        "IscsiPortal": portal,
        "StoragePool": pool,
    }


OF_ANOTHER = {"ControllerControllerPort": "Controller", "Maintenance": "Drive"}
"""The kinds of object whose names interfaces do not begin with."""


def subject(name: str, objects: dict[str, str]) -> str:
    """The kind of object that a method of that name is about: the longest that its interface begins with, or ""."""
    interface = name.partition(".")[0]
    if interface in OF_ANOTHER:
        return OF_ANOTHER[interface]
    return max((known for known in objects if interface.startswith(known)), key=len, default="")


def arguments(name: str, objects: dict[str, str]) -> dict[str, object]:
    """What the method can be called with."""
    kind = subject(name, objects)
    return ({"id": objects[kind]} if kind else {}) | PARAMETERS.get(name, {})


@pytest.mark.parametrize("name", documenting(CORRUPT))
def test_a_corrupt_cache(simulated: SimulatedArray, name: str) -> None:
    """While the cache is corrupt every method that documents VDS_E_PROVIDER_CACHE_CORRUPT answers it; others work."""
    objects = ids(simulated)
    simulated.prove_corruption()
    if name == "HwProvider.Reenumerate":
        # It is what recovers: it answers the code only when the host cannot be read.
        simulated.hardware.scan_fault = HardwareError("a folder vanished")
    assert simulated.error(name, **arguments(name, objects)) == CORRUPT.name
    simulated.call("Provider.GetProperties")
    simulated.call("LunNumber.GetLunNumber", id=objects["Lun"])
    simulated.call("Service.GetObject", objectId=objects["Lun"], type="lun")


@pytest.mark.parametrize("name", documenting(BUSY))
def test_two_calls_on_an_object(simulated: SimulatedArray, name: str) -> None:
    """While a change of an object is under way every method that documents it answers
    VDS_E_ANOTHER_CALL_IN_PROGRESS, and pure getters answer."""
    objects = ids(simulated)
    arguments_of_it = arguments(name, objects)
    with changing(simulated, name, objects):
        assert simulated.error(name, **arguments_of_it) == BUSY.name
        for getter in ("SubSystem", "Lun", "IscsiTarget", "IscsiPortalGroup", "IscsiPortal"):
            simulated.call(f"{getter}.GetProperties", id=objects[getter])


@contextmanager
def changing(simulated: SimulatedArray, name: str, objects: dict[str, str]) -> Iterator[None]:
    """A change of the object that the method is about goes on for a while."""
    kind = subject(name, objects)
    id = objects.get(kind, "")
    simulated.pool.delay = simulated.hardware.delay = simulated.drive_pool.delay = 0.3
    with ExitStack() as stack:
        match kind:
            case "SubSystem":
                long: tuple[str, dict[str, object]] = ("SubSystem.SetStatus", {"status": "offline"})
            case "Lun":
                long = ("Lun.Extend", {"numberOfBytesToAdd": MIB})
            case "Controller" | "ControllerPort" | "Drive":
                long = (f"{kind}.SetStatus", {"status": "offline"})
            case "LunPlex":
                id = objects["Lun"]
                long = ("Lun.Extend", {"numberOfBytesToAdd": MIB})
            case "IscsiTarget":
                long = ("IscsiTarget.CreatePortalGroup", {})
            case "IscsiPortalGroup":
                long = ("IscsiPortalGroup.AddPortal", {"portalId": simulated.portals()[1]})
            case "IscsiPortal":
                long = ("IscsiPortal.SetStatus", {"status": "offline"})
            case _:
                # Reenumerate waits for the change of the LUN, and everybody else for it.
                simulated.call("Lun.Extend", id=objects["Lun"], numberOfBytesToAdd=MIB)
                long = ("HwProvider.Reenumerate", {})
        method, parameters = long
        # Its reply is not waited for.
        other = stack.enter_context(simulated.connect())
        other.stream(f"org.vdsprov.{method}", {"id": id, **parameters} if id else parameters)
        busy = id or simulated.context.provider_id
        deadline = time.monotonic() + 10
        while not simulated.context.operations.holds.busy(busy):
            assert time.monotonic() < deadline, f"{method} does not hold {busy}"
            time.sleep(0.001)
        yield
        assert simulated.context.operations.holds.busy(busy), "it was over too soon to show anything"


@pytest.mark.parametrize("name", documenting(FAILED))
def test_failed_objects(simulated: SimulatedArray, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """On a LUN whose volume cannot be read, a subsystem whose pools cannot, a drive and a plex that are broken, and on
    the provider and its nodes when the store cannot be written, every method that documents it answers
    VDS_E_OBJECT_STATUS_FAILED."""
    objects = ids(simulated)
    arguments_of_it = arguments(name, objects)
    kind = subject(name, objects)
    if kind == "LunPlex":
        mirror = simulated.make_volume("mirror", drives=["drive1", "drive2"])
        simulated.lose_drive("drive1")
        arguments_of_it["id"] = simulated.plexes(mirror)[0]["id"]
    elif kind == "Drive":
        disks = simulated.hardware.disks
        disks[0] = msgspec.structs.replace(disks[0], health=Health.FAILED)
        simulated.call("HwProvider.Refresh")
    elif kind in ("Lun", "SubSystem"):
        simulated.break_volume(objects["Lun"])
        monkeypatch.setattr(simulated.pool, "space", _unreadable)
        simulated.call("HwProvider.Refresh")
    else:
        simulated.context.store._db.execute("PRAGMA query_only = ON")
        with pytest.raises(Failed):
            simulated.call("Lun.SetMask", id=objects["Lun"], unmaskingList="*")
    assert simulated.error(name, **arguments_of_it) == FAILED.name
    if kind in ("Lun", "SubSystem"):
        found = simulated.call("SubSystem.GetProperties", id=objects["SubSystem"])["properties"]
        assert (found["status"], found["health"]) == ("failed", "failed")


def _unreadable() -> object:
    raise HardwareError("the pool cannot be read")


GONE = (
    "Lun",
    "Lun2",
    "LunControllerPorts",
    "LunPlex",
    "LunNaming",
    "LunNumber",
    "LunIscsi",
    "LunMpio",
    "IscsiTarget",
    "IscsiPortalGroup",
)


@pytest.mark.parametrize("name", documenting(DELETED, *GONE))
def test_deleted_objects(simulated: SimulatedArray, name: str) -> None:
    """On deleted LUNs, targets and groups every method that documents it answers VDS_E_OBJECT_DELETED."""
    objects = ids(simulated)
    arguments_of_it = arguments(name, objects)
    simulated.call("Lun.Delete", id=objects["Lun"])
    simulated.wait(simulated.call("IscsiTarget.Delete", id=objects["IscsiTarget"]))
    assert simulated.error(name, **arguments_of_it) == DELETED.name


SURROUNDINGS = (
    "Controller",
    "ControllerControllerPort",
    "ControllerPort",
    "Drive",
    "Drive2",
    "Maintenance",
    "SubSystem2",
    "SubSystem",
    "SubSystemNaming",
    "SubSystemIscsi",
    "SubSystemImportTarget",
    "StoragePool",
    "IscsiPortal",
)


@pytest.mark.parametrize("name", documenting(DELETED, *SURROUNDINGS))
def test_objects_that_left_the_configuration(simulated: SimulatedArray, name: str) -> None:
    """On subsystems, pools and portals that the configuration had and has not any more every method that documents it
    answers VDS_E_OBJECT_DELETED."""
    simulated.add_drives()
    sub_system = simulated.sub_systems()["array2"]
    node = simulated.call("SubSystem.QueryControllers", id=sub_system)["controllers"][0]["id"]
    ports = simulated.call("ControllerControllerPort.QueryControllerPorts", id=node)["controllerPorts"]
    objects = {
        "SubSystem": sub_system,
        "Controller": node,
        "ControllerPort": ports[0]["id"],
        "Drive": simulated.drives()["drive0"],
        "StoragePool": next(
            pool["id"]
            for pool in simulated.call("HwProviderStoragePools.QueryStoragePools")["storagePools"]
            if pool["name"] == "vg0"
        ),
    }
    portals = simulated.call("SubSystemIscsi.QueryPortals", id=objects["SubSystem"])["portals"]
    objects["IscsiPortal"] = portals[0]["id"]
    simulated.configuration["subsystem"].pop()
    simulated.restart()
    assert simulated.error(name, **arguments(name, objects)) == DELETED.name


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
def test_a_scan_that_breaks_off_proves_corruption(simulated: SimulatedArray) -> None:
    """Reenumerate answers VDS_E_PROVIDER_CACHE_CORRUPT when the host cannot be read to the end, and so do others."""
    simulated.hardware.scan_fault = HardwareError("a folder vanished")
    assert simulated.error("HwProvider.Reenumerate") == CORRUPT.name
    assert simulated.error("HwProvider.QuerySubSystems") == CORRUPT.name
    simulated.hardware.scan_fault = None
    simulated.call("HwProvider.Reenumerate")
    simulated.call("HwProvider.Refresh")
    assert simulated.sub_system


@pytest.mark.shows("Async.QueryStatus")
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


def test_a_store_that_cannot_be_written_fails_the_provider(simulated: SimulatedArray) -> None:
    """When the store refuses a write the change is undone, and the provider's methods answer VDS_E_OBJECT_STATUS_FAILED
    until it can be written again."""
    target, _ = simulated.make_reachable_target()
    lun = simulated.make_lun(mask=INITIATOR)
    before = simulated.kernel()
    simulated.context.store._db.execute("PRAGMA query_only = ON")
    assert simulated.error("LunIscsi.AssociateTargets", id=lun, targetIds=[target]) == FAILED.name
    assert simulated.kernel() == before
    assert simulated.associated(lun) == []
    assert simulated.error("HwProvider.QuerySubSystems") == FAILED.name
    simulated.context.store._db.execute("PRAGMA query_only = OFF")
    assert simulated.call("HwProvider.QuerySubSystems")["subSystems"]
    simulated.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])


@pytest.mark.parametrize("name", documenting(Hresult.VDS_E_INITIALIZE_NOT_CALLED))
def test_while_the_daemon_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Until the host is rebuilt the provider's methods answer VDS_E_INITIALIZE_NOT_CALLED, and then they work."""
    array, looked = SimulatedArray(tmp_path), threading.Event()
    read = array.hardware.read

    def slow() -> Collection[Fact]:
        looked.wait(20)
        return read()

    monkeypatch.setattr(array.hardware, "read", slow)
    starting = threading.Thread(target=array.start, daemon=True)
    starting.start()
    try:
        with array.connect_early() as array.connection:
            assert array.error(name) == Hresult.VDS_E_INITIALIZE_NOT_CALLED.name
    finally:
        looked.set()
        starting.join()
    try:
        array.call(name)
    finally:
        array.stop()
