"""kill -9 at every step of every command: what the daemon changes outside of itself it has, after the next start, changed
wholly or not at all, in kernel, LVM, pools, store and API, and nothing is left over.

By default it is one step or two of each command without drives, and of some with them; with VDSPROVD_EVERY_STEP=1 it is
all of them (half an hour).
"""

import hashlib
import json
import os
import re
import signal
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.arrays import ADDRESS, INITIATOR, VOLUME_GROUP, LioArray, Reply, clear_kernel, run
from tests.lab.fault_points import FaultPoints
from tests.lab.targetcli import backstore, exported, forget, targetcli
from tests.programs import MIB

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]

EVERY = bool(os.environ.get("VDSPROVD_EVERY_STEP"))
SOME = {False: (4, 8), True: (8,)}
"""The steps otherwise, without drives and with."""
SOME_WITH_DRIVES = {
    "adopt a volume",
    "extend a span",
    "add a plex",
    "remove a plex",
    "recover on a spare",
    "replace a drive",
}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SIZE = 4 * MIB
THEIRS = "iqn.2003-01.org.example:theirs"


class Scene:
    """A daemon, with drives or without, fault points in it, and names for the objects that a command is about."""

    def __init__(self, array: LioArray, *, drives: bool) -> None:
        self.array = array
        self.drives = drives
        self.points = FaultPoints()
        array.before_main = self.points.put_in
        if drives:
            array.add_drives()
        else:
            array.restart()
        self.names: dict[str, str] = {}
        self.lost = False
        """Whether a drive is, and is to be mended."""
        self.theirs: tuple[str, str] | None = None
        """The target and the storage object that somebody has made."""

    def name(self, name: str, id: str) -> str:
        """Give the object of that id a name, which it has in all snapshots, and its plexes names by their place."""
        self.names[id] = name
        return id

    def file(self, name: str = "lun", size: int = SIZE) -> str:
        """A LUN in the pool of files, unmasked, with bytes in it."""
        return self._filled(name, self.array.make_lun(size, mask=INITIATOR))

    def volume(self, name: str, type: str, drives: list[str], size: int = SIZE) -> str:
        """A LUN on these drives, with bytes in it."""
        lun = self._filled(name, self.array.make_volume(type, size, drives))
        for place, plex in enumerate(self.array.plexes(lun)):
            self.name(f"plex {place} of {name}", plex["id"])
        return lun

    def _filled(self, name: str, lun: str) -> str:
        self.name(name, lun)
        path = self.path(lun)
        with path.open("r+b") as file:
            for block in range(path.stat().st_size // 65536 or _size(path) // 65536):
                file.write(hashlib.sha256(f"{name} {block}".encode()).digest() * 2048)
            os.fsync(file.fileno())
        return lun

    def path(self, lun: str) -> Path:
        """Where the LUN's bytes are."""
        file = self.array.pools_folder / "files0" / f"{lun}.lun"
        return file if file.exists() else Path("/dev", VOLUME_GROUP, lun)

    def target(self) -> str:
        """A reachable target of array0."""
        target, group = self.array.make_reachable_target()
        self.names[self.array.name_of(target)] = "iqn"
        self.name("group", group)
        return self.name("target", target)

    def clear(self) -> None:
        """Take away everything that a command or its preparation made."""
        array = self.array
        for sub_system in array.sub_systems().values():
            for lun in array.call("SubSystem.QueryLuns", id=sub_system)["luns"]:
                array.call("Lun.Delete", id=lun["id"])
            for target in array.call("SubSystemIscsi.QueryTargets", id=sub_system)["targets"]:
                for group in array.call("IscsiTarget.QueryPortalGroups", id=target["id"])["portalGroups"]:
                    for portal in array.portals_of(group["id"]):
                        array.wait(array.call("IscsiPortalGroup.RemovePortal", id=group["id"], portalId=portal))
                    array.wait(array.call("IscsiPortalGroup.Delete", id=group["id"]))
                array.wait(array.call("IscsiTarget.Delete", id=target["id"]))
        if self.theirs:
            targetcli(*forget([self.theirs[0]], [self.theirs[1]]))
            run("lvm", "lvremove", "--yes", f"{VOLUME_GROUP}/theirs", check=False)
            self.theirs = None
        if self.drives:
            self._clear_drives()
        self.names.clear()

    def _clear_drives(self) -> None:
        array, group = self.array, self.array.group
        for id in array.drives().values():
            drive = array.call("Drive.GetProperties", id=id)["properties"]
            if drive["status"] == "offline":
                array.call("Drive.SetStatus", id=id, status="online")
            if "hotspare" in drive["flags"]:
                array.call("Drive.ClearFlags", id=id, flags=["hotspare"])
        for drive in group.drives if self.lost else ():
            drive.mend()
        members = run("lvm", "vgs", "--noheadings", "-o", "pv_name", group.name).split()
        if set(members) == {drive.node for drive in group.drives} and not self.lost:
            return
        for drive in group.drives:
            if drive.node not in members:
                run("lvm", "pvcreate", "-ff", "--yes", drive.node)
                group.lvm("vgextend", group.name, drive.node)
        for drive in group.spare:
            if drive.node in members:
                group.lvm("vgreduce", group.name, drive.node)
            run("lvm", "pvremove", drive.node, check=False)
        run("lvm", "vgreduce", "--removemissing", group.name)
        run("udevadm", "trigger", "--settle", *(drive.device for drive in group.spare))
        array.call("HwProvider.Refresh")
        self.lost = False

    def wait_for_mirrors(self) -> None:
        """Wait until the kernel synchronizes nothing, and let the daemon look."""
        if not self.drives:
            return
        deadline = time.monotonic() + 30
        while any(action in ("resync", "recover") for (action,) in self.array.group.lvs("raid_sync_action")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        self.array.call("SubSystem.Reenumerate", id=self.array.sub_systems()["array2"])

    def snapshot(self) -> list[str]:
        """All that can be seen from the outside, a line an object, with names in place of ids."""
        array = self.array
        lines = [f"kernel {line}" for line in array.kernel()]
        if self.drives:
            lines += self._drives()
        for sub_system in array.sub_systems().values():
            for lun in array.call("SubSystem.QueryLuns", id=sub_system)["luns"]:
                found = [lun, array.plexes(lun["id"]), array.associated(lun["id"])]
                lines.append(f"lun {_json(found)} {_digest(self.path(lun['id']))}")
            for target in array.call("SubSystemIscsi.QueryTargets", id=sub_system)["targets"]:
                groups = array.call("IscsiTarget.QueryPortalGroups", id=target["id"])["portalGroups"]
                lines.append(f"target {_json([target, groups])}")
                lines += [f"group {group['id']} {array.portals_of(group['id'])}" for group in groups]
        for path in array.pools_folder.rglob("*"):
            lines.append(f"file {path} {path.stat().st_size if path.is_file() else ''}")
        with closing(sqlite3.connect(f"file:{array.folder}/state/vdsprovd.sqlite?mode=ro", uri=True)) as store:
            lines += [f"pending {row}" for row in store.execute("SELECT kind, detail FROM step")]
        return sorted(self._named(line) for line in lines)

    def _drives(self) -> Iterator[str]:
        for name, id in self.array.drives().items():
            self.name(name, id)
            yield f"drive {name} {_json(self.array.call('Drive.GetProperties', id=id)['properties'])}"
        for columns in self.array.group.lvs("lv_name,lv_size,lv_tags,segtype,lv_attr,devices", "-a"):
            name, size, tags, type, attributes, devices = columns
            where = sorted(re.sub(r"\(\d+\)", "", device) for device in devices.split(","))
            yield f"volume {name} {size} {tags} {type} {attributes[:5]} {attributes[6:]} {where}"
        yield from run("lvm", "pvs", "--noheadings", "-o", "pv_name,vg_name,pv_tags,pv_used,pv_attr").splitlines()
        for device in run("dmsetup", "info", "-c", "--noheadings", "-o", "name,suspended").splitlines():
            yield f"device {device.replace('--', '-')}"
        programs = run("pgrep", "-ax", "lvm", check=False).splitlines()
        # One that is about to end has no arguments any more, only its name in brackets.
        yield from (f"program {line}" for line in programs if not re.search(r"fullreport|\[lvm\]", line))

    def _named(self, line: str) -> str:
        for id, name in self.names.items():
            line = line.replace(id, f"<{name}>")
        line = _UUID.sub("<new>", line)
        # targetcli's links have names by chance.
        line = re.sub(r"/[0-9a-f]{10} -> ", "/<link> -> ", line)
        # Numbers of the array's own, which go up.
        return re.sub(r"(fileio|iblock)_\d+", r"\1", line)


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _size(path: Path) -> int:
    with path.open("rb") as file:
        return file.seek(0, os.SEEK_END)


def _digest(path: Path) -> str:
    if path.is_block_device():
        run("blockdev", "--flushbufs", str(path))
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return str(error)


class Command(NamedTuple):
    """A command, what it needs, and how it is called. That the object named `half` is gone, and nothing else is done, is
    a documented outcome, too."""

    name: str
    method: str
    prepare: Callable[[Scene], Reply]
    half: str = ""


def create_file(scene: Scene) -> Reply:
    return {"id": scene.array.sub_system, "type": "simple", "sizeInBytes": SIZE, "unmaskingList": INITIATOR}


def create_volume(type: str) -> Callable[[Scene], Reply]:
    return lambda scene: {"id": scene.array.sub_systems()["array2"], "type": type, "sizeInBytes": SIZE}


def exported_file(scene: Scene) -> Reply:
    lun, target = scene.file(), scene.target()
    scene.array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    return {"id": lun}


def exported_file_and(**parameters: object) -> Callable[[Scene], Reply]:
    return lambda scene: {**exported_file(scene), **parameters}


def volume_and(type: str, drives: list[str], **parameters: object) -> Callable[[Scene], Reply]:
    return lambda scene: {"id": scene.volume("lun", type, drives), **parameters}


def two_luns(scene: Scene) -> Reply:
    return {"id": scene.volume("lun", "simple", ["drive0"]), "lunId": scene.volume("source", "simple", ["drive1"])}


def two_luns_and_no_room(scene: Scene) -> Reply:
    size = 31 * MIB
    for name in ("drive2", "drive3"):
        scene.volume(f"filler on {name}", "simple", [name], size)
    return {
        "id": scene.volume("lun", "simple", ["drive0"], size),
        "lunId": scene.volume("source", "simple", ["drive1"], size),
    }


def mirror_to_cut(scene: Scene) -> Reply:
    lun = scene.volume("lun", "mirror", ["drive0", "drive1"])
    return {"id": lun, "plexId": scene.array.plexes(lun)[1]["id"]}


def lost_leg(scene: Scene) -> Reply:
    lun = scene.volume("lun", "mirror", ["drive0", "drive1"])
    scene.array.pull_drive("drive1")
    # The kernel gives a copy up when it is written, or when it happens to read from that one.
    with scene.path(lun).open("r+b") as file:
        block = file.read(4096)
        file.seek(0)
        file.write(block)
        os.fsync(file.fileno())
    scene.array.call("HwProvider.Refresh")
    scene.lost = True
    return {"id": lun}


def lost_leg_and_spare(scene: Scene) -> Reply:
    drives = scene.array.drives()
    for name in ("drive2", "drive3"):
        scene.array.call("Drive.SetStatus", id=drives[name], status="offline")
    scene.array.call("Drive.SetFlags", id=drives["spare0"], flags=["hotspare"])
    return lost_leg(scene)


def replacement(scene: Scene) -> Reply:
    scene.volume("lun", "simple", ["drive0"])
    scene.volume("mirror", "mirror", ["drive0", "drive1"])
    drives = scene.array.drives()
    return {
        "id": scene.array.sub_systems()["array2"],
        "driveToBeReplaced": drives["drive0"],
        "replacementDrive": drives["spare0"],
    }


def replacement_by_hot_spare(scene: Scene) -> Reply:
    found = replacement(scene)
    scene.array.call("Drive.SetFlags", id=found["replacementDrive"], flags=["hotspare"])
    return found


def drive_and(name: str, **parameters: object) -> Callable[[Scene], Reply]:
    return lambda scene: {"id": scene.array.drives()[name], **parameters}


def create_files(scene: Scene) -> Reply:
    new = {"sizeInBytes": SIZE, "unmaskingList": INITIATOR, "targetIds": [scene.target()]}
    return {"id": scene.array.sub_system, "luns": [{**new, "friendlyName": name} for name in ("one", "two")]}


def create_volumes(scene: Scene) -> Reply:
    luns = [{"sizeInBytes": SIZE, "type": type} for type in ("simple", "mirror")]
    return {"id": scene.array.sub_systems()["array2"], "luns": luns}


def new_targets(scene: Scene) -> Reply:
    names = ["iqn.2026-11.org.example:made0", "iqn.2026-11.org.example:made1"]
    new = [{"iscsiName": name, "portalIds": scene.array.portals()[:1]} for name in names]
    return {"id": scene.array.sub_system, "targets": new}


def new_target(scene: Scene) -> Reply:
    scene.names["iqn.2026-11.org.example:made"] = "iqn"
    return {"id": scene.array.sub_system, "iscsiName": "iqn.2026-11.org.example:made"}


def bare_target(scene: Scene) -> Reply:
    target = scene.array.make_target()
    scene.names[scene.array.name_of(target)] = "iqn"
    return {"id": scene.name("target", target)}


def group_and_portal(scene: Scene) -> Reply:
    target = bare_target(scene)["id"]
    return {"id": scene.name("group", scene.array.make_group(target)), "portalId": scene.array.portals()[0]}


def portal_in_group(scene: Scene) -> Reply:
    found = group_and_portal(scene)
    scene.array.wait(scene.array.call("IscsiPortalGroup.AddPortal", **found))
    return found


def group_with_lun(scene: Scene) -> Reply:
    lun, target = scene.file(), bare_target(scene)["id"]
    group = scene.name("group", scene.array.make_group(target))
    scene.array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    return {"id": group}


def target_and_secret(scene: Scene) -> Reply:
    exported_file(scene)
    (target,) = (id for id, name in scene.names.items() if name == "target")
    return {"id": target, "targetSharedSecret": "sixteen-bytes-is", "initiatorName": INITIATOR}


def lun_and_target(scene: Scene) -> Reply:
    return {"id": scene.file(), "targetIds": [scene.target()]}


def theirs(scene: Scene, kind: str, device: Path) -> Reply:
    """Somebody exports that with targetcli."""
    number = scene.name("lun", str(uuid.uuid4()))
    for sub_system in scene.array.configuration["subsystem"]:
        sub_system["require-chap"] = False
    scene.array.restart()
    targetcli(
        backstore(kind, "theirs", device, f"wwn={number}"),
        *exported(THEIRS, [f"{kind}/theirs"], {INITIATOR: ("me", "sixteen-bytes-is")}, f"{ADDRESS}:3265"),
    )
    scene.theirs = (THEIRS, f"{kind}/theirs")
    return {}


def their_file(scene: Scene) -> Reply:
    folder = scene.array.pools_folder / "theirs"
    folder.mkdir(exist_ok=True)
    (folder / "disk.img").unlink(missing_ok=True)
    (folder / "disk.img").write_bytes(b"their own bytes." * (SIZE // 16))
    return theirs(scene, "fileio", folder / "disk.img")


def their_volume(scene: Scene) -> Reply:
    run("lvm", "lvcreate", "--yes", "--wipesignatures", "n", "--size", f"{SIZE}b", "--name", "theirs", VOLUME_GROUP)
    path = Path("/dev", VOLUME_GROUP, "theirs")
    path.write_bytes(b"their own bytes." * (SIZE // 16))
    return theirs(scene, "block", path)


OF_FILES = (
    Command("adopt a file", "Service.Adopt", their_file),
    Command("create a file", "SubSystem.CreateLun", create_file),
    Command("extend a file", "Lun.Extend", exported_file_and(numberOfBytesToAdd=SIZE)),
    Command("shrink a file", "Lun.Shrink", exported_file_and(numberOfBytesToRemove=MIB)),
    Command("delete a file", "Lun.Delete", exported_file),
    Command("mask", "Lun.SetMask", exported_file_and(unmaskingList="iqn.2026-11.org.example:other")),
    Command("set a LUN offline", "Lun.SetStatus", exported_file_and(status="offline")),
    Command("name a LUN", "LunNaming.SetFriendlyName", exported_file_and(friendlyName="name")),
    Command("associate", "LunIscsi.AssociateTargets", lun_and_target),
    Command("dissociate", "LunIscsi.AssociateTargets", exported_file_and(targetIds=[])),
    Command("create a target", "SubSystemIscsi.CreateTarget", new_target),
    Command("delete a target", "IscsiTarget.Delete", bare_target),
    Command("create files", "Provisioning.CreateLuns", create_files),
    Command("create targets", "Provisioning.CreateTargets", new_targets),
    Command("create a group", "IscsiTarget.CreatePortalGroup", bare_target),
    Command("delete a group", "IscsiPortalGroup.Delete", group_with_lun),
    Command("add a portal", "IscsiPortalGroup.AddPortal", group_and_portal),
    Command("remove a portal", "IscsiPortalGroup.RemovePortal", portal_in_group),
    Command("set a secret", "IscsiTarget.SetSharedSecret", target_and_secret),
)
OF_VOLUMES = (
    Command("adopt a volume", "Service.Adopt", their_volume),
    Command("create a volume", "SubSystem.CreateLun", create_volume("simple")),
    Command("create a stripe", "SubSystem.CreateLun", create_volume("stripe")),
    Command("create a mirror", "SubSystem.CreateLun", create_volume("mirror")),
    Command("create volumes", "Provisioning.CreateLuns", create_volumes),
    Command("extend a span", "Lun.Extend", volume_and("span", ["drive0"], numberOfBytesToAdd=40 * MIB)),
    Command("extend a mirror", "Lun.Extend", volume_and("mirror", ["drive0", "drive1"], numberOfBytesToAdd=SIZE)),
    Command("shrink a volume", "Lun.Shrink", volume_and("simple", ["drive0"], numberOfBytesToRemove=MIB)),
    # Of four columns an extent each cannot go.
    Command(
        "shrink a stripe",
        "Lun.Shrink",
        lambda scene: {
            "id": scene.volume("lun", "stripe", ["drive0", "drive1", "drive2", "drive3"], 12 * MIB),
            "numberOfBytesToRemove": 5 * MIB,
        },
    ),
    Command("delete a volume", "Lun.Delete", volume_and("mirror", ["drive0", "drive1"])),
    Command("add a plex", "Lun.AddPlex", two_luns),
    # Where there is no room for both, the source goes first.
    Command("add a plex without room", "Lun.AddPlex", two_luns_and_no_room, "<source>"),
    Command("remove a plex", "Lun.RemovePlex", mirror_to_cut),
    Command("recover", "Lun.Recover", lost_leg),
    Command("recover on a spare", "Lun.Recover", lost_leg_and_spare),
    Command("replace a drive", "SubSystem.ReplaceDrive", replacement),
    Command("replace a drive by a hot spare", "SubSystem.ReplaceDrive", replacement_by_hot_spare),
    Command("make a hot spare", "Drive.SetFlags", drive_and("spare0", flags=["hotspare"])),
    Command("set a drive offline", "Drive.SetStatus", drive_and("drive3", status="offline")),
)


@contextmanager
def on_stage(tmp_path_factory: pytest.TempPathFactory, disk: Path, *, drives: bool) -> Iterator[Scene]:
    """One daemon for all commands of a kind: they clear up after themselves."""
    folder = tmp_path_factory.mktemp("every-step")
    array = LioArray(folder, disk / folder.name)
    array.start()
    try:
        yield Scene(array, drives=drives)
    finally:
        print(array.log.read_text())
        array.end(signal.SIGTERM)
        clear_kernel()
        array.stack.close()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, disk: Path) -> Iterator[Scene]:
    """Without drives."""
    with on_stage(tmp_path_factory, disk, drives=False) as found:
        yield found


@pytest.fixture(scope="module")
def scene_with_drives(tmp_path_factory: pytest.TempPathFactory, disk: Path) -> Iterator[Scene]:
    """With drives."""
    with on_stage(tmp_path_factory, disk, drives=True) as found:
        yield found


@pytest.mark.parametrize("command", OF_FILES, ids=lambda command: command.name)
def test_every_step(scene: Scene, command: Command) -> None:
    """A command on files or targets is killed at one step after the other; each time it is done or undone as a whole."""
    kill_at_every_step(scene, command)


@pytest.mark.parametrize(
    "command",
    [command for command in OF_VOLUMES if EVERY or command.name in SOME_WITH_DRIVES],
    ids=lambda command: command.name,
)
def test_every_step_with_drives(scene_with_drives: Scene, command: Command) -> None:
    """The same on LVM, for what is done to volumes, plexes and drives."""
    kill_at_every_step(scene_with_drives, command)


def kill_at_every_step(scene: Scene, command: Command) -> None:
    """The test of both."""
    array, begun = scene.array, time.monotonic()
    if scene.names:  # the test before has failed
        scene.clear()
    parameters = command.prepare(scene)
    before = scene.snapshot()
    undone, others = 0, []
    for number in count(1) if EVERY else [*SOME[scene.drives], 0]:
        scene.points.arm(number)
        if done(array, command.method, parameters):
            steps = scene.points.passed
            scene.points.arm()
            break
        array.killed()
        array.start()
        scene.wait_for_mirrors()
        now = scene.snapshot()
        if difference(now, before):
            others.append((f"killed at step {number}, {scene.points.name!r}", now))
            scene.clear()
            parameters = command.prepare(scene)
            assert difference(scene.snapshot(), before) == []
        else:
            undone += 1
    # What was undone, the command could do all the same.
    scene.wait_for_mirrors()
    after = scene.snapshot()
    assert difference(after, before)
    for name, now in others:
        half = command.half and not any(command.half in line for line in now)
        assert half or difference(now, after) == [], f"{name}: not undone either: {difference(now, before)}"
    scene.clear()
    assert "a bug in vdsprovd" not in array.log.read_text()
    seconds = time.monotonic() - begun
    print(f"{command.name}: {steps} steps; {undone} undone, {len(others)} done, in {seconds:.0f} s")


def done(array: LioArray, method: str, parameters: Reply) -> bool:
    """Whether the command ran through; False when the daemon was killed meanwhile. It must not fail."""
    try:
        if method == "Service.Adopt":  # a start makes another digest
            parameters = {"digest": array.call("Service.QueryAdoption")["digest"]}
        reply = array.call(method, **parameters)
        if "async" in reply:
            array.wait(reply)
    except ConnectionError:
        return False
    return True


def difference(one: list[str], other: list[str]) -> list[str]:
    """What only one has, marked, in both directions."""
    return [*(f"+ {line}" for line in one if line not in other), *(f"- {line}" for line in other if line not in one)]
