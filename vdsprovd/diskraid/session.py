"""A session: lines are carried out one after the other, with one connection and one focus."""

import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

from vdsprovd.client import Client, Unreachable
from vdsprovd.diskraid import grammar, lexer
from vdsprovd.diskraid.focus import Focus
from vdsprovd.diskraid.kinds import KINDS, Kind, Object
from vdsprovd.diskraid.problems import FATAL, OK, SERVICE_FAILED, Mistake, NotSelected, Problem
from vdsprovd.hresult import Hresult, VdsError

_RECOVERY: Final = "\nREENUMERATE SUBSYSTEMS, then REFRESH PROVIDER, recover it."


class Ended(Exception):
    """EXIT."""


class Person(Protocol):
    """Who is asked, where somebody sits at a terminal."""

    def secret(self, purpose: str) -> str:
        """A secret, which is typed unseen."""
        ...

    def cancels(self) -> bool:
        """Whether the operation that Ctrl-C interrupted shall be cancelled, and not go on unwatched."""
        ...


class Session:
    """Carries out lines. Raises only what nobody expects, and `Ended`."""

    def __init__(
        self, socket: str, forms: Sequence[grammar.Form], *, person: Person | None = None, verbose: bool = False
    ) -> None:
        """`person` is None for a script; `verbose` shows where in the code an error is from that nobody expects."""
        self.socket = socket
        self.forms = forms
        self.person = person
        self.verbose = verbose
        self.focus = Focus(self._find)
        self.hints: dict[str, Any] = {}
        """The automagic hints in effect, by their acronyms."""
        self.secrets: dict[str, str] = {}
        """The initiator's own secrets that this session was told, by the target's iSCSI name; "" is any other."""
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """A connection to the daemon: made when it is needed, and again after it was lost."""
        if self._client is None:
            self._client = Client(self.socket)
        return self._client

    def close(self) -> None:
        """Close the connection. Operations go on."""
        if self._client is not None:
            self._client.close()
            self._client = None

    # Lines.

    def execute(self, line: str) -> int:
        """Carry out a line, and print what comes of it; gives the exit status for it."""
        try:
            found = lexer.words(line)
            if not found:
                return OK
            form, given = grammar.match(found, self.forms)
        except Mistake as mistake:
            return self._tell(mistake)
        ignored = form.noerr and grammar.NOERR in given.flags
        try:
            form.run(self, given)
        except Unreachable as error:
            # NOERR is about the command: without the daemon none works.
            self.close()
            return self._tell_of_service(str(error))
        except Mistake as mistake:
            return self._tell(mistake)
        except Problem as problem:
            status = self._tell(problem)
            return OK if ignored else status
        except VdsError as error:
            advice = _RECOVERY if error.code is Hresult.VDS_E_PROVIDER_CACHE_CORRUPT else ""
            self._tell_of_service(f"{error.message}\n{error.code.name} ({error.code:#010x}){advice}")
            return OK if ignored else SERVICE_FAILED
        return OK

    def say(self, *lines: str) -> None:
        """Print lines."""
        print("\n".join(lines))

    def _tell(self, problem: Problem) -> int:
        self.say("", _sentence(str(problem)))
        return problem.status

    def _tell_of_service(self, message: str) -> int:
        self.say("", "Virtual Disk Service error:", _sentence(message))
        return SERVICE_FAILED

    def fatal(self) -> int:
        """Tell of an exception that nobody expects, while it is handled."""
        kind, error, _ = sys.exc_info()
        print(f"\nA fatal exception occurred: {kind.__name__ if kind else '?'}: {error}", file=sys.stderr)
        if self.verbose:
            traceback.print_exc()
        return FATAL

    # What commands need.

    def wait(self, operation: str) -> dict[str, Any]:
        """Wait for an asynchronous operation, with its progress on a terminal; gives its result."""
        while True:
            try:
                with _progress() as show:
                    return self.client.wait(operation, show)
            except KeyboardInterrupt:
                # The connection is in the middle of a stream.
                self.close()
                if self.person is None:
                    print(f"\nInterrupted: operation {operation} goes on.", file=sys.stderr)
                    raise
            if not self.person.cancels():
                raise Problem(f"operation {operation} goes on in the background; LIST shows what comes of it")
            try:
                self.client.call("Async.Cancel", id=operation)
            except VdsError as error:
                self.say(f"It cannot be cancelled: {error.message}")

    def select(self, word: str, number: int) -> str:
        """Select the object of that kind with that number."""
        try:
            id = self.focus.at(word, number)
        except NotSelected:
            self.focus.clear(word)
            raise
        if word == "subsystem":
            # Selecting a subsystem selects its provider.
            self.focus.set("provider", self.client.call("SubSystem.GetProvider", id=id)["provider"])
        self.focus.set(word, id)
        return id

    def properties(self, interface: str, id: str) -> Object:
        """An object's properties."""
        found: Object = self.client.call(f"{interface}.GetProperties", id=id)["properties"]
        return found

    def called(self, word: str, id: str) -> str:
        """What an object is called: Target 0; one that is newer than the list has its id for a number."""
        number = self.focus.number(word, id)
        return f"{KINDS[word].title} {id if number is None else number}"

    def _find(self, kind: Kind, inside: str) -> list[Object]:
        return kind.find(self, inside)


@contextmanager
def _progress() -> Iterator[Callable[[int], None] | None]:
    """What shows a percentage, as DiskRAID does, where the output is a terminal."""
    if not sys.stdout.isatty():
        yield None
        return
    shown = False

    def show(percent: int) -> None:
        nonlocal shown
        shown = True
        print(f"\r  {percent:3} percent completed", end="", flush=True)

    try:
        yield show
    finally:
        if shown:
            print(flush=True)


def _sentence(text: str) -> str:
    """The message as a sentence: ours begin in lower case, for they stand after others' words elsewhere."""
    first, newline, rest = text.partition("\n")
    first = first[:1].upper() + first[1:]
    return (first if first.endswith((".", "?", "!", ":")) else f"{first}.") + newline + rest
