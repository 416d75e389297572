"""fio on every disk that this host is logged in to, and what must not have happened to it, to sessions and to the kernel."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.arrays import INITIATOR
from tests.programs import run

SESSIONS = Path("/sys/class/iscsi_session")
BROKEN = re.compile(r"I/O error|detected conn error|session recovery|Buffer I/O|rejecting I/O|Unaligned|hung task")
"""In the kernel's log."""


def disks(count: int) -> list[str]:
    """The nodes of the disks of all sessions, which are that many."""
    found = [f"/dev/{disk.name}" for session in SESSIONS.iterdir() for disk in session.glob("device/target*/*/block/*")]
    assert len(found) == count
    return sorted(found)


def sessions(count: int) -> list[str]:
    """What names a session as both sides know it: one that was broken and is back has another number at LIO."""
    numbers = Path("/sys/kernel/config/target/iscsi").glob(f"iqn*/tpgt_*/acls/{INITIATOR}/info")
    lines = [line for file in numbers for line in file.read_text().splitlines() if "Session ID" in line]
    assert len(lines) == count
    states = [f"{path.name} {(path / 'state').read_text()}" for path in SESSIONS.iterdir()]
    return sorted(lines) + sorted(states)


class Load:
    """How often fio has written and verified all that it does in a pass."""

    passes = 0


@contextmanager
def writing(folder: Path, count: int, logins: int) -> Iterator[Load]:
    """Within it fio writes that many disks, of so many sessions, through O_DIRECT, over and over, and verifies what it wrote
    by checksums. Nothing may have gone wrong at its end: not for fio, not for a session."""
    load = Load()
    run("udevadm", "settle")
    # fio keeps its place on the disks and the seed of its bytes: what an earlier pass left does not pass for new.
    settings = [
        "--rw=randwrite",
        "--bs=16k",
        "--direct=1",
        "--ioengine=libaio",
        "--iodepth=4",
        "--verify=crc32c",
        "--verify_fatal=1",
        "--verify_backlog=64",
        "--randrepeat=0",
        "--rate=2m,2m",
        "--group_reporting",
        "--output-format=terse",
    ]
    jobs = [f"--name={disk} --filename={disk}".split() for disk in disks(count)]
    before, log = sessions(logins), len(_kernel_log())
    stop, report = folder / "stop", folder / "fio"
    script = 'while [ ! -e "$0" ]; do "$@" || exit; echo passed; done'
    arguments = ["fio", *settings, *(word for job in jobs for word in job)]
    with report.open("w") as file:
        # Its own group: to end it when a test fails.
        fio = subprocess.Popen(
            ["sh", "-c", script, str(stop), *arguments], stdout=file, stderr=file, start_new_session=True
        )
    try:
        yield load
        stop.touch()
        assert fio.wait(120) == 0, report.read_text()
    finally:
        if fio.poll() is None:
            os.killpg(fio.pid, signal.SIGKILL)
            fio.wait()
        stop.unlink(missing_ok=True)
    load.passes = report.read_text().splitlines().count("passed")
    assert load.passes
    assert [line for line in _kernel_log()[log:] if BROKEN.search(line)] == []
    assert sessions(logins) == before


def _kernel_log() -> list[str]:
    return run("dmesg").splitlines()
