"""`vdsprovctl operation`: what takes a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from vdsprovd.cli import views, waiting
from vdsprovd.cli.objects import Kind, Named, Object, find
from vdsprovd.cli.output import fields, json_option, tell
from vdsprovd.cli.session import Session
from vdsprovd.cli.verbs import Noun

if TYPE_CHECKING:
    from vdsprovd.client import Client

OPERATION: Final = Kind(
    "operation", "", "Service.QueryOperations", lambda entry: (entry["id"],), "vdsprovctl operation list --all"
)

operation = Noun("operation", help="Asynchronous operations: what takes a while, such as creating a LUN.")

NAMED = Named(OPERATION)

_PENDING = 0x80042409
_ABOUT = ("lun", "target", "portal_group", "drive")


@operation.verb("list", "list the operations", *OPERATION.lists)
@click.option("--all", "all_", is_flag=True, help="Also those that have ended.")
@views.options
@click.pass_obj
def list_(session: Session, how: views.How, all_: bool) -> None:
    """List the asynchronous operations that run, whoever started them.

    --watch shows them again whenever an object changes; nobody is told of progress. For that: operation wait.
    """

    def read(client: Client) -> list[Object]:
        return [entry for entry in OPERATION.listing(client) if all_ or entry["hresult"] == _PENDING]

    def render(found: list[Object]) -> str:
        if not found:
            return "No operations." if all_ else "No operation runs."
        from vdsprovd.cli.tables import Column, id_column, table  # as for LUNs

        return table(
            [
                id_column(how.long),
                Column("TYPE", lambda entry: entry["type"].replace("_", " ")),
                Column("SUBJECT", lambda entry: entry["subject"], cut=True),
                Column("DONE", lambda entry: f"{entry['percentCompleted']} %", right=True),
                Column("RESULT", _result, cut=True),
            ],
            found,
            whole=how.long,
        )

    views.show(session, how, read, render, about=_ABOUT)


@operation.verb("show", "show operation {operation}")
@click.argument("operation", type=NAMED)
@views.options
@click.pass_obj
def show(session: Session, how: views.How, operation: str) -> None:
    """Show an operation: what it works on, and how far it is. A thousand that have ended are remembered."""

    def render(found: Object) -> str:
        return fields(
            ("Id", found["id"]),
            ("Type", found["type"].replace("_", " ")),
            ("Subject", found["subject"]),
            ("Done", f"{found['percentCompleted']} %"),
            ("Result", _result(found)),
        )

    views.show(session, how, lambda client: find(client, OPERATION, operation), render, about=_ABOUT)


@operation.verb("wait", "wait for operation {operation}", "Async.Wait")
@click.argument("operation", type=NAMED)
@json_option("the operation's result")
@click.pass_obj
def wait(session: Session, operation: str, as_json: bool) -> None:
    """Wait until an operation is over; fails if it does. Prints the id of what it made, if anything.

    Ctrl-C asks whether to cancel the operation, as in the command that started it.
    """
    found = find(session.client, OPERATION, operation)
    result = waiting.wait(session, found["id"], found["type"].replace("_", " "))
    tell(result.get("object") or "done", result, as_json)


@operation.verb("cancel", "cancel operation {operation}", "Async.Cancel", "Async.Wait")
@click.argument("operation", type=NAMED)
@click.pass_obj
def cancel(session: Session, operation: str) -> None:
    """Ask an operation to stop and to undo what it did, and wait until it has."""
    from vdsprovd.hresult import Hresult, VdsError

    id = find(session.client, OPERATION, operation)["id"]
    session.client.call("Async.Cancel", id=id)
    try:
        waiting.wait(session, id, "undoing")
    except VdsError as error:
        if error.code is not Hresult.VDS_E_OPERATION_CANCELED:
            raise
    click.echo(f"Operation {id} was cancelled, and what it did is undone.")


def _result(entry: Object) -> str:
    from vdsprovd.client import hresult

    return "runs" if entry["hresult"] == _PENDING else hresult(entry["hresult"]).name
