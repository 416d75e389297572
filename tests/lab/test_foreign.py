"""What others have in the kernel's target, whole and broken: it is listed as theirs, never touched, and never in the way."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.arrays import ADDRESS, INITIATOR, MIB, OTHER_INITIATOR, LioArray, run
from vdsprovd.hardware.lio import configfs
from vdsprovd.hresult import Hresult

# rtslib, which clears the kernel after a test, would have another folder for its database than Debian's targetcli.
pytestmark = [pytest.mark.lab, pytest.mark.filterwarnings("ignore:Cannot set dbroot:UserWarning")]

CORE, ISCSI = configfs.CORE, configfs.ISCSI
THEIRS = "iqn.2003-01.org.example:theirs"
HALF = "iqn.2003-01.org.example:half-made"
STRANGE = ("iqn.2003-01.org.Example:UPPER_case%", "naa.5000c50000000001", "hello", "iqn.2003-01.org.example:caf\udce9")


def make(path: Path) -> Path:
    """A folder in configfs."""
    path.mkdir(parents=True)
    return path


@pytest.fixture
def others(lio: LioArray) -> Iterator[LioArray]:
    """An array on whose host somebody has a target that works, and a good deal that does not."""
    image = lio.folder / "theirs.img"
    image.write_bytes(bytes(MIB))
    run("targetcli", "/backstores/fileio", "create", "theirs", str(image))
    run("targetcli", "/iscsi", "create", THEIRS)
    run("targetcli", f"/iscsi/{THEIRS}/tpg1/luns", "create", "/backstores/fileio/theirs")
    run("targetcli", f"/iscsi/{THEIRS}/tpg1/acls", "create", OTHER_INITIATOR)
    # Whoever listens at every address leaves none to others.
    run("targetcli", f"/iscsi/{THEIRS}/tpg1/portals", "delete", "0.0.0.0", "3260")
    run("targetcli", f"/iscsi/{THEIRS}/tpg1/portals", "create", ADDRESS, "3265")
    made = [
        make(CORE / "fileio_77"),  # an HBA without a storage object
        make(CORE / "fileio_78" / "not-configured"),
        make(CORE / "iblock_79" / "caf\udce9"),
        make(ISCSI / HALF),
        make(ISCSI / HALF / "tpgt_1"),
        make(ISCSI / HALF / "tpgt_1/lun/lun_3"),  # without its link
        make(ISCSI / HALF / "tpgt_1/acls" / INITIATOR),
        make(ISCSI / HALF / "tpgt_1/acls" / INITIATOR / "lun_9"),
        make(ISCSI / HALF / "tpgt_65535"),
        *(make(ISCSI / name) for name in STRANGE),
    ]
    yield lio
    for path in reversed(made):
        path.rmdir()
    run("targetcli", "/iscsi", "delete", THEIRS)
    run("targetcli", "/backstores/fileio", "delete", "theirs")


def everything() -> set[str]:
    """The paths of all that is in the kernel's target."""
    return {str(path) for path in configfs.ROOT.rglob("*")}


def work(lio: LioArray) -> tuple[str, str]:
    """The usual commands, each with its outcome; gives a LUN that is reached and its target's name."""
    lun = lio.make_lun(mask=INITIATOR)
    target, _ = lio.make_reachable_target()
    lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    lio.wait(lio.call("Lun.Extend", id=lun, numberOfBytesToAdd=MIB))
    return lun, lio.name_of(target)


def test_nothing_of_theirs_is_touched_or_in_the_way(others: LioArray) -> None:
    """Start, boot, Reenumerate, Refresh and commands work, and what others have is there afterwards, piece by piece."""
    theirs = everything()
    others.restart()
    lun, name = work(others)
    for call in ("HwProvider.Reenumerate", "HwProvider.Refresh"):
        others.call(call)
    others.restart()
    assert others.call("Lun.GetProperties", id=lun)["properties"]["status"] == "online"
    others.call("Lun.Delete", id=lun)
    assert theirs <= everything()
    taken = others.call("SubSystemIscsi.CreateTarget", id=others.sub_system, iscsiName=THEIRS)
    assert others.result(taken)["hresult"] == 0x80042701
    assert name in {path.name for path in ISCSI.iterdir()}


def test_a_port_that_somebody_listens_at(lio: LioArray) -> None:
    """AddPortal says that it is taken and how to find out by whom, and changes nothing."""
    # It may be left over from a session that has just ended, which is no matter to the kernel's target.
    with socket.create_server(("0.0.0.0", 3260)):
        group = lio.make_group(lio.make_target())
        result = lio.result(lio.call("IscsiPortalGroup.AddPortal", id=group, portalId=lio.portals()[0]))
    assert result["hresult"] == Hresult.VDS_E_PROVIDER_FAILURE
    assert "`ss -ltnp` lists them" in result["message"]
    assert lio.portals_of(group) == []
    lio.wait(lio.call("IscsiPortalGroup.AddPortal", id=group, portalId=lio.portals()[0]))


@pytest.mark.shows("Service.QueryForeignObjects")
def test_it_is_listed_as_theirs(others: LioArray) -> None:
    """With what it leads to, a logical unit in a target of ours included; and nothing of ours is."""
    lun, name = work(others)
    unit = make(ISCSI / name / "tpgt_1/lun/lun_7")
    (unit / "theirs").symlink_to(next(CORE.glob("fileio_*/theirs")))
    found = others.call("Service.QueryForeignObjects")["objects"]
    listed = {(entry["type"], entry["name"].rpartition("/")[2]): entry["detail"] for entry in found}
    assert listed["storage_object", "theirs"] == str(others.folder / "theirs.img")
    assert listed["storage_object", "not-configured"] == "not configured"
    assert listed["target", THEIRS] == "1 portal groups, 1 logical units, 1 ACLs, 1 portals"
    assert listed["target", HALF] == "2 portal groups, 1 logical units, 1 ACLs, 0 portals"
    assert listed["logical_unit", "lun_7"].endswith("/theirs")
    assert {("target", "hello"), ("target", "iqn.2003-01.org.example:caf\ufffd")} <= set(listed)
    assert not [entry for entry in found if lun in entry["name"] or entry["name"] == name]
    table = run("vdsprovctl", "--socket", str(others.socket), "foreign", "list")
    assert THEIRS in table
    (unit / "theirs").unlink()
    unit.rmdir()


def test_a_target_of_theirs_that_comes_and_goes_while_all_is_read(others: LioArray) -> None:
    """Scans go on while somebody makes and removes targets; none of them breaks off."""
    work(others)
    stop = others.folder / "stop"
    script = f"""
        while [ ! -e {stop} ]; do
          mkdir -p {ISCSI}/{THEIRS}-2/tpgt_1/np/{ADDRESS}:3270 && rmdir {ISCSI}/{THEIRS}-2/tpgt_1/np/{ADDRESS}:3270
          rmdir {ISCSI}/{THEIRS}-2/tpgt_1 {ISCSI}/{THEIRS}-2
        done"""
    child = os.posix_spawn("/bin/sh", ["sh", "-c", script], os.environ)
    try:
        for _ in range(30):
            others.call("HwProvider.Reenumerate")
            others.call("HwProvider.Refresh")
    finally:
        stop.touch()
        os.waitpid(child, 0)


def test_a_target_that_cannot_be_read(others: LioArray) -> None:
    """An attribute of a target of theirs that gives an error is told in its place, and keeps nothing from working."""
    hidden = ISCSI / THEIRS / "tpgt_1/param/TargetAlias"
    run("mount", "--bind", "/proc/self/mem", str(hidden))  # which reads as an I/O error
    try:
        work(others)
        others.call("HwProvider.Reenumerate")
        others.call("HwProvider.Refresh")
        others.restart()
        work(others)
        assert THEIRS in {entry["name"] for entry in others.call("Service.QueryForeignObjects")["objects"]}
    finally:
        run("umount", str(hidden))
