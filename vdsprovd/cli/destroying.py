"""Asking before something is destroyed: what will be lost is named first.

At a terminal the user confirms; elsewhere --yes does, or nothing happens. --dry-run only tells.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from vdsprovd.cli import errors
from vdsprovd.cli.output import print_json, wrapped
from vdsprovd.cli.queries import connected

if TYPE_CHECKING:
    from vdsprovd.client import Client


@dataclass(frozen=True)
class Consent:
    """What the user said in advance, and how it is told what would be lost."""

    yes: bool
    dry_run: bool
    as_json: bool

    @property
    def asks(self) -> bool:
        """Whether the losses will be told, and are worth finding out."""
        return self.dry_run or not self.yes

    def given(self, action: str, losses: Sequence[str]) -> bool:
        """Whether to go on; false for --dry-run, which has told then. Raises `Failure` if the user does not want it.

        `action` is what is about to be done, such as "delete LUN web0"; `losses` what is lost by it, a line each.
        """
        if self.dry_run and self.as_json:
            print_json({"would": action, "losses": losses})
        elif self.dry_run or not self.yes:
            lines = wrapped(f"{'Would' if self.dry_run else 'About to'} {action}.", "", "  ")
            for loss in losses:
                lines += wrapped(loss, "  ", "    ")
            click.echo("\n".join(lines), err=not self.dry_run)
        if self.dry_run:
            return False
        if self.yes:
            return True
        if not sys.stdin.isatty():
            raise errors.Failure("there is nobody to confirm it; give --yes", errors.UNCONFIRMED)
        if not click.confirm("Go on?", err=True):
            raise errors.Failure("not confirmed; nothing was changed", errors.UNCONFIRMED)
        return True


def sessions(client: Client, sub_system: str) -> list[str]:
    """The sessions with a subsystem's targets that would end, a line for each target that has any."""
    found = connected(client, client.targets(sub_system))
    lines = [
        f"{target['iscsiName']}: connected now: {', '.join(target['connectedInitiators'])}"
        for target in found
        if target["connectedInitiators"]
    ]
    return lines or ["Nobody is connected now."]


def options(function: Callable[..., None]) -> Callable[..., None]:
    """--yes, --dry-run and --json, given to a command that destroys as `consent`."""

    @wraps(function)
    def destroying(*arguments: Any, yes: bool, dry_run: bool, as_json: bool, **parameters: Any) -> None:
        function(*arguments, consent=Consent(yes, dry_run, as_json), **parameters)

    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print what was done, or would be, as JSON."),
        click.option("--dry-run", is_flag=True, help="Tell what would be lost, and change nothing."),
        click.option("-y", "--yes", is_flag=True, help="Do not ask; needed where there is no terminal."),
    ):
        destroying = option(destroying)
    return destroying
