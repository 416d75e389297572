"""A rescue on a host that is in use, with LVM, and what a store has after a power cut."""

import os
import random
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.arrays import INITIATOR, MIB, SECRET, Failed, LioArray, run
from tests.lab.test_initiators import Login, inquiry
from tests.terminal import on_terminal
from vdsprovd import backups
from vdsprovd.inventory import Lun
from vdsprovd.store import Store

pytestmark = pytest.mark.lab

POWER_CUTS = int(os.environ.get("VDSPROVD_POWER_CUTS", "8"))
"""How many power cuts are tried."""
COMMANDS = 200
"""How many commands are given, during which the power fails: enough for the log to be written back."""


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


POWER = "vdsprovd-power"
POWER_SIZE = 64 * MIB


@contextmanager
def logged(image: Path, log: Path, mount: Path) -> Iterator[None]:
    """The file system of the image, mounted, with every write to it in a log: once it has been flushed, in the order in which
    it could be relied upon."""
    run("modprobe", "dm-log-writes")
    loops = [run("losetup", "--find", "--show", str(file)).strip() for file in (image, log)]
    run("dmsetup", "create", POWER, "--table", f"0 {POWER_SIZE // 512} log-writes {' '.join(loops)}")
    mount.mkdir()
    run("mount", f"/dev/mapper/{POWER}", str(mount))
    try:
        yield
    finally:
        run("umount", str(mount), check=False)
        run("dmsetup", "remove", "--retry", POWER, check=False)
        run("losetup", "--detach", *loops, check=False)


class Write(NamedTuple):
    """An entry of the log: bytes at an offset, or a mark."""

    offset: int
    data: bytes
    mark: str


def writes(log: Path) -> Iterator[Write]:
    """The log, as dm-log-writes makes it."""
    with log.open("rb") as file:
        _, _, count, block = struct.unpack("<QQQI", file.read(28))
        at = block
        for _ in range(count):
            file.seek(at)
            sector, sectors, flags, length = struct.unpack("<4Q", file.read(32))
            mark = file.read(length).decode() if flags & 8 else ""
            at += block
            data = b""
            if sectors and not flags & 4:
                file.seek(at)
                data = file.read(sectors * block)
                at += len(data)
            yield Write(sector * block, data, mark)


@contextmanager
def after_a_boot(image: Path, mount: Path) -> Iterator[Path]:
    """The file system of a disk whose power failed, repaired as a boot does it. The image must be a file of its own: a loop
    device that udev keeps open would be taken again, with what it has cached of the file before."""
    run("e2fsck", "-p", str(image), check=False)
    mount.mkdir()
    loop = run("losetup", "--find", "--show", str(image)).strip()
    try:
        run("mount", loop, str(mount))
        try:
            yield mount
        finally:
            run("umount", str(mount))
    finally:
        run("losetup", "--detach", loop)


def test_the_power_fails(lio: LioArray, tmp_path: Path) -> None:
    """Whenever the power fails, on a disk that loses all that was not flushed, while commands run and a backup is made: the
    disk has a sound store with all that was acknowledged, and each backup on it is good."""
    disk, log, mount = (tmp_path / name for name in ("disk", "writes", "mount"))
    for file, size in ((disk, POWER_SIZE), (log, 16 * POWER_SIZE)):
        with file.open("wb") as made:
            made.truncate(size)
    run("mkfs.ext4", "-q", str(disk))
    replayed = tmp_path / "replayed"
    run("cp", "--sparse=always", str(disk), str(replayed))
    with logged(disk, log, mount):
        lio.configuration["provider"]["state"] = str(mount / "state")
        lio.restart()
        try:
            lun = lio.make_lun()
            for number in range(COMMANDS):
                lio.call("LunNaming.SetFriendlyName", id=lun, friendlyName=str(number))
                run("dmsetup", "message", POWER, "0", "mark", str(number))
        finally:
            lio.stop()
            lio.configuration["provider"]["state"] = str(tmp_path / "state")
            lio.start()
    entries = list(writes(log))
    first = next(place for place, write in enumerate(entries) if write.mark == "0")
    cuts = set(random.Random().sample(range(first + 1, len(entries)), POWER_CUTS))
    acknowledged = -1
    with replayed.open("r+b") as image:
        for place, write in enumerate(entries):
            if place in cuts:
                image.flush()
                check_after_a_cut(replayed, tmp_path / f"cut{place}", acknowledged)
            image.seek(write.offset)
            image.write(write.data)
            acknowledged = int(write.mark) if write.mark.isdecimal() else acknowledged
    assert acknowledged == COMMANDS - 1


def check_after_a_cut(image: Path, folder: Path, acknowledged: int) -> None:
    """The disk has the command of that number, and at most the next one."""
    folder.mkdir()
    copy = folder / "copy"
    run("cp", "--sparse=always", str(image), str(copy))
    with after_a_boot(copy, folder / "boot") as boot:
        assert (boot / "state" / backups.NAME).exists()
        with closing(Store(boot / "state")) as store:
            (lun,) = [entry for entry in store.load().entities if isinstance(entry, Lun)]
        assert acknowledged <= int(lun.name) <= acknowledged + 1
        assert not any(map(backups.check, backups.made(boot / "state")))
    copy.unlink()
