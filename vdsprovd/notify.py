"""What systemd is told of the daemon's state (sd_notify): one datagram of text to the socket that it names."""

import os
import socket
import time


def ready(status: str) -> None:
    """The daemon serves; `status` is shown by systemctl."""
    _send("READY=1", f"STATUS={_line(status)}")


def reloading() -> None:
    """The daemon reads its configuration again, until `ready`."""
    _send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping() -> None:
    """The daemon is on its way out."""
    _send("STOPPING=1")


def watchdog() -> float | None:
    """Seconds within which systemd wants a sign of life (WatchdogSec=), None if it wants none."""
    text, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID")
    if not text.isdecimal() or int(text) == 0 or pid not in (None, str(os.getpid())):
        return None
    return int(text) / 1e6


def alive() -> None:
    """A sign of life."""
    _send("WATCHDOG=1")


def _line(text: str) -> str:
    """The text on one line: each line is an assignment of its own."""
    return " ".join(text.split())


def _send(*assignments: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.sendto("\n".join(assignments).encode(), address)
