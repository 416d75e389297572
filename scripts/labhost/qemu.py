"""The second opinion: the distribution's stock kernel on two processors, under software emulation."""

import subprocess
from pathlib import Path

from labhost.ending import UNAVAILABLE, LabError
from labhost.uml import Wiring

NETWORK_DEVICE = "eth0"


def mount_modules(root: Path, kernel: Path) -> None:
    raise LabError("--qemu is not there yet", UNAVAILABLE)


def start(root: Path, kernel: Path, number: int, memory: int, wiring: Wiring) -> subprocess.Popen[bytes]:
    raise LabError("--qemu is not there yet", UNAVAILABLE)
