"""A kernel that does not answer: what hangs is shown, and nothing else hangs with it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.arrays import INITIATOR, OTHER_INITIATOR, Failed, Reply, SimulatedArray
from vdsprovd import workers
from vdsprovd.hardware import Step, VolumeFailed
from vdsprovd.provider import context
from vdsprovd.varlink import VarlinkError

pytestmark = pytest.mark.usefixtures("patience")

PATIENCE = 0.3


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel is soon taken not to answer. Must come before the daemon."""
    monkeypatch.setattr(context, "PATIENCE", PATIENCE)
    monkeypatch.setattr(context, "LONG_PATIENCE", PATIENCE)


@contextmanager
def silent_about(simulated: SimulatedArray, *words: str) -> Iterator[None]:
    """Steps whose facts have one of these words get no answer."""
    answer = threading.Event()

    def fault(step: Step) -> None:
        if any(word in f"{step.after or step.before}" for word in words):
            assert answer.wait(60)

    simulated.hardware.fault = fault
    try:
        yield
    finally:
        simulated.hardware.fault = None
        answer.set()


class Caller(threading.Thread):
    """Calls a method that will hang, on a connection of its own."""

    def __init__(self, simulated: SimulatedArray, method: str, **parameters: object) -> None:
        super().__init__(daemon=True)
        self.error = "no answer"
        self._simulated, self._method, self._parameters = simulated, method, parameters
        self.start()

    def run(self) -> None:
        with self._simulated.connect() as connection:
            try:
                connection.call(f"org.vdsprov.{self._method}", self._parameters)
                self.error = ""
            except VarlinkError as error:
                self.error = error.name
            except ConnectionError:
                self.error = "the daemon ended"

    def end(self) -> str:
        """Wait for the answer; gives the error, "" for none."""
        self.join(20)
        return self.error


def served(simulated: SimulatedArray) -> str:
    """A LUN in a target of its own."""
    lun, target = simulated.make_lun(mask=INITIATOR), simulated.make_target()
    simulated.make_group(target)
    simulated.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    return lun


def properties(simulated: SimulatedArray, lun: str) -> Reply:
    """The LUN's properties."""
    return dict(simulated.call("Lun.GetProperties", id=lun)["properties"])


def until_shown(simulated: SimulatedArray, lun: str) -> str:
    """Wait until the LUN shows a deviation, and give it."""
    deadline = time.monotonic() + 20
    while not (text := str(properties(simulated, lun)["deviation"])):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return text


def message(simulated: SimulatedArray, method: str, **parameters: object) -> str:
    """The message of the VDS_E_ANOTHER_CALL_IN_PROGRESS that the call must answer."""
    with pytest.raises(Failed) as caught:
        simulated.call(method, **parameters)
    assert caught.value.symbol == "VDS_E_ANOTHER_CALL_IN_PROGRESS"
    return str(caught.value)


def test_the_object_shows_it(simulated: SimulatedArray) -> None:
    """While the kernel does not answer a LUN's command, the LUN says so, and since when; a command on it answers
    VDS_E_ANOTHER_CALL_IN_PROGRESS with what is under way and for how long it has had no answer. Then all is as it was."""
    lun = served(simulated)
    with silent_about(simulated, lun):
        caller = Caller(simulated, "Lun.SetStatus", id=lun, status="offline")
        text = until_shown(simulated, lun)
        assert "has not answered since" in text
        assert "Lun.SetStatus" in text
        assert properties(simulated, lun)["health"] == "degraded"
        said = message(simulated, "Lun.Delete", id=lun)
        assert "Lun.SetStatus: the kernel has not answered for" in said
        # One that has nothing to do with it.
        other = simulated.make_lun()
        simulated.call("LunNaming.SetFriendlyName", id=other, friendlyName="other")
    assert caller.end() == ""
    assert properties(simulated, lun)["deviation"] == ""
    assert properties(simulated, lun)["health"] == "healthy"
    assert properties(simulated, lun)["status"] == "offline"
    simulated.call("Lun.Delete", id=lun)


def test_more_of_them_than_threads(simulated: SimulatedArray) -> None:
    """More commands hang than there are threads: the others go on, each that hangs is shown, and all end in time."""
    luns = [served(simulated) for _ in range(2 * context.WORKERS)]
    other = simulated.make_lun()
    with silent_about(simulated, *luns):
        callers = [Caller(simulated, "Lun.SetStatus", id=lun, status="offline") for lun in luns]
        for number in range(3):
            simulated.call("LunNaming.SetFriendlyName", id=other, friendlyName=f"name {number}")
        for lun in luns:
            assert "has not answered" in until_shown(simulated, lun)
    assert [caller.end() for caller in callers] == [""] * len(luns)
    assert {properties(simulated, lun)["status"] for lun in luns} == {"offline"}
    assert {properties(simulated, lun)["deviation"] for lun in luns} == {""}


def test_what_waits_for_it_is_told(simulated: SimulatedArray) -> None:
    """A command that would wait for what hangs, in the same target or for the whole provider, is answered
    VDS_E_ANOTHER_CALL_IN_PROGRESS, whether it came before or after that was known; the others are not kept waiting."""
    target, _ = simulated.make_reachable_target()
    hanging, neighbour, other = (simulated.make_lun(mask=INITIATOR) for _ in range(3))
    for lun in (hanging, neighbour):
        simulated.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    with silent_about(simulated, hanging):
        caller = Caller(simulated, "Lun.SetStatus", id=hanging, status="offline")
        deadline = time.monotonic() + 20
        while not simulated.context.operations.holds.busy(hanging):
            assert time.monotonic() < deadline
            time.sleep(0.001)
        early = [
            Caller(simulated, "Lun.SetMask", id=neighbour, unmaskingList=""),
            Caller(simulated, "HwProvider.Reenumerate"),
        ]
        assert {one.end() for one in early} == {"org.vdsprov.AnotherCallInProgress"}
        assert "Lun.SetStatus" in message(simulated, "Lun.SetMask", id=neighbour, unmaskingList="")
        assert "Lun.SetStatus" in message(simulated, "HwProvider.Refresh")
        simulated.call("Lun.SetMask", id=other, unmaskingList="")
    assert caller.end() == ""
    simulated.call("Lun.SetMask", id=neighbour, unmaskingList="")
    simulated.call("HwProvider.Reenumerate")
    simulated.call("HwProvider.Refresh")


def test_what_a_crash_cut_off_hangs(simulated: SimulatedArray) -> None:
    """A start does not wait for what a crash cut off, when that gets no answer: it is settled when there is one, and its LUN
    shows that until then."""
    going, other = served(simulated), served(simulated)
    pool_id = next(
        entry["id"]
        for entry in simulated.call("HwProviderStoragePools.QueryStoragePools")["storagePools"]
        if entry["name"] == "files0"
    )
    simulated.context.store.begin("delete_lun", lun=going, pool=pool_id, number=1)
    deleted, wipe = simulated.pool.delete, threading.Event()

    def delete(lun: str) -> None:
        assert wipe.wait(60)
        deleted(lun)

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(simulated.pool, "delete", delete)
            simulated.restart()
            assert "has not answered since" in properties(simulated, going)["deviation"]
            assert "settle step" in message(simulated, "Lun.Delete", id=going)
            simulated.call("Lun.SetMask", id=other, unmaskingList="")
            simulated.call("HwProvider.Reenumerate")
            simulated.call("HwProvider.Refresh")
    finally:
        wipe.set()
    deadline = time.monotonic() + 20
    while simulated.error("Lun.SetMask", id=going, unmaskingList="") != "VDS_E_OBJECT_DELETED":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert simulated.context.store.load().pending == ()
    assert simulated.pool.sizes.keys() == {other}
    kernel = simulated.kernel()
    simulated.call("HwProvider.Reenumerate")
    simulated.call("HwProvider.Refresh")
    assert simulated.kernel() == kernel


def test_a_deletion_leaves_the_targets_first(simulated: SimulatedArray) -> None:
    """While the bytes of a LUN that is deleted are not wiped yet, its target is free, and has it no more; if they cannot
    be, it is where it was."""
    target, _ = simulated.make_reachable_target()
    going, neighbour = simulated.make_lun(mask=INITIATOR), simulated.make_lun()
    for lun in (going, neighbour):
        simulated.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    before, wipe = simulated.kernel(), threading.Event()

    def delete(lun: str) -> None:
        assert wipe.wait(60)
        raise VolumeFailed("the test says so")

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(simulated.pool, "delete", delete)
            caller = Caller(simulated, "Lun.Delete", id=going)
            until_shown(simulated, going)
            simulated.call("Lun.SetMask", id=neighbour, unmaskingList=OTHER_INITIATOR)
            simulated.call("Lun.SetMask", id=neighbour, unmaskingList=INITIATOR)
            simulated.call("Lun.SetMask", id=neighbour, unmaskingList="")
            assert len(simulated.kernel()) < len(before)
    finally:
        wipe.set()
    assert caller.end() == "org.vdsprov.ObjectStatusFailed"
    assert simulated.kernel() == before
    assert properties(simulated, going)["unmaskingList"] == INITIATOR
    simulated.call("Lun.Delete", id=going)


def test_a_stop_does_not_wait_for_it(simulated: SimulatedArray) -> None:
    """A stop takes no longer for a command that hangs; the next start finds the intent, and completes or undoes it."""
    lun, before = served(simulated), simulated.kernel()
    with silent_about(simulated, lun):
        caller = Caller(simulated, "Lun.SetStatus", id=lun, status="offline")
        until_shown(simulated, lun)
        begin = time.monotonic()
        simulated.stop()
        assert time.monotonic() - begin < 10
        assert not simulated._thread.is_alive()
        assert caller.end() != ""
    simulated.start()
    assert properties(simulated, lun)["status"] == "online"
    assert simulated.kernel() == before
    assert simulated.context.store.load().pending == ()


def test_a_start_that_hangs(simulated: SimulatedArray) -> None:
    """A start that gets no answer tells its clients what it waits for, and can be stopped."""
    lun = simulated.make_lun()
    simulated.stop()
    simulated.lose_kernel()
    with silent_about(simulated, lun):
        simulated.launch()
        deadline = time.monotonic() + 20
        said = ""
        while "has not answered" not in said:
            assert time.monotonic() < deadline
            with simulated.connect_early() as early, pytest.raises(VarlinkError) as caught:
                early.call("org.vdsprov.Provider.GetProperties", {})
            assert caught.value.name == "org.vdsprov.InitializeNotCalled"
            said = str(caught.value)
            time.sleep(0.01)
        begin = time.monotonic()
        simulated._loop.call_soon_threadsafe(simulated._stop.set)
        simulated._thread.join(20)
        assert not simulated._thread.is_alive()
        assert time.monotonic() - begin < 10
    simulated.start()
    assert properties(simulated, lun)["status"] == "online"


def test_what_only_looks_is_left(simulated: SimulatedArray, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query that asks the host, and a watcher, wait for no answer that does not come; commands go on meanwhile, also
    Reenumerate and Refresh, and what the watcher was to look at is looked at later."""
    lun, answer = served(simulated), threading.Event()
    target = simulated.associated(lun)[0]

    def hangs(_what: object) -> Any:
        assert answer.wait(60)
        return {}

    with monkeypatch.context() as hanging:
        hanging.setattr(simulated.hardware, "sessions", hangs)
        hanging.setattr(simulated.pool, "glance", hangs)
        simulated.hardware.volumes_changed([lun])
        assert simulated.error("IscsiTarget.GetConnectedInitiators", id=target) == "VDS_E_PROVIDER_FAILURE"
        deadline = time.monotonic() + 20
        while "look what became of" not in simulated.context.silence:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        simulated.call("Lun.SetMask", id=lun, unmaskingList="")
        simulated.call("HwProvider.Reenumerate")
        simulated.call("HwProvider.Refresh")
    answer.set()
    simulated.break_volume(lun)
    simulated.hardware.volumes_changed([lun])
    deadline = time.monotonic() + 20
    while properties(simulated, lun)["status"] != "failed":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert simulated.context.silence == ""


def test_no_more_than_so_many(simulated: SimulatedArray, monkeypatch: pytest.MonkeyPatch) -> None:
    """When very many operations hang, new ones are refused and do not wait without an end."""
    monkeypatch.setattr(workers, "MOST_SILENT", 3)
    luns = [served(simulated) for _ in range(3)]
    other = simulated.make_lun()
    with silent_about(simulated, *luns):
        callers = [Caller(simulated, "Lun.SetStatus", id=lun, status="offline") for lun in luns]
        for lun in luns:
            until_shown(simulated, lun)
        assert simulated.error("LunNaming.SetFriendlyName", id=other, friendlyName="x") == "VDS_E_PROVIDER_FAILURE"
        assert properties(simulated, other)["friendlyName"] == ""
    assert [caller.end() for caller in callers] == [""] * len(luns)
    simulated.call("LunNaming.SetFriendlyName", id=other, friendlyName="x")
