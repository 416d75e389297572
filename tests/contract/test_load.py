"""Many clients at once that read and write the same objects: each sees each object change as if one came after another."""

import itertools
import os
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext

import pytest

from tests.arrays import Array, LioArray
from tests.daemon import SimulatedProcess, descriptors, memory
from tests.registers import Seen, contradiction
from vdsprovd.varlink import VarlinkError
from vdsprovd.varlink.client import Connection

CLIENTS = 64
SECONDS = float(os.environ.get("VDSPROVD_LOAD_SECONDS", "9"))
THINKS = 0.2
"""Seconds that a client thinks between two calls, at most."""
ANSWER = 60.0
"""Seconds in which every call is answered: what is not is a deadlock."""
TARGETS = 5
NO_EFFECT = {"org.vdsprov.AnotherCallInProgress", "org.vdsprov.ObjectDeleted", "org.vdsprov.ObjectNotFound"}
"""Refusals that the mix provokes; they change nothing."""


class Register:
    """Something of an object that calls write and read. `values` are all that can be written to it, each once."""

    def __init__(
        self,
        name: str,
        values: Iterator[object],
        write: Callable[[Connection, object], object],
        read: Callable[[Connection], object],
        initial: object,
    ) -> None:
        self.name = name
        self.write, self.read = write, read
        self._values, self._lock = values, threading.Lock()
        self.initial = initial
        self.history: list[Seen] = []

    def another(self) -> object:
        """A value that was not written yet; None when there is none."""
        with self._lock:
            return next(self._values, None)


def registers(array: Array) -> list[Register]:
    """Those of some LUNs that share targets, and import targets of some computers."""
    targets = [array.make_target() for _ in range(TARGETS)]
    for target in targets:
        array.make_group(target)
    found = []
    for _ in range(4):
        lun = array.make_lun()
        found += _of_lun(lun, targets)
    found += [_import_target(array.sub_system, f"computer{number}") for number in range(2)]
    return found


def _of_lun(lun: str, targets: list[str]) -> list[Register]:
    def set_name(to: Connection, name: object) -> None:
        to.call("org.vdsprov.LunNaming.SetFriendlyName", {"id": lun, "friendlyName": name})

    def set_mask(to: Connection, mask: object) -> None:
        to.call("org.vdsprov.Lun.SetMask", {"id": lun, "unmaskingList": mask})

    def set_targets(to: Connection, ids: object) -> None:
        to.call("org.vdsprov.LunIscsi.AssociateTargets", {"id": lun, "targetIds": ids})

    def property(name: str) -> Callable[[Connection], object]:
        return lambda to: to.call("org.vdsprov.Lun.GetProperties", {"id": lun})["properties"][name]

    def associated(to: Connection) -> object:
        return tuple(
            entry["id"] for entry in to.call("org.vdsprov.LunIscsi.QueryAssociatedTargets", {"id": lun})["targets"]
        )

    names = (f"name {number}" for number in itertools.count())
    masks = (
        f"iqn.2026-11.org.example:host{number % 7};iqn.2026-11.org.example:x{number}" for number in itertools.count()
    )
    orders = (order for length in range(1, 4) for order in itertools.permutations(targets, length))
    return [
        Register(f"the name of {lun}", names, set_name, property("friendlyName"), ""),
        Register(f"the mask of {lun}", masks, set_mask, property("unmaskingList"), ""),
        Register(f"the targets of {lun}", orders, set_targets, associated, ()),
    ]


def _import_target(sub_system: str, computer: str) -> Register:
    def write(to: Connection, name: object) -> None:
        parameters = {"id": sub_system, "computer": computer, "iscsiName": name}
        to.call("org.vdsprov.SubSystemImportTarget.SetImportTarget", parameters)

    def read(to: Connection) -> object:
        parameters = {"id": sub_system, "computer": computer}
        try:
            return to.call("org.vdsprov.SubSystemImportTarget.GetImportTarget", parameters)["iscsiName"]
        except VarlinkError as error:
            if error.name == "org.vdsprov.NoImportTarget":
                return None
            raise

    names = (f"iqn.2026-11.org.example:{computer}.{number}" for number in itertools.count())
    return Register(f"the import target of {computer}", names, write, read, None)


class Client(threading.Thread):
    """Reads and writes registers until `stop` is set, and takes down what it saw."""

    def __init__(self, array: Array, seed: int, registers: list[Register], stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._array = array
        self._random = random.Random(seed)
        self._registers, self._stop_it = registers, stop
        self.took: list[tuple[float, float]] = []
        """When each read ended, and the seconds that it took."""
        self.writes = 0
        self.unexpected: list[str] = []
        self.since = time.monotonic()
        """When the call that is not answered yet began."""

    def run(self) -> None:
        with self._array.connect() as connection:
            while not self._stop_it.is_set():
                time.sleep(self._random.uniform(0, THINKS))
                self.since = time.monotonic()
                self._once(connection)
        self.since = float("inf")

    def _once(self, connection: Connection) -> None:
        register = self._random.choice(self._registers)
        value = register.another() if self._random.random() < 0.25 else None
        begin = time.monotonic()
        try:
            if value is not None:
                try:
                    register.write(connection, value)
                except VarlinkError as error:
                    if error.name not in NO_EFFECT:
                        register.history.append(Seen(True, value, begin))
                    raise
                register.history.append(Seen(True, value, begin, time.monotonic()))
                self.writes += 1
            else:
                seen = register.read(connection)
                register.history.append(Seen(False, seen, begin, time.monotonic()))
        except VarlinkError as error:
            if error.name not in NO_EFFECT:
                self.unexpected.append(str(error))
        except Exception as error:
            self.unexpected.append(repr(error))
        if value is None:
            self.took.append((time.monotonic(), time.monotonic() - begin))


class Churn(threading.Thread):
    """Makes and deletes LUNs meanwhile."""

    def __init__(self, array: Array, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._array, self._stop_it = array, stop
        self.unexpected: list[str] = []
        self.since = time.monotonic()

    def run(self) -> None:
        sub_system = self._array.sub_system
        with self._array.connect() as connection:
            while not self._stop_it.is_set():
                self.since = time.monotonic()
                try:
                    made = connection.call(
                        "org.vdsprov.SubSystem.CreateLun", {"id": sub_system, "type": "simple", "sizeInBytes": 4096}
                    )
                    done = connection.call("org.vdsprov.Async.Wait", {"id": made["async"]})
                    connection.call("org.vdsprov.Lun.Delete", {"id": done["object"]})
                except Exception as error:
                    self.unexpected.append(repr(error))
                time.sleep(0.05)
        self.since = float("inf")


@pytest.fixture(params=["process", pytest.param("lio", marks=pytest.mark.lab)])
def loaded(request: pytest.FixtureRequest) -> SimulatedProcess | LioArray:
    """A daemon in a process of its own, once on the simulator and once on the kernel."""
    found: SimulatedProcess | LioArray = request.getfixturevalue(request.param)
    return found


def percentile(took: list[float]) -> float:
    """The time in which 99 of a hundred are over."""
    return statistics.quantiles(took, n=100)[-1]


@pytest.mark.timeout(SECONDS + 120)
def test_load(loaded: SimulatedProcess | LioArray) -> None:
    """64 clients that read and write the same objects: every call is answered, each object's history is linearizable, reads
    are as fast while writes are slow, and memory and descriptors do not grow. VDSPROVD_LOAD_SECONDS says for how long."""
    found, stop = registers(loaded), threading.Event()
    before = descriptors(loaded.pid)
    clients = [Client(loaded, seed, found, stop) for seed in range(CLIENTS)]
    everybody: list[Client | Churn] = [*clients, Churn(loaded, stop)]
    began = time.monotonic()
    for one in everybody:
        one.start()

    def during(seconds: float) -> list[float]:
        """What reads took in the next seconds."""
        start = time.monotonic()
        while time.monotonic() < start + seconds:
            time.sleep(0.1)
            assert min(one.since for one in everybody) > time.monotonic() - ANSWER, "a call is not answered"
        return [took for client in clients for when, took in list(client.took) if when >= start]

    usual = during(SECONDS / 3)
    memory_then = memory(loaded.pid)
    with loaded.slow() if isinstance(loaded, SimulatedProcess) else nullcontext():
        slow = during(SECONDS / 3)
    during(SECONDS / 3)
    memory_now = memory(loaded.pid)
    stop.set()
    for one in everybody:
        one.join(ANSWER)
        assert not one.is_alive(), "a call is not answered"

    assert [text for one in everybody for text in one.unexpected] == []
    wrong = {register.name: contradiction(register.history, register.initial) for register in found}
    assert {name: text for name, text in wrong.items() if text} == {}
    calls = sum(len(client.took) + client.writes for client in clients)
    assert all(sum(seen.write for seen in register.history) > 1 for register in found)
    if isinstance(loaded, SimulatedProcess):
        # Behind writes they would take as long as one, at least.
        assert percentile(slow) < max(5 * percentile(usual), loaded.delay / 4)
    assert memory_now < 1.2 * memory_then + (8 << 20), f"{memory_then} bytes became {memory_now} in {calls} calls"
    deadline = time.monotonic() + 10
    while descriptors(loaded.pid) > before:
        assert time.monotonic() < deadline, "descriptors are left open"
        time.sleep(0.05)
    print(
        f"{calls} calls in {time.monotonic() - began:.0f} s; reads' p99 {1000 * percentile(usual):.1f} ms, "
        f"{1000 * percentile(slow):.1f} ms while writes are slow; {memory_then >> 10} KiB became {memory_now >> 10}"
    )
    if isinstance(loaded, LioArray):
        last = {register.name: register.read(loaded.connection) for register in found}
        kernel = loaded.kernel()
        loaded.restart()
        assert loaded.kernel() == kernel
        assert {register.name: register.read(loaded.connection) for register in found} == last
