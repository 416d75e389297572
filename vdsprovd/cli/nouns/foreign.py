"""`vdsprovctl foreign`: what others have in this host's target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vdsprovd.cli import views
from vdsprovd.cli.objects import Object
from vdsprovd.cli.session import Session
from vdsprovd.cli.verbs import Noun

if TYPE_CHECKING:
    from vdsprovd.client import Client

foreign = Noun("foreign", help="What others have in this host's target, which is left alone.")


@foreign.verb("list", "list what others have", "Service.QueryForeignObjects")
@views.options
@click.pass_obj
def list_(session: Session, how: views.How) -> None:
    """List what this host's target holds that is not the daemon's, and that it leaves alone: targetcli's, another
    daemon's.

    It is read from the kernel when it is asked for. Nobody is told when others change it.
    """

    def read(client: Client) -> list[Object]:
        found: list[Object] = client.call("Service.QueryForeignObjects")["objects"]
        return found

    def render(found: list[Object]) -> str:
        if not found:
            return "Nothing: all of it is the daemon's."
        from vdsprovd.cli.tables import Column, table  # rich takes longer than a list

        return table(
            [
                Column("TYPE", lambda entry: entry["type"].replace("_", " ")),
                Column("NAME", lambda entry: entry["name"], cut=True),
                Column("DETAIL", lambda entry: entry["detail"], cut=True),
            ],
            found,
            whole=how.long,
        )

    views.show(session, how, read, render, about=("sub_system", "lun", "target"))
