"""Scripts: their encodings, when they stop, and DiskRAID's exit codes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.diskraid.raid import Raid
from vdsprovd.diskraid import script

LINES = 'select subsystem 2\r\nREM Größe\r\ncreate lun simple size=8\r\nname lun "Größe"\r\n'
PROGRAM = [sys.executable, "-m", "vdsprovd.cli"]


@pytest.mark.parametrize(
    "text",
    [
        LINES.encode(),
        LINES.encode("utf-8-sig"),
        LINES.encode("utf-16"),
        LINES.encode("utf-16-le"),
        LINES.encode("utf-16-be"),
        b"\xfe\xff" + LINES.encode("utf-16-be"),
        LINES.encode("cp850"),
        LINES.replace("\r\n", "\n").encode(),
        LINES.encode() + b"\x1afrobnicate",
    ],
    ids=["utf-8", "utf-8-mark", "utf-16-mark", "utf-16-le", "utf-16-be", "utf-16-be-mark", "oem", "unix", "ctrl-z"],
)
def test_encodings(raid: Raid, text: bytes) -> None:
    """A script runs as Windows' editors and Unix's write it."""
    done = raid.run(text)
    assert (done.returncode, done.stderr) == (0, "")
    (lun,) = raid.array.call("SubSystem.QueryLuns", id=raid.array.sub_systems()["array2"])["luns"]
    assert (lun["friendlyName"], lun["size"]) == ("Größe", 8 << 20)


def test_another_encoding(raid: Raid) -> None:
    """A script in Windows' ANSI code page is told by --encoding; an encoding that there is not is a wrong argument."""
    text = 'select subsystem 2\ncreate lun simple size=8\nname lun "Größe €"'.encode("cp1252")
    assert raid.run(text, "--encoding", "cp1252").returncode == 0
    (lun,) = raid.array.call("SubSystem.QueryLuns", id=raid.array.sub_systems()["array2"])["luns"]
    assert lun["friendlyName"] == "Größe €"
    assert raid.run(text, "--encoding", "klingon").returncode == 2


@pytest.mark.parametrize("text", [b"", b"\xff\xfe", b"\xef\xbb\xbf", b"\0", b"\x1a", b"\xff\xfe\0"])
def test_empty_scripts(raid: Raid, text: bytes) -> None:
    """A script without a line does nothing, successfully; half a character is told of."""
    done = raid.run(text)
    assert done.returncode in (0, 5)
    assert script.decode(text).strip("\0\ufffd") == ""


def test_status_0(raid: Raid) -> None:
    """A script that runs to its end, or to EXIT: what is after that is not looked at."""
    assert raid.script("list luns").returncode == 0
    done = raid.script("exit", "frobnicate")
    assert (done.returncode, done.stderr) == (0, "")


def test_status_1_fatal(raid: Raid) -> None:
    """What nobody expects, such as a full disk under the output, is fatal, and one line says what it was."""
    file = raid.folder / "script.txt"
    file.write_text("list subsystems\n")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*PROGRAM, "--socket", str(raid.array.socket), "diskraid", "/s", str(file)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    assert done.returncode == 1
    assert "A fatal exception occurred: OSError" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["/x"], ["surplus"], ["/s"], ["--script"]])
def test_status_2_arguments(raid: Raid, arguments: list[str]) -> None:
    """Arguments that there are not."""
    assert raid.call(*arguments).returncode == 2


def test_status_3_no_script(raid: Raid) -> None:
    """A script that cannot be opened."""
    done = raid.call("/s", str(raid.folder / "absent.txt"))
    assert (done.returncode, done.stdout) == (3, "")
    assert "cannot open the script" in done.stderr
    assert raid.call("--script", str(raid.folder)).returncode == 3


def test_status_4_service_failed(raid: Raid) -> None:
    """What the daemon refuses stops the script, with VDS's code; nothing after it is carried out."""
    done = raid.script("create lun simple size=1TB", "create lun simple size=8")
    assert done.returncode == 4
    assert "Virtual Disk Service error:\n" in done.stdout
    assert "VDS_E_NOT_ENOUGH_SPACE (0x8004240f)" in done.stdout
    assert "stopped at line 2 (exit status 4)" in done.stderr
    assert raid.array.call("SubSystem.QueryLuns", id=raid.array.sub_systems()["array2"])["luns"] == []


def test_status_4_without_a_daemon(raid: Raid) -> None:
    """A daemon that is not there has failed, NOERR or not."""
    raid.array.stop()
    try:
        done = raid.run(b"select subsystem 0\n")
        assert done.returncode == 4
        assert "no connection to vdsprovd" in done.stdout.lower()
    finally:
        raid.array.start()


def test_the_daemon_may_come_back(raid: Raid) -> None:
    """A session outlives the daemon that it began with."""
    from vdsprovd.diskraid.commands import FORMS
    from vdsprovd.diskraid.session import Session

    session = Session(str(raid.array.socket), FORMS)
    assert session.execute("select subsystem 0") == 0
    raid.array.restart()
    assert session.execute("list luns") == 0
    session.close()


@pytest.mark.parametrize(
    "line",
    ["frobnicate", "list frogs", "delete lun", "select controller 0 0", "associate targets 0", "detail target"],
)
def test_status_5_wrong_commands(raid: Raid, line: str) -> None:
    """A command that is written wrong, or lacks its object, stops the script."""
    before = raid.state()
    raid.fails(5, line)
    assert raid.state() == before


def test_noerr(raid: Raid) -> None:
    """With NOERR a script goes on after what the daemon refuses and what is not selected, but not after wrong syntax."""
    shown = raid.shows(
        "create lun simple size=1TB noerr",
        "select lun 7",
        "delete lun noerr",
        "create lun simple size=8 noerr",
    )
    assert "VDS_E_NOT_ENOUGH_SPACE (0x8004240f)" in shown
    assert "There is no LUN 7: LIST LUNS shows them." in shown
    assert "There is no selected LUN: use SELECT LUN first." in shown
    assert "LUN 0 (Simple, 8192 KB) was created and is now the selected LUN." in shown
    raid.fails(5, "create lun simple size=ten noerr")
    raid.fails(5, "list luns noerr")


def test_deleting_all_luns_however_many(raid: Raid) -> None:
    """What Microsoft's reference says NOERR is for: one script deletes all LUNs, however many there are."""
    for _ in range(3):
        raid.array.make_volume("simple")
    lines = [line for number in range(8) for line in (f"select lun {number}", "delete lun noerr")]
    shown = raid.shows(*lines)
    assert [line for line in shown if line.endswith("was deleted.")] == [f"LUN {n} was deleted." for n in range(3)]
    assert raid.array.call("SubSystem.QueryLuns", id=raid.array.sub_systems()["array2"])["luns"] == []


def test_verbose_shows_the_commands_without_their_secrets(raid: Raid) -> None:
    """With /v each command is shown before it is carried out; a secret never is."""
    done = raid.script(
        "create target name=t",
        "chap target set secret=twelve-bytes",
        'chap target set sec = "fourteen bytes"',
        'chap target set secret="se"cond" s"ecret1',
        "chap target set secret= ",
        options=("/v",),
    )
    assert done.returncode == 0, done.stdout
    assert "DISKRAID> chap target set secret=***\n" in done.stdout
    assert "twelve" not in done.stdout + done.stderr
    assert "fourteen" not in done.stdout + done.stderr
    assert "ecret1" not in done.stdout + done.stderr
    assert "cond" not in done.stdout + done.stderr


def test_a_script_that_reveals_secrets(raid: Raid) -> None:
    """A script with a secret that others can read is warned of, and runs."""
    raid.run(b"")
    file = raid.folder / "script.txt"
    file.chmod(0o640)
    done = raid.run(b"list subsystems\nrem secret=hidden")
    assert (done.returncode, done.stderr) == (0, "")
    done = raid.run(b"select subsystem 2\ncreate target name=t\nchap target set secret=twelve-bytes")
    assert (done.returncode, done.stderr.split(": ", 2)[1]) == (0, "warning")
    assert "others can read it" in done.stderr
    file.chmod(0o600)
    assert raid.run(b"select subsystem 2\nselect target 0\nchap target set secret=twelve-bytes").stderr == ""


def test_piped_commands_are_a_script(raid: Raid) -> None:
    """Commands on standard input are a script, with or without the option; the first that fails stops it."""
    for options in ([], ["--script", "-"]):
        done = subprocess.run(
            [*PROGRAM, "--socket", str(raid.array.socket), "diskraid", *options],
            input="select subsystem 2\nfrobnicate\nlist luns\n",
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 5
        assert "There are no LUNs" not in done.stdout


def test_ctrl_c_ends_a_script(raid: Raid) -> None:
    """Ctrl-C ends a script with the status that shells expect; the operation that it waits for goes on."""
    file = raid.folder / "script.txt"
    os.mkfifo(file)
    with subprocess.Popen(
        [*PROGRAM, "--socket", str(raid.array.socket), "diskraid", "/s", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        process.communicate()
