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
INTERRUPTED: Final = 130

STATUSES: Final = {
    OK: "done",
    FAILED: "the daemon answered with an error, or the operation failed",
    USAGE: "the command line is wrong",
    UNREACHABLE: "the daemon cannot be reached, or went away",
    CORRUPT: "the provider's cache is corrupt: run vdsprovctl recover",
    DENIED: "you may not do this",
    INTERRUPTED: "interrupted with Ctrl-C",
}


class Failure(Exception):
    """Ends the command with a message and an exit status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@contextmanager
def cannot(purpose: str) -> Iterator[None]:
    """Turn what goes wrong inside into a `Failure`: "cannot <purpose>: ..."."""
    # Every command that comes here has imported the client; --version and --help have not.
    from vdsprovd.client import Unreachable  # noqa: PLC0415
    from vdsprovd.hresult import VdsError  # noqa: PLC0415

    try:
        yield
    except VdsError as error:
        raise Failure(f"cannot {purpose}: {error}{_advice(error)}", _status(error)) from error
    except Unreachable as error:
        raise Failure(_unreachable(purpose, error), UNREACHABLE) from error


def warn(message: str) -> None:
    """Print a warning to standard error."""
    click.echo(f"vdsprovctl: {click.style('warning', fg='yellow')}: {message}", err=True)


def note(message: str) -> None:
    """Tell something beside the output, on standard error."""
    click.echo(f"vdsprovctl: {message}", err=True)


def _status(error: VdsError) -> int:
    return {"VDS_E_PROVIDER_CACHE_CORRUPT": CORRUPT, "E_ACCESSDENIED": DENIED}.get(error.code.name, FAILED)


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
    elif isinstance(error.__cause__, FileNotFoundError):
        advice = "Is the service running? See: systemctl status vdsprovd\nIs the socket elsewhere? Then give --socket"
    else:
        advice = "Is the service running? See: systemctl status vdsprovd"
    return f"cannot {purpose}: cannot connect to vdsprovd at {error.socket}: {error.reason}\n{advice}"
