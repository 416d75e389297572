"""Who calls, and how: what a handler is told beside the parameters."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from dataclasses import dataclass

_UCRED = struct.Struct("=iII")
# <asm-generic/socket.h>; Python's socket module does not have it.
_SO_PEERGROUPS = 59
# The most that Python's getsockopt() takes: 256 groups.
_GETSOCKOPT_MAX = 1024
_NGROUPS_MAX = 65536


@dataclass(frozen=True, slots=True)
class Peer:
    """The process that connected, as the kernel recorded it at connect(); it cannot be forged.

    Behind a bridge (ssh, HTTP) it is the bridge.
    """

    pid: int
    uid: int
    gid: int
    groups: tuple[int, ...]

    @classmethod
    def of(cls, sock: socket.socket) -> Peer:
        """Read the credentials of the process at the other end of a connected Unix socket."""
        pid, uid, gid = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        return cls(pid, uid, gid, _groups(sock))


class Call:
    """One call of a method: who made it and what kind of answer is wanted."""

    __slots__ = ("began", "method", "more", "oneway", "peer")

    def __init__(self, peer: Peer, method: str, more: bool, oneway: bool, began: float = 0.0) -> None:
        self.peer = peer
        # The full name, "org.example.Interface.Method".
        self.method = method
        self.more = more
        self.oneway = oneway
        # When its turn came, by the event loop's clock.
        self.began = began


def _groups(sock: socket.socket) -> tuple[int, ...]:
    try:
        packed = sock.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _GETSOCKOPT_MAX)
    except OSError as error:
        if error.errno != errno.ERANGE:
            raise
        packed = _many_groups(sock)
    return struct.unpack(f"={len(packed) // 4}I", packed)


def _many_groups(sock: socket.socket) -> bytes:
    # A directory service easily puts a user into more groups than Python's own getsockopt() has room for.
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(_NGROUPS_MAX * 4)
    length = ctypes.c_uint32(len(buffer))
    if libc.getsockopt(sock.fileno(), socket.SOL_SOCKET, _SO_PEERGROUPS, buffer, ctypes.byref(length)):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return buffer.raw[: length.value]
