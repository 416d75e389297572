"""The log as entries of systemd's journal: fields to search by, and for each kind of event an id and an explanation.

A line is logged as anywhere, with `extra=about(EVENT, ...)` for what it is about. Under systemd it goes to the journal in
its native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/); otherwise the line is all that is shown. Nothing here is
ever a secret: callers give ids, codes and names.
"""

import logging
import os
import socket
from typing import Any

import msgspec

from vdsprovd.hresult import Hresult

SOCKET = "/run/systemd/journal/socket"
_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
"""syslog's numbers, from which level on."""
_SEND_BUFFER = 8 << 20
"""Bytes that wait for the journal, as libsystemd has it."""
_CUT = 32 << 10
"""Bytes that are left of a value where the whole does not go into a datagram."""


class Event(msgspec.Struct, frozen=True):
    """A kind of event. The id is its MESSAGE_ID for ever; subject and text are what `journalctl -x` explains it with, where
    @FIELD@ stands for the entry's field of that name."""

    name: str
    id: str
    subject: str
    text: str


READY = Event(
    "ready",
    "d08a4902ed8d481e839bd0f5fc1ace2c",
    "The provider serves",
    "Everything that the store says is exported, as far as it can be, and clients are answered.",
)
STOPPING = Event(
    "stopping",
    "2e0f774f9a5a4fbeb527d84fd244437f",
    "The provider ends",
    "Initiators go on reading and writing; the kernel needs no vdsprovd for that.",
)
RELOADED = Event(
    "reloaded",
    "06f73ffee0f746d8948a2a9eda19fc10",
    "A changed configuration is in force",
    "It was taken in while clients and initiators were served.",
)
CONFIGURATION_REFUSED = Event(
    "configuration_refused",
    "0465a44302aa4dafbe889f4c1df46bd3",
    "A changed configuration cannot be used, or not all of it",
    "The message says why. Put the file right and reload, or restart where it says so:\n"
    "systemctl reload vdsprovd.service",
)
CALL_MADE = Event(
    "call_made",
    "76c8b7429bc74b4796257db906809899",
    "A client changed something: @VDS_METHOD@",
    "The user of uid @VDS_CALLER_UID@ called @VDS_METHOD@ of the object @VDS_OBJECT@, and it did what was asked, or began\n"
    "an asynchronous operation: then VDS_OPERATION is its id, and another entry with that tells what became of it.",
)
CALL_FAILED = Event(
    "call_failed",
    "faf8980ba6e94ef0adb26f75f8bce0e9",
    "A client could not change something: @VDS_METHOD@, @VDS_CODE@",
    "The user of uid @VDS_CALLER_UID@ called @VDS_METHOD@ and was answered @VDS_CODE@ (@VDS_HRESULT@). Nothing was changed;\n"
    "the message says why, and what can be done.",
)
CALL_REFUSED = Event(
    "call_refused",
    "8351ac7965cb4dfcbdcf2db74d103678",
    "A user may not do what it wanted to",
    "The user of uid @VDS_CALLER_UID@ called @VDS_METHOD@ and has no role for that. Roles are given to groups in the table\n"
    "[roles] of vdsprovd.toml.",
)
OPERATION_DONE = Event(
    "operation_done",
    "a0df2384a6d34817b6defa2660d3b7df",
    "An asynchronous operation did what was asked",
    "The operation @VDS_OPERATION@ is over. VDS_OBJECT is what it made, or what it was about.",
)
OPERATION_FAILED = Event(
    "operation_failed",
    "c5f3a5c49c534fbc9e6f7070de018d5f",
    "An asynchronous operation failed: @VDS_CODE@",
    "The operation @VDS_OPERATION@ on @VDS_OBJECT@ ended with @VDS_CODE@ (@VDS_HRESULT@). What it had begun was undone,\n"
    "unless the message says otherwise.",
)
CACHE_CORRUPT = Event(
    "cache_corrupt",
    "ba22279df2ae43a3b72264f55ab87df0",
    "The provider cache is corrupt",
    "The kernel or the store is proven not to be what vdsprovd knows. Methods that need it answer\n"
    "VDS_E_PROVIDER_CACHE_CORRUPT until somebody recovers it:\n"
    "vdsprovctl recover\n"
    "That puts right whatever others changed in vdsprovd's own targets: look at it first if it may have been meant.",
)
CACHE_SOUND = Event(
    "cache_sound",
    "2e30a5225aa94721a00cf04a40cf5d57",
    "The provider cache is sound again",
    "Reenumerate and Refresh found out what there is and put it right.",
)
DEVIATION = Event(
    "deviation",
    "fec5ab5e30344770a911db7f76be41b3",
    "Somebody else changed the kernel's target",
    "What the message names is not as it was set, and @VDS_OBJECT@ shows it until it is. If nobody meant it:\n"
    "vdsprovctl recover",
)
LUN_LOST = Event(
    "lun_lost",
    "c410990053c74dcf85cf7b89abc816a8",
    "A LUN cannot be used any more",
    "The volume of LUN @VDS_OBJECT@ is missing, cannot be read, or is another LUN's, as the message says. It is not exported\n"
    "until that is mended, and keeps its masks and associations.",
)
NO_ANSWER = Event(
    "no_answer",
    "abfa37d4f0d14542b8b1e31902d5d67d",
    "The kernel does not answer",
    "Mostly a disk hangs. What waits for it goes on waiting; other objects are served. See to the disk: dmesg, multipath -ll,\n"
    "lsblk.",
)
ANSWER = Event(
    "answer",
    "d8a5612ce56c43d7a9095204e9b5e1a5",
    "The kernel answered after all",
    "What waited for it goes on.",
)
STORE_FAILED = Event(
    "store_failed",
    "5a21d1b77ead4b6d9d9b804c6598fc4b",
    "The store cannot be written",
    "Changes are refused until it can be: mostly the file system of /var/lib/vdsprovd is full or broken. Queries, and what is\n"
    "exported, go on.",
)
STORE_WRITABLE = Event(
    "store_writable",
    "d5431cbc2f17463a8fda519cbd227cfb",
    "The store can be written again",
    "Changes are possible again.",
)
NO_BACKUP = Event(
    "no_backup",
    "8d52c0431d21495abd8aaa647a091ac0",
    "The store could not be backed up",
    "It is tried again in ten minutes. The message says why.",
)
CUT_OFF = Event(
    "cut_off",
    "10de5beb72de49879c74b9d8bea38ff5",
    "A crash had cut off a change",
    "The start completed or undid it, as the message says. A client that waited for it may want to look what came of it.",
)
NO_METRICS = Event(
    "no_metrics",
    "417bd9c175604148acbccd9a3c40c4ab",
    "No metrics are served",
    "The place that [metrics] in vdsprovd.toml names cannot be used, for the reason in the message. Nothing else is affected.",
)
BUG = Event(
    "bug",
    "f0d2433cbbd04ec7943af9cf84f828ec",
    "A bug in vdsprovd",
    "The call failed with E_UNEXPECTED. Please report it with the traceback.",
)

EVENTS = (
    READY,
    STOPPING,
    RELOADED,
    CONFIGURATION_REFUSED,
    CALL_MADE,
    CALL_FAILED,
    CALL_REFUSED,
    OPERATION_DONE,
    OPERATION_FAILED,
    CACHE_CORRUPT,
    CACHE_SOUND,
    DEVIATION,
    LUN_LOST,
    NO_ANSWER,
    ANSWER,
    STORE_FAILED,
    STORE_WRITABLE,
    NO_BACKUP,
    CUT_OFF,
    NO_METRICS,
    BUG,
)

FIELDS = {
    "VDS_EVENT": "the event's name, as in the table below",
    "VDS_METHOD": "the method that was called, such as `Lun.Delete`",
    "VDS_HRESULT": "what it was answered, or how the operation ended, as a number: `0x8004240b`",
    "VDS_CODE": "the same as VDS's symbol: `VDS_E_OBJECT_DELETED`, `S_OK`",
    "VDS_OBJECT": "the id of the object that it is about, or that was made",
    "VDS_OPERATION": "the id of the asynchronous operation (`Async.Wait`)",
    "VDS_CALLER_UID": "the user that called, or whose call began the operation",
    "VDS_CALLER_PID": "its process",
}
"""The fields of entries, and what they say; each is there where it is known."""


def about(
    event: Event,
    *,
    method: str = "",
    code: Hresult | None = None,
    object: str | None = "",
    operation: str = "",
    caller: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """What to log a line with: `log.info(..., extra=about(...))`. `caller` is the user and the process that called."""
    fields = {"MESSAGE_ID": event.id, "VDS_EVENT": event.name}
    given = {
        "VDS_METHOD": method,
        "VDS_HRESULT": f"{int(code):#010x}" if code is not None else "",
        "VDS_CODE": code.name if code is not None else "",
        "VDS_OBJECT": object,
        "VDS_OPERATION": operation,
        "VDS_CALLER_UID": str(caller[0]) if caller else "",
        "VDS_CALLER_PID": str(caller[1]) if caller else "",
    }
    return {"journal": fields | {name: value for name, value in given.items() if value}}


def is_our_stderr() -> bool:
    """Whether systemd has connected standard error to the journal, and nobody has sent it elsewhere since."""
    found = os.environ.get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(2)
    except OSError:
        return False
    return found == f"{status.st_dev}:{status.st_ino}"


class Handler(logging.Handler):
    """Sends log records to the journal. A journal that does not keep up loses some, and nobody waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self._lost = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)

    def close(self) -> None:
        """Send no more."""
        self._socket.close()
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Send one."""
        try:
            message = self.format(record)
            if self._lost:
                message += f" ({self._lost} lines before this were lost: the journal did not take them)"
            fields = {
                "MESSAGE": message,
                "PRIORITY": str(next((number for level, number in _PRIORITIES if record.levelno >= level), 7)),
                "SYSLOG_IDENTIFIER": "vdsprovd",
                "CODE_FILE": record.pathname,
                "CODE_LINE": str(record.lineno),
                "CODE_FUNC": record.funcName or "",
                **getattr(record, "journal", {}),
            }
            try:
                self._socket.sendto(encoded(fields), SOCKET)
            except OSError:  # too long, mostly
                self._socket.sendto(encoded({name: value[:_CUT] for name, value in fields.items()}), SOCKET)
            self._lost = 0
        except OSError:
            self._lost += 1
        except Exception:
            self.handleError(record)


def encoded(fields: dict[str, str]) -> bytes:
    """An entry in the native protocol. A value with line breaks has its length before it: none can be taken for a field."""
    lines = []
    for name, value in fields.items():
        text = value.encode(errors="replace")
        if b"\n" in text:
            lines.append(name.encode() + b"\n" + len(text).to_bytes(8, "little") + text + b"\n")
        else:
            lines.append(name.encode() + b"=" + text + b"\n")
    return b"".join(lines)
