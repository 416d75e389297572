"""The listening socket: systemd's, when it started us, or one of our own."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

# Where systemd's file descriptors begin.
_FIRST = 3
_VARIABLES = ("LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES")
# Connections that wait to be accepted; systemd's own default. asyncio's, 100, fails clients that start together.
BACKLOG = 4096


def systemd_sockets() -> dict[str, socket.socket]:
    """The sockets that systemd opened for this process, by name; a single one is always called `varlink`.

    Empty when there are none, or when they are meant for another process. The environment variables are removed, so
    that child processes do not take the sockets for theirs. A second call finds nothing.
    """
    environment = {name: os.environ.pop(name, "") for name in _VARIABLES}
    if environment["LISTEN_PID"] != str(os.getpid()) or not _is_our_pidfd(environment["LISTEN_PIDFDID"]):
        return {}
    count = int(environment["LISTEN_FDS"] or 0)
    names = environment["LISTEN_FDNAMES"].split(":") if environment["LISTEN_FDNAMES"] else []
    if count == 1:
        names = ["varlink"]
    elif count != len(names):
        raise ValueError(f"cannot use systemd's {count} sockets: they have {len(names)} names (FileDescriptorName=)")
    found: dict[str, socket.socket] = {}
    for descriptor, name in enumerate(names, _FIRST):
        os.set_inheritable(descriptor, False)
        # systemd also keeps other things for a service that asks it to.
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            continue
        if name in found:
            raise ValueError(f"cannot tell systemd's sockets apart: two are named {name} (FileDescriptorName=)")
        found[name] = socket.socket(fileno=descriptor)
    return found


def bind(path: str | Path, mode: int = 0o600, gid: int = -1, *, varlink: bool = True) -> socket.socket:
    """Make a Unix socket that listens at `path`, with these permissions from the first client on, for Varlink or not.

    Replaces the socket file of a server that is gone. Raises OSError where a server listens, and where something else
    than a socket is in the way.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "cannot listen: there is no such folder", str(path.parent))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Two servers that start together would both find the socket file of a dead one.
        with _locked(path.with_name(path.name + ".lock")):
            _remove_stale(path)
            # Nobody but us may connect until the group is set: bind() makes the file with what the umask leaves.
            umask = os.umask(0o177)
            try:
                listener.bind(os.fspath(path))
            finally:
                os.umask(umask)
            try:
                os.chown(path, -1, gid)
                path.chmod(mode)
                # Tells tools that Varlink is spoken here. Older kernels have no attributes on sockets.
                if varlink:
                    with contextlib.suppress(OSError):
                        os.setxattr(path, "user.varlink", b"entrypoint")
                listener.listen(BACKLOG)
            except BaseException:
                path.unlink()
                raise
    except BaseException:
        listener.close()
        raise
    return listener


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    # Never removed: a lock on a file that somebody may unlink is none.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "cannot listen: something else than a socket is in the way", str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # A full backlog must not keep us waiting; it, too, is a sign of life.
        probe.setblocking(False)
        refused = probe.connect_ex(os.fspath(path))
    if refused != errno.ECONNREFUSED:
        raise OSError(errno.EADDRINUSE, "cannot listen: another server does", str(path))
    path.unlink()


def _is_our_pidfd(inode: str) -> bool:
    """Whether the number, where there is one, is this very process's; a pid alone may have been used before."""
    if not inode:
        return True
    try:
        descriptor = os.pidfd_open(os.getpid())
    except OSError:
        return True
    try:
        return str(os.fstat(descriptor).st_ino) == inode
    finally:
        os.close(descriptor)
