"""Many LUNs in one call on the real kernel: whenever the daemon is killed, all of them are there after the next start, or none."""

import time

import pytest

from tests.arrays import INITIATOR, MIB, LioArray
from vdsprovd.hardware import Disk, Grant, Unit

pytestmark = pytest.mark.lab

COUNT = 60
"""So many that their steps are taken side by side."""


def test_killed_in_the_middle(lio: LioArray) -> None:
    """In API, kernel and pool alike; those of earlier calls stay."""
    target, _ = lio.make_reachable_target()
    new = {"sizeInBytes": MIB, "unmaskingList": INITIATOR, "targetIds": [target]}
    outcomes = []
    there: set[str] = set()
    for delay in (0.005, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.15, None):
        begun = lio.call("Provisioning.CreateLuns", id=lio.sub_system, luns=[new] * COUNT)
        if delay is None:
            lio.call("Async.Wait", id=begun["async"])
        else:
            time.sleep(delay)
        lio.kill()
        lio.start()
        found = {lun["id"] for lun in lio.call("SubSystem.QueryLuns", id=lio.sub_system)["luns"]}
        assert there <= found
        assert len(found - there) in (0, COUNT)
        outcomes.append(len(found - there))
        there = found
        facts = lio.facts()
        for kind in (Disk, Unit):
            assert {fact.lun for fact in facts if isinstance(fact, kind)} == there
        assert len([fact for fact in facts if isinstance(fact, Grant)]) == len(there)
        assert {file.stem for file in (lio.pools_folder / "files0").iterdir()} == there
    assert set(outcomes) == {0, COUNT}
