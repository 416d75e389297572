"""What a daemon costs that has nothing to do."""

import time
from pathlib import Path

from benchmark.simulated import simulated, started


def measure(count: int, seconds: float = 30) -> dict[str, float]:
    """Memory and wake-ups with no LUNs and with many, that were there when it started. (Without a LIO kernel the simulator's
    memory counts, too.)"""
    found: dict[str, float] = {}
    sizes = {}
    lio = Path("/sys/kernel/config/target").exists()
    for luns in (0, count):
        with (started if lio else simulated)(luns) as client:
            sizes[luns] = memory(client.pid)
            found[f"{luns} LUNs: memory, MiB"] = round(sizes[luns] / (1 << 20), 1)
            found[f"{luns} LUNs: wake-ups a second"] = round(wake_ups(client.pid, seconds), 2)
    return found | {"memory a LUN, KiB": round((sizes[count] - sizes[0]) / count / 1024, 2)}


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
