"""A line as words: text between blanks, in double quotes with blanks, and `key=value`.

Blanks around `=`, and around the commas and semicolons of lists, are allowed, as in Microsoft's own examples.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from vdsprovd.diskraid.problems import Mistake

COMMENT = "rem"

_SEPARATORS = (",", ";")
_SECRET = re.compile(r"(\bsec[a-z]*\s*=\s*)(?!\s*$|\s*\*(?:\s*$|\s+(?![\s,;=]))|(?<=\s)\w+\s*=)\S.*", re.IGNORECASE)
"""A secret that is given, and all that stands after it: where it ends is the language's business, not a pattern's."""
_PIECES = re.compile(r'"([^"]*)"|([^\s"]+)|(")')


@dataclass(frozen=True)
class Word:
    """A word of a line. `key` is what stands before an equals sign outside of quotes, None where there is none."""

    text: str
    key: str | None = None
    quoted: bool = False


def words(line: str) -> list[Word]:
    """The line's words; none for an empty line and a comment. Raises `Mistake` for a quote that does not end."""
    if is_comment(line):
        return []
    return _joined(list(_separate(line)))


def is_comment(line: str) -> bool:
    """Whether the line is a REM: what follows is no language, and may have quotes that do not end."""
    first, *_ = line.split(maxsplit=1) or [""]
    return first.lower() == COMMENT


def without_secrets(line: str) -> str:
    """The line for those who are not to see the secrets in it; the line itself where it has none."""
    return line if is_comment(line) else _SECRET.sub(r"\1***", line)


def _separate(line: str) -> Iterator[Word]:
    for run in _runs(line):
        key, text, quoted, equals = "", "", False, False
        for inner, plain in run:
            if inner is not None:
                text, quoted = text + inner, True
            elif equals or quoted or "=" not in plain:
                text += plain
            else:
                before, _, after = plain.partition("=")
                key, text, equals = text + before, after, True
        yield Word(text, key if equals else None, quoted)


def _runs(line: str) -> Iterator[list[tuple[str | None, str]]]:
    """What stands together without blanks, as its pieces: quoted ones first in their pair, plain ones second."""
    run: list[tuple[str | None, str]] = []
    end = 0
    for piece in _PIECES.finditer(line):
        inner, plain, stray = piece.groups()
        if stray:
            # What follows is not shown: it could be a secret.
            raise Mistake(f"the quote in column {piece.start() + 1} does not end")
        if run and piece.start() != end:
            yield run
            run = []
        run.append((inner, plain or ""))
        end = piece.end()
    if run:
        yield run


def _joined(found: list[Word]) -> list[Word]:
    """Words that blanks around an equals sign, a comma or a semicolon have torn apart, in one."""
    joined: list[Word] = []
    for word in found:
        last = joined[-1] if joined else None
        if last and last.key is None and not last.quoted and word.key == "":
            joined[-1] = Word(word.text, last.text, word.quoted)
        elif last and word.key is None and _continues(last, word):
            joined[-1] = replace(last, text=last.text + word.text)
        else:
            joined.append(word)
    return joined


def _continues(last: Word, word: Word) -> bool:
    return (not last.quoted and last.text.endswith(_SEPARATORS)) or (
        not word.quoted and word.text.startswith(_SEPARATORS)
    )
