"""Waiting for asynchronous operations: the progress bar, what Ctrl-C does, and --no-wait."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from vdsprovd.cli import errors
from vdsprovd.cli.output import tell
from vdsprovd.cli.session import Session
from vdsprovd.cli.sizes import size as size_of

if TYPE_CHECKING:
    from vdsprovd.client import Client

_PATIENCE: Final = 0.3
"""Seconds for which there is no bar: what is over by then needs none."""

no_wait_option: Final = click.option(
    "--no-wait", is_flag=True, help="Print the operation's id, and leave it running; see vdsprovctl operation."
)


def left_running(operation: str, as_json: bool) -> None:
    """What --no-wait prints: the id alone, for a script to keep."""
    tell(operation, {"operation": operation}, as_json)


def wait(session: Session, operation: str, doing: str, size: int | None = None) -> dict[str, Any]:
    """Wait for the operation and give its result; its failure is raised as `VdsError`.

    `doing` is its name for people and `size` the bytes that it works on, for the rate. At a terminal there is a progress
    bar, and Ctrl-C asks whether to cancel the operation.
    """
    while True:
        try:
            with _bar(doing, size) as show:
                return session.client.wait(operation, show)
        except KeyboardInterrupt:
            # The interrupted call has broken its connection.
            session.close()
            _interrupted(session, operation, doing)


def _interrupted(session: Session, operation: str, doing: str) -> None:
    """Cancel the operation if the user wants that; otherwise leave it running, and end."""
    try:
        if sys.stdin.isatty() and sys.stderr.isatty() and _cancelling(doing):
            _cancel(session.client, operation)
            return
    except (KeyboardInterrupt, click.Abort):
        click.echo(err=True)
    errors.note(f"the operation goes on; to wait for it again: vdsprovctl operation wait {operation}")
    raise click.Abort


def _cancelling(doing: str) -> bool:
    answer = click.prompt(
        f"{doing}: cancel it and undo what it did, or leave it running?",
        type=click.Choice(["cancel", "leave"]),
        default="leave",
        err=True,
    )
    return bool(answer == "cancel")


def _cancel(client: Client, operation: str) -> None:
    from vdsprovd.hresult import Hresult, VdsError

    try:
        client.call("Async.Cancel", id=operation)
    except VdsError as error:
        if error.code not in (Hresult.VDS_E_CANCEL_TOO_LATE, Hresult.VDS_E_NOT_SUPPORTED):
            raise
        errors.note(f"it is not cancelled: {error}")


@contextmanager
def _bar(doing: str, size: int | None) -> Iterator[Callable[[int], None] | None]:
    """A progress bar on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    bar = _Bar(doing, size)
    try:
        yield bar.show
    finally:
        bar.close()


class _Bar:
    """A progress bar that comes when the operation takes a while, and goes when it is over."""

    def __init__(self, doing: str, size: int | None) -> None:
        self._doing = doing
        self._size = size
        self._begin = time.monotonic()
        self._progress: Any = None

    def show(self, percent: int) -> None:
        """Show so many hundredths."""
        if self._progress is None:
            if percent == 100 or time.monotonic() - self._begin < _PATIENCE:
                return
            self._progress = _progress(self._size)
            self._progress.start()
            self._progress.add_task(self._doing, total=self._size or 100, start=True)
        done = percent * self._size // 100 if self._size else percent
        self._progress.update(self._progress.task_ids[0], completed=done)

    def close(self) -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._progress.stop()


def _progress(size: int | None) -> Any:
    from rich import console, progress, text  # it takes long to load, and most operations end at once

    class Speed(progress.ProgressColumn):
        """Rich's own is in powers of 1000, and sizes are not."""

        def render(self, task: progress.Task) -> text.Text:
            return text.Text(f"{size_of(int(task.speed))}/s" if task.speed else "")

    columns: list[progress.ProgressColumn] = [
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
    ]
    if size:
        columns += [progress.DownloadColumn(binary_units=True), Speed()]
    columns += [progress.TimeRemainingColumn(), progress.TextColumn("left")]
    return progress.Progress(*columns, console=console.Console(stderr=True), transient=True)
