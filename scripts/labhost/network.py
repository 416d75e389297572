"""The network of several guests: it exists only between their processes.

Two guests share the two ends of a socket pair. More get a switch: a process that holds the other end of each guest's
pair and forwards frames by the addresses that it has learned.
"""

import selectors
import socket
import subprocess
import sys

BUFFER = 2 << 20
FRAME = 1 << 16


def join(hosts: int) -> list[socket.socket]:
    """The ends to give to the guests, in their order."""
    if hosts == 1:
        return []
    if hosts == 2:
        return list(_pair())
    pairs = [_pair() for _ in range(hosts)]
    ports = [theirs for _, theirs in pairs]
    subprocess.Popen(
        [sys.executable, "-m", __name__, *(str(port.fileno()) for port in ports)],
        pass_fds=[port.fileno() for port in ports],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    for port in ports:
        port.close()
    return [ours for ours, _ in pairs]


def _pair() -> tuple[socket.socket, socket.socket]:
    # Datagrams keep the bounds of the frames.
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for end in pair:
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            end.setsockopt(socket.SOL_SOCKET, option, BUFFER)
    return pair


def way(
    frame: bytes, source: socket.socket, ports: list[socket.socket], learned: dict[bytes, socket.socket]
) -> list[socket.socket]:
    """Where a frame goes; learns where its sender is."""
    learned[frame[6:12]] = source
    # A group address is never learned: none is a sender's.
    known = learned.get(frame[:6])
    return [port for port in ([known] if known is not None else ports) if port is not source]


def switch(ports: list[socket.socket]) -> None:
    selector = selectors.DefaultSelector()
    for port in ports:
        port.setblocking(False)
        selector.register(port, selectors.EVENT_READ)
    learned: dict[bytes, socket.socket] = {}
    while True:
        for key, _ in selector.select():
            source = key.fileobj
            assert isinstance(source, socket.socket)
            try:
                frame = source.recv(FRAME)
            except OSError:
                continue
            for port in way(frame, source, ports, learned):
                try:
                    port.send(frame)
                except OSError:  # a full queue, or a guest that died: networks lose frames
                    continue


if __name__ == "__main__":
    switch([socket.socket(fileno=int(number)) for number in sys.argv[1:]])
