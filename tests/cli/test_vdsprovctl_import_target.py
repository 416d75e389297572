"""vdsprovctl import-target: show, set, clear."""

import pytest

from tests.arrays import SimulatedArray
from tests.cli.vdsprovctl import Daemon

NAME = "iqn.2026-11.org.example:import"
OTHER = "iqn.2026-11.org.example:other"


def test_life(daemon: Daemon) -> None:
    """What is set is shown, for its computer only, until it is cleared; to show none fails."""
    daemon.make_target(NAME)
    assert daemon.shows("import-target", "--set", NAME.upper().replace("IQN", "iqn")) == f"{NAME}\n"
    assert daemon.shows("import-target") == f"{NAME}\n"
    none = daemon.run("import-target", "--computer", "backup1")
    assert (none.returncode, none.stdout) == (1, "")
    assert "VDS_E_NO_IMPORT_TARGET 0x80042713" in none.stderr
    assert daemon.shows("import-target", "--clear") == "subsystem array0 has no import target\n"
    assert daemon.run("import-target").returncode == 1


def test_dangling(daemon: Daemon) -> None:
    """A name that no target has is set and shown, and warned of both times."""
    for arguments in (["--set", OTHER], []):
        done = daemon.run("import-target", *arguments)
        assert (done.returncode, done.stdout) == (0, f"{OTHER}\n")
        assert f"warning: the import target of subsystem array0 dangles: it has no target {OTHER}" in done.stderr


def test_which_subsystem(array: tuple[SimulatedArray, Daemon]) -> None:
    """A subsystem goes by name, id, or the beginning of either if that is unique; otherwise all are named."""
    simulated, daemon = array
    simulated.make_target(NAME)
    id = simulated.sub_system
    for text in ("array0", id, id[:13]):
        done = daemon.run_here("import-target", text, "--set", NAME)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{NAME}\n", "")
    for arguments in ([], ["arr"], ["nothing"], [""]):
        done = daemon.run_here("import-target", *arguments)
        assert done.returncode == 2
        assert "array0" in done.stderr
        assert "array1" in done.stderr


def test_not_supported(array: tuple[SimulatedArray, Daemon]) -> None:
    """A subsystem without import targets says so."""
    done = array[1].run_here("import-target", "array1")
    assert done.returncode == 1
    assert "VDS_E_NOT_SUPPORTED" in done.stderr


@pytest.mark.parametrize("arguments", [["--set", NAME, "--clear"], ["--set", ""]])
def test_wrong_usage(shared_daemon: Daemon, arguments: list[str]) -> None:
    """To set and to clear at once, or to set no name, is a usage error."""
    assert shared_daemon.run_here("import-target", *arguments).returncode == 2
