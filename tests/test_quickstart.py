"""The README's first command, as a newcomer calls it; and what it does when something is missing or goes wrong."""

import os
import re
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]

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
        "vdsprovctl call --wait SubSystem.CreateLun",
        "vdsprovctl call LunIscsi.AssociateTargets",
        "vdsprovctl call Lun.SetMask",
        "--login",
        "sha256 ",
        "VDS_E_NO_IMPORT_TARGET 0x80042713",
        "$ rmdir ",
        "VDS_E_PROVIDER_CACHE_CORRUPT 0x8004241f",
        "vdsprovctl call HwProvider.Reenumerate",
        "vdsprovctl call HwProvider.Refresh",
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
