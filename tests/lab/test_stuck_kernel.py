"""Disks that answer nothing for a while: the objects that wait for them show it, and nothing else waits."""

import os
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.arrays import INITIATOR, MIB, Failed, LioArray, Reply, run
from tests.conftest import running
from tests.lab.test_initiators import SECRET, Login
from tests.lab.test_paths import eventually
from vdsprovd.hardware.pools import raw
from vdsprovd.hardware.pools.lvm import command, report
from vdsprovd.provider import context
from vdsprovd.varlink import VarlinkError

pytestmark = pytest.mark.lab

PATIENCE = 2.0
SLOWER = 20
"""How many times as long a query may take: behind what hangs it would be thousands."""


@pytest.fixture
def impatient(tmp_path: Path, disk: Path) -> Iterator[LioArray]:
    """A daemon that soon takes the kernel not to answer."""

    def before_main() -> None:
        context.PATIENCE = context.LONG_PATIENCE = PATIENCE
        raw.PATIENCE = report.PATIENCE = PATIENCE / 2
        command.PATIENCE = 2

    array = LioArray(tmp_path, disk / tmp_path.name)
    array.configuration["provider"]["audit"] = 2
    array.before_main = before_main
    with running(array):
        yield array


class Caller(threading.Thread):
    """Calls a method that will hang, on a connection of its own."""

    def __init__(self, array: LioArray, method: str, **parameters: object) -> None:
        super().__init__(daemon=True)
        self.error = "no answer"
        self._array, self._method, self._parameters = array, method, parameters
        self.start()

    def run(self) -> None:
        with suppress(ConnectionError), self._array.connect() as connection:
            try:
                reply = connection.call(f"org.vdsprov.{self._method}", self._parameters)
                if "async" in reply:
                    done = connection.call("org.vdsprov.Async.Wait", {"id": reply["async"]})
                    self.error = done.get("message", "") if done["hresult"] else ""
                else:
                    self.error = ""
            except VarlinkError as error:
                self.error = error.name

    def end(self) -> str:
        """Wait for the answer; gives the error, "" for none."""
        self.join(60)
        return self.error


def properties(array: LioArray, lun: str) -> Reply:
    """The LUN's properties."""
    return dict(array.call("Lun.GetProperties", id=lun)["properties"])


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until that is so."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def until_shown(array: LioArray, lun: str) -> None:
    """Wait until the LUN says that it has no answer."""
    until(lambda: "has not answered since" in properties(array, lun)["deviation"], f"{lun} does not show it")


def message(array: LioArray, method: str, **parameters: object) -> str:
    """The message of the VDS_E_ANOTHER_CALL_IN_PROGRESS that the call must answer."""
    with pytest.raises(Failed) as caught:
        array.call(method, **parameters)
    assert caught.value.symbol == "VDS_E_ANOTHER_CALL_IN_PROGRESS"
    return str(caught.value)


def latency(array: LioArray, lun: str) -> float:
    """Seconds that queries take, the median."""
    took = []
    for _ in range(30):
        begin = time.monotonic()
        array.call("Lun.GetProperties", id=lun)
        array.call("SubSystem.QueryLuns", id=array.sub_system)
        array.call("HwProviderStoragePools.QueryStoragePools")
        took.append(time.monotonic() - begin)
    return statistics.median(took)


def all_agree(array: LioArray) -> None:
    """API, kernel and store have the same: neither a recovery nor a restart nor a reboot finds anything to put right."""
    kernel = array.kernel()

    def seen() -> list[Reply]:
        found = array.call("SubSystem.QueryLuns", id=array.sub_system)["luns"]
        return sorted(found, key=lambda lun: str(lun["id"]))

    # Looks that hung as well have their answers a moment later.
    eventually(lambda: not [lun for lun in seen() if lun["deviation"] or lun["health"] != "healthy"], 10)
    # A look may have met the disk while it hung; the next one finds it well.
    until(lambda: all(lun["health"] == "healthy" for lun in seen()), "a LUN does not come back")
    before = seen()
    array.call("HwProvider.Reenumerate")
    array.call("HwProvider.Refresh")
    assert array.kernel() == kernel
    array.reboot()
    assert array.kernel() == kernel
    assert seen() == before
    files = {path.stem for path in (array.pools_folder / "files0").iterdir()}
    assert files == {lun["id"] for lun in before}


def test_a_disk_that_hangs(impatient: LioArray) -> None:
    """While the disk under a pool answers nothing, more commands hang than there are threads; queries are as fast as ever,
    each LUN shows what hangs, commands on it say so, those on other objects are done. Afterwards nothing is lost."""
    array = impatient
    target, _ = array.make_reachable_target()
    grows, other = array.make_lun(mask=INITIATOR), array.make_lun(mask=INITIATOR)
    array.call("LunIscsi.AssociateTargets", id=grows, targetIds=[target])
    go = [array.make_lun(mask=INITIATOR) for _ in range(context.WORKERS + 2)]
    array.call("LunIscsi.AssociateTargets", id=go[0], targetIds=[target])
    usual = latency(array, grows)
    with array.hanging():
        callers = [Caller(array, "Lun.Delete", id=lun) for lun in go]
        callers.append(Caller(array, "Lun.Extend", id=grows, numberOfBytesToAdd=MIB))
        for lun in (grows, *go):
            until_shown(array, lun)
        assert latency(array, grows) < SLOWER * usual
        assert properties(array, grows)["transitionState"] == "extending"
        assert "the kernel has not answered for" in message(array, "Lun.SetMask", id=grows, unmaskingList="")
        assert f"wipe LUN {go[0]}: the kernel has not answered for" in message(array, "Lun.Delete", id=go[0])
        message(array, "HwProvider.Refresh")
        # Neither the kernel's target nor the store needs that disk; the LUN that goes has left its target.
        array.call("LunIscsi.AssociateTargets", id=other, targetIds=[target])
        array.call("Lun.SetMask", id=other, unmaskingList="")
        array.call("LunNaming.SetFriendlyName", id=other, friendlyName="other")
        array.make_group(array.make_target())
    assert [caller.end() for caller in callers] == [""] * len(callers)
    assert properties(array, grows)["size"] == 2 * MIB
    all_agree(array)


@contextmanager
def suspended(name: str) -> Iterator[None]:
    """The device-mapper device answers nothing, for a while."""
    run("dmsetup", "suspend", "--noflush", "--nolockfs", name)
    try:
        yield
    finally:
        run("dmsetup", "resume", name)


def state(pid: int) -> str:
    """Of a process's first thread, as in ps; empty when there is no process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def ended_but_for_what_hangs(array: LioArray) -> int:
    """Stop the daemon: all of it ends in time but for the threads that the kernel does not answer. Gives its process."""
    array.connection.close()
    os.kill(array.pid, signal.SIGTERM)
    begin = time.monotonic()
    until(lambda: state(array.pid) in ("Z", ""), "it does not end")
    assert time.monotonic() - begin < 25
    assert {state(int(thread)) for thread in os.listdir(f"/proc/{array.pid}/task")} <= {"Z", "D"}
    return array.pid


def test_a_stop_and_a_start_while_it_hangs(impatient: LioArray) -> None:
    """SIGTERM ends the daemon while the kernel does not answer one of its threads, but for that thread, which nobody can
    end; the next one is ready all the same, and shows which LUNs have no answer. When the disk answers, what was cut off is
    completed, and nothing is lost."""
    array = impatient
    lun, other = array.make_lun(), array.make_lun()
    with array.hanging():
        caller = Caller(array, "Lun.Delete", id=lun)
        until_shown(array, lun)
        former = ended_but_for_what_hangs(array)
        assert caller.end() != ""
        array.launch()
        array.ready()
        assert "has not answered since" in properties(array, lun)["deviation"]
        assert "settle step" in message(array, "Lun.Delete", id=lun)
        assert properties(array, other)["status"] == "failed"
        array.make_group(array.make_target())
        array.call("SubSystem.QueryLuns", id=array.sub_system)
    os.waitpid(former, 0)
    until(lambda: gone(array, lun), "what was cut off is not completed")
    until(lambda: properties(array, other)["health"] == "healthy", "the other LUN does not come back")
    all_agree(array)


def gone(array: LioArray, lun: str) -> bool:
    """Whether the LUN was deleted."""
    try:
        properties(array, lun)
    except Failed as failed:
        return failed.symbol == "VDS_E_OBJECT_DELETED"
    return False


def test_a_store_whose_disk_hangs(impatient: LioArray) -> None:
    """While the store's disk answers nothing, queries are as fast as ever, the objects that are to be changed show that, and
    the daemon stops in time. Afterwards the changes are there, or are not."""
    array = impatient
    array.store_on_disk()
    luns = [array.make_lun() for _ in range(2)]
    usual = latency(array, luns[0])
    with array.hanging():
        callers = [Caller(array, "LunNaming.SetFriendlyName", id=lun, friendlyName="other") for lun in luns]
        for lun in luns:
            until_shown(array, lun)
        assert latency(array, luns[0]) < SLOWER * usual
        former = ended_but_for_what_hangs(array)
        assert [caller.end() != "" for caller in callers] == [True, True]
    os.waitpid(former, 0)
    array.start()
    assert {properties(array, lun)["friendlyName"] for lun in luns} <= {"", "other"}
    all_agree(array)


def test_a_drive_that_hangs(impatient: LioArray) -> None:
    """While a drive of a volume group answers nothing, and LVM's programs hang with it, the group's pool and LUNs show it, the
    LUNs of other pools are created and deleted as ever, a Refresh comes to its end, and the daemon stops and starts in time.
    Afterwards the volume group's LUNs are as they were, and are changed again."""
    array = impatient
    array.add_drives()
    lun = array.make_volume("simple", drives=["drive0"])
    usual = latency(array, lun)
    with suspended(array.group.drives[0].name):
        caller = Caller(array, "Lun.Extend", id=lun, numberOfBytesToAdd=8 * MIB)
        array.call("Lun.Delete", id=array.make_lun())
        until(lambda: "LVM does not answer" in str(shown(array, lun)), "the LUN does not show it")
        assert latency(array, lun) < SLOWER * usual
        array.call("Lun.Delete", id=array.make_lun())
        assert caller.end() != ""
        until(lambda: refreshed(array), "a Refresh hangs")
        assert "LVM does not answer" in str(shown(array, lun))
        begin = time.monotonic()
        array.stop()
        assert time.monotonic() - begin < 25
        array.start()
        array.call("Lun.Delete", id=array.make_lun())
        assert properties(array, lun)["health"] in ("failed", "unknown")
    until(lambda: properties(array, lun)["health"] == "healthy", "the LUN does not come back")
    array.wait(array.call("Lun.Extend", id=lun, numberOfBytesToAdd=8 * MIB))
    assert properties(array, lun)["size"] == 16 * MIB


def shown(array: LioArray, lun: str) -> str:
    """What a command on a LUN that has failed says."""
    try:
        array.call("Lun.QueryActiveControllers", id=lun)
    except Failed as failed:
        return str(failed)
    return ""


def refreshed(array: LioArray) -> bool:
    """Whether a Refresh was done; not while somebody works on something."""
    try:
        array.call("HwProvider.Refresh")
    except Failed as failed:
        assert failed.symbol == "VDS_E_ANOTHER_CALL_IN_PROGRESS"
        return False
    return True


def test_an_initiator_whose_disk_hangs(impatient: LioArray) -> None:
    """A LUN cannot leave a target while an initiator's write to it has no answer, and shows that; the other targets' LUNs
    come and go."""
    array = impatient
    (target, _), (elsewhere, _) = array.make_reachable_target(), array.make_reachable_target()
    lun, other = array.make_lun(mask=INITIATOR), array.make_lun(mask=INITIATOR)
    array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    array.call("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret=SECRET)
    usual, session = latency(array, lun), Login(array.name_of(target))
    session.login()
    write = ["dd", "if=/dev/zero", f"of={session.disk}", "bs=4096", "count=1", "oflag=direct"]
    writer: subprocess.Popen[bytes] | None = None
    try:
        with array.hanging():
            writer = subprocess.Popen(write)
            time.sleep(1)
            caller = Caller(array, "LunIscsi.AssociateTargets", id=lun)
            until_shown(array, lun)
            assert latency(array, lun) < SLOWER * usual
            assert "has not answered for" in message(array, "Lun.SetMask", id=lun, unmaskingList="")
            array.call("LunIscsi.AssociateTargets", id=other, targetIds=[elsewhere])
            array.call("LunIscsi.AssociateTargets", id=other)
        assert caller.end() == ""
    finally:
        session.end()
        assert writer is None or writer.wait(60) != 0  # with an error: it has lost its disk
    assert array.associated(lun) == []
    all_agree(array)
