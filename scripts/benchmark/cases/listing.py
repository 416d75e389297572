"""QueryLuns of all LUNs with all properties, as a stream, beside an asyncio server that has them ready."""

import time
from collections.abc import Iterator, Sequence
from statistics import median

import msgspec

from benchmark.client import Client, one_processor, request
from benchmark.echo import Batch, echo, learn
from benchmark.figures import Row, ratio
from benchmark.simulated import simulated

AIM = "whole at most 1.5 times the encoding; the first batch under a twentieth of it"
COUNTS = (1000,)
LONG = (10000,)
PLOT = ""

_CONTINUES = b'"continues":true}\0'
_ROOM = memoryview(bytearray(1 << 20))
"""What is received goes there: to get memory from the kernel for each part takes longer than to receive it, now and then."""


def measure(counts: Sequence[int], rounds: int = 25) -> Iterator[Row]:
    """All properties of all LUNs, until the first batch and until the last, beside encoding them, and beside a server that
    has them ready and only encodes and sends them; and a call that answers little. `cold` is the first stream after a start."""
    for count in counts:
        yield from _measured(count, rounds)


def _measured(count: int, rounds: int) -> Iterator[Row]:
    with simulated(count) as ours, echo() as least:
        (sub_system,) = ours.call("HwProvider.QuerySubSystems")["subSystems"]
        call = request("SubSystem.QueryLuns", more=True, id=sub_system["id"])
        cold_first, cold_whole, replies = stream(ours, call, keep=True)
        luns = [lun for reply in replies for lun in msgspec.json.decode(reply[:-1], type=Batch).parameters.luns]
        assert len(luns) == count
        learn(least, replies)
        encoder, room = msgspec.json.Encoder(), bytearray()
        little = request("Provider.GetProperties")
        names = ("first", "first's whole", "little", "echo first", "whole", "echo", "encode")
        took: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(rounds):
            first, whole, _ = stream(ours, call)
            took["first"].append(first)
            took["first's whole"].append(whole)
            # The server has slept meanwhile, as it has before a stream.
            begun = time.perf_counter()
            ours.exchange(little)
            took["little"].append(time.perf_counter() - begun)
        for _ in range(rounds):
            took["echo first"].append(stream(least, call)[0])
        with one_processor((ours.pid, least.pid)):
            for _ in range(rounds):
                took["whole"].append(stream(ours, call)[1])
                took["echo"].append(stream(least, call)[1])
                begun = time.perf_counter()
                encoder.encode_into(luns, room)
                took["encode"].append(time.perf_counter() - begun)

    encoding, sending = median(took["encode"]), median(took["echo"])
    yield Row(count, "encoding alone", {"whole, ms": encoding * 1e3})
    yield Row(count, "echo", {"whole, ms": sending * 1e3, "first batch, ms": median(took["echo first"]) * 1e3})
    whole, first = median(took["whole"]), median(took["first"])
    figures = {
        "whole, ms": whole * 1e3,
        "first batch, ms": first * 1e3,
        "whole to encoding": ratio(took["whole"], took["encode"]),
        "whole to the echo": ratio(took["whole"], took["echo"]),
        "first to whole": ratio(took["first"], took["first's whole"]),
    }
    yield Row(count, "vdsprovd", figures)
    yield Row(count, "vdsprovd, a call that answers little", {"first batch, ms": median(took["little"]) * 1e3})
    yield Row(
        count, "vdsprovd, first after a start", {"whole, ms": cold_whole * 1e3, "first batch, ms": cold_first * 1e3}
    )


def stream(client: Client, call: bytes, *, keep: bool = False) -> tuple[float, float, list[bytes]]:
    """The seconds until the first reply and until the last, and the replies if they are to be kept. Nothing is made of them
    meanwhile."""
    begun, first, chunks, end = time.perf_counter(), 0.0, [b""], b""
    client.socket.sendall(call)
    while not end.endswith(b"\0") or end.endswith(_CONTINUES):
        # Whoever takes in much at once gets the first batch together with others.
        size = client.socket.recv_into(_ROOM, 0 if first else 1 << 12)
        came = _ROOM[:size]
        end = (end + came[-len(_CONTINUES) :].tobytes())[-len(_CONTINUES) :]
        if keep:
            chunks.append(came.tobytes())
        if not first and b"\0" in came.tobytes():
            first = time.perf_counter() - begun
    whole = time.perf_counter() - begun
    return first, whole, [reply + b"\0" for reply in b"".join(chunks).split(b"\0")[:-1]]
