"""The contenders that are a library: each does its work in a process of its own, which this is, too."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from time import perf_counter, process_time

from benchmark import floor
from benchmark.contenders import SIZE, Cost, Work
from benchmark.figures import peak
from benchmark.owed import Owed

SCRIPTS = Path(__file__).resolve().parents[2]

AddLun = Callable[[str, int], object]
"""Makes the LUN of that number in that target, and lets it last."""


class Worker:
    """A contender whose work is one of the functions below."""

    def __init__(self, name: str, function: str, luns: int = 20, under: Sequence[str] = ()) -> None:
        self.name = name
        self.function = function
        self.luns = luns
        self.under = under
        """What is to run it, such as strace."""

    def do(self, work: Work, patience: float) -> Cost:
        """Do it in a process of its own."""
        command = [*self.under, sys.executable, "-m", __name__, self.function, json.dumps(work.as_json())]
        try:
            done = subprocess.run(command, cwd=SCRIPTS, stdout=subprocess.PIPE, check=True, timeout=patience)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError from error
        return Cost(**json.loads(done.stdout))


@contextmanager
def bare(work: Work) -> Iterator[AddLun]:
    """The kernel's operations and nothing else, and a line in a file, synced, for each LUN."""
    records = os.open(f"{work.folder}/records", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def add(target: str, number: int) -> None:
        floor.add_lun(target, number, work.file(number), SIZE, work.initiators)
        os.write(records, json.dumps([target, number, work.file(number), SIZE, work.initiators]).encode() + b"\n")
        os.fsync(records)

    if work.new_targets:
        for target in work.targets:
            floor.add_target(target, work.initiators)
            os.write(records, json.dumps([target, work.initiators]).encode() + b"\n")
            os.fsync(records)
    yield add
    os.close(records)


@contextmanager
def owed(work: Work) -> Iterator[AddLun]:
    """The kernel's operations, and what vdsprovd owes beside them. One line for all of them, synced, before and after."""
    records = os.open(f"{work.folder}/records", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    kernel = Owed()
    made: list[tuple[str, int]] = []

    def record() -> None:
        os.write(records, json.dumps([work.as_json(), made]).encode() + b"\n")
        os.fsync(records)

    def add(target: str, number: int) -> None:
        kernel.add_lun(target, number, work.file(number), SIZE, work.initiators)
        made.append((target, number))

    if work.new_targets:
        for target in work.targets:
            kernel.add_target(target, work.initiators)
    record()
    yield add
    record()
    os.close(records)


@contextmanager
def rtslib(work: Work) -> Iterator[AddLun]:
    """rtslib's classes, as programs use them; nothing is saved."""
    from rtslib_fb import (  # noqa: PLC0415  # the others are to be without it
        LUN,
        TPG,
        FabricModule,
        FileIOStorageObject,
        MappedLUN,
        NetworkPortal,
        NodeACL,
        Target,
    )

    mode = "create" if work.new_targets else "lookup"
    groups, acls = {}, {}
    for name in work.targets:
        groups[name] = TPG(Target(FabricModule("iscsi"), name, mode), 1, mode)
        acls[name] = [NodeACL(groups[name], initiator, mode) for initiator in work.initiators]
        if work.new_targets:
            NetworkPortal(groups[name], "127.0.0.1", 3260, "create")
            groups[name].enable = True

    def add(target: str, number: int) -> None:
        file = work.file(number)
        with open(file, "xb") as made:
            made.truncate(SIZE)
        disk = FileIOStorageObject(os.path.basename(file), file, SIZE)
        unit = LUN(groups[target], storage_object=disk)
        for acl in acls[target]:
            MappedLUN(acl, unit.lun, unit)

    yield add


@contextmanager
def rtslib_saved(work: Work) -> Iterator[AddLun]:
    """rtslib's classes, and its file written after each LUN, so that it lasts."""
    from rtslib_fb import RTSRoot  # noqa: PLC0415  # as above

    root = RTSRoot()
    with rtslib(work) as made:

        def add(target: str, number: int) -> None:
            made(target, number)
            root.save_to_file(f"{work.folder}/saveconfig.json")

        yield add


def main() -> None:
    """Do the work that the command line describes; prints what it took."""
    _, function, text = sys.argv
    described = json.loads(text)
    work = Work(**{**described, "targets": tuple(described["targets"]), "initiators": tuple(described["initiators"])})
    cost = Cost()
    used, begun = process_time(), perf_counter()
    with {"bare": bare, "owed": owed, "rtslib": rtslib, "rtslib_saved": rtslib_saved}[function](work) as add:
        for target, number in work.each():
            moment = perf_counter()
            add(target, number)
            cost.seconds.append(perf_counter() - moment)
    cost.total, cost.processor, cost.peak = perf_counter() - begun, process_time() - used, peak("self")
    print(json.dumps(asdict(cost)))


if __name__ == "__main__":
    main()
