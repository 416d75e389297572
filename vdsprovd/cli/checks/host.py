"""How a check looks at the host, and what it tells."""

import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any, NamedTuple


class Finding(NamedTuple):
    """What a check found: its level (ok, warn, fail), what it looked at, what is so, and what to do, if anything."""

    level: str
    check: str
    found: str
    do: str = ""


class Host:
    """The host that is looked at; its files are below `root`, for tests that make a host of their own."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def path(self, path: str | Path) -> Path:
        """Where the host's file of that absolute path is."""
        return self._root / str(path).lstrip("/")

    def read(self, path: str | Path) -> str:
        """The file's text, "" where it cannot be read."""
        try:
            return self.path(path).read_text(errors="replace")
        except OSError:
            return ""

    def run(self, *command: str) -> str | None:
        """What a program prints that only looks; None where there is no such program, or it fails."""
        if shutil.which(command[0]) is None:
            return None
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, timeout=15)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout if done.returncode == 0 else None


def read_configuration(path: Path) -> dict[str, Any]:
    """The configuration as far as it can be read; whether it is right is the daemon's to say."""
    try:
        return tomllib.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def tables(value: Any) -> list[dict[str, Any]]:
    """The tables of an array of tables; none of what is no such thing."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
