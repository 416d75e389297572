"""What goes wrong, as one message and one exit status. This is the only place that decides on either."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from vdsprovd.client import Unreachable
    from vdsprovd.hresult import VdsError

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
CORRUPT: Final = 4
DENIED: Final = 5
NOT_FOUND: Final = 6
IN_THE_WAY: Final = 7
BUSY: Final = 8
NO_SPACE: Final = 9
UNSUPPORTED: Final = 10
INVALID: Final = 11
BROKEN: Final = 12
CANCELLED: Final = 13
UNCONFIRMED: Final = 14
INTERRUPTED: Final = 130

STATUSES: Final = {
    OK: "done",
    FAILED: "the daemon or the kernel failed, or an operation did",
    USAGE: "the command line is wrong, or a name could mean several objects",
    UNREACHABLE: "the daemon cannot be reached, or went away",
    CORRUPT: "the provider's cache is corrupt: run vdsprovctl recover",
    DENIED: "you may not do this",
    NOT_FOUND: "there is no such object, or no longer",
    IN_THE_WAY: "what there is stands in the way, such as a name that is taken",
    BUSY: "something else is under way: try again",
    NO_SPACE: "there is not enough space, or there are not enough drives",
    UNSUPPORTED: "this cannot be done, or not with this object",
    INVALID: "a value is not valid",
    BROKEN: "the object has failed, and must be recovered or replaced first",
    CANCELLED: "the operation was cancelled, or it was too late to cancel it",
    UNCONFIRMED: "not confirmed: nothing was changed",
    INTERRUPTED: "interrupted with Ctrl-C",
}

# By the symbol of a VDS error; one that is not here is FAILED.
CLASSES: Final = {
    "VDS_E_PROVIDER_CACHE_CORRUPT": CORRUPT,
    "E_ACCESSDENIED": DENIED,
    "VDS_E_OBJECT_NOT_FOUND": NOT_FOUND,
    "VDS_E_OBJECT_DELETED": NOT_FOUND,
    "VDS_E_NO_IMPORT_TARGET": NOT_FOUND,
    "VDS_E_NAME_NOT_UNIQUE": IN_THE_WAY,
    "VDS_E_OBJECT_EXISTS": IN_THE_WAY,
    "VDS_E_ASSOCIATED_LUNS_EXIST": IN_THE_WAY,
    "VDS_E_ASSOCIATED_PORTALS_EXIST": IN_THE_WAY,
    "VDS_E_ANOTHER_CALL_IN_PROGRESS": BUSY,
    "VDS_E_OPERATION_PENDING": BUSY,
    "VDS_E_INITIALIZE_NOT_CALLED": BUSY,
    "VDS_E_PROVIDER_EXITING": BUSY,
    "VDS_E_NOT_ENOUGH_SPACE": NO_SPACE,
    "VDS_E_NOT_ENOUGH_DRIVE": NO_SPACE,
    "E_OUTOFMEMORY": NO_SPACE,
    "VDS_E_NOT_SUPPORTED": UNSUPPORTED,
    "E_NOTIMPL": UNSUPPORTED,
    "VDS_E_INVALID_OPERATION": UNSUPPORTED,
    "VDS_E_INITIATOR_SPECIFIC_NOT_SUPPORTED": UNSUPPORTED,
    "E_INVALIDARG": INVALID,
    "VDS_E_OBJECT_STATUS_FAILED": BROKEN,
    "VDS_E_OPERATION_CANCELED": CANCELLED,
    "VDS_E_CANCEL_TOO_LATE": CANCELLED,
}


class Failure(Exception):
    """Ends the command with a message and an exit status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@contextmanager
def cannot(purpose: str) -> Iterator[None]:
    """Turn what goes wrong inside into a `Failure`: "cannot <purpose>: ...". The innermost purpose is told."""
    # Every command that comes here has imported the client; --version and --help have not.
    from vdsprovd.client import Unreachable
    from vdsprovd.hresult import VdsError

    try:
        yield
    except VdsError as error:
        raise Failure(f"cannot {purpose}: {error}{_advice(error)}", _status(error)) from error
    except Unreachable as error:
        raise Failure(_unreachable(purpose, error), UNREACHABLE) from error
    except Failure as failure:
        if str(failure).startswith("cannot "):
            raise
        raise Failure(f"cannot {purpose}: {failure}", failure.status) from failure


def warn(message: str) -> None:
    """Print a warning to standard error."""
    click.echo(f"vdsprovctl: {click.style('warning', fg='yellow')}: {message}", err=True)


def note(message: str) -> None:
    """Tell something beside the output, on standard error."""
    click.echo(f"vdsprovctl: {message}", err=True)


def _status(error: VdsError) -> int:
    return CLASSES.get(error.code.name, FAILED)


def _advice(error: VdsError) -> str:
    if _status(error) == CORRUPT and "vdsprovctl recover" not in error.message:
        return "\nRun: vdsprovctl recover"
    return ""


def _unreachable(purpose: str, error: Unreachable) -> str:
    if error.connected:
        return (
            f"cannot {purpose}: vdsprovd at {error.socket} closed the connection ({error.reason})\n"
            "Look at its log: journalctl -u vdsprovd"
        )
    if isinstance(error.__cause__, PermissionError):
        advice = "Are you in the group vdsprov? See: id"
    elif error.socket.startswith("ssh://"):
        host = error.socket.removeprefix("ssh://").partition("/")[0]
        if isinstance(error.__cause__, ConnectionRefusedError):
            advice = f"Is the service running on {host}? See there: systemctl status vdsprovd"
        else:
            advice = (
                f"Can ssh log in to {host}, and is vdsprovctl installed there? Try: ssh {host} vdsprovctl --version"
            )
    elif isinstance(error.__cause__, FileNotFoundError):
        advice = "Is the service running? See: systemctl status vdsprovd\nIs the socket elsewhere? Then give --socket"
    else:
        advice = "Is the service running? See: systemctl status vdsprovd"
    if not error.socket.startswith("ssh://"):
        advice += "\nMore is found by: vdsprovctl doctor"
    return f"cannot {purpose}: cannot connect to vdsprovd at {error.socket}: {error.reason}\n{advice}"
