"""The one place that runs programs: LVM's, and those that look for signatures."""

import subprocess
from collections.abc import Callable

import msgspec

from vdsprovd.hardware import HardwareError, Mismatch, NoSpace, Refused

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
    """A program on its way."""

    def __init__(self, *arguments: str) -> None:
        # A process group of its own: Ctrl-C on a terminal is for the daemon. LVM, cut off half way, would leave devices
        # suspended. That is also why nothing here has a time limit.
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_ENVIRONMENT,
            process_group=0,
            text=True,
            errors="replace",
        )

    def wait(self, poll: Callable[[], None] | None = None, seconds: float | None = None) -> Outcome:
        """Wait for its end; with `poll`, call that every so many seconds. What `poll` raises does not end the program."""
        while True:
            try:
                output, complaint = self._process.communicate(timeout=seconds if poll else None)
            except subprocess.TimeoutExpired:
                assert poll is not None
                poll()
            else:
                return Outcome(self._process.returncode, output, complaint)


def run(*arguments: str) -> Outcome:
    """Run a program to its end, however that is. Raises `Refused` when it cannot be started."""
    try:
        return Running(*arguments).wait()
    except OSError as error:
        raise Refused(f"cannot run {arguments[0]}: {error.strerror}; is the package lvm2 installed?") from error


def lvm(what: str, *arguments: str) -> None:
    """Run a command of LVM; `what` completes "cannot ...". Raises `NoSpace`, `Mismatch`, `Refused`."""
    check(what, run("lvm", *arguments))


def check(what: str, outcome: Outcome) -> None:
    """Raise what the outcome means, if it is a failure."""
    if outcome.status:
        text = outcome.text
        kind = next((kind for words, kind in _MEANINGS if words in text.lower()), Refused)
        raise kind(f"cannot {what}: LVM says: {text}")
