"""DiskRAID at a terminal: the prompt, completion, history, progress, Ctrl-C, secrets."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.diskraid.raid import Raid
from tests.terminal import Terminal, on_terminal
from vdsprovd.diskraid.commands import FORMS
from vdsprovd.diskraid.completion import complete
from vdsprovd.diskraid.session import Session

CTRL_C, CTRL_D = "\x03", "\x04"
PROMPT = "DISKRAID> "
CHECKOUT = Path(__file__).resolve().parents[2]


@contextmanager
def console(raid: Raid, *lines: str) -> Iterator[Terminal]:
    """A session at a terminal, at its prompt after these lines."""
    command = [sys.executable, "-m", "vdsprovd.cli", "--socket", str(raid.array.socket), "diskraid"]
    environment = {**os.environ, "HOME": str(raid.folder), "XDG_STATE_HOME": ""}
    with on_terminal(command, CHECKOUT, environment) as terminal:
        terminal.expect(PROMPT)
        for line in lines:
            terminal.type(line + "\r")
            terminal.expect(PROMPT)
        yield terminal


def history(raid: Raid) -> str:
    """What is kept for the next session."""
    return (raid.folder / ".local/state/vdsprovd/diskraid-history").read_text()


def test_a_session(raid: Raid) -> None:
    """Who and where is told at the start; an error ends nothing; EXIT does, with success."""
    with console(raid) as terminal:
        assert f"On computer: {os.uname().nodename}" in terminal.shown
        terminal.type("frobnicate\r")
        assert "'frobnicate' is no command" in terminal.expect(PROMPT)
        terminal.type("sel sub 2\r")
        assert "Subsystem 2 is now the selected subsystem." in terminal.expect(PROMPT)
        terminal.type("create lun simple size=1PB\r")
        assert "VDS_E_NOT_ENOUGH_SPACE (0x8004240f)" in terminal.expect(PROMPT)
        terminal.type("exit\r")
        assert terminal.end() == 0


def test_the_end_of_the_input(raid: Raid) -> None:
    """Ctrl-D ends the session, too."""
    with console(raid) as terminal:
        terminal.type(CTRL_D)
        assert terminal.end() == 0


def test_ctrl_c_at_the_prompt(raid: Raid) -> None:
    """What was typed is given up, and the session is still there."""
    with console(raid) as terminal:
        terminal.type("delete lu")
        terminal.expect("delete lu")
        # Python notices a Ctrl-C only while it waits for the next key.
        time.sleep(0.2)
        terminal.type(CTRL_C)
        terminal.expect(PROMPT)
        terminal.type("list subsystems\r")
        assert "Subsystem 2" in terminal.expect(PROMPT)


def test_progress(raid: Raid) -> None:
    """The progress of an operation is shown in its line."""
    raid.array.drive_pools["vg0"].delay = 1.0
    with console(raid, "select subsystem 2") as terminal:
        terminal.type("create lun simple size=8\r")
        shown = terminal.expect("LUN 0 (Simple")
        assert "\r   20 percent completed\r" in shown
        assert "\r  100 percent completed\n" in shown


def test_ctrl_c_lets_an_operation_go_on(raid: Raid) -> None:
    """Ctrl-C asks, and with Enter the operation goes on while the session does other things."""
    raid.array.drive_pools["vg0"].delay = 5.0
    with console(raid, "select subsystem 2") as terminal:
        terminal.type("create lun simple size=8\r")
        terminal.expect("percent completed")
        terminal.type(CTRL_C)
        terminal.expect("Cancel the operation (y), or let it go on in the background (Enter)? ")
        terminal.type("\r")
        assert "goes on in the background" in terminal.expect(PROMPT)
        terminal.type("list luns\r")
        terminal.expect(PROMPT)
        raid.array.drive_pools["vg0"].delay = 0.0
        terminal.type("exit\r")
        assert terminal.end() == 0
    end = time.monotonic() + 20
    while not raid.array.call("SubSystem.QueryLuns", id=raid.array.sub_systems()["array2"])["luns"]:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_ctrl_c_cancels_an_operation(raid: Raid) -> None:
    """Ctrl-C asks, and with y the operation is cancelled: nothing is left of it, and the session goes on."""
    raid.array.drive_pools["vg0"].delay = 5.0
    with console(raid, "select subsystem 2") as terminal:
        terminal.type("create lun simple size=8\r")
        terminal.expect("percent completed")
        terminal.type(CTRL_C)
        terminal.expect("(Enter)? ")
        terminal.type("y\r")
        assert "VDS_E_OPERATION_CANCELED" in terminal.expect(PROMPT)
        raid.array.drive_pools["vg0"].delay = 0.0
        terminal.type("list luns\r")
        assert "There are no LUNs." in terminal.expect(PROMPT)
        terminal.type("exit\r")
        assert terminal.end() == 0
    assert history(raid).splitlines() == ["select subsystem 2", "create lun simple size=8", "list luns", "exit"]


def test_what_cannot_be_cancelled_is_waited_for(raid: Raid) -> None:
    """A rebuild cannot be cancelled: that is told, and it is waited for again."""
    with console(raid, "select subsystem 2", "create lun mirror size=8") as terminal:
        raid.array.drive_pools["vg0"].delay = 2.0
        terminal.type("recover lun\r")
        terminal.expect("percent completed")
        terminal.type(CTRL_C)
        terminal.expect("(Enter)? ")
        terminal.type("y\r")
        shown = terminal.expect(PROMPT)
        assert "It cannot be cancelled: " in shown
        assert "The LUN was recovered." in shown


def test_a_secret_that_is_typed_unseen(raid: Raid) -> None:
    """secret=* asks for it, and what is typed is not shown."""
    with console(raid, "select subsystem 2", "create target name=t") as terminal:
        terminal.type("chap target set secret=*\r")
        terminal.expect("The target's secret: ")
        terminal.type("twelve-bytes\r")
        assert "was set" in terminal.expect(PROMPT)
        assert "twelve-bytes" not in terminal.shown


def test_history(raid: Raid) -> None:
    """What was typed is kept for the next session, in a file that only the user can read, but for lines with a secret."""
    with console(raid, "list subsystems", "select subsystem 2", "create target name=t") as terminal:
        terminal.type("chap target set secret=twelve-bytes\r")
        terminal.expect(PROMPT)
        terminal.type("exit\r")
        assert terminal.end() == 0
    kept = history(raid)
    assert "select subsystem 2\n" in kept
    assert "twelve-bytes" not in kept
    assert (raid.folder / ".local/state/vdsprovd/diskraid-history").stat().st_mode & 0o077 == 0
    with console(raid) as terminal:
        terminal.type("\x1b[A\x1b[A\x1b[A\x1b[A\r")
        assert "Provider" not in terminal.expect(PROMPT)
        assert "subsystem" in terminal.shown


def test_tab(raid: Raid) -> None:
    """The Tab key completes words."""
    with console(raid, "select subsystem 2") as terminal:
        terminal.type("cre\tlun\tmir\tsiz\t8\r")
        assert "LUN 0 (Mirror, 8192 KB) was created" in terminal.expect(PROMPT)


@pytest.mark.parametrize(
    ("before", "begun", "found"),
    [
        ("", "sel", ["select "]),
        ("", "re", ["recover ", "reenumerate ", "refresh ", "rem ", "remove ", "replace ", "reset "]),
        ("list ", "tp", ["tportals ", "tpgroups "]),
        ("sel ", "d", ["drive "]),
        ("select drive ", "", ["0 ", "1 ", "2 ", "3 ", "4 ", "5 "]),
        ("create lun simple ", "", ["size=", "drives=", "stripesize=", "noerr "]),
        ("create lun simple size=8 ", "s", ["stripesize="]),
        ("importtarget subsystem ", "", ["set "]),
        ("importtarget subsystem set ", "", ["target "]),
        ("unmask lun ", "", ["all ", "none ", "wwn=", "initiator=", "add ", "uninstall "]),
        ("frobnicate ", "", []),
        ('name lun "', "", []),
    ],
)
def test_completion(raid: Raid, before: str, begun: str, found: list[str]) -> None:
    """Keywords, parameters that are not there yet, and the numbers of objects that there are."""
    session = Session(str(raid.array.socket), FORMS)
    assert session.execute("select subsystem 2") == 0
    assert complete(session, before, begun) == found
    session.close()
