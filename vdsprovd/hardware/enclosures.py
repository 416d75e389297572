"""Maintenance of a drive: the light at its slot, its motor, a sign of life."""

import ctypes
import errno
import fcntl
import mmap
import os
import shutil
import subprocess
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from vdsprovd.hardware import Mismatch, Refused, Unsupported
from vdsprovd.hardware.drives import component, folder_of
from vdsprovd.model import MaintenanceOperation

_TIMEOUT = 60
"""Seconds. A large disk needs half of them to spin up."""

# <scsi/sg.h>, and of SCSI itself: commands of six bytes, the first is the code.
_SG_IO = 0x2285
_NO_DATA = -1
_TEST_UNIT_READY = bytes(6)
_STOP_UNIT = bytes((0x1B, 0, 0, 0, 0, 0))
_START_UNIT = bytes((0x1B, 0, 0, 0, 1, 0))
_ILLEGAL_REQUEST, _UNIT_ATTENTION = 5, 6
_ALIVE = {(2, 0x04, 0x01), (2, 0x04, 0x02)}
"""Not ready, because it is spinning up, or because it was spun down."""


class Maintenance:
    """What can be done to drives, by their device nodes. Only the light lasts until it is stopped; the rest is over when
    `start` returns."""

    def __init__(self, sysfs: Path = Path("/sys")) -> None:
        self._sysfs = sysfs

    def supported(self, node: str) -> Collection[MaintenanceOperation]:
        """The operations that make sense for the drive; it may refuse them all the same. Nothing on Linux beeps. Raises
        `Mismatch` when it is not there."""
        folder = self._folder(node)
        found = {MaintenanceOperation.PING}
        if _light(folder) or _ledctl_knows(folder):
            found.add(MaintenanceOperation.BLINK_LIGHT)
        if _is_scsi(folder):
            found |= {MaintenanceOperation.SPIN_DOWN, MaintenanceOperation.SPIN_UP}
        return found

    def start(self, node: str, operation: MaintenanceOperation) -> None:
        """Light it up, spin it down or up, or see whether it answers. A drive that somebody uses is not spun down: SCSI
        disks do not spin up by themselves. Raises `Unsupported`, `Refused`, `Mismatch`."""
        folder = self._folder(node)
        if operation not in self.supported(node):
            raise Unsupported(f"{node} cannot {operation.value}")
        match operation:
            case MaintenanceOperation.BLINK_LIGHT:
                _blink(node, folder, on=True)
            case MaintenanceOperation.SPIN_DOWN:
                _command(node, _STOP_UNIT, os.O_EXCL)
            case MaintenanceOperation.SPIN_UP:
                _command(node, _START_UNIT)
            case _ if _is_scsi(folder):
                _command(node, _TEST_UNIT_READY)
            case _:
                _read(node)

    def stop(self, node: str, operation: MaintenanceOperation) -> None:
        """Turn the light off; nothing for what is over. Raises as `start`."""
        folder = self._folder(node)
        if operation is MaintenanceOperation.BLINK_LIGHT:
            if operation not in self.supported(node):
                raise Unsupported(f"{node} cannot {operation.value}")
            _blink(node, folder, on=False)

    def _folder(self, node: str) -> Path:
        folder = folder_of(node, self._sysfs)
        if not folder.exists():
            raise Mismatch(f"{node} is not there")
        return folder


def _is_scsi(folder: Path) -> bool:
    return (folder / "device/scsi_level").exists()


def _light(folder: Path) -> Path | None:
    """The kernel's switch of the light at the drive's slot."""
    slot = component(folder)
    return slot / "locate" if slot and (slot / "locate").exists() else None


def _blink(node: str, folder: Path, *, on: bool) -> None:
    # The kernel's own switch needs no program. It has none for the lights of AHCI, VMD and NPEM, which ledctl knows.
    light = _light(folder)
    try:
        if light:
            light.write_text("1" if on else "0")
        else:
            # Without --listed-only it turns every other light off.
            _ledctl("--listed-only", f"{'locate' if on else 'locate_off'}={node}")
    except subprocess.SubprocessError as error:
        raise Refused(f"cannot switch the light of {node}: {error}") from error
    except OSError as error:
        raise Refused(f"cannot switch the light of {node}: {error.strerror}") from error


def _ledctl_knows(folder: Path) -> bool:
    """Whether the drive is below a controller whose lights ledctl can switch."""
    if shutil.which("ledctl") is None:
        return False
    try:
        controllers = [line.split(" ")[0] for line in _ledctl("--list-controllers").splitlines()]
    except subprocess.SubprocessError:
        return False
    return any(folder.resolve().is_relative_to(path) for path in controllers if path)


def _ledctl(*arguments: str) -> str:
    command = ["ledctl", "--log=/dev/null", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=_TIMEOUT).stdout


def _command(node: str, command: bytes, flags: int = 0) -> None:
    """Send a SCSI command without data, and wait until it is done."""
    # By the ioctl: sg3-utils' sg_turs 1.48 fails with status 0. Open for reading: udev reads what was open for writing.
    with _opened(node, flags) as descriptor:
        # The first answer may be that something has happened before.
        for _ in range(3):
            status, sense = _sent(node, descriptor, command)
            if not status or sense[0] != _UNIT_ATTENTION:
                break
    if status and not (command == _TEST_UNIT_READY and sense in _ALIVE):
        key, code, qualifier = sense
        what = f"{node} refuses: sense key {key}, {code:02x}/{qualifier:02x}"
        raise Unsupported(what) if key == _ILLEGAL_REQUEST else Refused(what)


def _sent(node: str, descriptor: int, command: bytes) -> tuple[int, tuple[int, int, int]]:
    """Send it once; its status, and the sense key with its two reasons."""
    sense = (ctypes.c_ubyte * 64)()
    header = _Header(
        interface_id=ord("S"),
        dxfer_direction=_NO_DATA,
        cmd_len=len(command),
        mx_sb_len=len(sense),
        cmdp=ctypes.cast(ctypes.c_char_p(command), ctypes.c_void_p),
        sbp=ctypes.cast(sense, ctypes.c_void_p),
        timeout=_TIMEOUT * 1000,
    )
    fcntl.ioctl(descriptor, _SG_IO, header)
    if header.host_status:
        raise Refused(f"{node} does not answer: host status {header.host_status}")
    # Descriptor format has the three in its first bytes, fixed format further back.
    key, code, qualifier = sense[1:4] if sense[0] & 0x7F >= 0x72 else (sense[2], *sense[12:14])
    return header.status, (key & 15, code, qualifier)


def _read(node: str) -> None:
    """Read the first page past the kernel's cache."""
    with _opened(node, os.O_DIRECT) as descriptor, mmap.mmap(-1, mmap.PAGESIZE) as page:
        os.preadv(descriptor, [page], 0)


@contextmanager
def _opened(node: str, flags: int) -> Iterator[int]:
    try:
        descriptor = os.open(node, os.O_RDONLY | os.O_CLOEXEC | flags)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENXIO}:
            raise Mismatch(f"{node} is not there: {error.strerror}") from error
        used = flags & os.O_EXCL and error.errno == errno.EBUSY
        raise Refused(f"{node} is in use" if used else f"{node} does not answer: {error.strerror}") from error


class _Header(ctypes.Structure):
    """sg_io_hdr."""

    _fields_ = (
        ("interface_id", ctypes.c_int),
        ("dxfer_direction", ctypes.c_int),
        ("cmd_len", ctypes.c_ubyte),
        ("mx_sb_len", ctypes.c_ubyte),
        ("iovec_count", ctypes.c_ushort),
        ("dxfer_len", ctypes.c_uint),
        ("dxferp", ctypes.c_void_p),
        ("cmdp", ctypes.c_void_p),
        ("sbp", ctypes.c_void_p),
        ("timeout", ctypes.c_uint),
        ("flags", ctypes.c_uint),
        ("pack_id", ctypes.c_int),
        ("usr_ptr", ctypes.c_void_p),
        ("status", ctypes.c_ubyte),
        ("masked_status", ctypes.c_ubyte),
        ("msg_status", ctypes.c_ubyte),
        ("sb_len_wr", ctypes.c_ubyte),
        ("host_status", ctypes.c_ushort),
        ("driver_status", ctypes.c_ushort),
        ("resid", ctypes.c_int),
        ("duration", ctypes.c_uint),
        ("info", ctypes.c_uint),
    )
