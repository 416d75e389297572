"""What commands print: JSON, the fields of one object, and sentences. Tables are in `tables`."""

import shutil
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

Field = tuple[str, str | int | Sequence[str]]
"""A label and what it says: one text, or several of a line each. What says nothing is left out."""


def print_json(value: Any, *, pretty: bool | None = None) -> None:
    """Print a value as JSON: indented for a person at a terminal, one line for a program; `pretty` chooses."""
    import msgspec  # --help has no use for it

    text = msgspec.json.encode(value)
    if pretty or (pretty is None and sys.stdout.isatty()):
        text = msgspec.json.format(text, indent=2)
    # As bytes: JSON is UTF-8 whatever the locale.
    click.echo(text)


def json_option(what: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The option --json, given as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help=f"Print {what} as JSON.")


def tell(sentence: str, value: Any, as_json: bool) -> None:
    """Say what was done: to a person as a sentence, to a program as JSON."""
    if as_json:
        print_json(value)
    else:
        click.echo(sentence)


def fields(*given: Field) -> str:
    """The fields of an object, a line each, labels aligned."""
    width = max(len(label) for label, _ in given) + 2
    lines = []
    for label, value in given:
        texts = [str(value)] if isinstance(value, str | int) else list(value)
        for place, text in enumerate(filter(None, texts)):
            lines.append(click.style(f"{label + ':':<{width}}" if place == 0 else " " * width, bold=True) + text)
    return "\n".join(lines)


def counted(number: int, noun: str) -> str:
    """A number of things: "1 portal", "2 portals"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def wrapped(text: str, first: str, rest: str) -> list[str]:
    """The text in lines that fit the terminal: what stands before the first, and before the others."""
    import textwrap  # most commands have no long text

    width = max(40, room() - len(rest))
    head, *tail = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
    return [first + head, *(rest + line for line in tail)]


def room() -> int:
    """How many characters fit a line: those of the terminal; elsewhere lines are as long as they are."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 1 << 16
