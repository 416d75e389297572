"""What a daemon costs that has nothing to do."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmark.figures import Row
from benchmark.simulated import simulated, started

AIM = "at most 40 MiB and 6 KiB a LUN; under 1 wake-up a second"
COUNTS = (1000,)
LONG = (10000,)
PLOT = ""


def measure(counts: Sequence[int], seconds: float = 30) -> Iterator[Row]:
    """Memory and wake-ups with no LUNs and with many, that were there when it started. (Without a LIO kernel the simulator's
    memory counts, too.)"""
    lio = Path("/sys/kernel/config/target").exists()
    empty = 0
    for count in (0, *counts):
        with (started if lio else simulated)(count) as client:
            figures = {"memory, MiB": memory(client.pid) / (1 << 20)}
            if count:
                figures["a LUN, KiB"] = (memory(client.pid) - empty) / count / 1024
            else:
                empty = memory(client.pid)
            figures["wake-ups a second"] = wake_ups(client.pid, seconds)
        yield Row(count, "vdsprovd" if lio else "vdsprovd on the simulator", figures)


def memory(pid: int) -> int:
    """Bytes of a process that are in memory."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0]) << 10


def wake_ups(pid: int, seconds: float) -> float:
    """How often a second its threads wake up, all in all."""
    before = _switches(pid)
    time.sleep(seconds)
    return (_switches(pid) - before) / seconds


def _switches(pid: int) -> int:
    texts = (path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status"))
    return sum(int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0]) for text in texts)
