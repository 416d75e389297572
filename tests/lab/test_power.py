"""Whenever the power fails, on a disk that loses all that was not flushed: what the store has, and what pools have."""

import os
import random
import struct
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.arrays import MIB, LioArray, run
from vdsprovd import backups
from vdsprovd.hardware import Condition, Layout
from vdsprovd.hardware.pools.files import OWNER, FilesPool
from vdsprovd.inventory import Lun
from vdsprovd.store import Store

pytestmark = pytest.mark.lab

POWER_CUTS = int(os.environ.get("VDSPROVD_POWER_CUTS", "8"))
"""How many power cuts are tried."""
COMMANDS = 200
"""How many commands are given, during which the power fails: enough for the log to be written back."""

POWER = "vdsprovd-power"
POWER_SIZE = 64 * MIB
WRITES, BEFORE = "writes", "replayed"


@contextmanager
def logged(folder: Path) -> Iterator[Path]:
    """An empty file system, mounted, with every write to it in a log, `WRITES` in the folder: once it has been flushed, in the
    order in which it could be relied upon. The disk as it is before that is `BEFORE`."""
    disk, log, mount = folder / "disk", folder / WRITES, folder / "mount"
    for file, size in ((disk, POWER_SIZE), (log, 16 * POWER_SIZE)):
        with file.open("wb") as made:
            made.truncate(size)
    run("mkfs.ext4", "-q", str(disk))
    run("cp", "--sparse=always", str(disk), str(folder / BEFORE))
    run("modprobe", "dm-log-writes")
    loops = [run("losetup", "--find", "--show", str(file)).strip() for file in (disk, log)]
    run("dmsetup", "create", POWER, "--table", f"0 {POWER_SIZE // 512} log-writes {' '.join(loops)}")
    mount.mkdir()
    run("mount", f"/dev/mapper/{POWER}", str(mount))
    try:
        yield mount
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
    with logged(tmp_path) as mount:
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
    entries, replayed = list(writes(tmp_path / WRITES)), tmp_path / BEFORE
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


@pytest.mark.parametrize("sparse", [False, True], ids=["preallocated", "sparse"])
def test_the_power_fails_after_volumes_were_made(tmp_path: Path, sparse: bool) -> None:
    """Those that were flushed are there, whole and with whose they are; of the others nothing says so."""
    luns = [str(uuid.uuid4()) for _ in range(64)]  # as many as a command flushes at once
    with logged(tmp_path) as mount:
        pool = FilesPool(mount / "pool", sparse=sparse)
        pool.folder.mkdir()
        run("sync", "--file-system", str(mount))
        for lun in luns:
            pool.create(lun, MIB // 4, Layout(), lambda _percent: None)
        run("dmsetup", "message", POWER, "0", "mark", "made")
        pool.flush(luns)
        run("dmsetup", "message", POWER, "0", "mark", "flushed")
    found, replayed = {}, tmp_path / BEFORE
    with replayed.open("r+b") as image:
        for write in writes(tmp_path / WRITES):
            if write.mark:
                image.flush()
                found[write.mark] = volumes(replayed, tmp_path / write.mark, sparse=sparse)
            image.seek(write.offset)
            image.write(write.data)
    assert len(found["made"]) < len(luns)
    assert found["flushed"] == dict.fromkeys(luns, MIB // 4)


def volumes(image: Path, folder: Path, *, sparse: bool) -> dict[str, int]:
    """The sizes of the LUNs that the pool on the disk has, none of another's bytes."""
    folder.mkdir()
    copy = folder / "copy"
    run("cp", "--sparse=always", str(image), str(copy))
    with after_a_boot(copy, folder / "boot") as boot:
        pool = FilesPool(boot / "pool", sparse=sparse)
        states = {lun: pool.probe(lun) for lun in pool.volumes()} if pool.folder.exists() else {}
        owners = {lun: os.getxattr(pool.path(lun), OWNER).decode() for lun in states}
    copy.unlink()
    assert all(lun == owner for lun, owner in owners.items())
    return {lun: state.size for lun, state in states.items() if state.condition is Condition.GOOD}
