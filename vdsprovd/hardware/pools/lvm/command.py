"""The one place that runs programs: LVM's, and those that look for signatures."""

import fcntl
import logging
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from vdsprovd.asking import asking
from vdsprovd.hardware import Fill, HardwareError, Mismatch, NoSpace, Refused, VolumeFailed

log = logging.getLogger(__name__)

_AGAIN = 0.2
"""Seconds until a program that was told to end is told again."""
PATIENCE = 60
"""Seconds."""
_DMSETUP = 5.0
"""Seconds that device-mapper has to tell what it has in memory."""
_SECTOR, _METADATA_BLOCK = 512, 4096
"""Bytes: the unit of device-mapper's tables, and a block of a thin pool's metadata, whose size is fixed."""
LOCK = "/run/vdsprovd.programs"
"""Locked, shared, by each program that runs: it is their standard input, which is empty."""

_ENVIRONMENT = {
    "LC_ALL": "C",
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    # A thread that forks a daemon's child between our opening a file and exec would make LVM complain of a leak.
    "LVM_SUPPRESS_FD_WARNINGS": "1",
}

_MEANINGS: tuple[tuple[str, type[HardwareError]], ...] = (
    ("insufficient free space", NoSpace),
    ("insufficient suitable", NoSpace),
    ("not enough free", NoSpace),
    ("above threshold", NoSpace),
    ("pvs are missing", NoSpace),  # LVM allocates nothing in a volume group that misses a drive
    ("too large for circular buffer", NoSpace),  # the drives have no room for LVM's metadata
    ("error writing", VolumeFailed),
    ("input/output error", VolumeFailed),
    ("already exists", Mismatch),
    ("not found", Mismatch),
    ("failed to find", Mismatch),
)


class Outcome(msgspec.Struct, frozen=True):
    """What a program said and how it ended."""

    status: int
    output: str
    complaint: str

    @property
    def text(self) -> str:
        """Its complaint as one line for people: the errors, or the warnings if there is nothing else."""
        lines = [line.strip() for line in self.complaint.splitlines() if line.strip()]
        errors = [line for line in lines if not line.startswith("WARNING:")]
        return "; ".join(line.rstrip(".") for line in errors or lines) or f"it ended with status {self.status}"


class Running:
    """A program that runs, and what it says."""

    def __init__(self, arguments: Sequence[str], stdin: int) -> None:
        # To files in memory: a program whose daemon is killed would be killed by a pipe that nobody reads. A process group
        # of its own: Ctrl-C on a terminal is for the daemon. LVM, cut off half way, would leave devices suspended. That
        # is also why nothing here has a time limit.
        self._outcome: Outcome | None = None
        self._name = arguments[:2]
        self._said = [os.memfd_create("output"), os.memfd_create("complaint")]
        try:
            self.process = subprocess.Popen(
                arguments,
                stdin=stdin,
                stdout=self._said[0],
                stderr=self._said[1],
                env=_ENVIRONMENT,
                process_group=0,
            )
        except OSError as error:
            self._close()
            raise Refused(f"cannot run {arguments[0]}: {error.strerror}; is the package lvm2 installed?") from error

    def ended(self) -> bool:
        """Whether it has come to its end."""
        if self.process.poll() is None:
            return False
        self.finish()
        return True

    def finish(self, patience: float | None = None) -> Outcome:
        """Wait for its end. Raises `TimeoutError` when that does not come within so many seconds; it runs on then."""
        with asking(f"run {' '.join(self._name)}"):
            try:
                status = self.process.wait(patience)
            except subprocess.TimeoutExpired as error:
                raise TimeoutError(f"{self._name[0]} does not end") from error
        if self._outcome is None:
            said = [os.pread(descriptor, os.fstat(descriptor).st_size, 0) for descriptor in self._said]
            self._close()
            self._outcome = Outcome(status, *(text.decode(errors="replace") for text in said))
        return self._outcome

    def _close(self) -> None:
        for descriptor in self._said:
            os.close(descriptor)


def start(*arguments: str) -> Running:
    """Start a program that runs to its end even when the daemon is killed; the next one's start waits for that. Raises
    `Refused` when it cannot be started."""
    with _lock(fcntl.LOCK_SH) as descriptor:
        # LVM closes all descriptors but the first three.
        return Running(arguments, descriptor)


def start_mortal(*arguments: str) -> Running:
    """Start a program that is told to end when the daemon is killed. LVM obeys when it has no lock, and so nothing half
    done. Raises `Refused`."""
    # Whose daemon was killed before it could ask to be told is somebody else's child by now, and does not begin.
    unless_orphaned = ("sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"', str(os.getpid()))
    return Running(("setpriv", "--pdeathsig", "TERM", *unless_orphaned, *arguments), subprocess.DEVNULL)


def end(program: Running) -> Outcome:
    """End a program that was started mortal. It is told again and again: LVM forgets that it was told to end while it
    begins."""
    while True:
        program.process.terminate()
        with suppress(TimeoutError):
            return program.finish(_AGAIN)


def end_former(*arguments: str) -> None:
    """End the programs that begin with these arguments and were a former daemon's, which are told as in `end`."""
    wanted = "\0".join((*arguments, "")).encode()
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and (
        left := [pid for pid in _orphans() if _command_line(pid).startswith(wanted)]
    ):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        time.sleep(_AGAIN)


def _orphans() -> list[int]:
    """The processes that are not this one's children."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = folder.joinpath("stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) != os.getpid():
                found.append(int(folder.name))
    return found


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def wait_for_former() -> None:
    """Wait until the programs that a daemon before this one has started, and that outlived it, have come to their end; not
    for ever, as one may hang."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(BlockingIOError), _lock(fcntl.LOCK_EX | fcntl.LOCK_NB):
            return
        time.sleep(0.05)
    log.warning("a program that an earlier vdsprovd has started does not end; `fuser %s` says which", LOCK)


@contextmanager
def _lock(kind: int) -> Iterator[int]:
    descriptor = os.open(LOCK, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, kind)
        yield descriptor
    finally:
        os.close(descriptor)


def run(*arguments: str) -> Outcome:
    """Run a program to its end, however that is. Raises `Refused` when it cannot be started."""
    return start(*arguments).finish()


def noticed(node: str) -> None:
    """Wait until udev, if it runs, has looked at the disk once more; not for ever."""
    if Path("/run/udev/control").exists():
        with suppress(Refused):
            run("timeout", "10", "udevadm", "trigger", "--settle", node)


def lvm(what: str, *arguments: str) -> None:
    """Run a command of LVM; `what` completes "cannot ...". Raises `NoSpace`, `Mismatch`, `Refused`."""
    check(what, run("lvm", *arguments))


def check(what: str, outcome: Outcome) -> None:
    """Raise what the outcome means, if it is a failure."""
    if outcome.status:
        text = outcome.text
        kind = next((kind for words, kind in _MEANINGS if words in text.lower()), Refused)
        raise kind(f"cannot {what}: {text}")


class _Signature(msgspec.Struct):
    type: str


class _Signatures(msgspec.Struct):
    signatures: list[_Signature] = []


def signatures(what: str, node: str) -> list[str]:
    """The kinds of file systems, partition tables and the like that are on a block device."""
    outcome = run("wipefs", "--json", node)
    check(what, outcome)
    found = msgspec.json.decode(outcome.output or "{}", type=_Signatures)
    return sorted({signature.type for signature in found.signatures})


def labelled(node: str) -> bool:
    """Whether the block device is a physical volume in no volume group."""
    outcome = run("lvm", "pvs", "--noheadings", "--options", "vg_name", node)
    return outcome.status == 0 and not outcome.output.strip()


def copied(what: str, device: str) -> tuple[int, int]:
    """How many regions a device-mapper mirror has made alike, and how many it has."""
    outcome = run("dmsetup", "status", device)
    check(what, outcome)
    words = outcome.output.split()  # start, length, "mirror", the number of devices, those, done/all...
    done, _, total = words[4 + int(words[3])].partition("/")
    return int(done), int(total)


def thin_pool(what: str, vg: str, name: str) -> Fill:
    """How full the thin pool is, as device-mapper has it: LVM is not asked, and no lock is taken. Raises `VolumeFailed`."""
    device = "-".join((vg.replace("-", "--"), name.replace("-", "--"), "tpool"))
    # What is not committed yet is not waited for.
    try:
        outcome = start("dmsetup", "status", "--noflush", device).finish(_DMSETUP)
    except TimeoutError as error:
        raise VolumeFailed(f"cannot {what}: device-mapper does not answer") from error
    # start, length, "thin-pool", transaction, blocks of metadata and of data used/all...; only "Fail" of a broken one
    words = outcome.output.split()
    if outcome.status or len(words) < 6:
        raise VolumeFailed(f"cannot {what}: {outcome.text if outcome.status else 'the thin pool has failed'}")
    size = int(words[1]) * _SECTOR
    (metadata_used, metadata), (data_used, data) = (map(int, word.split("/")) for word in words[4:6])
    return Fill(size, size * data_used // data, metadata * _METADATA_BLOCK, metadata_used * _METADATA_BLOCK)
