"""Notice that the host's addresses changed. The event says "look again"; what there is, a scan finds out."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

log = logging.getLogger(__name__)

# <linux/rtnetlink.h>: multicast groups of address changes.
_RTMGRP_IPV4_IFADDR = 0x10
_RTMGRP_IPV6_IFADDR = 0x100

SETTLE = 0.2
"""Seconds to wait for a burst of events to end."""


@asynccontextmanager
async def watch(look: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Call `look` after each burst of changes, one call at a time, as long as the context lasts."""
    changed = asyncio.Event()
    loop = asyncio.get_running_loop()
    sock = socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
    )
    sock.bind((0, _RTMGRP_IPV4_IFADDR | _RTMGRP_IPV6_IFADDR))

    def drain() -> None:
        # An overrun (ENOBUFS) is an event like any other: look again.
        with suppress(OSError):
            while sock.recv(65536):
                pass
        changed.set()

    async def follow() -> None:
        while True:
            await changed.wait()
            await asyncio.sleep(SETTLE)
            changed.clear()
            try:
                await look()
            except Exception:
                log.exception("cannot read the host's addresses")

    loop.add_reader(sock, drain)
    task = loop.create_task(follow())
    try:
        yield
    finally:
        task.cancel()
        loop.remove_reader(sock)
        sock.close()
