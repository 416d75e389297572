"""Showing what there is: once, or again whenever it changes.

A view is two functions: one reads with a client what is to be shown, the other makes text of it. The same reading is what
--json prints.
"""

import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from vdsprovd.cli.output import print_json
from vdsprovd.cli.session import Session

if TYPE_CHECKING:
    from vdsprovd.client import Client

T = TypeVar("T")

_HOME: Final = "\x1b[H"
_REST_OF_LINE: Final = "\x1b[K"
_REST_OF_SCREEN: Final = "\x1b[J"
_REST: Final = 0.2
"""Seconds between two readings at least, and as long as a reading took: what changes often is not read without end."""


@dataclass(frozen=True)
class How:
    """How the user wants to see it."""

    as_json: bool
    long: bool
    watch: bool


def options(function: Callable[..., None]) -> Callable[..., None]:
    """The options of every command that shows something, given to it as `how`."""

    @wraps(function)
    def viewing(*arguments: Any, as_json: bool, long: bool, watch: bool, **parameters: Any) -> None:
        function(*arguments, how=How(as_json, long, watch), **parameters)

    viewing = click.option("--watch", is_flag=True, help="Show it again whenever it changes, until Ctrl-C.")(viewing)
    viewing = click.option("--long", is_flag=True, help="Cut nothing: whole ids, and all names of a cell.")(viewing)
    return click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")(viewing)


def show(
    session: Session,
    how: How,
    read: Callable[["Client"], T],
    render: Callable[[T], str],
    *,
    about: Collection[str],
) -> None:
    """Show what is read, and with --watch again after notifications about these types of objects."""
    if how.watch:
        _watch(session, how, read, render, about)
    else:
        _print(read(session.client), how, render)


def _print(found: T, how: How, render: Callable[[T], str]) -> None:
    if how.as_json:
        print_json(found, pretty=False if how.watch else None)
    else:
        # At once: for 10,000 lines, echo takes longer than all the rest.
        click.echo(render(found))


def _watch(
    session: Session, how: How, read: Callable[["Client"], T], render: Callable[[T], str], about: Collection[str]
) -> None:
    redraw = sys.stdout.isatty() and not how.as_json
    shown: Any = None
    size = shutil.get_terminal_size()
    changes = _Changes(session.client, about)
    try:
        while True:
            changes.wait()
            begin = time.monotonic()
            found = read(session.client)
            if found != shown or shutil.get_terminal_size() != size:
                if redraw:
                    click.echo(_screen(render(found)), nl=False)
                else:
                    if shown is not None and not how.as_json:
                        click.echo()
                    _print(found, how, render)
                sys.stdout.flush()
                shown, size = found, shutil.get_terminal_size()
            time.sleep(max(_REST, time.monotonic() - begin))
    except KeyboardInterrupt:
        # There is no other end than this one. A shell's prompt is to begin a line.
        if redraw:
            click.echo()
    finally:
        # A shell goes on, and is to be told of nothing any more.
        session.close()


def _screen(text: str) -> str:
    """What draws the text from the top of the terminal, over what is there; what has no room is counted."""
    lines, room = text.splitlines(), shutil.get_terminal_size().lines - 1
    if len(lines) > room:
        lines = [*lines[: room - 1], f"... and {len(lines) - room + 1} more lines"]
    return _HOME + "".join(f"{line}{_REST_OF_LINE}\n" for line in lines) + _REST_OF_SCREEN


class _Changes:
    """Listens for notifications in a thread, so that those which come while something is read make one reading more."""

    def __init__(self, client: "Client", about: Collection[str]) -> None:
        self._client = client
        self._about = about
        self._changed = threading.Event()
        self._failure: BaseException | None = None
        # A new size of the terminal needs drawing, too. Elsewhere than in the main thread there are no signals.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGWINCH, lambda *_: self._changed.set())
        threading.Thread(target=self._listen, daemon=True).start()

    def wait(self) -> None:
        """Wait until something changed since this returned last, or all is to be read. Raises what ended the listening."""
        self._changed.wait()
        self._changed.clear()
        if self._failure:
            raise self._failure

    def _listen(self) -> None:
        try:
            for told in self._client.notifications():
                if told.missed or any(event.object_type in self._about for event in told.notifications):
                    self._changed.set()
        except BaseException as error:
            self._failure = error
            self._changed.set()
