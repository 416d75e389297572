"""vdsprovd --teardown on the kernel; what systemd makes of it is in tests/systemd/."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.arrays import INITIATOR, MIB, LioArray, run
from vdsprovd import __main__, administration

pytestmark = pytest.mark.lab


def begin(lio: LioArray, log: Path) -> int:
    """Start a teardown that does not wait long for the kernel; gives its pid."""
    if (pid := os.fork()) == 0:
        status = 1
        try:
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(descriptor, 2)
            sys.stderr = os.fdopen(2, "w", buffering=1)
            administration.TEARDOWN_TIMEOUT = 3.0
            status = __main__.main(["--config", str(lio.folder / "vdsprovd.toml"), "--teardown"])
        finally:
            os._exit(status)
    return pid


def ended(pid: int) -> int:
    """Its exit status."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_teardown_is_bounded_and_goes_on(lio: LioArray, tmp_path: Path) -> None:
    """It waits some time for a session whose disk does not answer, says for what, and gives up; run again it removes the
    rest. What the initiator was writing is written once the daemon has made everything anew."""
    target, _ = lio.make_reachable_target()
    lun = lio.make_lun(4 * MIB, mask=INITIATOR)
    lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    name, log, data = lio.name_of(target), tmp_path / "teardown", tmp_path / "data"
    log.touch()
    data.write_bytes(os.urandom(MIB))
    with lio.logged_in(target, 3260):
        run("udevadm", "settle")
        (disk,) = Path("/dev/disk/by-path").glob(f"ip-*-iscsi-{name}-lun-0")
        before = lio.kernel()
        lio.stop()
        with lio.hanging():
            writer = subprocess.Popen(["dd", f"if={data}", f"of={disk}", "bs=64k", "oflag=direct", "status=none"])
            time.sleep(1)
            first = begin(lio, log)
            deadline = time.monotonic() + 30
            while "try again later" not in log.read_text():
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert f"the kernel does not end portal group 1 of target {name}" in log.read_text()
        # It was waiting in the kernel, where nobody can end it.
        assert ended(first) == 69
        assert lio.facts() != []
        assert ended(begin(lio, log)) == 0, log.read_text()
        assert lio.facts() == []
        lio.start()
        assert lio.kernel() == before
        assert writer.wait(60) == 0
        assert (lio.pools_folder / "files0" / f"{lun}.lun").read_bytes()[:MIB] == data.read_bytes()
