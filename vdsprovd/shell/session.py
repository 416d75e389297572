"""Who is at the shell: the daemon, where one is in the tree, and how a line is carried out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from typing import TYPE_CHECKING

import click

from vdsprovd.cli import errors
from vdsprovd.cli.objects import Kind, Named
from vdsprovd.client import Unreachable
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.shell import failures
from vdsprovd.shell.commands import Command
from vdsprovd.shell.configshell import EXIT, Node, Shell
from vdsprovd.shell.kinds import kind_of
from vdsprovd.shell.line import Word
from vdsprovd.shell.nodes import Gone, Place, Row
from vdsprovd.shell.tree import Root

if TYPE_CHECKING:
    from vdsprovd.client import Client

_NOT_HERE = ("shell", "diskraid", "bridge", "completion")
"""Commands that are for other shells, or shells themselves."""
_STATES = {
    Hresult.VDS_E_PROVIDER_CACHE_CORRUPT: "cache corrupt",
    Hresult.VDS_E_INITIALIZE_NOT_CALLED: "starting",
}


class Session(Shell):
    """One shell. It has a connection, and keeps nothing else of the daemon's between two commands.

    What it remembers are the ids of the objects that were listed, so that going to one of them takes no other listing. They
    are used after the daemon was asked whether the object still has its name.
    """

    def __init__(self, context: click.Context) -> None:
        super().__init__()
        self.context = context.find_root()
        self._seen: dict[str, dict[str, str]] = {}
        Root(self)

    @property
    def client(self) -> Client:
        """The daemon. Raises `Unreachable`."""
        found: Client = self.context.obj.client
        return found

    @property
    def place(self) -> Place:
        """Where one is."""
        assert isinstance(self.node, Place)
        return self.node

    # What was listed.

    def seen(self, path: str, rows: Sequence[Row]) -> None:
        """Remember what a folder has."""
        self._seen[path] = {row.name: row.entry["id"] for row in rows}

    def id_seen(self, path: str, name: str) -> str | None:
        """The id of what had that name in that folder."""
        return self._seen.get(path, {}).get(name)

    # The verbs.

    def verbs(self, noun: str, objects: Mapping[Kind, str]) -> Iterator[Command]:
        """The verbs of a noun, or of one below it ("lun mask"), where these objects are given."""
        group, context = self.context.command, self.context
        for name in noun.split():
            assert isinstance(group, click.Group)
            inner = group.get_command(context, name)
            assert inner is not None, noun
            group = inner
        assert isinstance(group, click.Group)
        for name in group.list_commands(context):
            verb = group.get_command(context, name)
            if verb is not None and not isinstance(verb, click.Group):
                yield Command(verb, noun.split(), _given(verb, objects))

    def general(self) -> Iterator[Command]:
        """The commands of vdsprovctl that are no noun's, such as recover."""
        group = self.context.command
        assert isinstance(group, click.Group)
        for name in group.list_commands(self.context):
            verb = group.get_command(self.context, name)
            if verb is not None and name not in _NOT_HERE and not isinstance(verb, click.Group):
                yield Command(verb)

    # Carrying out.

    def run(self, words: Sequence[Word]) -> None:
        """Carry out a line: [PATH] [COMMAND] [PARAMETER...]. Raises `Failure`, and `Abort` for Ctrl-C at a question."""
        self.execute(*split(words))

    def run_next(self, words: Sequence[Word]) -> None:
        """Carry out one line of several: others may have deleted meanwhile what it is about."""
        if words and self.settle() and not words[0].text.startswith("/"):
            raise errors.Failure("so nothing was done", errors.NOT_FOUND)
        if words:
            self.run(words)

    def carry_out(self, place: Place, name: str, words: Sequence[Word]) -> Node | str | None:
        """Carry out a command at a place."""
        commands = place.commands()
        if name not in commands:
            raise errors.Failure(f"there is no command {name!r} in {place.path}{_meant(place, name)}", errors.USAGE)
        command = commands[name]
        try:
            with errors.cannot(name):
                result = command.run(self.context, words, place)
        except click.UsageError as error:
            raise failures.wrong(command, error) from error
        except click.exceptions.Exit:
            # That is how --help ends.
            return None
        if isinstance(result, Node) or result == EXIT:
            return result
        if isinstance(result, int) and result:
            raise failures.Told("", result)
        return None

    def hang_up(self) -> None:
        """Close the connection; the next call makes another."""
        self.context.obj.close()

    # What others changed.

    def settle(self) -> bool:
        """Leave nodes whose objects have gone, and tell so; gives whether there were any."""
        try:
            with self.hasty():
                return self._settle()
        except (VdsError, Unreachable):
            # Whoever asks for something is told.
            return False

    def _settle(self) -> bool:
        left = False
        while True:
            try:
                self.place.refresh()
            except Gone as gone:
                assert gone.place.parent is not None
                self.node, left = gone.place.parent, True
                errors.note(f"{gone} is gone; you are in {self.node.path} now")
            else:
                return left

    def state(self) -> str:
        """What is wrong with the daemon, in a word or two; "" where nothing is. One call."""
        try:
            with self.hasty():
                self._settle()
        except VdsError as error:
            return _STATES.get(error.code, error.code.name)
        except Unreachable:
            return "no daemon"
        return ""

    @contextmanager
    def hasty(self) -> Iterator[None]:
        """Wait for no daemon that is being started anew: nobody has asked for anything yet."""
        client = self.client
        before, client.reconnect = client.reconnect, 0.0
        try:
            yield
        finally:
            client.reconnect = before


def split(words: Sequence[Word]) -> tuple[str, str, Sequence[Word]]:
    """The path, the command and its parameters. A path alone means to go there, and all nodes alone to list them."""
    path = ""
    if words and is_path(words[0].text):
        path, words = words[0].text, words[1:]
    if words:
        return path, words[0].text, words[1:]
    return path, "ls" if path.endswith("*") else "cd", [] if path.endswith("*") else [Word(".")]


def _meant(place: Place, name: str) -> str:
    """What someone may have meant who wrote that for a command."""
    with suppress(errors.Failure, VdsError, Unreachable):
        return f"; to go there: {place.get_child(name).name}/"
    near = get_close_matches(name, place.commands(), n=1)
    return f"; did you mean {near[0]}?" if near else "; see: help"


def is_path(text: str) -> bool:
    """Whether the first word of a line is a path, and no command."""
    return "/" in text or text in (".", "..", "*")


def _given(verb: click.Command, objects: Mapping[Kind, str]) -> dict[str, str]:
    """The parameters that are objects on the way to the node: the first arguments, each kind once, and options."""
    found = {}
    left = dict(objects)
    for one in verb.params:
        if isinstance(one, click.Option):
            if not one.multiple and isinstance(one.type, Named) and one.type.kind in objects:
                found[one.name or ""] = objects[one.type.kind]
        elif kind := next((kind for kind in left if kind == kind_of(one)), None):
            found[one.name or ""] = left.pop(kind)
        else:
            # What comes after it is something else that one has to name.
            left = {}
    return found
