"""What others do to drives, volume groups, files and addresses is told within two seconds, is shown, corrupts nothing, and
is put right by nobody."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.arrays import DISK, MIB, VOLUME_GROUP, LioArray, run
from tests.conftest import running
from tests.lab.test_drives import Disks, attached, disks
from tests.scene import SOON, Sink
from vdsprovd.hardware import Disk, Step

__all__ = ["disks"]  # a fixture

# rtslib, which plays somebody else here, uses what pyudev has deprecated.
pytestmark = [pytest.mark.lab, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def lvm(*arguments: str) -> None:
    """Somebody runs a command of LVM."""
    run("lvm", *arguments)


def shown(lio: LioArray, lun: str) -> tuple[str, str]:
    """The LUN's status and health."""
    found = lio.call("Lun.GetProperties", id=lun)["properties"]
    return found["status"], found["health"]


def size(lio: LioArray, lun: str) -> int:
    """The LUN's size."""
    return int(lio.call("Lun.GetProperties", id=lun)["properties"]["size"])


@pytest.fixture(scope="module")
def array(tmp_path_factory: pytest.TempPathFactory, disk: Path) -> Iterator[LioArray]:
    """A daemon with array2 for the tests that leave its volume group as they found it: to make one takes seconds."""
    folder = tmp_path_factory.mktemp("others")
    with running(LioArray(folder, disk / folder.name)) as found:
        found.add_drives()
        yield found


@pytest.fixture
def sink(array: LioArray) -> Iterator[Sink]:
    """A sink on an array without LUNs in array2."""
    found = Sink(array)
    yield found
    found.close()
    for lun in array.call("SubSystem.QueryLuns", id=array.sub_systems()["array2"])["luns"]:
        array.call("Lun.Delete", id=lun["id"])


def test_volumes_of_others(array: LioArray, sink: Sink) -> None:
    """A logical volume that somebody makes, extends and removes in our volume group changes the drive that it is on. It is
    no LUN, and Refresh leaves it alone."""
    drive = array.group.drives[1].node
    changed = {("drive_modify", array.drives()["drive1"])}
    lvm("lvcreate", "--yes", "--extents", "4", "--name", "theirs", VOLUME_GROUP, drive)
    sink.until(changed)
    lvm("lvextend", "--extents", "+4", f"{VOLUME_GROUP}/theirs", drive)
    sink.until(changed)
    used = [
        entry for entry in array.call("Drive.QueryExtents", id=array.drives()["drive1"])["extents"] if entry["used"]
    ]
    assert [(entry["lunId"], entry["size"]) for entry in used] == [(None, 8 * MIB)]
    assert array.call("SubSystem.QueryLuns", id=array.sub_systems()["array2"]) == {"luns": []}
    lvm("lvrename", VOLUME_GROUP, "theirs", "others")
    assert sink.silent(1)
    array.call("HwProvider.Refresh")
    assert "others" in array.group.names()
    lvm("lvremove", "--yes", f"{VOLUME_GROUP}/others")
    sink.until(changed)
    assert sink.silent()


def test_our_volumes_in_the_hands_of_others(array: LioArray, sink: Sink) -> None:
    """Our own volume that somebody extends has its new size. One that is renamed, or has lost its tag, is missing; one that
    was cut has failed; with its name, tag and size back, the LUN is well. No command had to be called for it."""
    lun = array.make_volume("simple", 8 * MIB, ["drive0"])
    path, changed = f"{VOLUME_GROUP}/{lun}", {("lun_modify", lun)}
    drive = {("drive_modify", array.drives()["drive0"])}
    assert sink.take() == {("lun_arrive", lun)} | drive
    lvm("lvextend", "--extents", "+4", path, array.group.drives[0].node)
    sink.until(changed | drive)
    assert (size(array, lun), shown(array, lun)) == (12 * MIB, ("online", "healthy"))
    lvm("lvrename", VOLUME_GROUP, lun, "stolen")
    sink.until(changed)
    assert shown(array, lun) == ("offline", "unknown")
    lvm("lvrename", VOLUME_GROUP, "stolen", lun)
    sink.until(changed)
    assert shown(array, lun) == ("online", "healthy")
    lvm("lvchange", "--deltag", "vdsprovd", path)
    sink.until(changed)
    assert shown(array, lun) == ("offline", "unknown")
    lvm("lvchange", "--addtag", "vdsprovd", path)
    sink.until(changed)
    lvm("lvreduce", "--yes", "--force", "--extents", "8", path)
    sink.until(changed | drive)
    assert shown(array, lun) == ("failed", "failed")
    lvm("lvextend", "--extents", "12", path, array.group.drives[0].node)
    sink.until(changed | drive)
    assert shown(array, lun) == ("online", "healthy")
    assert sink.silent()
    # Methods that document a corrupt cache answer.
    assert array.associated(lun) == []


def test_a_volume_that_somebody_removes(array: LioArray, sink: Sink) -> None:
    """Who takes the LUN's disk out of the kernel can put its volume to sleep and remove it: that is told and shown, nobody
    undoes it, and the LUN is not forgotten."""
    lun = array.make_volume("simple", 8 * MIB, ["drive0"])
    drive = {("drive_modify", array.drives()["drive0"])}
    assert sink.take() == {("lun_arrive", lun)} | drive
    path, changed = f"{VOLUME_GROUP}/{lun}", {("lun_modify", lun)}
    (disk,) = (fact for fact in array.facts() if isinstance(fact, Disk) and fact.lun == lun)
    array.meddle([Step(disk, None)])
    sink.until(changed)
    assert shown(array, lun) == ("not_ready", "degraded")
    lvm("lvchange", "--activate", "n", path)
    sink.until(changed)
    assert shown(array, lun) == ("failed", "failed")
    assert sink.silent(1)
    assert run("lvm", "lvs", "--noheadings", "-o", "lv_active", path).strip() == ""
    lvm("lvremove", "--yes", path)
    sink.until(changed | drive)
    assert shown(array, lun) == ("offline", "unknown")
    assert sink.silent()
    array.call("HwProvider.Refresh")
    assert lun in {entry["id"] for entry in array.call("SubSystem.QueryLuns", id=array.sub_systems()["array2"])["luns"]}


def test_drives_in_the_hands_of_others(array: LioArray, sink: Sink) -> None:
    """A drive that somebody adds to the volume group, forbids, empties and takes out again is told of each time."""
    found = array.drives()
    lun = array.make_volume("simple", 8 * MIB, ["drive0"])
    assert ("lun_arrive", lun) in sink.take()
    spare, drive = array.group.spare[0].node, array.group.drives[0].node
    modified = {("drive_modify", found["spare0"])}
    lvm("vgextend", VOLUME_GROUP, spare)
    sink.until(modified)
    for flag, event in (("n", "drive_removed"), ("y", "drive_modify")):
        lvm("pvchange", "--allocatable", flag, drive)
        sink.until({(event, found["drive0"])})
    lvm("pvmove", "--interval", "1", drive, spare)
    sink.until(modified | {("drive_modify", found["drive0"])})
    # Its extents are reported when the move is over.
    deadline = time.monotonic() + SOON
    while [entry["id"] for entry in array.call("LunPlex.QueryExtents", id=array.plexes(lun)[0]["id"])["extents"]] != [
        found["spare0"]
    ]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert shown(array, lun) == ("online", "healthy")
    # A look in the middle of the move has told a part of it.
    sink.rest(modified | {("drive_modify", found["drive0"]), ("lun_modify", lun)})
    lvm("vgreduce", VOLUME_GROUP, drive)
    sink.until({("drive_depart", found["drive0"])})
    lvm("vgextend", VOLUME_GROUP, drive)
    ((event, _),) = sink.take()
    assert event == "drive_arrive"
    array.call("Lun.Delete", id=lun)
    assert sink.take() == {("lun_depart", lun), *modified}
    lvm("vgreduce", VOLUME_GROUP, spare)
    sink.until(modified)


def test_a_mirror_that_loses_a_copy(array: LioArray, sink: Sink) -> None:
    """A copy that fails while somebody writes is told of: the LUN is degraded then."""
    lun = array.make_volume("mirror", 8 * MIB, ["drive0", "drive1"])
    assert ("lun_arrive", lun) in sink.take()
    array.group.drives[1].fail_data()
    try:
        with Path(f"/dev/{VOLUME_GROUP}/{lun}").open("r+b", buffering=0) as volume:
            volume.write(bytes(MIB))
            os.fsync(volume.fileno())
            # To close what was written to would be an event of its own.
            sink.until({("lun_modify", lun)})
        assert shown(array, lun) == ("online", "degraded")
    finally:
        array.group.drives[1].mend()


def test_a_thin_pool_that_is_full(array: LioArray) -> None:
    """That a thin pool is full only device-mapper tells: its LUNs are failing then."""
    lvm("lvcreate", "--yes", "--type", "thin-pool", "--size", "16M", "--name", "thin", VOLUME_GROUP)
    lvm("lvchange", "--errorwhenfull", "y", f"{VOLUME_GROUP}/thin")
    pool = {"name": "thin0", "kind": "lvm", "vg": VOLUME_GROUP, "thin-pool": "thin"}
    array.configuration["subsystem"][2]["pool"].append(pool)
    array.restart()
    pools = array.call("HwProviderStoragePools.QueryStoragePools")["storagePools"]
    (id,) = (entry["id"] for entry in pools if entry["name"] == "thin0")
    create = {"type": "simple", "sizeInBytes": 32 * MIB, "storagePoolId": id}
    lun = array.wait(array.call("HwProviderStoragePools.CreateLunInStoragePool", **create))
    # LVM's own watcher would run commands, which are events too.
    lvm("lvchange", "--monitor", "n", f"{VOLUME_GROUP}/thin")
    sink = Sink(array)
    assert sink.silent(1)
    with Path(f"/dev/{VOLUME_GROUP}/{lun}").open("r+b", buffering=0) as volume:
        with pytest.raises(OSError, match=r"space|Input/output"):
            volume.write(bytes(32 * MIB))
            os.fsync(volume.fileno())
        # To close what was written to would be an event of its own.
        sink.until({("lun_modify", lun)})
    assert shown(array, lun) == ("online", "failing")
    assert array.call("StoragePool.GetProperties", id=id)["properties"]["remainingFreeSpace"] == 0
    sink.close()


def test_files_in_the_hands_of_others(lio: LioArray) -> None:
    """A LUN's file that somebody removes is missing, one that is cut has failed, until they are as they were; one that is
    longer than its disk harms nobody. Of files that are not ours nothing is told."""
    lun = lio.make_lun(4 * MIB)
    file = lio.pools_folder / "files0" / f"{lun}.lun"
    away = lio.pools_folder / "away"
    sink, changed = Sink(lio), {("lun_modify", lun)}
    file.rename(away)
    sink.until(changed)
    assert shown(lio, lun) == ("offline", "unknown")
    away.rename(file)
    sink.until(changed)
    assert shown(lio, lun) == ("online", "healthy")
    run("truncate", "--size=1M", str(file))
    sink.until(changed)
    assert shown(lio, lun) == ("failed", "failed")
    run("truncate", "--size=4M", str(file))
    sink.until(changed)
    assert shown(lio, lun) == ("online", "healthy")
    run("truncate", "--size=5M", str(file))
    (lio.pools_folder / "files0" / "notes.txt").write_text("of somebody")
    assert sink.silent(1)
    file.unlink()
    sink.until(changed)
    assert shown(lio, lun) == ("offline", "unknown")
    assert lio.associated(lun) == []
    lio.call("Lun.Delete", id=lun)
    assert sink.take() == {("lun_depart", lun)}
    assert sink.silent()
    sink.close()


def test_a_pool_that_is_unmounted(lio: LioArray, disk: Path) -> None:
    """Without the file system of its pools the subsystem has failed and its LUN is missing, within two seconds; with it
    they are well."""
    lun, sub_systems = lio.make_lun(), set(lio.sub_systems().values())
    told = {("lun_modify", lun), *(("sub_system_modify", id) for id in sub_systems)}
    sink = Sink(lio)
    run("umount", "--lazy", str(disk))
    try:
        sink.until(told)
        assert shown(lio, lun) == ("offline", "unknown")
        assert lio.call("SubSystem.GetProperties", id=lio.sub_system)["properties"]["status"] == "failed"
    finally:
        run("mount", f"/dev/mapper/{DISK}", str(disk))
    sink.until(told)
    assert shown(lio, lun) == ("online", "healthy")
    # A folder that comes back is watched.
    (lio.pools_folder / "files0" / f"{lun}.lun").rename(lio.pools_folder / "away")
    sink.until({("lun_modify", lun)})
    (lio.pools_folder / "away").rename(lio.pools_folder / "files0" / f"{lun}.lun")
    sink.until({("lun_modify", lun)})
    sink.close()


def test_disks_that_come_and_go(lio: LioArray, disks: Disks, tmp_path: Path) -> None:
    """A disk of the subsystem that is plugged in arrives, and departs when it is pulled. That the kernel has given one up
    makes no event: the audit finds it."""
    lio.configuration["subsystem"][0]["drives"] = ["/dev/sd*", str(tmp_path / "*.image")]
    lio.configuration["provider"]["audit"] = 1
    lio.restart()
    sink = Sink(lio)
    node = disks.add()
    (drive,) = sink.take()
    assert drive[0] == "drive_arrive"
    state = Path("/sys/block", Path(node).name, "device/state")
    for value, event in (("offline", "drive_removed"), ("running", "drive_modify")):
        state.write_text(f"{value}\n")
        sink.until({(event, drive[1])})
    Path("/sys/block", Path(node).name, "device/delete").write_text("1")
    sink.until({("drive_depart", drive[1])})
    image = tmp_path / "a.image"
    with image.open("wb") as file:
        file.truncate(MIB)
    with attached(image):
        (drive,) = sink.take()
        assert drive[0] == "drive_arrive"
    sink.until({("drive_depart", drive[1])})
    assert sink.silent()
    sink.close()
