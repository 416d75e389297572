"""Every command line of vdsprovctl that a document or a help text shows is one that vdsprovctl takes.

The tutorials' commands are run (tests/systemd/test_tutorials.py); these are parsed, to the last option and value.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from vdsprovd.cli.__main__ import vdsprovctl

CHECKOUT = Path(__file__).resolve().parents[2]
DOCUMENTS = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]
_LINE = re.compile(r"""^[ \t]*(?:[$#] )?((?:[A-Z_]+=\S+ )*)(vdsprovctl (?!- ).+)$""", re.MULTILINE)
_QUOTED = re.compile(r"`(vdsprovctl [^`]+)`")
_END = ("|", "||", "&&", ";", "&", ">", ">>", "<", "#")
_PLACEHOLDER = re.compile(r"^\[?[A-Z][A-Z_,.\[\]]+$|\.\.\.")
"""What stands for something that a reader puts there: METHOD, HOST,..., "..."."""


class Shown(NamedTuple):
    """A command line, and where it is shown."""

    line: str
    where: str
    named: bool
    """Whether it stands in a sentence, which may name a command without its arguments."""


def shown(text: str, where: str) -> Iterator[Shown]:
    """The lines and the quotations that begin with vdsprovctl, continuations included."""
    text = text.replace("\\\n", " ")
    yield from (Shown(match[2], where, named=False) for match in _LINE.finditer(text))
    yield from (Shown(match[1].replace("\n", " "), where, named=True) for match in _QUOTED.finditer(text))


def helps(command: click.Command, path: str) -> Iterator[Shown]:
    """What the help of a command shows, and those of its verbs."""
    context = click.Context(command, terminal_width=1000, max_content_width=1000)
    yield from shown(command.get_help(context), f"{path} --help")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found
            yield from helps(found, f"{path} {name}")


def everything() -> list[Shown]:
    """Each distinct command line once; those that only show a form are left out."""
    found = [entry for document in DOCUMENTS for entry in shown(document.read_text(), document.name)]
    found += helps(vdsprovctl, "vdsprovctl")
    distinct = {entry.line: entry for entry in reversed(found)}
    return [entry for entry in distinct.values() if not any(map(_PLACEHOLDER.search, words(entry.line)))]


def words(line: str) -> list[str]:
    """The arguments of vdsprovctl in that line, up to what is the shell's."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    arguments = []
    for word in list(lexer)[1:]:
        if word in _END:
            break
        arguments.append(word)
    return arguments


def parse(arguments: list[str]) -> None:
    """Let click parse them as if they were to be carried out. Raises click.UsageError."""
    command: click.Command = vdsprovctl
    context = command.make_context("vdsprovctl", list(arguments))
    while isinstance(command, click.Group):
        rest = arguments[len(arguments) - 1 - len(context.args) :]
        name, found, arguments = command.resolve_command(context, rest)
        assert found is not None
        command = found
        context = command.make_context(name, list(arguments), parent=context)


SHOWN = everything()


@pytest.mark.parametrize("entry", SHOWN, ids=lambda entry: entry.line)
def test_a_documented_command_line_is_taken(entry: Shown) -> None:
    """All names of commands and options are right, and so is the number of arguments."""
    try:
        parse(words(entry.line))
    except click.exceptions.Exit:
        pass  # --help and --version
    except click.MissingParameter as error:
        assert entry.named, f"{entry.where}: {entry.line}: {error}"
    except click.UsageError as error:
        # A noun that is named without a verb, which newer versions of click answer with its help.
        if entry.named and type(error).__name__ == "NoArgsIsHelpError":
            return
        pytest.fail(f"{entry.where}: {entry.line}: {error.message}")


def test_there_are_many() -> None:
    """They are found at all."""
    assert len(SHOWN) > 40
