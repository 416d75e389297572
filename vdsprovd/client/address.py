"""Where a daemon is: the path of its socket on this host, or `ssh://[USER@]HOST[:PORT][/PATH]` on another."""

import socket
from typing import Final

SSH: Final = "ssh://"


def reach(address: str) -> str | socket.socket:
    """What a connection is made to: the path as it is, or a socket to a daemon that ssh has reached (see `ssh.connect`)."""
    if not address.startswith(SSH):
        return address
    from vdsprovd.client import ssh  # most commands are about this host, and start without it

    return ssh.connect(address)
