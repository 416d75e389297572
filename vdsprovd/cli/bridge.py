"""`vdsprovctl bridge`: the daemon's socket on standard input and output."""

import os
import socket
import sys
import threading
from contextlib import suppress

import click

from vdsprovd.cli import errors
from vdsprovd.cli.session import Session

_CHUNK = 1 << 16


@click.command(
    epilog="""\b
Examples:
  varlink --bridge "ssh storage1 vdsprovctl bridge" \\
    call org.vdsprov.HwProvider.QuerySubSystems
  # in ~/.ssh/authorized_keys, for a key that can do nothing else:
  restrict,command="vdsprovctl bridge" ssh-ed25519 AAAA... backup@example"""
)
@click.pass_obj
def bridge(session: Session) -> None:
    """Pass on to the daemon what comes on standard input, and what it answers to standard output.

    This is what --host runs on the other host. Any Varlink client that can talk through a command's input and output
    reaches the daemon in this way. It ends with its input, or when the daemon ends the connection.
    """
    with _connected(session.socket) as daemon:
        threading.Thread(target=_pass_on, args=(daemon,), daemon=True).start()
        out = sys.stdout.buffer.fileno()
        with suppress(BrokenPipeError, ConnectionResetError):
            while data := daemon.recv(_CHUNK):
                while data:
                    data = data[os.write(out, data) :]


def _connected(path: str) -> socket.socket:
    # Without the client, which takes longer to load than all of this to do.
    daemon = socket.socket(socket.AF_UNIX)
    try:
        daemon.connect(path)
    except OSError as error:
        daemon.close()
        raise errors.Failure(f"cannot connect to vdsprovd at {path}: {error.strerror}", errors.UNREACHABLE) from error
    return daemon


def _pass_on(daemon: socket.socket) -> None:
    with suppress(OSError):
        while data := os.read(sys.stdin.fileno(), _CHUNK):
            daemon.sendall(data)
    with suppress(OSError):
        daemon.shutdown(socket.SHUT_RDWR)
