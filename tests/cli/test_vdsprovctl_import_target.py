"""vdsprovctl import-target: show, set, clear."""

from tests.arrays import SimulatedArray
from tests.cli.vdsprovctl import Daemon

NAME = "iqn.2026-11.org.example:import"
OTHER = "iqn.2026-11.org.example:other"


def test_life(daemon: Daemon) -> None:
    """What is set is shown, for its computer only, until it is cleared; to show none fails."""
    daemon.make_target(NAME)
    assert daemon.shows("import-target", "set", NAME.upper().replace("IQN", "iqn")) == f"{NAME}\n"
    assert daemon.shows("import-target", "show") == f"{NAME}\n"
    none = daemon.run("import-target", "show", "--computer", "backup1")
    assert (none.returncode, none.stdout) == (6, "")
    assert "VDS_E_NO_IMPORT_TARGET 0x80042713" in none.stderr
    assert daemon.shows("import-target", "clear") == "Subsystem array0 has no import target.\n"
    assert daemon.run("import-target", "show").returncode == 6


def test_dangling(daemon: Daemon) -> None:
    """A name that no target has is set and shown, and warned of both times."""
    for arguments in (["set", OTHER], ["show"]):
        done = daemon.run("import-target", *arguments)
        assert (done.returncode, done.stdout) == (0, f"{OTHER}\n")
        assert f"warning: the import target of subsystem array0 dangles: it has no target {OTHER}" in done.stderr


def test_which_subsystem(array: tuple[SimulatedArray, Daemon]) -> None:
    """A subsystem goes by name, id, or the beginning of either if that is unique; otherwise the candidates are named."""
    simulated, daemon = array
    simulated.make_target(NAME)
    id = simulated.sub_system
    for text in ("array0", id, id[:13]):
        done = daemon.run_here("import-target", "set", NAME, "--subsystem", text)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{NAME}\n", "")
    for arguments, status in (([], 2), (["--subsystem", "arr"], 2), (["--subsystem", "nothing"], 6)):
        done = daemon.run_here("import-target", "show", *arguments)
        assert done.returncode == status
        if status == 2:
            assert "array0" in done.stderr
            assert "array1" in done.stderr


def test_not_supported(array: tuple[SimulatedArray, Daemon]) -> None:
    """A subsystem without import targets says so."""
    done = array[1].run_here("import-target", "show", "--subsystem", "array1")
    assert done.returncode == 10
    assert "VDS_E_NOT_SUPPORTED" in done.stderr


def test_wrong_usage(shared_daemon: Daemon) -> None:
    """To set no name is a usage error."""
    assert shared_daemon.run_here("import-target", "set", "").returncode == 2
