"""The kernel's own counters, while an initiator moves bytes."""

import subprocess
import time
from pathlib import Path

import pytest

from tests.arrays import ADDRESS, INITIATOR, MIB, LioArray, run
from tests.contract.test_metrics import after
from tests.contract.test_reload import soon
from tests.lab.volume_group import volume_group
from tests.scrape import scrape, watched
from vdsprovd.hardware import Count
from vdsprovd.hardware.lio import statistics

pytestmark = pytest.mark.lab


@pytest.fixture
def path(lio: LioArray) -> Path:
    """Where the metrics are."""
    found = watched(lio)
    assert soon(found.is_socket)
    return found


def disk_of(lun: str) -> str:
    """The initiator's disk whose serial number is the LUN's id."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        listed = run("lsblk", "-dno", "NAME,SERIAL").splitlines()
        if found := [line.split()[0] for line in listed if line.endswith(lun)]:
            return f"/dev/{found[0]}"
        time.sleep(0.1)
    raise AssertionError(f"there is no disk {lun}")


def move(kind: str, device: str, size: int) -> None:
    """Have fio read or write so many bytes, past the page cache."""
    run("fio", "--name=x", f"--filename={device}", f"--rw={kind}", "--bs=128k", "--direct=1", f"--size={size}")


def test_bytes_and_commands_are_those_of_the_initiator(lio: LioArray, path: Path) -> None:
    """What fio wrote and read is what the LUN and its place in the target counted, in the kernel's whole MiB; another LUN of
    the target counted nothing of it."""
    lun, other = (lio.make_lun(64 * MIB, mask=INITIATOR) for _ in range(2))
    target, _ = lio.make_reachable_target()
    for one in (lun, other):
        lio.call("LunIscsi.AssociateTargets", id=one, targetIds=[target])
    name = lio.name_of(target)
    with lio.logged_in(target, 3260):
        device = disk_of(lun)
        disk_of(other)
        run("udevadm", "settle")
        before = after(path)
        move("write", device, 24 * MIB)
        move("read", device, 40 * MIB)
        found = after(path)
        for prefix, labels in (("lun", {}), ("target", {"target": name, "portal_group": "1"})):
            written, read = (f"vdsprovd_{prefix}_{what}_bytes_total" for what in ("written", "read"))
            assert found.value(written, lun=lun, **labels) - before.value(written, lun=lun, **labels) == 24 * MIB
            # Udev may look at the disk once more: its first and last blocks.
            assert 40 * MIB <= found.value(read, lun=lun, **labels) - before.value(read, lun=lun, **labels) <= 43 * MIB
            assert found.value(written, lun=other, **labels) == 0
            commands = f"vdsprovd_{prefix}_commands_total"
            # 128 KiB each
            assert (
                (64 * 8) <= found.value(commands, lun=lun, **labels) - before.value(commands, lun=lun, **labels) < 700
            )
        assert found.value("vdsprovd_target_sessions", target=name) == 1
        assert found.value("vdsprovd_target_logins_total", target=name) == 1
    assert found.value("vdsprovd_lun_aborts_total", lun=lun) == 0
    assert after(path).value("vdsprovd_target_sessions", target=name) == 0


def test_a_wrong_secret_is_counted(lio: LioArray, path: Path) -> None:
    """As a login that was not authenticated; one without an ACL as not authorized."""
    lun = lio.make_lun(mask=INITIATOR)
    target, _ = lio.make_reachable_target()
    lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    lio.call("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret="twelve-bytes")
    name = lio.name_of(target)

    def refused(initiator: str, secret: str) -> None:
        url = f"iscsi://{initiator}%{secret}@{ADDRESS}/{name}/0"
        done = subprocess.run(["iscsi-inq", "-i", initiator, url], capture_output=True, check=False, timeout=60)
        assert done.returncode != 0

    refused(INITIATOR, "another-secret")
    refused("iqn.2026-11.org.example:stranger", "twelve-bytes")
    found = after(path)
    failures = "vdsprovd_target_login_failures_total"
    assert found.value(failures, target=name, reason="not_authenticated") == 1
    assert found.value(failures, target=name, reason="not_authorized") == 1
    assert found.value("vdsprovd_target_logins_total", target=name) == 0


def test_counters_that_the_kernel_does_not_have_are_absent(
    lio: LioArray, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No sample, and no error, for what there is no attribute for."""
    lun = lio.make_lun()
    assert scrape(path).there("vdsprovd_lun_commands_total", lun=lun)
    monkeypatch.setitem(statistics._DISK, Count.COMMANDS, ("scsi_lu/of_a_later_kernel", 1))
    lio.restart()
    assert soon(path.is_socket)
    found = scrape(path)
    assert not found.there("vdsprovd_lun_commands_total", lun=lun)
    assert found.there("vdsprovd_lun_read_bytes_total", lun=lun)


def test_a_thin_pool_fills_as_it_is_written(lio: LioArray) -> None:
    """Data and metadata, at once: no audit is waited for."""
    with volume_group(lio.folder, [256], name="vdsprovd-thin") as group:
        run("lvcreate", "--type", "thin-pool", "-L", "128M", "--poolmetadatasize", "4M", "-n", "tp-0", group.name)
        pool = {"name": "thin0", "kind": "lvm", "vg": group.name, "thin-pool": "tp-0"}
        lio.configuration["subsystem"][0]["pool"].append(pool)
        lio.restart()
        path = watched(lio)
        assert soon(path.is_socket)
        lun = lio.make_lun(1 << 30, pool="thin0")
        before = after(path)
        device = f"/dev/{group.name}/{lun}"
        run("dd", "if=/dev/urandom", f"of={device}", "bs=1M", "count=32", "oflag=direct")
        found = after(path)
        labels = {"subsystem": "array0", "pool": "thin0"}
        assert found.value("vdsprovd_pool_size_bytes", **labels) == 128 * MIB
        assert found.value("vdsprovd_pool_provisioned_bytes", **labels) == 1 << 30
        used = "vdsprovd_pool_used_bytes"
        assert 31 * MIB <= found.value(used, **labels) - before.value(used, **labels) <= 33 * MIB
        assert found.value("vdsprovd_pool_metadata_size_bytes", **labels) == 4 * MIB
        assert 0 < found.value("vdsprovd_pool_metadata_used_bytes", **labels) < 4 * MIB
        lio.call("Lun.Delete", id=lun)
        lio.configuration["subsystem"][0]["pool"].pop()
        lio.restart()
        run("lvremove", "--yes", f"{group.name}/tp-0")
