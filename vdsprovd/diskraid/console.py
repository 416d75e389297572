"""DiskRAID at a terminal: the prompt, its history and completion, and what a person is asked."""

import getpass
import readline
import socket
from collections.abc import Sequence
from typing import Final

from vdsprovd import __version__
from vdsprovd.cli.history import History
from vdsprovd.diskraid.completion import complete
from vdsprovd.diskraid.lexer import without_secrets
from vdsprovd.diskraid.session import Ended, Session

PROMPT: Final = "DISKRAID> "


class Console:
    """Who sits at the terminal."""

    def secret(self, purpose: str) -> str:
        """A secret, which is typed unseen."""
        return getpass.getpass(f"{purpose[:1].upper()}{purpose[1:]}: ")

    def cancels(self) -> bool:
        """Whether the operation that Ctrl-C interrupted shall be cancelled; a second Ctrl-C lets it go on."""
        try:
            answer = input("Cancel the operation (y), or let it go on in the background (Enter)? ")
        except (KeyboardInterrupt, EOFError):
            print()
            return False
        return answer.strip().lower() in ("y", "yes")


def run(session: Session) -> None:
    """Carry out what is typed, until EXIT or the end of the input. An error ends nothing, nor does Ctrl-C."""
    session.say(f"DiskRAID's language for vdsprovd, version {__version__}", f"On computer: {socket.gethostname()}", "")
    history = History("diskraid")
    _complete(session)
    while True:
        try:
            line = input(PROMPT)
        except KeyboardInterrupt:
            print()
            continue
        except EOFError:
            print()
            return
        if line.strip() and not _is_confidential(line):
            history.add(line)
        try:
            session.execute(line)
        except Ended:
            return
        except KeyboardInterrupt:
            # Whatever was asked for, its reply is not to be taken for that of the next call.
            session.close()
            session.say("", "Interrupted.")
        session.say("")


def _complete(session: Session) -> None:
    readline.set_completer_delims(" ")
    readline.parse_and_bind("tab: complete")
    found: Sequence[str] = ()

    def completer(text: str, state: int) -> str | None:
        nonlocal found
        if state == 0:
            found = complete(session, readline.get_line_buffer()[: readline.get_begidx()], text)
        return found[state] if state < len(found) else None

    readline.set_completer(completer)


def _is_confidential(line: str) -> bool:
    """Whether a secret may be in the line: CHAP has them, also where it is misspelt."""
    return line.lower().split()[0].startswith("cha") or without_secrets(line) != line
