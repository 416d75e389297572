"""A daemon on the simulator as a process of its own, for what is about processes: memory, descriptors, signals."""

import asyncio
import json
import logging
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.arrays import SimulatedArray
from vdsprovd.__main__ import serve
from vdsprovd.config import check
from vdsprovd.store import Store
from vdsprovd.varlink import activation

CHECKOUT = Path(__file__).resolve().parents[1]


class SimulatedProcess(SimulatedArray):
    """A simulator lives as long as its daemon here: after a restart there is nothing left."""

    kind = "process"
    delay = 1.0
    """Seconds that each step of the hardware takes while it is `slow`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.process: subprocess.Popen[bytes]
        self.log = folder / "log"

    @property
    def pid(self) -> int:
        """The daemon's."""
        return self.process.pid

    def launch(self) -> None:
        # A new interpreter: in a fork of a process with threads a lock of SQLite's may be held for ever.
        (self.folder / "configuration").write_text(json.dumps(self.configuration))
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "tests.daemon", str(self.folder)]
            self.process = subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    async def serve(self) -> None:
        """Be the daemon."""
        self.configuration = json.loads((self.folder / "configuration").read_text())
        await self._main()

    async def _main(self) -> None:
        # Fewer than a thousand, which is what most systems start a process with.
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        loop.add_signal_handler(signal.SIGUSR1, lambda: setattr(self.hardware, "delay", self.delay))
        loop.add_signal_handler(signal.SIGUSR2, lambda: setattr(self.hardware, "delay", 0.0))
        store = Store(self.folder / "state")
        listener = activation.bind(self.socket, 0o660, -1)
        await serve(check(self.configuration, "test"), store, self.hardware, listener, stop)
        store.close()

    def ready(self) -> None:
        try:
            self.until_served(self.log, lambda: self.process.poll() is not None)
        except BaseException:
            self.process.kill()
            raise

    def stop(self) -> None:
        self.connection.close()
        self.process.terminate()
        try:
            assert self.process.wait(40) == 0
        finally:
            self.process.kill()

    @contextmanager
    def slow(self) -> Iterator[None]:
        """Each step of the hardware takes some time, for a while."""
        os.kill(self.pid, signal.SIGUSR1)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGUSR2)


def memory(pid: int) -> int:
    """Bytes of a process that are in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) << 10


def descriptors(pid: int) -> int:
    """How many files a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(SimulatedProcess(Path(sys.argv[1])).serve())
