"""vdsprovctl status: one screen, with what is not well and what to do about it."""

from collections.abc import Iterator

import msgspec
import pytest

from tests.arrays import DRIVES, SimulatedArray
from tests.cli.vdsprovctl import Daemon
from vdsprovd.cli.concerns import Concern, all_of

NOTHING: dict[str, list[dict[str, object]]] = {
    "subSystems": [],
    "controllers": [],
    "pools": [],
    "driveList": [],
    "lunList": [],
    "targetList": [],
    "portalList": [],
}


@pytest.fixture
def driven(drives_simulated: SimulatedArray) -> Iterator[tuple[SimulatedArray, Daemon]]:
    """A daemon with array2, which has a pool of drives."""
    daemon = Daemon(drives_simulated.socket)
    yield drives_simulated, daemon
    daemon.client.close()


def warnings(daemon: Daemon) -> dict[str, str]:
    """What is to be done, by what is not well."""
    found = msgspec.json.decode(daemon.run_here("status", "--json").stdout)
    assert found["health"] == (
        "ok"
        if not found["warnings"]
        else "critical"
        if any(entry["level"] == "critical" for entry in found["warnings"])
        else "warning"
    )
    return {entry["what"]: entry["do"] for entry in found["warnings"]}


def test_all_is_well(daemon: Daemon) -> None:
    """Of a new daemon the screen says what it has, and that nothing needs to be done."""
    daemon.make_reachable_target("iqn.2026-11.org.example:web")
    daemon.make_lun("one", 3 << 29)
    shown = daemon.shows("status")
    first, *rest = shown.splitlines()
    assert first.endswith("all is well")
    for line in (
        "Cache:      sound",
        "Subsystems: array0: online",
        "Drives:     4, all online, healthy; 0 hot spares",
        "LUNs:       1, online, healthy; 1.5 GiB in all",
        "Targets:    1",
        "Portals:    1, online",
        "Sessions:   nobody is logged in",
        "Operations: none runs",
        "Nothing needs to be done.",
    ):
        assert line in rest
    assert any(line.startswith("Pools:      files0  [") for line in rest)
    assert len(shown.splitlines()) < 24


def test_corrupt(array: tuple[SimulatedArray, Daemon]) -> None:
    """A corrupt cache is said first, with what helps, and is the exit status."""
    simulated, daemon = array
    simulated.prove_corruption()
    done = daemon.run("status")
    assert done.returncode == 4
    assert done.stdout.splitlines()[0].endswith("1 warning, critical")
    assert "-> vdsprovctl recover" in done.stdout
    found = msgspec.json.decode(daemon.run("status", "--json").stdout)
    assert (found["cache"], found["health"]) == ("corrupt", "critical")
    daemon.shows("recover")
    assert daemon.run("status").returncode == 0


def test_a_lost_drive(driven: tuple[SimulatedArray, Daemon]) -> None:
    """A drive that is gone is warned of, and what was on it: a mirror can be recovered."""
    array, daemon = driven
    mirror = array.make_volume("mirror", drives=[DRIVES[0], DRIVES[1]])
    array.lose_drive(DRIVES[1])
    told = warnings(daemon)
    assert any(DRIVES[1] in what and "removed" in what for what in told)
    assert told[next(what for what in told if mirror in what)] == f"vdsprovctl lun recover {mirror}"
    daemon.shows("lun", "recover", mirror)
    assert not any(mirror in what for what in warnings(daemon))


def test_somebody_meddled(array: tuple[SimulatedArray, Daemon]) -> None:
    """Offline subsystems, dangling import targets and lost portals are warned of, and the advice is one that helps."""
    simulated, daemon = array
    daemon.client.call("SubSystem.SetStatus", id=simulated.sub_system, status="offline")
    assert warnings(daemon) == {
        "Subsystem array0 is offline: nobody reaches its targets.": "vdsprovctl subsystem online array0"
    }
    daemon.shows("subsystem", "online", "array0")
    daemon.client.call(
        "SubSystemImportTarget.SetImportTarget", id=simulated.sub_system, iscsiName="iqn.2026-11.org.example:gone"
    )
    (what,) = warnings(daemon)
    assert "dangles: there is no target iqn.2026-11.org.example:gone" in what
    daemon.shows("import-target", "clear", "--subsystem", "array0")
    (controller, *_) = daemon.json("controller", "list", "--json")
    daemon.shows("controller", "offline", controller["id"], "--yes")
    assert list(warnings(daemon).values()) == [f"vdsprovctl controller online {controller['id']}"]


@pytest.mark.parametrize(
    ("thin", "free", "level"),
    [(False, 200, None), (False, 100, "warning"), (True, 200, "warning"), (True, 50, "critical")],
)
def test_full_pools(thin: bool, free: int, level: str | None) -> None:
    """A pool is warned of at 90 %; a thin one, whose initiators cannot write when it is full, at 80 %."""
    pool = {
        "name": "p",
        "description": "",
        "status": "online",
        "health": "healthy",
        "totalManagedSpace": 1000,
        "remainingFreeSpace": free,
        "thin": thin,
    }
    assert [concern.level for concern in all_of(NOTHING | {"pools": [pool]})] == ([level] if level else [])


def test_many_alike_do_not_hide_the_rest(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three hundred broken LUNs eight are shown, unless with --long; each line fits the terminal."""
    many = [Concern("critical", "LUN", f"LUN web{number} is failed.", "mend it") for number in range(300)]
    many.append(Concern("warning", "portal", "Portal x " + "is not well " * 20, "see"))
    monkeypatch.setattr("vdsprovd.cli.status.all_of", lambda _found: many)
    monkeypatch.setattr("vdsprovd.cli.output.room", lambda: 80)
    shown = daemon.run_here("status").stdout
    assert shown.count("is failed.") == 8
    assert "and 292 more LUNs: vdsprovctl status --long" in shown
    assert "Portal x" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert daemon.run_here("status", "--long").stdout.count("is failed.") == 300
