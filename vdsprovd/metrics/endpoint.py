"""Where Prometheus gets the metrics: HTTP on a Unix socket or a loopback port, and nothing of it but GET /metrics.

The event loop only takes the request and hands out the text, which a worker thread makes. One scrape runs at a time, those
who come meanwhile share what it gives, and it is given out again for a while: whoever asks, and however often, scrapes take
a fifth of one processor at most. Nothing happens when nobody asks.
"""

import asyncio
import errno
import grp
import io
import ipaddress
import logging
import os
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from vdsprovd import garbage, journal
from vdsprovd.config import MetricsConfig, parse_loopback
from vdsprovd.hardware import HardwareError, Refused
from vdsprovd.metrics.scene import Scene
from vdsprovd.operations import Work, begin
from vdsprovd.provider.context import Context
from vdsprovd.varlink import activation
from vdsprovd.varlink.server import Service

log = logging.getLogger(__name__)

_MOST = 16
"""How many may be connected; more are told to come again."""
_REQUEST = 5.0
"""Seconds in which a request must have come."""
_HURRY = 1.0
"""The same, where too many are connected already."""
_REPLY = 30.0
"""Seconds in which a reply must have been taken."""
_LONGEST_REQUEST = 16 << 10
_CHUNK = 256 << 10
"""Bytes that are written at once."""
_AGAIN = 4
"""For so many times as long as a scrape took, it is given out again."""
_TEXT = "text/plain; charset=utf-8"


class Reply(NamedTuple):
    """What is sent."""

    status: HTTPStatus
    content_type: str
    body: Sequence[bytes]


class Endpoint:
    """Serves the metrics, once it listens. Belongs to the event loop's thread."""

    def __init__(self, context: Context, service: Service) -> None:
        self._context = context
        self._service = service
        self._server: asyncio.Server | None = None
        self._config = MetricsConfig()
        self._inherited = False
        self._path: Path | None = None
        """The socket that is ours to remove."""
        self._clients: set[asyncio.Task[None]] = set()
        self._scrape: asyncio.Task[Reply] | None = None
        self._work = Work("read the metrics")

    async def serve(self, config: MetricsConfig, inherited: socket.socket | None = None) -> None:
        """Serve where the configuration says, and no more where it said before, or at the socket that systemd gave. That
        this cannot be is logged, and keeps nobody from storage."""
        if self._inherited or config == self._config:
            return
        await self.close()
        self._inherited, self._config = inherited is not None, config
        if inherited is None and not config.listen:
            return
        try:
            # Loaded only where somebody wants to watch: it takes a tenth of a second and 2 MiB.
            from vdsprovd.metrics import exposition  # noqa: F401, PLC0415

            if inherited is None and config.listen.startswith("/"):
                self._path = Path(config.listen)
            await self._listen(inherited or _bound(config))
        except ImportError as error:
            self._inherited, self._config = False, MetricsConfig()
            advice = "they need prometheus-client: pip install 'vdsprovd[metrics]'"
            log.error("no metrics are served: %s; %s", error, advice, extra=journal.about(journal.NO_METRICS))
        except OSError as error:
            self._config = MetricsConfig()
            about = journal.about(journal.NO_METRICS)
            log.error("no metrics are served at %s: %s", config.listen, _reason(error), extra=about)

    async def _listen(self, sock: socket.socket) -> None:
        if sock.family != socket.AF_UNIX:
            self._server = await asyncio.start_server(self._serve_client, sock=sock, limit=_LONGEST_REQUEST)
            return
        options: dict[str, Any] = {}
        if sys.version_info >= (3, 13):
            # As the API's: systemd's path is not ours to remove.
            options["cleanup_socket"] = False
        self._server = await asyncio.start_unix_server(self._serve_client, sock=sock, limit=_LONGEST_REQUEST, **options)

    async def close(self) -> None:
        """Serve no more."""
        if self._server is not None:
            self._server.close()
            self._server = None
            if self._path is not None:
                with suppress(OSError):
                    self._path.unlink()
        self._path = None
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            crowd = len(self._clients) > _MOST
            # Read in any case: who still sends when the connection is closed does not get the answer.
            async with asyncio.timeout(_HURRY if crowd else _REQUEST):
                head = await reader.readuntil(b"\r\n\r\n")
            if crowd:
                reply = _said(HTTPStatus.SERVICE_UNAVAILABLE, "too many are connected; try again shortly")
            else:
                port = writer.get_extra_info("socket").family != socket.AF_UNIX
                reply = _refusal(head, by_port=port) or await self._metrics()
            async with asyncio.timeout(_REPLY):
                await _write(writer, reply)
            writer.close()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()  # it went away, or is too slow, or speaks something else
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        finally:
            self._clients.discard(task)

    async def _metrics(self) -> Reply:
        try:
            # One who goes away does not take it from the others.
            return await asyncio.shield(self._scrape or self._begin())
        except HardwareError as error:
            return _said(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        except Exception:
            return _said(HTTPStatus.INTERNAL_SERVER_ERROR, "the metrics cannot be read; vdsprovd's log says more")

    def _begin(self) -> asyncio.Task[Reply]:
        self._scrape = asyncio.create_task(self._made())
        self._scrape.add_done_callback(self._ended)
        return self._scrape

    async def _made(self) -> Reply:
        from vdsprovd.metrics.exposition import CONTENT_TYPE, render  # noqa: PLC0415

        if self._work.silences:
            raise Refused(f"cannot {self._work.silence}")
        begin(self._work)
        began = time.monotonic()
        with garbage.left_alone():
            text = await self._context.look(render, Scene(self._context, self._service.connections))
        asyncio.get_running_loop().call_later(_AGAIN * (time.monotonic() - began), self._forget)
        return Reply(HTTPStatus.OK, CONTENT_TYPE, text)

    def _forget(self) -> None:
        self._scrape = None

    def _ended(self, scrape: asyncio.Task[Reply]) -> None:
        if scrape.cancelled():
            self._forget()
        elif error := scrape.exception():
            self._forget()
            if not isinstance(error, HardwareError):
                log.error("cannot read the metrics", exc_info=error)


def _bound(config: MetricsConfig) -> socket.socket:
    """A socket that listens where the configuration says. Raises OSError."""
    if config.listen.startswith("/"):
        gid = -1
        if os.geteuid() == 0:
            try:
                gid = grp.getgrnam(config.group).gr_gid
            except KeyError:
                log.warning("there is no group %s; only root can read the metrics", config.group)
        return activation.bind(config.listen, 0o660, gid, varlink=False)
    address, port = parse_loopback(config.listen)
    return socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)


def _reason(error: OSError) -> str:
    if error.errno == errno.EAFNOSUPPORT:
        return "the unit's sandbox allows no TCP port; enable vdsprovd-metrics.socket, which opens it for the daemon"
    return error.strerror or str(error)


def _refusal(head: bytes, *, by_port: bool) -> Reply | None:
    """The answer to what is no request for the metrics."""
    line, _, rest = head.partition(b"\r\n")
    # With what it needs of email, this is a tenth of a start, and most daemons serve no metrics.
    import http.client  # noqa: PLC0415

    try:
        method, target, version = line.decode("ascii").split(" ")
        host = urlsplit(f"//{http.client.parse_headers(io.BytesIO(rest)).get('Host', '')}").hostname
    except (ValueError, http.client.HTTPException):
        return _said(HTTPStatus.BAD_REQUEST, "this is no request of HTTP/1.1")
    if not version.startswith("HTTP/1."):
        return _said(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "this speaks HTTP/1.1")
    if by_port and not _is_here(host):
        # A page in a browser of this host can name it as it likes, and would read what comes.
        return _said(HTTPStatus.MISDIRECTED_REQUEST, f"this is not {host}; ask by address, or as localhost")
    if target.partition("?")[0] != "/metrics":
        return _said(HTTPStatus.NOT_FOUND, "the metrics are at /metrics")
    if method != "GET":
        return _said(HTTPStatus.METHOD_NOT_ALLOWED, "there is nothing here but GET /metrics")
    return None


def _is_here(host: str | None) -> bool:
    if host in (None, "localhost"):
        return True
    try:
        ipaddress.ip_address(str(host))
    except ValueError:
        return False
    return True


def _said(status: HTTPStatus, text: str) -> Reply:
    return Reply(status, _TEXT, [f"vdsprovd: {text}\n".encode()])


async def _write(writer: asyncio.StreamWriter, reply: Reply) -> None:
    headers = [f"HTTP/1.1 {reply.status.value} {reply.status.phrase}", f"Content-Type: {reply.content_type}"]
    headers += [f"Content-Length: {sum(map(len, reply.body))}", "Connection: close"]
    if reply.status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append("Allow: GET")
    writer.write("\r\n".join([*headers, "", ""]).encode())
    for part in reply.body:
        view = memoryview(part)
        for place in range(0, len(view), _CHUNK):
            writer.write(view[place : place + _CHUNK])
            await writer.drain()
