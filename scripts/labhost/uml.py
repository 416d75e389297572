"""The usual guest: a kernel that is an ordinary process (user-mode Linux)."""

import subprocess
from pathlib import Path

from labhost import processors
from labhost.guest import COMMON_SETTINGS, Wiring
from labhost.prerequisites import SEARCH_PATH

# As the guest calls them; four lines, see scripts/guest/run.
LINE = "/dev/ttyS"
NETWORK_DEVICE = "vec0"


def start(root: Path, number: int, memory: int, wiring: Wiring) -> subprocess.Popen[bytes]:
    command = [
        "chroot",
        str(root),
        "/usr/bin/linux.uml",
        f"mem={memory}M",
        f"umid=host{number}",
        "uml_dir=/tmp/",
        # Writable for the sake of shared folders; the guest's first act is to go under an overlay.
        "root=/dev/root",
        "rootfstype=hostfs",
        "rootflags=/",
        "rw",
        "init=/lab/guest/init",
        "con=null",
        f"con0=null,fd:{wiring.console}",
        "ssl=null",
        f"ssl0=null,fd:{wiring.output}",
        f"ssl1=null,fd:{wiring.error}",
        f"ssl2=null,fd:{wiring.control}",
        f"ssl3=fd:{wiring.terminal}",
        # Ends the process at a panic.
        "panic=-1",
        # Twice as fast as tracing; it falls back to that where the machine has no seccomp.
        "seccomp=auto",
        "quiet",
        "loglevel=6",
        *COMMON_SETTINGS,
        f"lab.host={number}",
        f"lab.line={LINE}",
    ]
    if wiring.network is not None:
        command.append(f"{NETWORK_DEVICE}:transport=fd,fd={wiring.network},depth=64,mac=52:54:00:77:00:{number:02x}")
    with processors.one(root.parents[1]) as held:  # the cache, which all labs of this user share
        return subprocess.Popen(
            command,
            # The kernel's memory is a file in TMPDIR.
            env={"TMPDIR": "/tmp", "HOME": "/tmp", "PATH": SEARCH_PATH},  # noqa: S108 -- of the chroot, ours alone
            pass_fds=[*wiring.all(), held],
            stdin=subprocess.DEVNULL,
            stdout=wiring.console,
            stderr=wiring.console,
        )
