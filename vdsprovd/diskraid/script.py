"""A script: its text, whatever Windows' editor wrote it, and its run to the first error."""

import codecs
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from vdsprovd.diskraid.lexer import without_secrets
from vdsprovd.diskraid.problems import OK, NoScript
from vdsprovd.diskraid.session import Ended, Session

STDIN: Final = "-"

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
OEM: Final = "cp850"
"""The code page of Windows' console in Western Europe, in which every byte is some letter."""

_END: Final = "\x1a"
"""Ctrl-Z: DOS's mark of a text's end."""


def read(file: str, encoding: str | None = None) -> list[str]:
    """The script's lines; `-` is standard input. Raises `NoScript`."""
    try:
        text = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
    except OSError as error:
        raise NoScript(f"cannot open the script {file}: {error.strerror}") from error
    return decode(text, encoding or OEM).splitlines()


def reveals(file: str, lines: list[str]) -> bool:
    """Whether others than the script's owner can read secrets in it."""
    if file == STDIN or not any(without_secrets(line) != line for line in lines):
        return False
    status = Path(file).stat()
    return stat.S_ISREG(status.st_mode) and bool(status.st_mode & (stat.S_IRGRP | stat.S_IROTH))


def decode(text: bytes, other: str = OEM) -> str:
    """The text of a script: UTF-8, UTF-16 (with its mark, or known by the zero bytes), else in the other encoding."""
    for mark, encoding in _MARKS:
        if text.startswith(mark):
            return _until_end(text.decode(encoding, errors="replace"))
    if b"\0" in text[:2]:
        # ASCII in UTF-16 has a zero in every second byte: which one tells the order.
        return _until_end(text.decode("utf-16-be" if text[:1] == b"\0" else "utf-16-le", errors="replace"))
    try:
        return _until_end(text.decode("utf-8"))
    except UnicodeDecodeError:
        return _until_end(text.decode(other, errors="replace"))


def run(session: Session, lines: list[str], name: str, show: Callable[[str], None] | None = None) -> int:
    """Carry out the lines until one fails, and give its exit status; `show` is told each line before."""
    for number, line in _commands(lines):
        if show:
            show(line)
        try:
            status = session.execute(line)
        except Ended:
            return OK
        if status != OK:
            sys.stdout.flush()
            print(f"vdsprovctl: {name}: stopped at line {number} (exit status {status})", file=sys.stderr)
            return status
    return OK


def _commands(lines: list[str]) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(lines, 1) if line.strip())


def _until_end(text: str) -> str:
    return text.partition(_END)[0]
