"""Real conditions on the real kernel: what is removed, refused, concurrent, somebody else's, or cut off by a crash."""

import subprocess
import threading
import time
from pathlib import Path

import pytest
from rtslib_fb import LUN, TPG, FabricModule, FileIOStorageObject, NodeACL, RTSRoot, Target

from tests.arrays import INITIATOR, MIB, OTHER_INITIATOR, LioArray, clear_kernel, group_folder
from vdsprovd.varlink import VarlinkError

# rtslib, which plays somebody else here, uses what pyudev has deprecated.
pytestmark = [pytest.mark.lab, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

CORRUPT = "VDS_E_PROVIDER_CACHE_CORRUPT"
CONFIGFS = Path("/sys/kernel/config/target")


def unlink(folder: Path) -> None:
    """Remove a configfs folder and the link in it, as somebody at a shell would."""
    for entry in folder.iterdir():
        if entry.is_symlink():
            entry.unlink()
    folder.rmdir()


def recover(lio: LioArray) -> None:
    """What VDS prescribes for a corrupt cache."""
    lio.call("HwProvider.Reenumerate")
    lio.call("HwProvider.Refresh")


@pytest.fixture
def reachable(lio: LioArray) -> tuple[str, str, str]:
    """A LUN, unmasked to this host through a target with a portal: LUN, target and the target's iSCSI name."""
    lun, (target, _) = lio.make_lun(mask=INITIATOR), lio.make_reachable_target()
    lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    return lun, target, lio.name_of(target)


def test_safe_by_default(lio: LioArray, reachable: tuple[str, str, str]) -> None:
    """A new portal group authenticates, generates no ACLs and shows itself to nobody without one; a new disk is written
    through, and its serial number is the LUN's id."""
    lun, _, name = reachable
    attributes = group_folder(name) / "attrib"
    for attribute, value in (
        ("authentication", "1"),
        ("generate_node_acls", "0"),
        ("demo_mode_discovery", "0"),
        ("demo_mode_write_protect", "1"),
    ):
        assert (attributes / attribute).read_text().strip() == value
    (disk,) = CONFIGFS.glob(f"core/fileio_*/{lun}")
    assert "Mode: O_DSYNC" in (disk / "info").read_text()
    assert (disk / "attrib" / "emulate_write_cache").read_text().strip() == "0"
    assert (disk / "wwn" / "vpd_unit_serial").read_text().strip().endswith(lun)


def test_a_grant_removed_through_configfs(lio: LioArray, reachable: tuple[str, str, str]) -> None:
    """The command that needs it proves the corruption; every page's methods answer it; recovery puts it back."""
    lun, target, name = reachable
    before = lio.kernel()
    sub_system = lio.sub_system
    unlink(group_folder(name) / "acls" / INITIATOR / "lun_0")
    assert lio.error("Lun.SetMask", id=lun, unmaskingList=OTHER_INITIATOR) == CORRUPT
    assert lio.error("LunIscsi.QueryAssociatedTargets", id=lun) == CORRUPT
    assert lio.error("SubSystemImportTarget.GetImportTarget", id=sub_system) == CORRUPT
    recover(lio)
    assert lio.kernel() == before
    assert lio.associated(lun) == [target]
    assert lio.call("Lun.GetProperties", id=lun)["properties"]["unmaskingList"] == INITIATOR


def test_a_whole_target_removed_through_configfs(lio: LioArray, reachable: tuple[str, str, str]) -> None:
    """Target, groups, LUNs and ACLs that somebody deleted with rtslib are there again after the recovery."""
    lun, target, name = reachable
    before = lio.kernel()
    Target(FabricModule("iscsi"), name, "lookup").delete()
    assert lio.error("IscsiTarget.GetConnectedInitiators", id=target) == CORRUPT
    recover(lio)
    assert lio.kernel() == before
    assert lio.associated(lun) == [target]


def test_a_disk_removed_through_configfs(lio: LioArray) -> None:
    """A storage object that somebody removed is proven missing by Extend, and made again by the recovery."""
    lun = lio.make_lun()
    before = lio.kernel()
    (hba,) = CONFIGFS.glob("core/fileio_*")
    (hba / lun).rmdir()
    hba.rmdir()
    assert lio.result(lio.call("Lun.Extend", id=lun, numberOfBytesToAdd=MIB))["hresult"] == 0x8004241F
    recover(lio)
    assert lio.kernel() == before
    assert lio.call("Lun.GetProperties", id=lun)["properties"]["size"] == MIB
    assert (lio.pools_folder / "files0" / f"{lun}.lun").stat().st_size == MIB


def test_something_in_the_way_undoes_the_whole_association(lio: LioArray) -> None:
    """When the kernel refuses the second target's link because somebody made one there, the first is undone too."""
    lun, (first, _), second = lio.make_lun(mask=INITIATOR), lio.make_reachable_target(), lio.make_target()
    lio.make_group(second)
    (group_folder(lio.name_of(second)) / "lun" / "lun_0").mkdir()
    before = lio.kernel()
    assert lio.error("LunIscsi.AssociateTargets", id=lun, targetIds=[first, second]) == CORRUPT
    assert lio.kernel() == before
    recover(lio)
    assert lio.associated(lun) == []
    lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[first, second])
    assert lio.associated(lun) == [first, second]


def test_two_calls_at_once(lio: LioArray) -> None:
    """While one client associates the LUN, QueryAssociatedTargets of another meets VDS_E_ANOTHER_CALL_IN_PROGRESS, and
    what it sees otherwise is before or after, never between."""
    lun, targets = lio.make_lun(mask=INITIATOR), [lio.make_target() for _ in range(4)]
    for target in targets:
        lio.make_group(target)
    stop = threading.Event()

    def associate() -> None:
        with lio.connect() as connection:
            while not stop.is_set():
                for wanted in (targets, []):
                    connection.call("org.vdsprov.LunIscsi.AssociateTargets", {"id": lun, "targetIds": wanted})

    thread = threading.Thread(target=associate, daemon=True)
    thread.start()
    seen: set[str | int] = set()
    deadline = time.monotonic() + 30
    try:
        while seen != {0, 4, "org.vdsprov.AnotherCallInProgress"} and time.monotonic() < deadline:
            try:
                found = lio.connection.call("org.vdsprov.LunIscsi.QueryAssociatedTargets", {"id": lun})
                seen.add(len(found["targets"]))
            except VarlinkError as error:
                seen.add(error.name)
    finally:
        stop.set()
        thread.join()
    assert seen == {0, 4, "org.vdsprov.AnotherCallInProgress"}


def test_what_others_made_is_left_alone(lio: LioArray, reachable: tuple[str, str, str]) -> None:
    """Somebody's target, storage object, and LUN with its ACL in a target of ours outlive recovery, restart and the
    deletion of everything of ours around them; a name that somebody uses cannot be used again."""
    lun, _, name = reachable
    folder = lio.folder / "foreign.img"
    folder.write_bytes(bytes(MIB))
    disk = FileIOStorageObject("somebody", str(folder), MIB)
    foreign = TPG(Target(FabricModule("iscsi"), "iqn.2003-01.org.example:somebody", "create"), 1)
    LUN(foreign, 0, disk)
    ours = TPG(Target(FabricModule("iscsi"), name, "lookup"), 1, "lookup")
    acl = NodeACL(ours, OTHER_INITIATOR, "create")
    LUN(ours, 7, disk)
    acl.mapped_lun(7, 7, write_protect=False)
    # The kernel accepts names that are none; nothing may break on them.
    (CONFIGFS / "iscsi" / "hello").mkdir()
    before = lio.kernel()
    recover(lio)
    assert lio.kernel() == before
    lio.restart()
    assert lio.kernel() == before
    taken = lio.call("SubSystemIscsi.CreateTarget", id=lio.sub_system, iscsiName="iqn.2003-01.org.example:somebody")
    assert lio.result(taken)["hresult"] == 0x80042701
    lio.call("Lun.Delete", id=lun)
    assert {line for line in before - lio.kernel() if "somebody" in line or "lun_7" in line} == set()
    (CONFIGFS / "iscsi" / "hello").rmdir()
    assert list(RTSRoot().storage_objects)


def test_access_that_nobody_granted_goes(lio: LioArray, reachable: tuple[str, str, str]) -> None:
    """An ACL that somebody gave to a LUN of ours, which the mask does not name, is removed by the recovery."""
    _, _, name = reachable
    before = lio.kernel()
    group = TPG(Target(FabricModule("iscsi"), name, "lookup"), 1, "lookup")
    NodeACL(group, OTHER_INITIATOR, "create").mapped_lun(0, 0, write_protect=False)
    recover(lio)
    assert lio.kernel() == before


def test_a_logical_unit_that_somebody_swapped(lio: LioArray, reachable: tuple[str, str, str]) -> None:
    """A logical unit that leads to another of our disks is put right by the recovery, with the grants on it."""
    _, target, name = reachable
    lio.call("LunIscsi.AssociateTargets", id=lio.make_lun(mask=OTHER_INITIATOR), targetIds=[target])
    before = lio.kernel()
    base = group_folder(name)
    grants = (base / "acls" / INITIATOR / "lun_0", base / "acls" / OTHER_INITIATOR / "lun_1")
    disks = []
    for number, grant in enumerate(grants):
        (link,) = (entry for entry in (base / "lun" / f"lun_{number}").iterdir() if entry.is_symlink())
        disks.append(link.resolve())
        unlink(grant)
        unlink(base / "lun" / f"lun_{number}")
    for number, disk in enumerate(reversed(disks)):
        folder = base / "lun" / f"lun_{number}"
        folder.mkdir()
        (folder / "swapped").symlink_to(disk)
    for number, grant in enumerate(grants):
        grant.mkdir()
        (grant / "swapped").symlink_to(base / "lun" / f"lun_{number}")
    assert lio.kernel() != before
    recover(lio)
    assert lio.kernel() == before


def test_a_kernel_half_built(lio: LioArray, reachable: tuple[str, str, str]) -> None:
    """Objects left half made (a folder without its link, a disk without a file, an empty HBA) are completed at start."""
    lun, _, name = reachable
    before = lio.kernel()
    lio.stop()
    base = group_folder(name)
    unlink(base / "acls" / INITIATOR / "lun_0")
    (base / "acls" / INITIATOR / "lun_0").mkdir()
    lio.start()
    assert lio.kernel() == before
    lio.stop()
    unlink(base / "acls" / INITIATOR / "lun_0")
    unlink(base / "lun" / "lun_0")
    (base / "lun" / "lun_0").mkdir()
    (hba,) = CONFIGFS.glob("core/fileio_*")
    (hba / lun).rmdir()
    (hba / lun).mkdir()
    lio.start()
    assert lio.kernel() == before
    lio.stop()
    unlink(base / "acls" / INITIATOR / "lun_0")
    unlink(base / "lun" / "lun_0")
    (hba / lun).rmdir()
    lio.start()
    assert lio.kernel() == before


def test_kill_at_any_moment(lio: LioArray) -> None:
    """A daemon killed in the middle of commands starts again, completes or undoes them, and kernel, pool and API agree."""
    target, _ = lio.make_reachable_target()
    for round in range(8):
        lun = lio.make_lun(mask=INITIATOR)
        with lio.connect() as connection:
            commands = (
                ("SubSystem.CreateLun", {"id": lio.sub_system, "type": "simple", "sizeInBytes": 32 * MIB}),
                ("LunIscsi.AssociateTargets", {"id": lun, "targetIds": [target]}),
                ("Lun.SetMask", {"id": lun, "unmaskingList": f"{INITIATOR};{OTHER_INITIATOR}"}),
                ("Lun.Delete", {"id": lun}),
            )
            for method, parameters in commands:
                connection.oneway(f"org.vdsprov.{method}", parameters)
            time.sleep(0.004 * round)
            lio.kill()
        lio.start()
        found = {entry["id"] for entry in lio.call("SubSystem.QueryLuns", id=lio.sub_system)["luns"]}
        assert {path.stem for path in (lio.pools_folder / "files0").iterdir()} == found
        assert {path.name for path in CONFIGFS.glob("core/fileio_*/*-*")} == found
        kernel = lio.kernel()
        recover(lio)
        assert lio.kernel() == kernel
        for id in found:
            lio.call("Lun.Delete", id=id)


@pytest.mark.shows("Lun.GetProperties", "VDS_S_PROPERTIES_INCOMPLETE")
@pytest.mark.parametrize("scan", ["HwProvider.Refresh", "SubSystem.Reenumerate"])
def test_a_missing_volume_makes_the_lun_offline_and_comes_back(
    lio: LioArray, reachable: tuple[str, str, str], scan: str
) -> None:
    """A LUN whose file is gone at boot is offline with its mask and association, which can be changed meanwhile; with
    the file back a scan puts it online and before its initiators again."""
    lun, target, _ = reachable
    before = lio.kernel()
    path = lio.pools_folder / "files0" / f"{lun}.lun"
    lio.stop()
    clear_kernel()
    subprocess.run(["mv", path, lio.folder / "away"], check=True)
    lio.start()
    found = lio.call("Lun.GetProperties", id=lun)
    assert found["hresult"] == 0x00042715
    assert (found["properties"]["status"], found["properties"]["health"]) == ("offline", "unknown")
    assert lio.associated(lun) == [target]
    for method, parameters in (
        ("Lun.Extend", {"numberOfBytesToAdd": MIB}),
        ("Lun.Shrink", {"numberOfBytesToRemove": 4096}),
        ("Lun.GetIdentificationData", {}),
    ):
        assert lio.error(method, id=lun, **parameters) == "VDS_E_OBJECT_STATUS_FAILED"
    lio.call("Lun.SetMask", id=lun, unmaskingList="")
    lio.call("Lun.SetMask", id=lun, unmaskingList=INITIATOR)
    subprocess.run(["mv", lio.folder / "away", path], check=True)
    lio.call(scan, **({"id": lio.sub_system} if scan.startswith("SubSystem") else {}))
    assert lio.call("Lun.GetProperties", id=lun)["properties"]["status"] == "online"
    assert lio.kernel() == before


def test_another_daemon_s_disks_are_in_nobody_s_way(lio: LioArray) -> None:
    """A disk of another vdsprovd, or of one whose store was lost, is left alone, and its number is not used."""
    lun = lio.make_lun()
    lio.stop()
    (lio.folder / "state").rename(lio.folder / "lost")
    lio.start()
    other = lio.make_lun()
    assert {path.name for path in CONFIGFS.glob("core/fileio_*/*-*")} == {lun, other}
    lio.call("Lun.Delete", id=other)
    recover(lio)
    assert {path.name for path in CONFIGFS.glob("core/fileio_*/*-*")} == {lun}


def test_a_pool_that_moved(lio: LioArray) -> None:
    """After a boot with a pool at another path the LUN's bytes there are exported; where they are missing nothing is
    made in their place."""
    lun, lost = lio.make_lun(), lio.make_lun()
    old = lio.pools_folder / "files0"
    (old / f"{lun}.lun").write_bytes(b"PRECIOUS" + bytes(MIB - 8))
    lio.stop()
    clear_kernel()
    moved = lio.pools_folder.with_name(lio.pools_folder.name + "-moved")
    lio.pools_folder.rename(moved)
    old.mkdir(parents=True)
    (moved / "files0" / f"{lost}.lun").unlink()
    for sub_system in lio.configuration["subsystem"]:
        for pool in sub_system["pool"]:
            pool["path"] = str(moved / pool["name"])
    lio.start()
    (disk,) = CONFIGFS.glob(f"core/fileio_*/{lun}")
    assert f"File: {moved / 'files0' / lun}.lun" in (disk / "info").read_text()
    assert list(old.iterdir()) == []
    assert lio.call("Lun.GetProperties", id=lost)["properties"]["status"] == "offline"
    assert [path.stem for path in (moved / "files0").iterdir()] == [lun]


@pytest.mark.parametrize("name", ["iqn.2026-11.org.Example:HOST1", "", "iqn.2026-11.org.example:a/b"])
def test_this_host_s_initiator_name_as_people_write_it(lio: LioArray, name: str) -> None:
    """ "*" takes the name in lower case, as the kernel does at login; what is no name is left out, and breaks nothing."""
    file = Path("/etc/iscsi/initiatorname.iscsi")
    before = file.read_text()
    file.write_text(f"InitiatorName={name}\n")
    try:
        lio.restart()
        lun, (target, _) = lio.make_lun(mask="*"), lio.make_reachable_target()
        lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
        acls = [path.name for path in (group_folder(lio.name_of(target)) / "acls").iterdir()]
        assert acls == ([name.lower()] if "HOST1" in name else [])
    finally:
        file.write_text(before)
