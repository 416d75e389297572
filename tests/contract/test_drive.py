"""IVdsDrive, IVdsDrive2, and what IVdsSubSystem does with drives."""

import threading
import time
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pytest

from tests.arrays import DRIVES, MIB, SPARES, Array, SimulatedArray
from tests.scene import Sink
from vdsprovd.hardware import Member, VolumeState
from vdsprovd.hardware.simulator import SimulatedDrivePool

UNDEFINED = 0xFFFFFFFF


def properties(array: Array, drive: str) -> dict[str, object]:
    """A drive's properties."""
    return dict(array.call("Drive.GetProperties", id=drive)["properties"])


def extents(array: Array, drive: str) -> list[tuple[str | None, int, bool]]:
    """A drive's extents: LUN, bytes, used."""
    found = array.call("Drive.QueryExtents", id=drive)["extents"]
    assert all(entry["id"] == drive for entry in found)
    return sorted(((entry["lunId"], entry["size"], entry["used"]) for entry in found), key=str)


def group_with(replies: Iterator[Any], event: str, id: str) -> set[tuple[str, str]]:
    """The next group of notifications in which that one is."""
    while True:
        group = {(entry["event"], entry["id"]) for entry in next(replies)["notifications"]}
        if (event, id) in group:
            return group


@pytest.mark.shows("SubSystem.QueryDrives")
@pytest.mark.shows("Drive.GetProperties")
@pytest.mark.shows("Drive2.GetProperties2")
@pytest.mark.shows("Drive.GetSubSystem")
@pytest.mark.shows("SubSystem.GetDrive", "S_OK", "VDS_E_OBJECT_NOT_FOUND")
@pytest.mark.shows("SubSystem2.GetDrive2", "S_OK", "VDS_E_OBJECT_NOT_FOUND")
def test_members_and_free_drives(drives: Array) -> None:
    """The members of the pool and the disks that the configuration gives the subsystem are its drives, with what the
    host knows of them; each has a slot of its own, by which it is found."""
    found = drives.drives()
    assert set(found) == {*DRIVES, *SPARES}
    sub_system = drives.sub_systems()["array2"]
    for name, id in found.items():
        known = properties(drives, id)
        assert (known["status"], known["health"], known["internalBusNumber"]) == ("online", "healthy", 0)
        assert known["size"] == drives.drive_size
        assert known["flags"] == ["assigned" if name in DRIVES else "unassigned"]
        assert drives.call("Drive.GetSubSystem", id=id) == {"subSystem": sub_system}
        place = {"id": sub_system, "busNumber": 0, "slotNumber": known["slotNumber"]}
        assert drives.call("SubSystem.GetDrive", **place) == {"drive": id}
        assert drives.call("SubSystem2.GetDrive2", **place, enclosureNumber=UNDEFINED) == {"drive": id}
        assert drives.error("SubSystem2.GetDrive2", **place, enclosureNumber=3) == "VDS_E_OBJECT_NOT_FOUND"
        more = drives.call("Drive2.GetProperties2", id=id)["properties"]
        assert {key: more[key] for key in known} == known
        assert more["enclosureNumber"] == UNDEFINED
    assert len({properties(drives, id)["slotNumber"] for id in found.values()}) == len(found)
    assert drives.error("SubSystem.GetDrive", id=sub_system, busNumber=0, slotNumber=99) == "VDS_E_OBJECT_NOT_FOUND"
    assert drives.error("SubSystem.GetDrive", id=sub_system, busNumber=1, slotNumber=0) == "VDS_E_OBJECT_NOT_FOUND"


@pytest.mark.shows("SubSystem.Reenumerate")
def test_drives_keep_their_ids_and_slots(drives: Array) -> None:
    """Ids, slots and settings outlive a restart and a scan."""
    before = drives.drives()
    drives.call("Drive.SetFlags", id=before["spare0"], flags=["hotspare"])
    seen = {id: properties(drives, id) for id in before.values()}
    drives.call("SubSystem.Reenumerate", id=drives.sub_systems()["array2"])
    drives.restart()
    assert {id: properties(drives, id) for id in drives.drives().values()} == seen


@pytest.mark.shows("Drive.QueryExtents")
def test_extents_of_drives(drives: Array) -> None:
    """A drive's extents are the LUN's bytes on it and what is free; a drive in no pool is one free extent."""
    found = drives.drives()
    lun = drives.make_volume("simple", 8 * MIB, ["drive2"])
    (free, used) = sorted(extents(drives, found["drive2"]), key=lambda entry: entry[2])
    assert used == (lun, 8 * MIB, True)
    assert free[0] is None
    assert all(entry[0] is None for entry in extents(drives, found["drive0"]))
    assert extents(drives, found["spare0"]) == [(None, drives.drive_size, False)]


@pytest.mark.shows("Drive.SetFlags", "S_OK", "VDS_E_NOT_SUPPORTED")
@pytest.mark.shows("Drive.ClearFlags", "S_OK", "VDS_E_NOT_SUPPORTED")
def test_hot_spares(drives: Array) -> None:
    """A free drive can be a hot spare, and no longer; members cannot, and the other flags are the provider's."""
    found = drives.drives()
    drives.call("Drive.SetFlags", id=found["spare0"], flags=["hotspare"])
    assert properties(drives, found["spare0"])["flags"] == ["hotspare", "unassigned", "hotspare_standby"]
    assert drives.error("Drive.SetFlags", id=found["drive0"], flags=["hotspare"]) == "VDS_E_NOT_SUPPORTED"
    assert drives.error("Drive.SetFlags", id=found["spare1"], flags=["assigned"]) == "VDS_E_NOT_SUPPORTED"
    assert drives.error("Drive.ClearFlags", id=found["spare0"], flags=["unassigned"]) == "VDS_E_NOT_SUPPORTED"
    drives.call("Drive.ClearFlags", id=found["spare0"], flags=["hotspare"])
    assert properties(drives, found["spare0"])["flags"] == ["unassigned"]


@pytest.mark.shows("Drive.SetStatus", "S_OK", "VDS_E_NOT_SUPPORTED", "E_INVALIDARG")
def test_an_offline_drive_takes_no_new_extents(drives: Array) -> None:
    """An offline drive keeps its LUNs and takes no others, also after a restart; online it does again."""
    found = drives.drives()
    lun = drives.make_volume("simple", 8 * MIB, ["drive0"])
    drives.call("Drive.SetStatus", id=found["drive0"], status="offline")
    drives.restart()
    assert properties(drives, found["drive0"])["status"] == "offline"
    assert drives.call("Lun.GetProperties", id=lun)["properties"]["status"] == "online"
    create = {"id": drives.sub_systems()["array2"], "type": "simple", "sizeInBytes": MIB}
    assert drives.error("SubSystem.CreateLun", **create, driveIds=[found["drive0"]]) == "VDS_E_NOT_ENOUGH_DRIVE"
    for _ in range(3):
        other = drives.wait(drives.call("SubSystem.CreateLun", **create))
        assert all(entry[0] != other for entry in extents(drives, found["drive0"]))
    drives.call("Drive.SetStatus", id=found["drive0"], status="online")
    drives.make_volume("simple", 8 * MIB, ["drive0"])
    assert drives.error("Drive.SetStatus", id=found["drive0"], status="unknown") == "E_INVALIDARG"
    assert drives.error("Drive.SetStatus", id=found["drive0"], status="failed") == "VDS_E_NOT_SUPPORTED"


@pytest.mark.shows("Drive.GetProperties", "VDS_S_PROPERTIES_INCOMPLETE")
def test_a_drive_that_is_gone(drives: Array) -> None:
    """A drive that its pool misses departs, stays as a removed one, and its LUN fails."""
    found = drives.drives()
    lun = drives.make_volume("simple", 8 * MIB, ["drive3"])
    with drives.connect() as connection:
        replies = iter(connection.stream("org.vdsprov.Service.Advise", {}))
        assert next(replies)["established"]
        drives.lose_drive("drive3")
        group_with(replies, "drive_depart", found["drive3"])
    gone = drives.call("Drive.GetProperties", id=found["drive3"])
    assert gone["hresult"] == 0x00042715
    assert gone["properties"]["status"] == "removed"
    assert drives.call("Lun.GetProperties", id=lun)["properties"]["health"] == "failed"


@pytest.mark.shows("SubSystem.ReplaceDrive", "S_OK", "VDS_E_OBJECT_NOT_FOUND", "VDS_E_NOT_SUPPORTED")
def test_a_drive_is_replaced(drives: Array) -> None:
    """Everything on a drive moves to a free one, which takes its place in the pool; a drive that is used, the same one
    and one that there is not are refused, and nothing changes."""
    found, sub_system = drives.drives(), drives.sub_systems()["array2"]
    lun = drives.make_volume("simple", 8 * MIB, ["drive1"])
    for old, new, code in (
        ("drive1", "drive2", "VDS_E_NOT_SUPPORTED"),
        ("drive1", "drive1", "VDS_E_NOT_SUPPORTED"),
        ("spare0", "spare1", "VDS_E_NOT_SUPPORTED"),
    ):
        ids = {"driveToBeReplaced": found[old], "replacementDrive": found[new]}
        assert drives.error("SubSystem.ReplaceDrive", id=sub_system, **ids) == code
    ids = {"driveToBeReplaced": found["drive1"], "replacementDrive": "x"}
    assert drives.error("SubSystem.ReplaceDrive", id=sub_system, **ids) == "VDS_E_OBJECT_NOT_FOUND"
    drives.call("SubSystem.ReplaceDrive", id=sub_system, **{**ids, "replacementDrive": found["spare0"]})
    assert (lun, 8 * MIB, True) in extents(drives, found["spare0"])
    (plex,) = drives.plexes(lun)
    (extent,) = drives.call("LunPlex.QueryExtents", id=plex["id"])["extents"]
    assert (extent["id"], extent["size"]) == (found["spare0"], 8 * MIB)
    assert properties(drives, found["spare0"])["flags"] == ["assigned"]
    assert drives.call("Lun.GetProperties", id=lun)["properties"]["health"] == "healthy"
    assert found["drive1"] not in drives.drives().values()
    # An empty one, too; what takes its place can be used.
    ids = {"driveToBeReplaced": found["drive2"], "replacementDrive": found["spare1"]}
    drives.call("SubSystem.ReplaceDrive", id=sub_system, **ids)
    drives.make_volume("simple", 8 * MIB, ["spare1"])


@pytest.mark.shows("SubSystem.ReplaceDrive", "VDS_E_NOT_ENOUGH_SPACE")
def test_a_replacement_that_is_too_small(drives: Array) -> None:
    """A drive that cannot hold what is to be moved is VDS_E_NOT_ENOUGH_SPACE, and is free again then."""
    small = drives.add_scsi_disk(4 * MIB)
    old = drives.drives()["drive1"]
    lun = drives.make_volume("simple", 8 * MIB, ["drive1"])
    ids = {"driveToBeReplaced": old, "replacementDrive": small}
    error = drives.error("SubSystem.ReplaceDrive", id=drives.sub_systems()["array2"], **ids)
    assert error == "VDS_E_NOT_ENOUGH_SPACE"
    assert properties(drives, small)["flags"] == ["unassigned"]
    assert (lun, 8 * MIB, True) in extents(drives, old)


def test_what_cannot_be_done_while_a_drive_is_missing(drives: Array) -> None:
    """A pool that misses a drive replaces none, and the replacement stays what it was; the missing one can be set neither
    online nor offline. After a restart it is the same drive still."""
    found, sub_system = drives.drives(), drives.sub_systems()["array2"]
    drives.make_volume("simple", 8 * MIB, ["drive3"])
    drives.call("Drive.SetFlags", id=found["spare0"], flags=["hotspare"])
    drives.lose_drive("drive3")
    ids = {"driveToBeReplaced": found["drive1"], "replacementDrive": found["spare0"]}
    assert drives.error("SubSystem.ReplaceDrive", id=sub_system, **ids) == "VDS_E_NOT_ENOUGH_SPACE"
    assert drives.error("Drive.SetStatus", id=found["drive3"], status="offline") == "VDS_E_NOT_SUPPORTED"
    seen = {id: properties(drives, id) for id in found.values()}
    assert seen[found["spare0"]]["flags"] == ["hotspare", "unassigned", "hotspare_standby"]
    drives.restart()
    assert set(drives.drives().values()) == set(found.values())
    assert {id: properties(drives, id) for id in found.values()} == seen


def test_a_drive_that_comes_back_is_used_again(drives: Array) -> None:
    """Whatever was done in its pool meanwhile: its LUNs are well, and there is room for others."""
    lun, other = drives.make_volume("simple", drives=["drive3"]), drives.make_volume("simple", drives=["drive2"])
    drives.lose_drive("drive3")
    drives.call("Lun.Delete", id=other)
    drives.plug_drive("drive3")
    drives.call("HwProvider.Refresh")
    assert drives.call("Lun.GetProperties", id=lun)["properties"]["status"] == "online"
    drives.make_volume("simple", drives=["drive3"])


def test_a_missing_drive_leaves_with_the_last_lun_on_it(drives: Array) -> None:
    """Then its pool misses nothing, and it is an object no longer."""
    found = drives.drives()
    lun = drives.make_volume("simple", drives=["drive3"])
    drives.lose_drive("drive3")
    create = {"id": drives.sub_systems()["array2"], "type": "simple", "sizeInBytes": MIB}
    assert drives.error("SubSystem.CreateLun", **create) == "VDS_E_NOT_ENOUGH_SPACE"
    drives.call("Lun.Delete", id=lun)
    assert drives.error("Drive.GetProperties", id=found["drive3"]) == "VDS_E_OBJECT_DELETED"
    drives.wait(drives.call("SubSystem.CreateLun", **create))
    drives.plug_drive("drive3")


def test_drives_that_come_and_go_are_noticed(drives: Array) -> None:
    """A drive that breaks, or is pulled, is noticed without a call, and so is its return: within 2 s the drive departs and
    arrives, and its LUN fails and is well again."""
    found = drives.drives()
    lun = drives.make_volume("simple", 8 * MIB, ["drive2"])
    with drives.connect() as connection:
        replies = iter(connection.stream("org.vdsprov.Service.Advise", {}))
        assert next(replies)["established"]

        def told_within_2_s(*events: tuple[str, str]) -> None:
            wanted, begun = set(events), time.monotonic()
            while wanted:
                wanted -= {(entry["event"], entry["id"]) for entry in next(replies)["notifications"]}
            assert time.monotonic() - begun < 2

        drives.pull_drive("drive2")
        told_within_2_s(("drive_depart", found["drive2"]), ("lun_modify", lun))
        assert drives.call("Lun.GetProperties", id=lun)["properties"]["status"] == "failed"
        drives.plug_drive("drive2")
        told_within_2_s(("drive_arrive", found["drive2"]), ("lun_modify", lun))
        assert drives.call("Lun.GetProperties", id=lun)["properties"]["status"] == "online"
    assert drives.drives() == found


def test_a_setting_made_during_a_scan_stays(drives_simulated: SimulatedArray) -> None:
    """A scan that began before SetFlags and ends after it leaves it as it is."""
    array = drives_simulated
    sub_system, spare = array.sub_systems()["array2"], array.drives()["spare0"]
    looking, go_on = threading.Event(), threading.Event()
    survey = array.drive_pool.survey

    def held_up(luns: Collection[str], wake: Collection[str] = ()) -> Mapping[str, VolumeState]:
        looking.set()
        assert go_on.wait(10)
        return survey(luns, wake)

    array.drive_pool.survey = held_up  # type: ignore[method-assign]  # the scan is held up when it has seen the drives
    array.make_volume("simple")
    other = array.connect()
    scan = threading.Thread(target=lambda: other.call("org.vdsprov.SubSystem.Reenumerate", {"id": sub_system}))
    scan.start()
    assert looking.wait(10)
    array.call("Drive.SetFlags", id=spare, flags=["hotspare"])
    go_on.set()
    scan.join()
    other.close()
    assert "hotspare" in str(properties(array, spare)["flags"])


def test_a_missing_drive_is_the_same_after_a_restart(drives: Array) -> None:
    """A drive that its pool misses keeps id and slot over a restart, and when it comes back."""
    before = drives.drives()
    lun = drives.make_volume("mirror", 8 * MIB, ["drive0", "drive1"])
    slot = properties(drives, before["drive1"])["slotNumber"]
    drives.lose_drive("drive1")
    drives.restart()
    found = properties(drives, before["drive1"])
    assert (found["status"], found["slotNumber"]) == ("removed", slot)
    drives.plug_drive("drive1")
    drives.call("HwProvider.Refresh")
    assert drives.drives() == before
    assert drives.result(drives.call("Lun.Recover", id=lun))["hresult"] == 0


class SlowPool(SimulatedDrivePool):
    """A pool whose drives take until `go` to be read, once."""

    def __init__(self, drives: Mapping[str, int]) -> None:
        super().__init__(drives)
        self.reading, self.go = threading.Event(), threading.Event()
        self.go.set()

    def members(self) -> Collection[Member]:
        found = super().members()
        if not self.go.is_set():
            self.reading.set()
            assert self.go.wait(10)
        return found


def test_a_command_while_drives_are_looked_at(drives_simulated: SimulatedArray) -> None:
    """What a command changes while somebody else's change is looked at stays changed, and is told once."""
    array = drives_simulated
    array.stop()
    pool = array.pools["array2", "vg0"] = SlowPool(array.drive_pool.drives)
    array.start()
    spare, sub_system = array.drives()["spare0"], array.sub_systems()["array2"]
    sink = Sink(array)
    pool.go.clear()
    array.hardware.drives_changed()
    assert pool.reading.wait(10)
    array.call("Drive.SetFlags", id=spare, flags=["hotspare"])
    array.call("SubSystemNaming.SetFriendlyName", id=sub_system, friendlyName="x")
    pool.go.set()
    assert [sink.take(), sink.take()] == [{("drive_modify", spare)}, {("sub_system_modify", sub_system)}]
    assert sink.silent()
    assert properties(array, spare)["flags"] == ["hotspare", "unassigned", "hotspare_standby"]
    assert array.sub_systems()["x"] == sub_system
    sink.close()


def test_the_audit_alone_finds_drives_and_volumes(drives_simulated: SimulatedArray) -> None:
    """Without an event the periodic look finds a drive that is missing and a volume that broke, and that they are well
    again."""
    array = drives_simulated
    array.configuration["provider"]["audit"] = 1
    array.restart()
    found, lun = array.drives(), array.make_volume("simple", 8 * MIB, ["drive0"])
    other = array.make_lun()
    sink = Sink(array)
    array.drive_pool.dead.add("/dev/drive0")
    sink.until({("drive_depart", found["drive0"]), ("lun_modify", lun)})
    array.break_volume(other)
    sink.until({("lun_modify", other)})
    array.drive_pool.dead.clear()
    array.mend_volume(other)
    sink.until({("drive_arrive", found["drive0"]), ("lun_modify", lun), ("lun_modify", other)})
    assert sink.silent(1.5)
    sink.close()
