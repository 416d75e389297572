"""The data path does not depend on the daemon: initiators write and verify while it is killed, stopped, restarted and
upgraded under load.

By default it is killed some times; VDSPROVD_KILLS=200 says how often.
"""

import os
import random
import shutil
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests.arrays import INITIATOR, MIB, Array, Failed, LioArray
from tests.contract.test_reload import soon
from tests.lab import load
from vdsprovd import __version__
from vdsprovd.hardware import Disk, TargetNode
from vdsprovd.schema import VERSION

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

CHECKOUT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("VDSPROVD_KILLS", "15"))
SIZE = 8 * MIB
PASSING = {"VDS_E_INITIALIZE_NOT_CALLED", "VDS_E_ANOTHER_CALL_IN_PROGRESS", "VDS_E_OBJECT_DELETED"}
"""What clients of a daemon that comes and goes may be answered: it starts, or it settles what its end cut off."""


class Initiator:
    """This host's open-iscsi, logged in to a target with a LUN in files and to one with a LUN on LVM, and fio, which
    writes both through O_DIRECT, over and over, and verifies what it wrote by checksums."""

    def __init__(self, array: LioArray, folder: Path) -> None:
        self.array = array
        self._folder = folder
        array.add_drives()
        with_drives = array.sub_systems()["array2"]
        self.luns = [array.make_lun(SIZE, mask=INITIATOR), array.make_volume("simple", SIZE, mask=INITIATOR)]
        other = array.make_target(sub_system=with_drives)
        group = array.make_group(other)
        (portal,) = array.call("SubSystemIscsi.QueryPortals", id=with_drives)["portals"]
        array.wait(array.call("IscsiPortalGroup.AddPortal", id=group, portalId=portal["id"]))
        self.targets = [array.make_reachable_target()[0], other]
        for lun, target in zip(self.luns, self.targets, strict=True):
            array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Within it fio writes and verifies. Nothing may have gone wrong at its end: not for fio, not for a session."""
        with ExitStack() as stack:
            for target, port in zip(self.targets, (3260, 3262), strict=True):
                stack.enter_context(self.array.logged_in(target, port))
            with load.writing(self._folder, len(self.luns), len(self.luns)) as done:
                yield
        self.passes = done.passes


@pytest.fixture
def initiator(lio: LioArray, tmp_path: Path) -> Initiator:
    """An initiator with a disk of each kind."""
    return Initiator(lio, tmp_path)


def test_kills_under_load(lio: LioArray, initiator: Initiator, tmp_path: Path) -> None:
    """The daemon is killed again and again, while it starts and while clients make, mask and delete LUNs in the same
    targets and others: no I/O error, no broken session, no wrong byte; in the end store, kernel, pools and API agree."""
    rng = random.Random(os.environ.get("VDSPROVD_SEED", "1"))
    starts: list[float] = []
    began = time.monotonic()
    with initiator.writing():
        with clients(lio, initiator, tmp_path) as answers:
            for _ in range(KILLS):
                if rng.random() < 0.25:  # while it starts
                    lio.kill()
                    lio.launch()
                    time.sleep(rng.uniform(0, 0.4))
                    os.kill(lio.pid, signal.SIGKILL)
                    os.waitpid(lio.pid, 0)
                else:
                    time.sleep(rng.uniform(0, 0.6))
                    lio.kill()
                start = time.monotonic()
                lio.start()
                starts.append(time.monotonic() - start)
            took = time.monotonic() - began
            # On a busy machine no round fits between two kills. Afterwards they get on with it.
            assert soon(lambda: "done" in answers.read_text().split(), 120)
        lio.restart()  # which ends what the clients began, for they did not wait for it
        for sub_system, target in zip(("array0", "array2"), initiator.targets, strict=True):
            _tidy(lio, lio.sub_systems()[sub_system], target, initiator.luns)
    counted = Counter(answers.read_text().split())
    print(
        f"{KILLS} kills in {took:.0f} s, starts of {sorted(starts)[len(starts) // 2]:.2f} s (at most {max(starts):.2f}), "
        f"{initiator.passes} passes of fio, clients were answered {dict(counted)}"
    )
    assert set(counted) - PASSING <= {"done", "gone"}
    assert agreed(lio) == set(initiator.luns)
    # And none of it was only agreed upon by the last start.
    assert "put right" not in lio.log.read_text().rpartition("stopping; exports go on")[2]


@contextmanager
def clients(array: LioArray, initiator: Initiator, folder: Path) -> Iterator[Path]:
    """Within it, two clients call what changes the host, whether the daemon is there or not. Gives where they write what
    they are answered, a word a line."""
    answers = folder / "answers"
    answers.touch()
    pids = []
    for sub_system, target in zip(("array0", "array2"), initiator.targets, strict=True):
        if (pid := os.fork()) == 0:
            with answers.open("a", buffering=1) as file, suppress(BaseException):
                while True:
                    file.write(f"{_change(array, sub_system, target, initiator.luns)}\n")
            os._exit(1)
        pids.append(pid)
    try:
        yield answers
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _change(array: Array, sub_system: str, target: str, keep: Sequence[str]) -> str:
    """A client's round: a LUN is made, associated with the target that is in use and with another, masked and unmasked,
    and all is deleted, together with what earlier rounds left."""
    try:
        array.connection = array.connect()
    except OSError:
        time.sleep(0.05)
        return "gone"
    try:
        id = array.sub_systems()[sub_system]
        _tidy(array, id, target, keep)
        lun, other = array.make_lun(MIB, INITIATOR, id), array.make_target(sub_system=id)
        array.make_group(other)
        array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target, other])
        array.call("Lun.SetMask", id=lun, unmaskingList="")
        array.call("Lun.SetMask", id=lun, unmaskingList=INITIATOR)
        _tidy(array, id, target, keep)
    except OSError:
        return "gone"
    except Failed as error:
        if error.symbol in PASSING:
            time.sleep(0.05)
        return error.symbol
    finally:
        array.connection.close()
    return "done"


def _tidy(array: Array, sub_system: str, target: str, keep: Sequence[str]) -> None:
    for lun in array.call("SubSystem.QueryLuns", id=sub_system)["luns"]:
        if lun["id"] not in keep:
            array.call("Lun.Delete", id=lun["id"])
    for other in array.call("SubSystemIscsi.QueryTargets", id=sub_system)["targets"]:
        if other["id"] != target:
            for group in array.call("IscsiTarget.QueryPortalGroups", id=other["id"])["portalGroups"]:
                array.wait(array.call("IscsiPortalGroup.Delete", id=group["id"]))
            array.wait(array.call("IscsiTarget.Delete", id=other["id"]))


def agreed(array: LioArray) -> set[str]:
    """The LUNs, of which API, store, kernel and pools have the same; the same targets, too."""
    luns, targets = set(), set()
    for sub_system in array.sub_systems().values():
        luns |= {lun["id"] for lun in array.call("SubSystem.QueryLuns", id=sub_system)["luns"]}
        found = array.call("SubSystemIscsi.QueryTargets", id=sub_system)["targets"]
        targets |= {target["iscsiName"] for target in found}
    with closing(sqlite3.connect(array.folder / "state/vdsprovd.sqlite")) as store:
        assert {id for (id,) in store.execute("SELECT id FROM lun")} == luns
        assert {name for (name,) in store.execute("SELECT iscsi_name FROM target")} == targets
        assert store.execute("SELECT count(*) FROM step").fetchone() == (0,)
    there = array.facts()
    assert {fact.lun for fact in there if isinstance(fact, Disk)} == luns
    assert {fact.target for fact in there if isinstance(fact, TargetNode)} == targets
    files = {path.stem for path in (array.pools_folder / "files0").glob("*.lun")}
    assert files | array.group.names() == luns
    return luns


def test_upgrade_under_load(lio: LioArray, initiator: Initiator, tmp_path: Path) -> None:
    """A stop, a start with another configuration, a newer version with a newer store, and the older one, which refuses
    that store: initiators notice nothing."""
    newer = tmp_path / "newer"
    shutil.copytree(CHECKOUT / "vdsprovd", newer / "vdsprovd", ignore=shutil.ignore_patterns("__pycache__"))
    _edit(newer / "vdsprovd/__init__.py", f'"{__version__}"', '"99.0"')
    _edit(newer / "vdsprovd/schema.py", ")\nVERSION =", '"CREATE TABLE newer (id TEXT) STRICT",\n)\nVERSION =')

    def become_newer() -> None:
        os.chdir(newer)  # where -m looks first
        os.execv(sys.executable, [sys.executable, "-m", "vdsprovd", "--config", str(lio.folder / "vdsprovd.toml")])

    with initiator.writing():
        time.sleep(1)
        lio.stop()
        time.sleep(1)
        lio.configuration["provider"]["audit"] = 1
        lio.configuration["subsystem"][0]["require-chap"] = False
        lio.start()
        time.sleep(2)
        lio.stop()
        lio.before_main = become_newer
        lio.start()
        assert lio.connection.call("org.varlink.service.GetInfo", {})["version"] == "99.0"
        time.sleep(1)
        lio.stop()
        lio.before_main = lambda: None
        lio.launch()
        assert os.waitstatus_to_exitcode(os.waitpid(lio.pid, 0)[1]) == 69
        assert f"written by a newer vdsprovd (schema {VERSION + 1}, known {VERSION})" in lio.log.read_text()
        lio.before_main = become_newer
        lio.start()
    assert agreed(lio) == set(initiator.luns)


def _edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
