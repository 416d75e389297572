"""Whole sessions, compared with what they showed when somebody looked at them: tests/diskraid/sessions.

A session is a script with what each command says, as --verbose prints it. VDSPROVD_WRITE_SESSIONS=1 writes them anew.
"""

import os
import re
from pathlib import Path

import pytest

from tests.arrays import SECRET
from tests.diskraid.raid import Raid

SESSIONS = sorted((Path(__file__).parent / "sessions").glob("*.session"))
DOCUMENT = Path(__file__).resolve().parents[2] / "docs/diskraid.md"
_PROMPT = "DISKRAID> "
_WRITE = os.environ.get("VDSPROVD_WRITE_SESSIONS")


def commands(session: str) -> list[str]:
    """What is typed in a session; secrets, which it does not show, are all the same."""
    return [
        line.removeprefix(_PROMPT).replace("=***", f"={SECRET}")
        for line in session.splitlines()
        if line.startswith(_PROMPT)
    ]


def masked(text: str) -> str:
    """The text without what differs from run to run: ids, and names that the daemon makes."""
    text = re.sub(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", text)
    return re.sub(r"(example:)[0-9a-f]{16}\b", r"\1<made>", text)


@pytest.mark.parametrize("file", SESSIONS, ids=lambda file: file.stem)
def test_session(raid: Raid, file: Path) -> None:
    """A session shows what it showed."""
    done = raid.run("\r\n".join(commands(file.read_text())).encode(), "/v")
    shown = masked(done.stdout).removeprefix("\n")
    if _WRITE:
        file.write_text(shown)
    assert shown == file.read_text()
    assert done.returncode == 0, done.stderr


def test_the_session_in_the_document(raid: Raid) -> None:
    """The session that docs/diskraid.md begins with is what one sees."""
    (block,) = re.findall(r"```console\n\$ vdsprovctl diskraid\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    done = raid.run("\n".join(commands(block)).encode(), "--verbose")
    assert done.stdout.removeprefix("\n") == block


def test_the_script_in_the_document(raid: Raid) -> None:
    """The script of docs/diskraid.md that deletes all LUNs does so, however many there are."""
    (block,) = re.findall(r"```\n(select subsystem 0\n.*?)```", DOCUMENT.read_text(), re.DOTALL)
    raid.array.make_lun()
    assert raid.run(block.encode()).returncode == 0
    assert raid.array.call("SubSystem.QueryLuns", id=raid.array.sub_system)["luns"] == []
