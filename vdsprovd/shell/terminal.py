"""The shell at a terminal: its prompt, Tab, its history, and what ends it."""

import readline
import shutil
from typing import Final

import click

from vdsprovd import __version__
from vdsprovd.cli.history import History
from vdsprovd.cli.tables import shortened
from vdsprovd.shell import line
from vdsprovd.shell.completion import complete
from vdsprovd.shell.failures import tell
from vdsprovd.shell.session import Session

_DELIMITERS: Final = " \t\n/="
"""Where a word begins for readline, which shows what can come next without what stands before."""


def run(session: Session) -> None:
    """Carry out what is typed, until `exit` or the end of the input. An error ends nothing, nor does Ctrl-C."""
    click.echo(f"vdsprovctl {__version__}: help tells what can be done here, Tab what can come next, exit leaves.")
    history = History("shell")
    while not session.ended:
        try:
            typed = _read(session)
            history.add(typed)
            session.run_next(line.words(typed))
        except EOFError:
            click.echo("exit")
            return
        except (KeyboardInterrupt, click.Abort):
            # Whatever was asked for, its reply is not to be taken for that of the next call.
            session.hang_up()
            click.echo()
        except Exception as error:
            tell(error)


def _read(session: Session) -> str:
    """A line, with completion; what commands ask has none."""
    found: list[str] = []

    def completer(text: str, state: int) -> str | None:
        nonlocal found
        if state == 0:
            found = complete(session, readline.get_line_buffer()[: readline.get_endidx()], text)
        return found[state] if state < len(found) else None

    readline.set_completer_delims(_DELIMITERS)
    readline.set_completion_display_matches_hook(None)
    readline.parse_and_bind("tab: complete")
    readline.set_completer(completer)
    try:
        return input(prompt(session))
    finally:
        readline.set_completer(None)


def prompt(session: Session) -> str:
    """Where one is, and what is wrong with the daemon, if anything."""
    state = session.state()
    path = shortened(session.node.path, max(20, shutil.get_terminal_size().columns // 2))
    return f"{path}{_unprinted(f' ({state})') if state else ''}> "


def _unprinted(text: str) -> str:
    """The text in red, with marks around what readline must not count as columns."""
    before, after = click.style("\0", fg="red").split("\0")
    return f"\x01{before}\x02{text}\x01{after}\x02"
