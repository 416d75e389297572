"""Queries of one object, beside an asyncio server that does nothing but decode and encode the same bytes."""

import select
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from statistics import median

from benchmark.client import Client, one_processor, request
from benchmark.echo import echo, learn
from benchmark.figures import Row, percentile, processor, ratio
from benchmark.simulated import simulated

AIM = "p50 at most 2 times the echo's, p99 at most 3 times; the same whatever N"
COUNTS = (1000,)
LONG = (10000,)
PLOT = ""
FEW = 10
"""LUNs of the daemon to which the one with many is compared."""
CALLS = 300
"""Of one contender in a round."""
CLIENTS = 32


def measure(counts: Sequence[int], rounds: int = 15, seconds: float = 1.0) -> Iterator[Row]:
    """Latency with one client, and calls per second with many, for so many seconds each."""
    for count in counts:
        with simulated(FEW) as few, simulated(count) as many, echo() as least:
            for name in queries(many):
                yield from _compared(name, {"echo": least, "few": few, "many": many}, count, rounds, seconds)


def queries(client: Client) -> dict[str, bytes]:
    """The calls that are measured, of a LUN in the middle."""
    (sub_system,) = client.call("HwProvider.QuerySubSystems")["subSystems"]
    luns = client.call("SubSystem.QueryLuns", id=sub_system["id"])["luns"]
    lun = luns[len(luns) // 2]["id"]
    return {
        "GetImportTarget": request("SubSystemImportTarget.GetImportTarget", id=sub_system["id"]),
        "QueryAssociatedTargets": request("LunIscsi.QueryAssociatedTargets", id=lun),
        "GetProperties": request("Lun.GetProperties", id=lun),
    }


def _compared(name: str, contenders: dict[str, Client], count: int, rounds: int, seconds: float) -> Iterator[Row]:
    """One query of all contenders, in turns: what else the machine does falls on all of them."""
    calls = {key: queries(client)[name] for key, client in contenders.items() if key != "echo"}
    calls["echo"] = calls["many"]
    learn(contenders["echo"], [contenders["many"].exchange(calls["many"])])
    p50s: dict[str, list[float]] = {key: [] for key in contenders}
    p99s: dict[str, list[float]] = {key: [] for key in contenders}
    with one_processor(client.pid for client in contenders.values()):
        for _ in range(rounds):
            for key, client in contenders.items():
                took = _latencies(client, calls[key], CALLS)
                p50s[key].append(median(took))
                p99s[key].append(percentile(took, 99))
    for key, luns, who in (("echo", count, "echo"), ("few", FEW, "vdsprovd"), ("many", count, "vdsprovd")):
        rate, used = load(contenders[key], calls[key], seconds)
        figures = {
            "p50, us": median(p50s[key]) * 1e6,
            "p99, us": median(p99s[key]) * 1e6,
            "p50 to the echo": ratio(p50s[key], p50s["echo"]),
            "p99 to the echo": ratio(p99s[key], p99s["echo"]),
            f"calls/s with {CLIENTS} clients": rate,
            "the server's processor, us a call": used * 1e6,
        }
        yield Row(luns, f"{name}: {who}", figures)


def _latencies(client: Client, call: bytes, number: int) -> list[float]:
    took = []
    for _ in range(number):
        begun = time.perf_counter()
        client.exchange(call)
        took.append(time.perf_counter() - begun)
    return took


def load(client: Client, call: bytes, seconds: float) -> tuple[float, float]:
    """Calls a second, when as many clients each have one under way all the time, and what each costs the server's processor,
    in seconds."""
    with ExitStack() as stack:
        poll = stack.enter_context(select.epoll())
        sockets: dict[int, socket.socket] = {}
        for _ in range(CLIENTS):
            sock = stack.enter_context(socket.socket(socket.AF_UNIX))
            sock.connect(str(client.path))
            sockets[sock.fileno()] = sock
            poll.register(sock, select.EPOLLIN)
        used, begun, done = processor(client.pid), time.monotonic(), 0
        for sock in sockets.values():
            sock.sendall(call)
        while time.monotonic() - begun < seconds:
            for descriptor, _ in poll.poll(1):
                sock = sockets[descriptor]
                if sock.recv(1 << 16).endswith(b"\0"):
                    done += 1
                    sock.sendall(call)
        took = time.monotonic() - begun
        return done / took, (processor(client.pid) - used) / done
