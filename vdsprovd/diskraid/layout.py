"""Tables and details as DiskRAID lays them out: two blanks, a star for what is selected, rules of hyphens.

Their lines are never cut or broken to fit a terminal: programs read them. Help is broken.
"""

import shutil
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

_UNITS: Final = ("B", "KB", "MB", "GB", "TB", "PB", "EB")
_GAP: Final = "  "
_ACRONYMS: Final = {
    "lun": "LUN",
    "luns": "LUNs",
    "chap": "CHAP",
    "iscsi": "iSCSI",
    **{f"raid{level}": f"RAID {level}" for level in (0, 1, 2, 3, 4, 5, 6, 10)},
    **{name: name.upper() for name in ("ata", "sas", "sata", "scsi", "ssa", "usb", "nvme", "raid", "sd", "mmc")},
}


@dataclass(frozen=True)
class Column:
    """A column: its heading, and what it shows of an object. Numbers and sizes are aligned right."""

    heading: str
    cell: Callable[[Any], object]
    right: bool = False


def table(first: str, columns: Sequence[Column], rows: Iterable[tuple[str, bool, Any]]) -> list[str]:
    """The lines of a table, with an object's name and whether it is selected before each."""
    names, stars, cells = [], [], []
    for name, selected, entry in rows:
        names.append(name)
        stars.append("*" if selected else " ")
        cells.append([str(column.cell(entry)) for column in columns])
    headings = [first, *(column.heading for column in columns)]
    body = [[name, *row] for name, row in zip(names, cells, strict=True)]
    widths = [max(map(len, texts)) for texts in zip(headings, *body, strict=True)]
    rights = [False, *(column.right for column in columns)]

    def line(star: str, texts: Sequence[str]) -> str:
        shown = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(texts, widths, rights, strict=True)
        ]
        return f"{star} {_GAP.join(shown)}".rstrip()

    return [
        line(" ", headings),
        line(" ", ["-" * width for width in widths]),
        *(line(star, texts) for star, texts in zip(stars, body, strict=True)),
    ]


def details(entries: Iterable[tuple[str, object]]) -> list[str]:
    """The lines of what is told about one object; a list has a line for each of its texts."""
    known = list(entries)
    width = max((len(label) for label, _ in known), default=0)
    lines = []
    for label, value in known:
        texts = [str(text) for text in value] if isinstance(value, list | tuple) else [str(value)]
        for place, text in enumerate(texts or ["none"]):
            lines.append(f"{label.ljust(width)} : {text}" if place == 0 else f"{' ' * width}   {text}")
    return [line.rstrip() for line in lines]


def size(number: int) -> str:
    """Bytes as DiskRAID's lists have them: a whole number of the largest unit of which there are ten, 1024 MB."""
    place = 0
    while number >= 10 << 10 * (place + 1) and place < len(_UNITS) - 1:
        place += 1
    return f"{number >> 10 * place} {_UNITS[place]}"


def exact_size(number: int) -> str:
    """Bytes to the last."""
    return f"{size(number)} ({number} bytes)" if number >= 10 << 10 else f"{number} bytes"


def words(name: str) -> str:
    """A value of the API's as DiskRAID shows it: `not_ready` is Not Ready."""
    return " ".join(_ACRONYMS.get(word) or word.capitalize() for word in name.split("_"))


def yes(truth: bool) -> str:
    """A truth for people."""
    return "Yes" if truth else "No"


def wrapped(text: str, first: str, others: str) -> list[str]:
    """The text in lines that fit the terminal, and 80 columns elsewhere, after an indentation."""
    width = min(shutil.get_terminal_size((80, 24)).columns, 120)
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=others, break_long_words=False, break_on_hyphens=False
    )
