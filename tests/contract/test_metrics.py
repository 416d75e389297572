"""The metrics say what there is, on the simulator and on the kernel's target."""

import time
from pathlib import Path

import pytest

from tests.arrays import INITIATOR, MIB, OTHER_INITIATOR, Array
from tests.contract.test_reload import soon
from tests.scrape import Metrics, scrape, watched


@pytest.fixture
def path(array: Array) -> Path:
    """Where the array's metrics are."""
    found = watched(array)
    assert soon(found.is_socket)
    return found


def after(path: Path) -> Metrics:
    """A scrape that sees what was done before: the last one is given out again for a while, and no two
    are alike: each takes some processor time, which is among what it tells."""
    before = scrape(path)
    assert soon(lambda: scrape(path).text != before.text)
    return scrape(path)


def test_luns_targets_and_pools(array: Array, path: Path) -> None:
    """Objects are counted by what they are, each LUN has its size, and pools are filled by LUNs."""
    empty = scrape(path)
    assert not empty.there("vdsprovd_luns")
    lun, other = array.make_lun(3 * MIB, mask=INITIATOR), array.make_lun(MIB, mask=OTHER_INITIATOR)
    target, _ = array.make_reachable_target()
    name = array.name_of(target)
    for one in (lun, other):
        array.call("LunIscsi.AssociateTargets", id=one, targetIds=[target])
    found = after(path)
    assert found.value("vdsprovd_luns", subsystem="array0", status="online", health="healthy") == 2
    assert found.value("vdsprovd_targets", subsystem="array0", deviates="false") == 1
    assert found.value("vdsprovd_portals", subsystem="array0", status="online") == 2
    assert found.value("vdsprovd_lun_size_bytes", lun=lun, subsystem="array0", pool="files0") == 3 * MIB
    used = found.value("vdsprovd_pool_used_bytes", pool="files0") - empty.value(
        "vdsprovd_pool_used_bytes", pool="files0"
    )
    assert used >= 4 * MIB
    assert used < found.value("vdsprovd_pool_size_bytes", pool="files0")
    assert found.value("vdsprovd_target_sessions", target=name) == 0
    assert found.value("vdsprovd_target_initiator_connected", target=name, initiator=INITIATOR) == 0
    with array.logged_in(target, 3260):
        there = after(path)
        assert there.value("vdsprovd_target_sessions", target=name) == 1
        assert there.value("vdsprovd_target_initiator_connected", target=name, initiator=INITIATOR) == 1
        assert there.value("vdsprovd_target_initiator_connected", target=name, initiator=OTHER_INITIATOR) == 0
    array.call("LunIscsi.AssociateTargets", id=other, targetIds=[])
    array.call("Lun.Delete", id=other)
    assert after(path).value("vdsprovd_luns", subsystem="array0", status="online", health="healthy") == 1


def test_trouble_shows(array: Array, path: Path) -> None:
    """A LUN whose bytes cannot be read has a series of its own, and so has a corrupt cache; a recovery ends it."""
    lun = array.make_lun()
    well = scrape(path)
    assert well.value("vdsprovd_cache_corrupt") == 0
    assert not well.there("vdsprovd_lun_impaired")
    array.break_volume(lun)
    array.prove_corruption()
    bad = after(path)
    assert bad.value("vdsprovd_cache_corrupt") == 1
    assert bad.value(
        "vdsprovd_operation_duration_seconds_count", type="remove_portal", code="VDS_E_PROVIDER_CACHE_CORRUPT"
    )
    array.call("HwProvider.Reenumerate")
    array.call("HwProvider.Refresh")
    bad = after(path)
    assert bad.value("vdsprovd_cache_corrupt") == 0
    assert bad.value("vdsprovd_lun_impaired", lun=lun, status="failed", health="failed") == 1
    assert bad.value("vdsprovd_luns", status="failed", health="failed") == 1
    array.mend_volume(lun)
    array.call("HwProvider.Reenumerate")
    array.call("HwProvider.Refresh")
    assert not after(path).there("vdsprovd_lun_impaired")


def test_deviations_are_counted(array: Array, path: Path) -> None:
    """By kind: what somebody else removed, until it is put right."""
    target, _ = array.make_reachable_target()
    assert not after(path).there("vdsprovd_deviations")
    array.lose_portal(array.name_of(target))
    assert soon(lambda: after(path).there("vdsprovd_deviations", kind="portal"))
    found = scrape(path)
    assert found.value("vdsprovd_deviations", kind="portal") == 1
    assert found.value("vdsprovd_portals", subsystem="array0", status="not_ready") == 1
    array.call("HwProvider.Refresh")
    assert not after(path).there("vdsprovd_deviations")


def test_calls_and_their_errors(array: Array, path: Path) -> None:
    """Answered calls are timed by method, errors counted by code; what callers make up is no series of theirs."""
    before = scrape(path)
    for _ in range(3):
        array.call("HwProvider.QuerySubSystems")
        array.error("Lun.GetProperties", id="x")
    array.error("Lun.Nonsense")
    array.error("Lun.GetProperties", id=1)
    found = after(path)
    name, calls = "vdsprovd_call_errors_total", "vdsprovd_call_duration_seconds_count"
    assert found.value(name, method="Lun.GetProperties", code="VDS_E_OBJECT_NOT_FOUND") == 3
    assert found.value(name, method="Lun.GetProperties", code="org.varlink.service.InvalidParameter") == 1
    assert found.value(name, method="unknown", code="org.varlink.service.MethodNotFound") == 1
    assert "Nonsense" not in found.text
    asked = {"method": "HwProvider.QuerySubSystems"}
    assert found.value(calls, **asked) - (sum(value for _, value in before.samples(calls, **asked))) == 3
    assert found.value(calls, method="Lun.GetProperties") == 4
    assert found.value("vdsprovd_call_duration_seconds_bucket", le="+Inf", method="Lun.GetProperties") == 4


def test_what_is_not_counted_has_no_sample(array: Array, path: Path) -> None:
    """A kernel's counters are there or not, and never made up. The simulator moves no bytes."""
    lun = array.make_lun(mask=INITIATOR)
    target, _ = array.make_reachable_target()
    array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    found = after(path)
    names = [f"vdsprovd_{kind}_{what}_total" for kind in ("lun", "target") for what in ("read_bytes", "commands")]
    for name in names:
        assert found.there(name, lun=lun) is (array.kind == "lio")


def test_an_audit_is_timed(array: Array, path: Path) -> None:
    """How long the last one took and when it ended; the store's, too."""
    array.configuration["provider"]["audit"] = 1
    array.restart()
    assert soon(lambda: after(path).there("vdsprovd_audit_last_success_timestamp_seconds", audit="store"))
    found = scrape(path)
    for audit in ("kernel", "store"):
        assert 0 < found.value("vdsprovd_audit_duration_seconds", audit=audit) < 10
        assert abs(found.value("vdsprovd_audit_last_success_timestamp_seconds", audit=audit) - time.time()) < 60
    assert found.value("vdsprovd_store_size_bytes") > 0
    assert abs(found.value("vdsprovd_backup_last_success_timestamp_seconds") - time.time()) < 60


def test_drives_and_their_pool(drives: Array) -> None:
    """array2's drives are counted by status, and its volume group is filled."""
    path = watched(drives)
    assert soon(path.is_socket)
    found = scrape(path)
    assert found.value("vdsprovd_drives", subsystem="array2", status="online", health="healthy") >= 4
    assert found.value("vdsprovd_pool_size_bytes", subsystem="array2", pool="vg0") > 0
    drives.lose_drive("drive0")
    assert soon(lambda: after(path).there("vdsprovd_drives", subsystem="array2", status="removed"))
