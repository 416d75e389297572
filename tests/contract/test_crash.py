"""Steps that a crash cut off: each is completed or undone at the next start, and one that cannot be waits."""

import pytest

from tests.arrays import INITIATOR, MIB, Array, SimulatedArray
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
