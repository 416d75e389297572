"""What the guest's root file system is made of, and the name that follows from it."""

import hashlib
import json
import re
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

SUITE = "trixie"
# Builds of user-mode-linux before 7.2 die on processors with AMX ("ptrace set fp regs failed"), so trixie's is too old.
KERNEL_SUITE = "sid"
KERNEL_PACKAGE = "user-mode-linux"
# The kernel for --qemu is the suite's stock one.
STOCK_KERNEL_PACKAGE = "linux-image-amd64"

PACKAGES = (
    "ca-certificates",
    "dbus",  # one of targetcli's calls wants a system bus
    "debhelper",  # scripts/package
    "dh-python",
    "dmsetup",
    "dpkg-dev",
    "e2fsprogs",
    "fio",
    "fish",
    "gcc",  # a client in C, on libsystemd
    "gdisk",
    "go-md2man",
    "iproute2",
    "iputils-ping",
    "jq",
    "kmod",
    "ledmon",
    "less",
    "libc6-dev",
    "libiscsi-bin",
    "libsystemd-dev",
    "lintian",
    "lvm2",
    "mandoc",
    "multipath-tools",
    "ncurses-base",
    "open-iscsi",
    "openssh-client",  # on-host
    "openssh-server",
    "parted",
    "procps",
    "prometheus",
    "psmisc",
    "python3",
    "python3-venv",
    "sg3-utils",
    "strace",
    "systemd",
    "systemd-sysv",
    "targetcli-fb",
    "thin-provisioning-tools",
    "tmux",
    "udev",
    "util-linux",
    "vagrant",
    "xfsprogs",
    "zsh",
)
EXTRAS = ("daemon", "metrics", "shell", "test")
# Besides the newest, which the project's dependencies bring, and the suite's own: what Debian 12 has.
RTSLIB = ("2.1.75",)


@dataclass(frozen=True)
class Recipe:
    suite: str
    kernel_suite: str
    kernel_package: str
    packages: tuple[str, ...]
    dependencies: tuple[str, ...]
    rtslib: tuple[str, ...]
    scripts: tuple[tuple[str, str], ...]
    builder: str

    @property
    def name(self) -> str:
        text = json.dumps(asdict(self), sort_keys=True)
        return "rootfs-" + hashlib.sha256(text.encode()).hexdigest()[:16]


def read(checkout: Path) -> Recipe:
    project = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]
    extras = project.get("optional-dependencies", {})
    dependencies = [*project.get("dependencies", [])]
    for extra in EXTRAS:
        dependencies += extras.get(extra, [])
    return Recipe(
        suite=SUITE,
        kernel_suite=KERNEL_SUITE,
        kernel_package=KERNEL_PACKAGE,
        packages=tuple(sorted({*PACKAGES, *_of_the_package(checkout)})),
        dependencies=tuple(dependencies),
        rtslib=RTSLIB,
        scripts=tuple(sorted(project.get("scripts", {}).items())),
        # A change of how it is built is a change of what is built.
        builder=hashlib.sha256((Path(__file__).parent / "rootfs.py").read_bytes()).hexdigest(),
    )


def _of_the_package(checkout: Path) -> list[str]:
    """What the Debian package needs of Python's: a guest has no network from which to install it."""
    return re.findall(r"^ (python3-[a-z0-9-]+)", (checkout / "scripts/debian/control").read_text(), re.MULTILINE)


def stock_kernel_name() -> str:
    # Its archive moves to newer builds by itself; a new one is no reason to unpack again.
    builder = (Path(__file__).parent / "stock_kernel.py").read_bytes()
    text = f"{SUITE} {STOCK_KERNEL_PACKAGE} ".encode() + builder
    return "kernel-" + hashlib.sha256(text).hexdigest()[:16]
