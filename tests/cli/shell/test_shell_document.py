"""The session in docs/shell.md is what happens."""

import platform
import re
from pathlib import Path

import pytest

from tests.cli.shell.conftest import Open, plain
from tests.cli.vdsprovctl import Daemon

DOCUMENT = Path(__file__).resolve().parents[3] / "docs/shell.md"


def test_the_session(daemon: Daemon, shell: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line is typed, and what comes then is what the document says, but for ids and the host's name."""
    monkeypatch.setenv("NO_COLOR", "1")
    text = DOCUMENT.read_text().partition("```console\n")[2].partition("```\n")[0]
    documented = text.partition("\n")[2]
    with shell(daemon, 80) as prompt:
        typed = re.findall(r"^(?:/\S*> |Go on\? \[y/N\]: )(.*)$", documented, re.MULTILINE)
        for line in typed:
            prompt.type(f"{line}\r")
            if line != "exit":
                prompt.terminal.expect("[y/N]: " if line == "delete" else "> ")
        assert prompt.terminal.end() == 0
        shown = plain(prompt.terminal.shown).partition("\n/> ")[2]
    assert normal(f"/> {shown}") == normal(documented)


def normal(text: str) -> list[str]:
    """The lines without what differs from run to run."""
    text = text.replace(platform.node(), "storage1")
    text = re.sub(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{8}-\.\.\.", "ID", text)
    return re.sub(r"\.{3,}", "...", text).strip().splitlines()
