"""A rescue on a host that is in use, with LVM, and what a store has after a power cut."""

import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
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


POWER = "vdsprovd-power"
POWER_SIZE = 64 * MIB


@contextmanager
def power(folder: Path) -> Iterator[tuple[Path, Path]]:
    """A file system as hosts have it, with a journal; gives its image and where it is mounted."""
    image, mount = folder / "image", folder / "disk"
    with image.open("wb") as file:
        file.truncate(POWER_SIZE)
    run("mkfs.ext4", "-q", str(image))
    loop = run("losetup", "--find", "--show", str(image)).strip()
    run("dmsetup", "create", POWER, "--table", f"0 {POWER_SIZE // 512} linear {loop} 0")
    mount.mkdir()
    run("mount", f"/dev/mapper/{POWER}", str(mount))
    try:
        yield image, mount
    finally:
        run("umount", str(mount), check=False)
        run("dmsetup", "remove", "--retry", POWER, check=False)
        run("losetup", "--detach", loop, check=False)


def cut(image: Path, copy: Path) -> None:
    """Copy what has reached the disk at one moment."""
    run("dmsetup", "suspend", "--noflush", "--nolockfs", POWER)
    try:
        run("cp", "--sparse=always", str(image), str(copy))
    finally:
        run("dmsetup", "resume", POWER)


@contextmanager
def after(image: Path, mount: Path) -> Iterator[Path]:
    """The file system of a disk whose power failed, as a boot has it."""
    run("e2fsck", "-p", str(image), check=False)
    mount.mkdir(exist_ok=True)
    run("mount", "-o", "loop", str(image), str(mount))
    try:
        yield mount
    finally:
        run("umount", str(mount))


def test_the_power_fails(lio: LioArray, tmp_path: Path) -> None:
    """What the disk under the store has at any moment while commands run is a sound store with all that was acknowledged, and
    so is each backup."""
    with power(tmp_path) as (disk, mount):
        lio.configuration["provider"]["state"] = str(mount / "state")
        lio.restart()
        try:
            images = power_cuts(lio, disk, tmp_path)
        finally:
            lio.configuration["provider"]["state"] = str(tmp_path / "state")
            lio.restart()
    assert images[-1][1] > images[0][1]
    for image, least, most in images:
        with after(image, tmp_path / "after") as found:
            assert (found / "state" / backups.NAME).exists()
            with closing(Store(found / "state")) as store:
                luns = [entry for entry in store.load().entities if isinstance(entry, Lun)]
            assert least <= int(luns[0].name) <= most + 1
            assert not any(map(backups.check, backups.made(found / "state")))
        image.unlink()


def power_cuts(lio: LioArray, disk: Path, folder: Path) -> list[tuple[Path, int, int]]:
    """Images of the disk at some moments while a LUN gets one name after the other; with each, the number of the last one that
    was acknowledged before, and after."""
    lun = lio.make_lun()
    lio.call("LunNaming.SetFriendlyName", id=lun, friendlyName="0")
    done, stop = [0], threading.Event()

    def name() -> None:
        while not stop.is_set():
            lio.call("LunNaming.SetFriendlyName", id=lun, friendlyName=str(done[0] + 1))
            done[0] += 1

    commands, chance = threading.Thread(target=name), random.Random()
    commands.start()
    images = []
    try:
        for number in range(POWER_CUTS):
            time.sleep(chance.uniform(0.05, 0.4))
            image, acknowledged = folder / f"image{number}", done[0]
            cut(disk, image)
            images.append((image, acknowledged, done[0]))
    finally:
        stop.set()
        commands.join(30)
    return images
