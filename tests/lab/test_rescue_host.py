"""A rescue on a host that is in use, with LVM, and what a store has after a power cut."""

import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.arrays import INITIATOR, MIB, SECRET, LioArray, run
from tests.lab.test_initiators import Login, inquiry
from tests.terminal import on_terminal
from vdsprovd import backups
from vdsprovd.inventory import Lun
from vdsprovd.store import Store

pytestmark = pytest.mark.lab

POWER_CUTS = int(os.environ.get("VDSPROVD_POWER_CUTS", "4"))
"""How many power cuts are tried."""


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


def test_the_power_fails(lio: LioArray, disk: Path, tmp_path: Path) -> None:
    """What the disk under the store has at any moment while commands run is a sound store with all that was acknowledged, and
    so is the newest backup."""
    lio.store_on_disk()
    lun = lio.make_lun()
    done = [0]
    stop = threading.Event()

    def name() -> None:
        while not stop.is_set():
            lio.call("LunNaming.SetFriendlyName", id=lun, friendlyName=str(done[0] + 1))
            done[0] += 1

    commands, chance = threading.Thread(target=name), random.Random()
    commands.start()
    images: list[tuple[Path, int, int]] = []
    try:
        for number in range(POWER_CUTS):
            time.sleep(chance.uniform(0.1, 0.5))
            image, acknowledged = tmp_path / f"image{number}", done[0]
            with lio.hanging():
                run("cp", "--sparse=always", str(disk.parent / "image"), str(image))
            images.append((image, acknowledged, done[0]))
    finally:
        stop.set()
        commands.join(30)
    assert images[-1][1] > images[0][1]
    for image, least, most in images:
        with mounted(image, tmp_path / "mount") as mount:
            state = mount / lio.store.relative_to(disk).parent
            store = Store(state)
            store.check()
            (found,) = [entry for entry in store.load().entities if isinstance(entry, Lun)]
            store.close()
            assert least <= int(found.name or 0) <= most + 1
            assert [backups.check(file) for file in backups.made(state)] == [""] * len(backups.made(state))
        image.unlink()


@contextmanager
def mounted(image: Path, mount: Path) -> Iterator[Path]:
    """The file system of a disk whose power failed, as a boot has it."""
    run("e2fsck", "-f", "-y", str(image), check=False)
    mount.mkdir(exist_ok=True)
    run("mount", "-o", "loop", str(image), str(mount))
    try:
        yield mount
    finally:
        run("umount", str(mount))
