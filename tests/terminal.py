"""A terminal with a program on it, for tests of what is said to a person and of what a person answers."""

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


class Terminal:
    """What the program has written so far, and the keys for it."""

    def __init__(self, process: subprocess.Popen[bytes], ours: int) -> None:
        self.process = process
        self._ours = ours
        self._shown = b""
        self._read = 0

    @property
    def shown(self) -> str:
        """All that the program has written, and the keys that the terminal echoed."""
        return self._shown.decode(errors="replace").replace("\r\n", "\n")

    def expect(self, words: str, limit: float = 60) -> str:
        """Wait for words after those that were expected last, and give what came between the two."""
        end = time.monotonic() + limit
        while (place := self.shown.find(words, self._read)) < 0:
            assert self._more(end), f"{words!r} did not come; this did:\n{self.shown}"
        between = self.shown[self._read : place]
        self._read = place + len(words)
        return between

    def type(self, keys: str) -> None:
        """Type, without the Enter key: that is a carriage return."""
        os.write(self._ours, keys.encode())

    def end(self, limit: float = 60) -> int:
        """Wait for the program's end, and give its exit status."""
        end = time.monotonic() + limit
        while self._more(end):
            pass
        return self.process.wait(max(0.0, end - time.monotonic()))

    def _more(self, end: float) -> bool:
        if not select.select([self._ours], [], [], max(0.0, end - time.monotonic()))[0]:
            return False
        # An error is how a terminal says that nobody has it open any more.
        with contextlib.suppress(OSError):
            read = os.read(self._ours, 65536)
            self._shown += read
            return bool(read)
        return False


@contextmanager
def on_terminal(
    command: Sequence[str], cwd: Path, environment: Mapping[str, str], columns: int = 200
) -> Iterator[Terminal]:
    """Run a program as the leader of a session on a terminal of its own; it is killed if it outlives the test."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *command],
        cwd=cwd,
        env={**environment, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
