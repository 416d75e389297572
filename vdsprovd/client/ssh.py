"""A daemon on another host, through ssh: who may log in there, and as whom, is ssh's business.

ssh runs `vdsprovctl bridge` there, which stands between its own input and output and the daemon's socket. The daemon sees the
user whom ssh has logged in, with the groups that this user has there. Each connection is a session of ssh.
"""

import json
import os
import shlex
import socket
import subprocess
import tempfile
import threading
from typing import IO, Final
from urllib.parse import urlsplit

from vdsprovd.client.address import SSH

PROGRAM: Final = "VDSPROVD_SSH"
"""The environment variable that has the command to run instead of "ssh", with its options."""
NO_DAEMON: Final = 3
"""The exit status of a bridge that cannot reach the daemon's socket."""

_HELLO: Final = json.dumps({"method": "org.varlink.service.GetInfo"}).encode() + b"\0"
_GRACE: Final = 5.0
"""Seconds that ssh has to say why it ends."""


def connect(address: str) -> socket.socket:
    """A connection to the daemon at `ssh://[USER@]HOST[:PORT][/PATH]`. Without PATH its socket there is where vdsprovctl looks
    by itself.

    Raises ConnectionError when there is none to be had: ConnectionRefusedError when ssh gets there, and no daemon answers;
    ValueError for an address that is none.
    """
    command = _command(address)
    ours, theirs = socket.socketpair()
    # A file and not a pipe: nobody reads it while all is well.
    with tempfile.TemporaryFile() as said, theirs:
        try:
            process = subprocess.Popen(command, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=said)
        except OSError as error:
            ours.close()
            raise ConnectionError(f"cannot run {command[2]}: {error.strerror}") from error
        theirs.close()
        try:
            _greet(ours)
        except BaseException as error:
            ours.close()
            if not isinstance(error, OSError):  # Ctrl-C
                process.terminate()
            status = _end(process)
            if isinstance(error, OSError):
                raise _failure(status, said) from error
            raise
    threading.Thread(target=process.wait, daemon=True, name="vdsprovd-ssh").start()
    return ours


def _command(address: str) -> list[str]:
    parts = urlsplit(address)
    if not parts.hostname or parts.query or parts.fragment or parts.password:
        raise ValueError(f"{address} is no address of the form {SSH}[USER@]HOST[:PORT][/PATH]")
    # Not in lower case, as `parts.hostname` is: it may be a name in ssh's configuration.
    host = parts.netloc.rpartition("@")[2]
    host = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    options = [f"-p{parts.port}"] if parts.port else []
    options += [f"-l{parts.username}"] if parts.username else []
    there = ["vdsprovctl", *(["--socket", parts.path] if parts.path else []), "bridge"]
    program = shlex.split(os.environ.get(PROGRAM, "")) or ["ssh"]
    # Ctrl-C is for the command here, which may want to ask something over there because of it.
    return ["env", "--ignore-signal=INT", *program, "-T", *options, "--", host, shlex.join(there)]


def _greet(connection: socket.socket) -> None:
    """See that a daemon answers. Raises ConnectionError."""
    connection.sendall(_HELLO)
    answer = b""
    while not answer.endswith(b"\0"):
        if not (part := connection.recv(1 << 16)):
            raise ConnectionError("the connection was closed")
        answer += part


def _end(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _failure(status: int, said: IO[bytes]) -> ConnectionError:
    said.seek(0)
    lines = said.read().decode(errors="replace").split("\n")
    # What the bridge says begins with its name, which is not the caller's.
    text = "; ".join(line.strip().removeprefix("vdsprovctl: ") for line in lines if line.strip())
    if status == NO_DAEMON:
        return ConnectionRefusedError(text)
    return ConnectionError(text or f"ssh ended with status {status}")
