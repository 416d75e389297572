"""What the kernel cannot do without: the bare operations, in Python without a library."""

import os
from pathlib import Path

from tests.arrays import clear_kernel

ROOT = Path("/sys/kernel/config/target")


def clear() -> None:
    """Take everything out of the kernel's target, as targetcli's clearconfig does."""
    clear_kernel()


def create_bare(description: list[tuple[str, ...]]) -> None:
    """The floor of a restore: nothing but the kernel's operations, one after the other."""
    for operation, path, *value in description:
        match operation:
            case "mkdir":
                os.mkdir(path)  # noqa: PTH102  # nothing between us and the kernel
            case "link":
                os.symlink(value[0], path)  # noqa: PTH211
            case _:
                descriptor = os.open(path, os.O_WRONLY)
                os.write(descriptor, value[0].encode())
                os.close(descriptor)


def described(folder: Path) -> list[tuple[str, ...]]:
    """What makes the kernel's configuration as it is, operation by operation."""
    made: list[tuple[str, ...]] = []
    for hba in sorted(path for path in (ROOT / "core").iterdir() if path.is_dir() and path.name.startswith("fileio_")):
        made.append(("mkdir", str(hba)))
        for disk in (path for path in hba.iterdir() if path.is_dir()):
            path = folder / "pool" / f"{disk.name}.lun"
            control = f"fd_dev_name={path},fd_dev_size={path.stat().st_size}"
            made += [("mkdir", str(disk)), ("write", f"{disk}/control", control), ("write", f"{disk}/enable", "1")]
            made += [
                ("write", f"{disk}/wwn/vpd_unit_serial", disk.name),
                ("write", f"{disk}/wwn/product_id", "vdsprovd"),
            ]
    for target in (path for path in (ROOT / "iscsi").iterdir() if path.name.startswith("iqn.")):
        group = target / "tpgt_1"
        made += [("mkdir", str(target)), ("mkdir", str(group)), ("write", f"{group}/enable", "1")]
        for unit in sorted((group / "lun").iterdir()):
            (link,) = (path for path in unit.iterdir() if path.is_symlink())
            made += [("mkdir", str(unit)), ("link", str(link), str(link.resolve()))]
        for acl in (group / "acls").iterdir():
            made.append(("mkdir", str(acl)))
            for unit in sorted(path for path in acl.iterdir() if path.name.startswith("lun_")):
                (link,) = (path for path in unit.iterdir() if path.is_symlink())
                made += [("mkdir", str(unit)), ("link", str(link), str(link.resolve()))]
        made += [("mkdir", str(portal)) for portal in (group / "np").iterdir()]
    return made


def walk(folder: Path) -> int:
    """Read what an audit compares, and nothing else; gives how many attributes, links and files that is."""
    count = 0
    names = ("info", "udev_path", "alua/default_tg_pt_gp/alua_access_state", "wwn/vpd_unit_serial")
    paths = [f"{disk}/{name}" for disk in (ROOT / "core").glob("fileio_*/*-*") for name in names if name != "udev_path"]
    for group in (ROOT / "iscsi").glob("iqn.*/tpgt_*"):
        paths += [f"{group}/enable", f"{group}/attrib/authentication", f"{group}/param/TargetAlias"]
        for acl in (group / "acls").iterdir():
            paths += [f"{acl}/auth/{name}" for name in ("userid", "password", "userid_mutual", "password_mutual")]
        for unit in [*(group / "lun").iterdir(), *(group / "acls").glob("*/lun_*")]:
            with os.scandir(unit) as entries:
                count += sum(bool(os.readlink(entry.path)) for entry in entries if entry.is_symlink())
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        os.read(descriptor, 65536)
        os.close(descriptor)
    files = [os.lstat(path) for path in (folder / "pool").iterdir()]
    return count + len(paths) + len(files)
