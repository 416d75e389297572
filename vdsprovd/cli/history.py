"""The history of a prompt: what was typed comes back in the next session, but for answers and secrets."""

import contextlib
import os
import re
import readline
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_LENGTH: Final = 1000
_SECRET: Final = re.compile(r"sec\w*[\"']?\s*[=:]", re.IGNORECASE)


@contextmanager
def history(name: str) -> Iterator[Callable[[str], None]]:
    """Fetch the history of that name, and keep it at the end; gives a function that remembers a line.

    readline remembers nothing by itself meanwhile: it does not know a command from the answer to a question.
    """
    file = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / f"vdsprovd/{name}-history"
    added = 0

    def remember(line: str) -> None:
        nonlocal added
        last = readline.get_history_item(readline.get_current_history_length())
        if line.strip() and line != last and not _SECRET.search(line):
            readline.add_history(line)
            added += 1

    readline.set_auto_history(False)
    readline.set_history_length(_LENGTH)
    # Where it cannot be kept, the next session does without.
    with contextlib.suppress(OSError):
        readline.read_history_file(file)
    try:
        yield remember
    finally:
        with contextlib.suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)
            # Added and not written anew: another session may have been faster.
            readline.append_history_file(added, file)
