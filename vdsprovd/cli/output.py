"""JSON, as the commands print it."""

import sys
from typing import Any

import click
import msgspec


def print_json(value: Any, *, pretty: bool | None = None) -> None:
    """Print a value as JSON: indented for a person at a terminal, one line for a program; `pretty` chooses."""
    text = msgspec.json.encode(value)
    if pretty or (pretty is None and sys.stdout.isatty()):
        text = msgspec.json.format(text, indent=2)
    # As bytes: JSON is UTF-8 whatever the locale.
    click.echo(text)
