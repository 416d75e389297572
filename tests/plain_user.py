"""A user without root, on a view of this machine that is gone at the end: the machine itself stays as it is.

The view is a mount namespace with overlays in memory. The user is made there with the usual tools, and what it needs to
map ids (Debian's uidmap) is installed there if the machine has none.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NAME = "lab-user"
HOME = Path("/home", NAME)
PATH = "/usr/local/bin:/usr/bin:/bin"  # as users have it, without sbin
# Nobody else's on this machine, so that what is the user's can be told from what is not: not those of other users, nor
# of containers, nor of the same test in another checkout.
UID = 1_900_000_000 + os.getpid() % 2000 * 100_000
IDS = range(UID + 1, UID + 1 + 65536)
NO_OVERLAY = 77

# The arguments are a folder for the overlays, and the one that becomes the user's home. The latter is on the disk, and
# seen before the overlays are over it.
SET_UP = f"""
{{
  mount --bind "$2" /mnt
  mount -t tmpfs machine "$1"
  for folder in etc home usr var; do
    mkdir "$1/$folder" "$1/$folder-work"
    options=lowerdir=/$folder,upperdir=$1/$folder,workdir=$1/$folder-work
    [ ! -e /$folder ] || mount -t overlay -o "$options" overlay /$folder || exit {NO_OVERLAY}
  done
  echo {NAME}:{IDS.start}:{len(IDS)} | tee -a /etc/subuid >>/etc/subgid
  useradd --uid {UID} --user-group --create-home --home-dir {HOME} --no-log-init --shell /bin/sh {NAME}
  mount --move /mnt {HOME}
  chmod 755 {HOME}
  for program in newuidmap newgidmap python3; do
    if ! PATH={PATH} command -v $program; then
      apt-get -q update
      apt-get -q install --no-install-recommends -y python3 uidmap
      break
    fi
  done
  chown -R {NAME}: {HOME}
}} >&2
echo ready
exec cat
"""


class NoView(Exception):
    """This machine cannot make such a view of itself."""


@dataclass(frozen=True)
class PlainUser:
    view: int
    """A process that lives in it, and its mount namespace with it."""
    home: Path
    """HOME, as the machine itself sees it."""

    def command(self, *command: str, changes: str = "", **variables: str) -> list[str]:
        """COMMAND as the user, in its home. CHANGES are mounts, in shell, that root makes for this call alone."""
        chosen = {"HOME": str(HOME), "USER": NAME, "LOGNAME": NAME, "PATH": PATH, **variables}
        # The caller's proxies and registries are the machine's; its folders are its own.
        hidden = [name for name in os.environ if name.startswith(("XDG_", "VDSPROVD_")) or name == "TMPDIR"]
        user = ["setpriv", f"--reuid={NAME}", f"--regid={NAME}", "--init-groups", "env", f"--chdir={HOME}"]
        user += [f"--unset={name}" for name in hidden] + [f"{name}={value}" for name, value in chosen.items()]
        if changes:
            user = ["unshare", "--mount", "sh", "-ec", f'{changes}; exec "$@"', "sh", *user]
        return ["nsenter", f"--mount=/proc/{self.view}/ns/mnt", "--", *user, *command]

    def processes(self) -> dict[int, str]:
        """The user's, also those with ids of its range, with their names."""
        found = {}
        for status in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):
                lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
                uid = int(lines["Uid"].split()[0])
                if uid == UID or uid in IDS:
                    found[int(status.parent.name)] = lines["Name"].strip()
        return found

    def mounts(self) -> str:
        return Path("/proc", str(self.view), "mountinfo").read_text()


@contextlib.contextmanager
def plain_user(folder: Path, checkout: Path) -> Iterator[PlainUser]:
    """A user whose home is in FOLDER, on a disk, and has a copy of CHECKOUT named `vdsprovd`."""
    with Path("/proc/self/uid_map").open() as known:
        spans = [[int(field) for field in line.split()] for line in known]
    if not any(start <= UID and IDS.stop <= start + count for start, _, count in spans):
        raise NoView(f"the ids {UID} to {IDS.stop} are not known in this container")
    home, overlays, log = folder / "home", folder / "overlays", folder / "log"
    overlays.mkdir()
    rubbish = shutil.ignore_patterns(".git", ".venv*", ".*_cache", "__pycache__", "*.egg-info")
    shutil.copytree(checkout, home / "vdsprovd", ignore=rubbish)
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", SET_UP, "sh", str(overlays), str(home)]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # its end is that of the view
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        ) as view,
    ):
        assert view.stdout is not None
        if view.stdout.readline() != "ready\n":
            status = view.wait()
            if status == NO_OVERLAY:
                raise NoView(log.read_text())
            raise AssertionError(f"status {status}:\n{log.read_text()}")
        user = PlainUser(view.pid, home)
        try:
            yield user
        finally:
            for process in user.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
