"""Signs of life for systemd's watchdog, from the loop that serves clients.

Each follows a call that the daemon answered to itself, by the way of every client: frames, gate, dispatcher. They do not
wait for the kernel. A disk that hangs makes commands hang whoever runs the daemon: to kill it for that, again and again,
would take the queries and the other commands away, and help nobody. What hangs is for the commands themselves to tell. (That
worker threads die and the process does not, cannot be.)
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from vdsprovd import notify
from vdsprovd.varlink.server import Service

log = logging.getLogger(__name__)

_CALL = b'{"method":"org.varlink.service.GetInfo"}\0'


@asynccontextmanager
async def feeding(service: Service) -> AsyncIterator[None]:
    """Give signs of life, twice as often as systemd wants them, as long as the context lasts; none if it wants none."""
    seconds = notify.watchdog()
    if seconds is None:
        yield
        return
    task = asyncio.create_task(_feed(service, seconds / 2))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _feed(service: Service, interval: float) -> None:
    ours, theirs = socket.socketpair()
    await service.attach(theirs)
    reader, writer = await asyncio.open_unix_connection(sock=ours, limit=1 << 20)
    try:
        while True:
            writer.write(_CALL)
            await reader.readuntil(b"\0")
            notify.alive()
            await asyncio.sleep(interval)
    except (OSError, EOFError) as error:
        log.error("no more signs of life for systemd: %s", error)
    finally:
        writer.close()
