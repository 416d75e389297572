"""QueryLuns as a stream."""

import time
from statistics import median

import msgspec

from benchmark.client import Client, request
from benchmark.echo import Batch, echo, learn
from benchmark.simulated import simulated

ROUNDS = 15


def measure(count: int) -> dict[str, object]:
    """All properties of all LUNs, until the first batch and until the last, beside encoding them, and beside a server that
    has them ready and only encodes and sends them. The first stream after a change of everything is `cold`."""
    with simulated(count) as ours, echo() as least:
        (sub_system,) = ours.call("HwProvider.QuerySubSystems")["subSystems"]
        call = request("SubSystem.QueryLuns", more=True, id=sub_system["id"])
        cold_first, cold_whole, replies = stream(ours, call)
        luns = [lun for reply in replies for lun in msgspec.json.decode(reply[:-1], type=Batch).parameters.luns]
        assert len(luns) == count
        learn(least, replies)
        figures: dict[str, list[float]] = {name: [] for name in ("first", "whole", "least first", "least", "encode")}
        for _ in range(ROUNDS):
            first, whole, _ = stream(ours, call)
            least_first, least_whole, _ = stream(least, call)
            begun = time.perf_counter()
            size = len(msgspec.json.encode(luns))
            encode = time.perf_counter() - begun
            for values, value in zip(figures.values(), (first, whole, least_first, least_whole, encode), strict=True):
                values.append(value)
    ms = {name: median(values) * 1e3 for name, values in figures.items()}
    return {
        "bytes": size,
        "cold: first batch, ms": round(cold_first * 1e3, 2),
        "cold: whole, ms": round(cold_whole * 1e3, 2),
        "first batch, ms": round(ms["first"], 2),
        "whole, ms": round(ms["whole"], 2),
        "echo: first batch, ms": round(ms["least first"], 2),
        "echo: whole, ms": round(ms["least"], 2),
        "encoding alone, ms": round(ms["encode"], 2),
        "whole / echo": round(ms["whole"] / ms["least"], 2),
        "whole / encoding alone": round(ms["whole"] / ms["encode"], 2),
        "first / whole": round(ms["first"] / ms["whole"], 3),
    }


def stream(client: Client, call: bytes) -> tuple[float, float, list[bytes]]:
    """The seconds until the first reply and until the last, and the replies. Nothing is made of them meanwhile."""
    begun, first, chunks = time.perf_counter(), 0.0, [b""]
    client.socket.sendall(call)
    while not chunks[-1].endswith(b"\0") or chunks[-1].endswith(b'"continues":true}\0'):
        chunks.append(client.socket.recv(1 << 20))
        if not first and b"\0" in chunks[-1]:
            first = time.perf_counter() - begun
    whole = time.perf_counter() - begun
    return first, whole, [reply + b"\0" for reply in b"".join(chunks).split(b"\0")[:-1]]
