"""Steps that a crash cut off: each is completed or undone at the next start, and one that cannot be waits."""

import time
from contextlib import suppress
from typing import Any

import pytest

from tests.arrays import DRIVE_SIZE, INITIATOR, MIB, Array, Failed, SimulatedArray
from vdsprovd.hardware import Layout, Refused, Step
from vdsprovd.hresult import Hresult


def luns(array: Array) -> dict[str, int]:
    """The LUNs' sizes by id."""
    found = array.call("SubSystem.QueryLuns", id=array.sub_system)["luns"]
    return {entry["id"]: entry["size"] for entry in found}


def crash(simulated: SimulatedArray, kind: str, **detail: object) -> None:
    """Leave a step pending as if the daemon had died right after its intent was written."""
    simulated.context.store.begin(kind, **detail)
    simulated.restart()


def pool_id(simulated: SimulatedArray) -> str:
    """The id of files0."""
    pools = simulated.call("HwProviderStoragePools.QueryStoragePools")["storagePools"]
    return str(next(pool["id"] for pool in pools if pool["name"] == "files0"))


def pending(simulated: SimulatedArray) -> int:
    """How many steps are pending."""
    return len(simulated.context.store.load().pending)


def test_a_creation_is_undone(simulated: SimulatedArray) -> None:
    """The volumes that were made, and the disks, are gone; one that was not made yet is no trouble."""
    made = [f"{digit}1111111-2222-4333-8444-555555555555" for digit in range(3)]
    for lun in made[:2]:
        simulated.pool.create(lun, MIB, Layout(), lambda _percent: None)
    kept = simulated.make_lun()
    crash(simulated, "create_luns", luns=[(lun, pool_id(simulated), 9 + place) for place, lun in enumerate(made)])
    assert set(luns(simulated)) == set(simulated.pool.sizes) == {kept}
    assert pending(simulated) == 0


def test_a_creation_of_an_older_version_is_undone(simulated: SimulatedArray) -> None:
    """A daemon that is upgraded after a crash finds the step as the one before wrote it."""
    lun = "11111111-2222-4333-8444-555555555555"
    simulated.pool.create(lun, MIB, Layout(), lambda _percent: None)
    crash(simulated, "create_lun", lun=lun, pool=pool_id(simulated), number=9)
    assert luns(simulated) == {}
    assert simulated.pool.sizes == {}
    assert pending(simulated) == 0


def test_a_deletion_is_completed(simulated: SimulatedArray) -> None:
    """Whatever of the LUN was left is gone, from kernel, pool and API."""
    empty = simulated.kernel()
    target, _ = simulated.make_reachable_target()
    with_target = simulated.kernel()
    lun = simulated.make_lun(mask=INITIATOR)
    simulated.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    crash(simulated, "delete_lun", lun=lun, pool=pool_id(simulated), number=1)
    assert luns(simulated) == {}
    assert simulated.kernel() == with_target != empty
    assert simulated.pool.sizes == {}
    assert simulated.error("Lun.GetProperties", id=lun) == "VDS_E_OBJECT_DELETED"
    assert pending(simulated) == 0


@pytest.mark.parametrize(("size", "wanted"), [(2 * MIB, 2 * MIB), (MIB + 4096, MIB), (MIB, MIB)])
def test_a_growth_is_completed_or_undone(simulated: SimulatedArray, size: int, wanted: int) -> None:
    """A volume that has its new size keeps it; one that grew in part has its old size again."""
    lun = simulated.make_lun(MIB)
    simulated.pool.sizes[lun] = size
    crash(simulated, "resize_lun", lun=lun, pool=pool_id(simulated), before=MIB, after=2 * MIB)
    assert luns(simulated) == {lun: wanted}
    assert simulated.pool.sizes[lun] == wanted
    assert any(f"({wanted} bytes in" in line for line in simulated.kernel())
    assert pending(simulated) == 0


def test_a_change_of_targets_is_undone(simulated: SimulatedArray) -> None:
    """What such a step had done in the kernel, a whole target of it, is taken back."""
    before = simulated.kernel()
    name = "iqn.2026-11.org.example:half"
    simulated.make_target(name)
    with_target = simulated.kernel()
    simulated.wait(simulated.call("IscsiTarget.Delete", id=simulated.context.cache.inventory.target_by_name[name]))
    from vdsprovd.hardware import Step, TargetNode

    simulated.hardware.take(Step(None, TargetNode(name)))
    assert simulated.kernel() == with_target
    crash(simulated, "change", claims=[name])
    assert simulated.kernel() == before
    assert pending(simulated) == 0


def test_what_cannot_be_settled_waits_and_stops_nothing_else(simulated: SimulatedArray) -> None:
    """A step whose pool is out of the configuration stays pending; the daemon serves everything else."""
    lun = simulated.make_lun()
    crash(simulated, "create_luns", luns=[("11111111-2222-4333-8444-555555555555", "gone", 9)])
    assert set(luns(simulated)) == {lun}
    assert pending(simulated) == 1


def test_a_plex_that_was_removed_is_forgotten(drives_simulated: SimulatedArray) -> None:
    """RemovePlex cut off after the volume lost its leg: the plex is gone, the original one stays."""
    array = drives_simulated
    lun = array.make_volume("mirror")
    first, second = (plex["id"] for plex in array.plexes(lun))
    array.drive_pool.remove_leg(lun, 1, lambda _percent: None)
    crash(array, "remove_plex", lun=lun, plex=second, pool=volumes_id(array))
    assert [plex["id"] for plex in array.plexes(lun)] == [first]
    assert array.call("Lun.GetProperties", id=lun)["properties"]["type"] == "simple"
    assert array.error("LunPlex.GetLun", id=second) == "VDS_E_OBJECT_DELETED"


def test_a_plex_that_was_not_removed_stays(drives_simulated: SimulatedArray) -> None:
    """RemovePlex cut off before anything happened: both plexes are there."""
    array = drives_simulated
    lun = array.make_volume("mirror")
    before = array.plexes(lun)
    crash(array, "remove_plex", lun=lun, plex=before[1]["id"], pool=volumes_id(array))
    assert array.plexes(lun) == before


def test_an_absorbed_lun_is_forgotten_once_its_bytes_are_gone(drives_simulated: SimulatedArray) -> None:
    """AddPlex cut off after the source's volume went: the source is gone, and the LUN has the plexes that its volume
    has; cut off before, the source is there."""
    array = drives_simulated
    lun, kept, source = (array.make_volume("simple") for _ in range(3))
    crash(array, "add_plex", lun=lun, source=kept, pool=volumes_id(array))
    assert array.call("Lun.GetProperties", id=kept)["properties"]["status"] == "online"
    array.drive_pool.add_leg(lun, (), lambda _percent: None)
    array.drive_pool.delete(source)
    crash(array, "add_plex", lun=lun, source=source, pool=volumes_id(array))
    assert array.error("Lun.GetProperties", id=source) == "VDS_E_OBJECT_DELETED"
    assert len(array.plexes(lun)) == 2
    assert array.call("Lun.GetProperties", id=lun)["properties"]["status"] == "online"


def volumes_id(array: SimulatedArray) -> str:
    """The id of the pool vg0."""
    pools = array.call("HwProviderStoragePools.QueryStoragePools")["storagePools"]
    return next(str(pool["id"]) for pool in pools if pool["name"] == "vg0")


def test_an_absorbed_lun_without_room_beside_it(drives_simulated: SimulatedArray) -> None:
    """Where the pool has no room for both, the source goes first; when the copy fails then, the LUN is as it was, and
    says why."""
    array = drives_simulated
    size = DRIVE_SIZE - MIB
    lun, source = array.make_volume("simple", size, ["drive0"]), array.make_volume("simple", size, ["drive1"])
    fillers = [array.make_volume("simple", size, [name]) for name in ("drive2", "drive3")]
    assert array.wait(array.call("Lun.AddPlex", id=lun, lunId=source)) == ""
    assert len(array.plexes(lun)) == 2
    assert array.error("Lun.GetProperties", id=source) == "VDS_E_OBJECT_DELETED"
    array.drive_pool.fails_to_add = True
    result = array.result(array.call("Lun.AddPlex", id=fillers[0], lunId=fillers[1]))
    assert result["hresult"] == 0x8004240F, result
    assert len(array.plexes(fillers[0])) == 1
    assert array.call("Lun.GetProperties", id=fillers[0])["properties"]["status"] == "online"


def test_a_deletion_that_failed_is_not_completed_later(simulated: SimulatedArray) -> None:
    """Delete that the hardware refuses, while the store is full, leaves the LUN; what the store was still owed it gets with
    its next write, and a later start does not delete the LUN after all."""
    lun = simulated.make_lun()

    def fault(step: Step) -> None:
        full(simulated)
        raise Refused("the test says so")

    simulated.hardware.fault = fault
    assert simulated.error("Lun.Delete", id=lun) == "VDS_E_PROVIDER_FAILURE"
    simulated.hardware.fault = None
    full(simulated, False)
    simulated.call("LunNaming.SetFriendlyName", id=lun, friendlyName="in use")
    assert pending(simulated) == 0
    simulated.restart()
    assert luns(simulated) == {lun: MIB}


def test_a_store_that_fills_up_during_a_growth(simulated: SimulatedArray) -> None:
    """The outcome cannot be written: volume and disk have their old size again, and the store takes the next command."""
    lun = simulated.make_lun()
    kernel = simulated.kernel()
    simulated.pool.delay = 0.5
    growth = simulated.call("Lun.Extend", id=lun, numberOfBytesToAdd=MIB)
    full(simulated)
    assert simulated.result(growth)["hresult"] == Hresult.VDS_E_OBJECT_STATUS_FAILED
    full(simulated, False)
    assert (simulated.pool.sizes[lun], simulated.kernel()) == (MIB, kernel)
    simulated.wait(simulated.call("Lun.Extend", id=lun, numberOfBytesToAdd=MIB))
    assert pending(simulated) == 0


@pytest.mark.parametrize("method", ["Lun.Shrink", "Lun.Delete"])
def test_a_store_that_fills_up_when_bytes_are_gone(simulated: SimulatedArray, method: str) -> None:
    """What cannot be undone is so, whatever the store says: the call fails with the provider's status, and its outcome is
    seen at once, and written with what the store takes next."""
    lun = simulated.make_lun(2 * MIB)
    before = simulated.pool.delete if method == "Lun.Delete" else simulated.pool.resize

    def filling(*arguments: Any) -> None:
        before(*arguments)
        full(simulated)

    setattr(simulated.pool, before.__name__, filling)
    more = {} if method == "Lun.Delete" else {"numberOfBytesToRemove": MIB}
    with pytest.raises(Failed) as failure:
        simulated.wait(simulated.call(method, id=lun, **more))
    assert failure.value.symbol == "VDS_E_OBJECT_STATUS_FAILED"
    setattr(simulated.pool, before.__name__, before)
    full(simulated, False)
    deadline = time.monotonic() + 20
    while True:  # who asks has it tried whether that is still so
        with suppress(Failed):
            simulated.call("HwProvider.QuerySubSystems")
            break
        assert time.monotonic() < deadline
        time.sleep(0.01)
    wanted = {} if method == "Lun.Delete" else {lun: MIB}
    assert luns(simulated) == wanted
    simulated.make_target()
    assert pending(simulated) == 0
    simulated.restart()
    assert luns(simulated) == wanted


def full(simulated: SimulatedArray, is_full: bool = True) -> None:
    """The disk under the store is full, or no longer: it takes not a page more."""
    with simulated.context.store._lock:
        simulated.context.store._db.execute(f"PRAGMA query_only = {int(is_full)}")


def test_a_shrinking_that_cut_bytes_off_is_completed(simulated: SimulatedArray) -> None:
    """Where a stripe cannot lose exactly what was asked for, what is left is the LUN; its bytes do not come back."""
    lun = simulated.make_lun(4 * MIB)
    simulated.pool.sizes[lun] = 2 * MIB
    crash(simulated, "resize_lun", lun=lun, pool=pool_id(simulated), before=4 * MIB, after=MIB)
    assert luns(simulated) == {lun: 2 * MIB}
    assert simulated.pool.sizes[lun] == 2 * MIB
    assert pending(simulated) == 0


def test_a_stale_step_cuts_nothing_off(simulated: SimulatedArray) -> None:
    """A growth whose end was never written, and after which the LUN was resized again, changes nothing any more."""
    lun = simulated.make_lun(6 * MIB)
    crash(simulated, "resize_lun", lun=lun, pool=pool_id(simulated), before=4 * MIB, after=8 * MIB)
    assert luns(simulated) == {lun: 6 * MIB}
    gone = simulated.make_lun()
    simulated.call("Lun.Delete", id=gone)
    crash(simulated, "resize_lun", lun=gone, pool=pool_id(simulated), before=MIB, after=2 * MIB)
    assert pending(simulated) == 0


def test_an_added_plex_is_taken_back_or_kept(drives_simulated: SimulatedArray) -> None:
    """AddPlex cut off while the source is whole leaves no further plex; once its bytes began to go, the LUN is a mirror and
    the source gone."""
    array = drives_simulated
    lun, source = (array.make_volume("simple") for _ in range(2))
    array.drive_pool.add_leg(lun, (), lambda _percent: None)
    crash(array, "add_plex", lun=lun, source=source, pool=volumes_id(array), own=1)
    assert array.call("Lun.GetProperties", id=source)["properties"]["status"] == "online"
    assert len(array.plexes(lun)) == len(array.drive_pool.legs[lun]) == 1
    array.drive_pool.add_leg(lun, (), lambda _percent: None)
    crash(array, "add_plex", lun=lun, source=source, pool=volumes_id(array), own=1, absorbed=True)
    assert array.error("Lun.GetProperties", id=source) == "VDS_E_OBJECT_DELETED"
    assert source not in array.drive_pool.sizes
    assert array.call("Lun.GetProperties", id=lun)["properties"]["type"] == "mirror"
    assert len(array.plexes(lun)) == 2


@pytest.mark.parametrize("moved", [False, True])
def test_a_replacement_is_undone_or_completed(drives_simulated: SimulatedArray, moved: bool) -> None:
    """ReplaceDrive cut off before the extents were moved: the replacement is free again; after: the other one is out."""
    array = drives_simulated
    array.make_volume("simple", 8 * MIB, ["drive0"])
    array.drive_pool.take_drive("/dev/spare0")
    if moved:
        array.drive_pool.move("/dev/drive0", "/dev/spare0", lambda _percent: None)
    crash(array, "replace_drive", pool=volumes_id(array), old="serial-drive0", new="serial-spare0")
    assert ("/dev/spare0" in array.drive_pool.drives, "/dev/drive0" in array.drive_pool.drives) == (moved, not moved)
    assert pending(array) == 0


def test_a_recovery_is_completed(drives_simulated: SimulatedArray) -> None:
    """Recover cut off before anything was rebuilt: the rebuild is begun at the next start."""
    array = drives_simulated
    lun = array.make_volume("mirror", 8 * MIB, ["drive0", "drive1"])
    array.lose_drive("drive1")
    crash(array, "recover", lun=lun, pool=volumes_id(array))
    assert pending(array) == 0
    array.drive_pool.repair(lun, lambda _percent: None)
    crash(array, "recover", lun=lun, pool=volumes_id(array))
    assert array.call("Lun.GetProperties", id=lun)["properties"]["health"] == "healthy"


@pytest.mark.parametrize("used", [False, True])
def test_a_spare_that_was_taken(drives_simulated: SimulatedArray, used: bool) -> None:
    """Recover cut off after it took a hot spare: the spare is one again, unless something is on it."""
    array = drives_simulated
    spare = array.drives()["spare0"]
    lun = array.make_volume("mirror", 8 * MIB, ["drive0", "drive1"])
    array.call("Drive.SetFlags", id=spare, flags=["hotspare"])
    array.drive_pool.take_drive("/dev/spare0")
    if used:
        array.drive_pool.move("/dev/drive1", "/dev/spare0", lambda _percent: None)
    crash(array, "take_spare", lun=lun, pool=volumes_id(array), drive=spare)
    flags = array.call("Drive.GetProperties", id=spare)["properties"]["flags"]
    assert ("hotspare" in flags, "assigned" in flags) == (not used, used)
    assert pending(array) == 0


def test_what_is_free_cannot_be_read(simulated: SimulatedArray) -> None:
    """A change that was made is told, whether what is free around it can be read afterwards or not."""
    with simulated.unreadable():
        lun, other = simulated.make_lun(), simulated.make_lun()
        assert luns(simulated) == {lun: MIB, other: MIB}
        assert simulated.result(simulated.call("Lun.Extend", id=lun, numberOfBytesToAdd=MIB))["hresult"] == Hresult.S_OK
        simulated.call("Lun.Delete", id=other)
        assert luns(simulated) == {lun: 2 * MIB}
    assert not simulated.context.cache.corruption
    simulated.restart()
    assert luns(simulated) == {lun: 2 * MIB}
