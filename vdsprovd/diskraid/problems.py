"""What goes wrong, with DiskRAID's exit status for it. Exceptions that are not here are bugs: status 1."""

from typing import Final

OK: Final = 0
FATAL: Final = 1
ARGUMENTS: Final = 2
NO_FILE: Final = 3
SERVICE_FAILED: Final = 4
COMMAND_WRONG: Final = 5
INTERRUPTED: Final = 130
"""Ctrl-C: DiskRAID documents none, and this is what a shell expects."""

STATUSES: Final = {
    OK: "the script ran to its end without an error, or EXIT was reached",
    FATAL: "a fatal exception occurred",
    ARGUMENTS: "the arguments are wrong",
    NO_FILE: "the script cannot be opened",
    SERVICE_FAILED: "vdsprovd or open-iscsi failed, or vdsprovd cannot be reached",
    COMMAND_WRONG: "a command is wrong, or its object not selected, or of no use to it",
    INTERRUPTED: "interrupted with Ctrl-C",
}


class Problem(Exception):
    """A command that was not carried out; its text is for people."""

    status = SERVICE_FAILED


class Mistake(Problem):
    """The line is no command of DiskRAID's. NOERR does not help: the line is wrong, whatever the array has."""

    status = COMMAND_WRONG


class NotSelected(Problem):
    """The command needs an object that is not selected, or one by a number that no object has."""

    status = COMMAND_WRONG


class HostFailed(Problem):
    """This host's initiator did not do as it was told."""


class NoScript(Problem):
    """The script cannot be read."""

    status = NO_FILE
