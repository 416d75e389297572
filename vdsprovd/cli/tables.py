"""Tables for people: columns as wide as they need to be, or cut until the lines fit the terminal.

rich tells how wide text is. Its own tables take nine seconds for 10,000 rows, so the layout is ours.
"""

import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os.path import commonprefix
from typing import Any, Final

import click
from rich.cells import cell_len

Cell = str | int | Sequence[str]

_GAP: Final = "  "
_CUT: Final = "…"
_NARROWEST: Final = 9
_READABLE: Final = 24
_NOTHING: Final = "-"

_COLOURS: Final[Mapping[str, str]] = {
    "online": "green",
    "healthy": "green",
    "offline": "yellow",
    "not_ready": "yellow",
    "unknown": "yellow",
    "failed": "red",
}


@dataclass(frozen=True)
class Column:
    """A column: its heading, what it shows of an object, and whether that may be cut to fit. Numbers are aligned right.

    A cell with several texts shows the first and how many more there are.
    """

    heading: str
    cell: Callable[[Any], Cell]
    cut: bool = False
    right: bool = False
    spare: bool = False
    """Left out where there is no room to read the names in the columns that are cut."""


def table(columns: Sequence[Column], objects: Sequence[Any], *, whole: bool) -> str:
    """The objects as a table. On a terminal it fits, unless `whole`, which also shows all texts of a cell."""
    rows = [[_text(column.cell(entry), whole) for column in columns] for entry in objects]
    widths = [
        max([len(column.heading), *(cell_len(row[place]) for row in rows)]) for place, column in enumerate(columns)
    ]
    if sys.stdout.isatty() and not whole:
        room = shutil.get_terminal_size().columns
        if _cramped(widths, columns, room):
            kept = [place for place, column in enumerate(columns) if not column.spare]
            columns, widths = [columns[place] for place in kept], [widths[place] for place in kept]
            rows = [[row[place] for place in kept] for row in rows]
        _fit(widths, columns, room)
        rows = _without_what_all_begin_with(rows, widths)
    lines = [_line(columns, widths, [column.heading for column in columns], lambda _: "bold")]
    lines += [_line(columns, widths, row, _colour) for row in rows]
    return "\n".join(lines)


def short(id: str) -> str:
    """The part of an id that people compare."""
    return id.partition("-")[0]


def _text(cell: Cell, whole: bool) -> str:
    if isinstance(cell, str | int):
        return str(cell) or _NOTHING
    if not cell:
        return _NOTHING
    if whole or len(cell) == 1:
        return ", ".join(cell)
    return f"{cell[0]} +{len(cell) - 1}"


def _without_what_all_begin_with(rows: Sequence[Sequence[str]], widths: Sequence[int]) -> list[list[str]]:
    """The rows; in columns that are too narrow, texts lose the words with which all of them begin, as iSCSI names do."""
    shown = [list(row) for row in rows]
    for place, width in enumerate(widths):
        texts = {row[place] for row in rows if row[place] != _NOTHING}
        if len(texts) < 2 or max(map(cell_len, texts)) <= width:
            continue
        common = re.sub(r"[^.:/ -]*$", "", commonprefix(list(texts)))  # noqa: RUF071  # characters are meant
        if len(common) > 2:
            for row in shown:
                row[place] = _CUT + row[place].removeprefix(common) if row[place] in texts else row[place]
    return shown


def _cramped(widths: Sequence[int], columns: Sequence[Column], room: int) -> bool:
    """Whether names would have to be cut until they are hard to read."""
    needed = [min(width, _READABLE) if column.cut else width for width, column in zip(widths, columns, strict=True)]
    return sum(needed) + len(_GAP) * (len(needed) - 1) > room


def _fit(widths: list[int], columns: Sequence[Column], room: int) -> None:
    """Narrow the widest of the columns that may be cut, until the line fits or they are too narrow to be of use."""
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - room
    places = [place for place, column in enumerate(columns) if column.cut]
    while excess > 0 and places:
        widest = max(places, key=lambda place: widths[place])
        if widths[widest] <= max(_NARROWEST, len(columns[widest].heading)):
            places.remove(widest)
            continue
        widths[widest] -= 1
        excess -= 1


def _line(columns: Sequence[Column], widths: Sequence[int], cells: Sequence[str], style: Callable[[str], Any]) -> str:
    parts = []
    for column, width, cell in zip(columns, widths, cells, strict=True):
        text = shortened(cell, width)
        space = " " * (width - cell_len(text))
        colour = style(cell)
        if colour == "bold":
            text = click.style(text, bold=True)
        elif colour:
            text = click.style(text, fg=colour)
        parts.append(space + text if column.right else text + space)
    return _GAP.join(parts).rstrip()


def _colour(cell: str) -> str | None:
    return "red" if cell.startswith("WARNING") else _COLOURS.get(cell)


def shortened(text: str, width: int) -> str:
    """The text cut in the middle: iSCSI names begin alike, and differ at their end."""
    if cell_len(text) <= width:
        return text
    head, tail = "", ""
    # What has lost its beginning has none to show.
    kept = 0 if text.startswith(_CUT) else width // 3
    for character in text:
        if cell_len(head + character) > kept:
            break
        head += character
    for character in reversed(text):
        if cell_len(head + _CUT + character + tail) > width:
            break
        tail = character + tail
    return head + _CUT + tail


def id_column(long: bool, *, spare: bool = False) -> Column:
    """The column for the ids of objects."""
    return Column("ID", lambda entry: entry["id"] if long else short(entry["id"]), spare=spare)


def sub_system_column(entries: Sequence[Any]) -> Iterator[Column]:
    """The column for the subsystem, where the objects are of several."""
    if len({entry["subSystem"]["id"] for entry in entries}) > 1:
        yield Column("SUBSYSTEM", lambda entry: entry["subSystem"]["friendlyName"], cut=True)
