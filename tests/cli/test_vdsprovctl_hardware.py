"""vdsprovctl drive, plex, hint, controller, controller-port, subsystem, pool, provider."""

from collections.abc import Iterator
from typing import Any, cast

import msgspec
import pytest

from tests.arrays import DRIVES, MIB, SPARES, SimulatedArray
from tests.cli.vdsprovctl import Daemon
from vdsprovd.hardware.simulator import SimulatedMaintenance


@pytest.fixture
def driven(drives_simulated: SimulatedArray) -> Iterator[tuple[SimulatedArray, Daemon]]:
    """A daemon with array2, which has a pool of drives and two drives that are free."""
    daemon = Daemon(drives_simulated.socket)
    yield drives_simulated, daemon
    daemon.client.close()


def done(daemon: Daemon, *arguments: str) -> str:
    """Run the command here; it must succeed."""
    found = daemon.run_here(*arguments)
    assert (found.returncode, found.stderr) == (0, "")
    return found.stdout


def read(daemon: Daemon, *arguments: str) -> Any:
    """The JSON that the command prints."""
    return msgspec.json.decode(done(daemon, *arguments, "--json"))


def test_drives(driven: tuple[SimulatedArray, Daemon]) -> None:
    """Drives are listed with their use, shown with the LUNs on them, and found by their slot."""
    array, daemon = driven
    lun = array.make_volume("simple", drives=[DRIVES[0]])
    ids = array.drives()
    listed = {entry["id"]: entry for entry in read(daemon, "drive", "list")}
    assert listed.keys() == set(ids.values())
    shown = read(daemon, "drive", "show", ids[DRIVES[0]])
    assert [entry["id"] for entry in shown["luns"]] == [lun]
    slot = str(shown["slotNumber"])
    assert read(daemon, "drive", "at", slot, "--subsystem", "array2") == shown
    assert daemon.run_here("drive", "at", slot, "--subsystem", "array2", "--enclosure", "3").returncode == 6
    assert "Use:            assigned" in done(daemon, "drive", "show", ids[DRIVES[0]])


def test_spares_and_replacement(driven: tuple[SimulatedArray, Daemon]) -> None:
    """A free drive becomes a hot spare and free again; it takes the place of another."""
    array, daemon = driven
    ids = array.drives()
    old, new = ids[DRIVES[0]], ids[SPARES[0]]
    assert daemon.run_here("drive", "spare", "set", new).returncode == 14
    assert read(daemon, "drive", "spare", "set", new, "--yes")["flags"] == ["unassigned", "hotspare"] or read(
        daemon, "drive", "list", "--spare"
    )
    assert [entry["id"] for entry in read(daemon, "drive", "list", "--spare")] == [new]
    done(daemon, "drive", "spare", "clear", new)
    assert read(daemon, "drive", "list", "--spare") == []
    array.make_volume("simple", drives=[DRIVES[0]])
    assert "what is on it is lost" in done(daemon, "drive", "replace", old, new, "--dry-run")
    assert daemon.run_here("drive", "replace", old, new).returncode == 14
    assert "has taken the place of" in done(daemon, "drive", "replace", old, new, "--yes")
    assert read(daemon, "drive", "show", new)["flags"] == ["assigned"]


def test_drive_status(driven: tuple[SimulatedArray, Daemon]) -> None:
    """A drive is set offline and online."""
    array, daemon = driven
    id = array.drives()[DRIVES[0]]
    assert read(daemon, "drive", "offline", id)["status"] == "offline"
    assert read(daemon, "drive", "online", id)["status"] == "online"


def test_maintenance(driven: tuple[SimulatedArray, Daemon]) -> None:
    """Lights blink until they are stopped, or for so many pulses; motors stop and start; what answers says so."""
    array, daemon = driven
    lights = cast(SimulatedMaintenance, array.hardware.maintenance)
    id, lun = array.drives()[DRIVES[0]], array.make_volume("simple", drives=[DRIVES[0]])
    assert "blink." in done(daemon, "drive", "identify", id)
    assert lights.lit == {f"/dev/{DRIVES[0]}"}
    assert "stopped." in done(daemon, "drive", "identify", id, "--stop")
    assert "did not blink" in done(daemon, "drive", "identify", id, "--stop")
    assert lights.lit == set()
    assert "blink 3 times" in done(daemon, "lun", "identify", lun, "--pulses", "3")
    assert daemon.run_here("drive", "identify", id, "--pulses", "3", "--stop").returncode == 2
    done(daemon, "drive", "spin-down", id)
    assert lights.stopped == {f"/dev/{DRIVES[0]}"}
    done(daemon, "drive", "spin-up", id)
    assert lights.stopped == set()
    assert "answers" in done(daemon, "drive", "ping", id)
    done(daemon, "subsystem", "identify", "array2")
    done(daemon, "subsystem", "identify", "array2", "--stop")
    assert "answers" in done(daemon, "controller", "ping", read(daemon, "controller", "list")[0]["id"])


def test_plexes(driven: tuple[SimulatedArray, Daemon]) -> None:
    """A LUN absorbs another as its plex, which is removed again; both are asked for, and can be told beforehand."""
    array, daemon = driven
    lun = array.make_volume("simple", drives=[DRIVES[0]])
    other = array.make_volume("simple", drives=[DRIVES[1]])
    assert other in done(daemon, "plex", "add", lun, other, "--dry-run")
    assert daemon.run_here("plex", "add", lun, other).returncode == 14
    assert len(read(daemon, "plex", "add", lun, other, "--yes")) == 2
    assert len(read(daemon, "plex", "list", lun)) == 2
    assert "PLEX" in done(daemon, "plex", "list", lun)
    shown = read(daemon, "plex", "show", lun, "2")
    assert [name.rpartition(" ")[2] for name in shown["driveNames"].values()] == [DRIVES[1]]
    assert read(daemon, "plex", "show", lun, shown["id"][:8]) == shown
    assert daemon.run_here("plex", "show", lun, "3").returncode == 6
    assert daemon.run_here("plex", "remove", lun, "1", "--yes").returncode == 10
    assert len(read(daemon, "plex", "remove", lun, "2", "--yes")) == 1


def test_recover(driven: tuple[SimulatedArray, Daemon]) -> None:
    """A mirror that lost a drive is rebuilt; a LUN that is no mirror cannot be."""
    array, daemon = driven
    lun = array.make_volume("mirror", drives=[DRIVES[0], DRIVES[1]])
    simple = array.make_volume("simple", drives=[DRIVES[2]])
    array.lose_drive(DRIVES[1])
    assert read(daemon, "lun", "show", lun)["health"] != "healthy"
    assert read(daemon, "lun", "recover", lun)["health"] == "healthy"
    assert daemon.run_here("lun", "recover", simple).returncode == 10


def test_hints(driven: tuple[SimulatedArray, Daemon]) -> None:
    """Hints are set by VDS's names, of a LUN or of one plex, and shown."""
    array, daemon = driven
    lun = array.make_volume("mirror", drives=[DRIVES[0], DRIVES[1]])
    assert read(daemon, "hint", "set", lun, "mostlyReads=true", "rebuildPriority=7")["rebuildPriority"] == 7
    assert read(daemon, "hint", "set", lun, "rebuildPriority=3", "--plex", "2")["rebuildPriority"] == 3
    assert read(daemon, "hint", "show", lun, "--plex", "1")["rebuildPriority"] == 7
    assert "mostlyReads:                 true\n" in done(daemon, "hint", "show", lun)
    for wrong in ("nothing=1", "mostlyReads", "mostlyReads=1", "stripeSize=x"):
        assert daemon.run_here("hint", "set", lun, wrong).returncode == 2
    with_hint = read(daemon, "lun", "create", "--size", "4M", "--subsystem", "array2", "--hint", "stripeSize=64K")
    assert with_hint["type"] == "stripe"


def test_controllers(daemon: Daemon) -> None:
    """A controller and its port are set offline and online, reset, flushed; a LUN is active on it or not."""
    lun = daemon.make_lun("active")
    (controller,) = read(daemon, "controller", "list")
    (port,) = read(daemon, "controller-port", "list")
    assert port["controller"]["id"] == controller["id"]
    assert [entry["id"] for entry in read(daemon, "controller", "show", controller["id"])["ports"]] == [port["id"]]
    assert read(daemon, "controller-port", "show", port["id"])["controller"] == controller["id"]
    for noun, id in (("controller", controller["id"]), ("controller-port", port["id"])):
        for verb in ("offline", "reset"):
            assert "Nobody is connected now." in done(daemon, noun, verb, id, "--dry-run")
            assert daemon.run_here(noun, verb, id).returncode == 14
        assert "is offline" in done(daemon, noun, "offline", id, "--yes")
        assert "is online" in done(daemon, noun, "online", id)
        done(daemon, noun, "reset", id, "--yes")
    done(daemon, "controller", "flush", controller["id"])
    done(daemon, "controller", "drop-cache", controller["id"])
    assert [entry["id"] for entry in read(daemon, "lun", "controller", "list", lun)] == [controller["id"]]
    assert read(daemon, "lun", "controller", "deactivate", lun, controller["id"]) == []
    assert len(read(daemon, "lun", "controller", "activate", lun, controller["id"])) == 1


def test_subsystem(daemon: Daemon) -> None:
    """A subsystem is shown, renamed, rescanned, set offline and online."""
    assert read(daemon, "subsystem", "show", "array0")["interconnects"] == ["iscsi"]
    assert "Interconnects:   iscsi" in done(daemon, "subsystem", "show", "array0")
    assert read(daemon, "subsystem", "rename", "array0", "Büro")["friendlyName"] == "Büro"
    assert "is online." in done(daemon, "subsystem", "rescan", "Büro")
    assert daemon.run_here("subsystem", "offline", "Büro").returncode == 14
    assert read(daemon, "subsystem", "offline", "Büro", "--yes")["status"] == "offline"
    assert read(daemon, "subsystem", "online", "Büro")["status"] == "online"


def test_pool(driven: tuple[SimulatedArray, Daemon]) -> None:
    """A pool is shown with its drives and LUNs; the list can be narrowed to what has room."""
    array, daemon = driven
    lun = array.make_volume("simple", 4 * MIB, [DRIVES[0]])
    shown = read(daemon, "pool", "show", "vg0")
    assert [entry["id"] for entry in shown["luns"]] == [lun]
    assert f"{DRIVES[0]}: 4.0 MiB of" in done(daemon, "pool", "show", "vg0")
    assert "vg0" not in [entry["name"] for entry in read(daemon, "pool", "list", "--free", "1T")]
    assert read(daemon, "pool", "list", "--thin") == []
    assert [entry["id"] for entry in read(daemon, "lun", "list", "--pool", "vg0")] == [lun]


def test_provider(daemon: Daemon) -> None:
    """The provider is shown with what it is."""
    assert read(daemon, "provider", "show")["hwProviderType"] == "iscsi"
    assert "hardware, iscsi" in done(daemon, "provider", "show")


def test_which_lun_is_a_disk(daemon: Daemon, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk of this host is known by its serial number; what has none, or another's, is told apart."""
    lun = daemon.make_lun("found")
    sysfs = tmp_path / "block"
    for name, serial in (("sdx", lun), ("sdy", "somebody else's")):
        (sysfs / name / "device").mkdir(parents=True)
        page = bytes([0, 0x80, 0, len(serial) + 1]) + serial.encode() + b"\0"
        (sysfs / name / "device/vpd_pg80").write_bytes(page)
        (tmp_path / name).touch()
    (sysfs / "dm-7/slaves/sdx").mkdir(parents=True)
    (tmp_path / "dm-7").touch()
    (tmp_path / "plain").touch()
    monkeypatch.setattr("vdsprovd.cli.nouns.lun.paths.SYSFS", sysfs)
    for disk in ("sdx", "dm-7"):
        assert f"LUN found ({lun})" in done(daemon, "lun", "of-disk", str(tmp_path / disk))
    assert daemon.run_here("lun", "of-disk", str(tmp_path / "sdy")).returncode == 6
    assert daemon.run_here("lun", "of-disk", str(tmp_path / "plain")).returncode == 11
