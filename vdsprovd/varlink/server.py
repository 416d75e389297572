"""The service: interfaces put on listening sockets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from vdsprovd.varlink import service_interface
from vdsprovd.varlink.activation import BACKLOG
from vdsprovd.varlink.call import Call, Peer
from vdsprovd.varlink.connection import Connection
from vdsprovd.varlink.interface import Interface, Method, VarlinkError
from vdsprovd.varlink.parameters import InvalidParameterError
from vdsprovd.varlink.routes import Kind, Route, routes

__all__ = ["Call", "Peer", "Service"]

_log = logging.getLogger(__name__)

# The most that is read at once.
_READ = 256 << 10
# How long close() waits for calls to end and for replies to leave.
_CLOSE_TIMEOUT = 5.0
_REFUSALS_LOGGED_EVERY = 60.0
# <asm-generic/socket.h>, Linux 6.16; Python's socket module does not have it.
_SO_PASSRIGHTS = 83


class Service:
    """Serves interfaces, and `org.varlink.service` which describes them, to the clients of Unix sockets."""

    def __init__(
        self,
        *,
        vendor: str,
        product: str,
        version: str,
        url: str,
        interfaces: Iterable[Interface],
        authorize: Callable[[Peer, Method], None] | None = None,
        invalid_parameter: Callable[[str, str, str], VarlinkError] | None = None,
        unexpected: Callable[[str, BaseException], VarlinkError] | None = None,
        answered: Callable[[Call, float, VarlinkError | None], None] | None = None,
        max_message: int = 1 << 20,
        max_pipeline: int = 64,
        max_connections: int = 4096,
        max_connections_per_uid: int = 1024,
        write_timeout: float = 30.0,
    ) -> None:
        """Check the interfaces; raises TypeError or ValueError for what cannot be served.

        `authorize` is asked before a call's parameters are read, for every method, and raises VarlinkError to refuse.
        `invalid_parameter` makes the error for a value that its type does not have, from method, parameter and message.
        `unexpected` logs a bug in a handler and makes the error that its caller gets; without it, a bug closes the
        connection. `answered` is told of each call that was answered, after how many seconds, and with which error.
        """
        own = service_interface.interface(self._get_info, self._get_description)
        self._interfaces: dict[str, Interface] = {}
        for interface in (own, *interfaces):
            if interface.name in self._interfaces:
                raise ValueError(f"the interface {interface.name} is there twice")
            self._interfaces[interface.name] = interface
        self._routes = routes(self._interfaces)
        self._info = service_interface.Info(vendor, product, version, url, list(self._interfaces))
        self._descriptions: dict[str, service_interface.Description] = {}
        self._invalid_parameter = invalid_parameter
        self._unexpected = unexpected
        self._max_connections = max_connections
        self._max_connections_per_uid = max_connections_per_uid
        self._servers: list[asyncio.Server] = []
        self._connections: dict[Connection, Peer] = {}
        self._connections_of = Counter[int]()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._all_gone = asyncio.Event()
        self._refusals = 0
        self._refusals_logged: float | None = None
        # All connections read into this. Left to itself, asyncio makes a buffer for each read, which the C library
        # maps and unmaps: that alone doubles the time of a small call.
        self.buffer = memoryview(bytearray(_READ))
        self.authorize = authorize or _allow
        self.answered = answered
        self.max_message = max_message
        self.max_pipeline = max_pipeline
        self.write_timeout = write_timeout

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    async def serve(self, sock: socket.socket) -> None:
        """Start to accept connections on a Unix stream socket, which then belongs to the service."""
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            # We take no file descriptors; newer kernels can be told so, and then do not queue them.
            sock.setsockopt(socket.SOL_SOCKET, _SO_PASSRIGHTS, 0)
        options: dict[str, Any] = {}
        if sys.version_info >= (3, 13):
            # The path of an inherited socket is systemd's: it would not be reachable after a restart.
            options["cleanup_socket"] = False
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(lambda: Connection(self), sock=sock, backlog=BACKLOG, **options)
        self._servers.append(server)

    async def attach(self, sock: socket.socket) -> None:
        """Serve the client at the other end of a connected Unix stream socket, which then belongs to the service."""
        sock.setblocking(False)
        await asyncio.get_running_loop().connect_accepted_socket(lambda: Connection(self), sock)

    async def close(self) -> None:
        """Stop accepting, cancel the running calls and close the connections; takes at most some seconds."""
        self._closing = True
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.close()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_CLOSE_TIMEOUT)
            if late:
                _log.warning("%d calls do not end", len(late))
        if self._connections:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_gone.wait(), _CLOSE_TIMEOUT)
        for connection in list(self._connections):
            connection.abort()
        # Lets asyncio close what has been aborted.
        await asyncio.sleep(0)

    # For the connections.

    def admit(self, connection: Connection, peer: Peer) -> bool:
        """Count a new connection, unless there are too many."""
        if (
            self._closing
            or len(self._connections) >= self._max_connections
            or self._connections_of[peer.uid] >= self._max_connections_per_uid
        ):
            self._refused(peer)
            return False
        self._connections[connection] = peer
        self._connections_of[peer.uid] += 1
        self._all_gone.clear()
        return True

    def forget(self, connection: Connection) -> None:
        """A connection has ended."""
        peer = self._connections.pop(connection, None)
        if peer is None:
            return
        self._connections_of[peer.uid] -= 1
        if not self._connections_of[peer.uid]:
            del self._connections_of[peer.uid]
        if not self._connections:
            self._all_gone.set()

    def running(self, task: asyncio.Task[None]) -> None:
        """A call takes time; close() waits for it."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def route(self, method: str) -> Route:
        """Find the method of that full name; raises VarlinkError."""
        route = self._routes.get(method)
        if route is not None:
            return route
        interface, _, _ = method.rpartition(".")
        if interface in self._interfaces:
            raise service_interface.method_not_found(method)
        raise service_interface.interface_not_found(interface)

    def kind(self, method: str) -> Kind | None:
        """How the method of that full name answers, None if there is none."""
        route = self._routes.get(method)
        return route.kind if route is not None else None

    def refuse(self, call: Call, error: InvalidParameterError) -> VarlinkError:
        """Make the answer to parameters that do not fit."""
        if error.is_value and self._invalid_parameter is not None:
            return self._invalid_parameter(call.method, error.parameter, error.message)
        return service_interface.invalid_parameter(error.parameter)

    def unexpected(self, method: str, error: Exception) -> VarlinkError | None:
        """Make the answer to a call that failed through a bug, if there is one."""
        if self._unexpected is not None:
            return self._unexpected(method, error)
        _log.error("%s failed", method, exc_info=error)
        return None

    def _refused(self, peer: Peer) -> None:
        self._refusals += 1
        now = asyncio.get_running_loop().time()
        if self._refusals_logged is None or now - self._refusals_logged >= _REFUSALS_LOGGED_EVERY:
            _log.warning("refused %d connections, now of user %d: too many", self._refusals, peer.uid)
            self._refusals = 0
            self._refusals_logged = now

    # org.varlink.service

    def _get_info(self, call: Call, parameters: service_interface.Nothing) -> service_interface.Info:
        return self._info

    def _get_description(
        self, call: Call, parameters: service_interface.InterfaceName
    ) -> service_interface.Description:
        name = parameters.interface
        if name not in self._descriptions:
            interface = self._interfaces.get(name)
            if interface is None:
                raise service_interface.interface_not_found(name)
            self._descriptions[name] = service_interface.Description(interface.description())
        return self._descriptions[name]


def _allow(peer: Peer, method: Method) -> None:
    pass
