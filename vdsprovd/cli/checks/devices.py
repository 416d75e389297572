"""What the pools stand on: folders, volume groups, disks, and who else holds them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vdsprovd.cli.checks.host import Finding, Host, tables


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
            yield from _disks(host, str(drive))


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


def _disks(host: Host, pattern: str) -> Iterator[Finding]:
    """The disks of an entry of `drives`, which can become hot spares if nothing has them."""
    root = host.path("/")
    found = sorted(root.glob(pattern.lstrip("/")))
    if not found:
        yield Finding("warn", f"drives {pattern}", "there is no such disk", "plug it in, or mend the configuration")
        return
    taken = [told for node in found if (told := _holder(host, node))]
    yield Finding(
        "warn" if taken and len(taken) == len(found) else "ok",
        f"drives {pattern}",
        "; ".join([f"{len(found) - len(taken)} of {len(found)} free", *taken]),
        f"a disk that is to be a hot spare must be free: lsblk {pattern}" if taken and len(taken) == len(found) else "",
    )


def _holder(host: Host, node: Path) -> str:
    """Who has the disk, "" for nobody."""
    name = node.resolve().name
    for line in host.read("/proc/mounts").splitlines():
        if line.split()[0] == f"/dev/{name}":
            return f"{name} is mounted at {line.split()[1]}"
    holders = sorted(holder.name for holder in host.path(f"/sys/class/block/{name}/holders").glob("*"))
    return f"{', '.join(holders)} holds {name}" if holders else ""
