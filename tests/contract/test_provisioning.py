"""org.vdsprov.Provisioning: many LUNs or targets at once, all or none."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.arrays import ADDRESS, INITIATOR, MIB, OTHER_INITIATOR, Array, SimulatedArray
from vdsprovd.hardware import Disk, Grant, Listener, Unit
from vdsprovd.hresult import Hresult
from vdsprovd.provider.provisioning import MOST
from vdsprovd.varlink import VarlinkError

GONE = "00000000-0000-0000-0000-000000000000"


def create(array: Array, *luns: Mapping[str, object]) -> list[str]:
    """Create these LUNs; gives their ids."""
    reply = array.call("Provisioning.CreateLuns", id=array.sub_system, luns=luns)
    assert array.result(reply)["hresult"] == 0
    return list(reply["objects"])


def luns(array: Array) -> dict[str, Any]:
    """The properties of every LUN, by id."""
    return {lun["id"]: lun for lun in array.call("SubSystem.QueryLuns", id=array.sub_system)["luns"]}


@pytest.mark.shows("Provisioning.CreateLuns")
def test_each_lun_is_as_it_says(array: Array) -> None:
    """Size, name, mask and targets are each LUN's own; the ids come in the order in which the LUNs were given."""
    (first, group), second = array.make_reachable_target(), array.make_target()
    before = array.make_lun(mask=INITIATOR)
    array.call("LunIscsi.AssociateTargets", id=before, targetIds=[first])
    made = create(
        array,
        {"sizeInBytes": MIB, "friendlyName": "one", "unmaskingList": INITIATOR, "targetIds": [second, first]},
        {"sizeInBytes": 2 * MIB, "unmaskingList": f"{INITIATOR};{OTHER_INITIATOR}", "targetIds": [first, first]},
        {"sizeInBytes": 4097},
    )
    assert set(luns(array)) == {before, *made}
    found = [luns(array)[id] for id in made]
    assert [entry["size"] for entry in found] == [MIB, 2 * MIB, 8192]
    assert [entry["friendlyName"] for entry in found] == ["one", "", ""]
    assert [entry["unmaskingList"] for entry in found] == [INITIATOR, f"{INITIATOR};{OTHER_INITIATOR}", ""]
    assert [array.associated(id) for id in made] == [[second, first], [first], []]
    at_first = {fact.lun: fact.index for fact in array.facts() if isinstance(fact, Unit) and fact.lun in made}
    assert at_first == {made[0]: 1, made[1]: 2}
    grants = {(fact.unit, fact.initiator) for fact in array.facts() if isinstance(fact, Grant)}
    assert grants == {(0, INITIATOR), (1, INITIATOR), (2, INITIATOR), (2, OTHER_INITIATOR)}
    # It is what the calls one by one would have made.
    array.restart()
    assert [luns(array)[id] for id in made] == found
    array.call("HwProvider.Reenumerate")
    array.call("HwProvider.Refresh")
    for id in (*made, before):
        array.call("Lun.Delete", id=id)
    assert not any(isinstance(fact, Unit | Grant | Disk) for fact in array.facts())
    assert array.portals_of(group)


def test_their_numbers_in_a_target_are_those_of_one_after_the_other(array: Array) -> None:
    """Also where numbers are free that are lower than others: SCSI wants no gaps, and initiators no LUN that moves."""
    together, one_by_one = (array.make_reachable_target()[0] for _ in range(2))

    def numbers(target: str) -> dict[str, int]:
        name = array.call("IscsiTarget.GetProperties", id=target)["properties"]["iscsiName"]
        return {fact.lun: fact.index for fact in array.facts() if isinstance(fact, Unit) and fact.target == name}

    first = create(array, *[{"sizeInBytes": MIB, "targetIds": [together, one_by_one]}] * 4)
    array.call("LunIscsi.AssociateTargets", id=first[1], targetIds=[])
    more = create(array, *[{"sizeInBytes": MIB, "targetIds": [together]}] * 3)
    for id in more:
        array.call("LunIscsi.AssociateTargets", id=id, targetIds=[together, one_by_one])
    assert numbers(together) == numbers(one_by_one)
    assert [numbers(together)[id] for id in more] == [1, 4, 5]


@pytest.mark.shows("Provisioning.CreateLuns", "E_INVALIDARG", "VDS_E_NOT_SUPPORTED", "VDS_E_OBJECT_NOT_FOUND")
def test_one_that_is_wrong_keeps_all_from_being_made(array: Array) -> None:
    """What is wrong is told at once, with its place, and nothing is there."""
    target, before = array.make_target(), array.kernel()
    good = {"sizeInBytes": MIB, "targetIds": [target]}
    for wrong, symbol in (
        ({"sizeInBytes": 0}, "E_INVALIDARG"),
        ({"sizeInBytes": MIB, "type": "unknown"}, "E_INVALIDARG"),
        ({"sizeInBytes": MIB, "type": "mirror"}, "VDS_E_NOT_SUPPORTED"),
        ({"sizeInBytes": MIB, "unmaskingList": "me"}, "E_INVALIDARG"),
        ({"sizeInBytes": MIB, "friendlyName": "x" * 256}, "E_INVALIDARG"),
        ({"sizeInBytes": MIB, "storagePoolId": GONE}, "VDS_E_OBJECT_NOT_FOUND"),
        ({"sizeInBytes": MIB, "driveIds": [GONE]}, "VDS_E_OBJECT_NOT_FOUND"),
        ({"sizeInBytes": MIB, "targetIds": [GONE]}, "VDS_E_OBJECT_NOT_FOUND"),
        ({"sizeInBytes": MIB, "hints2": {"mostlyReads": True}}, "VDS_E_NOT_SUPPORTED"),
    ):
        assert array.error("Provisioning.CreateLuns", id=array.sub_system, luns=[good, wrong]) == symbol, wrong
    assert luns(array) == {}
    assert array.kernel() == before


def test_what_is_wrong_with_which(simulated: SimulatedArray) -> None:
    """Of a thousand, a person wants to know which; and a misspelt field is none, lest a LUN come without its targets."""
    for wrong, text in (({"sizeInBytes": 0}, "LUN 2 of 2: "), ({"sizeInBytes": MIB, "targets": []}, "luns")):
        wanted = {"id": simulated.sub_system, "luns": [{"sizeInBytes": MIB}, wrong]}
        with pytest.raises(VarlinkError, match=text):
            simulated.connection.call("org.vdsprov.Provisioning.CreateLuns", wanted)
    assert luns(simulated) == {}


def test_as_many_as_one_call_makes_for_a_cluster(simulated: SimulatedArray) -> None:
    """A thousand LUNs that 32 initiators see, whose names are long: the call has more than 2 MiB."""
    hosts = [f"iqn.2026-11.org.example:{'rack-of-the-second-floor':-<50}{number}" for number in range(32)]
    new = {"sizeInBytes": MIB, "unmaskingList": ";".join(hosts)}
    assert len(hosts[0]) * len(hosts) * MOST > 2 * MIB
    made = create(simulated, *[new] * MOST)
    assert set(luns(simulated)) == set(made)
    assert set(luns(simulated)[made[-1]]["unmaskingList"].split(";")) == set(hosts)


@pytest.mark.parametrize("method", ["CreateLuns", "CreateTargets"])
@pytest.mark.parametrize("count", [0, MOST + 1])
def test_none_and_too_many(simulated: SimulatedArray, method: str, count: int) -> None:
    """One call makes 1 to 1,000."""
    calls: dict[str, dict[str, object]] = {
        "CreateLuns": {"luns": [{"sizeInBytes": MIB}] * count},
        "CreateTargets": {"targets": [{}] * count},
    }
    assert simulated.error(f"Provisioning.{method}", id=simulated.sub_system, **calls[method]) == "E_INVALIDARG"


@pytest.mark.shows("Provisioning.CreateLuns", "VDS_E_NOT_ENOUGH_SPACE")
def test_they_share_the_room(array: Array) -> None:
    """Each finds what those before it leave."""
    free = array.call("SubSystem.QueryMaxLunCreateSize", id=array.sub_system, type="simple")["maxLunSize"]
    wanted = [{"sizeInBytes": free * 3 // 4}] * 2
    assert array.error("Provisioning.CreateLuns", id=array.sub_system, luns=wanted) == "VDS_E_NOT_ENOUGH_SPACE"
    assert luns(array) == {}


@pytest.mark.shows("Provisioning.CreateLuns", "VDS_E_NOT_ENOUGH_DRIVE")
def test_a_pool_that_cannot_be_used(array: Array) -> None:
    """It is told before anything is made."""
    with array.pool_gone("files0"):
        wanted = [{"sizeInBytes": MIB}] * 2
        assert array.error("Provisioning.CreateLuns", id=array.sub_system, luns=wanted) == "VDS_E_NOT_ENOUGH_DRIVE"
    assert luns(array) == {}


@pytest.mark.parametrize("count", [3, 60])
def test_a_step_that_the_kernel_refuses(simulated: SimulatedArray, count: int) -> None:
    """Whatever was made before it is taken back, one step after the other or, where there are many, side by side."""
    target, _ = simulated.make_reachable_target()
    before = simulated.kernel()
    wanted = [{"sizeInBytes": MIB, "unmaskingList": INITIATOR, "targetIds": [target]}] * count
    for refused in ("disk", "logical unit 2", "access to logical unit 1"):
        with simulated.refusing(refused):
            reply = simulated.call("Provisioning.CreateLuns", id=simulated.sub_system, luns=wanted)
            assert simulated.result(reply)["hresult"] != 0
        assert luns(simulated) == {}
        assert simulated.kernel() == before
        assert simulated.pool.sizes == {}
    assert simulated.context.store.load().pending == ()


def test_cancelling_leaves_none(simulated: SimulatedArray) -> None:
    """Those whose bytes were made by then go again."""
    before = simulated.kernel()
    reply = simulated.call("Provisioning.CreateLuns", id=simulated.sub_system, luns=[{"sizeInBytes": MIB}] * MOST)
    simulated.call("Async.Cancel", id=reply["async"])
    assert Hresult(simulated.result(reply)["hresult"]) is Hresult.VDS_E_OPERATION_CANCELED
    assert luns(simulated) == simulated.pool.sizes == {}
    assert simulated.kernel() == before
    assert simulated.context.store.load().pending == ()


def test_the_target_is_not_deleted_under_them(simulated: SimulatedArray) -> None:
    """A target is held while LUNs are on their way to it, and can go when they have gone."""
    target = simulated.make_target()
    made = create(simulated, *[{"sizeInBytes": MIB, "targetIds": [target]}] * 100)
    assert simulated.error("IscsiTarget.Delete", id=target) == "VDS_E_ASSOCIATED_LUNS_EXIST"
    for id in made:
        simulated.call("Lun.Delete", id=id)
    simulated.wait(simulated.call("IscsiTarget.Delete", id=target))


def test_who_listens_is_told_of_all(simulated: SimulatedArray) -> None:
    """The arrival of each, and that the target has changed."""
    target = simulated.make_target()
    sink = simulated.context.cache.advise()
    made = create(simulated, *[{"sizeInBytes": MIB, "targetIds": [target]}] * 200)
    told = [entry for _, group in sink.groups for entry in group]
    assert [entry.id for entry in told if entry.event.value == "lun_arrive"] == made
    assert {entry.id for entry in told if entry.event.value == "target_modify"} == {target}


@pytest.mark.shows("Provisioning.CreateTargets")
def test_targets_with_their_portals(array: Array) -> None:
    """Each has a portal group of its portals, or none; names that are not given are generated."""
    portals = array.portals()
    wanted = [
        {"iscsiName": "iqn.2026-11.org.example:many0", "friendlyName": "many", "portalIds": [portals[0], portals[0]]},
        {"portalIds": portals[:2]},
        {},
    ]
    reply = array.call("Provisioning.CreateTargets", id=array.sub_system, targets=wanted)
    assert array.result(reply)["hresult"] == 0
    found = [array.call("IscsiTarget.GetProperties", id=id)["properties"] for id in reply["objects"]]
    assert (found[0]["iscsiName"], found[0]["friendlyName"]) == ("iqn.2026-11.org.example:many0", "many")
    assert all(entry["chapEnabled"] for entry in found)
    assert len({entry["iscsiName"] for entry in found}) == 3
    groups = [array.call("IscsiTarget.QueryPortalGroups", id=id)["portalGroups"] for id in reply["objects"]]
    assert [[array.portals_of(group["id"]) for group in entry] for entry in groups] == [
        [portals[:1]],
        [portals[:2]],
        [],
    ]
    listeners = [fact for fact in array.facts() if isinstance(fact, Listener)]
    assert len(listeners) == 3
    assert ADDRESS in {fact.address for fact in listeners}
    for entry, id in zip(groups, reply["objects"], strict=True):
        for group in entry:
            for portal in array.portals_of(group["id"]):
                array.wait(array.call("IscsiPortalGroup.RemovePortal", id=group["id"], portalId=portal))
        array.wait(array.call("IscsiTarget.Delete", id=id))


@pytest.mark.shows(
    "Provisioning.CreateTargets",
    "VDS_E_NAME_NOT_UNIQUE",
    "E_INVALIDARG",
    "VDS_E_OBJECT_NOT_FOUND",
    "VDS_E_NOT_SUPPORTED",
)
def test_names_that_are_taken(array: Array) -> None:
    """By a target that is there, or by another one of the same call; nothing is made then."""
    name = "iqn.2026-11.org.example:taken"
    array.make_target(name)
    before = array.kernel()
    other = {"iscsiName": "iqn.2026-11.org.example:free"}
    for wanted, symbol in (
        ([other, {"iscsiName": name.upper()}], "VDS_E_NAME_NOT_UNIQUE"),
        ([other, other], "VDS_E_NAME_NOT_UNIQUE"),
        ([other, {"iscsiName": "no name"}], "E_INVALIDARG"),
        ([other, {"portalIds": [GONE]}], "VDS_E_OBJECT_NOT_FOUND"),
        ([other, {"iscsiName": "naa.6000000000000000"}], "VDS_E_NOT_SUPPORTED"),
    ):
        assert array.error("Provisioning.CreateTargets", id=array.sub_system, targets=wanted) == symbol, wanted
    assert array.kernel() == before
