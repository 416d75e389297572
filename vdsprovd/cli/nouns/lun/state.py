"""`vdsprovctl lun rename`, `online`, `offline`, `recover`: a LUN's name and state."""

import click

from vdsprovd.cli import waiting
from vdsprovd.cli.nouns.lun.noun import NAMED, lun, title
from vdsprovd.cli.objects import LUN, find
from vdsprovd.cli.output import json_option, tell
from vdsprovd.cli.queries import rename as rename_object
from vdsprovd.cli.session import Session


@lun.verb("rename", "rename LUN {lun}", "LunNaming.SetFriendlyName")
@click.argument("lun", type=NAMED)
@click.argument("name")
@json_option("the LUN's properties")
@click.pass_obj
def rename(session: Session, lun: str, name: str, as_json: bool) -> None:
    """Call a LUN by another NAME. Its id stays for life."""
    now = rename_object(session.client, LUN, "LunNaming", find(session.client, LUN, lun), name)
    tell(f"Renamed {title(now)}.", now, as_json)


@lun.verb("online", "set LUN {lun} online", "Lun.SetStatus")
@click.argument("lun", type=NAMED)
@json_option("the LUN's properties")
@click.pass_obj
def online(session: Session, lun: str, as_json: bool) -> None:
    """Let a LUN be reached again after it was set offline."""
    _set_status(session, lun, "online", as_json)


@lun.verb("offline", "set LUN {lun} offline", "Lun.SetStatus")
@click.argument("lun", type=NAMED)
@json_option("the LUN's properties")
@click.pass_obj
def offline(session: Session, lun: str, as_json: bool) -> None:
    """Let nobody reach a LUN. Its data, its mask and its associations stay."""
    _set_status(session, lun, "offline", as_json)


def _set_status(session: Session, lun: str, status: str, as_json: bool) -> None:
    id = find(session.client, LUN, lun)["id"]
    session.client.call("Lun.SetStatus", id=id, status=status)
    now = session.client.call("Lun.GetProperties", id=id)["properties"]
    tell(f"{title(now)} is {now['status']}.", now, as_json)


@lun.verb("recover", "recover LUN {lun}", "Lun.Recover", "Async.Wait")
@click.argument("lun", type=NAMED)
@waiting.no_wait_option
@json_option("the LUN's properties")
@click.pass_obj
def recover(session: Session, lun: str, no_wait: bool, as_json: bool) -> None:
    """Rebuild what a lost drive took from a fault tolerant LUN, on free drives of its pool or on hot spares."""
    entry = find(session.client, LUN, lun)
    operation = session.client.call("Lun.Recover", id=entry["id"])["async"]
    if no_wait:
        waiting.left_running(operation, as_json)
        return
    waiting.wait(session, operation, f"recovering {entry['friendlyName'] or entry['id']}", entry["size"])
    now = session.client.call("Lun.GetProperties", id=entry["id"])["properties"]
    tell(f"{title(now)} is {now['health']}.", now, as_json)
