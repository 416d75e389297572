"""The usual guest: a kernel that is an ordinary process (user-mode Linux)."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from labhost.prerequisites import SEARCH_PATH

# As the guest calls them; four lines, see scripts/guest/run.
LINE = "/dev/ttyS"
NETWORK_DEVICE = "vec0"

# What takes seconds of a boot with systemd and does nothing for a guest that lives for a minute. The unit that restores
# targets is among them: the kernel's configuration is to be what COMMAND makes of it.
SYSTEMD_SETTINGS = (
    "systemd.condition_needs_update=no",
    *(
        f"systemd.mask={unit}"
        for unit in (
            "e2scrub_reap.service",
            "modprobe@drm.service",
            "modprobe@efi_pstore.service",
            "modprobe@fuse.service",
            "proc-sys-fs-binfmt_misc.automount",
            "rtslib-fb-targetctl.service",
            "systemd-pstore.service",
        )
    ),
)


@dataclass(frozen=True)
class Wiring:
    """The file descriptors that join a guest to the lab."""

    console: int
    output: int
    error: int
    control: int
    terminal_in: int
    terminal_out: int
    network: int | None

    def all(self) -> list[int]:
        ends = [self.console, self.output, self.error, self.control, self.terminal_in, self.terminal_out]
        return ends if self.network is None else [*ends, self.network]


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
        f"ssl3=fd:{wiring.terminal_in},fd:{wiring.terminal_out}",
        # Ends the process at a panic.
        "panic=-1",
        # Twice as fast as tracing; it falls back to that where the machine has no seccomp.
        "seccomp=auto",
        "quiet",
        "loglevel=6",
        *SYSTEMD_SETTINGS,
        f"lab.host={number}",
        f"lab.line={LINE}",
    ]
    if wiring.network is not None:
        command.append(f"{NETWORK_DEVICE}:transport=fd,fd={wiring.network},depth=64,mac=52:54:00:77:00:{number:02x}")
    return subprocess.Popen(
        command,
        # The kernel's memory is a file in TMPDIR.
        env={"TMPDIR": "/tmp", "HOME": "/tmp", "PATH": SEARCH_PATH},  # noqa: S108 -- of the chroot, ours alone
        pass_fds=wiring.all(),
        stdin=subprocess.DEVNULL,
        stdout=wiring.console,
        stderr=wiring.console,
    )
