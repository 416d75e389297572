"""Runs in a clean guest with systemd, and writes down what it sees of the Debian packages; test_package.py reads it.

One boot serves all tests: this installs them, upgrades them under a session that reads and writes, removes them, and
purges them.
"""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SOCKET = "/run/vdsprovd/org.vdsprov"
POOL = Path("/srv/luns")
IQN = "iqn.2026-11.org.example:package"
OTHER = Path("/sys/kernel/config/target/iscsi/iqn.2026-11.org.example:other")
KERNEL = Path("/sys/kernel/config/target")
SIZE = 64 << 20

seen: dict[str, Any] = {}


def run(*command: str) -> str:
    """What the command prints; its failure is the end."""
    done = tried(*command)
    if done["status"] != 0:
        sys.exit(f"{command} ended with status {done['status']}: {done['said']}")
    return str(done["said"])


def tried(*command: str) -> dict[str, Any]:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=120, env=environment
    )
    return {"status": done.returncode, "said": done.stdout.strip()}


def install(folder: str) -> None:
    run("apt-get", "install", "-y", "--no-install-recommends", *(str(deb) for deb in Path(folder).glob("*.deb")))


def active(unit: str) -> str:
    return str(tried("systemctl", "is-active", unit)["said"])


def call(method: str, **parameters: Any) -> Any:
    return json.loads(run("vdsprovctl", "call", method, json.dumps(parameters)) or "{}")


def finished(method: str, **parameters: Any) -> str:
    return str(json.loads(run("vdsprovctl", "call", "--wait", method, json.dumps(parameters))).get("object", ""))


def ours() -> list[str]:
    """What the kernel has of the daemon."""
    disks = KERNEL.glob("core/*_1??????/*-*")
    return sorted(str(path.relative_to(KERNEL)) for path in [*disks, *KERNEL.glob(f"iscsi/{IQN}*")])


def session() -> str:
    return "".join(
        sorted(re.findall(r"^\w+: \[\d+\].*", str(tried("iscsiadm", "-m", "session")["said"]), re.MULTILINE))
    )


class Traffic:
    """An initiator that writes to its disk and reads it back, all the time, past every cache."""

    def __init__(self, disk: str) -> None:
        self.rounds = 0
        self.longest = 0.0
        self.errors: list[str] = []
        self._disk, self._over = disk, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            begun = time.monotonic()
            block = os.urandom(4096)
            place = f"seek={self.rounds % 1000}"
            try:
                put = ["dd", f"of={self._disk}", "bs=4096", "count=1", place, "oflag=direct", "status=none"]
                subprocess.run(put, input=block, check=True, timeout=60)
                get = ["dd", f"if={self._disk}", "bs=4096", "count=1", f"skip={self.rounds % 1000}", "iflag=direct"]
                if subprocess.run(get, capture_output=True, check=True, timeout=60).stdout != block:
                    self.errors.append("read something else than was written")
            except (subprocess.SubprocessError, OSError) as error:
                self.errors.append(str(error))
            self.longest = max(self.longest, time.monotonic() - begun)
            self.rounds += 1

    def end(self) -> dict[str, Any]:
        self._over.set()
        self._thread.join()
        return {"rounds": self.rounds, "longest": self.longest, "errors": self.errors}


@contextmanager
def clients_counted(into: dict[str, Any]) -> Iterator[None]:
    """Connect again and again, as clients do that come just then."""
    over = threading.Event()
    refused = []

    def connect() -> None:
        while not over.wait(0.02):
            try:
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(SOCKET)
            except OSError as error:
                refused.append(str(error))

    thread = threading.Thread(target=connect)
    thread.start()
    yield
    over.set()
    thread.join()
    into["refused clients"] = refused


def disk() -> str:
    """The device node of the LUN."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for link in Path("/dev/disk/by-path").glob(f"*{IQN}-lun-*"):
            return str(link.resolve())
        time.sleep(0.1)
    sys.exit("the initiator has no disk")


def state() -> dict[str, Any]:
    return {"session": session(), "exports": ours(), "daemon": active("vdsprovd.service")}


def main() -> None:
    first, second, output = sys.argv[1:]
    install(first)
    seen["installed"] = {
        "failed units": run("systemctl", "list-units", "--failed", "--no-legend"),
        "active": [active("vdsprovd.socket"), active("vdsprovd.service")],
        "enabled": run("systemctl", "is-enabled", "vdsprovd.socket", "vdsprovd.service").split(),
        "off": str(
            tried("systemctl", "is-enabled", "vdsprovd-teardown.service", "vdsprovd-metrics.socket")["said"]
        ).split(),
        "group": run("getent", "group", "vdsprov").split(":")[0],
        "watches": int(Path("/proc/sys/fs/inotify/max_user_watches").read_text()),
        "rtslib": run("/usr/bin/python3", "-c", "import rtslib_fb; print(rtslib_fb.__file__)"),
    }
    pages = run("sh", "-c", "dpkg -L vdsprovd vdsprovd-client | grep /usr/share/man/.*gz").split()
    seen["manuals"] = {Path(page).name: tried("mandoc", "-Tlint", "-Wwarning", page)["said"] for page in pages}

    bash = "source /usr/share/bash-completion/completions/vdsprovctl && complete -p vdsprovctl"
    seen["completion"] = run("bash", "-c", bash)

    POOL.mkdir(mode=0o700)
    example = run("cat", "/usr/share/doc/vdsprovd/examples/vdsprovd.toml")
    Path("/etc/vdsprovd/vdsprovd.toml").write_text(example.replace("#require-chap = true", "require-chap = false"))
    run("systemctl", "start", "vdsprovd.socket")
    sub_system = call("HwProvider.QuerySubSystems")["subSystems"][0]["id"]
    seen["running"] = {"daemon": active("vdsprovd.service"), "version": run("vdsprovctl", "--version")}

    initiator = Path("/etc/iscsi/initiatorname.iscsi").read_text().split("=")[1].strip()
    lun = finished("SubSystem.CreateLun", id=sub_system, type="simple", sizeInBytes=SIZE, unmaskingList=initiator)
    target = finished("SubSystemIscsi.CreateTarget", id=sub_system, iscsiName=IQN)
    group = finished("IscsiTarget.CreatePortalGroup", id=target)
    portal = call("SubSystemIscsi.QueryPortals", id=sub_system)["portals"][0]
    finished("IscsiPortalGroup.AddPortal", id=group, portalId=portal["id"])
    call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    finished("SubSystemIscsi.CreateTarget", id=sub_system, iscsiName=f"{IQN}.empty")
    OTHER.mkdir()
    address = f"{portal['address']['textAddress']}:{portal['address']['port']}"
    node = ["iscsiadm", "-m", "node", "-T", IQN, "-p", address]
    run(*node, "-o", "new")
    run(*node, "--login")
    traffic = Traffic(disk())

    seen["before"] = state()
    upgrade: dict[str, Any] = {"process": run("systemctl", "show", "-P", "MainPID", "vdsprovd.service")}
    with clients_counted(upgrade):
        install(second)
        seen["upgraded"] = {**state(), "version": run("vdsprovctl", "--version")}
        call("HwProvider.QuerySubSystems")
    process = run("systemctl", "show", "-P", "MainPID", "vdsprovd.service")
    seen["upgrade"] = {**upgrade, "another process": process != upgrade["process"]}

    # What an upgrade of that package does.
    run("dpkg-reconfigure", "python3-rtslib-fb")
    seen["after an upgrade of rtslib"] = state()

    run("apt-get", "remove", "-y", "vdsprovd")
    seen["removed"] = {
        **state(),
        "kept": [Path(path).exists() for path in ("/etc/vdsprovd/vdsprovd.toml", "/var/lib/vdsprovd/vdsprovd.sqlite")],
    }
    seen["purge under a session"] = {**tried("apt-get", "purge", "-y", "vdsprovd"), **state()}
    seen["traffic"] = traffic.end()
    run(*node, "--logout")
    run(*node, "-o", "delete")
    (file,) = POOL.glob("*.lun")
    seen["purged"] = {
        **tried("apt-get", "purge", "-y", "vdsprovd", "vdsprovd-client"),
        "other is there": OTHER.exists(),
        "lun": str(file),
        "its size": file.stat().st_size if file.exists() else None,
        "exports": ours(),
        "group": tried("getent", "group", "vdsprov")["said"],
        "files": left(),
        "failed units": run("systemctl", "list-units", "--failed", "--no-legend"),
    }
    Path(output).write_text(json.dumps(seen, indent=2))


def left() -> list[str]:
    """Files that tell of us, besides the checkout, what the lab has, and logs."""
    places = ["/etc", "/run", "/usr", "/var"]
    found = run("find", *places, "-xdev", "-name", "*vdsprov*", "-not", "-path", "/var/log/*").splitlines()
    return [name for name in found if not name.startswith("/run/log/")] + [
        name for name in ("/etc/target",) if Path(name).exists()
    ]


if __name__ == "__main__":
    main()
