"""What systemd is told of the daemon's state (sd_notify): one datagram of text to the socket that it names."""

import os
import socket


def ready(status: str) -> None:
    """The daemon serves; `status` is shown by systemctl."""
    _send(f"READY=1\nSTATUS={status}")


def stopping() -> None:
    """The daemon is on its way out."""
    _send("STOPPING=1")


def _send(message: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.sendto(message.encode(), address)
