"""Notice that the host's addresses changed, or the links that they are on: a cable. The event says "look again"; what
there is, a scan finds out."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

# <linux/rtnetlink.h>: multicast groups of changes of links and addresses.
_RTMGRP_LINK = 0x1
_RTMGRP_IPV4_IFADDR = 0x10
_RTMGRP_IPV6_IFADDR = 0x100


@contextmanager
def watch(changed: Callable[[], None]) -> Iterator[None]:
    """Call `changed` at every event, as long as the context lasts. Needs a running event loop."""
    loop = asyncio.get_running_loop()
    sock = socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
    )
    sock.bind((0, _RTMGRP_LINK | _RTMGRP_IPV4_IFADDR | _RTMGRP_IPV6_IFADDR))

    def drain() -> None:
        # An overrun (ENOBUFS) is an event like any other: look again.
        with suppress(OSError):
            while sock.recv(65536):
                pass
        changed()

    loop.add_reader(sock, drain)
    try:
        yield
    finally:
        loop.remove_reader(sock)
        sock.close()
