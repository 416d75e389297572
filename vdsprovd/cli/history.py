"""The history of a prompt: what was typed comes back in the next session, but for answers and secrets."""

import contextlib
import os
import re
import readline
from pathlib import Path
from typing import Final

_LENGTH: Final = 1000
_SECRET: Final = re.compile(r"sec\w*[\"']?\s*[=:]", re.IGNORECASE)


class History:
    """The history of that name. readline remembers nothing by itself: it does not know a command from an answer."""

    def __init__(self, name: str) -> None:
        """Fetch it; where it cannot be read or kept, one does without."""
        state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
        self._file = Path(state) / f"vdsprovd/{name}-history"
        readline.set_auto_history(False)
        readline.set_history_length(_LENGTH)
        with contextlib.suppress(OSError):
            readline.read_history_file(self._file)

    def add(self, line: str) -> None:
        """Remember a line at once, unless it is the same as the last one, or has a secret in it."""
        last = readline.get_history_item(readline.get_current_history_length())
        if not line.strip() or line == last or _SECRET.search(line):
            return
        readline.add_history(line)
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.touch(mode=0o600)
            # Added, and not the whole file written anew: there may be another session.
            readline.append_history_file(1, self._file)
