"""A stop is bounded, whatever commands wait for."""

import os
import signal
import time

import pytest

from tests.arrays import LioArray
from tests.programs import MIB
from vdsprovd.provider import context

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]


def be_impatient() -> None:
    """In the daemon's process: it waits for less long than it otherwise would."""
    context.DRAIN = 2.0


def test_a_stop_leaves_a_lun_that_takes_long(lio: LioArray) -> None:
    """A LUN is being made on drives that answer slowly: the stop waits a while for it, then ends in an orderly way, and the
    next start undoes what was cut off."""
    lio.add_drives()
    before = lio.kernel()
    lio.stop()
    lio.before_main = be_impatient
    lio.start()
    (drive, *_) = lio.group.drives
    drive.slow(200)
    wanted = {"type": "simple", "sizeInBytes": 28 * MIB, "driveIds": [lio.drives()["drive0"]]}
    begun = lio.call("SubSystem.CreateLun", id=lio.sub_systems()["array2"], **wanted)
    time.sleep(1)
    assert lio.call("Async.QueryStatus", id=begun["async"])["percentCompleted"] < 100
    start = time.monotonic()
    assert lio.end(signal.SIGTERM) == 0
    assert 2 <= time.monotonic() - start < 12
    log = lio.log.read_text()
    assert "1 operations are still under way" in log
    assert "threads are still at work" not in log
    drive.mend()
    lio.start()
    assert lio.call("SubSystem.QueryLuns", id=lio.sub_systems()["array2"])["luns"] == []
    assert lio.group.names() == set()
    assert lio.kernel() == before


def test_a_stop_leaves_a_disk_that_hangs(lio: LioArray) -> None:
    """A LUN's file is being made on a disk that does not answer: nobody can end a process that waits for it; it tells so,
    and is gone as soon as the disk answers."""
    lio.stop()
    lio.before_main = be_impatient
    lio.start()
    with lio.hanging():
        lio.call("SubSystem.CreateLun", id=lio.sub_system, type="simple", sizeInBytes=MIB)
        time.sleep(1)
        lio.connection.close()
        os.kill(lio.pid, signal.SIGTERM)
        deadline = time.monotonic() + 20
        while "1 operations are still under way" not in lio.log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(1)
    start = time.monotonic()
    assert os.waitstatus_to_exitcode(os.waitpid(lio.pid, 0)[1]) == 0
    assert time.monotonic() - start < 5
    lio.start()
    assert lio.call("SubSystem.QueryLuns", id=lio.sub_system)["luns"] == []
