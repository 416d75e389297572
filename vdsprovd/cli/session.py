"""How a command reaches the daemon. It is what click gives to every verb, and what a shell keeps between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from vdsprovd.client import Client


class Session:
    """The daemon's socket, and the connection to it once a verb needs one."""

    def __init__(self, socket: str) -> None:
        self.socket = socket
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """The connection, made when it is asked for first. Raises `Unreachable`."""
        if self._client is None:
            self._client = self.connect()
        return self._client

    def connect(self) -> Client:
        """A connection of its own: for what goes on while the other one is used, such as notifications."""
        from vdsprovd.client import Client  # --help has no use for it, and it takes long to load

        return Client(self.socket)

    def close(self) -> None:
        """Close the connection; the next verb makes another."""
        if self._client is not None:
            self._client.close()
            self._client = None


def address(context: click.Context) -> str:
    """Where the daemon is that the options of vdsprovctl name: the path of a socket, or an address of ssh's."""
    socket: str = context.params["socket"]
    if host := context.params["host"]:
        return f"ssh://{host[0]}{socket if given(context, 'socket') else ''}"
    return socket


def given(context: click.Context, option: str) -> bool:
    """Whether an option stands on the command line: what the environment says is about this host."""
    return context.get_parameter_source(option) is ParameterSource.COMMANDLINE
