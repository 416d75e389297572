"""What scripts/setup asks, what it installs, and that .venv is whole whatever happens to it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.machine import Checkout, Machine, command_in

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can install packages, and is asked")
INSTALL = "apt-get install --no-install-recommends -y python3 python3-venv"
CTRL_C, CTRL_D = "\x03", "\x04"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A checkout without .venv on a machine that has all that it takes."""
    return Machine(Checkout(tmp_path / "checkout"), tmp_path)


@pytest.fixture
def without_venv(machine: Machine) -> Machine:
    """The same, as Debian comes: its Python can make no virtual environments."""
    machine.remove_venv()
    return machine


# What it asks


@as_root
def test_enter_runs_the_command_of_the_question(without_venv: Machine) -> None:
    """Exactly what was named is run, and then .venv is made."""
    with without_venv.on_terminal("scripts/setup") as terminal:
        terminal.expect("[Y/n] ")
        assert without_venv.apt_get_calls == []
        terminal.type("\r")
        assert terminal.end() == 0, terminal.shown
    assert command_in(terminal.shown) == INSTALL
    assert without_venv.apt_get_calls == ["apt-get update", INSTALL]
    assert without_venv.checkout.version() == "1"


@as_root
@pytest.mark.parametrize("answer", ["n\r", "NO\r", "what?\r", CTRL_D])
def test_any_other_answer_changes_nothing(without_venv: Machine, answer: str) -> None:
    """Whoever does not say yes is left with what there was; the end of input says nothing."""
    with without_venv.on_terminal("scripts/setup") as terminal:
        terminal.expect("[Y/n] ")
        terminal.type(answer)
        assert terminal.end() == 69, terminal.shown
    assert command_in(terminal.shown) == INSTALL
    assert without_venv.apt_get_calls == []
    assert without_venv.checkout.environments() == set()


@as_root
def test_without_a_terminal_the_command_is_told(without_venv: Machine) -> None:
    """Nobody is there to be asked."""
    done = without_venv.run("scripts/setup")
    assert done.returncode == 69
    assert INSTALL in done.stderr
    assert "--yes" in done.stderr
    assert "[Y/n]" not in done.stderr
    assert without_venv.apt_get_calls == []


@as_root
def test_a_question_that_nobody_sees_is_not_asked(without_venv: Machine) -> None:
    """With standard error in a file the prompt would be there, and the terminal would seem to hang."""
    with without_venv.on_terminal("sh", "-c", "exec scripts/setup 2>messages") as terminal:
        assert terminal.end() == 69
    assert INSTALL in (without_venv.checkout.folder / "messages").read_text()


@as_root
def test_yes_asks_nothing(without_venv: Machine) -> None:
    """Not even on a terminal."""
    with without_venv.on_terminal("scripts/setup", "--yes") as terminal:
        assert terminal.end() == 0, terminal.shown
    assert "[Y/n]" not in terminal.shown
    assert without_venv.apt_get_calls == ["apt-get update", INSTALL]
    assert without_venv.checkout.version() == "1"


@as_root
def test_an_installation_that_fails_ends_it(without_venv: Machine) -> None:
    """It is said, with the status that says that something is missing."""
    without_venv.break_apt_get()
    done = without_venv.run("scripts/setup", "--yes")
    assert done.returncode == 69
    assert "apt-get failed" in done.stderr
    assert without_venv.apt_get_calls == ["apt-get update", INSTALL]
    assert without_venv.checkout.environments() == set()


def test_a_named_python_is_used_or_refused(machine: Machine) -> None:
    """No other one is taken in its place, and no package installed."""
    machine.add("ancient", "exit 1")
    done = machine.run("scripts/setup", "--yes", PYTHON="ancient")
    assert done.returncode == 69
    assert "PYTHON=ancient" in done.stderr
    assert machine.apt_get_calls == []
    assert machine.checkout.environments() == set()


# .venv is whole, whatever happens


def test_a_new_one_takes_the_place_of_the_old(machine: Machine) -> None:
    """The link changes in one step, what runs from the old one goes on, and nothing is done when nothing changed."""
    checkout = machine.checkout
    made = machine.run("scripts/setup")
    assert made.returncode == 0, made.stderr
    assert checkout.version() == "1"
    old = (checkout.folder / ".venv").resolve()
    with subprocess.Popen(
        [checkout.folder / ".venv/bin/lasting"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "1\n"

        checkout.set_version("2")
        made = machine.run("scripts/setup")
        assert made.returncode == 0, made.stderr
        assert checkout.version() == "2"

        rest, _ = running.communicate("\n", timeout=30)
        assert running.returncode == 0
        assert Path(rest.strip()).is_relative_to(old)
    link = (checkout.folder / ".venv").lstat()
    again = machine.run("scripts/setup")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert (checkout.folder / ".venv").lstat() == link


def test_a_folder_is_replaced(machine: Machine) -> None:
    """A .venv that somebody made by hand, or that an older scripts/setup made."""
    checkout = machine.checkout
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", checkout.folder / ".venv"], check=True)
    made = machine.run("scripts/setup")
    assert made.returncode == 0, made.stderr
    assert checkout.version() == "1"
    assert (checkout.folder / ".venv").is_symlink()


def test_a_build_that_fails_leaves_the_old_one(machine: Machine) -> None:
    """The failure is told, the old one works, and nothing of the new one is there."""
    checkout = machine.checkout
    assert machine.run("scripts/setup").returncode == 0
    before = checkout.environments()
    checkout.set_version("fails")
    failed = machine.run("scripts/setup")
    assert failed.returncode != 0
    assert "this build fails" in failed.stderr
    assert "as it was before" in failed.stderr
    assert checkout.version() == "1"
    assert checkout.environments() == before


def test_ctrl_c_leaves_the_old_one(machine: Machine) -> None:
    """As a build that fails does."""
    checkout = machine.checkout
    assert machine.run("scripts/setup").returncode == 0
    before = checkout.environments()
    checkout.set_version("hangs")
    with machine.on_terminal("scripts/setup") as terminal:
        wait_for_build(checkout)
        terminal.type(CTRL_C)
        assert terminal.end() != 0
    assert "as it was before" in terminal.shown
    assert checkout.version() == "1"
    assert checkout.environments() == before


def test_a_kill_leaves_the_old_one(machine: Machine) -> None:
    """It is in use and works; what is half made beside it is in nobody's way, and the next build takes its place."""
    checkout = machine.checkout
    assert machine.run("scripts/setup").returncode == 0
    checkout.set_version("hangs")
    with machine.on_terminal("scripts/setup") as terminal:
        wait_for_build(checkout)
        os.killpg(terminal.process.pid, signal.SIGKILL)
        assert terminal.end() == -signal.SIGKILL
    assert checkout.version() == "1"
    checkout.set_version("2")
    made = machine.run("scripts/setup")
    assert made.returncode == 0, made.stderr
    assert checkout.version() == "2"
    assert checkout.environments() == {".venv", ".venv.1", ".venv.2"}


def wait_for_build(checkout: Checkout) -> None:
    """Wait until a build that hangs is where it hangs."""
    with (checkout.folder / "pipe").open() as pipe:
        assert pipe.readline() == "reached\n"
