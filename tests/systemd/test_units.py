"""systemd's units, in a guest with systemd; observe.py does the story there, and the tests here read what it saw."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.boots_lab, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What observe.py saw in a guest, which also had the configuration that is shipped as an example."""
    folder = tmp_path_factory.mktemp("units")
    observe = [str(CHECKOUT / "tests/systemd/observe.py"), str(CHECKOUT / "vdsprovd/vdsprovd.toml")]
    command = ["--systemd", "--timeout", "240", "--share", str(folder), "--", "python3", *observe, f"{folder}/seen"]
    done = subprocess.run([CHECKOUT / "scripts/lab", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads((folder / "seen").read_text())
    return found


def test_nothing_starts_without_a_configuration(seen: dict[str, Any]) -> None:
    """A host where the units are installed and nothing is configured boots without failures, and without the daemon."""
    assert seen["before the configuration"] == {"vdsprovd.socket": "inactive", "vdsprovd.service": "inactive"}
    assert seen["failed units"] == ""


def test_systemd_understands_the_units(seen: dict[str, Any]) -> None:
    """systemd-analyze verify has nothing to say about them."""
    assert "vdsprovd" not in seen["verify"]


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
    """Status 78, a line that names the key, no restart, and the exports stay."""
    found = seen["bad configuration"]
    assert found["restart"] != 0
    assert (found["main status"], found["restarts"]) == ("78", "0")
    assert "nonsense" in found["journal"]
    assert found["exports kept"]
