"""Steps that a crash cut off: each is completed or undone at the next start, and one that cannot be waits."""

import pytest

from tests.arrays import DRIVE_SIZE, INITIATOR, MIB, Array, SimulatedArray
from vdsprovd.hardware import Layout


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
    """The volume that was made, and the disk, are gone."""
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
    crash(simulated, "create_lun", lun="11111111-2222-4333-8444-555555555555", pool="gone", number=9)
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
