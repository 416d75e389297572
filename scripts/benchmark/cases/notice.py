"""A change made with targetcli: how soon who listens is told."""

import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from benchmark.figures import Row
from benchmark.subject import INITIATOR, TARGET, Daemon, daemon
from vdsprovd.varlink.client import Connection

AIM = "within 1 s of the change"
COUNTS = (100,)
LONG = (1000,)
PLOT = ""

CHANGES = 3


def measure(counts: Sequence[int]) -> Iterator[Row]:
    """targetcli takes LUNs from an initiator; it goes on for a while when the kernel has done that."""
    for count in counts:
        with daemon(count) as subject:
            used, begun = subject.processor(), time.monotonic()
            delays = [_delay(subject, number) for number in range(CHANGES)]
            share = (subject.processor() - used) / (time.monotonic() - begun)
        figures = {"median, s": median(delays), "most, s": max(delays), "share of a core meanwhile": share}
        yield Row(count, "vdsprovd", figures)


def _delay(subject: Daemon, number: int) -> float:
    """Seconds from a LUN's disappearance from an initiator to the notification."""
    told: list[float] = []
    listener = Connection(str(subject.folder / "socket"), timeout=60)
    replies = listener.stream("org.vdsprov.Service.Advise")
    next(replies)

    def listen() -> None:
        next(replies)
        told.append(time.monotonic())

    listening = threading.Thread(target=listen)
    listening.start()
    acl = f"/iscsi/{TARGET}/tpg1/acls/{INITIATOR}"
    folder = Path(f"/sys/kernel/config/target/iscsi/{TARGET}/tpgt_1/acls/{INITIATOR}/lun_{number}")
    assert folder.exists()
    command = ["targetcli", acl, "delete", str(number)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        while folder.exists():
            time.sleep(0.002)
        changed = time.monotonic()
        listening.join()
    listener.close()
    return told[0] - changed
