"""What targetcli exports becomes the provider's while an initiator writes and verifies, and is the same after a reboot."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.arrays import ADDRESS, INITIATOR, MIB, OTHER_INITIATOR, SECRET, VOLUME_GROUP, LioArray, run
from tests.lab import load
from tests.lab.initiator import logged_in
from tests.lab.targetcli import backstore, exported, forget, targetcli
from vdsprovd.hardware import Disk
from vdsprovd.hardware.lio import configfs

# rtslib, which clears the kernel after a test, would have another folder for its database than Debian's targetcli.
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore:Cannot set dbroot:UserWarning"),
]

OF_FILES = "iqn.2003-01.org.example:files"
OF_VOLUMES = "iqn.2003-01.org.example:volumes"
PORTALS = {OF_FILES: f"{ADDRESS}:3260", OF_VOLUMES: f"{ADDRESS}:3265"}
CHAP = ("someone", SECRET)


@pytest.fixture
def theirs(lio: LioArray) -> LioArray:
    """An array on whose host targetcli exports a file through every address, with CHAP, and a logical volume without."""
    for sub_system in lio.configuration["subsystem"]:
        sub_system["require-chap"] = False
    lio.add_drives()
    lio.configuration["subsystem"][-1]["require-chap"] = False
    lio.restart()
    image = lio.pools_folder / "theirs" / "disk0.img"
    image.parent.mkdir()
    run("lvm", "lvcreate", "--yes", "--size", "8M", "--name", "theirs", VOLUME_GROUP)
    targetcli(
        backstore("fileio", "disk0", image, "8M"),
        backstore("block", "volume0", f"/dev/{VOLUME_GROUP}/theirs"),
        *exported(OF_FILES, ["fileio/disk0"], {INITIATOR: CHAP, OTHER_INITIATOR: CHAP}),
        *exported(OF_VOLUMES, ["block/volume0"], {INITIATOR: None}, PORTALS[OF_VOLUMES]),
    )
    return lio


def seen() -> list[tuple[bytes, ...]]:
    """What the initiator knows its disks by: INQUIRY's names, the LUN, the serial number and the logical unit's designators."""
    found = []
    for node in load.disks(2):
        device = Path("/sys/block", Path(node).name, "device")
        names = [(device / name).read_bytes() for name in ("vendor", "model", "rev", "vpd_pg80", "wwid")]
        number = device.resolve().name.rpartition(":")[2].encode()
        found.append((*names, number, *_designators((device / "vpd_pg83").read_bytes()[4:])))
    return sorted(found)


def _designators(page: bytes) -> Iterator[bytes]:
    while page:
        entry, page = page[: 4 + page[3]], page[4 + page[3] :]
        if entry[1] & 0x30 == 0:
            yield entry


def digests() -> list[str]:
    """Of every byte that the initiator reads."""
    run("blockdev", "--flushbufs", *load.disks(2))
    return sorted(hashlib.sha256(Path(node).read_bytes()).hexdigest() for node in load.disks(2))


def control(lio: LioArray, *arguments: str) -> str:
    """What vdsprovctl says."""
    return run("vdsprovctl", "--socket", str(lio.socket), *arguments)


@pytest.mark.shows("Service.QueryAdoption")
@pytest.mark.shows("Service.Adopt")
def test_live_exports_become_ours(theirs: LioArray, tmp_path: Path) -> None:
    """While an initiator writes and verifies, all is adopted, refreshed, and the daemon killed and started: no session
    breaks, no byte is wrong. After a reboot the initiator logs in as before, and finds the same disks with the same bytes."""
    with logged_in(PORTALS, {OF_FILES: CHAP}):
        before = seen()
        with load.writing(tmp_path, 2, 2) as done:
            plan = theirs.call("Service.QueryAdoption")
            assert [entry["obstacles"] for entry in plan["objects"] if not entry["adopted"]] == []
            made = theirs.call("Service.Adopt", digest=plan["digest"])
            theirs.call("HwProvider.Reenumerate")
            theirs.call("HwProvider.Refresh")
            theirs.kill()
            theirs.start()
            assert theirs.call("Service.QueryForeignObjects") == {"objects": []}
        assert done.passes
        assert seen() == before
        bytes_before = digests()
    assert "put right" not in theirs.log.read_text()
    luns = {
        entry["id"]: entry
        for sub_system in ("array0", "array2")
        for entry in theirs.call("SubSystem.QueryLuns", id=theirs.sub_systems()[sub_system])["luns"]
    }
    assert set(luns) == set(made["luns"])
    assert {(entry["status"], entry["deviation"]) for entry in luns.values()} == {("online", "")}
    names = {entry["friendlyName"]: entry["unmaskingList"] for entry in luns.values()}
    assert names == {"disk0": ";".join(sorted((INITIATOR, OTHER_INITIATOR))), "volume0": INITIATOR}
    theirs.reboot()
    assert {fact.number > 0 for fact in theirs.facts() if isinstance(fact, Disk)} == {True}
    with logged_in(PORTALS, {OF_FILES: CHAP}):
        assert seen() == before
        assert digests() == bytes_before
    for target in made["targets"]:
        (group,) = theirs.call("IscsiTarget.QueryPortalGroups", id=target)["portalGroups"]
        (portal,) = theirs.portals_of(group["id"])
        assert theirs.call("IscsiPortal.GetProperties", id=portal)["properties"]["status"] in ("online", "not_ready")


@pytest.mark.shows("Service.Adopt", "VDS_E_INVALID_OPERATION")
@pytest.mark.shows("Service.Adopt", "VDS_E_OBJECT_NOT_FOUND")
@pytest.mark.shows("Service.QueryAdoption", "VDS_E_OBJECT_NOT_FOUND")
def test_what_is_adopted_can_be_deleted(theirs: LioArray) -> None:
    """It is taken out of the place where targetcli has put it, and its bytes go. It cannot be adopted twice."""
    digest = theirs.call("Service.QueryAdoption")["digest"]
    made = json.loads(control(theirs, "adopt", "--yes", "--json"))["adopted"]
    assert theirs.error("Service.Adopt", digest=digest) == "VDS_E_INVALID_OPERATION"
    assert theirs.error("Service.Adopt", digest=digest, targets=[OF_FILES]) == "VDS_E_OBJECT_NOT_FOUND"
    assert theirs.error("Service.QueryAdoption", targets=[OF_FILES]) == "VDS_E_OBJECT_NOT_FOUND"
    for lun in made["luns"]:
        theirs.wait(theirs.call("Lun.Extend", id=lun, numberOfBytesToAdd=4 * MIB))
        theirs.call("Lun.SetStatus", id=lun, status="offline")
        theirs.call("Lun.SetStatus", id=lun, status="online")
        theirs.call("Lun.Delete", id=lun)
    assert list(configfs.CORE.glob("*/*/wwn")) == []
    assert theirs.group.names() == set()
    assert list((theirs.pools_folder / "files0").iterdir()) == []


def test_a_restore_of_what_targetcli_saved(theirs: LioArray) -> None:
    """It finds the bytes by their old name, and shows no empty disk. That it is to come is told."""
    targetcli("saveconfig")
    control(theirs, "adopt", "--yes", OF_FILES)
    old = theirs.pools_folder / "theirs" / "disk0.img"
    assert old.is_symlink()
    assert old.stat().st_size == 8 * MIB
    assert "saveconfig.json" in control(theirs, "adopt", "--dry-run")


GROUP = f"/iscsi/{OF_VOLUMES}/tpg1"
REFUSED = {
    "demo mode": (f"{GROUP} set attribute generate_node_acls=1", f"{GROUP} set attribute generate_node_acls=0"),
    "is read-only": (
        f"{GROUP} set attribute prod_mode_write_protect=1",
        f"{GROUP} set attribute prod_mode_write_protect=0",
    ),
    "is disabled": (f"{GROUP} disable", f"{GROUP} enable"),
    "no initiator has a secret": (f"{GROUP} set attribute authentication=1", f"{GROUP} set attribute authentication=0"),
    "needs a CHAP secret on this host": ("/iscsi set discovery_auth enable=1", "/iscsi set discovery_auth enable=0"),
    "a setting of its own": (
        f"{GROUP}/acls/{INITIATOR} set attribute authentication=1",
        f"{GROUP}/acls/{INITIATOR} set attribute authentication=-1",
    ),
    "neither a mapped LUN": (f"{GROUP}/acls create {OTHER_INITIATOR} false", f"{GROUP}/acls delete {OTHER_INITIATOR}"),
    "may only read": (
        f"{GROUP}/acls create {OTHER_INITIATOR} false\n{GROUP}/acls/{OTHER_INITIATOR} create 0 0 1",
        f"{GROUP}/acls delete {OTHER_INITIATOR}",
    ),
    "one number for all": (
        f"{GROUP}/acls create {OTHER_INITIATOR} false\n{GROUP}/acls/{OTHER_INITIATOR} create 5 0",
        f"{GROUP}/acls delete {OTHER_INITIATOR}",
    ),
}


def test_what_is_refused(theirs: LioArray) -> None:
    """With the reason and what to do, and what has nothing to do with it is not."""
    for why, (there, gone) in REFUSED.items():
        said = targetcli(there)
        refused = {
            entry["name"]: "; ".join(entry["obstacles"]) for entry in theirs.call("Service.QueryAdoption")["objects"]
        }
        assert why in refused[OF_VOLUMES], said
        assert bool(refused[OF_FILES]) is ("on this host" in why)
        targetcli(gone)
    assert not any(entry["obstacles"] for entry in theirs.call("Service.QueryAdoption")["objects"])


def test_other_storage_objects_are_refused(theirs: LioArray) -> None:
    """A RAM disk, a serial number that is no UUID, a file elsewhere, a device that is no volume, a read-only one, sectors
    that a LUN would not have."""
    elsewhere = theirs.folder / "elsewhere.img"
    elsewhere.write_bytes(bytes(MIB))
    loop = run("losetup", "--find", "--show", str(elsewhere)).strip()
    targetcli(
        "/backstores/ramdisk create ram 1M",
        backstore("fileio", "elsewhere", elsewhere),
        backstore("fileio", "numbered", theirs.pools_folder / "theirs/numbered.img", "1M wwn=number-1"),
        backstore("fileio", "sectors", theirs.pools_folder / "theirs/sectors.img", "1M"),
        "/backstores/fileio/sectors set attribute block_size=4096",
        backstore("block", "loop", loop, "readonly=true"),
    )
    refused = {
        entry["name"].rpartition("/")[2]: "; ".join(entry["obstacles"])
        for entry in theirs.call("Service.QueryAdoption")["objects"]
        if not entry["adopted"]
    }
    others = ("ramdisk/ram", "fileio/elsewhere", "fileio/numbered", "fileio/sectors", "block/loop")
    targetcli(*forget(backstores=others))
    run("losetup", "--detach", loop)
    assert set(refused) == {name.partition("/")[2] for name in others}
    assert "neither" in refused["ram"]
    assert "no file system where a pool has its folder" in refused["elsewhere"]
    assert "'number-1'" in refused["numbered"]
    assert "4096 bytes" in refused["sectors"]
    assert "no logical volume" in refused["loop"]
    assert "read-only" in refused["loop"]
