"""System calls for one LUN, created, unmasked and associated with N others present: what noise cannot change."""

import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmark import floor
from benchmark.contenders import Work
from benchmark.contenders.daemon import Vdsprovd
from benchmark.contenders.worker import Worker
from benchmark.figures import Row
from benchmark.subject import INITIATOR, TARGET, Daemon, daemon

AIM = "none for time; the same whatever N"
COUNTS = (10, 100)
LONG = (10, 100, 1000)
PLOT = "system calls"

LUNS = 5
ROUNDS = 3
PATIENCE = 120
"""Seconds."""
WAITS = frozenset({"clock_gettime", "futex"})
"""What a thread calls again and again while it waits for another one, which is slow under strace: seldom or often, for the same
work."""


BESIDE = {"floor": "bare", "rtslib, nothing saved": "rtslib"}
"""Functions of contenders.worker."""


def measure(counts: Sequence[int], beside: Mapping[str, str] = BESIDE) -> Iterator[Row]:
    """As strace counts them: of a process from its start to its end, less those of one that makes no LUN."""
    with daemon(0) as subject:
        for count in counts:
            if subject.luns:
                subject.start()
            subject.make(count)
            subject.settle()
            # The middle one, lest it is one during which the daemon looks what others have changed.
            rounds = sorted((_of_daemon(subject) for _ in range(ROUNDS)), key=_work)
            yield _row(count, "vdsprovd", rounds[ROUNDS // 2])
            subject.stop()
            for name, function in beside.items():
                calls = _of_worker(subject, function, LUNS)
                calls.subtract(_of_worker(subject, function, 0))
                yield _row(count, name, calls)


def _of_worker(subject: Daemon, function: str, luns: int) -> Counter[str]:
    """What somebody else calls who makes so many LUNs, which are gone then."""
    before = floor.present()
    record = subject.folder / "calls"
    worker = Worker(function, function, under=("strace", "-f", "-c", "-o", str(record)))
    try:
        worker.do(Work(str(subject.folder), (TARGET,), luns, (INITIATOR,), first=subject.luns), PATIENCE)
    finally:
        floor.clear(before)
        for file in subject.folder.glob("lun-*"):
            file.unlink()
    return _counted(record)


def _of_daemon(subject: Daemon) -> Counter[str]:
    assert subject.process
    record = subject.folder / "calls"
    command = ["strace", "-f", "-c", "-p", str(subject.process.pid), "-o", str(record)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as strace:
        assert strace.stderr
        strace.stderr.readline()  # "attached"
        Vdsprovd(subject).do(Work("", (TARGET,), LUNS, (INITIATOR,), first=subject.luns), PATIENCE)
        subject.luns += LUNS
        strace.send_signal(signal.SIGINT)
    return _counted(record)


def _counted(record: Path) -> Counter[str]:
    """How often each was called: strace's fourth column, and its last."""
    lines = [line.split() for line in record.read_text().splitlines()]
    return Counter(
        {line[-1]: int(line[3]) for line in lines if len(line) > 4 and line[3].isdecimal() and line[-1] != "total"}
    )


def _work(calls: Counter[str]) -> int:
    return sum(number for call, number in calls.items() if call not in WAITS)


def _row(count: int, name: str, calls: Counter[str]) -> Row:
    most = ", ".join(f"{call} {number / LUNS:.0f}" for call, number in calls.most_common(5))
    work = _work(calls)
    return Row(
        count,
        name,
        {
            "system calls": work / LUNS,
            "clocks and waits of threads": (sum(calls.values()) - work) / LUNS,
            "the most frequent": most,
        },
    )
