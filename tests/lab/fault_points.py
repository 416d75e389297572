"""Fault points: the places between what a daemon changes outside of itself, each of which can be its last."""

import mmap
import os
import signal
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from vdsprovd.hardware.pools.lvm import command
from vdsprovd.store import Store

_CHANGES = {"os.mkdir", "os.rmdir", "os.symlink", "os.remove", "os.rename", "os.truncate", "fcntl.ioctl"}
"""Of Python's audit events those of system calls that change something outside of the process."""
_LOOKS = ("fullreport", "dmsetup", "wipefs", "timeout", "--version")
"""In the command lines of programs that change nothing."""
_NAME = 64


class FaultPoints:
    """Counts the points that a daemon passes from `arm` on, and kills it at one of them. In memory that the daemon's
    process, a fork of this one, shares with it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8 + _NAME)
        self._lock = threading.RLock()

    def arm(self, last: int = 0) -> None:
        """Count from now on; the point of the number `last` is the daemon's last, 0 for none."""
        self._memory[:8] = struct.pack("ii", 0, last)

    @property
    def passed(self) -> int:
        """How many points were passed."""
        return int(struct.unpack("ii", self._memory[:8])[0])

    @property
    def name(self) -> str:
        """What would have come after the last point that was passed."""
        return self._memory[8:].rstrip(b"\0").decode(errors="replace")

    def _pass(self, name: str) -> None:
        with self._lock:
            passed, last = struct.unpack("ii", self._memory[:8])
            self._memory[:4] = struct.pack("i", passed + 1)
            self._memory[8:] = name.encode()[:_NAME].ljust(_NAME, b"\0")
            if passed + 1 == last:
                os.kill(os.getpid(), signal.SIGKILL)

    def put_in(self) -> None:
        """Put the points into this process, which becomes the daemon: before each system call that changes something,
        around each program that it runs and around each commit of its store."""

        def audited(event: str, arguments: tuple[Any, ...]) -> None:
            if event in _CHANGES:
                self._pass(f"{event} {str(arguments[0])[-48:]}")
            elif event == "open" and isinstance(arguments[2], int):
                writes = arguments[2] & (os.O_WRONLY | os.O_RDWR)
                if writes and arguments[0] != os.devnull:
                    self._pass(f"open {str(arguments[0])[-48:]}")

        sys.addaudithook(audited)
        for name in ("pwrite", "posix_fallocate", "fsync"):
            setattr(os, name, self._before(name, getattr(os, name)))
        transaction, passed = Store._transaction, self._pass

        def started(start: Callable[..., command.Running]) -> Callable[..., command.Running]:
            def starting(*arguments: str) -> command.Running:
                if any(word in arguments[:2] or word == arguments[-1] for word in _LOOKS):
                    return start(*arguments)
                words = " ".join(arguments[:2])
                self._pass(f"start of {words}")
                running = start(*arguments)
                self._pass(f"run of {words}")
                finish = running.finish

                def finished(patience: float | None = None) -> command.Outcome:
                    outcome = finish(patience)
                    self._pass(f"end of {words}")
                    return outcome

                running.finish = finished  # type: ignore[method-assign]  # that is the point
                return running

            return starting

        @contextmanager
        def committed(self: Store) -> Iterator[None]:
            with transaction(self):
                yield
                passed("commit")
            passed("after a commit")

        command.start, command.start_mortal = started(command.start), started(command.start_mortal)
        Store._transaction = committed  # type: ignore[method-assign]  # as above

    def _before(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def passing(*arguments: Any) -> Any:
            self._pass(name)
            return function(*arguments)

        return passing
