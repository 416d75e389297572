"""A rescue on a host that is in use, with LVM."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.arrays import INITIATOR, MIB, SECRET, Failed, LioArray, run
from tests.lab.test_initiators import Login, inquiry
from tests.terminal import on_terminal
from vdsprovd import backups

pytestmark = pytest.mark.lab


@contextmanager
def writing(disk: str) -> Iterator[list[str]]:
    """An initiator writes and reads back all the time; gives what goes wrong, and fails if it did nothing."""
    wrong: list[str] = []
    done, rounds = threading.Event(), 0

    def go() -> None:
        nonlocal rounds
        descriptor = os.open(disk, os.O_RDWR | os.O_SYNC)
        try:
            while not done.is_set():
                data = os.urandom(64 << 10)
                os.pwrite(descriptor, data, rounds % 64 * len(data))
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                if os.pread(descriptor, len(data), rounds % 64 * len(data)) != data:
                    wrong.append("other bytes were read than written")
                rounds += 1
        except OSError as error:
            wrong.append(str(error))
        finally:
            os.close(descriptor)

    writer = threading.Thread(target=go)
    writer.start()
    try:
        yield wrong
    finally:
        done.set()
        writer.join(30)
    assert rounds > 10


def test_an_initiator_notices_nothing(lio: LioArray) -> None:
    """The daemon is killed, its store lost with every backup, rebuilt and taken over while an initiator writes: no error, the
    same session, the same serial number and designators, and nothing is changed in the kernel."""
    target, _ = lio.make_reachable_target()
    lio.call("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret=SECRET)
    lun = lio.make_lun(16 * MIB, mask=INITIATOR)
    lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    session = Login(lio.name_of(target))
    session.login()
    try:
        disk = str(Path(session.disk).resolve())
        before = [inquiry(disk), inquiry(disk, 0x80), inquiry(disk, 0x83)]
        sessions, facts = run("iscsiadm", "-m", "session"), set(lio.facts())
        with writing(disk) as wrong:
            lio.kill()
            for file in (lio.store, *backups.made(lio.store.parent)):
                file.write_bytes(os.urandom(8192))
            assert "there is no good backup" in lio.refuses()
            report = lio.rescue()
            lio.start()
            lio.call("HwProvider.Refresh")
            time.sleep(0.5)
        assert wrong == []
        assert set(report["passedOver"]) == {str(file) for file in backups.made(lio.store.parent)[-1:]}
        assert [inquiry(disk), inquiry(disk, 0x80), inquiry(disk, 0x83)] == before
        assert run("iscsiadm", "-m", "session") == sessions
        assert set(lio.facts()) == facts
        assert "put right" not in lio.log.read_text()
        assert lio.call("Lun.GetProperties", id=lun)["properties"]["unmaskingList"] == INITIATOR
    finally:
        session.end()


def test_people_see_the_plan_and_are_asked(lio: LioArray) -> None:
    """Nothing is changed before the answer is yes, or --yes is given; the table names each LUN, where it is from, and what is
    to be known."""
    lun = lio.make_lun(2 * MIB)
    lio.stop()
    for file in (lio.store, *backups.made(lio.store.parent)):
        file.unlink()
    done = lio.run_daemon("--rescue")
    assert (done.returncode, "nothing was changed; add --yes" in done.stderr) == (0, True)
    assert not lio.store.exists()
    command = [sys.executable, "-m", "vdsprovd", "--config", str(lio.folder / "vdsprovd.toml"), "--rescue"]
    for answer in ("n", "y"):
        with on_terminal(command, Path.cwd(), os.environ) as terminal:
            terminal.expect("is damaged: it is gone.")
            terminal.expect("There is no good backup.")
            row = terminal.expect("What could not be known:").splitlines()
            (found,) = [line for line in row if lun in line]
            assert all(text in found for text in ("2.0 MiB", "kernel+pool", "its name is not known")), found
            terminal.expect("Rebuild the store from that? [y/N]")
            terminal.type(f"{answer}\r")
            assert terminal.end() == 0
        assert lio.store.exists() == (answer == "y")
    lio.start()
    assert lio.call("Lun.GetProperties", id=lun)["properties"]["size"] == 2 * MIB


TYPES = ("simple", "span", "stripe", "mirror", "raid5", "raid10")


@pytest.mark.parametrize("reboot", [False, True])
def test_volumes_of_lvm(lio: LioArray, reboot: bool) -> None:
    """From LVM's metadata alone every volume is a LUN again, with its id, size, type and plexes; somebody else's is not."""
    lio.add_drives()
    drives = {"span": ["drive0", "drive1"]}
    ids = {lio.make_volume(type, 4 * MIB, drives.get(type, [])): type for type in TYPES}
    lio.groups["vg0"].lvm("lvcreate", "--yes", "--extents", "1", "--name", "others", lio.groups["vg0"].name)

    def known() -> dict[str, tuple[int, str, int]]:
        return {
            id: (properties["size"], properties["type"], len(lio.plexes(id)))
            for id in ids
            for properties in [lio.call("Lun.GetProperties", id=id)["properties"]]
        }

    truth = known()
    lio.stop()
    for file in (lio.store, *backups.made(lio.store.parent)):
        file.unlink()
    if reboot:
        lio.lose_kernel()
        lio.groups["vg0"].lvm("vgchange", "--activate", "n", lio.groups["vg0"].name)
    facts = set(lio.facts())
    report = lio.rescue()
    assert {row["id"] for row in report["objects"]} == set(ids)
    assert set(lio.facts()) == facts
    lio.start()
    alike = {"raid5": "parity"}
    assert known() == {id: (size, alike.get(type, type), plexes) for id, (size, type, plexes) in truth.items()}
    assert {lio.call("Lun.GetProperties", id=id)["properties"]["status"] for id in ids} == {"online"}
    if not reboot:
        assert set(lio.facts()) == facts


def test_a_damaged_store_on_a_full_disk(lio: LioArray) -> None:
    """A store for which there is no room is not made anew by Refresh, which answers VDS_E_PROVIDER_CACHE_CORRUPT, and the
    damaged one stays; once there is room it is made, with everything."""
    lio.configuration["provider"]["audit"] = 1
    lio.store_on_disk()
    lun = lio.make_lun()
    lio.damage_store()
    deadline = time.monotonic() + 20
    with pytest.raises(Failed, match="VDS_E_PROVIDER_CACHE_CORRUPT"):
        while time.monotonic() < deadline:
            lio.call("Lun.GetProperties", id=lun)
            time.sleep(0.05)
    with lio.full():
        lio.call("HwProvider.Reenumerate")
        with pytest.raises(Failed, match=r"cannot be made anew: .*(full|No space)"):
            lio.call("HwProvider.Refresh")
        with pytest.raises(Failed, match="VDS_E_PROVIDER_CACHE_CORRUPT"):
            lio.call("Lun.GetProperties", id=lun)
        assert {file.name for file in lio.store.parent.glob("*sqlite*")} <= {
            f"{lio.store.name}{end}" for end in ("", "-wal", "-shm")
        }
    lio.call("HwProvider.Reenumerate")
    lio.call("HwProvider.Refresh")
    lio.kill()
    lio.start()
    assert lio.call("Lun.GetProperties", id=lun)["properties"]["status"] == "online"
