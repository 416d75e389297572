"""The shell without a terminal: one command, or a command a line on standard input."""

import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

import click

from vdsprovd.cli import errors
from vdsprovd.shell import line
from vdsprovd.shell.failures import tell
from vdsprovd.shell.session import Session


def one(session: Session, arguments: Sequence[str]) -> int:
    """Carry out one command, and give its exit status."""
    try:
        session.run([line.word(argument) for argument in arguments])
    except (KeyboardInterrupt, click.Abort):
        return errors.INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        return tell(error)
    return errors.OK


def many(session: Session, lines: TextIO) -> int:
    """Carry out the commands in the lines as they come, up to the first that fails, whose exit status it gives."""
    # An iterator would read ahead of who writes into the pipe.
    for number, text in enumerate(iter(lines.readline, ""), 1):
        try:
            with _nothing_to_read():
                session.run_next(line.words(text))
        except (KeyboardInterrupt, click.Abort):
            return errors.INTERRUPTED
        except BrokenPipeError:
            raise
        except Exception as error:
            return tell(error, f"line {number}: ")
        if session.ended:
            break
    return errors.OK


@contextmanager
def _nothing_to_read() -> Iterator[None]:
    """Commands have an empty standard input: what is there are the next commands, no secrets and no answers."""
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO())
    try:
        yield
    finally:
        sys.stdin = before
