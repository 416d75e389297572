"""LUNs that come and go, N times create, associate and delete: what stays behind."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmark import floor
from benchmark.client import Client
from benchmark.contenders import SIZE
from benchmark.figures import Row, timed
from benchmark.subject import INITIATOR, Daemon, daemon

AIM = "memory, descriptors, what is in configfs and the database stay as they are after the first cycles"
COUNTS = (200,)
LONG = (10_000,)
PLOT = ""

LOOKS = 4
"""How often what there is is looked at, after a first tenth."""


def measure(counts: Sequence[int]) -> Iterator[Row]:
    """Cycles on one daemon, 10 LUNs at a time."""
    for count in counts:
        with daemon(0) as subject:
            subject.make(1)
            client = subject.client()
            done = 0
            for until in [count // 10, *(count * look // LOOKS for look in range(1, LOOKS + 1))]:
                with timed() as watch:
                    for _ in range(-(-(until - done) // 10)):
                        _cycle(subject, client, 10)
                cycles, done = until - done, until
                yield Row(until, "vdsprovd", {"ms a cycle": watch.seconds / cycles * 1000, **_present(subject)})
            client.close()


def _cycle(subject: Daemon, client: Client, luns: int) -> None:
    (sub_system,) = client.done("HwProvider.QuerySubSystems")["subSystems"]
    made = []
    for _ in range(luns):
        lun = client.done(
            "SubSystem.CreateLun", id=sub_system["id"], type="simple", sizeInBytes=SIZE, unmaskingList=INITIATOR
        )["object"]
        client.done("LunIscsi.AssociateTargets", id=lun, targetIds=[subject.target])
        made.append(lun)
    for lun in made:
        client.done("Lun.Delete", id=lun)


def _present(subject: Daemon) -> dict[str, float]:
    """What the daemon and the kernel have."""
    assert subject.process
    pid = subject.process.pid
    (resident,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:"))
    state = subject.folder / "state"
    return {
        "memory, MiB": int(resident.split()[1]) / 1024,
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": len(os.listdir(f"/proc/{pid}/task")),
        "folders in configfs": len(floor.present()),
        "files in the pool": len(os.listdir(subject.folder / "pool")),
        "store and its log, KiB": sum(file.stat().st_size for file in state.glob("vdsprovd.sqlite*")) / 1024,
    }
