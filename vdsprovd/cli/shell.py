"""`vdsprovctl shell`: what there is as a tree, to walk through and to change."""

import sys
from typing import TYPE_CHECKING, Final

import click

from vdsprovd.cli import errors

if TYPE_CHECKING:
    from vdsprovd.shell.session import Session

_NEEDED: Final = ("configshell_fb", "pyparsing", "six")
"""configshell-fb, and what one of its versions needs."""


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="""\b
Examples:
  vdsprovctl shell
  vdsprovctl shell ls /array0/luns
  vdsprovctl shell /array0/luns create web0 size=10G pool=vg0
  vdsprovctl shell < commands.txt""",
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND]...")
@click.pass_context
def shell(context: click.Context, words: tuple[str, ...]) -> int:
    """Walk through what there is as through folders, with the verbs of vdsprovctl at hand.

    COMMAND is a path, a command, and its parameters: each of them can be left out. Without any the shell takes commands
    at a prompt, or from standard input, a line each, until one fails. docs/shell.md tells all about it.
    """
    session = _session(context)
    from vdsprovd.shell import script  # once it is known that configshell-fb is there

    if words:
        return script.one(session, words)
    if not sys.stdin.isatty():
        return script.many(session, sys.stdin)
    from vdsprovd.shell import terminal

    terminal.run(session)
    return errors.OK


def _session(context: click.Context) -> "Session":
    try:
        from vdsprovd.shell.session import Session  # it takes long to load
    except ImportError as error:
        if error.name not in _NEEDED:
            raise
        raise errors.Failure(
            "the shell needs configshell-fb: pip install 'vdsprovd[shell]', or apt install python3-configshell-fb",
            errors.FAILED,
        ) from None
    return Session(context)
