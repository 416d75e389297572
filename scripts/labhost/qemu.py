"""The second opinion: the distribution's stock kernel on two processors, under software emulation."""

import subprocess
from pathlib import Path

from labhost.guest import COMMON_SETTINGS, Wiring

LINE = "/dev/hvc"
NETWORK_DEVICE = "eth0"


def start(root: Path, kernel: Path, number: int, memory: int, wiring: Wiring) -> subprocess.Popen[bytes]:
    settings = [
        "console=ttyS0",
        "net.ifnames=0",
        # A restart would run COMMAND again.
        "panic=-1",
        "quiet",
        "loglevel=6",
        *COMMON_SETTINGS,
        f"lab.host={number}",
        f"lab.line={LINE}",
    ]
    command = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    command += ["-accel", "tcg,thread=multi", "-cpu", "max,la57=off", "-smp", "2", "-m", f"{memory}M"]
    command += ["-kernel", str(kernel / "vmlinuz"), "-initrd", str(kernel / "initramfs")]
    command += ["-append", " ".join(settings)]
    command += ["-fsdev", f"local,id=root,path={root},security_model=passthrough,multidevs=remap"]
    command += ["-device", "virtio-9p-pci,fsdev=root,mount_tag=root"]
    command += ["-object", "rng-random,id=random,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=random"]
    command += ["-chardev", f"file,id=console,path=/proc/self/fd/{wiring.console}", "-serial", "chardev:console"]
    command += ["-device", "virtio-serial-pci"]
    for name, descriptor in (("output", wiring.output), ("error", wiring.error), ("control", wiring.control)):
        command += ["-chardev", f"file,id={name},path=/proc/self/fd/{descriptor}"]
        command += ["-device", f"virtconsole,chardev={name}"]
    command += ["-chardev", f"socket,id=terminal,fd={wiring.terminal}", "-device", "virtconsole,chardev=terminal"]
    if wiring.network is not None:
        command += ["-netdev", f"dgram,id=network,local.type=fd,local.str={wiring.network}"]
        command += ["-device", f"virtio-net-pci,netdev=network,mac=52:54:00:77:00:{number:02x}"]
    return subprocess.Popen(
        command,
        pass_fds=wiring.all(),
        stdin=subprocess.DEVNULL,
        stdout=wiring.console,
        stderr=wiring.console,
    )
