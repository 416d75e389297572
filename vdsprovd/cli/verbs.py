"""Nouns and verbs: click groups and commands that know which methods of the API they call.

A verb's function gets the `Session` and its parameters, works through the client, and prints through `output`. Nothing
else is told about it than what stands at its definition, so that help, man page, completion and a shell read it there.
"""

from collections.abc import Callable
from typing import Any, Final

import click

from vdsprovd.cli import errors

Function = Callable[..., None]

_FIRST: Final = ("list", "show", "create", "delete")
"""The verbs that most nouns have come first, the others as they are defined."""


class Verb(click.Command):
    """A command for one thing to be done with an object.

    `calls` are the methods of the API by which it is done, and by which the objects are found that it is given. `purpose` completes "cannot ..." with the values of
    parameters in braces.
    """

    def __init__(self, *arguments: Any, purpose: str, calls: tuple[str, ...], **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.purpose = purpose
        finding = (method for parameter in self.params for method in getattr(parameter.type, "calls", ()))
        self.calls = tuple(dict.fromkeys((*calls, *finding)))

    def invoke(self, ctx: click.Context) -> object:
        values = {name: ", ".join(value) if isinstance(value, tuple) else value for name, value in ctx.params.items()}
        with errors.cannot(" ".join(self.purpose.format(**values).split())):
            return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        if self.calls:
            with formatter.section("Methods of the API"):
                formatter.write_text(", ".join(self.calls))


class Noun(click.Group):
    """The verbs of one kind of object."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.subcommand_metavar = "VERB [ARGS]..."

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self.commands, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        found = [(name, self.commands[name]) for name in self.list_commands(ctx)]
        with formatter.section("Verbs"):
            # Whole sentences: click's own are cut.
            formatter.write_dl([(name, command.get_short_help_str(limit=1000)) for name, command in found])

    def verb(self, name: str, purpose: str, *calls: str) -> Callable[[Function], Verb]:
        """The function becomes a verb of the noun; see `Verb`."""

        def define(function: Function) -> Verb:
            made = click.command(name, cls=Verb, purpose=purpose, calls=calls)(function)
            self.add_command(made)
            return made

        return define

    def noun(self, name: str, help: str) -> "Noun":
        """A noun below this one, such as a LUN's mask."""
        below = Noun(name, help=help)
        self.add_command(below)
        return below
