"""`vdsprovctl events`: an advise sink for people and scripts."""

from datetime import datetime
from typing import Any

import click

from vdsprovd.cli import errors
from vdsprovd.cli.output import print_json
from vdsprovd.cli.session import Session


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line.")
@click.pass_obj
def events(session: Session, as_json: bool) -> None:
    """Follow what changes, whoever changes it: a line for each notification.

    A line has the time when it came, the event, the type of the object and its id. With --json it has the keys time,
    event, objectType, id, and epoch and sequence: the sequence numbers what changed together, within an epoch, which is
    one run of the daemon.

    Once standard error says that events are followed, nothing is missed: list what there is then. When events come
    faster than they are read, some are dropped: standard error says so, with --json also a line with "overrun": true;
    list again then. Ctrl-C ends it, with status 0.
    """
    try:
        with errors.cannot("follow the events"), session.connect() as client:
            for reply in client.stream("Service.Advise"):
                _show(session, reply, as_json)
    except KeyboardInterrupt:
        # Nothing was cut short: there is no other end than this one.
        return


def _show(session: Session, reply: dict[str, Any], as_json: bool) -> None:
    now = datetime.now().astimezone()
    place = {"epoch": reply["epoch"], "sequence": reply["sequence"]}
    if reply.get("established"):
        errors.note(f"following the events of {session.socket}; Ctrl-C ends it")
    if reply.get("overrun"):
        errors.warn("events were dropped, because they came too fast; list again what you keep track of")
        if as_json:
            print_json({"time": now.isoformat(timespec="milliseconds"), "overrun": True, **place}, pretty=False)
    for notification in reply.get("notifications", ()):
        if as_json:
            print_json({"time": now.isoformat(timespec="milliseconds"), **notification, **place}, pretty=False)
        else:
            what, kind, id = notification["event"], notification["objectType"], notification["id"]
            click.echo(f"{now:%Y-%m-%d %H:%M:%S}  {what:<19}  {kind:<12}  {id}")
