"""`vdsprovctl adopt` and `vdsprovctl export`."""

import json
import os
import stat
from pathlib import Path

import click
import pytest

from tests.arrays import INITIATOR, SECRET, SimulatedArray
from tests.cli.vdsprovctl import Daemon
from tests.contract.test_adoption import THEIRS, a_disk, a_target, export
from vdsprovd.cli import errors
from vdsprovd.hardware import Credentials, Disk, Secret

Both = tuple[SimulatedArray, Daemon]


@pytest.fixture
def disk(array: Both) -> Disk:
    """One that somebody exports, with a secret."""
    simulated, _ = array
    found = a_disk(simulated)
    export(simulated, [found], a_target([found], credentials=Credentials("me", Secret(SECRET)), authentication=True))
    simulated.hardware.peculiar[THEIRS] = (("it lapses",), ())
    return found


def test_plan_and_result(array: Both, disk: Disk) -> None:
    """The plan says what becomes of each, what lapses and what fights; --yes does it, and a second one finds nothing."""
    simulated, daemon = array
    simulated.hardware.rivalry = ("somebody restores",)
    plan = daemon.shows("adopt", "--dry-run")
    assert "LUN in pool files0 of array0" in plan
    assert "target with 1 portal group, 1 LUN, 1 initiator, 1 portal" in plan
    assert f"  {THEIRS}\n    - it lapses\n" in plan
    assert "Note: somebody restores" in plan
    assert simulated.call("SubSystem.QueryLuns", id=simulated.sub_system) == {"luns": []}
    assert daemon.shows("adopt", "--yes", THEIRS).endswith("Adopted 1 LUN and 1 target.\n")
    assert "Nothing to adopt" in daemon.shows("adopt")


def test_as_json(array: Both, disk: Disk) -> None:
    """The plan, and with --yes what was adopted as well."""
    _, daemon = array
    plan = daemon.json("adopt", "--dry-run", "--json")
    assert [entry["adopted"] for entry in plan["objects"]] == [True, True]
    assert daemon.json("adopt", "--yes", "--json")["adopted"]["luns"] == [disk.lun]


def test_nobody_confirms(array: Both, disk: Disk) -> None:
    """Without a terminal and without --yes nothing is done."""
    _, daemon = array
    done = daemon.run("adopt")
    assert (done.returncode, "give --yes" in done.stderr) == (errors.UNCONFIRMED, True)
    assert daemon.json("adopt", "--dry-run", "--json")["objects"]


def test_nothing_of_it_can_be(array: Both, disk: Disk) -> None:
    """It says why, and fails."""
    simulated, daemon = array
    simulated.hardware.peculiar[THEIRS] = ((), ("it is in the way",))
    done = daemon.run("adopt", "--yes")
    assert done.returncode == errors.UNSUPPORTED
    assert f"Not adopted:\n  -2/{disk.lun}\n    - it is LUN 0 of target {THEIRS}" in done.stdout
    assert f"  {THEIRS}\n    - it is in the way\n" in done.stdout


def test_a_target_that_there_is_not(array: Both) -> None:
    """It is named, with the status of what is not found."""
    _, daemon = array
    done = daemon.run("adopt", "iqn.2003-01.org.example:none")
    assert (done.returncode, "iqn.2003-01.org.example:none" in done.stderr) == (errors.NOT_FOUND, True)


@pytest.mark.parametrize("columns", [80, 200])
def test_the_plan_fits_the_terminal(array: Both, disk: Disk, columns: int) -> None:
    """Table and sentences do."""
    simulated, daemon = array
    simulated.hardware.rivalry = ("somebody restores " * 20,)
    lines = daemon.on_terminal(columns, "adopt", "--dry-run").splitlines()
    assert max(len(click.unstyle(line)) for line in lines) <= columns


@pytest.mark.shows("Service.GetSaveconfig")
def test_export(array: Both, disk: Disk, tmp_path: Path) -> None:
    """What is exported, in targetcli's words and without secrets, which is told; into a new file of one's own."""
    simulated, daemon = array
    daemon.shows("adopt", "--yes")
    lun = simulated.make_lun(mask=INITIATOR)
    simulated.call("LunNaming.SetFriendlyName", id=lun, friendlyName="web 1")
    file = tmp_path / "saveconfig.json"
    done = daemon.run("export", str(file))
    assert (done.returncode, done.stdout) == (0, "")
    assert "the CHAP secrets of 1 ACL, without which nobody logs in there: --with-secrets" in done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = simulated.call("Service.GetSaveconfig")["configuration"]
    assert file.read_text() == text
    assert SECRET not in text
    saved = json.loads(text)
    storage = {entry["wwn"]: entry for entry in saved["storage_objects"]}
    assert {entry["name"] for entry in storage.values()} == {"disk", lun}
    assert storage[disk.lun]["attributes"] == {"emulate_model_alias": 1}
    ((target,), (group,)) = saved["targets"], saved["targets"][0]["tpgs"]
    assert (target["wwn"], group["attributes"]["authentication"]) == (THEIRS, 1)
    assert group["luns"] == [{"index": 0, "storage_object": "/backstores/fileio/disk"}]
    assert group["node_acls"][0]["mapped_luns"] == [{"index": 0, "tpg_lun": 0, "write_protect": False}]
    assert daemon.run("export", str(file)).returncode == errors.FAILED
    assert daemon.run("export").stdout == text


def test_secrets_need_a_file_and_the_kernel(array: Both, disk: Disk, tmp_path: Path) -> None:
    """They go to no standard output; and where the kernel has none there is no file."""
    _, daemon = array
    daemon.shows("adopt", "--yes")
    assert daemon.run("export", "--with-secrets").returncode == errors.USAGE
    done = daemon.run("export", "--with-secrets", str(tmp_path / "saved"))
    assert (done.returncode, "is this the host?" in done.stderr) == (errors.FAILED, True)
    assert os.listdir(tmp_path).count("saved") == 0
