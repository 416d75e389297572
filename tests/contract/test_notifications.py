"""Service.Advise: every change is told, grouped by event, whoever made it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests import conformance, scene
from tests.arrays import INITIATOR, MIB, Array, SimulatedArray
from tests.scene import Told
from vdsprovd.hresult import Hresult
from vdsprovd.varlink.client import Connection


class Sink:
    """An advise sink; `take` gives the next group as (event, id) pairs."""

    def __init__(self, array: Array) -> None:
        self.connection: Connection = array.connect()
        self.replies: Iterator[Any] = iter(self.connection.stream("org.vdsprov.Service.Advise", {}))
        first = next(self.replies)
        assert first["established"]
        conformance.saw("Service.Advise", Hresult.S_OK)
        self.epoch, self.sequence = first["epoch"], first["sequence"]

    def take(self) -> set[tuple[str, str]]:
        """The next group; its sequence number follows the last one's."""
        reply = next(self.replies)
        assert reply["epoch"] == self.epoch
        assert reply["sequence"] == self.sequence + 1
        self.sequence = reply["sequence"]
        return {(entry["event"], entry["id"]) for entry in reply["notifications"]}


@pytest.fixture
def sink(array: Array) -> Iterator[Sink]:
    """A sink on the array."""
    found = Sink(array)
    yield found
    found.connection.close()


@pytest.mark.shows("Service.Advise")
def test_a_lun_s_life(array: Array, sink: Sink) -> None:
    """Creation, mask, name, growth (twice: it begins and ends), status and deletion are one group each."""
    lun = array.make_lun()
    assert sink.take() == {("lun_arrive", lun)}
    array.call("Lun.SetMask", id=lun, unmaskingList=INITIATOR)
    assert sink.take() == {("lun_modify", lun)}
    array.call("LunNaming.SetFriendlyName", id=lun, friendlyName="x")
    assert sink.take() == {("lun_modify", lun)}
    array.wait(array.call("Lun.Extend", id=lun, numberOfBytesToAdd=MIB))
    assert sink.take() == {("lun_modify", lun)}
    assert sink.take() == {("lun_modify", lun)}
    array.call("Lun.SetStatus", id=lun, status="offline")
    assert sink.take() == {("lun_modify", lun)}
    array.call("Lun.Delete", id=lun)
    assert sink.take() == {("lun_depart", lun)}


def test_a_target_s_life(array: Array, sink: Sink) -> None:
    """Target, group, portal, name and secret are told; deleting the target tells of its groups in the same group."""
    target = array.make_target()
    assert sink.take() == {("target_arrive", target)}
    group = array.make_group(target)
    assert sink.take() == {("portal_group_arrive", group)}
    portal = array.portals()[0]
    array.wait(array.call("IscsiPortalGroup.AddPortal", id=group, portalId=portal))
    assert sink.take() == {("portal_group_modify", group)}
    array.call("IscsiTarget.SetFriendlyName", id=target, friendlyName="x")
    assert sink.take() == {("target_modify", target)}
    array.call("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret="twelve-bytes")
    assert sink.take() == {("target_modify", target)}
    array.call("IscsiPortal.SetStatus", id=portal, status="offline")
    assert sink.take() == {("portal_modify", portal)}
    array.wait(array.call("IscsiTarget.Delete", id=target))
    assert sink.take() == {("target_depart", target), ("portal_group_depart", group)}


def test_an_association_modifies_lun_and_target(array: Array, sink: Sink) -> None:
    """AssociateTargets tells of the LUN and of each target that came or went, as one group."""
    lun, target = array.make_lun(), array.make_target()
    sink.take(), sink.take()
    array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    assert sink.take() == {("lun_modify", lun), ("target_modify", target)}
    array.call("Lun.Delete", id=lun)
    assert sink.take() == {("lun_depart", lun), ("target_modify", target)}


def test_a_subsystem_s_name_and_status(array: Array, sink: Sink) -> None:
    """Its name and its status are told."""
    array.call("SubSystemNaming.SetFriendlyName", id=array.sub_system, friendlyName="x")
    id = array.sub_systems()["x"]
    assert sink.take() == {("sub_system_modify", id)}
    array.call("SubSystem.SetStatus", id=id, status="offline")
    assert sink.take() == {("sub_system_modify", id)}


def drives_as_seen(array: Array) -> dict[str, object]:
    """What clients see of each of array2's drives, extents included."""
    return {
        id: (
            array.call("Drive2.GetProperties2", id=id)["properties"],
            sorted(str(extent) for extent in array.call("Drive.QueryExtents", id=id)["extents"]),
        )
        for id in array.drives().values()
    }


def test_volumes_modify_their_drives(drives: Array) -> None:
    """In a pool of drives, creation, growth, shrinking, plexes that come and go, and deletion are told together with the
    drives of which clients see something else than before, extents included; what begins first is told when it begins.
    Nothing is told twice."""
    sink, seen = scene.Sink(drives), drives_as_seen(drives)

    def told(begins: Told, ends: Told) -> None:
        nonlocal seen
        before, seen = seen, drives_as_seen(drives)
        modified = {("drive_modify", id) for id in seen if before[id] != seen[id]}
        assert modified
        groups = ([begins] if begins else []) + [ends | modified]
        assert [sink.take() for _ in groups] == groups

    lun = drives.make_volume("simple", 8 * MIB, ["drive0"])
    told(set(), {("lun_arrive", lun)})
    modified = {("lun_modify", lun)}
    drives.wait(drives.call("Lun.Extend", id=lun, numberOfBytesToAdd=4 * MIB))
    told(modified, modified)
    drives.wait(drives.call("Lun.Shrink", id=lun, numberOfBytesToRemove=4 * MIB))
    told(modified, modified)
    other = drives.make_volume("simple", 8 * MIB, ["drive1"])
    told(set(), {("lun_arrive", other)})
    drives.wait(drives.call("Lun.AddPlex", id=lun, lunId=other))
    told(modified, {*modified, ("lun_depart", other)})
    drives.wait(drives.call("Lun.RemovePlex", id=lun, plexId=drives.plexes(lun)[1]["id"]))
    told(modified, modified)
    drives.call("Lun.Delete", id=lun)
    told(set(), {("lun_depart", lun)})
    assert sink.silent()
    sink.close()


def test_drives_that_are_set(drives: Array) -> None:
    """Flags and status of drives are told, an offline one as removed; a replacement is one event."""
    found, sink = drives.drives(), scene.Sink(drives)
    lun = drives.make_volume("simple", 8 * MIB, ["drive0"])
    sink.take()
    spare = found["spare0"]
    for name in ("SetFlags", "ClearFlags", "SetFlags"):
        drives.call(f"Drive.{name}", id=spare, flags=["hotspare"])
        assert sink.take() == {("drive_modify", spare)}
    for status, event in (("offline", "drive_removed"), ("online", "drive_modify")):
        drives.call("Drive.SetStatus", id=found["drive2"], status=status)
        assert sink.take() == {(event, found["drive2"])}
    replaced = {"driveToBeReplaced": found["drive0"], "replacementDrive": spare}
    drives.call("SubSystem.ReplaceDrive", id=drives.sub_systems()["array2"], **replaced)
    assert sink.take() == {("drive_depart", found["drive0"]), ("drive_modify", spare)}
    assert sink.silent()
    assert {
        entry["id"] for entry in drives.call("LunPlex.QueryExtents", id=drives.plexes(lun)[0]["id"])["extents"]
    } == {spare}
    sink.close()


def test_controllers_that_are_set(array: Array, sink: Sink) -> None:
    """A controller or port that is set offline is told of as removed, and as modified when it is online again."""
    (controller,) = array.call("SubSystem.QueryControllers", id=array.sub_system)["controllers"]
    (port,) = array.call("ControllerControllerPort.QueryControllerPorts", id=controller["id"])["controllerPorts"]
    for interface, kind, id in (("Controller", "controller", controller["id"]), ("ControllerPort", "port", port["id"])):
        for status, event in (("offline", f"{kind}_removed"), ("online", f"{kind}_modify")):
            array.call(f"{interface}.SetStatus", id=id, status=status)
            assert sink.take() == {(event, id)}


def test_what_tells_nothing(array: Array) -> None:
    """There is no event for an import target, and none when a portal group that there is already is handed out."""
    target = array.make_target()
    groups = {array.make_group(target) for _ in range(64)}
    sink = scene.Sink(array)
    assert array.make_group(target) in groups
    array.call("SubSystemImportTarget.SetImportTarget", id=array.sub_system, iscsiName=array.name_of(target))
    assert sink.silent()
    sink.close()


def test_refresh_tells_what_it_found(array: Array, sink: Sink) -> None:
    """A disk that failed is told of by Refresh, and so is its repair; a Refresh that finds nothing tells nothing."""
    lun = array.make_lun()
    sink.take()
    array.call("HwProvider.Refresh")
    array.break_volume(lun)
    array.call("HwProvider.Refresh")
    assert ("lun_modify", lun) in sink.take()
    array.mend_volume(lun)
    array.call("HwProvider.Refresh")
    assert ("lun_modify", lun) in sink.take()


def test_a_failed_command_tells_nothing(simulated: SimulatedArray) -> None:
    """What was undone was never told."""
    lun, (target, _) = simulated.make_lun(), simulated.make_reachable_target()
    sink = Sink(simulated)
    with simulated.refusing("as logical unit"):
        assert simulated.error("LunIscsi.AssociateTargets", id=lun, targetIds=[target]) == "VDS_E_PROVIDER_FAILURE"
    last = simulated.make_lun()
    assert sink.take() == {("lun_arrive", last)}
    sink.connection.close()


def test_a_group_has_100_notifications_at_most(simulated: SimulatedArray) -> None:
    """A large event comes as several replies with one sequence number."""
    luns = [simulated.make_lun(4096) for _ in range(150)]
    connection = simulated.connect()
    replies = iter(connection.stream("org.vdsprov.Service.Advise", {}))
    first = next(replies)
    for lun in luns:
        simulated.break_volume(lun)
    simulated.call("HwProvider.Refresh")
    found = [next(replies), next(replies)]
    assert [len(reply["notifications"]) for reply in found] == [100, 50]
    assert {reply["sequence"] for reply in found} == {first["sequence"] + 1}
    connection.close()


def test_advise_needs_more(array: Array) -> None:
    """Called without `more` it is refused; a sink is a stream."""
    assert array.error("Service.Advise") == "org.varlink.service.ExpectedMore"


@pytest.mark.shows("Service.GetObject", "S_OK", "VDS_E_OBJECT_NOT_FOUND")
def test_get_object_wants_id_and_type(array: Array) -> None:
    """An object is found by id and type together; a deleted one, or one of another type, is not found."""
    lun = array.make_lun()
    provider = array.call("Provider.GetProperties")["properties"]["id"]
    for id, type in ((lun, "lun"), (array.sub_system, "sub_system"), (provider, "provider")):
        assert array.call("Service.GetObject", objectId=id, type=type) == {"object": id}
    assert array.error("Service.GetObject", objectId=lun, type="target") == "VDS_E_OBJECT_NOT_FOUND"
    array.call("Lun.Delete", id=lun)
    assert array.error("Service.GetObject", objectId=lun, type="lun") == "VDS_E_OBJECT_NOT_FOUND"
