"""Runs the real vdsprovctl, and what it talks to when that is not vdsprovd."""

import fcntl
import io
import os
import pty
import socket
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import msgspec

from vdsprovd.cli.__main__ import main
from vdsprovd.client import Client

PROGRAM = [sys.executable, "-m", "vdsprovd.cli"]
MIB = 1 << 20
GIB = 1 << 30


class Daemon:
    """A daemon at a socket, with a client to prepare what a test needs, and vdsprovctl to look at it."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.client = Client(socket)

    def environment(self) -> dict[str, str]:
        """The environment with the socket, and without what changes the look of the output."""
        kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
        return kept | {"VDSPROVD_SOCKET": str(self.socket), "TERM": "xterm-256color"}

    def run(self, *arguments: str, stdin: str = "", **options: Any) -> subprocess.CompletedProcess[str]:
        """Run vdsprovctl to its end."""
        return subprocess.run(
            [*PROGRAM, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            **{"env": self.environment(), **options},
        )

    def run_here(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run vdsprovctl in this process: for the tenth case of what a test of its own runs in full."""
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
        with redirect_stdout(out), redirect_stderr(err):
            status = main(["--socket", str(self.socket), *arguments])
        texts = []
        for stream in (out, err):
            stream.flush()
            texts.append(stream.buffer.getvalue().decode())
        return subprocess.CompletedProcess(arguments, status, *texts)

    def shows(self, *arguments: str, stdin: str = "") -> str:
        """Run vdsprovctl, which must succeed and say nothing on standard error, and give its output."""
        done = self.run(*arguments, stdin=stdin)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def json(self, *arguments: str, stdin: str = "") -> Any:
        """Run vdsprovctl, which must succeed, and give the JSON that it prints."""
        return msgspec.json.decode(self.shows(*arguments, stdin=stdin))

    def on_terminal(self, columns: int, *arguments: str, **environment: str) -> str:
        """Run vdsprovctl on a terminal so wide, and give what the terminal gets."""
        child, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        process = subprocess.Popen(
            [*PROGRAM, *arguments],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=self.environment() | environment,
        )
        os.close(terminal)
        shown = b""
        try:
            while read := os.read(child, 65536):
                shown += read
        except OSError:
            # That is how a terminal says that nobody writes any more.
            pass
        os.close(child)
        assert process.wait(30) == 0
        return shown.decode().replace("\r\n", "\n")

    @contextmanager
    def start(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Start vdsprovctl, and end it afterwards if it still runs."""
        with subprocess.Popen(
            [*PROGRAM, *arguments],
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    # Objects that tests need.

    def sub_system(self) -> str:
        """The id of the first subsystem."""
        return str(self.client.subsystems()[0]["id"])

    def make(self, method: str, /, **parameters: Any) -> str:
        """Call a method with an operation, and give the id of what it made."""
        return str(self.client.wait(self.client.call(method, **parameters)["async"]).get("object"))

    def make_lun(self, name: str = "", size: int = MIB, mask: str = "") -> str:
        """A LUN."""
        lun = self.make(
            "SubSystem.CreateLun", id=self.sub_system(), type="default", sizeInBytes=size, unmaskingList=mask
        )
        if name:
            self.client.call("LunNaming.SetFriendlyName", id=lun, friendlyName=name)
        return lun

    def make_target(self, iscsi_name: str, name: str = "") -> str:
        """A target without portal groups."""
        return self.make("SubSystemIscsi.CreateTarget", id=self.sub_system(), iscsiName=iscsi_name, friendlyName=name)

    def make_reachable_target(self, iscsi_name: str, name: str = "") -> str:
        """A target with the first portal in a group."""
        target = self.make_target(iscsi_name, name)
        group = self.make("IscsiTarget.CreatePortalGroup", id=target)
        portal = self.client.portals(self.sub_system())[0]["id"]
        self.make("IscsiPortalGroup.AddPortal", id=group, portalId=portal)
        return target


@contextmanager
def answering(path: Path, *answers: bytes) -> Iterator[None]:
    """A server that gives the first connection these answers, one a call, and closes it and every later one."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            left = iter(answers)
            # Until the listener is shut down, which is an error for accept().
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        for answer in left:
                            connection.recv(65536)
                            connection.sendall(answer + b"\0")

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
        server.join(30)
