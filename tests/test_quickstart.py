"""The README's first command, as a newcomer calls it; and what it does when something is missing or goes wrong."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.machine import Checkout, Machine, command_in
from tests.processes import is_kernel, kernels_of
from tests.terminal import on_terminal

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "scripts"))

from labhost import cache  # noqa: E402  # found by the path above

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can install packages, and is asked")
CTRL_D = "\x04"
INSTALL_MOUNT = "apt-get install --no-install-recommends -y mount"
BUILD = ".venv/bin/python scripts/lab --build --yes"

# Run in the guest, which has LIO: the way for hosts that do, in an environment that is set up already; a tool that
# fails half way; and what is left afterwards.
THIS_HOST = """
mount --bind /opt/vdsprovd .venv
printf '#!/bin/sh\\n' >scripts/setup
scripts/quickstart --this-host
echo "status $?"
"""
SABOTAGE = """
mkdir /tmp/bin
printf '#!/bin/sh\\necho this disk is broken >&2\\nexit 9\\n' >/tmp/bin/mkfs.ext4
chmod +x /tmp/bin/mkfs.ext4
PATH=/tmp/bin:$PATH scripts/tour.py
echo "status $?"
"""
LEFT_BEHIND = """
echo "LEFT BEHIND:"
ls -d /sys/kernel/config/target/iscsi/iqn* /sys/kernel/config/target/core/fileio_* /var/tmp/vdsprovd* 2>/dev/null
iscsiadm -m session 2>/dev/null
iscsiadm -m node 2>/dev/null
pgrep vdsprovd
true
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout whose .venv is made already, so that it is not what takes the time."""
    checkout = Checkout(tmp_path_factory.mktemp("quickstart") / "checkout")
    subprocess.run([checkout.folder / "scripts/setup"], stdin=subprocess.DEVNULL, check=True)
    return checkout


@pytest.fixture
def machine(checkout: Checkout, tmp_path: Path) -> Machine:
    """A machine whose Python is that of the checkout's .venv."""
    return Machine(checkout, tmp_path)


@pytest.fixture
def without_mount(machine: Machine) -> Machine:
    """A machine whose kernel has LIO, and which lacks a tool of --this-host; its project has no daemon to start."""
    for program in ("modprobe", "iscsiadm", "mkfs.ext4"):
        machine.add(program, "true")
    machine.remove("mount")
    return machine


@pytest.fixture
def without_lab(machine: Machine) -> Machine:
    """A machine that has no root file system of the lab, and no tool that makes one; apt-get has none either."""
    machine.remove("mmdebstrap")
    machine.break_apt_get()
    if machine.run("unshare", "--mount", "--pid", "--fork", "true").returncode != 0:
        pytest.skip("this machine forbids namespaces, which the lab finds first")
    return machine


def run(*command: str | Path, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=CHECKOUT,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.boots_lab
@pytest.mark.timeout(400)
def test_the_quickstart_does_the_main_job() -> None:
    """Every step is told and succeeds; the cache is seen corrupt and then healthy; the checksum is read again."""
    done = run("scripts/quickstart")
    assert done.returncode == 0, done.stdout + done.stderr
    steps = re.findall(r"^\[ ?(\d+)/(\d+)\] (.+)$", done.stdout, re.MULTILINE)
    assert [int(number) for number, _, _ in steps] == list(range(1, int(steps[0][1]) + 1))
    story = [
        "[ 1/",
        "vdsprovctl lun create data --size 64M",
        "vdsprovctl lun associate",
        "vdsprovctl lun mask set",
        "--login",
        "sha256 ",
        "VDS_E_NO_IMPORT_TARGET 0x80042713",
        "$ rmdir ",
        "VDS_E_PROVIDER_CACHE_CORRUPT 0x8004241f",
        "vdsprovctl recover",
        "healthy",
        "as it was written",
        "Done in ",
    ]
    place = 0
    for words in story:
        place = done.stdout.find(words, place)
        assert place >= 0, f"{words!r} is not where it should be in:\n{done.stdout}"


@pytest.mark.boots_lab
@pytest.mark.timeout(400)
def test_a_step_that_fails_is_told_and_leaves_nothing_behind() -> None:
    """The message names step and reason, the daemon's log is shown, and the host is as it was."""
    done = run("scripts/lab", "--", "bash", "-c", SABOTAGE + LEFT_BEHIND)
    assert "status 1\n" in done.stdout, done.stdout + done.stderr
    assert re.search(r"step \d+ failed: mkfs.ext4 ended with status 9: this disk is broken", done.stderr)
    assert "the daemon's log:" in done.stderr
    assert done.stdout.partition("LEFT BEHIND:")[2].strip() == ""


@pytest.mark.boots_lab
@pytest.mark.timeout(400)
def test_this_host_is_used_and_left_as_it_was() -> None:
    """On a host with LIO, --this-host does the same on that host's own kernel, and leaves nothing there."""
    done = run("scripts/lab", "--", "bash", "-c", THIS_HOST + LEFT_BEHIND)
    assert "status 0\n" in done.stdout, done.stdout + done.stderr
    assert "Done in " in done.stdout
    assert done.stdout.partition("LEFT BEHIND:")[2].strip() == ""


@pytest.mark.boots_lab
@pytest.mark.timeout(400)
def test_keep_gives_a_shell_in_the_host_that_was_built() -> None:
    """What was made is there and the daemon answers; `exit` takes everything down, in the guest and here."""
    with on_terminal(["scripts/quickstart", "--keep"], CHECKOUT, os.environ) as terminal:
        terminal.expect("`exit` takes everything down.", limit=300)
        terminal.expect("# ")
        kernels = kernels_of(terminal.process.pid)
        assert len(kernels) == 1

        def ask(command: str) -> str:
            """The output of a command, which must succeed; the marks look different where the keys are echoed."""
            terminal.type(f"echo begin$((1)); {command}; echo end$((10 + $?))\r")
            terminal.expect("begin1\n")
            output = terminal.expect("end10\n")
            terminal.expect("# ")
            return output

        made = re.findall(r"Created LUN data \(([0-9a-f-]{36})\)", terminal.shown)
        luns = json.loads(ask("vdsprovctl lun list --json"))
        assert [lun["id"] for lun in luns] == made
        assert len(ask("pgrep vdsprovd").split()) == 1
        assert "ext4" in ask("findmnt --noheadings --output FSTYPE --mountpoint /var/tmp/vdsprovd-tour-*/mount")
        terminal.type("exit\r")
        assert terminal.end() == 0, terminal.shown
    assert "take everything down again" in terminal.shown
    assert "Done in " in terminal.shown
    assert not any(is_kernel(kernel) for kernel in kernels)
    assert str(cache.folder()) not in Path("/proc/mounts").read_text()


def test_a_wrong_option_is_a_usage_error() -> None:
    """Nothing is set up for a command line that makes no sense."""
    done = run("scripts/quickstart", "--nonsense")
    assert done.returncode == 64
    assert "usage:" in done.stderr


def test_keep_needs_a_terminal() -> None:
    """A shell that nobody could type into would end at once."""
    done = run("scripts/quickstart", "--keep")
    assert done.returncode == 64
    assert "terminal" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="without root it says first that it needs root")
def test_this_host_needs_a_kernel_with_lio(tmp_path: Path) -> None:
    """On a machine whose kernel has no LIO, --this-host says so and names the way that works."""
    modprobe = tmp_path / "modprobe"
    modprobe.write_text("#!/bin/sh\nexit 1\n")
    modprobe.chmod(0o755)
    done = run("scripts/quickstart", "--this-host", path=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 69
    assert "no module target_core_mod" in done.stderr
    assert "--this-host" in done.stderr


# What it asks


@as_root
def test_enter_installs_what_the_question_names(without_mount: Machine) -> None:
    """Exactly that command is run, and then the tour."""
    with without_mount.on_terminal("scripts/quickstart", "--this-host") as terminal:
        terminal.expect("[Y/n] ")
        assert without_mount.apt_get_calls == []
        terminal.type("\r")
        # There is no daemon in that .venv, so that this host's target is left alone.
        terminal.expect("step 1 failed: missing on this host: vdsprovd, vdsprovctl;")
        assert terminal.end() == 69
    assert command_in(terminal.shown) == INSTALL_MOUNT
    assert without_mount.apt_get_calls == ["apt-get update", INSTALL_MOUNT]


@as_root
def test_yes_asks_nothing(without_mount: Machine) -> None:
    """Not even on a terminal."""
    with without_mount.on_terminal("scripts/quickstart", "--this-host", "--yes") as terminal:
        terminal.expect("step 1 failed: missing on this host: vdsprovd, vdsprovctl;")
        assert terminal.end() == 69
    assert "[Y/n]" not in terminal.shown
    assert without_mount.apt_get_calls == ["apt-get update", INSTALL_MOUNT]


@as_root
@pytest.mark.parametrize("answer", ["n\r", "NO\r", CTRL_D])
def test_any_other_answer_installs_nothing(without_mount: Machine, answer: str) -> None:
    """It ends there; the end of input is no consent."""
    with without_mount.on_terminal("scripts/quickstart", "--this-host") as terminal:
        terminal.expect("[Y/n] ")
        terminal.type(answer)
        assert terminal.end() == 69
    assert command_in(terminal.shown) == INSTALL_MOUNT
    assert without_mount.apt_get_calls == []
    assert "step 1" not in terminal.shown


@as_root
def test_without_a_terminal_the_command_is_told(without_mount: Machine) -> None:
    """Nobody is there to be asked."""
    done = without_mount.run("scripts/quickstart", "--this-host")
    assert done.returncode == 69
    assert INSTALL_MOUNT in done.stderr
    assert "--yes" in done.stderr
    assert "[Y/n]" not in done.stderr
    assert without_mount.apt_get_calls == []


@as_root
def test_an_installation_that_fails_ends_it(without_mount: Machine) -> None:
    """It is said, and the tour does not begin."""
    without_mount.break_apt_get()
    done = without_mount.run("scripts/quickstart", "--this-host", "--yes")
    assert done.returncode == 69
    assert "apt-get failed" in done.stderr
    assert without_mount.apt_get_calls == ["apt-get update", INSTALL_MOUNT]
    assert "step 1" not in done.stderr


@as_root
def test_enter_lets_the_lab_install_what_it_named(without_lab: Machine) -> None:
    """The lab says which packages, then the question names the call that installs just those."""
    with without_lab.on_terminal("scripts/quickstart") as terminal:
        terminal.expect("[Y/n] ")
        assert without_lab.apt_get_calls == []
        terminal.type("\r")
        terminal.expect("apt-get install failed with status 100")
        assert terminal.end() == 69
    assert command_in(terminal.shown) == BUILD
    told = re.findall(r"^ +(apt-get install .*mmdebstrap.*)$", terminal.shown, re.MULTILINE)
    assert without_lab.apt_get_calls == ["apt-get update", *told]
    # It is the command that a person can call.
    assert without_lab.run(*shlex.split(BUILD)).returncode == 69
    assert without_lab.apt_get_calls == ["apt-get update", *told] * 2


@as_root
@pytest.mark.parametrize("answer", ["n\r", CTRL_D])
def test_any_other_answer_builds_no_lab(without_lab: Machine, answer: str) -> None:
    """Nothing is installed, and nothing is in the cache."""
    with without_lab.on_terminal("scripts/quickstart") as terminal:
        terminal.expect("[Y/n] ")
        terminal.type(answer)
        assert terminal.end() == 69
    assert command_in(terminal.shown) == BUILD
    assert without_lab.apt_get_calls == []
    assert list(Path(without_lab.environment["VDSPROVD_LAB_CACHE"]).glob("*")) == []


@as_root
def test_without_a_terminal_the_call_of_the_lab_is_told(without_lab: Machine) -> None:
    """Nobody is there to be asked."""
    done = without_lab.run("scripts/quickstart")
    assert done.returncode == 69
    assert BUILD in done.stderr
    assert "[Y/n]" not in done.stderr
    assert without_lab.apt_get_calls == []


@as_root
def test_yes_lets_the_lab_install_without_asking(without_lab: Machine) -> None:
    """Not even on a terminal."""
    with without_lab.on_terminal("scripts/quickstart", "--yes") as terminal:
        terminal.expect("apt-get install failed with status 100")
        assert terminal.end() == 69
    assert "[Y/n]" not in terminal.shown
    assert [call.split()[1] for call in without_lab.apt_get_calls] == ["update", "install"]


@as_root
def test_where_no_package_helps_nothing_is_asked(machine: Machine) -> None:
    """A machine that forbids namespaces cannot have the lab, whatever is installed."""
    machine.add("unshare", "echo unshare: not here >&2; exit 1")
    with machine.on_terminal("scripts/quickstart") as terminal:
        assert terminal.end() == 77
    assert "namespaces here: unshare: not here" in terminal.shown
    assert "[Y/n]" not in terminal.shown
    assert machine.apt_get_calls == []
