"""What is told of a line that failed, and its exit status."""

import traceback

import click

from vdsprovd.cli import errors
from vdsprovd.shell.commands import Command, form, key


class Told(errors.Failure):
    """A command failed, and has told why."""


def wrong(command: Command, error: click.UsageError) -> errors.Failure:
    """The failure for a command that was written wrong, in the words of the shell rather than those of click."""
    text = error.format_message()
    if isinstance(error, click.MissingParameter) and error.param:
        text = f"{key(error.param)} is missing: {form(error.param)}"
    elif isinstance(error, click.BadParameter) and error.param:
        text = f"{key(error.param)}: {error.message}"
    return errors.Failure(f"{command.name}: {text}", errors.USAGE)


def tell(error: Exception, where: str = "") -> int:
    """Tell a person what went wrong, and give the exit status. What is none of ours is a bug, and shown whole."""
    if isinstance(error, Told):
        return error.status
    if isinstance(error, errors.Failure):
        errors.note(f"{where}{error}")
        return error.status
    if isinstance(error, ValueError | click.ClickException):
        errors.note(f"{where}{error}")
        return errors.USAGE
    click.echo("".join(traceback.format_exception(error)).rstrip(), err=True)
    errors.note(f"{where}this is a mistake in vdsprovctl; please report it")
    return errors.FAILED
