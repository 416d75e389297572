"""The daemon's side: configuration, store, unit, socket."""

import grp
import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from vdsprovd.cli.checks.host import Finding, Host

STATE: Final = "/var/lib/vdsprovd"
GROUP: Final = "vdsprov"

_LITTLE: Final = 64 << 20
"""Bytes that the store's file system should have free."""


def configuration(host: Host, config: Path) -> Iterator[Finding]:
    """Whether the daemon takes its configuration."""
    file = host.path(config)
    if not file.exists():
        yield Finding(
            "fail", "configuration", f"there is no {config}", "copy the example vdsprovd.toml there, and adapt it"
        )
    elif not os.access(file, os.R_OK):
        yield Finding("warn", "configuration", f"{config} cannot be read by you", "run this as root")
    elif (answer := _checked(file)) is None:
        yield Finding(
            "warn", "configuration", "there is no program vdsprovd to check it with", "install vdsprovd[daemon]"
        )
    elif answer:
        yield Finding("fail", "configuration", answer, f"edit {config}; see: vdsprovd --config {config} --check")
    else:
        yield Finding("ok", "configuration", f"{config} is valid")


def _checked(file: Path) -> str | None:
    """What the daemon says against the file, "" for nothing; None where there is no daemon to ask."""
    beside = Path(sys.executable).parent
    if (program := shutil.which("vdsprovd", path=f"{beside}:{os.environ.get('PATH', os.defpath)}")) is None:
        return None
    done = subprocess.run(
        [program, "--config", str(file), "--check"], capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode == 0:
        return ""
    return (
        done.stderr.strip() or done.stdout.strip() or f"vdsprovd --check ended with {done.returncode}"
    ).splitlines()[-1]


def store(host: Host, table: dict[str, Any]) -> Iterator[Finding]:
    """Whether the store's folder is the daemon's alone, and has room."""
    name = str(_provider(table).get("state", STATE))
    folder = host.path(name)
    try:
        found = folder.stat()
    except FileNotFoundError:
        yield Finding("ok", "store", f"there is no {name} yet; the daemon makes it at its first start")
        return
    except PermissionError:
        yield Finding("warn", "store", f"{name} cannot be looked at by you", "run this as root")
        return
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid != 0 or mode & 0o077:
        yield Finding(
            "fail",
            "store",
            f"{name} belongs to {_user(found.st_uid)} and has mode {mode:04o}: others could read the CHAP secrets",
            f"chown root: {name} && chmod 0700 {name}",
        )
        return
    room = os.statvfs(folder)
    free = room.f_bavail * room.f_frsize
    if free < _LITTLE:
        yield Finding(
            "fail",
            "store",
            f"the file system of {name} has {free >> 20} MiB free",
            "free some: without, nothing can be changed",
        )
        return
    yield Finding("ok", "store", f"{name} is root's alone, mode {mode:04o}")


def unit(host: Host) -> Iterator[Finding]:
    """What systemd says of the service and its socket."""
    if not host.path("/run/systemd/system").is_dir():
        yield Finding(
            "warn", "service", "systemd does not run here", "see to it yourself that vdsprovd is started at boot"
        )
        return
    for name in ("vdsprovd.service", "vdsprovd.socket"):
        told = host.run("systemctl", "show", "-p", "LoadState,ActiveState,SubState,UnitFileState,Result", name)
        state = dict(line.partition("=")[::2] for line in (told or "").splitlines())
        found = f"{state.get('ActiveState', 'unknown')} ({state.get('SubState', '')}), {state.get('UnitFileState', '')}"
        if state.get("LoadState") == "not-found":
            yield Finding("fail", name, "there is no such unit", "install it: docs/configuration.md, under systemd")
        elif state.get("ActiveState") == "failed":
            yield Finding(
                "fail",
                name,
                f"{found}, its result is {state.get('Result')}",
                f"journalctl -u {name} -n 20; systemctl restart {name}",
            )
        elif state.get("ActiveState") != "active":
            yield Finding("warn", name, found, f"systemctl enable --now {name}")
        elif state.get("UnitFileState") not in ("enabled", "static", "indirect", ""):
            yield Finding("warn", name, f"{found}: it will not come back after a boot", f"systemctl enable {name}")
        else:
            yield Finding("ok", name, found)


def socket(address: str, table: dict[str, Any]) -> Iterator[Finding]:
    """Whether the daemon answers you, by its groups."""
    group = str(_provider(table).get("group", GROUP))
    try:
        members = grp.getgrnam(group)
    except KeyError:
        yield Finding(
            "warn", "group", f"there is no group {group}: only root may call the daemon", f"groupadd --system {group}"
        )
    else:
        mine = members.gr_gid in (*os.getgroups(), os.getegid())
        role = "you are root" if os.geteuid() == 0 else "you are in it" if mine else "you are not in it"
        yield Finding(
            "ok" if mine or os.geteuid() == 0 else "warn",
            "group",
            f"the group {group} is there, and {role}",
            "" if mine or os.geteuid() == 0 else f"usermod -aG {group} {_user(os.getuid())}, and log in again",
        )
    yield _answers(address)


def _answers(address: str) -> Finding:
    from vdsprovd.client import Client, Unreachable
    from vdsprovd.hresult import Hresult, VdsError

    try:
        with Client(address, timeout=10, reconnect=0) as client:
            client.call("Provider.GetProperties")
            client.subsystems()
    except Unreachable as error:
        return Finding(
            "fail",
            "daemon",
            f"no answer at {address}: {error.reason}",
            "systemctl start vdsprovd; journalctl -u vdsprovd -n 20",
        )
    except VdsError as error:
        do = {
            Hresult.VDS_E_PROVIDER_CACHE_CORRUPT: "vdsprovctl recover",
            Hresult.E_ACCESSDENIED: "have one of your groups named in [roles] of the configuration",
        }
        level = "fail" if error.code is not Hresult.E_ACCESSDENIED else "warn"
        return Finding(level, "daemon", str(error), do.get(error.code, "journalctl -u vdsprovd -n 20"))
    return Finding("ok", "daemon", f"answers at {address}")


def _provider(table: dict[str, Any]) -> dict[str, Any]:
    found = table.get("provider")
    return found if isinstance(found, dict) else {}


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
