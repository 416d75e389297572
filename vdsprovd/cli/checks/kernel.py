"""The kernel's side: modules, configfs, the clock."""

import ctypes
from collections.abc import Iterator
from typing import Final

from vdsprovd.cli.checks.host import Finding, Host

MODULES: Final = ("target_core_mod", "target_core_file", "target_core_iblock", "iscsi_target_mod")
CONFIGFS: Final = "/sys/kernel/config"

_TIME_ERROR: Final = 5
"""What adjtimex(2) returns when the clock is not synchronized."""
_TIMEX: Final = 512
"""Bytes; struct timex has some 200."""


def modules(host: Host) -> Iterator[Finding]:
    """Whether LIO's modules are loaded, or built in."""
    missing = [module for module in MODULES if not host.path(f"/sys/module/{module}").exists()]
    if not missing:
        yield Finding("ok", "kernel modules", f"{', '.join(MODULES)} are loaded")
        return
    release = host.read("/proc/sys/kernel/osrelease").strip()
    there = host.path(f"/lib/modules/{release}/kernel/drivers/target").is_dir()
    yield Finding(
        "fail",
        "kernel modules",
        f"not loaded: {', '.join(missing)}",
        f"modprobe -a {' '.join(missing)}"
        if there
        else f"this kernel ({release}) comes without LIO: install one that has it, such as Debian's linux-image-amd64",
    )


def configfs(host: Host) -> Iterator[Finding]:
    """Whether configfs is mounted where LIO is configured."""
    mounted = any(line.split()[1:3] == [CONFIGFS, "configfs"] for line in host.read("/proc/mounts").splitlines())
    if not mounted:
        yield Finding("fail", "configfs", f"not mounted at {CONFIGFS}", f"mount -t configfs none {CONFIGFS}")
    elif not host.path(f"{CONFIGFS}/target").is_dir():
        yield Finding("fail", "configfs", f"{CONFIGFS} has no folder target", "modprobe target_core_mod")
    else:
        yield Finding("ok", "configfs", f"mounted at {CONFIGFS}, with the kernel's target")


def clock() -> Iterator[Finding]:
    """Whether the clock is kept right: logs of hosts and initiators are compared by it."""
    libc = ctypes.CDLL(None, use_errno=True)
    # With modes 0, as in an empty buffer, it only reads (adjtimex(2)).
    if libc.adjtimex(ctypes.create_string_buffer(_TIMEX)) == _TIME_ERROR:
        yield Finding(
            "warn",
            "time",
            "the clock is not synchronized: times in logs cannot be compared with those of initiators",
            "timedatectl set-ntp true, or start chronyd",
        )
    else:
        yield Finding("ok", "time", "the clock is synchronized")
