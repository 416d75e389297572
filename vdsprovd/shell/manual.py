"""Help: what there is at a node, and how a command is used. It is made from what stands at the verbs and in the API."""

from __future__ import annotations

import functools
import importlib.resources
import inspect
import re
import shutil
from typing import TYPE_CHECKING

import click

from vdsprovd.cli import errors
from vdsprovd.shell import commands

if TYPE_CHECKING:
    from vdsprovd.shell.nodes import Place

_INTRODUCTION = """\
A line is [PATH] COMMAND [PARAMETER]..., and a path alone goes there. Parameters stand in their order or by their names: \
create web0 size=10G. Names with blanks are put in quotes. Tab completes paths, commands, parameters and their values."""


def overview(place: Place) -> str:
    """What can be said at a place."""
    page = _page()
    if place.about:
        page.write_text(place.about)
        page.write_paragraph()
    page.write_text(_INTRODUCTION)
    own: list[tuple[str, str]] = []
    everywhere: list[tuple[str, str]] = []
    for command in place.commands().values():
        if not command.verb.hidden:
            (everywhere if command.is_here else own).append((command.usual, command.summary))
    if own:
        _list(page, f"Commands in {place.path}", own)
    _list(page, "Commands everywhere", everywhere)
    return page.getvalue().rstrip("\n")


def page(place: Place, name: str) -> str:
    """How a command is used at a place."""
    command = place.commands().get(name)
    if command is None:
        raise errors.Failure(f"there is no command {name!r} in {place.path}; see: help", errors.USAGE)
    page = _page()
    page.write_text(command.syntax)
    context = click.Context(command.verb)
    with page.indentation():
        page.write_paragraph()
        page.write_text(_text(command.verb))
    if command.parameters:
        _list(page, "Parameters", [_parameter(one, context) for one in command.parameters])
    if calls := getattr(command.verb, "calls", ()):
        _list(page, "Methods of the API", [(method, _documented(method)) for method in calls])
    return page.getvalue().rstrip("\n")


def _page() -> click.HelpFormatter:
    columns = shutil.get_terminal_size().columns
    return click.HelpFormatter(width=min(columns - 2, 100))


def _list(page: click.HelpFormatter, title: str, rows: list[tuple[str, str]]) -> None:
    with page.section(title):
        page.write_dl(rows, col_max=34)


def _text(verb: click.Command) -> str:
    # Examples are for vdsprovctl itself, and stand after a \b.
    return inspect.cleandoc(verb.help or "").partition("\n\n\b\n")[0]


def _parameter(one: click.Parameter, context: click.Context) -> tuple[str, str]:
    told = [getattr(one, "help", None) or ""]
    if isinstance(one.type, click.Choice) and not all(str(choice) in told[0] for choice in one.type.choices):
        told.append(f"One of: {', '.join(map(str, one.type.choices))}.")
    default = one.get_default(context)
    if isinstance(default, str):
        told.append(f"Default: {default}.")
    return commands.form(one), " ".join(filter(None, told))


def _documented(method: str) -> str:
    """What the API's description says of a method, in one sentence."""
    interface, _, name = method.rpartition(".")
    comment = re.search(rf"((?:^#.*\n)+)method {name}\(", _description(interface), re.MULTILINE)
    told = " ".join(line.lstrip("# ") for line in comment[1].splitlines()) if comment else ""
    return re.split(r"(?<=\.)\s", told.strip(), maxsplit=1)[0]


@functools.cache
def _description(interface: str) -> str:
    file = importlib.resources.files("vdsprovd") / "interfaces" / f"org.vdsprov.{interface}.varlink"
    return file.read_text(encoding="utf-8")
