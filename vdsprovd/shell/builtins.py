"""The commands that every node has: `ls`, `cd`, `pwd`, `help` and `exit`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import click

from vdsprovd.cli.tables import shortened
from vdsprovd.shell import manual
from vdsprovd.shell.commands import Command
from vdsprovd.shell.configshell import EXIT, Drawn, Node

if TYPE_CHECKING:
    from vdsprovd.shell.nodes import Place

_LEVEL: Final = 2
_FRAME: Final = 8
"""What configshell draws around name and text: "o- ", " [", "]", and the space between them."""
_LEAST: Final = 8
_USUAL: Final = 80
"""The columns that a tree takes, if that is enough for it."""


class PathType(click.ParamType):  # type: ignore[type-arg]  # older versions have none
    """A path in the tree."""

    name = "path"


@click.command()
@click.argument("path", required=False, default=".", type=PathType())
@click.option("--depth", type=click.IntRange(min=0), help="How many levels; 0 for all that there are.")
@click.pass_obj
def ls(place: Place, path: str, depth: int | None) -> None:
    """Show what is here, or at PATH, as it is now.

    Without a depth it shows as much as takes few questions to the daemon; of a folder that is not shown, how much is in
    it.
    """
    there = place.find(path)
    levels = there.depth if depth is None else depth or 100
    drawn = there.drawn(levels)
    # Where a line need not be longer, it is read more easily.
    width = min(shutil.get_terminal_size().columns, max(_USUAL, _needed(drawn)))
    click.echo(place.drawing(_fitted(drawn, width), width))


@click.command()
@click.argument("path", required=False, default="/", type=PathType())
@click.pass_obj
def cd(place: Place, path: str) -> Node:
    """Go to PATH, or without one to /.

    "." is here, ".." is one up. "<" is where you were before, ">" goes forward again. A path alone does the same.
    """
    return place.go(path)


@click.command()
@click.pass_obj
def pwd(place: Place) -> None:
    """Show the whole path of where you are."""
    click.echo(place.path)


@click.command()
@click.argument("command", required=False)
@click.pass_obj
def help(place: Place, command: str | None) -> None:
    """Tell what can be done here, or about one COMMAND."""
    click.echo(manual.page(place, command) if command else manual.overview(place))


@click.command()
def exit() -> str:
    """Leave the shell; Ctrl-D does, too."""
    return EXIT


@click.command(hidden=True)
def quit() -> str:
    """Leave the shell."""
    return EXIT


EVERYWHERE: Final[Mapping[str, Command]] = MappingProxyType(
    {verb.name or "": Command(verb, here=True) for verb in (cd, exit, help, ls, pwd, quit)}
)


def _needed(drawn: Drawn, level: int = 0) -> int:
    """The columns that the longest of its lines needs, with a dot or two."""
    own = _FRAME + 3 + _LEVEL * level + len(drawn.name) + len(drawn.text)
    return max([own, *(_needed(child, level + 1) for child in drawn.children)])


def _fitted(drawn: Drawn, width: int, level: int = 0) -> Drawn:
    """The tree with texts so short that each line has room."""
    room = max(_LEAST, width - _FRAME - _LEVEL * level - len(drawn.name))
    children = [_fitted(child, width, level + 1) for child in drawn.children]
    return Drawn(drawn.name, drawn.path, shortened(drawn.text, room), drawn.well, children)
