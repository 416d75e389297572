"""LUNs on LVM as an initiator sees them: growth, lost drives and moves under its reads and writes."""

import os
import threading
from collections.abc import Iterator

import pytest

from tests.arrays import INITIATOR, MIB, LioArray, run
from tests.lab.test_initiators import SECRET, Login

pytestmark = pytest.mark.lab


class Writer(threading.Thread):
    """Writes and verifies blocks of the disk until it is stopped; `error` is what went wrong, `written` how many blocks."""

    def __init__(self, disk: str, size: int) -> None:
        super().__init__()
        self.disk, self.size = disk, size
        self.written = 0
        self.error = ""
        self._stop_it = threading.Event()

    def run(self) -> None:
        descriptor = os.open(self.disk, os.O_RDWR | os.O_SYNC)
        try:
            while not self._stop_it.is_set():
                offset = self.written * 65536 % self.size
                block = os.urandom(4096) * 16
                os.pwrite(descriptor, block, offset)
                os.posix_fadvise(descriptor, offset, 65536, os.POSIX_FADV_DONTNEED)
                if os.pread(descriptor, 65536, offset) != block:
                    self.error = f"other bytes at {offset}"
                    return
                self.written += 1
        except OSError as error:
            self.error = str(error)
        finally:
            os.close(descriptor)

    def end(self) -> None:
        """Stop, and raise if anything went wrong."""
        self._stop_it.set()
        self.join()
        assert self.error == ""
        assert self.written > 0


@pytest.fixture
def session(lio: LioArray) -> Iterator[Login]:
    """A session with a target of array2, which is logged in once there is a LUN."""
    lio.add_drives()
    sub_system = lio.sub_systems()["array2"]
    target = lio.make_target(sub_system=sub_system)
    group = lio.make_group(target)
    (portal,) = lio.call("SubSystemIscsi.QueryPortals", id=sub_system)["portals"]
    lio.wait(lio.call("IscsiPortalGroup.AddPortal", id=group, portalId=portal["id"]))
    lio.call("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret=SECRET)
    found = Login(lio.name_of(target), 3262)
    found.target = target  # type: ignore[attr-defined]  # for the tests here
    yield found
    found.end()


def reached(lio: LioArray, session: Login, type: str, drives: list[str]) -> str:
    """A LUN of 16 MiB that the initiator is logged in to."""
    lun = lio.make_volume(type, 16 * MIB, drives, mask=INITIATOR)
    lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[session.target])  # type: ignore[attr-defined]  # as above
    session.login()
    return lun


def test_growth_and_shrinking_are_seen(lio: LioArray, session: Login) -> None:
    """After Extend and Shrink a rescan shows the logged-in initiator the new size; its bytes are the old ones, and the new
    ones are zeros."""
    lun = reached(lio, session, "span", ["drive0"])
    assert int(run("blockdev", "--getsize64", session.disk)) == 16 * MIB
    data = os.urandom(MIB)
    descriptor = os.open(session.disk, os.O_RDWR | os.O_SYNC)
    try:
        os.pwrite(descriptor, data, 4 * MIB)
        for method, change, size in (
            ("Lun.Extend", {"numberOfBytesToAdd": 32 * MIB}, 48 * MIB),
            ("Lun.Shrink", {"numberOfBytesToRemove": 40 * MIB}, 8 * MIB),
        ):
            lio.wait(lio.call(method, id=lun, **change))
            run("iscsiadm", "-m", "session", "-R")
            assert int(run("blockdev", "--getsize64", session.disk)) == size
            assert os.pread(descriptor, MIB, 4 * MIB) == data
            if size > 16 * MIB:
                assert os.pread(descriptor, MIB, size - MIB) == bytes(MIB)
    finally:
        os.close(descriptor)


def test_a_mirror_outlives_a_drive(lio: LioArray, session: Login) -> None:
    """While an initiator writes and verifies, a drive of the mirror fails and the mirror is recovered on another: no
    error, no wrong byte."""
    lun = reached(lio, session, "mirror", ["drive0", "drive1"])
    writer = Writer(session.disk, 16 * MIB)
    writer.start()
    try:
        lio.lose_drive("drive1")
        assert lio.call("Lun.GetProperties", id=lun)["properties"]["health"] == "degraded"
        result = lio.result(lio.call("Lun.Recover", id=lun))
        assert result["hresult"] == 0, result
        assert lio.call("Lun.GetProperties", id=lun)["properties"]["health"] == "healthy"
    finally:
        writer.end()


def test_a_drive_is_replaced_under_writes(lio: LioArray, session: Login) -> None:
    """ReplaceDrive moves a LUN that an initiator writes and verifies: no error, no wrong byte."""
    reached(lio, session, "simple", ["drive2"])
    drives = lio.drives()
    writer = Writer(session.disk, 16 * MIB)
    writer.start()
    try:
        lio.call(
            "SubSystem.ReplaceDrive",
            id=lio.sub_systems()["array2"],
            driveToBeReplaced=drives["drive2"],
            replacementDrive=drives["spare0"],
        )
    finally:
        writer.end()
    assert "drive2" not in lio.drives()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_drive_that_something_is_on(lio: LioArray, overwrite: bool) -> None:
    """A disk with a file system is neither spare nor replacement, and keeps its bytes, unless the pool's configuration
    says so; one that is mounted never is."""
    lio.add_drives()
    spare = lio.group.spare[0]
    run("mkfs.ext4", "-q", spare.device)
    lio.configuration["subsystem"][2]["pool"][0]["overwrite"] = overwrite
    lio.restart()
    found, sub_system = lio.drives(), lio.sub_systems()["array2"]
    ids = {"driveToBeReplaced": found["drive0"], "replacementDrive": found["spare0"]}
    lun = lio.make_volume("simple", 8 * MIB, ["drive0"])
    mount = lio.folder / "mounted"
    mount.mkdir()
    run("mount", spare.device, str(mount))
    try:
        assert lio.error("SubSystem.ReplaceDrive", id=sub_system, **ids) in (
            "VDS_E_NOT_SUPPORTED",
            "VDS_E_PROVIDER_FAILURE",
        )
    finally:
        run("umount", str(mount))
    run("e2fsck", "-fn", spare.device)
    if not overwrite:
        assert lio.error("SubSystem.ReplaceDrive", id=sub_system, **ids) == "VDS_E_NOT_SUPPORTED"
        assert lio.error("Drive.SetFlags", id=found["spare0"], flags=["hotspare"]) == "VDS_E_NOT_SUPPORTED"
        run("e2fsck", "-fn", spare.device)
        return
    lio.call("SubSystem.ReplaceDrive", id=sub_system, **ids)
    assert lio.call("Drive.GetProperties", id=found["spare0"])["properties"]["flags"] == ["assigned"]
    assert lio.call("Lun.GetProperties", id=lun)["properties"]["health"] == "healthy"
