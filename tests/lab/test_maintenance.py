"""Maintenance of disks that the kernel emulates: no enclosure can be had there, so the lights are in
tests/test_block_devices.py."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.arrays import MIB, run
from tests.lab.test_drives import arrived, attached
from vdsprovd.hardware import Mismatch, Refused, Unsupported
from vdsprovd.hardware.enclosures import Maintenance
from vdsprovd.model import MaintenanceOperation

pytestmark = pytest.mark.lab

BLINK, BEEP, DOWN, UP, PING = MaintenanceOperation


@pytest.fixture
def node() -> Iterator[str]:
    """The node of a SCSI disk."""
    run("modprobe", "scsi_debug", "dev_size_mb=16")
    yield arrived(1)[0].node
    run("udevadm", "settle")
    run("modprobe", "-r", "scsi_debug")


def read(node: str) -> None:
    """Read the disk's first bytes, past the cache."""
    run("dd", f"if={node}", "of=/dev/null", "bs=4k", "count=1", "iflag=direct")


def test_spinning(node: str) -> None:
    """A disk that is spun down reads nothing, still answers, and reads again once it is spun up."""
    maintenance = Maintenance()
    assert maintenance.supported(node) == {DOWN, UP, PING}
    maintenance.start(node, DOWN)
    with pytest.raises(AssertionError, match="Input/output error"):
        read(node)
    maintenance.start(node, PING)
    maintenance.stop(node, DOWN)
    with pytest.raises(AssertionError, match="Input/output error"):
        read(node)
    maintenance.start(node, UP)
    read(node)
    maintenance.start(node, PING)


def test_a_sleeping_disk_is_left_alone(node: str) -> None:
    """Looking for free disks does not read one again that nobody has written to."""
    maintenance = Maintenance()
    maintenance.start(node, DOWN)
    run("udevadm", "settle")
    assert [entry.holder for entry in arrived(1)] == [""]
    maintenance.start(node, UP)


def test_a_disk_in_use_is_not_spun_down(node: str, tmp_path: Path) -> None:
    """Neither a mounted disk nor one that somebody has open for themselves."""
    maintenance = Maintenance()
    run("mkfs.ext4", "-q", node)
    run("mount", node, str(tmp_path))
    with pytest.raises(Refused, match="in use"):
        maintenance.start(node, DOWN)
    maintenance.start(node, PING)
    run("umount", str(tmp_path))
    descriptor = os.open(node, os.O_RDONLY | os.O_EXCL)
    with pytest.raises(Refused, match="in use"):
        maintenance.start(node, DOWN)
    os.close(descriptor)
    read(node)


def test_a_disk_that_does_not_answer(node: str) -> None:
    """An offline disk has no pulse, and one that is gone is no disk."""
    maintenance = Maintenance()
    state = Path("/sys/block", Path(node).name, "device/state")
    state.write_text("offline\n")
    with pytest.raises((Refused, Mismatch)):
        maintenance.start(node, PING)
    state.write_text("running\n")
    maintenance.start(node, PING)
    with pytest.raises(Mismatch, match="/dev/sdzz is not there"):
        maintenance.start("/dev/sdzz", PING)


def test_other_disks(tmp_path: Path) -> None:
    """A disk that does not speak SCSI is read for a sign of life, and does nothing else."""
    file = Path("/srv/disk")
    with file.open("wb") as opened:
        opened.truncate(16 * MIB)
    maintenance = Maintenance()
    with attached(file) as node:
        assert maintenance.supported(node) == {PING}
        maintenance.start(node, PING)
        for operation in (BLINK, BEEP, DOWN, UP):
            with pytest.raises(Unsupported):
                maintenance.start(node, operation)
        file.write_bytes(b"")
        with pytest.raises(Refused, match="does not answer"):
            maintenance.start(node, PING)
    file.unlink()


def test_no_light_without_an_enclosure(node: str) -> None:
    """The real ledctl is there and knows no controller of the disk; an emulated enclosure has no slots."""
    assert run("ledctl", "--version")
    assert run("ledctl", "--list-controllers", check=False) == ""
    maintenance = Maintenance()
    assert BLINK not in maintenance.supported(node)
    for act in (maintenance.start, maintenance.stop):
        with pytest.raises(Unsupported, match="cannot blink_light"):
            act(node, BLINK)
