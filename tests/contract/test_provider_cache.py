"""The provider cache: what proves it corrupt, what answers then, and how it is recovered."""

import time

import pytest

from tests.arrays import INITIATOR, MIB, Array, SimulatedArray
from vdsprovd.hardware import HardwareError
from vdsprovd.hresult import Hresult
from vdsprovd.provider.api import Rules
from vdsprovd.provider.interfaces import describe
from vdsprovd.varlink import Method

DELETED = Hresult.VDS_E_OBJECT_DELETED
CORRUPT = Hresult.VDS_E_PROVIDER_CACHE_CORRUPT
FAILED = Hresult.VDS_E_OBJECT_STATUS_FAILED
BUSY = Hresult.VDS_E_ANOTHER_CALL_IN_PROGRESS

PARAMETERS: dict[str, dict[str, object]] = {
    "SubSystem.CreateLun": {"type": "simple", "sizeInBytes": MIB},
    "SubSystem.QueryMaxLunCreateSize": {"type": "simple"},
    "SubSystem.SetStatus": {"status": "online"},
    "SubSystemNaming.SetFriendlyName": {"friendlyName": "x"},
    "Lun.Extend": {"numberOfBytesToAdd": MIB},
    "Lun.Shrink": {"numberOfBytesToRemove": 4096},
    "Lun.SetMask": {"unmaskingList": ""},
    "Lun.SetStatus": {"status": "online"},
    "LunNaming.SetFriendlyName": {"friendlyName": "x"},
    "IscsiTarget.SetFriendlyName": {"friendlyName": "x"},
    "IscsiTarget.RememberInitiatorSharedSecret": {"initiatorName": INITIATOR},
    "IscsiPortalGroup.AddPortal": {"portalId": "x"},
    "IscsiPortalGroup.RemovePortal": {"portalId": "x"},
    "IscsiPortal.SetStatus": {"status": "online"},
}
"""What the methods that need more than an id are called with."""


def methods(simulated: SimulatedArray, code: Hresult) -> list[tuple[str, Method, bool]]:
    """The methods that document the code: short name, method, and whether it is about an object."""
    found = []
    for interface in describe(simulated.context):
        for method in interface.methods:
            rules = method.metadata
            if isinstance(rules, Rules) and code in rules.codes and not (code is CORRUPT and rules.recovers):
                name = f"{interface.name.removeprefix('org.vdsprov.')}.{method.name}"
                found.append((name, method, "id" in method.parameters.__struct_fields__ and "Async." not in name))
    return found


def ids(simulated: SimulatedArray) -> dict[str, str]:
    """An object for each interface that has objects."""
    lun, (target, group) = simulated.make_lun(mask=INITIATOR), simulated.make_reachable_target()
    portal = simulated.portals()[0]
    pool = simulated.call("HwProviderStoragePools.QueryStoragePools")["storagePools"][0]["id"]
    sub_system = simulated.sub_system
    return {
        "SubSystem": sub_system,
        "Lun": lun,
        "IscsiTarget": target,
        "IscsiPortalGroup": group,
        "IscsiPortal": portal,
        "StoragePool": pool,
    }


def subject(name: str, objects: dict[str, str]) -> str:
    """The object that a method of that name is about: the longest interface that its own begins with."""
    interface = name.partition(".")[0]
    return objects[max((known for known in objects if interface.startswith(known)), key=len)]


def test_every_method_that_documents_it_answers_corrupt(simulated: SimulatedArray) -> None:
    """While the cache is corrupt every method that documents VDS_E_PROVIDER_CACHE_CORRUPT answers it; others work."""
    objects = ids(simulated)
    simulated.prove_corruption()
    documented = methods(simulated, CORRUPT)
    assert len(documented) > 40
    for name, _, about in documented:
        about_whom = {"id": subject(name, objects)} if about else {}
        assert simulated.error(name, **about_whom, **PARAMETERS.get(name, {})) == CORRUPT.name, name
    simulated.call("Provider.GetProperties")
    simulated.call("LunNumber.GetLunNumber", id=objects["Lun"])
    simulated.call("Service.GetObject", objectId=objects["Lun"], type="lun")


def test_every_method_that_documents_it_answers_busy(simulated: SimulatedArray) -> None:
    """While an exclusive operation runs on an object every method that documents it answers ANOTHER_CALL_IN_PROGRESS,
    and pure getters answer."""
    objects = ids(simulated)
    documented = [entry for entry in methods(simulated, BUSY) if entry[2]]
    assert len(documented) > 25
    holds = simulated.context.operations.holds
    with holds.hold(objects.values()):
        for name, _, _ in documented:
            reply = simulated.error(name, id=subject(name, objects), **PARAMETERS.get(name, {}))
            assert reply == BUSY.name, name
        for getter in ("SubSystem", "Lun", "IscsiTarget", "IscsiPortalGroup", "IscsiPortal"):
            simulated.call(f"{getter}.GetProperties", id=objects[getter])


def test_every_method_that_documents_it_answers_failed(
    simulated: SimulatedArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On failed LUNs and subsystems every method that documents it answers VDS_E_OBJECT_STATUS_FAILED."""
    objects = ids(simulated)
    simulated.break_volume(objects["Lun"])
    monkeypatch.setattr(simulated.pool, "space", _unreadable)
    simulated.call("HwProvider.Refresh")
    documented = [entry for entry in methods(simulated, FAILED) if entry[2]]
    assert len(documented) > 15
    for name, _, _ in documented:
        reply = simulated.error(name, id=subject(name, objects), **PARAMETERS.get(name, {}))
        assert reply == FAILED.name, name
    found = simulated.call("SubSystem.GetProperties", id=objects["SubSystem"])["properties"]
    assert (found["status"], found["health"]) == ("failed", "failed")


def _unreadable() -> object:
    raise HardwareError("the pool cannot be read")


def test_every_method_that_documents_it_answers_deleted(simulated: SimulatedArray) -> None:
    """On deleted LUNs, targets and groups every method that documents it answers VDS_E_OBJECT_DELETED."""
    objects = ids(simulated)
    simulated.call("Lun.Delete", id=objects["Lun"])
    simulated.wait(simulated.call("IscsiTarget.Delete", id=objects["IscsiTarget"]))
    gone = ("Lun", "IscsiTarget", "IscsiPortalGroup")
    documented = [entry for entry in methods(simulated, DELETED) if entry[0].startswith(gone)]
    assert len(documented) > 25
    for name, _, _ in documented:
        reply = simulated.error(name, id=subject(name, objects), **PARAMETERS.get(name, {}))
        assert reply == DELETED.name, name


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


def test_a_scan_that_breaks_off_proves_corruption(simulated: SimulatedArray) -> None:
    """Reenumerate answers VDS_E_PROVIDER_CACHE_CORRUPT when the host cannot be read to the end, and so do others."""
    simulated.hardware.scan_fault = HardwareError("a folder vanished")
    assert simulated.error("HwProvider.Reenumerate") == CORRUPT.name
    assert simulated.error("HwProvider.QuerySubSystems") == CORRUPT.name
    simulated.hardware.scan_fault = None
    simulated.call("HwProvider.Reenumerate")
    simulated.call("HwProvider.Refresh")
    assert simulated.sub_system


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
