"""systemd's units, in a guest with systemd; observe.py does the story there, and the tests here read what it saw."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.boots_lab, pytest.mark.timeout(300)]


TURNED_OFF = 70
"""How the lab ends when its guest ended by itself."""


def boot(number: str, folder: Path, status: int) -> dict[str, Any]:
    """What observe.py saw in the first, second or third boot of a guest; the state is kept from boot to boot."""
    file = folder / number
    observe = [str(CHECKOUT / "tests/systemd/observe.py"), number, str(CHECKOUT / "vdsprovd/vdsprovd.toml"), str(file)]
    options = ["--systemd", "--timeout", "240", "--state", str(folder / "state"), "--share", str(folder)]
    command = [str(CHECKOUT / "scripts/lab"), *options, "--", "python3", *observe]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert file.exists(), done.stdout + done.stderr
    assert done.returncode == status, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(file.read_text())
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What outlives the boots."""
    found = tmp_path_factory.mktemp("units")
    (found / "state").mkdir()
    return found


@pytest.fixture(scope="module")
def seen(folder: Path) -> dict[str, Any]:
    """What observe.py saw in a guest, which also had the configuration that is shipped as an example."""
    return boot("first", folder, TURNED_OFF)


@pytest.fixture(scope="module")
def rebooted(seen: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What it saw after that guest was shut down in an orderly way."""
    return boot("second", folder, TURNED_OFF)


@pytest.fixture(scope="module")
def power_cut(rebooted: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What it saw after that one had its power cut."""
    return boot("third", folder, 0)


def test_nothing_starts_without_a_configuration(seen: dict[str, Any]) -> None:
    """A host where the units are installed and nothing is configured boots without failures, and without the daemon."""
    assert seen["before the configuration"] == {"vdsprovd.socket": "inactive", "vdsprovd.service": "inactive"}
    assert seen["failed units"] == ""


def test_systemd_understands_the_units(seen: dict[str, Any]) -> None:
    """systemd-analyze verify has nothing to say about them."""
    assert "vdsprovd" not in seen["verify"]


def test_the_sandbox(seen: dict[str, Any]) -> None:
    """systemd-analyze security finds the service's exposure OK, the most that one gets which needs CAP_SYS_ADMIN and the
    host's own mounts and network can reach."""
    levels = re.findall(r"Overall exposure level for (\S+): (\d+\.\d)", seen["security"])
    assert {unit for unit, _ in levels} == {"vdsprovd.service", "vdsprovd-teardown.service"}
    assert all(float(level) < 5 for _, level in levels), levels


def test_there_are_watches_for_many_luns(seen: dict[str, Any]) -> None:
    """Four for a LUN: what others change is noticed at once, however little memory the host has."""
    assert seen["watches"] >= 4 * 100_000


def test_the_preset_enables_socket_and_service(seen: dict[str, Any]) -> None:
    """The exports are rebuilt at boot, before any client asks."""
    assert seen["enabled"] == ["enabled", "enabled"]


def test_the_socket_is_for_root_and_the_group(seen: dict[str, Any]) -> None:
    """0660, root's and the group vdsprov's."""
    assert seen["socket"] == {"mode": "srw-rw----", "uid": 0, "group": "vdsprov", "folder": "drwxr-xr-x"}


def test_the_first_client_starts_the_daemon(seen: dict[str, Any]) -> None:
    """systemd listens, and starts the service when somebody connects."""
    assert (seen["before the first client"], seen["after the first client"]) == ("inactive", "active")


def test_the_call_that_starts_the_daemon_is_answered(seen: dict[str, Any]) -> None:
    """It waits until the daemon is ready: whoever calls does not know that it was not."""
    assert seen["first call"] == 0


def test_varlinkctl_is_served(seen: dict[str, Any]) -> None:
    """A foreign client reads who serves, and understands the description of every interface."""
    assert "Vendor: vdsprovd" in seen["info"]
    assert "org.vdsprov.SubSystemImportTarget" in seen["described"]
    assert set(seen["described"].values()) == {0}


def test_the_state_is_roots_alone(seen: dict[str, Any]) -> None:
    """CHAP secrets rest in the store."""
    assert seen["state"] == "drwx------"
    assert set(seen["store"].values()) == {"-rw-------"}


def test_only_the_group_is_let_in(seen: dict[str, Any]) -> None:
    """A user of the group is served; one outside of it is refused by the socket's mode, and by the daemon."""
    assert (seen["callers"]["root"], seen["callers"]["insider"]) == (0, 0)
    assert seen["callers"]["outsider"] != 0
    assert seen["outsider at an open socket"] != 0


def test_exports_outlive_the_daemon(seen: dict[str, Any]) -> None:
    """systemctl stop ends soon and leaves the kernel's configuration alone: an initiator writes and reads on, and
    nobody can unmount the file system under it."""
    assert (seen["stop"]["state"], seen["stop"]["result"]) == ("inactive", "success")
    assert seen["stop"]["seconds"] < 10
    assert seen["stop"]["exports"] > 0
    assert seen["stop"]["exports kept"]
    assert seen["stop"]["written and read"]
    assert seen["stop"]["umount of the pool"] != 0


def test_the_next_start_adopts_the_exports(seen: dict[str, Any]) -> None:
    """Nothing is made anew, and the session goes on."""
    assert seen["start"]["exports kept"]
    assert seen["start"]["session kept"]
    assert seen["start"]["read"]
    assert seen["start"]["lun"] == 16 << 20
    assert "put right" not in seen["start"]["journal"]


def test_a_killed_daemon_comes_back(seen: dict[str, Any]) -> None:
    """systemd starts it again, and exports were never away."""
    assert seen["kill"] == {"lun": 16 << 20, "exports kept": True, "read": True}


def test_a_bad_configuration_is_told_once(seen: dict[str, Any]) -> None:
    """Status 78, a line that names the key, no restart, and the exports stay. Clients are told, however many come."""
    found = seen["bad configuration"]
    assert found["restart"] != 0
    assert (found["main status"], found["restarts"]) == ("78", "0")
    assert "nonsense" in found["journal"]
    assert found["exports kept"]
    assert all("InitializedFailed" in told for told in found["clients"]), found["clients"]


def test_a_damaged_store_is_told_once(seen: dict[str, Any]) -> None:
    """Status 65, the command that rebuilds it, no restart, and the exports stay. Clients are told, however many come."""
    found = seen["damaged store"]
    assert found["restart"] != 0
    assert (found["main status"], found["restarts"]) == ("65", "0")
    assert "vdsprovd --rescue" in found["journal"]
    assert found["exports kept"]
    assert all("InitializedFailed" in told for told in found["clients"]), found["clients"]


def test_a_hung_daemon_is_restarted(seen: dict[str, Any]) -> None:
    """One that answers nobody gives no sign of life; the watchdog ends it, the next serves, and exports were never away."""
    found = seen["hung"]
    assert found["another process"]
    assert "Watchdog timeout" in found["journal"]
    assert found["seconds"] < 30
    assert (found["exports kept"], found["session kept"], found["read"]) == (True, True, True)


def test_a_reload_drops_nobody(seen: dict[str, Any]) -> None:
    """systemctl reload takes in roles and whether CHAP is required, in the same process; exports and sessions stay."""
    found = seen["reload"]
    assert found["status"] == 0
    assert found["the watcher"] == [1, 0]
    assert found["authentication"] == ["1", "0"]  # one has a secret
    assert (found["exports kept"], found["session kept"]) == (True, True)


def test_a_bad_configuration_fails_the_reload(seen: dict[str, Any]) -> None:
    """systemctl reload fails and its journal names the key; told by a signal alone, the daemon says it in its status."""
    found = seen["bad reload"]
    assert found["status"] != 0
    assert "nonsense" in found["journal"]
    assert (found["signal"], found["told"]) == (0, True)
    assert found["the watcher"] == 0
    assert len(set(found["processes"])) == 1, found["processes"]


def test_a_teardown_takes_what_is_ours(seen: dict[str, Any]) -> None:
    """It refuses while the daemon runs; then, stopped after it, it removes our exports and nobody else's, and what is below
    them can be unmounted and deactivated. It says whose sessions end, and a second one has nothing to do."""
    found = seen["teardown"]
    assert found["enabled"] == "disabled"
    status, told = found["while the daemon runs"]
    assert status == 69
    assert "another vdsprovd" in told
    assert found["result"] == "success"
    assert found["others were there"]
    assert found["others gone"] == []
    assert {name.split("/")[0] for name in found["ours left"]} == {"iqn.2026-11.org.example:open"}
    assert found["disks left"] == ["other"]
    assert "iqn.2026-11.org.example:host1 is logged in to target iqn.2026-11.org.example:units" in found["journal"]
    assert "target iqn.2026-11.org.example:open stays" in found["journal"]
    assert (found["umount of the pool"], found["group deactivated"], found["again"]) == (0, 0, 0)
    assert found["seconds"] < 20


def test_a_start_after_a_teardown_makes_everything_again(seen: dict[str, Any]) -> None:
    """The same objects with the same serial numbers; the initiator, which has tried again meanwhile, goes on."""
    found = seen["teardown"]
    assert found["rebuilt"]
    assert found["same to clients and initiators"]
    assert (found["session is back"], found["read"]) == (True, True)


def test_a_shutdown_leaves_file_systems_clean(rebooted: dict[str, Any]) -> None:
    """Where the teardown is enabled, the pool's file system is unmounted at shutdown."""
    assert "removed target iqn.2026-11.org.example:units" in rebooted["teardown before"]
    assert not rebooted["file system was dirty"]


@pytest.mark.parametrize("after", ["rebooted", "power_cut"])
def test_a_reboot_keeps_everything(after: str, request: pytest.FixtureRequest) -> None:
    """LUNs, targets, masks, CHAP, import targets, serial numbers are the same, and all is exported before the service is
    ready, on disks that come at boot, too."""
    found = request.getfixturevalue(after)
    assert found["state"] == "active"
    assert found["served"] == found["expected"]
    units = [name for name in found["at ready"] if name.startswith("iqn.2026-11.org.example:units")]
    assert units == [
        f"iqn.2026-11.org.example:units/tpgt_1/{rest}" for rest in ("lun/lun_0", "lun/lun_1", "np/10.77.0.1:3260")
    ]
    print("started in", found["seconds to start"], "seconds")


def test_data_outlives_reboots(rebooted: dict[str, Any], power_cut: dict[str, Any]) -> None:
    """An initiator logs in and reads what it had written: before the orderly shutdown, and before the power was cut."""
    assert rebooted["read"] == ["written before the daemon stopped"] * 2
    assert power_cut["file system was dirty"]
    assert power_cut["read"] == ["written before the power was cut"] * 2
