"""What the kernel cannot do without: the bare operations, in Python without a library."""

import mmap
import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path("/sys/kernel/config/target")
LINK = "link"
"""The name of every link."""
FIRST_HBA = 2_000_000
"""Out of the way of those that others number."""

DISK_ATTRIBUTES = ("info", "alua/default_tg_pt_gp/alua_access_state", "wwn/vpd_unit_serial", "wwn/product_id")
"""What an audit compares of a storage object that has a file."""
GROUP_ATTRIBUTES = (
    "enable",
    "attrib/authentication",
    "attrib/generate_node_acls",
    "attrib/prod_mode_write_protect",
    "param/TargetAlias",
)
"""The same of a portal group."""
OWNER = "user.vdsprovd.lun"
"""The extended attribute in which a LUN's file says whose it is."""


def add_target(target: str, initiators: Collection[str]) -> None:
    """A target that listens, and that these initiators may log in to."""
    group = f"{ROOT}/iscsi/{target}/tpgt_1"
    os.makedirs(f"{ROOT}/iscsi/{target}")  # the first one makes the folder of iSCSI, too
    for path in (group, *(f"{group}/acls/{name}" for name in initiators)):
        os.mkdir(path)
    os.mkdir(f"{group}/np/127.0.0.1:3260")
    write(f"{group}/enable", "1")


def add_lun(target: str, number: int, file: str, size: int, initiators: Collection[str]) -> None:
    """A sparse file as a LUN of the target, which these initiators see; the file's name is its serial number."""
    add_disk(number, file, size)
    add_unit(target, number, file, initiators)


def add_disk(number: int, file: str, size: int) -> None:
    """The first half of `add_lun`: the file and its storage object."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    os.ftruncate(descriptor, size)
    os.close(descriptor)
    name = os.path.basename(file)
    disk = _disk(number, name)
    os.mkdir(os.path.dirname(disk))
    os.mkdir(disk)
    write(f"{disk}/control", f"fd_dev_name={file},fd_dev_size={size}")
    write(f"{disk}/enable", "1")
    write(f"{disk}/wwn/vpd_unit_serial", name)


def add_unit(target: str, number: int, file: str, initiators: Collection[str]) -> None:
    """The second half: the storage object as a logical unit of the target, and who sees it."""
    disk, unit, *all_mapped = folders(target, number, file, initiators)
    os.mkdir(unit)
    os.symlink(disk, f"{unit}/{LINK}")
    for mapped in all_mapped:
        os.mkdir(mapped)
        os.symlink(unit, f"{mapped}/{LINK}")


def folders(target: str, number: int, file: str, initiators: Collection[str]) -> list[str]:
    """The folders of the LUN: of its storage object, of its logical unit, and of each initiator's."""
    group = f"{ROOT}/iscsi/{target}/tpgt_1"
    mapped = [f"{group}/acls/{initiator}/lun_{number}" for initiator in initiators]
    return [_disk(number, os.path.basename(file)), f"{group}/lun/lun_{number}", *mapped]


def _disk(number: int, name: str) -> str:
    return f"{ROOT}/core/fileio_{FIRST_HBA + number}/{name}"


def write(path: str, value: str) -> None:
    """Write an attribute."""
    descriptor = os.open(path, os.O_WRONLY)
    os.write(descriptor, value.encode())
    os.close(descriptor)


def read(path: str) -> bytes:
    """An attribute's bytes."""
    descriptor = os.open(path, os.O_RDONLY)
    found = os.read(descriptor, 65536)
    os.close(descriptor)
    return found


def present() -> set[str]:
    """The folders of all that is in the kernel's target, whoever made it."""
    return {path for path, _ in _objects()}


def clear(keep: Collection[str] = ()) -> None:
    """Take everything out of the kernel's target, whoever made it, but for what `present` said before."""
    for path, linked in _objects():
        if path not in keep:
            if linked:
                with os.scandir(path) as entries:
                    links = [entry.path for entry in entries if entry.is_symlink()]
                for link in links:
                    os.unlink(link)
            with suppress(FileNotFoundError):
                os.rmdir(path)


def _objects() -> Iterator[tuple[str, bool]]:
    """Every object's folder in an order in which they can be removed, and whether it holds a link."""
    for target in _folders(f"{ROOT}/iscsi", "iqn."):
        for group in _folders(target, "tpgt_"):
            for acl in _folders(f"{group}/acls"):
                yield from ((unit, True) for unit in _folders(acl, "lun_"))
                yield acl, False
            yield from ((unit, True) for unit in _folders(f"{group}/lun"))
            yield from ((portal, False) for portal in _folders(f"{group}/np"))
            yield group, False
        yield target, False
    for hba in _folders(f"{ROOT}/core"):
        if hba.rpartition("/")[2] != "alua":
            yield from ((disk, False) for disk in _folders(hba))
            yield hba, False


def _folders(path: str, prefix: str = "") -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.path for entry in entries if entry.name.startswith(prefix) and entry.is_dir()]
    except FileNotFoundError:
        return []


def create_bare(description: list[tuple[str, ...]]) -> None:
    """The floor of a restore: nothing but the kernel's operations, one after the other."""
    for operation, path, *value in description:
        match operation:
            case "mkdir":
                os.mkdir(path)
            case "link":
                os.symlink(value[0], path)
            case _:
                write(path, value[0])


def check(folder: Path) -> None:
    """See that each file of the pool is the one that its name says, and can be read from the disk at both ends."""
    room = mmap.mmap(-1, 4096)
    for path in (folder / "pool").iterdir():
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECT)
        size = os.fstat(descriptor).st_size
        if os.getxattr(descriptor, OWNER).decode() != path.stem:
            raise AssertionError(f"{path} is another one's")
        for offset in (0, size - len(room)):
            os.preadv(descriptor, [room], offset)
        os.close(descriptor)


def described(folder: Path, *, named: bool = False) -> list[tuple[str, ...]]:
    """What makes the kernel's configuration as it is, operation by operation; if it is to be `named`, with each device's name
    for other tools."""
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
            if named:
                made.append(("write", f"{disk}/udev_path", str(path)))
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
    paths = [f"{disk}/{name}" for disk in (ROOT / "core").glob("fileio_*/*-*") for name in DISK_ATTRIBUTES]
    for group in (ROOT / "iscsi").glob("iqn.*/tpgt_*"):
        paths += [f"{group}/{name}" for name in GROUP_ATTRIBUTES]
        for acl in (group / "acls").iterdir():
            paths += [f"{acl}/auth/{name}" for name in ("userid", "password", "userid_mutual", "password_mutual")]
        for unit in [*(group / "lun").iterdir(), *(group / "acls").glob("*/lun_*")]:
            with os.scandir(unit) as entries:
                count += sum(bool(os.readlink(entry.path)) for entry in entries if entry.is_symlink())
    for path in paths:
        read(path)
    for file in (folder / "pool").iterdir():
        os.lstat(file)
        os.getxattr(file, OWNER)
        count += 1
    return count + len(paths)
