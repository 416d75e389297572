"""What the lab needs on the machine, and the Debian packages that bring it."""

import os
import shutil
import subprocess

from labhost.ending import UNAVAILABLE, LabError, say

# Program -> Debian package.
RUNNING = {"unshare": "util-linux", "mount": "mount", "chroot": "coreutils"}
BUILDING = {
    "mmdebstrap": "mmdebstrap",
    "apt-get": "apt",
    "apt-config": "apt",
    "apt-cache": "apt",
    "dpkg": "dpkg",
    "dpkg-deb": "dpkg",
}
UNPRIVILEGED = {"newuidmap": "uidmap", "newgidmap": "uidmap"}
EMULATION = {"qemu-system-x86_64": "qemu-system-x86"}

# sbin is missing from the PATH of many users; chroot and others live there.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def require(programs: dict[str, str], *, install: bool) -> None:
    """Makes sure that PROGRAMS are there; installs their packages if INSTALL, else says how."""
    missing = sorted({package for program, package in programs.items() if not _there(program)})
    if not missing:
        return
    sudo = "" if os.geteuid() == 0 else "sudo "
    command = f"{sudo}apt-get install --no-install-recommends -y {' '.join(missing)}"
    names = ", ".join(sorted(program for program in programs if not _there(program)))
    if not install:
        # What the lab needs as root and what it needs without are not the same, so --yes is no advice for others.
        offer = "\n     or call the lab with --yes and it does that itself" if os.geteuid() == 0 else ""
        raise LabError(
            f"missing on this machine: {names} (Debian: {' '.join(missing)})\n     {command}{offer}", UNAVAILABLE
        )
    if os.geteuid() != 0:
        raise LabError(f"--yes installs packages and needs root; run this: {command}", UNAVAILABLE)
    say(f"installing {' '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update"], ["install", "--no-install-recommends", "-y", *missing]):
        # Standard output is COMMAND's alone.
        done = subprocess.run(["apt-get", *step], env=environment, stdin=subprocess.DEVNULL, stdout=2, check=False)
        if done.returncode != 0:
            raise LabError(f"apt-get {step[0]} failed with status {done.returncode}", UNAVAILABLE)
    still = sorted(program for program in programs if not _there(program))
    if still:
        raise LabError(f"still missing after the installation: {', '.join(still)}", UNAVAILABLE)


def _there(program: str) -> bool:
    return shutil.which(program, path=SEARCH_PATH) is not None
