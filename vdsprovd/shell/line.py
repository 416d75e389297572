"""A line that a person types, as words: with quotation marks, comments, and `key=value`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_SPACE: Final = " \t\r\n"
_QUOTES: Final = "'\""
_KEY: Final = re.compile(r"[A-Za-z][\w-]*")


class LineError(ValueError):
    """The line cannot be read."""


@dataclass(frozen=True)
class Word:
    """A word of a line, without its quotation marks."""

    text: str
    start: int = 0
    """Where it begins in the line."""
    quoted: bool = False
    """Whether a part of it is quoted: then it is no option and no path that is still to be completed."""
    equals: int = -1
    """Where its first "=" is in the text, if that is not quoted; otherwise -1."""

    @property
    def key(self) -> str:
        """What stands before the "=" if it can be the name of a parameter; otherwise ""."""
        before = self.text[: max(0, self.equals)]
        return before if _KEY.fullmatch(before) else ""

    @property
    def value(self) -> str:
        """What stands after it."""
        return self.text[self.equals + 1 :]


def word(argument: str) -> Word:
    """An argument of a program: the shell that started it has taken the quotation marks away."""
    return Word(argument, equals=argument.find("="))


def words(line: str, *, begun: bool = False) -> list[Word]:
    """The words of a line; what begins with # is a comment. Quotation marks and the backslash are as in sh.

    A line that is `begun` may lack its last quotation mark. Raises `LineError`.
    """
    return list(_words(line, begun))


def _words(line: str, begun: bool) -> Iterator[Word]:
    place = 0
    while True:
        while place < len(line) and line[place] in _SPACE:
            place += 1
        if place >= len(line) or line[place] == "#":
            return
        start, text, quoted, equals = place, "", False, -1
        while place < len(line) and line[place] not in _SPACE:
            if line[place] in _QUOTES:
                part, place = _quotation(line, place, begun)
                text, quoted = text + part, True
            elif line[place] == "\\" and place + 1 < len(line):
                text, place, quoted = text + line[place + 1], place + 2, True
            else:
                if line[place] == "=" and equals < 0:
                    equals = len(text)
                text, place = text + line[place], place + 1
        # In name="a=b" the key is not quoted, in "name=a" it is.
        yield Word(text, start, quoted, equals)


def _quotation(line: str, place: int, begun: bool) -> tuple[str, int]:
    """What stands between the quotation mark at the place and the next one, and the place after that."""
    mark, text = line[place], ""
    place += 1
    while place < len(line) and line[place] != mark:
        if mark == '"' and line[place] == "\\" and line[place + 1 : place + 2] in ('"', "\\"):
            place += 1
        text, place = text + line[place], place + 1
    if place == len(line) and not begun:
        raise LineError(f"a quotation mark is missing: {mark}")
    return text, place + 1
