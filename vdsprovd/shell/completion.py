"""What can come next in a line: paths, commands, parameters and their values, as they are now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from vdsprovd.cli import errors
from vdsprovd.cli.objects import SUBSYSTEM, Named
from vdsprovd.client import Unreachable
from vdsprovd.hresult import VdsError
from vdsprovd.shell import commands, line
from vdsprovd.shell.builtins import PathType
from vdsprovd.shell.nodes import Place, node_names
from vdsprovd.shell.session import is_path

if TYPE_CHECKING:
    from vdsprovd.shell.commands import Command
    from vdsprovd.shell.line import Word
    from vdsprovd.shell.session import Session


def complete(session: Session, typed: str, text: str) -> list[str]:
    """How the line that is `typed` can go on: what `text`, the end of it, can become."""
    words = line.words(typed, begun=True)
    if words and words[-1].quoted:
        return []
    # After a blank a new word begins.
    begun = words.pop().text if words and not typed[-1].isspace() else ""
    try:
        with session.hasty():
            found = list(_next(session.place, words, begun))
    except (errors.Failure, VdsError, Unreachable, click.ClickException):
        # There is nobody to tell while a line is typed.
        return []
    known = begun.removesuffix(text)
    return [candidate.removeprefix(known) for candidate in dict.fromkeys(found) if candidate.startswith(begun)]


def _next(place: Place, words: Sequence[Word], begun: str) -> Iterable[str]:
    """Candidates for the whole word that begins so, after these words."""
    if not words:
        yield from _paths(place, begun)
        if "/" not in begun:
            yield from (f"{name} " for name in _shown(place))
        return
    if is_path(words[0].text):
        path, words = words[0].text, words[1:]
        there = place.find(path.removesuffix("*"))
        place = next(iter(there.children), there) if path.endswith("*") else there
        if not words:
            yield from (f"{name} " for name in _shown(place))
            return
    command = place.commands().get(words[0].text)
    if command:
        yield from _parameters(place, command, words[1:], begun)


def _shown(place: Place) -> Iterable[str]:
    return (name for name, command in place.commands().items() if not command.verb.hidden)


def _paths(place: Place, begun: str) -> Iterable[str]:
    """The nodes below the path so far; its last part is what is completed."""
    folder, slash, _ = begun.rpartition("/")
    if folder + slash and begun.endswith(".."):
        yield f"{begun}/"
    there = place.find(folder + slash) if slash else place
    yield from (f"{folder}{slash}{name}/" for name in there.names())


def _parameters(place: Place, command: Command, words: Sequence[Word], begun: str) -> Iterable[str]:
    given = {word.key for word in words if word.key}
    name, equals, _ = begun.partition("=")
    if equals:
        one = command.parameter(name)
        if one is not None:
            yield from (f"{name}={value} " for value in _values(place, one, begun[len(name) + 1 :]))
        return
    in_order = [word for word in words if not word.key and not word.text.startswith("-")]
    if (following := _following(command, len(in_order), given)) is not None:
        ends = "" if isinstance(following.type, PathType) else " "
        yield from (f"{value}{ends}" for value in _values(place, following, begun))
    for one in command.parameters:
        name = commands.key(one)
        if isinstance(one, click.Option) and (name not in given or one.multiple):
            yield f"{name}="


def _following(command: Command, count: int, given: set[str]) -> click.Parameter | None:
    """The parameter that the next word is, if it is written without its name, after so many of those."""
    left = [one for one in command.parameters if isinstance(one, click.Argument) and commands.key(one) not in given]
    if left and left[-1].nargs == -1:
        return left[min(count, len(left) - 1)]
    return left[count] if count < len(left) else None


def _values(place: Place, one: click.Parameter, begun: str) -> Iterable[str]:
    if isinstance(one.type, PathType):
        return _paths(place, begun)
    if isinstance(one.type, Named):
        kind = one.type.kind
        names = node_names(kind, kind.listing(place.client, place.objects.get(SUBSYSTEM)))
        return [*one.type.words, *names]
    return commands.values(one)
