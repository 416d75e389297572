"""Unpacks the distribution's stock kernel for --qemu; runs in the namespaces (labhost.namespaces).

The result holds `vmlinuz`, `modules/VERSION` and `initramfs`, which does no more than mount the root file system.
"""

import lzma
import re
import shutil
import subprocess
from pathlib import Path
from typing import cast

from labhost.ending import CANNOT_BUILD, LabError
from labhost.namespaces import Json
from labhost.rootfs import ForeignApt, find_mirror

# What the root file system and the lines to the host need; everything else is loaded from the root file system.
FIRST_MODULES = ("virtio_pci", "virtio_console", "virtio_net", "9pnet_virtio", "9p")

INIT = """\
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs devtmpfs /dev
for module in {modules}; do /bin/busybox insmod /modules/$module; done
/bin/busybox mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=loose root /root || exec /bin/busybox sh
/bin/busybox mount -t devtmpfs devtmpfs /root/dev
exec /bin/busybox switch_root /root /lab/guest/init
"""


def inside(task: Json) -> int:
    target, log_path = Path(cast(str, task["target"])), Path(cast(str, task["log"]))
    suite, package = cast(str, task["suite"]), cast(str, task["package"])
    with log_path.open("w") as log:
        try:
            apt = ForeignApt(target / "apt", find_mirror(), suite, log)
            image = next(name for name in apt.dependencies(package) if name.startswith("linux-image-"))
            unpacked = target / "unpacked"
            apt.unpack(image, unpacked)
            apt.unpack("busybox-static", unpacked)
            apt.close()
            usr = unpacked / "usr" if (unpacked / "usr/lib/modules").is_dir() else unpacked
            version = next((usr / "lib/modules").iterdir()).name
            shutil.copy(next(unpacked.glob("boot/vmlinuz-*")), target / "vmlinuz")
            (target / "modules").mkdir()
            (usr / "lib/modules" / version).rename(target / "modules" / version)
            _index(Path(cast(str, task["root"])), target / "modules", version)
            busybox = next(path for path in (unpacked / "usr/bin/busybox", unpacked / "bin/busybox") if path.exists())
            (target / "initramfs").write_bytes(_initramfs(busybox, target / "modules" / version))
            shutil.rmtree(unpacked)
        except (subprocess.CalledProcessError, StopIteration) as error:
            raise LabError(
                f"the stock kernel could not be unpacked: {error!r}; see {log_path}", CANNOT_BUILD
            ) from error
    return 0


def _index(root: Path, modules: Path, version: str) -> None:
    """depmod, with the guest's tools: the machine itself may have none."""
    place = root / "usr/lib/modules"
    subprocess.run(["mount", "--bind", str(modules), str(place)], check=True)
    subprocess.run(["chroot", str(root), "/usr/sbin/depmod", version], check=True)
    subprocess.run(["umount", str(place)], check=True)


def _initramfs(busybox: Path, modules: Path) -> bytes:
    """The few files of the first root, as a cpio archive."""
    order = _load_order((modules / "modules.dep").read_text(), (modules / "modules.builtin").read_text())
    archive = bytearray()
    for folder in ("bin", "dev", "modules", "root"):
        archive += _entry(folder, 0o040755, b"")
    archive += _entry("bin/busybox", 0o100755, busybox.read_bytes())
    names = []
    for path in order:
        content = (modules / path).read_bytes()
        names.append(Path(path).name.removesuffix(".xz"))
        archive += _entry(
            f"modules/{names[-1]}", 0o100644, lzma.decompress(content) if path.endswith(".xz") else content
        )
    archive += _entry("init", 0o100755, INIT.format(modules=" ".join(names)).encode())
    return bytes(archive + _entry("TRAILER!!!", 0, b""))


def _load_order(table: str, builtin: str) -> list[str]:
    needs = {line.split(":")[0]: line.split(":")[1].split() for line in table.splitlines()}
    by_name = {re.sub(r"\.ko.*$", "", Path(path).name).replace("-", "_"): path for path in needs}
    order: dict[str, None] = {}
    for name in FIRST_MODULES:
        if name not in by_name:
            if f"/{name}.ko" in builtin:
                continue
            raise LabError(f"the stock kernel has no {name}", CANNOT_BUILD)
        # modules.dep lists what a module needs with the innermost last.
        for path in [*reversed(needs[by_name[name]]), by_name[name]]:
            order[path] = None
    return list(order)


def _entry(name: str, mode: int, content: bytes) -> bytes:
    """One file of an archive in cpio's newc format."""
    named = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(named), 0)
    head = b"070701" + b"".join(b"%08x" % number for number in fields) + named
    return _padded(head) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
