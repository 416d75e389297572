"""Runs in a guest with systemd, and writes down what it sees of vdsprovd's units; test_units.py reads it.

A boot takes seven seconds and a test a tenth of one, so one boot serves all of them: this does the whole story in order.
"""

import grp
import json
import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SOCKET = "/run/vdsprovd/org.vdsprov"
CONFIGURATION = Path("/etc/vdsprovd/vdsprovd.toml")
POOL = Path("/srv/pool")
TARGETS = Path("/sys/kernel/config/target/iscsi")
DATA = b"written before the daemon stopped"
IQN = "iqn.2026-11.org.example:units"

seen: dict[str, Any] = {}


def run(*command: str, input: str | None = None) -> str:
    """What the command prints; its failure is the end."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, input=input)
    if done.returncode != 0:
        sys.exit(f"{command} ended with status {done.returncode}: {done.stderr}")
    return done.stdout.strip()


def status(*command: str) -> int:
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode


def active(unit: str) -> str:
    return subprocess.run(["systemctl", "is-active", unit], capture_output=True, text=True, check=False).stdout.strip()


def call(method: str, **parameters: Any) -> Any:
    # varlinkctl prints nothing for an empty reply.
    return json.loads(run("varlinkctl", "call", SOCKET, f"org.vdsprov.{method}", json.dumps(parameters)) or "{}")


def finished(method: str, **parameters: Any) -> str:
    reply = call("Async.Wait", id=call(method, **parameters)["async"])
    if reply["hresult"] != 0:
        sys.exit(f"{method}: {reply}")
    return str(reply.get("object", ""))


def exported() -> list[str]:
    """Everything in the kernel's target: folders and links, with the settings that are ours."""
    found = sorted(str(path.relative_to(TARGETS)) for path in TARGETS.rglob("*") if path.is_dir() or path.is_symlink())
    return [name for name in found if name.startswith("iqn") and "/statistics" not in name]


def called_by(user: str) -> int:
    return status("setpriv", f"--reuid={user}", "--init-groups", "--regid=nogroup", "varlinkctl", "info", SOCKET)


def main() -> None:
    seen["before the configuration"] = {unit: active(unit) for unit in ("vdsprovd.socket", "vdsprovd.service")}
    seen["failed units"] = run("systemctl", "list-units", "--failed", "--no-legend", "vdsprovd*")
    seen["enabled"] = run("systemctl", "is-enabled", "vdsprovd.socket", "vdsprovd.service").split()

    verify = ["systemd-analyze", "verify", "vdsprovd.socket", "vdsprovd.service"]
    seen["verify"] = subprocess.run(verify, capture_output=True, text=True, check=False, timeout=60).stderr

    POOL.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=64m", "pool", str(POOL))
    example = Path(sys.argv[1]).read_text()
    CONFIGURATION.write_text(example.replace('"/srv/luns"', f'"{POOL}"'))
    run("systemctl", "start", "vdsprovd.socket")

    found = Path(SOCKET).stat()
    seen["socket"] = {
        "mode": stat.filemode(found.st_mode),
        "uid": found.st_uid,
        "group": grp.getgrgid(found.st_gid).gr_name,
        "folder": stat.filemode(Path(SOCKET).parent.stat().st_mode),
    }
    seen["before the first client"] = active("vdsprovd.service")
    seen["first call"] = status("varlinkctl", "call", SOCKET, "org.vdsprov.HwProvider.QuerySubSystems", "{}")
    seen["info"] = run("varlinkctl", "info", SOCKET)
    seen["after the first client"] = active("vdsprovd.service")
    wait_until_served()
    seen["described"] = {
        name: status("varlinkctl", "introspect", SOCKET, name)
        for name in re.findall(r"org\.vdsprov\S*", seen["info"])
        if "/" not in name
    }
    seen["state"] = stat.filemode(Path("/var/lib/vdsprovd").stat().st_mode)
    seen["store"] = {
        path.name: stat.filemode(path.stat().st_mode) for path in Path("/var/lib/vdsprovd").iterdir() if path.is_file()
    }

    run("useradd", "--no-create-home", "outsider")
    run("useradd", "--no-create-home", "--groups", "vdsprov", "insider")
    seen["callers"] = {"root": called_by("root"), "outsider": called_by("outsider"), "insider": called_by("insider")}
    # The mode of the socket is one door, the peer's credentials are another.
    Path(SOCKET).chmod(0o666)
    seen["outsider at an open socket"] = called_by("outsider")
    Path(SOCKET).chmod(0o660)

    sub_system = call("HwProvider.QuerySubSystems")["subSystems"][0]["id"]
    lun = finished("SubSystem.CreateLun", id=sub_system, type="simple", sizeInBytes=16 << 20)
    target = finished("SubSystemIscsi.CreateTarget", id=sub_system, iscsiName=IQN)
    group = finished("IscsiTarget.CreatePortalGroup", id=target)
    portal = call("SubSystemIscsi.QueryPortals", id=sub_system)["portals"][0]
    finished("IscsiPortalGroup.AddPortal", id=group, portalId=portal["id"])
    call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    initiator = Path("/etc/iscsi/initiatorname.iscsi").read_text().split("=")[1].strip()
    call("Lun.SetMask", id=lun, unmaskingList=initiator)
    secret = "units0123456"
    call("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret=secret)

    address = f"{portal['address']['textAddress']}:{portal['address']['port']}"
    run("iscsiadm", "-m", "node", "-o", "new", "-T", IQN, "-p", address)
    for name, value in (("authmethod", "CHAP"), ("username", initiator), ("password", secret)):
        run("iscsiadm", "-m", "node", "-T", IQN, "-o", "update", "-n", f"node.session.auth.{name}", "-v", value)
    run("iscsiadm", "-m", "node", "-T", IQN, "--login")
    run("udevadm", "settle")
    disk = next(Path("/dev", path.name) for path in Path("/sys/block").glob("sd*"))
    session = sessions()

    # Stopped: the kernel goes on without the daemon.
    before = exported()
    begun = time.monotonic()
    run("systemctl", "stop", "vdsprovd.socket", "vdsprovd.service")
    seen["stop"] = {
        "seconds": time.monotonic() - begun,
        "state": active("vdsprovd.service"),
        "result": run("systemctl", "show", "-P", "Result", "vdsprovd.service"),
        "exports": len(before),
        "exports kept": exported() == before,
        "umount of the pool": status("umount", str(POOL)),
    }
    write(disk, DATA)
    seen["stop"]["written and read"] = read(disk) == DATA

    # Started: what is there is taken over, and nothing is made anew.
    run("systemctl", "start", "vdsprovd.service")
    seen["start"] = {
        "exports kept": exported() == before,
        "session kept": sessions() == session,
        "read": read(disk) == DATA,
        "lun": call("Lun.GetProperties", id=lun)["properties"]["size"],
        "journal": run("journalctl", "-b", "-u", "vdsprovd.service", "--output=cat"),
    }

    # Killed: systemd starts it again.
    run("systemctl", "kill", "--signal=KILL", "vdsprovd.service")
    wait_until_served()
    seen["kill"] = {
        "lun": call("Lun.GetProperties", id=lun)["properties"]["size"],
        "exports kept": exported() == before,
        "read": read(disk) == DATA,
    }

    # A configuration that cannot be used is told once, not again and again.
    CONFIGURATION.write_text(CONFIGURATION.read_text() + "\n[nonsense]\n")
    seen["bad configuration"] = {
        "restart": status("systemctl", "restart", "vdsprovd.service"),
        "main status": run("systemctl", "show", "-P", "ExecMainStatus", "vdsprovd.service"),
        "restarts": run("systemctl", "show", "-P", "NRestarts", "vdsprovd.service"),
        "exports kept": exported() == before,
        "journal": run("journalctl", "-b", "-u", "vdsprovd.service", "--output=cat", "-n", "20"),
    }


def wait_until_served() -> None:
    for _ in range(300):
        if status("varlinkctl", "call", SOCKET, "org.vdsprov.HwProvider.QuerySubSystems", "{}") == 0:
            return
        time.sleep(0.1)
    sys.exit("the daemon did not come back")


def sessions() -> list[str]:
    return sorted(path.name for path in Path("/sys/class/iscsi_session").iterdir())


def write(disk: Path, data: bytes) -> None:
    descriptor = os.open(disk, os.O_WRONLY | os.O_DSYNC)
    os.write(descriptor, data.ljust(4096))
    os.close(descriptor)


def read(disk: Path) -> bytes:
    run("blockdev", "--flushbufs", str(disk))
    return disk.open("rb").read(4096).rstrip()


if __name__ == "__main__":
    main()
    Path(sys.argv[2]).write_text(json.dumps(seen))
