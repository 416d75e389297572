"""LUNs of several drives and of several plexes: types, IVdsLunPlex, AddPlex, RemovePlex, Recover, hints."""

import msgspec
import pytest

from tests.arrays import DRIVE_SIZE, MIB, Array, SimulatedArray
from vdsprovd.hresult import Hresult


def properties(array: Array, lun: str) -> dict[str, object]:
    """A LUN's properties."""
    return dict(array.call("Lun.GetProperties", id=lun)["properties"])


def drives_of(array: Array, plex: str) -> list[str]:
    """The names of the drives of a plex, in the order of its extents."""
    names = {id: name for name, id in array.drives().items()}
    return [names[entry["id"]] for entry in array.call("LunPlex.QueryExtents", id=plex)["extents"]]


@pytest.mark.parametrize(
    ("type", "drives_used", "plexes"),
    [("simple", 1, 1), ("span", 1, 1), ("stripe", 2, 1), ("mirror", 2, 2), ("parity", 3, 1), ("raid5", 3, 1)],
)
def test_types(drives: Array, type: str, drives_used: int, plexes: int) -> None:
    """A LUN of each type that LVM has: of that type, of the size asked for, healthy, on as many drives at least."""
    lun = drives.make_volume(type, 16 * MIB)
    found = properties(drives, lun)
    assert (found["type"], found["status"], found["health"]) == (type, "online", "healthy")
    assert isinstance(found["size"], int)
    assert found["size"] >= 16 * MIB
    plexes_found = drives.plexes(lun)
    assert len(plexes_found) == plexes
    used = {name for plex in plexes_found for name in drives_of(drives, plex["id"])}
    assert len(used) >= drives_used
    drives.reboot()
    assert properties(drives, lun) == found


@pytest.mark.shows("LunPlex.GetProperties")
@pytest.mark.shows("LunPlex.GetLun")
@pytest.mark.shows("LunPlex.QueryExtents")
@pytest.mark.shows("Lun.QueryPlexes")
def test_a_span_exhausts_its_drives_in_order(drives: Array) -> None:
    """A span uses the drives in the order given, each to its end before the next."""
    lun = drives.make_volume("span", DRIVE_SIZE + 8 * MIB, ["drive3", "drive1", "drive0"])
    (plex,) = drives.plexes(lun)
    assert drives_of(drives, plex["id"]) == ["drive3", "drive1"]
    assert drives.call("LunPlex.GetLun", id=plex["id"]) == {"lun": lun}
    found = drives.call("LunPlex.GetProperties", id=plex["id"])["properties"]
    assert (found["type"], found["status"], found["health"]) == ("span", "online", "healthy")
    assert found["size"] == properties(drives, lun)["size"]


def test_the_largest_of_each_type(drives: Array) -> None:
    """What QueryMaxLunCreateSize says can be created, and a MiB more cannot."""
    sub_system = drives.sub_systems()["array2"]
    for type in ("simple", "span", "stripe", "mirror", "parity"):
        largest = drives.call("SubSystem.QueryMaxLunCreateSize", id=sub_system, type=type)["maxLunSize"]
        assert largest > 0
        too_large = {"id": sub_system, "type": type, "sizeInBytes": largest + MIB}
        assert drives.error("SubSystem.CreateLun", **too_large) == "VDS_E_NOT_ENOUGH_SPACE", type
        lun = drives.make_volume(type, largest)
        drives.call("Lun.Delete", id=lun)


@pytest.mark.shows("Lun.AddPlex")
@pytest.mark.shows("Lun.RemovePlex")
def test_a_plex_comes_and_goes(drives: Array) -> None:
    """AddPlex makes a mirror of the LUN and takes the other LUN away; RemovePlex makes it simple again. The original
    plex keeps its id, and the LUN its own."""
    lun = drives.make_volume("simple", 16 * MIB, ["drive0"])
    other = drives.make_volume("simple", 16 * MIB, ["drive1"])
    (original,) = drives.plexes(lun)
    added = drives.call("Lun.AddPlex", id=lun, lunId=other)
    assert drives.result(added)["type"] == "add_lun_plex"
    assert drives.error("Lun.GetProperties", id=other) == "VDS_E_OBJECT_DELETED"
    first, second = drives.plexes(lun)
    assert first["id"] == original["id"]
    assert (drives_of(drives, first["id"]), drives_of(drives, second["id"])) == (["drive0"], ["drive1"])
    assert properties(drives, lun)["type"] == "mirror"
    drives.restart()
    assert [plex["id"] for plex in drives.plexes(lun)] == [first["id"], second["id"]]
    removed = drives.call("Lun.RemovePlex", id=lun, plexId=second["id"])
    assert drives.result(removed)["type"] == "remove_lun_plex"
    assert [plex["id"] for plex in drives.plexes(lun)] == [original["id"]]
    assert drives.error("LunPlex.GetLun", id=second["id"]) == "VDS_E_OBJECT_DELETED"
    found = properties(drives, lun)
    assert (found["type"], found["health"], found["transitionState"]) == ("simple", "healthy", "stable")


@pytest.mark.shows("Lun.AddPlex", "VDS_E_OBJECT_NOT_FOUND", "VDS_E_INVALID_OPERATION")
@pytest.mark.shows("Lun.RemovePlex", "VDS_E_OBJECT_NOT_FOUND", "VDS_E_INVALID_OPERATION")
def test_plexes_that_cannot_be(drives: Array) -> None:
    """A LUN that is smaller, the LUN itself, one in a pool of files, a stripe; a plex that there is not, the only one and
    the original one: each is refused, and nothing changes."""
    lun = drives.make_volume("simple", 16 * MIB)
    small = drives.make_volume("simple", 8 * MIB)
    stripe = drives.make_volume("stripe", 16 * MIB)
    mirror = drives.make_volume("mirror", 16 * MIB)
    file = drives.make_lun(16 * MIB)
    before = drives.kernel()
    for target, source in ((lun, small), (lun, lun), (stripe, lun), (file, file)):
        assert drives.error("Lun.AddPlex", id=target, lunId=source) == "VDS_E_INVALID_OPERATION"
    assert drives.error("Lun.AddPlex", id=lun, lunId="x") == "VDS_E_OBJECT_NOT_FOUND"
    assert drives.error("Lun.AddPlex", id=lun, lunId=file) == "VDS_E_OBJECT_NOT_FOUND"  # of another subsystem
    (only,), (original, _) = drives.plexes(lun), drives.plexes(mirror)
    assert drives.error("Lun.RemovePlex", id=lun, plexId=only["id"]) == "VDS_E_INVALID_OPERATION"
    assert drives.error("Lun.RemovePlex", id=mirror, plexId=original["id"]) == "VDS_E_INVALID_OPERATION"
    assert drives.error("Lun.RemovePlex", id=lun, plexId=original["id"]) == "VDS_E_OBJECT_NOT_FOUND"
    assert drives.kernel() == before


def test_an_absorption_that_fails_costs_nothing(drives: Array) -> None:
    """A LUN on the other one's drive cannot be its plex, and one on a drive that is offline finds no room: both are there
    afterwards."""
    lun, beside = (drives.make_volume("simple", 8 * MIB, ["drive0"]) for _ in range(2))
    elsewhere = drives.make_volume("simple", 8 * MIB, ["drive1"])
    assert drives.error("Lun.AddPlex", id=lun, lunId=beside) == "VDS_E_INVALID_OPERATION"
    drives.call("Drive.SetStatus", id=drives.drives()["drive1"], status="offline")
    result = drives.result(drives.call("Lun.AddPlex", id=lun, lunId=elsewhere))
    assert result["hresult"] == Hresult.VDS_E_NOT_ENOUGH_DRIVE
    for id in (lun, beside, elsewhere):
        found = properties(drives, id)
        assert (found["type"], found["status"]) == ("simple", "online")


@pytest.mark.shows("Lun.Recover", "S_OK", "VDS_E_INVALID_OPERATION")
def test_a_lost_drive_and_its_recovery(drives: Array) -> None:
    """A mirror that lost a drive is degraded, and its plex failed; Recover rebuilds it on another drive of the pool."""
    lun = drives.make_volume("mirror", 16 * MIB, ["drive0", "drive1"])
    drives.lose_drive("drive1")
    found = properties(drives, lun)
    assert (found["status"], found["health"]) == ("online", "degraded")
    assert [plex["health"] for plex in drives.plexes(lun)] == ["healthy", "failed"]
    recovery = drives.call("Lun.Recover", id=lun)
    result = drives.result(recovery)
    assert (result["hresult"], result["type"]) == (0, "recover_lun"), result
    assert properties(drives, lun)["health"] == "healthy"
    first, second = drives.plexes(lun)
    assert drives_of(drives, first["id"]) == ["drive0"]
    assert drives_of(drives, second["id"])[0] in ("drive2", "drive3")
    simple = drives.make_volume("simple")
    assert drives.error("Lun.Recover", id=simple) == "VDS_E_INVALID_OPERATION"


def test_a_hot_spare_takes_part(drives: Array) -> None:
    """When the pool has no drive left to rebuild on, Recover takes a hot spare, which is one no longer; without one it
    fails with VDS_E_NOT_ENOUGH_DRIVE, and the LUN goes on with what it has."""
    found = drives.drives()
    lun = drives.make_volume("mirror", 16 * MIB, ["drive0", "drive1"])
    for name in ("drive2", "drive3"):
        drives.call("Drive.SetStatus", id=found[name], status="offline")
    drives.lose_drive("drive1")
    assert drives.result(drives.call("Lun.Recover", id=lun))["hresult"] == Hresult.VDS_E_NOT_ENOUGH_DRIVE
    assert properties(drives, lun)["health"] == "degraded"
    drives.call("Drive.SetFlags", id=found["spare0"], flags=["hotspare"])
    result = drives.result(drives.call("Lun.Recover", id=lun))
    assert result["hresult"] == 0, result
    assert properties(drives, lun)["health"] == "healthy"
    assert drives_of(drives, drives.plexes(lun)[1]["id"]) == ["spare0"]
    assert drives.call("Drive.GetProperties", id=found["spare0"])["properties"]["flags"] == ["assigned"]


@pytest.mark.shows("Lun.Extend", "VDS_E_OBJECT_NOT_FOUND", "VDS_E_NOT_SUPPORTED")
@pytest.mark.shows("Lun.QueryMaxLunExtendSize", "VDS_E_NOT_SUPPORTED", "VDS_E_OBJECT_NOT_FOUND")
def test_growth_on_chosen_drives(drives: Array) -> None:
    """Extend uses the drives given first, and then others; drives that are of another pool or of none are refused."""
    found = drives.drives()
    lun = drives.make_volume("span", 8 * MIB, ["drive0"])
    grow = {"id": lun, "numberOfBytesToAdd": DRIVE_SIZE}
    assert drives.error("Lun.Extend", **grow, driveIds=["x"]) == "VDS_E_OBJECT_NOT_FOUND"
    assert drives.error("Lun.Extend", **grow, driveIds=[found["spare0"]]) == "VDS_E_NOT_SUPPORTED"
    spare = [found["spare0"]]
    assert drives.error("Lun.QueryMaxLunExtendSize", id=lun, driveIds=spare) == "VDS_E_NOT_SUPPORTED"
    assert drives.error("Lun.QueryMaxLunExtendSize", id=lun, driveIds=["x"]) == "VDS_E_OBJECT_NOT_FOUND"
    assert drives.call("Lun.QueryMaxLunExtendSize", id=lun)["maxBytesToBeAdded"] > DRIVE_SIZE
    drives.wait(drives.call("Lun.Extend", **grow, driveIds=[found["drive2"]]))
    assert properties(drives, lun)["size"] == 8 * MIB + DRIVE_SIZE
    (plex,) = drives.plexes(lun)
    assert drives_of(drives, plex["id"])[:2] == ["drive0", "drive2"]


@pytest.mark.shows("Lun.QueryHints")
@pytest.mark.shows("Lun.ApplyHints", "S_OK", "E_INVALIDARG")
@pytest.mark.shows("Lun2.QueryHints2")
@pytest.mark.shows("Lun2.ApplyHints2", "S_OK", "E_INVALIDARG")
@pytest.mark.shows("LunPlex.QueryHints")
@pytest.mark.shows("LunPlex.ApplyHints", "S_OK", "E_INVALIDARG")
def test_hints(drives: Array) -> None:
    """What is applied and can be kept is in force, also after a restart; what cannot be is not claimed. A LUN's hints
    reach its plexes, a plex's only itself."""
    lun = drives.make_volume("mirror", 16 * MIB)
    first, second = (plex["id"] for plex in drives.plexes(lun))
    drives.call("Lun.ApplyHints", id=lun, hints={"rebuildPriority": 7, "writeThroughCachingEnabled": False})
    drives.call("LunPlex.ApplyHints", id=second, hints={"rebuildPriority": 9})
    drives.call("LunPlex.ApplyHints", id=second, hints={"mostlyReads": True})
    drives.call("Lun2.ApplyHints2", id=lun, hints2={"expectedMaximumSize": 64 * MIB, "useMirroredCache": True})
    drives.restart()
    found = drives.call("Lun.QueryHints", id=lun)["hints"]
    assert (found["rebuildPriority"], found["expectedMaximumSize"]) == (7, 64 * MIB)
    assert found["writeThroughCachingEnabled"]
    assert found["fastCrashRecoveryRequired"]
    assert properties(drives, lun)["rebuildPriority"] == 7
    assert not drives.call("Lun2.QueryHints2", id=lun)["hints2"]["useMirroredCache"]
    assert drives.call("LunPlex.QueryHints", id=first)["hints"]["rebuildPriority"] == 7
    assert drives.call("LunPlex.QueryHints", id=second)["hints"]["rebuildPriority"] == 9
    drives.call("LunPlex.ApplyHints", id=second, hints={"rebuildPriority": 0})
    assert drives.call("LunPlex.QueryHints", id=second)["hints"]["rebuildPriority"] == 0
    assert [plex["rebuildPriority"] for plex in drives.plexes(lun)] == [7, 0]
    for method, object, name in (
        ("Lun.ApplyHints", lun, "hints"),
        ("Lun2.ApplyHints2", lun, "hints2"),
        ("LunPlex.ApplyHints", first, "hints"),
    ):
        for wrong in ({"rebuildPriority": 16}, {"expectedMaximumSize": -1}):
            assert drives.error(method, id=object, **{name: wrong}) == "E_INVALIDARG"


def test_a_lun_whose_only_drive_is_gone_can_be_deleted(drives: Array) -> None:
    """It has failed, and most of its methods say so; it goes all the same, and its place in a target with it."""
    lun, other = drives.make_volume("simple", drives=["drive1"]), drives.make_volume("simple", drives=["drive2"])
    drives.lose_drive("drive1")
    assert drives.call("Lun.GetProperties", id=lun)["properties"]["status"] == "failed"
    assert drives.error("Lun.SetMask", id=lun, unmaskingList="") == "VDS_E_OBJECT_STATUS_FAILED"
    drives.call("Lun.Delete", id=lun)
    assert drives.error("Lun.GetProperties", id=lun) == "VDS_E_OBJECT_DELETED"
    drives.restart()
    found = drives.call("SubSystem.QueryLuns", id=drives.sub_systems()["array2"])["luns"]
    assert [entry["id"] for entry in found] == [other]
    drives.plug_drive("drive1")


def test_two_luns_and_one_hot_spare(drives_simulated: SimulatedArray) -> None:
    """Two LUNs that lost the same drive are recovered at the same time: one takes the hot spare, which suffices for both."""
    array = drives_simulated
    found = array.drives()
    luns = [array.make_volume("mirror", 8 * MIB, ["drive0", "drive1"]) for _ in range(2)]
    for name in ("drive2", "drive3"):
        array.call("Drive.SetStatus", id=found[name], status="offline")
    array.call("Drive.SetFlags", id=found["spare0"], flags=["hotspare"])
    array.lose_drive("drive1")
    array.drive_pool.delay = 0.2
    recoveries = [array.call("Lun.Recover", id=lun) for lun in luns]
    assert [array.result(recovery)["hresult"] for recovery in recoveries] == [0, 0]
    assert [properties(array, lun)["health"] for lun in luns] == ["healthy", "healthy"]


@pytest.mark.parametrize("known", [False, True])
def test_a_hot_spare_that_is_too_small(drives_simulated: SimulatedArray, known: bool) -> None:
    """One that does not suffice stays a hot spare, whether its size says so or its use; the LUN goes on with what it
    has."""
    array = drives_simulated
    found = array.drives()
    lun = array.make_volume("mirror", 16 * MIB, ["drive0", "drive1"])
    for name in ("drive2", "drive3"):
        array.call("Drive.SetStatus", id=found[name], status="offline")
    array.call("Drive.SetFlags", id=found["spare0"], flags=["hotspare"])
    array.lose_drive("drive1")
    array.drive_pool.new_drives["/dev/spare0"] = 8 * MIB
    if known:
        array.hardware.disks = [
            msgspec.structs.replace(disk, size=8 * MIB) if disk.node == "/dev/spare0" else disk
            for disk in array.hardware.disks
        ]
        array.call("HwProvider.Refresh")
        array.drive_pool.new_drives["/dev/spare0"] = DRIVE_SIZE  # it would do if it were taken
    assert array.result(array.call("Lun.Recover", id=lun))["hresult"] == Hresult.VDS_E_NOT_ENOUGH_DRIVE
    flags = array.call("Drive.GetProperties", id=found["spare0"])["properties"]["flags"]
    assert "hotspare" in flags
    assert "/dev/spare0" not in array.drive_pool.drives


def test_the_percentage_of_two_plexes(drives_simulated: SimulatedArray) -> None:
    """A mirror that becomes two plexes of a LUN: half of the work is each of them, and the percentage only goes up."""
    array = drives_simulated
    lun = array.make_volume("simple", 8 * MIB, ["drive0"])
    source = array.make_volume("mirror", 8 * MIB, ["drive1", "drive2"])
    array.drive_pool.delay = 0.5
    added = array.call("Lun.AddPlex", id=lun, lunId=source)
    with array.connect() as connection:
        replies = connection.stream("org.vdsprov.Async.Wait", {"id": added["async"]})
        percents = [reply["percentCompleted"] for reply in replies]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert {10, 40, 60, 90} <= set(percents)
    assert len(array.plexes(lun)) == 3


def test_recovery_cannot_be_cancelled(drives_simulated: SimulatedArray) -> None:
    """A rebuild cannot be undone, so it is too late for that from its first step on."""
    array = drives_simulated
    lun = array.make_volume("mirror", 8 * MIB, ["drive0", "drive1"])
    array.lose_drive("drive1")
    array.drive_pool.delay = 0.3
    recovery = array.call("Lun.Recover", id=lun)
    assert array.error("Async.Cancel", id=recovery["async"]) == "VDS_E_CANCEL_TOO_LATE"
    assert array.result(recovery)["hresult"] == 0
