"""The one place that runs programs: LVM's, and those that look for signatures."""

import subprocess

import msgspec

from vdsprovd.hardware import HardwareError, Mismatch, NoSpace, Refused, VolumeFailed

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


def start(*arguments: str) -> "subprocess.Popen[str]":
    """Start a program, whose end is awaited with `finish`. Raises `Refused` when it cannot be started."""
    try:
        # A process group of its own: Ctrl-C on a terminal is for the daemon. LVM, cut off half way, would leave devices
        # suspended. That is also why nothing here has a time limit.
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_ENVIRONMENT,
            process_group=0,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise Refused(f"cannot run {arguments[0]}: {error.strerror}; is the package lvm2 installed?") from error


def finish(process: "subprocess.Popen[str]") -> Outcome:
    """Wait for the program's end."""
    output, complaint = process.communicate()
    return Outcome(process.returncode, output, complaint)


def run(*arguments: str) -> Outcome:
    """Run a program to its end, however that is. Raises `Refused` when it cannot be started."""
    return finish(start(*arguments))


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


def copied(what: str, device: str) -> tuple[int, int]:
    """How many regions a device-mapper mirror has made alike, and how many it has."""
    outcome = run("dmsetup", "status", device)
    check(what, outcome)
    words = outcome.output.split()  # start, length, "mirror", the number of devices, those, done/all...
    done, _, total = words[4 + int(words[3])].partition("/")
    return int(done), int(total)
