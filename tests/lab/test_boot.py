"""Boots at which something is not as it was: what is behind a LUN is missing, late, or another; nothing is lost, nothing
wrong is exported, and the others are served."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from tests.arrays import INITIATOR, MIB, VOLUME_GROUP, LioArray, clear_kernel, run
from tests.lab.test_paths import eventually
from vdsprovd.hardware import Disk, Fact, Unit, realize, steps
from vdsprovd.hardware.lio import Lio

pytestmark = pytest.mark.lab


def fill(path: Path, text: bytes) -> None:
    """Begin a volume with that text."""
    with path.open("r+b") as file:
        file.write(text)
        os.fsync(file.fileno())


def begins(path: Path, text: bytes) -> bool:
    """Whether it does."""
    with path.open("rb") as file:
        return file.read(len(text)) == text


def status(lio: LioArray, lun: str) -> str:
    """The LUN's."""
    return str(lio.call("Lun.GetProperties", id=lun)["properties"]["status"])


def reason(lio: LioArray, lun: str) -> str:
    """Why the LUN cannot be used."""
    return str(lio.call("Lun.GetProperties", id=lun)["properties"]["reason"])


def exported(lun: str) -> list[Path]:
    """The LUN's disk in the kernel, if it has one."""
    return list(Path("/sys/kernel/config/target/core").glob(f"*/{lun}"))


def file_of(lio: LioArray, lun: str) -> Path:
    """The file of a LUN of array0."""
    return lio.pools_folder / "files0" / f"{lun}.lun"


def reachable(lio: LioArray) -> str:
    """A LUN of array0 that an initiator reaches."""
    lun = lio.make_lun(mask=INITIATOR)
    lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[lio.make_reachable_target()[0]])
    return lun


def test_a_volume_group_that_comes_late(lio: LioArray) -> None:
    """Its LUNs are offline and say why, the others are served; with its drives they come back by themselves, as they
    were, and the pool takes new ones."""
    lio.add_drives()
    volume, other = lio.make_volume("mirror", 8 * MIB, ["drive0", "drive1"], mask=INITIATOR), reachable(lio)
    fill(Path("/dev", VOLUME_GROUP, volume), b"from before")
    before = lio.kernel()
    lio.stop()
    clear_kernel()
    run("lvm", "vgchange", "--activate", "n", VOLUME_GROUP)
    for drive in lio.group.drives:
        drive.fail()
    lio.start()
    assert (status(lio, volume), status(lio, other)) == ("offline", "online")
    assert VOLUME_GROUP in reason(lio, volume)
    assert (bool(exported(volume)), bool(exported(other))) == (False, True)
    (pool,) = (
        entry
        for entry in lio.call("HwProviderStoragePools.QueryStoragePools")["storagePools"]
        if entry["name"] == "vg0"
    )
    assert (pool["status"], VOLUME_GROUP in pool["description"]) == ("unknown", True)
    for drive in lio.group.drives:
        drive.mend()
    eventually(lambda: status(lio, volume) == "online")
    eventually(lambda: lio.kernel() == before)
    assert begins(Path("/dev", VOLUME_GROUP, volume), b"from before")
    assert lio.call("Lun.GetProperties", id=volume)["properties"]["type"] == "mirror"
    eventually(
        lambda: (
            {lio.call("Drive.GetProperties", id=id)["properties"]["status"] for id in lio.drives().values()}
            == {"online"}
        )
    )
    lio.make_volume("stripe", 8 * MIB, ["drive2", "drive3"])


@pytest.mark.parametrize("mount_point", [False, True])
def test_a_file_system_that_is_mounted_late(lio: LioArray, mount_point: bool) -> None:
    """As before, for a pool whose folder is missing, or is the empty one that something will be mounted over."""
    lun = reachable(lio)
    other = lio.make_lun(sub_system=lio.sub_systems()["array1"])
    fill(file_of(lio, lun), b"from before")
    before = lio.kernel()
    lio.stop()
    clear_kernel()
    folder = lio.pools_folder / "files0"
    with lio.pool_gone("files0"):
        if mount_point:
            folder.mkdir()
        lio.start()
        assert (status(lio, lun), status(lio, other)) == ("offline", "online")
        assert reason(lio, lun)
        assert not exported(lun)
        if mount_point:
            folder.rmdir()
    eventually(lambda: status(lio, lun) == "online")
    eventually(lambda: lio.kernel() == before)
    assert begins(file_of(lio, lun), b"from before")


def test_a_pool_without_luns_that_is_not_there(lio: LioArray) -> None:
    """It is a mistake in the configuration: the daemon does not start."""
    lio.stop()
    with lio.pool_gone("files0"):
        lio.launch()
        assert os.waitstatus_to_exitcode(os.waitpid(lio.pid, 0)[1]) == 78
    assert "there is no folder" in lio.log.read_text()
    lio.start()


def test_a_file_that_was_cut(lio: LioArray) -> None:
    """A LUN that has lost bytes is not exported, and is again when it has its size back."""
    lun = reachable(lio)
    before = lio.kernel()
    lio.stop()
    clear_kernel()
    run("truncate", "--size", str(MIB // 2), str(file_of(lio, lun)))
    lio.start()
    assert status(lio, lun) == "failed"
    assert f"{MIB // 2} bytes and should have {MIB}" in reason(lio, lun)
    assert not exported(lun)
    run("truncate", "--size", str(MIB), str(file_of(lio, lun)))
    eventually(lambda: lio.kernel() == before)
    assert status(lio, lun) == "online"


def swapped_files(lio: LioArray) -> tuple[list[str], Callable[[], object]]:
    """Two LUNs in files, and what swaps them."""
    luns = [reachable(lio), reachable(lio)]
    one, two = (file_of(lio, lun) for lun in luns)

    def swap() -> None:
        one.rename(one.with_suffix(".away"))
        two.rename(one)
        one.with_suffix(".away").rename(two)

    return luns, swap


def swapped_volumes(lio: LioArray) -> tuple[list[str], Callable[[], object]]:
    """Two LUNs on LVM, and what swaps them."""
    lio.add_drives()
    luns = [lio.make_volume("simple", 4 * MIB, ["drive0"], mask=INITIATOR) for _ in range(2)]

    def swap() -> None:
        for old, new in ((luns[0], "away"), (luns[1], luns[0]), ("away", luns[1])):
            run("lvm", "lvrename", VOLUME_GROUP, old, new)

    return luns, swap


@pytest.mark.parametrize("kind", [swapped_files, swapped_volumes])
def test_volumes_that_somebody_swapped(
    lio: LioArray, kind: Callable[[LioArray], tuple[list[str], Callable[[], object]]]
) -> None:
    """Neither LUN is exported with the other's bytes, both say whose they are; with their names back they are well."""
    luns, swap = kind(lio)
    before = lio.kernel()
    lio.stop()
    clear_kernel()
    swap()
    lio.start()
    for lun, other in (luns, luns[::-1]):
        assert status(lio, lun) == "failed"
        assert f"has the bytes of LUN {other}" in reason(lio, lun)
        assert not exported(lun)
    swap()
    eventually(lambda: lio.kernel() == before)
    assert [status(lio, lun) for lun in luns] == ["online", "online"]
    # Under a running daemon it is noticed, too; what is exported is still the right one, for it is open.
    swap()
    eventually(lambda: [status(lio, lun) for lun in luns] == ["failed", "failed"])
    swap()
    eventually(lambda: [status(lio, lun) for lun in luns] == ["online", "online"])


def test_a_disk_with_another_serial_number(lio: LioArray) -> None:
    """Somebody gave the LUN's disk in the kernel a serial number of his own: initiators would take it for another disk. It
    is put right before anybody reaches it."""
    lun = lio.make_lun(mask=INITIATOR)
    before = lio.kernel()
    lio.stop()
    (disk,) = exported(lun)
    (disk / "wwn/vpd_unit_serial").write_text("somebody-s-own")
    lio.start()
    assert lio.kernel() == before
    (disk,) = exported(lun)
    assert lun in (disk / "wwn/vpd_unit_serial").read_text()
    lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[lio.make_reachable_target()[0]])


@contextmanager
def reserved(lun: str, target: str, index: int) -> Iterator[None]:
    """The kernel has written that an initiator registered for the LUN, which is in the target by that number."""
    metadata = Path("/etc/target/pr", f"aptpl_{lun}")
    metadata.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        "PR_REG_START: 0",
        "initiator_fabric=iSCSI",
        f"initiator_node={INITIATOR}",
        "sa_res_key=4660",
        "res_holder=0",
        "res_all_tg_pt=0",
        f"mapped_lun={index}",
        "target_fabric=iSCSI",
        f"target_node={target}",
        "tpgt=1",
        "port_rtpi=1",
        f"target_lun={index}",
        "PR_REG_END: 0",
    ]
    metadata.write_text("".join(f"{line}\n" for line in lines))
    try:
        yield
    finally:
        metadata.unlink()


def test_persistent_reservations_outlive_a_boot(lio: LioArray) -> None:
    """What the kernel has written of a LUN's persistent reservations it is told again."""
    lun = reachable(lio)
    lio.stop()
    (disk,) = exported(lun)
    target = next(path.name for path in Path("/sys/kernel/config/target/iscsi").glob("iqn.*"))
    with reserved(lun, target, 0):
        clear_kernel()
        lio.start()
        (disk,) = exported(lun)
        assert INITIATOR in (disk / "pr/res_pr_registered_i_pts").read_text()


def test_persistent_reservations_of_a_disk_that_is_made_anew(facts: list[Fact]) -> None:
    """Among many steps, those that the kernel writes before the disk goes are told to the one that comes."""
    clear_kernel()
    hardware = Lio({})
    realize(hardware, steps([], facts))
    disk = next(fact for fact in facts if isinstance(fact, Disk))
    unit = next(fact for fact in facts if isinstance(fact, Unit))
    other = [msgspec.structs.replace(fact, product="another") if fact is disk else fact for fact in facts]
    wanted = steps(facts, other)
    with reserved(disk.lun, unit.target, unit.index), hardware.taker() as take:
        for step in wanted:
            take(step)
        (made,) = exported(disk.lun)
        assert INITIATOR in (made / "pr/res_pr_registered_i_pts").read_text()
    clear_kernel()
