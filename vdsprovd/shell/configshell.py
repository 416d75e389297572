"""configshell-fb, tamed. This is the one module that imports it, and types begin here: it has none.

It gives paths, `cd` with its history, and the drawing of trees. What is not wanted of it is put right here:

- It keeps preferences, among them pickled ones, history and a log in a folder of the user: it gets none.
- A line is cut off, without a word, where its grammar cannot go on, such as at a quotation mark: `line` reads lines.
- Every message for its log costs a look at the stack and the sources; the log is silent.
- Each new child is compared with all of its siblings, and remains after its object has gone: nobody keeps children.
- Completion asks the terminal where the cursor is, and swallows what is typed meanwhile; readline does that well.
- Standard output is that of the moment of its import, and no wider than 132 columns; colours ask no NO_COLOR.
- Its import replaces what is done upon Ctrl-C.
"""

import signal
import threading
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import click

from vdsprovd.cli import errors
from vdsprovd.shell.line import Word

_ctrl_c = signal.getsignal(signal.SIGINT)

from configshell_fb import ConfigNode, ConfigShell, ExecutionError  # noqa: E402  # see above

if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, _ctrl_c)

EXIT: Final = "EXIT"
"""What a command gives that ends the shell."""


@dataclass(frozen=True)
class Drawn:
    """A node as it is drawn: its name, what is told of it, whether it is well (None: neither), and what is below it."""

    name: str
    path: str
    text: str
    well: bool | None = None
    children: Sequence["Drawn"] = field(default=())

    def summary(self) -> tuple[str, bool | None]:
        """As configshell asks for it."""
        return self.text or "-", self.well

    def __str__(self) -> str:
        return self.name


class NoSuchNode(errors.Failure, ValueError):
    """There is no node of that path. configshell wants a ValueError, and passes it on without its status."""

    def __init__(self, message: str) -> None:
        super().__init__(message, errors.NOT_FOUND)


class Node(ConfigNode):  # type: ignore[misc]  # it has no types
    """A node of the tree. It is made when somebody goes there, and forgotten when it is left."""

    name: str
    path: str

    def __init__(self, name: str, parent: "Node | None", shell: "Shell | None" = None) -> None:
        super().__init__(name, parent, shell)
        if parent is not None:
            parent.remove_child(self)

    @property
    def children(self) -> Iterator["Node"]:
        """The nodes below, made one after the other; `*` in a path means them."""
        return (self.get_child(name) for name in self.names())

    @abstractmethod
    def names(self) -> Sequence[str]:
        """The names of the nodes below, as they are now."""

    @abstractmethod
    def get_child(self, name: str) -> "Node":
        """The node below of that name. Raises `NoSuchNode`."""

    @abstractmethod
    def execute_command(self, command: str, pparams: Sequence[Word] = (), kparams: Any = None) -> "Node | str | None":
        """Carry out a command with words; gives the node to go to, EXIT, or None."""

    def find(self, path: str) -> "Node":
        """The node of that path, which is relative to this one or absolute. Raises `NoSuchNode`."""
        found: Node = self.get_node(path)
        return found

    def go(self, path: str) -> "Node":
        """As `find`; "<" and ">" are where one was before, and after that."""
        try:
            found: Node = self.ui_command_cd(path)
        except ExecutionError as error:
            raise _cause(error) from error
        return found

    def drawing(self, drawn: Drawn, width: int) -> str:
        """The tree that is drawn, as text of so many columns."""
        self.shell.con.width = width
        text: str = self._render_tree(drawn)
        return text.rstrip("\n")


class Shell(ConfigShell):  # type: ignore[misc]  # it has no types
    """Where one is in the tree, and what is done there."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            # Its grammar is built with what pyparsing calls by other names now. It is not used.
            warnings.simplefilter("ignore")
            super().__init__()
        self.con = _Screen()
        self.log = _Log()

    @property
    def node(self) -> Node:
        """Where one is."""
        found: Node = self._current_node
        return found

    @node.setter
    def node(self, node: Node) -> None:
        self._current_node = node

    @property
    def ended(self) -> bool:
        """Whether `exit` was said."""
        return bool(self._exit)

    def execute(self, path: str, command: str, words: Sequence[Word]) -> None:
        """Carry out a command at the node of that path; `*` at its end means all nodes there."""
        try:
            self._execute_command(path, command, words, {})
        except ExecutionError as error:
            raise _cause(error) from error


def _cause(error: Exception) -> errors.Failure:
    cause = error.__context__
    return cause if isinstance(cause, errors.Failure) else errors.Failure(str(error), errors.USAGE)


class _Screen:
    """What configshell calls its console."""

    width = 80
    """The columns that a tree takes."""

    def get_width(self) -> int:
        """The width, as configshell asks for it."""
        return self.width

    def display(self, text: str) -> None:
        """Print a text."""
        click.echo(text)

    def render_text(self, text: str, fgcolor: str | None = None, styles: Sequence[str] | None = None) -> str:
        """The text with colours, which are taken out again where no terminal shows it."""
        wanted = dict.fromkeys(styles or (), True)
        return click.style(text, fg=fgcolor, **wanted) if fgcolor or wanted else text


class _Log:
    """What configshell calls its log."""

    debug: Callable[[str], None] = staticmethod(lambda message: None)
    verbose = debug
    info = staticmethod(errors.note)
    warning = staticmethod(errors.note)
    error = staticmethod(errors.note)
