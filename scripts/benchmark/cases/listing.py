"""QueryLuns as a stream."""

import time
from statistics import median

import msgspec

from benchmark.client import Client, one_processor, request
from benchmark.echo import Batch, echo, learn
from benchmark.simulated import simulated

_CONTINUES = b'"continues":true}\0'


def measure(count: int, rounds: int = 25) -> dict[str, float]:
    """All properties of all LUNs, until the first batch and until the last, beside encoding them, and beside a server that
    has them ready and only encodes and sends them. `cold` is the first stream after a start."""
    with simulated(count) as ours, echo() as least:
        (sub_system,) = ours.call("HwProvider.QuerySubSystems")["subSystems"]
        call = request("SubSystem.QueryLuns", more=True, id=sub_system["id"])
        cold_first, cold_whole, replies = stream(ours, call)
        luns = [lun for reply in replies for lun in msgspec.json.decode(reply[:-1], type=Batch).parameters.luns]
        assert len(luns) == count
        learn(least, replies)
        figures: dict[str, list[float]] = {name: [] for name in ("first", "echo first", "whole", "echo", "encode")}
        for _ in range(rounds):
            figures["first"].append(stream(ours, call)[0])
            figures["echo first"].append(stream(least, call)[0])
        with one_processor((ours.pid, least.pid)):
            for _ in range(rounds):
                figures["whole"].append(stream(ours, call)[1])
                figures["echo"].append(stream(least, call)[1])
                begun = time.perf_counter()
                size = len(msgspec.json.encode(luns))
                figures["encode"].append(time.perf_counter() - begun)
    ms = {name: median(values) * 1e3 for name, values in figures.items()}

    def ratio(one: str, other: str) -> float:
        return round(median(ours / theirs for ours, theirs in zip(figures[one], figures[other], strict=True)), 3)

    return {
        "bytes": size,
        "cold: first batch, ms": round(cold_first * 1e3, 2),
        "cold: whole, ms": round(cold_whole * 1e3, 2),
        "first batch, ms": round(ms["first"], 2),
        "whole, ms": round(ms["whole"], 2),
        "echo: first batch, ms": round(ms["echo first"], 2),
        "echo: whole, ms": round(ms["echo"], 2),
        "encoding alone, ms": round(ms["encode"], 2),
        "whole / echo": ratio("whole", "echo"),
        "whole / encoding alone": ratio("whole", "encode"),
        "first / whole": ratio("first", "whole"),
    }


def stream(client: Client, call: bytes) -> tuple[float, float, list[bytes]]:
    """The seconds until the first reply and until the last, and the replies. Nothing is made of them meanwhile."""
    begun, first, chunks, end = time.perf_counter(), 0.0, [b""], b""
    client.socket.sendall(call)
    while not end.endswith(b"\0") or end.endswith(_CONTINUES):
        # Whoever takes in much at once gets the first batch together with others.
        chunks.append(client.socket.recv(1 << 20 if first else 1 << 12))
        end = (end + chunks[-1][-len(_CONTINUES) :])[-len(_CONTINUES) :]
        if not first and b"\0" in chunks[-1]:
            first = time.perf_counter() - begun
    whole = time.perf_counter() - begun
    return first, whole, [reply + b"\0" for reply in b"".join(chunks).split(b"\0")[:-1]]
