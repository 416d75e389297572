"""Queries of one object, beside an asyncio server that does nothing but decode and encode the same bytes."""

import os
import select
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles

from benchmark.client import Client, one_processor, request
from benchmark.echo import echo, learn
from benchmark.simulated import simulated

FEW = 10
"""LUNs of the daemon to which the one with many is compared."""
CALLS = 300
"""Of one contender in a round."""
CLIENTS = 32


def measure(count: int, rounds: int = 15, seconds: float = 1.0) -> dict[str, float]:
    """Latency with one client, and calls per second with many, for so many seconds each."""
    with simulated(FEW) as few, simulated(count) as many, echo() as least:
        found: dict[str, float] = {}
        for name in queries(many):
            found |= _compared(name, {"echo": least, "few": few, "many": many}, rounds, seconds)
        return found


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


def _compared(name: str, contenders: dict[str, Client], rounds: int, seconds: float) -> dict[str, float]:
    """One query of all contenders, in turns: what else the machine does falls on all of them."""
    calls = {key: queries(client)[name] for key, client in contenders.items() if key != "echo"}
    calls["echo"] = calls["many"]
    learn(contenders["echo"], [contenders["many"].exchange(calls["many"])])
    p50s: dict[str, list[float]] = {key: [] for key in contenders}
    p99s: dict[str, list[float]] = {key: [] for key in contenders}
    with one_processor(client.pid for client in contenders.values()):
        for _ in range(rounds):
            for key, client in contenders.items():
                cuts = quantiles(_latencies(client, calls[key], CALLS), n=100)
                p50s[key].append(cuts[49])
                p99s[key].append(cuts[98])
    loads = {key: load(client, calls[key], seconds) for key, client in contenders.items()}
    figures: dict[str, float] = {}
    for key in contenders:
        figures[f"{name}: {key}, p50 us"] = round(median(p50s[key]) * 1e6, 1)
        figures[f"{name}: {key}, p99 us"] = round(median(p99s[key]) * 1e6, 1)
        rate, processor = loads[key]
        figures[f"{name}: {key}, calls/s with {CLIENTS} clients"] = round(rate)
        figures[f"{name}: {key}, us of the server's processor a call"] = round(processor * 1e6, 1)

    def ratio(of: dict[str, list[float]], to: str) -> float:
        return round(median(ours / theirs for ours, theirs in zip(of["many"], of[to], strict=True)), 2)

    return figures | {
        f"{name}: p50 / echo": ratio(p50s, "echo"),
        f"{name}: p99 / echo": ratio(p99s, "echo"),
        f"{name}: p50 / with {FEW} LUNs": ratio(p50s, "few"),
    }


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


def processor(pid: int) -> float:
    """The seconds of processor time that a process has used, with the kernel's work for it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
