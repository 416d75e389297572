"""`vdsprovctl lun rename`, `online`, `offline`, `recover`: a LUN's name and state."""

import click

from vdsprovd.cli import waiting
from vdsprovd.cli.nouns.lun.noun import NAMED, lun, title
from vdsprovd.cli.objects import LUN, find
from vdsprovd.cli.output import json_option
from vdsprovd.cli.session import Session
from vdsprovd.cli.states import add_rename, add_status, tell_state

add_rename(lun, LUN, "LunNaming", title, "Call a LUN by another NAME. Its id stays for life.")
add_status(lun, LUN, "online", title, "Let a LUN be reached again after it was set offline.")
add_status(lun, LUN, "offline", title, "Let nobody reach a LUN. Its data, its mask and its associations stay.")


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
    waiting.wait(session, operation, f"recovering {LUN.name(entry)}", entry["size"])
    tell_state(session.client, LUN, entry["id"], title, as_json)
