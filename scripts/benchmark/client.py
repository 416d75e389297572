"""A foreign minimal client: JSON with a NUL behind it, on a Unix socket, and nothing else."""

import json
import os
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Client:
    """A connection to the process that serves a socket."""

    def __init__(self, path: Path, pid: int) -> None:
        self.path = path
        self.pid = pid
        self.socket = socket.socket(socket.AF_UNIX)
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise
        self._rest = b""

    def close(self) -> None:
        """End the connection."""
        self.socket.close()

    def exchange(self, message: bytes) -> bytes:
        """Send a message, with its NUL, and wait for the one that answers it."""
        self.socket.sendall(message)
        return self.receive()

    def receive(self) -> bytes:
        """Wait for the next message; it comes with its NUL."""
        parts = [self._rest]
        while b"\0" not in parts[-1]:
            if not (part := self.socket.recv(1 << 20)):
                raise ConnectionError("the server closed the connection")
            parts.append(part)
        message, nul, self._rest = b"".join(parts).partition(b"\0")
        return message + nul

    def call(self, method: str, more: bool = False, **parameters: object) -> dict[str, Any]:
        """The parameters of the first reply. Raises OSError for an error."""
        reply = json.loads(self.exchange(request(method, more, **parameters))[:-1])
        if "error" in reply:
            raise OSError(str(reply))
        found: dict[str, Any] = reply.get("parameters", {})
        return found

    def done(self, method: str, **parameters: object) -> dict[str, Any]:
        """Call a method and wait for what it begins; gives what came of it."""
        reply = self.call(method, False, **parameters)
        return self.call("Async.Wait", id=reply["async"]) if "async" in reply else reply

    def made(self, method: str, **parameters: object) -> list[str]:
        """Call a method of Provisioning and wait for its end; gives the ids of what it made. Raises OSError."""
        reply = self.call(method, False, **parameters)
        ended = self.call("Async.Wait", id=reply["async"])
        if ended["hresult"]:
            raise OSError(str(ended))
        return list(reply["objects"])

    def until_ready(self) -> None:
        """Wait until the provider has started."""
        while True:
            try:
                self.call("Provider.GetProperties")
            except OSError as error:
                if "InitializeNotCalled" not in str(error):
                    raise
                time.sleep(0.01)
            else:
                return


def request(method: str, more: bool = False, **parameters: object) -> bytes:
    """A call of a method, by its name without org.vdsprov."""
    call = {"method": f"org.vdsprov.{method}", "parameters": parameters} | ({"more": True} if more else {})
    return json.dumps(call).encode() + b"\0"


@contextmanager
def one_processor(pids: Iterable[int]) -> Iterator[None]:
    """Run the servers and this client on one processor: how long it takes to wake another differs from case to case by more
    than a call takes."""
    all_of_them = os.sched_getaffinity(0)
    everybody = [0, *pids]
    for pid in everybody:
        os.sched_setaffinity(pid, {max(all_of_them)})
    try:
        yield
    finally:
        for pid in everybody:
            os.sched_setaffinity(pid, all_of_them)
