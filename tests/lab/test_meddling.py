"""Meddling as it happens on a host: targetcli, a shell, and a kernel that has no watches left."""

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rtslib_fb import LUN, TPG, FabricModule, FileIOStorageObject, NodeACL, Target

from tests.arrays import ADDRESS, INITIATOR, MIB, OTHER_INITIATOR, LioArray, group_folder, run, somebody
from tests.scene import SOON, Scene, without
from vdsprovd.hardware import Disk, Fact, Listener, TargetNode, steps
from vdsprovd.hardware.lio import configfs

# rtslib, which plays somebody else here, uses what pyudev has deprecated.
pytestmark = [pytest.mark.lab, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

WATCHES = Path("/proc/sys/fs/inotify/max_user_watches")
QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")


@pytest.fixture
def scene(lio: LioArray) -> Iterator[Scene]:
    """The scene, with nothing left to be told."""
    found = Scene(lio)
    assert found.sink.silent()
    yield found
    found.sink.close()


def test_targetcli(scene: Scene) -> None:
    """A portal that it deletes and creates again is told of, twice; a target of its own is not."""
    portals = f"/iscsi/{scene.name}/tpg1/portals"
    run("targetcli", portals, "delete", ADDRESS, "3260")
    scene.sink.until(scene.told("portal", "portal_group"))
    assert scene.shown("portal")["status"] == "not_ready"
    run("targetcli", portals, "create", ADDRESS, "3260")
    scene.sink.until(scene.told("portal", "portal_group"))
    assert scene.deviations() == {}
    run("targetcli", "/iscsi", "create", "iqn.2003-01.org.example:somebody")
    run("targetcli", "/iscsi", "delete", "iqn.2003-01.org.example:somebody")
    assert scene.sink.silent()


def test_what_is_gone_before_it_is_watched(lio: LioArray) -> None:
    """A portal of a new group that somebody removes at once, before its folder is watched, is noticed nevertheless."""
    target, group = lio.make_reachable_target()
    name = lio.call("IscsiTarget.GetProperties", id=target)["properties"]["iscsiName"]
    (portal,) = (group_folder(name) / "np").iterdir()
    portal.rmdir()
    deadline = time.monotonic() + SOON
    while "is missing in the kernel" not in (
        lio.call("IscsiPortalGroup.GetProperties", id=group)["properties"]["deviation"] or ""
    ):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_link_alone(scene: Scene) -> None:
    """A link that somebody removes from a logical unit or a mapped LUN, whose folder stays, is told of, and so is a link
    to something else."""
    base = group_folder(scene.name)
    for folder in (base / "acls" / INITIATOR / "lun_0", base / "lun" / "lun_0"):
        (link,) = (entry for entry in folder.iterdir() if entry.is_symlink())
        leads_to = link.resolve()
        link.unlink()
        scene.sink.until(scene.told("lun"))
        assert "was changed by somebody else" in scene.shown("lun")["deviation"]
        if folder.parent.name == "lun":
            assert scene.shown("lun")["status"] == "not_ready"
        link.symlink_to(leads_to)
        scene.sink.until(scene.told("lun"))
        assert scene.deviations() == {}


def test_a_disk_s_size(scene: Scene) -> None:
    """A disk that somebody makes smaller than it was set shows it."""
    (disk,) = Path("/sys/kernel/config/target/core").glob(f"fileio_*/{scene.lun}")
    (disk / "control").write_text(f"fd_dev_size={MIB // 2}")
    scene.sink.until(scene.told("lun"))
    assert f"size is {MIB // 2} instead of {MIB}" in scene.shown("lun")["deviation"]


@pytest.mark.parametrize(
    ("attribute", "text"),
    [
        ("generate_node_acls", "demo_mode is True instead of False"),
        ("prod_mode_write_protect", "read_only is True instead"),
    ],
)
def test_what_voids_masks_and_grants(scene: Scene, attribute: str, text: str) -> None:
    """A portal group that somebody opens to everybody, or makes read-only, shows it, and Refresh ends it."""
    file = group_folder(scene.name) / "attrib" / attribute
    file.write_text("1")
    scene.sink.until(scene.told("portal_group"))
    assert text in scene.shown("group")["deviation"]
    scene.array.call("HwProvider.Refresh")
    assert file.read_text().strip() == "0"
    scene.sink.until(scene.told("portal_group"))
    assert scene.deviations() == {}


def test_what_others_put_into_our_target_is_theirs(scene: Scene) -> None:
    """Somebody's logical unit in a target of ours, with its ACL, is left alone by Refresh, so it does not deviate."""
    image = scene.array.folder / "foreign.img"
    image.write_bytes(bytes(MIB))
    disk = FileIOStorageObject("somebody", str(image), MIB)
    group = TPG(Target(FabricModule("iscsi"), scene.name, "lookup"), 1, "lookup")
    LUN(group, 7, disk)
    NodeACL(group, OTHER_INITIATOR, "create").mapped_lun(7, 7, write_protect=False)
    time.sleep(2)
    assert scene.deviations() == {}
    # It may have been seen before the mapped LUN was there.
    while not scene.sink.groups.empty():
        assert scene.sink.groups.get() == scene.told("portal_group")
    scene.array.call("HwProvider.Refresh")
    assert scene.sink.silent()


@pytest.mark.parametrize("left", [0, 12])
def test_no_watches_left(lio: LioArray, left: int) -> None:
    """When the kernel gives none, or not enough, that is logged once, and the audit finds what is not told."""
    before = WATCHES.read_text()
    try:
        lio.stop()
        WATCHES.write_text(str(left))
        lio.configuration["provider"]["audit"] = 1
        lio.start()
        scene = Scene(lio)
        there = scene.ours()
        for kind, objects in (
            (Listener, ["portal", "group"]),
            (Disk, ["lun"]),
            (TargetNode, ["lun", "portal", "group", "target"]),
        ):
            lio.meddle(steps(there, without(there, kind)))
            assert scene.shows(*objects, seconds=SOON)
            lio.meddle(steps(without(there, kind), there))
            assert scene.shows(seconds=SOON)
        scene.sink.close()
        assert lio.log.read_text().count("max_user_watches is used up") == 1
    finally:
        WATCHES.write_text(before)


@pytest.mark.parametrize(
    ("kind", "objects"), [(Listener, ["portal", "portal_group"]), (Disk, ["lun"])], ids=["listener", "disk"]
)
def test_more_events_than_the_kernel_keeps(lio: LioArray, kind: type[Fact], objects: list[str]) -> None:
    """A daemon that was kept from reading until events were lost looks at everything, shows what is true in the end, and
    notices what comes after: also that what went meanwhile is there again."""
    before = QUEUE.read_text()
    try:
        lio.stop()
        QUEUE.write_text("64")
        lio.start()
    finally:
        QUEUE.write_text(before)
    scene = Scene(lio)
    assert scene.sink.silent()
    there = scene.ours()
    lost = without(there, kind)
    os.kill(lio.pid, signal.SIGSTOP)
    try:
        for _ in range(64):
            path = Path(tempfile.mkdtemp(prefix="iqn.2003-01.org.example:", dir=configfs.ISCSI))
            path.rmdir()
        lio.meddle(steps(there, lost))
    finally:
        os.kill(lio.pid, signal.SIGCONT)
    scene.sink.until(scene.told(*objects))
    lio.meddle(steps(lost, there))
    scene.sink.until(scene.told(*objects))
    assert scene.deviations() == {}
    assert scene.sink.silent()
    scene.sink.close()


def test_many_targets_of_somebody_else(lio: LioArray, scene: Scene) -> None:
    """A script that makes 300 targets and removes them costs the daemon less than it costs the script, nothing is told,
    and what somebody does to ours meanwhile is."""
    names = [f"iqn.2003-01.org.example:somebody-{number}" for number in range(300)]
    there = scene.ours()
    spent = cpu_seconds(lio.pid)
    own = time.process_time()
    for name in names:
        (group_folder(name) / "np").mkdir(parents=True, exist_ok=True)
        (group_folder(name) / "acls" / OTHER_INITIATOR).mkdir()
    scene.array.meddle(steps(there, without(there, Listener)))
    scene.sink.until(scene.told("portal", "portal_group"))
    for name in names:
        (group_folder(name) / "acls" / OTHER_INITIATOR).rmdir()
        group_folder(name).rmdir()
        group_folder(name).parent.rmdir()
    assert scene.sink.silent(1)
    own = time.process_time() - own
    spent = cpu_seconds(lio.pid) - spent
    print(f"the daemon took {spent:.2f} s for 300 targets of somebody else, who took {own:.2f} s")
    assert spent < 2


def cpu_seconds(pid: int) -> float:
    """What the process has used of the processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_no_inotify_at_all(lio: LioArray) -> None:
    """Without an inotify instance the daemon serves, and says what is missing."""
    limit = Path("/proc/sys/fs/inotify/max_user_instances")
    before = limit.read_text()
    try:
        lio.stop()
        limit.write_text("0")
        lio.configuration["provider"]["audit"] = 1
        lio.start()
    finally:
        limit.write_text(before)
    scene = Scene(lio)
    there = scene.ours()
    lio.meddle(steps(there, without(there, Listener)))
    scene.sink.until(scene.told("portal", "portal_group"))
    scene.sink.close()
    assert lio.log.read_text().count("cannot use inotify") == 1


def test_a_stop_in_the_middle(lio: LioArray) -> None:
    """The daemon ends in an orderly way while there is much to look at, and leaves the kernel as it is."""
    scene = Scene(lio)
    scene.sink.close()
    there = scene.ours()
    for wait in (0.0, 0.1, 0.2, 0.25):
        lio.meddle(steps(there, without(there, TargetNode)))
        lio.meddle(steps(without(there, TargetNode), there))
        time.sleep(wait)
        lio.stop()
        assert set(somebody().read()) == set(there)
        lio.start()
    log = lio.log.read_text()
    assert "Traceback" not in log
    assert "ERROR" not in log
