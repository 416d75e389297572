"""What a call costs that does nothing: an asyncio server with Varlink's framing and msgspec, and no methods.

As a program (`python -m benchmark.echo SOCKET`) it is that server. It decodes each message. To `{"learn": [REPLY, ...]}` it
answers nothing much, and from then on to every other message these replies, which it encodes anew each time; but for
`{"walk": FOLDER}`, which it answers when a thread of its own has walked what a recovery of that folder's daemon looks at.
"""

import asyncio
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from benchmark import floor
from benchmark.client import Client
from benchmark.simulated import serving
from vdsprovd.model import LunProperties
from vdsprovd.workers import give_way


class Luns(msgspec.Struct):
    """What QueryLuns replies."""

    luns: tuple[LunProperties, ...]


class Batch(msgspec.Struct, omit_defaults=True):
    """A reply of a stream."""

    parameters: Luns
    continues: bool = False


class Echo(asyncio.BufferedProtocol):
    """A client's connection. It reads into a buffer that is there: with one that asyncio makes for each read, a call takes twice
    as long."""

    replies: tuple[Any, ...] = ()
    buffer = bytearray(1 << 18)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._read = b""

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        *messages, self._read = (self._read + self.buffer[:nbytes]).split(b"\0")
        for message in messages:
            decoded = msgspec.json.decode(message)
            if "learn" in decoded:
                # A stream is of structs, as vdsprovd has them: msgspec is faster with them than with dictionaries.
                replies = decoded["learn"]
                Echo.replies = tuple(msgspec.convert(replies, list[Batch])) if len(replies) > 1 else tuple(replies)
                self._transport.write(b"{}\0")
            elif "walk" in decoded:
                threading.Thread(target=self._walk, args=(asyncio.get_running_loop(), Path(decoded["walk"]))).start()
            else:
                for reply in Echo.replies:
                    self._transport.write(msgspec.json.encode(reply) + b"\0")

    def _walk(self, loop: asyncio.AbstractEventLoop, folder: Path) -> None:
        give_way()
        floor.walk(folder)
        loop.call_soon_threadsafe(self._transport.write, b"{}\0")


@contextmanager
def echo() -> Iterator[Client]:
    """Such a server in a process of its own, and a connection to it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "socket"
        with serving([sys.executable, "-m", "benchmark.echo", str(path)], path) as client:
            yield client


def learn(client: Client, replies: list[bytes]) -> None:
    """Have it answer with these from now on."""
    client.exchange(b'{"learn":[' + b",".join(reply[:-1] for reply in replies) + b"]}\0")


def walk(client: Client, folder: Path) -> None:
    """Have a thread of it walk, and wait for the end."""
    other = Client(client.path, client.pid)
    other.exchange(msgspec.json.encode({"walk": str(folder)}) + b"\0")
    other.close()


async def _main(path: Path) -> None:
    server = await asyncio.get_running_loop().create_unix_server(Echo, path)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
