"""The Debian packages, in a clean guest with systemd; package.py does the story there, and the tests read what it saw."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
HIGHER = "9.0.0"

pytestmark = [pytest.mark.boots_lab, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def packages(debs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `first`, which scripts/package has made, and `second`, the same with a higher version."""
    folder = tmp_path_factory.mktemp("packages")
    shutil.copytree(debs, folder / "first")
    (folder / "second").mkdir()
    for deb in (folder / "first").glob("*.deb"):
        unpacked = folder / deb.stem
        subprocess.run(["dpkg-deb", "-R", deb, unpacked], check=True)
        control = unpacked / "DEBIAN/control"
        (version,) = re.findall(r"^Version: (.*)$", control.read_text(), re.MULTILINE)
        control.write_text(control.read_text().replace(version, f"{HIGHER}-1"))
        for module in unpacked.glob("usr/lib/python3/dist-packages/vdsprovd/__init__.py"):
            module.write_text(re.sub(r'(?<=__version__ = ")[^"]*', HIGHER, module.read_text()))
        build = ["dpkg-deb", "--root-owner-group", "-b", str(unpacked), str(folder / "second" / deb.name)]
        subprocess.run(build, check=True, capture_output=True)
    return folder


def in_guest(packages: Path, *command: str) -> subprocess.CompletedProcess[str]:
    lab = [str(CHECKOUT / "scripts/lab"), "--systemd", "--clean", "--timeout", "400", "--share", str(packages)]
    return subprocess.run([*lab, "--", *command], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def seen(packages: Path) -> dict[str, Any]:
    """What package.py saw."""
    script, output = str(CHECKOUT / "tests/systemd/package.py"), packages / "seen"
    done = in_guest(packages, "/usr/bin/python3", script, f"{packages}/first", f"{packages}/second", str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(output.read_text())
    return found


def test_lintian_has_nothing_to_say(packages: Path) -> None:
    """But for what is overridden with a reason."""
    debs = [str(deb) for deb in (packages / "first").glob("*.deb")]
    done = in_guest(packages, "lintian", "--fail-on", "warning", *debs)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_document_s_commands_install_them(packages: Path) -> None:
    """What docs/packages.md has a reader type, in the folder with the packages; then the daemon answers."""
    text = (CHECKOUT / "docs/packages.md").read_text()
    (block,) = re.findall(r"^((?:    (?:apt|cp|systemctl) .*\n)+)", text, re.MULTILINE)
    commands = [line.strip() for line in block.splitlines()]
    assert len(commands) == 3
    script = ["set -ex", f"cd {packages}/first", "install -d -m 700 /srv/luns", *commands]
    done = in_guest(
        packages, "bash", "-c", "\n".join([*script, "vdsprovctl lun create --size 1M", "vdsprovctl status"])
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "LUNs:       1, online, healthy" in done.stdout


def test_an_installation_waits_for_its_configuration(seen: dict[str, Any]) -> None:
    """Nothing runs before there is one, and nothing fails; socket and service will start at boot, and no other unit. There are
    watches for many LUNs."""
    found = seen["installed"]
    assert (found["failed units"], found["active"]) == ("", ["inactive", "inactive"])
    assert (found["enabled"], found["off"]) == (["enabled", "enabled"], ["disabled", "disabled"])
    assert found["group"] == "vdsprov"
    assert found["watches"] == 1048576


def test_it_runs_with_debians_own_rtslib(seen: dict[str, Any]) -> None:
    """Debian's Python has no other."""
    assert seen["installed"]["rtslib"].startswith("/usr/lib/python3/dist-packages/")
    assert seen["running"]["daemon"] == "active"


def test_manuals_are_installed_and_well_formed(seen: dict[str, Any]) -> None:
    """mandoc has no warning about any of them."""
    assert set(seen["manuals"]) == {"org.vdsprov.7.gz", "vdsprovctl.1.gz", "vdsprovd.8.gz", "vdsprovd.toml.5.gz"}
    assert {page: said for page, said in seen["manuals"].items() if said} == {}


def test_bash_completes_the_command(seen: dict[str, Any]) -> None:
    """Without anybody's doing."""
    assert seen["completion"].endswith("vdsprovctl")


def test_an_upgrade_disturbs_nobody(seen: dict[str, Any]) -> None:
    """The new daemon has the old one's exports and the initiator its session; clients wait and are not refused."""
    assert seen["before"]["session"]
    assert HIGHER in seen["upgraded"].pop("version")
    assert seen["upgraded"] == seen["before"]
    assert seen["upgrade"]["another process"]
    assert seen["upgrade"]["refused clients"] == []


def test_an_upgrade_of_rtslib_disturbs_nobody(seen: dict[str, Any]) -> None:
    """Its package stops and starts a unit that would clear the kernel's target, as Debian has it."""
    assert seen["after an upgrade of rtslib"] == seen["before"]


def test_a_removal_leaves_exports_and_state(seen: dict[str, Any]) -> None:
    """The daemon is gone; what it exported is not."""
    assert seen["removed"]["daemon"] == "inactive"
    assert seen["removed"]["kept"] == [True, True]
    assert seen["removed"]["exports"] == seen["before"]["exports"]
    assert seen["removed"]["session"] == seen["before"]["session"]


def test_a_purge_is_refused_while_somebody_is_logged_in(seen: dict[str, Any]) -> None:
    """It says who, and nothing is gone."""
    found = seen["purge under a session"]
    assert found["status"] != 0
    assert "iqn.2026-11.org.example:host1 is logged in to iqn.2026-11.org.example:package" in found["said"]
    assert (found["session"], found["exports"]) == (seen["before"]["session"], seen["before"]["exports"])


def test_no_write_and_no_read_failed(seen: dict[str, Any]) -> None:
    """From the login to the logout: through an upgrade, an upgrade of rtslib, a removal and a refused purge."""
    print(seen["traffic"])
    assert seen["traffic"]["errors"] == []
    assert seen["traffic"]["rounds"] > 50
    assert seen["traffic"]["longest"] < 10


def test_a_purge_leaves_nothing_but_the_data(seen: dict[str, Any]) -> None:
    """No file, no group, nothing of ours in the kernel, and what is somebody else's there; the LUN's file, which is named."""
    found = seen["purged"]
    assert found["status"] == 0, found["said"]
    assert (found["files"], found["group"], found["exports"]) == ([], "", [])
    assert found["other is there"]
    assert found["its size"] == 64 << 20
    assert found["lun"] in found["said"]
    assert found["failed units"] == ""
