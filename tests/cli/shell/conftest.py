"""Fixtures: `vdsprovctl shell` at a terminal."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.cli.vdsprovctl import PROGRAM, Daemon
from tests.terminal import Terminal, on_terminal

Open = Callable[..., AbstractContextManager["Prompt"]]


class Prompt:
    """A shell at a terminal, between two prompts."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal

    def type(self, keys: str) -> None:
        """Type, without the Enter key."""
        self.terminal.type(keys)

    def expect(self, words: str) -> str:
        """Wait for words, and give what came before them."""
        return self.terminal.expect(words)

    def says(self, line: str, prompt: str) -> str:
        """Type a line, wait for the prompt that comes then, and give what came between."""
        self.terminal.type(line + "\r")
        self.terminal.expect("\n")
        return plain(self.terminal.expect(prompt))


def plain(text: str) -> str:
    """The text without colours and what else readline writes for the terminal."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|[\x07\r]", "", text)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder of one's own, which is empty."""
    path = tmp_path / "home"
    path.mkdir()
    return path


@pytest.fixture
def shell(home: Path) -> Open:
    """Opens a shell at a terminal so wide on a daemon."""

    @contextmanager
    def open_(daemon: Daemon, columns: int = 200, *arguments: str) -> Iterator[Prompt]:
        environment = daemon.environment() | {"HOME": str(home), "INPUTRC": os.devnull}
        environment.pop("XDG_STATE_HOME", None)
        with on_terminal([*PROGRAM, "shell", *arguments], home, environment, columns) as terminal:
            prompt = Prompt(terminal)
            prompt.expect("/> ")
            yield prompt

    return open_
