"""What an administrator does with vdsprovctl, from an empty array to a disk that is used and deleted, on a real kernel."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.arrays import INITIATOR, LioArray

pytestmark = pytest.mark.lab

IQN = "iqn.2026-11.org.example:walk"


class Administrator:
    """Somebody who types vdsprovctl's commands."""

    def __init__(self, array: LioArray) -> None:
        self.socket = str(array.socket)

    def run(self, *words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["vdsprovctl", "--socket", self.socket, *words],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def does(self, *words: str, stdin: str = "") -> str:
        """Run a command that must succeed and complain of nothing, and give what it prints."""
        done = self.run(*words, stdin=stdin)
        assert (done.returncode, done.stderr) == (0, ""), (words, done)
        return done.stdout

    def reads(self, *words: str) -> Any:
        return json.loads(self.does(*words, "--json"))


def disk_of(lun: str) -> Path:
    """The initiator's disk with that serial number, as soon as there is one."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for page in Path("/sys/class/block").glob("sd*/device/vpd_pg80"):
            if lun.encode() in page.read_bytes():
                return Path("/dev") / page.parents[1].name
        time.sleep(0.1)
    raise AssertionError([str(path.resolve()) for path in Path("/sys/class/block").iterdir()])


def test_from_nothing_to_a_used_disk_and_back(lio: LioArray) -> None:
    """Each step by a verb: create, mask, associate, look who is connected, extend, and delete what is used by nobody."""
    admin = Administrator(lio)
    admin.does("target", "create", IQN, "--name", "walk", "--portal", "all", "--subsystem", "array0")
    admin.does("target", "chap", "set", "walk", stdin="twelve-bytes")
    created = admin.reads(
        "lun", "create", "data", "--size", "8M", "--subsystem", "array0", "--target", "walk", "--initiator", INITIATOR
    )
    lun = created["id"]
    assert f"--targetname {IQN} --portal" in admin.does("target", "login", "walk")
    assert "nobody is logged in" in admin.does("target", "show", "walk")
    target = admin.reads("target", "show", "walk")["id"]
    portal = admin.reads("portal", "list")[0]["address"]["port"]
    with lio.logged_in(target, portal):
        disk = disk_of(lun)
        assert f"{disk} is LUN data ({lun})." in admin.does("lun", "of-disk", str(disk))
        assert admin.reads("target", "show", "walk")["connectedInitiators"] == [INITIATOR]
        assert f"{IQN}: {INITIATOR} connected" in admin.does("lun", "show", "data")
        assert "online" in [path["status"] for path in admin.reads("lun", "paths", "data")]
        status = admin.reads("status")
        assert (status["health"], status["sessions"]) == ("ok", [{"iscsiName": IQN, "initiators": [INITIATOR]}])
        assert f"connected now: {INITIATOR}" in admin.does("lun", "delete", "data", "--dry-run")
        assert admin.run("lun", "delete", "data").returncode == 14
        assert admin.reads("lun", "extend", "data", "--by", "8M")["size"] == 16 << 20
        assert admin.run("target", "delete", "walk", "--yes").returncode == 7
    lio.lose_portal(IQN)
    lost = admin.run("portal-group", "remove-portal", "walk", admin.reads("portal", "list")[0]["id"], "--yes")
    assert lost.returncode == 4
    assert admin.run("status").returncode == 4
    assert "sound" in admin.does("recover")
    assert "all is well" in admin.does("status")
    admin.does("lun", "delete", "data", "--yes")
    admin.does("target", "delete", "walk", "--yes")
    assert admin.reads("lun", "list") == admin.reads("target", "list") == []


def test_doctor_on_a_host_that_is_well(lio: LioArray) -> None:
    """On a host with LIO the checks of the kernel are ok, a portal that is listened at is named, and one that is not is told."""
    admin = Administrator(lio)
    admin.does("target", "create", IQN, "--portal", "all", "--subsystem", "array0")
    config = str(lio.folder / "vdsprovd.toml")

    def levels() -> dict[str, tuple[str, str]]:
        done = admin.run("doctor", "--config", config, "--json")
        return {entry["check"]: (entry["level"], entry["found"]) for entry in json.loads(done.stdout)}

    found = levels()
    for check in ("kernel modules", "configfs", "configuration", "daemon", "portals"):
        assert found[check][0] == "ok", found[check]
    assert "the kernel listens at" in found["portals"][1]
    assert any(check.startswith("pool ") for check in found)
