"""Runs in a guest with systemd, and writes down what it sees of vdsprovd's units; test_units.py reads it.

A boot takes seven seconds and a test a tenth of one, so one boot serves all of them: this does the whole story in order.
Two more boots, with the state that the first one left, see what an orderly reboot and a power cut leave of it.
"""

import grp
import hashlib
import json
import os
import re
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

SOCKET = "/run/vdsprovd/org.vdsprov"
CONFIGURATION = Path("/etc/vdsprovd/vdsprovd.toml")
STORE = Path("/var/lib/vdsprovd/vdsprovd.sqlite")
POOL = Path("/srv/pool")
GROUP = "kept"
STATE = Path("/srv/state")
"""The lab keeps it from boot to boot, and takes its folder systemd for units that the host has besides ours."""
CONFIGFS = Path("/sys/kernel/config/target")
TARGETS = CONFIGFS / "iscsi"
DATA = b"written before the daemon stopped"
IQN = "iqn.2026-11.org.example:units"
OPEN = "iqn.2026-11.org.example:open"
OTHER = "iqn.2026-11.org.example:other"
SECRET = "units0123456"
MUTUAL = "mutual0123456"
CREDENTIALS = ("userid", "password", "userid_mutual", "password_mutual")
DISKS = """
[Unit]
Description=The disks of pools
DefaultDependencies=no
Before=local-fs-pre.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=losetup /dev/loop0 /srv/state/files
ExecStart=losetup /dev/loop1 /srv/state/lvm

[Install]
WantedBy=local-fs.target
"""
MOUNT = f"""
[Unit]
Before=local-fs.target
After=disks.service

[Mount]
What=/dev/loop0
Where={POOL}

[Install]
WantedBy=local-fs.target
"""
AT_READY = f"""
[Service]
ExecStartPost=sh -c "cd {TARGETS} && ls -d iqn*/tpgt_1/np/*:* iqn*/tpgt_1/lun/lun_* >/run/at-ready"
"""

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
    seen["watches"] = int(Path("/proc/sys/fs/inotify/max_user_watches").read_text())
    seen["enabled"] = run("systemctl", "is-enabled", "vdsprovd.socket", "vdsprovd.service").split()

    units = ["vdsprovd.socket", "vdsprovd.service", "vdsprovd-teardown.service"]
    verify = ["systemd-analyze", "verify", *units]
    security = ["systemd-analyze", "security", "--no-pager", *units[1:]]
    seen["security"] = subprocess.run(security, capture_output=True, text=True, check=False, timeout=60).stdout
    seen["verify"] = subprocess.run(verify, capture_output=True, text=True, check=False, timeout=60).stderr

    make_pools()
    example = Path(sys.argv[2]).read_text()
    pool = f'[[subsystem.pool]]\nname = "vg0"\nkind = "lvm"\nvg = "{GROUP}"\n'
    CONFIGURATION.write_text(example.replace('"/srv/luns"', f'"{POOL}"') + pool)
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
    lun = finished("HwProviderStoragePools.CreateLunInStoragePool", **in_pool("files0"))
    target = finished("SubSystemIscsi.CreateTarget", id=sub_system, iscsiName=IQN)
    group = finished("IscsiTarget.CreatePortalGroup", id=target)
    portal = call("SubSystemIscsi.QueryPortals", id=sub_system)["portals"][0]
    finished("IscsiPortalGroup.AddPortal", id=group, portalId=portal["id"])
    call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    initiator = Path("/etc/iscsi/initiatorname.iscsi").read_text().split("=")[1].strip()
    call("Lun.SetMask", id=lun, unmaskingList=initiator)
    call("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret=SECRET)
    call("IscsiTarget.RememberInitiatorSharedSecret", id=target, initiatorName=initiator, initiatorSharedSecret=MUTUAL)

    volume = finished("HwProviderStoragePools.CreateLunInStoragePool", **in_pool("vg0"), unmaskingList=initiator)
    call("LunIscsi.AssociateTargets", id=volume, targetIds=[target])
    call("SubSystemImportTarget.SetImportTarget", id=sub_system, iscsiName=IQN)
    unprotected = finished("SubSystemIscsi.CreateTarget", id=sub_system, iscsiName=OPEN)
    finished("IscsiTarget.CreatePortalGroup", id=unprotected)

    log_in(f"{portal['address']['textAddress']}:{portal['address']['port']}")
    disk = disk_of(0)
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

    # Killed: systemd starts it again, now with a watchdog that is soon impatient.
    drop_in("watchdog", "vdsprovd.service", "[Service]\nWatchdogSec=5\n")
    run("systemctl", "kill", "--signal=KILL", "vdsprovd.service")
    wait_until_served()
    seen["kill"] = {
        "lun": call("Lun.GetProperties", id=lun)["properties"]["size"],
        "exports kept": exported() == before,
        "read": read(disk) == DATA,
    }

    # Hung: the watchdog ends it, and systemd starts it again.
    hung, begun = main_pid(), time.monotonic()
    run("systemctl", "kill", "--signal=STOP", "vdsprovd.service")
    # Told to end and to continue, it may still answer what had come meanwhile.
    another = wait_for(lambda: main_pid() not in (hung, "0"))
    wait_until_served()
    seen["hung"] = {
        "seconds": time.monotonic() - begun,
        "another process": another,
        "journal": journal("vdsprovd.service"),
        "exports kept": exported() == before,
        "session kept": sessions() == session,
        "read": read(disk) == DATA,
    }
    drop_in("watchdog", "vdsprovd.service", "")

    # Reloaded.
    run("groupadd", "watchers")
    run("useradd", "--no-create-home", "--groups", "watchers", "watcher")
    Path(SOCKET).chmod(0o666)
    process = main_pid()
    good = CONFIGURATION.read_text()
    good = good.replace("#viewer = []", 'viewer = ["watchers"]').replace("#require-chap = true", "require-chap = false")
    refused = called_by("watcher")
    CONFIGURATION.write_text(good)
    reloaded = status("systemctl", "reload", "vdsprovd.service")
    seen["reload"] = {
        "status": reloaded,
        "the watcher": [refused, *([0] if wait_for(lambda: called_by("watcher") == 0) else [])],
        "authentication": [
            (TARGETS / name / "tpgt_1/attrib/authentication").read_text().strip() for name in (IQN, OPEN)
        ],
        "exports kept": exported() == before,
        "session kept": sessions() == session,
    }
    CONFIGURATION.write_text(good + "\n[nonsense]\n")
    seen["bad reload"] = {
        "status": status("systemctl", "reload", "vdsprovd.service"),
        "journal": journal("vdsprovd.service"),
        "signal": status("systemctl", "kill", "--signal=HUP", "vdsprovd.service"),
        "told": wait_for(lambda: "nonsense" in run("systemctl", "show", "-P", "StatusText", "vdsprovd.service")),
        "the watcher": called_by("watcher"),
    }
    CONFIGURATION.write_text(good)
    run("systemctl", "reload", "vdsprovd.service")
    seen["bad reload"]["processes"] = [process, main_pid()]

    # What does not become better by itself is told once, not again and again.
    CONFIGURATION.write_text(CONFIGURATION.read_text() + "\n[nonsense]\n")
    seen["bad configuration"] = refused_start(before)
    CONFIGURATION.write_text(good)
    run("systemctl", "stop", "vdsprovd.service")  # the last client's attempt may not be over
    kept = STORE.read_bytes()
    with closing(sqlite3.connect(STORE, isolation_level=None)) as db:
        db.execute("UPDATE provider SET id = 'another'")
    seen["damaged store"] = refused_start(before)
    run("systemctl", "stop", "vdsprovd.service")
    STORE.write_bytes(kept)
    run("systemctl", "reset-failed", "vdsprovd.service", "vdsprovd.socket")
    run("systemctl", "start", "vdsprovd.socket", "vdsprovd.service")

    tear_down(disk)
    leave()


def main_pid() -> str:
    return run("systemctl", "show", "-P", "MainPID", "vdsprovd.service")


def refused_start(before: list[str]) -> dict[str, Any]:
    """What is seen of a start that fails, when these were the exports."""
    return {
        "restart": status("systemctl", "restart", "vdsprovd.service"),
        "main status": run("systemctl", "show", "-P", "ExecMainStatus", "vdsprovd.service"),
        "restarts": run("systemctl", "show", "-P", "NRestarts", "vdsprovd.service"),
        "exports kept": exported() == before,
        "journal": journal("vdsprovd.service"),
        "clients": [told() for _ in range(6)],
    }


def told() -> str:
    """What a client gets instead of an answer."""
    command = ["varlinkctl", "call", SOCKET, "org.vdsprov.HwProvider.QuerySubSystems", "{}"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stderr


def make_pools() -> None:
    """A file system and a volume group, on disks that are there again after a reboot."""
    for name in ("files", "lvm"):
        with (STATE / name).open("wb") as file:
            file.truncate(96 << 20)
    units = {"disks.service": DISKS, "srv-pool.mount": MOUNT}
    wants = STATE / "systemd/local-fs.target.wants"
    wants.mkdir(parents=True)
    for name, text in units.items():
        (STATE / "systemd" / name).write_text(text)
        (wants / name).symlink_to(f"../{name}")
    (STATE / "systemd/vdsprovd.service.d").mkdir()
    (STATE / "systemd/vdsprovd.service.d/ready.conf").write_text(AT_READY)
    run("losetup", "/dev/loop0", str(STATE / "files"))
    run("losetup", "/dev/loop1", str(STATE / "lvm"))
    run("mkfs.ext4", "-q", "/dev/loop0")
    run("vgcreate", GROUP, "/dev/loop1")
    POOL.mkdir()
    run("mount", "/dev/loop0", str(POOL))


def in_pool(name: str) -> dict[str, Any]:
    """What to ask for to have a LUN in the pool of that name."""
    pools = call("HwProviderStoragePools.QueryStoragePools")["storagePools"]
    (id,) = [pool["id"] for pool in pools if pool["name"] == name]
    return {"storagePoolId": id, "type": "simple", "sizeInBytes": 16 << 20}


def log_in(address: str) -> None:
    initiator = Path("/etc/iscsi/initiatorname.iscsi").read_text().split("=")[1].strip()
    run("iscsiadm", "-m", "node", "-o", "new", "-T", IQN, "-p", address)
    for name, value in (("authmethod", "CHAP"), ("username", initiator), ("password", SECRET)):
        run("iscsiadm", "-m", "node", "-T", IQN, "-o", "update", "-n", f"node.session.auth.{name}", "-v", value)
    run("iscsiadm", "-m", "node", "-T", IQN, "--login")
    run("udevadm", "settle")


def disk_of(number: int) -> Path:
    """The initiator's disk for the LUN of that number."""
    (found,) = Path("/dev/disk/by-path").glob(f"ip-*-iscsi-{IQN}-lun-{number}")
    return found


def tear_down(disk: Path) -> None:
    """Everything of ours is taken out of the kernel, and nothing of somebody else's; the next start makes it anew."""
    before, ours = exported(), served()
    somebody = f"""
        set global auto_add_default_portal=false
        /backstores/fileio create other /srv/other 16M
        /iscsi create {OTHER}
        /iscsi/{OTHER}/tpg1/luns create /backstores/fileio/other
        /iscsi/{OPEN}/tpg1/luns create /backstores/fileio/other lun=99
        exit
    """
    run("targetcli", input="\n".join(line.strip() for line in somebody.splitlines()))
    with_others = exported()
    daemon_runs = subprocess.run(["vdsprovd", "--teardown"], capture_output=True, text=True, check=False)
    run("systemctl", "start", "vdsprovd-teardown.service")
    enabled = subprocess.run(
        ["systemctl", "is-enabled", "vdsprovd-teardown"], capture_output=True, text=True, check=False
    )
    begun = time.monotonic()
    run("systemctl", "stop", "vdsprovd.socket", "vdsprovd.service", "vdsprovd-teardown.service")
    seen["teardown"] = {
        "enabled": enabled.stdout.strip(),
        "while the daemon runs": [daemon_runs.returncode, daemon_runs.stderr],
        "seconds": time.monotonic() - begun,
        "result": run("systemctl", "show", "-P", "Result", "vdsprovd-teardown.service"),
        "journal": journal("vdsprovd-teardown.service"),
        "others were there": len(with_others) > len(before),
        "others gone": [name for name in with_others if name not in before and name not in exported()],
        "ours left": [name for name in before if name in exported()],
        "disks left": sorted(path.name for path in CONFIGFS.glob("core/*_*/*") if path.is_dir()),
        "umount of the pool": status("umount", str(POOL)),
        "group deactivated": status("vgchange", "-an", GROUP),
        "again": status("vdsprovd", "--teardown"),
    }
    run("mount", "/dev/loop0", str(POOL))
    run("systemctl", "start", "vdsprovd.socket", "vdsprovd.service")
    seen["teardown"] |= {
        "rebuilt": exported() == with_others,
        "same to clients and initiators": served() == ours,
        "session is back": wait_for(lambda: "LOGGED_IN" in session_state()),
        "read": read(disk) == DATA,
    }
    run("targetcli", "/iscsi", "delete", OTHER)
    run("targetcli", "/backstores/fileio", "delete", "other")


def leave() -> None:
    """End the boot in an orderly way, and leave what the next one is to find."""
    write(disk_of(1), DATA)
    run("iscsiadm", "-m", "node", "-T", IQN, "--logout")
    (STATE / "expected").write_text(json.dumps(served()))
    wants = STATE / "systemd/multi-user.target.wants"
    wants.mkdir()
    (wants / "vdsprovd-teardown.service").symlink_to("/usr/lib/systemd/system/vdsprovd-teardown.service")
    log = "[Service]\nStandardOutput=append:/srv/state/teardown\nStandardError=append:/srv/state/teardown\n"
    drop_in("log", "vdsprovd-teardown.service", log)
    run("systemctl", "start", "vdsprovd-teardown.service")


def again() -> None:
    """What a later boot finds."""
    begun, ready = (
        int(run("systemctl", "show", "-P", name, "vdsprovd.service"))
        for name in ("ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    )
    found = served()  # before anybody is logged in, as it was left
    log_in("10.77.0.1:3260")
    disks = [disk_of(0), disk_of(1)]
    seen.update(
        {
            "state": active("vdsprovd.service"),
            "served": found,
            "expected": json.loads((STATE / "expected").read_text()),
            "seconds to start": (ready - begun) / 1e6,
            "at ready": Path("/run/at-ready").read_text().split(),
            "journal": journal("vdsprovd.service"),
            "file system was dirty": "EXT4-fs (loop0): recovery complete" in run("dmesg"),
            "teardown before": (STATE / "teardown").read_text(),
            "read": [read(disk).decode(errors="replace") for disk in disks],
        }
    )
    for disk in disks:
        write(disk, b"written before the power was cut")


def served() -> dict[str, Any]:
    """What clients see of the host's objects, and the kernel's settings that initiators see; secrets as checksums."""
    sub_system = call("HwProvider.QuerySubSystems")["subSystems"][0]["id"]
    luns = by_id(call("SubSystem.QueryLuns", id=sub_system)["luns"])
    found: dict[str, Any] = {
        "luns": luns,
        "masks": [call("Lun.GetProperties", id=lun["id"])["properties"]["unmaskingList"] for lun in luns],
        "identities": [call("Lun.GetIdentificationData", id=lun["id"])["properties"] for lun in luns],
        "targets": by_id(call("SubSystemIscsi.QueryTargets", id=sub_system)["targets"]),
        "associated": [call("LunIscsi.QueryAssociatedTargets", id=lun["id"])["targets"] for lun in luns],
        "portals": by_id(call("SubSystemIscsi.QueryPortals", id=sub_system)["portals"]),
        "import target": call("SubSystemImportTarget.GetImportTarget", id=sub_system),
        "exports": [name for name in exported() if not name.startswith(OTHER) and "lun_99" not in name],
    }
    found["kernel"] = {
        str(path.relative_to(CONFIGFS)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in settings(found["exports"])
    }
    return found


def by_id(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(objects, key=lambda entry: str(entry["id"]))


def settings(exports: list[str]) -> Iterator[Path]:
    """The files of the kernel's configuration that hold a serial number, who may log in, and how."""
    yield from CONFIGFS.glob("core/*_*/*-*-*-*-*/wwn/vpd_unit_serial")
    yield from CONFIGFS.glob("core/*_*/*-*-*-*-*/udev_path")
    for name in exports:
        folder = TARGETS / name
        for file in ("enable", "attrib/authentication", *(f"auth/{name}" for name in CREDENTIALS)):
            if (folder / file).is_file():
                yield folder / file


def journal(unit: str) -> str:
    return run("journalctl", "-b", "-u", unit, "--output=cat", "-n", "60")


def drop_in(name: str, unit: str, text: str) -> None:
    """Have systemd read these settings of the unit, besides its own."""
    file = Path(f"/run/systemd/system/{unit}.d/{name}.conf")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    run("systemctl", "daemon-reload")


def wait_for(condition: Callable[[], bool]) -> bool:
    """Whether it becomes true within some time."""
    for _ in range(200):
        if condition():
            return True
        time.sleep(0.1)
    return False


def session_state() -> list[str]:
    return [path.read_text().strip() for path in Path("/sys/class/iscsi_session").glob("*/state")]


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
    boot = sys.argv[1]
    main() if boot == "first" else again()
    with Path(sys.argv[3]).open("w") as file:
        json.dump(seen, file)
        file.flush()
        os.fsync(file.fileno())
    if boot == "first":
        run("systemctl", "poweroff")
    elif boot == "second":
        Path("/proc/sysrq-trigger").write_text("o")
    if boot != "third":
        time.sleep(60)
