"""IVdsLun, IVdsLunNaming, IVdsLunNumber."""

import base64
import threading
import time

import pytest

from tests.arrays import GIB, INITIATOR, MIB, OTHER_INITIATOR, Array, LioArray, SimulatedArray
from vdsprovd.hardware import Space
from vdsprovd.hresult import Hresult
from vdsprovd.provider.context import WORKERS


def properties(array: Array, lun: str) -> dict[str, object]:
    """A LUN's properties."""
    return dict(array.call("Lun.GetProperties", id=lun)["properties"])


@pytest.mark.shows("Lun.GetSubSystem")
def test_properties_of_a_new_lun(array: Array) -> None:
    """A new LUN is online, healthy, stable, write-through, named by its id, and unmasked to nobody."""
    lun = array.make_lun(MIB)
    assert properties(array, lun) == {
        "id": lun,
        "size": MIB,
        "friendlyName": "",
        "identification": lun,
        "unmaskingList": "",
        "flags": ["write_through_caching_enabled"],
        "type": "simple",
        "status": "online",
        "health": "healthy",
        "transitionState": "stable",
        "rebuildPriority": 0,
        "reason": "",
        "deviation": "",
    }
    assert array.call("Lun.GetSubSystem", id=lun) == {"subSystem": array.sub_system}


@pytest.mark.shows("Async.Wait")
@pytest.mark.shows("Lun.GetProperties")
def test_sizes_are_rounded_up(array: Array) -> None:
    """A size that is no multiple of the pool's granule grows to the next one."""
    assert properties(array, array.make_lun(MIB + 1))["size"] == MIB + 4096


@pytest.mark.shows("Lun.SetMask")
def test_the_mask_is_replaced_and_its_duplicates_go(array: Array) -> None:
    """SetMask replaces the list, drops duplicates and brings names into lower case."""
    lun = array.make_lun(mask=OTHER_INITIATOR)
    array.call("Lun.SetMask", id=lun, unmaskingList=f"{INITIATOR};{INITIATOR.upper()}; {OTHER_INITIATOR};")
    assert properties(array, lun)["unmaskingList"] == f"{INITIATOR};{OTHER_INITIATOR}"
    for single in ("*", ""):
        array.call("Lun.SetMask", id=lun, unmaskingList=single)
        assert properties(array, lun)["unmaskingList"] == single


@pytest.mark.shows("Lun.SetMask", "E_INVALIDARG")
@pytest.mark.parametrize(
    "wrong", [f"*;{INITIATOR}", "0123456789ABCDEF", f"{INITIATOR},{OTHER_INITIATOR}", "iqn.bad", "/"]
)
def test_a_wrong_mask_changes_nothing(array: Array, wrong: str) -> None:
    """An entry that is no iSCSI name, or "*" in company, is E_INVALIDARG; the list and the kernel stay."""
    lun = array.make_lun(mask=INITIATOR)
    target, _ = array.make_reachable_target()
    array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    before = array.kernel()
    assert array.error("Lun.SetMask", id=lun, unmaskingList=wrong) == "E_INVALIDARG"
    assert properties(array, lun)["unmaskingList"] == INITIATOR
    assert array.kernel() == before


def test_nobody_reaches_a_lun_before_mask_association_and_portal_group(array: Array) -> None:
    """Only mask, association and group together put the LUN before the initiator; each taken away takes it away."""
    lun, target = array.make_lun(mask=INITIATOR), array.make_target()

    def granted() -> bool:
        return any(("acls" in line and "lun_0" in line) or "Grant(" in line for line in array.kernel())

    array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    assert not granted()
    array.make_group(target)
    assert granted()
    array.call("Lun.SetMask", id=lun, unmaskingList="")
    assert not granted()
    array.call("Lun.SetMask", id=lun, unmaskingList="*")
    assert granted()
    array.call("LunIscsi.AssociateTargets", id=lun)
    assert not granted()


@pytest.mark.shows("Lun.SetStatus")
def test_offline_takes_the_lun_away_and_online_brings_it_back(array: Array) -> None:
    """SetStatus offline removes the LUN from its targets and keeps mask and association; online restores the kernel."""
    lun, (target, _) = array.make_lun(mask=INITIATOR), array.make_reachable_target()
    array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    before = array.kernel()
    array.call("Lun.SetStatus", id=lun, status="offline")
    assert properties(array, lun)["status"] == "offline"
    assert array.associated(lun) == [target]
    assert array.kernel() < before
    array.restart()
    assert properties(array, lun)["status"] == "offline"
    array.call("Lun.SetStatus", id=lun, status="online")
    assert array.kernel() == before


@pytest.mark.shows("Lun.SetStatus", "E_INVALIDARG")
@pytest.mark.parametrize("status", ["unknown", "failed", "not_ready", "no such status"])
def test_only_online_and_offline_can_be_set(array: Array, status: str) -> None:
    """Any other status is E_INVALIDARG."""
    lun = array.make_lun()
    assert array.error("Lun.SetStatus", id=lun, status=status) == "E_INVALIDARG"
    assert properties(array, lun)["status"] == "online"


@pytest.mark.shows("Lun.Extend")
def test_extend_grows_by_at_least_the_request(array: Array) -> None:
    """Extend rounds up, ends stable, and the new size outlives a restart."""
    lun = array.make_lun(MIB)
    result = array.result(array.call("Lun.Extend", id=lun, numberOfBytesToAdd=1))
    assert (result["hresult"], result["type"], result["percentCompleted"]) == (0, "extend_lun", 100)
    array.restart()
    assert properties(array, lun)["size"] == MIB + 4096
    assert properties(array, lun)["transitionState"] == "stable"


@pytest.mark.shows("Lun.Extend", "VDS_E_OBJECT_NOT_FOUND", "VDS_E_NOT_ENOUGH_SPACE", "E_INVALIDARG")
@pytest.mark.shows("Lun.QueryMaxLunExtendSize", "S_OK", "VDS_E_OBJECT_NOT_FOUND")
def test_extend_beyond_the_pool_changes_nothing(array: Array) -> None:
    """More than the pool has free is VDS_E_NOT_ENOUGH_SPACE at once; QueryMaxLunExtendSize says how much there is."""
    lun = array.make_lun()
    most = array.call("Lun.QueryMaxLunExtendSize", id=lun)["maxBytesToBeAdded"]
    for much in (most + 2 * MIB, 1 << 62, (1 << 63) - 1, 1 << 64):
        assert array.error("Lun.Extend", id=lun, numberOfBytesToAdd=much) == "VDS_E_NOT_ENOUGH_SPACE"
    assert properties(array, lun)["size"] == MIB
    for wrong in (0, -1, -(1 << 63)):
        assert array.error("Lun.Extend", id=lun, numberOfBytesToAdd=wrong) == "E_INVALIDARG"
    assert array.error("Lun.Extend", id=lun, numberOfBytesToAdd=MIB, driveIds=["x"]) == "VDS_E_OBJECT_NOT_FOUND"
    assert array.error("Lun.QueryMaxLunExtendSize", id=lun, driveIds=["x"]) == "VDS_E_OBJECT_NOT_FOUND"


@pytest.mark.shows("Lun.Shrink", "S_OK", "E_INVALIDARG")
def test_shrink_cuts_at_most_the_request(array: Array) -> None:
    """Shrink rounds so that no more goes than was asked for; taking all is E_INVALIDARG."""
    lun = array.make_lun(2 * MIB)
    assert array.result(array.call("Lun.Shrink", id=lun, numberOfBytesToRemove=MIB + 1))["type"] == "shrink_lun"
    assert properties(array, lun)["size"] == MIB
    for wrong in (0, -1, MIB, GIB):
        assert array.error("Lun.Shrink", id=lun, numberOfBytesToRemove=wrong) == "E_INVALIDARG"
    assert properties(array, lun)["size"] == MIB


@pytest.mark.shows("Lun.Delete")
def test_a_deleted_lun_leaves_nothing(array: Array) -> None:
    """Delete dissociates, frees the space and leaves no object in the kernel; then every method says deleted."""
    target, _ = array.make_reachable_target()
    empty = array.kernel()
    free = array.call("SubSystem.QueryMaxLunCreateSize", id=array.sub_system, type="simple")["maxLunSize"]
    lun = array.make_lun(8 * MIB, mask=INITIATOR)
    array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    array.call("Lun.Delete", id=lun)
    assert array.kernel() == empty
    assert array.call("SubSystem.QueryMaxLunCreateSize", id=array.sub_system, type="simple")["maxLunSize"] == free
    assert array.call("SubSystem.QueryLuns", id=array.sub_system) == {"luns": []}
    assert array.call("IscsiTarget.QueryAssociatedLuns", id=target) == {"luns": []}
    for restarted in (False, True):
        if restarted:
            array.restart()
        for method in ("Lun.GetProperties", "Lun.Delete", "LunNumber.GetLunNumber", "Lun.GetIdentificationData"):
            assert array.error(method, id=lun) == "VDS_E_OBJECT_DELETED"


@pytest.mark.shows("Lun.GetIdentificationData")
def test_identification_follows_the_id(array: Array) -> None:
    """Serial number and designators are made of the LUN's id, and stay through restart and reboot."""
    lun = array.make_lun()
    found = array.call("Lun.GetIdentificationData", id=lun)["properties"]
    assert found["serialNumber"] == lun
    assert (found["vendorId"], found["productId"], found["productRevision"]) == ("LIO-ORG ", "vdsprovd        ", "4.0 ")
    assert (found["deviceType"], found["deviceTypeModifier"], found["commandQueueing"]) == (0, 0, True)
    assert (found["busType"], found["interconnects"]) == ("iscsi", [])
    identifiers = found["deviceIdDescriptor"]["identifiers"]
    assert [(entry["codeSet"], entry["type"]) for entry in identifiers] == [
        ("binary", "fcph_name"),
        ("ascii", "vendor_id"),
        ("binary", "logical_unit_group"),
    ]
    naa, t10, group = (base64.b64decode(entry["identifier"]) for entry in identifiers)
    assert naa.hex() == "6001405" + lun.replace("-", "")[:25]
    assert t10 == f"LIO-ORG vdsprovd:{lun}\0".encode()
    assert group == bytes(4)
    for again in (array.restart, array.reboot):
        again()
        assert array.call("Lun.GetIdentificationData", id=lun)["properties"] == found


@pytest.mark.shows("LunNaming.SetFriendlyName", "S_OK", "VDS_S_NAME_TRUNCATED")
def test_names(array: Array) -> None:
    """A name is kept through a restart; one of more than 255 bytes is cut with VDS_S_NAME_TRUNCATED; "" removes it."""
    lun = array.make_lun()
    assert array.call("LunNaming.SetFriendlyName", id=lun, friendlyName="../mail ; 'x'") == {"hresult": 0}
    array.restart()
    assert properties(array, lun)["friendlyName"] == "../mail ; 'x'"
    reply = array.call("LunNaming.SetFriendlyName", id=lun, friendlyName="ä" * 200)
    assert reply == {"hresult": 0x00042700}
    assert properties(array, lun)["friendlyName"] == "ä" * 127
    assert array.error("LunNaming.SetFriendlyName", id=lun, friendlyName="a\nb") == "E_INVALIDARG"
    array.call("LunNaming.SetFriendlyName", id=lun, friendlyName="")
    assert properties(array, lun)["friendlyName"] == ""


@pytest.mark.shows("LunNumber.GetLunNumber")
def test_numbers_are_unique_and_stay(array: Array) -> None:
    """Every LUN has its own number, the same after a restart."""
    luns = [array.make_lun() for _ in range(3)]
    numbers = [array.call("LunNumber.GetLunNumber", id=lun)["lunNumber"] for lun in luns]
    assert len(set(numbers)) == 3
    array.restart()
    assert [array.call("LunNumber.GetLunNumber", id=lun)["lunNumber"] for lun in luns] == numbers


@pytest.mark.shows("Async.Cancel", "S_OK", "VDS_E_OPERATION_CANCELED")
@pytest.mark.shows("Async.QueryStatus", "VDS_E_OPERATION_PENDING")
def test_an_operation_can_be_cancelled_and_leaves_nothing(array: Array) -> None:
    """Async.Cancel makes Wait report VDS_E_OPERATION_CANCELED; the LUN has its old size; cancelling twice says so."""
    lun = array.make_lun()
    with array.hanging():
        growth = array.call("Lun.Extend", id=lun, numberOfBytesToAdd=MIB)
        assert array.call("Async.QueryStatus", id=growth["async"])["hresult"] == 0x80042409
        array.call("Async.Cancel", id=growth["async"])
        assert array.error("Async.Cancel", id=growth["async"]) == "VDS_E_OPERATION_CANCELED"
    assert array.result(growth)["hresult"] == 0x8004240D
    assert properties(array, lun)["size"] == MIB
    assert properties(array, lun)["transitionState"] == "stable"
    assert array.volume_size(lun) == MIB


@pytest.mark.shows("Service.QueryOperations")
def test_operations_are_found_again(array: Array) -> None:
    """Service.QueryOperations has the operations that run and those that ended, in their order: whoever lost an id finds
    it by the type and the subject, which is the object's id, or the name of a target that is made."""
    name = "iqn.2026-11.org.example:found-again"
    array.wait(array.call("SubSystemIscsi.CreateTarget", id=array.sub_system, iscsiName=name))
    lun = array.make_lun()
    with array.hanging():
        growth = array.call("Lun.Extend", id=lun, numberOfBytesToAdd=MIB)
        found = array.call("Service.QueryOperations")["operations"]
        array.call("Async.Cancel", id=growth["async"])
    assert [(entry["type"], entry["subject"]) for entry in found] == [
        ("create_target", name),
        ("create_lun", lun),
        ("extend_lun", lun),
    ]
    assert [entry["hresult"] for entry in found] == [0, 0, 0x80042409]
    assert (found[0]["percentCompleted"], found[-1]["id"]) == (100, growth["async"])
    assert array.result(growth)["hresult"] == 0x8004240D
    assert array.call("Service.QueryOperations")["operations"][-1]["hresult"] == 0x8004240D


@pytest.mark.shows("Async.Wait", "VDS_E_OBJECT_NOT_FOUND")
@pytest.mark.shows("Async.QueryStatus", "S_OK", "VDS_E_OBJECT_NOT_FOUND")
@pytest.mark.shows("Async.Cancel", "VDS_E_NOT_SUPPORTED", "VDS_E_CANCEL_TOO_LATE", "VDS_E_OBJECT_NOT_FOUND")
def test_what_is_over_soon_cannot_be_cancelled(array: Array) -> None:
    """Operations on targets and groups answer Async.Cancel with VDS_E_NOT_SUPPORTED, and go on; once they are over it
    is too late. What is no operation is not found."""
    array.store_on_disk()
    id = array.sub_system
    with array.hanging():
        reply = array.call("SubSystemIscsi.CreateTarget", id=id)
        assert array.error("Async.Cancel", id=reply["async"]) == "VDS_E_NOT_SUPPORTED"
    target = array.wait(reply)
    assert array.call("IscsiTarget.GetProperties", id=target)["properties"]["id"] == target
    assert array.call("Async.QueryStatus", id=reply["async"])["hresult"] == 0
    assert array.error("Async.Cancel", id=reply["async"]) == "VDS_E_CANCEL_TOO_LATE"
    for method in ("Wait", "QueryStatus", "Cancel"):
        assert array.error(f"Async.{method}", id="nothing") == "VDS_E_OBJECT_NOT_FOUND"


@pytest.mark.shows("Lun.Extend", "VDS_E_NOT_ENOUGH_DRIVE")
def test_a_pool_that_is_gone_has_no_drive(array: Array) -> None:
    """When the LUN's pool cannot be used Extend answers VDS_E_NOT_ENOUGH_DRIVE, also where the subsystem has another
    pool that can; the LUN keeps its size."""
    array.add_pool("files1")
    lun = array.make_lun(pool="files0")
    with array.pool_gone("files0"):
        assert array.error("Lun.Extend", id=lun, numberOfBytesToAdd=MIB) == "VDS_E_NOT_ENOUGH_DRIVE"
        array.make_lun(pool="files1")
    assert properties(array, lun)["size"] == MIB
    array.wait(array.call("Lun.Extend", id=lun, numberOfBytesToAdd=MIB))


@pytest.mark.shows("SubSystem.CreateLun", "VDS_E_NOT_SUPPORTED")
@pytest.mark.shows("Lun.Extend", "VDS_E_NOT_SUPPORTED")
@pytest.mark.lab
def test_a_file_system_that_holds_no_such_file(lio: LioArray) -> None:
    """A size that the pool's file system has no files of is VDS_E_NOT_SUPPORTED, whatever becomes free; nothing is left,
    and the LUN keeps its size."""
    lio.configuration["subsystem"][0]["pool"][0]["sparse"] = True
    lio.restart()
    lun = lio.make_lun()
    huge = 1 << 54
    growth = lio.call("Lun.Extend", id=lun, numberOfBytesToAdd=huge)
    assert lio.result(growth)["hresult"] == Hresult.VDS_E_NOT_SUPPORTED
    assert properties(lio, lun)["size"] == MIB
    creation = lio.call("SubSystem.CreateLun", id=lio.sub_system, type="simple", sizeInBytes=huge)
    result = lio.result(creation)
    assert result["hresult"] == Hresult.VDS_E_NOT_SUPPORTED
    assert "its file system holds no file of that size" in result["message"]
    assert len(list((lio.pools_folder / "files0").iterdir())) == 1


def test_progress_is_streamed(simulated: SimulatedArray) -> None:
    """Async.Wait with `more` reports growing percentages, and ends with 100 and the result."""
    simulated.pool.delay = 0.2
    reply = simulated.call("SubSystem.CreateLun", id=simulated.sub_system, type="simple", sizeInBytes=MIB)
    replies = list(simulated.connection.stream("org.vdsprov.Async.Wait", {"id": reply["async"]}))
    percentages = [entry["percentCompleted"] for entry in replies]
    assert percentages == sorted(percentages)
    assert len(percentages) > 2
    assert (percentages[-1], replies[-1]["hresult"], replies[-1]["type"]) == (100, 0, "create_lun")


def test_two_growths_add_up(simulated: SimulatedArray) -> None:
    """An Extend that was checked before another one ended grows the LUN by what it asked for, from what it is then."""
    lun = simulated.make_lun(MIB)
    space, slow = simulated.pool.space, [True]

    def delayed() -> Space:
        if slow.pop() if slow else False:
            time.sleep(0.5)
        return space()

    simulated.pool.space = delayed  # type: ignore[method-assign]  # the first client is overtaken while it looks
    replies: list[dict[str, object]] = []

    def grow() -> None:
        with simulated.connect() as connection:
            parameters = {"id": lun, "numberOfBytesToAdd": MIB}
            replies.append(connection.call("org.vdsprov.Lun.Extend", parameters))

    thread = threading.Thread(target=grow, daemon=True)
    thread.start()
    time.sleep(0.2)
    simulated.wait(simulated.call("Lun.Extend", id=lun, numberOfBytesToAdd=100 * MIB))
    thread.join()
    simulated.wait(replies[0])
    assert properties(simulated, lun)["size"] == 102 * MIB == simulated.pool.sizes[lun]


def test_long_work_holds_up_nothing_else(simulated: SimulatedArray) -> None:
    """While more LUNs are being zeroed than there are threads for short work, everything else is answered at once."""
    lun = simulated.make_lun()
    simulated.pool.delay = 5.0
    sub_system = simulated.sub_system
    creations = [
        simulated.call("SubSystem.CreateLun", id=sub_system, type="simple", sizeInBytes=MIB) for _ in range(WORKERS + 2)
    ]
    begun = time.monotonic()
    simulated.call("Lun.SetMask", id=lun, unmaskingList=INITIATOR)
    assert time.monotonic() - begun < 1
    for creation in creations:
        simulated.call("Async.Cancel", id=creation["async"])
    assert {simulated.result(creation)["hresult"] for creation in creations} == {0x8004240D}
    assert simulated.pool.sizes == {lun: MIB}
