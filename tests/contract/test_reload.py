"""A configuration that changes while the daemon serves."""

import threading
import time
from collections.abc import Callable, Mapping

import pytest

from tests.arrays import MIB, Array, Failed, SimulatedArray
from vdsprovd.hardware import Group
from vdsprovd.hresult import Hresult


def soon(condition: Callable[[], object], seconds: float = 20) -> bool:
    """Whether that becomes so within some time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_chap_is_required_or_not(array: Array) -> None:
    """What the host asks of initiators changes for targets that are there and for new ones, but for those with a secret."""

    def authentication(target: str) -> list[bool]:
        name = array.name_of(target)
        return [fact.authentication for fact in array.facts() if isinstance(fact, Group) and fact.target == name]

    def has(target: str, wanted: bool) -> Callable[[], bool]:
        return lambda: authentication(target) == [wanted]

    (plain, _), (protected, _) = array.make_reachable_target(), array.make_reachable_target()
    array.call("IscsiTarget.SetSharedSecret", id=protected, targetSharedSecret="twelve-bytes")
    for required in (False, True):
        array.configuration["subsystem"][0]["require-chap"] = required
        array.reload()
        assert soon(has(plain, required))
        assert authentication(protected) == [True]
        new, _ = array.make_reachable_target()
        assert authentication(new) == [required]
        assert array.call("IscsiTarget.GetProperties", id=new)["properties"]["chapEnabled"] is required


def test_portals_come_and_go(array: Array) -> None:
    """Those that the configuration has no longer go, but for one in a portal group, which goes on."""
    _, group = array.make_reachable_target()
    first, second = array.portals()
    array.configuration["subsystem"][0]["portals"] = ["10.77.0.1:3299"]
    array.reload()
    assert soon(lambda: second not in array.portals())
    kept, new = array.portals()
    assert (kept, array.portals_of(group)) == (first, [first])
    array.wait(array.call("IscsiPortalGroup.AddPortal", id=group, portalId=new))


@pytest.mark.parametrize("stays", [True, False])
def test_commands_wait_for_a_look_at_the_addresses(
    simulated: SimulatedArray, monkeypatch: pytest.MonkeyPatch, stays: bool
) -> None:
    """They are not refused while it lasts; what is asked of a portal that goes fails then."""
    group = simulated.make_group(simulated.make_target())
    kept, other = simulated.portals()
    looking, go_on = threading.Event(), threading.Event()
    addresses = simulated.hardware.addresses

    def slow() -> Mapping[str, bool]:
        looking.set()
        assert go_on.wait(20)
        return addresses()

    monkeypatch.setattr(simulated.hardware, "addresses", slow)
    if not stays:
        address = simulated.call("SubSystemIscsi.QueryPortals", id=simulated.sub_system)["portals"]
        (first,) = (entry["address"] for entry in address if entry["id"] == kept)
        simulated.configuration["subsystem"][0]["portals"] = [f"{first['textAddress']}:{first['port']}"]
    simulated.reload()
    assert looking.wait(20)
    added = simulated.call("IscsiPortalGroup.AddPortal", id=group, portalId=other)
    made = simulated.call("Provisioning.CreateTargets", id=simulated.sub_system, targets=[{"portalIds": [other]}])
    go_on.set()
    results = [simulated.result(reply)["hresult"] for reply in (added, made)]
    assert results == ([0, 0] if stays else [Hresult.VDS_E_OBJECT_NOT_FOUND] * 2)
    assert simulated.portals_of(group) == ([other] if stays else [])


def test_drives_come(drives: Array) -> None:
    """A disk becomes a drive of the subsystem once a pattern names it."""
    sub_system = drives.sub_systems()["array2"]

    def count() -> int:
        return len(drives.call("SubSystem.QueryDrives", id=sub_system)["drives"])

    before, node = count(), drives.plug_scsi_disk(64 * MIB)
    drives.configuration["subsystem"][-1]["drives"].append(node)
    drives.reload()
    assert soon(lambda: count() == before + 1)


@pytest.mark.shows("IscsiPortalGroup.RemovePortal", "VDS_E_PROVIDER_CACHE_CORRUPT")
def test_a_corrupt_cache_is_healed(array: Array) -> None:
    """With self-heal it is recovered without a client, also one that was corrupt before."""
    array.prove_corruption()

    def healed() -> bool:
        try:
            array.make_lun()
        except Failed as error:
            assert error.symbol == "VDS_E_PROVIDER_CACHE_CORRUPT"
            return False
        return True

    assert not healed()
    array.configuration["provider"]["self-heal"] = True
    array.reload()
    assert soon(healed)
