"""What the pools stand on: folders, volume groups, disks, and who else holds them."""

import os
from collections.abc import Iterator
from typing import Any, Final

from vdsprovd.cli.checks.host import Finding, Host, tables

_OURS: Final = ("dm-",)


def pools(host: Host, table: dict[str, Any]) -> Iterator[Finding]:
    """A line for each pool, and for each disk that the configuration gives a subsystem."""
    for sub_system in tables(table.get("subsystem")):
        for pool in tables(sub_system.get("pool")):
            name = f"pool {pool.get('name', '?')}"
            if pool.get("kind") == "lvm":
                yield _volume_group(host, name, str(pool.get("vg", "")))
            else:
                yield _folder(host, name, str(pool.get("path", "")))
        for drive in sub_system.get("drives") or ():
            yield from _disk(host, str(drive))


def _folder(host: Host, name: str, path: str) -> Finding:
    folder = host.path(path)
    if not folder.is_dir():
        return Finding("fail", name, f"there is no folder {path}", f"mount its file system, or mkdir -p {path}")
    if os.geteuid() == 0 and (folder.stat().st_mode & 0o007):
        return Finding(
            "warn", name, f"{path} can be entered by everybody, and LUNs' bytes are there", f"chmod 0700 {path}"
        )
    return Finding("ok", name, f"{path} is there")


def _volume_group(host: Host, name: str, group: str) -> Finding:
    told = host.run(
        "vgs", "--noheadings", "--separator", "|", "-o", "vg_attr,vg_missing_pv_count,vg_free", "--units", "g", group
    )
    if told is None:
        return Finding(
            "fail" if os.geteuid() == 0 else "warn",
            name,
            f"the volume group {group} is not there, or cannot be read",
            f"vgs {group}; vgchange --activate y {group}" if os.geteuid() == 0 else "run this as root",
        )
    attributes, missing, free = (*told.strip().split("|"), "", "", "")[:3]
    if missing.strip() not in ("", "0"):
        return Finding(
            "fail",
            name,
            f"the volume group {group} lacks {missing} of its drives",
            "vdsprovctl status; vdsprovctl lun recover",
        )
    if attributes.startswith("r"):
        return Finding("fail", name, f"the volume group {group} is read-only", f"vgchange --permission rw {group}")
    return Finding("ok", name, f"the volume group {group} is whole, {free.strip()} free")


def _disk(host: Host, device: str) -> Iterator[Finding]:
    node = host.path(device)
    if not node.exists():
        yield Finding("warn", f"drive {device}", "it is not there", "plug it in, or take it out of the configuration")
        return
    kernel_name = node.resolve().name
    block = host.path(f"/sys/class/block/{kernel_name}")
    holders = sorted(holder.name for holder in (block / "holders").glob("*"))
    mounted = [
        line.split()[1]
        for line in host.read("/proc/mounts").splitlines()
        if line.split()[0] in (device, f"/dev/{kernel_name}")
    ]
    if mounted:
        yield Finding("fail", f"drive {device}", f"it is mounted at {', '.join(mounted)}", f"umount {mounted[0]}")
    elif foreign := [name for name in holders if not name.startswith(_OURS)]:
        yield Finding(
            "fail",
            f"drive {device}",
            f"{', '.join(foreign)} holds it",
            f"lsblk {device}; stop what holds it (mdadm --stop, multipath -f)",
        )
    else:
        yield Finding(
            "ok", f"drive {device}", "it is there" + (f", with {', '.join(holders)} on it" if holders else "")
        )
