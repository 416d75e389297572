"""HELP and docs/diskraid.md are made from the table of commands."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.diskraid.raid import Raid
from vdsprovd.diskraid.commands import FORMS
from vdsprovd.diskraid.document import document
from vdsprovd.diskraid.reference import SUMMARIES

CHECKOUT = Path(__file__).resolve().parents[2]

MICROSOFTS = [
    "add",
    "associate",
    "automagic",
    "break",
    "chap",
    "create",
    "delete",
    "detail",
    "dissociate",
    "exit",
    "extend",
    "flushcache",
    "help",
    "importtarget",
    "initiator",
    "invalidatecache",
    "lbpolicy",
    "list",
    "login",
    "logout",
    "maintenance",
    "name",
    "offline",
    "online",
    "recover",
    "reenumerate",
    "refresh",
    "rem",
    "remove",
    "replace",
    "reset",
    "select",
    "setflag",
    "shrink",
    "standby",
    "unmask",
]


def test_the_document_is_up_to_date() -> None:
    """docs/diskraid.md is what scripts/diskraid-reference writes."""
    assert (CHECKOUT / "docs/diskraid.md").read_text() == document()


def test_every_command_of_diskraid_is_there() -> None:
    """The commands are those of Microsoft's reference, each with a line for HELP."""
    assert sorted({form.name for form in FORMS}) == MICROSOFTS
    assert list(SUMMARIES) == MICROSOFTS


def test_nothing_of_the_daemon_is_needed() -> None:
    """The package stands on the client: it imports nothing of the daemon, and none of the daemon's libraries."""
    program = "import sys, vdsprovd.diskraid.commands, vdsprovd.diskraid.console; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split())
    assert "vdsprovd.client" in loaded
    assert loaded.isdisjoint({"vdsprovd.provider", "vdsprovd.server", "vdsprovd.hardware", "rtslib_fb", "pyudev"})


def test_help(raid: Raid) -> None:
    """HELP lists all commands, in lines that fit a terminal."""
    shown = raid.shows("help")
    assert [line.split()[0].lower() for line in shown[:-1]] == MICROSOFTS
    assert max(map(len, shown)) <= 80


@pytest.mark.parametrize("name", MICROSOFTS)
def test_help_of_a_command(raid: Raid, name: str) -> None:
    """HELP and a command shows the syntax of each of its forms, in lines that fit a terminal."""
    shown = raid.shows(f"help {name}")
    starts = [line for line in shown if not line.startswith(" ")]
    assert len(starts) == len([form for form in FORMS if form.name == name])
    assert max(map(len, shown)) <= 80


def test_help_of_what_is_no_command(raid: Raid) -> None:
    """It is an error, as any command that there is not."""
    assert "'frobnicate' is no command; HELP lists them" in raid.fails(5, "help frobnicate")
