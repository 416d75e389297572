"""`vdsprovctl hint`: what is wished of a LUN, and what is in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vdsprovd.cli import views
from vdsprovd.cli.hints import KEYS, SIZES, parsed
from vdsprovd.cli.nouns.lun.noun import NAMED
from vdsprovd.cli.nouns.plex import find_plex
from vdsprovd.cli.objects import LUN, Object, find
from vdsprovd.cli.output import fields, json_option, tell
from vdsprovd.cli.session import Session
from vdsprovd.cli.sizes import size
from vdsprovd.cli.verbs import Noun

if TYPE_CHECKING:
    from vdsprovd.client import Client

hint = Noun("hint", help="Hints: what is wished of a LUN, and what is in force.")

_plex = click.option("--plex", metavar="PLEX", help="Of this plex alone: its place in the list, or its id.")


@hint.verb("show", "show the hints of LUN {lun}", "Lun2.QueryHints2", "Lun.QueryPlexes", "LunPlex.QueryHints")
@click.argument("lun", type=NAMED)
@_plex
@views.options
@click.pass_obj
def show(session: Session, how: views.How, lun: str, plex: str | None) -> None:
    """Show the hints in force, which need not be those that were wished."""
    views.show(session, how, lambda client: _read(client, lun, plex), _render, about=("lun", "lun_plex"))


@hint.verb(
    "set",
    "set hints of LUN {lun}",
    "Lun2.ApplyHints2",
    "Lun2.QueryHints2",
    "Lun.QueryPlexes",
    "LunPlex.ApplyHints",
    "LunPlex.QueryHints",
)
@click.argument("lun", type=NAMED)
@click.argument("hints", nargs=-1, required=True, metavar="KEY=VALUE...")
@_plex
@json_option("the hints in force then")
@click.pass_obj
def set_(session: Session, lun: str, hints: tuple[str, ...], plex: str | None, as_json: bool) -> None:
    wished = parsed(hints)
    client = session.client
    entry = find(client, LUN, lun)
    if plex is None:
        client.call("Lun2.ApplyHints2", id=entry["id"], hints2=wished)
    else:
        client.call("LunPlex.ApplyHints", id=find_plex(client, entry["id"], plex)["id"], hints=wished)
    now = _read(client, entry["id"], plex)
    tell(_render(now), now, as_json)


set_.help = f"""Wish something of a LUN; what is not named stays as it was. Shows what is in force then.

Sizes are written as for lun create, switches are true or false. The keys are VDS's: {", ".join(KEYS)}.
"""


def _read(client: Client, lun: str, plex: str | None) -> Object:
    id = find(client, LUN, lun)["id"]
    if plex is not None:
        id = find_plex(client, id, plex)["id"]
        hints: Object = client.call("LunPlex.QueryHints", id=id)["hints"]
    else:
        hints = client.call("Lun2.QueryHints2", id=id)["hints2"]
    return hints


def _render(found: Object) -> str:
    return fields(
        *(
            (key, size(value) if key in SIZES else str(value).lower())
            for key in KEYS
            if (value := found.get(key)) is not None
        )
    )
