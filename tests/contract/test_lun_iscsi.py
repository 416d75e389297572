"""IVdsLunIscsi: through which targets a LUN is reached."""

import uuid

import msgspec
import pytest

from tests.arrays import INITIATOR, MIB, Array, SimulatedArray
from vdsprovd.hardware import Refused, Step, Unit
from vdsprovd.inventory import Association, Lun
from vdsprovd.provider.associations import LUNS_PER_TARGET
from vdsprovd.store import Store


def test_association_is_a_snapshot_in_the_order_given(array: Array) -> None:
    """QueryAssociatedTargets gives the targets in the order in which AssociateTargets got them."""
    lun, first, second = array.make_lun(), array.make_target(), array.make_target()
    array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[second, first])
    assert array.associated(lun) == [second, first]


@pytest.mark.shows("LunIscsi.QueryAssociatedTargets")
def test_without_a_target_the_enumeration_is_empty(array: Array) -> None:
    """A LUN without targets has an empty enumeration, which is no error."""
    assert array.call("LunIscsi.QueryAssociatedTargets", id=array.make_lun()) == {"targets": []}


def test_associating_replaces_the_whole_list(array: Array) -> None:
    """A target that is missing from the new list is dissociated; the empty list dissociates from all."""
    lun, first, second = array.make_lun(), array.make_target(), array.make_target()
    array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[first])
    array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[second])
    assert array.associated(lun) == [second]
    array.call("LunIscsi.AssociateTargets", id=lun)
    assert array.associated(lun) == []


@pytest.mark.shows("LunIscsi.AssociateTargets")
def test_a_target_named_twice_counts_once(array: Array) -> None:
    """Duplicate ids are no error and make one association."""
    lun, target = array.make_lun(), array.make_target()
    array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target, target])
    assert array.associated(lun) == [target]


def test_an_unknown_target_changes_nothing(array: Array) -> None:
    """One id that names no target is VDS_E_OBJECT_NOT_FOUND, and the association stays as it was."""
    lun, first, second = array.make_lun(), array.make_target(), array.make_target()
    array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[first])
    before = array.kernel()
    for wrong in ("no id", "00000000-0000-0000-0000-000000000000", lun):
        wanted = [second, wrong]
        assert array.error("LunIscsi.AssociateTargets", id=lun, targetIds=wanted) == "VDS_E_OBJECT_NOT_FOUND"
    assert array.associated(lun) == [first]
    assert array.kernel() == before


@pytest.mark.shows("LunIscsi.AssociateTargets", "VDS_E_OBJECT_NOT_FOUND")
def test_a_target_of_another_sub_system_is_not_found(array: Array) -> None:
    """A LUN is reached through targets of its own subsystem only."""
    lun = array.make_lun()
    foreign = array.make_target(sub_system=array.sub_systems()["array1"])
    assert array.error("LunIscsi.AssociateTargets", id=lun, targetIds=[foreign]) == "VDS_E_OBJECT_NOT_FOUND"


def test_a_deleted_target_is_not_found(array: Array) -> None:
    """The id of a deleted target, as an argument, is VDS_E_OBJECT_NOT_FOUND and not VDS_E_OBJECT_DELETED."""
    lun, target = array.make_lun(), array.make_target()
    array.wait(array.call("IscsiTarget.Delete", id=target))
    assert array.error("LunIscsi.AssociateTargets", id=lun, targetIds=[target]) == "VDS_E_OBJECT_NOT_FOUND"


def test_a_deleted_lun_says_so(array: Array) -> None:
    """Both methods answer VDS_E_OBJECT_DELETED on a deleted LUN."""
    lun = array.make_lun()
    array.call("Lun.Delete", id=lun)
    assert array.error("LunIscsi.QueryAssociatedTargets", id=lun) == "VDS_E_OBJECT_DELETED"
    assert array.error("LunIscsi.AssociateTargets", id=lun, targetIds=[]) == "VDS_E_OBJECT_DELETED"


def test_a_failed_lun_says_so_until_it_is_mended(array: Array) -> None:
    """On a LUN whose disk fails both answer VDS_E_OBJECT_STATUS_FAILED; properties stay readable; mended, it works."""
    lun, target = array.make_lun(), array.make_target()
    array.break_volume(lun)
    array.call("SubSystem.Reenumerate", id=array.sub_system)
    assert array.error("LunIscsi.QueryAssociatedTargets", id=lun) == "VDS_E_OBJECT_STATUS_FAILED"
    assert array.error("LunIscsi.AssociateTargets", id=lun, targetIds=[target]) == "VDS_E_OBJECT_STATUS_FAILED"
    properties = array.call("Lun.GetProperties", id=lun)["properties"]
    assert (properties["status"], properties["health"]) == ("failed", "failed")
    array.mend_volume(lun)
    array.call("SubSystem.Reenumerate", id=array.sub_system)
    array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    assert array.associated(lun) == [target]


def test_a_corrupt_cache_says_so_until_it_is_recovered(array: Array) -> None:
    """With a corrupt cache both answer VDS_E_PROVIDER_CACHE_CORRUPT; Reenumerate, then Refresh end that."""
    lun, target = array.make_lun(), array.make_target()
    array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    array.prove_corruption()
    assert array.error("LunIscsi.QueryAssociatedTargets", id=lun) == "VDS_E_PROVIDER_CACHE_CORRUPT"
    assert array.error("LunIscsi.AssociateTargets", id=lun, targetIds=[]) == "VDS_E_PROVIDER_CACHE_CORRUPT"
    array.call("HwProvider.Reenumerate")
    array.call("HwProvider.Refresh")
    assert array.associated(lun) == [target]


def test_one_target_takes_many_luns_and_numbers_are_reused(array: Array) -> None:
    """Each LUN of a target gets the lowest free logical unit number, and keeps it."""
    target = array.make_target()
    luns = [array.make_lun() for _ in range(3)]
    for lun in luns:
        array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    array.call("LunIscsi.AssociateTargets", id=luns[1], targetIds=[])
    late = array.make_lun()
    array.call("LunIscsi.AssociateTargets", id=late, targetIds=[target])
    found = [entry["id"] for entry in array.call("IscsiTarget.QueryAssociatedLuns", id=target)["luns"]]
    assert found == [luns[0], late, luns[2]]


def test_it_is_undone_as_a_whole_when_the_hardware_refuses_a_step(simulated: SimulatedArray) -> None:
    """When the second of two targets cannot be linked, the first is unlinked again and nothing has changed."""
    lun = simulated.make_lun(mask=INITIATOR)
    (first, _), second = simulated.make_reachable_target(), simulated.make_target()
    simulated.make_group(second)
    before = simulated.kernel()
    with simulated.refusing(f"add LUN {lun} as logical unit 0 of portal group 1 of target {simulated.name_of(second)}"):
        assert (
            simulated.error("LunIscsi.AssociateTargets", id=lun, targetIds=[first, second]) == "VDS_E_PROVIDER_FAILURE"
        )
    assert simulated.associated(lun) == []
    assert simulated.kernel() == before
    simulated.restart()
    assert simulated.associated(lun) == []
    assert simulated.kernel() == before


def test_what_cannot_be_undone_corrupts_the_cache(simulated: SimulatedArray) -> None:
    """When a step is refused and one before it cannot be undone, the answer is VDS_E_PROVIDER_CACHE_CORRUPT, for all
    callers, and the recovery puts the host right."""
    lun, (first, _), second = simulated.make_lun(), simulated.make_reachable_target(), simulated.make_target()
    simulated.make_group(second)
    before, names = simulated.kernel(), (simulated.name_of(first), simulated.name_of(second))

    def fault(step: Step) -> None:
        fact = step.after or step.before
        if isinstance(fact, Unit) and (step.after is None) is (fact.target == names[0]):
            raise Refused(f"cannot touch {fact}: the test says so")

    simulated.hardware.fault = fault
    assert (
        simulated.error("LunIscsi.AssociateTargets", id=lun, targetIds=[first, second])
        == "VDS_E_PROVIDER_CACHE_CORRUPT"
    )
    simulated.hardware.fault = None
    assert simulated.kernel() != before
    assert simulated.error("LunIscsi.QueryAssociatedTargets", id=lun) == "VDS_E_PROVIDER_CACHE_CORRUPT"
    simulated.call("HwProvider.Reenumerate")
    simulated.call("HwProvider.Refresh")
    assert simulated.associated(lun) == []
    assert simulated.kernel() == before


def test_a_busy_lun_refuses_both(simulated: SimulatedArray) -> None:
    """While an Extend runs both answer VDS_E_ANOTHER_CALL_IN_PROGRESS, and properties say extending."""
    lun = simulated.make_lun()
    simulated.pool.delay = 0.4
    growth = simulated.call("Lun.Extend", id=lun, numberOfBytesToAdd=MIB)
    assert simulated.error("LunIscsi.QueryAssociatedTargets", id=lun) == "VDS_E_ANOTHER_CALL_IN_PROGRESS"
    assert simulated.error("LunIscsi.AssociateTargets", id=lun) == "VDS_E_ANOTHER_CALL_IN_PROGRESS"
    assert simulated.call("Lun.GetProperties", id=lun)["properties"]["transitionState"] == "extending"
    simulated.wait(growth)
    assert simulated.associated(lun) == []


@pytest.mark.shows("LunIscsi.AssociateTargets", "VDS_E_NOT_SUPPORTED")
def test_a_target_that_is_full(array: Array) -> None:
    """A target has 16,384 LUNs at most, as many as SCSI's flat addressing has numbers for: one more is
    VDS_E_NOT_SUPPORTED and changes nothing; when one has left there is room for one."""
    target = array.make_target()
    one = array.make_lun()
    array.stop()
    # As an array that grew for years, without waiting for it; the bytes of its LUNs are away.
    store = Store(array.folder / "state")
    (example,) = (entity for entity in store.load().entities if isinstance(entity, Lun))
    luns = [
        msgspec.structs.replace(
            example, id=str(uuid.UUID(int=place)), number=1000 + place, associations=(Association(target, place),)
        )
        for place in range(LUNS_PER_TARGET)
    ]
    store.finish(None, put=luns)
    store.close()
    array.start()
    assert array.error("LunIscsi.AssociateTargets", id=one, targetIds=[target]) == "VDS_E_NOT_SUPPORTED"
    assert array.associated(one) == []
    array.call("LunIscsi.AssociateTargets", id=luns[7].id)
    array.call("LunIscsi.AssociateTargets", id=one, targetIds=[target])
    assert array.associated(one) == [target]
