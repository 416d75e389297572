"""`vdsprovctl adopt`: take over what targetcli exports, while initiators use it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from vdsprovd.cli import destroying, errors
from vdsprovd.cli.destroying import Consent
from vdsprovd.cli.objects import Object
from vdsprovd.cli.output import counted, print_json, wrapped
from vdsprovd.cli.session import Session
from vdsprovd.cli.verbs import Verb


@click.command(
    cls=Verb,
    purpose="adopt {targets}",
    calls=("Service.QueryAdoption", "Service.Adopt"),
    epilog="""\b
Examples:
  vdsprovctl adopt --dry-run
  vdsprovctl adopt iqn.2003-01.org.example:web
  vdsprovctl adopt --yes --json""",
)
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@destroying.options
@click.pass_obj
def adopt(session: Session, targets: tuple[str, ...], consent: Consent) -> None:
    """Take over what targetcli exports, while initiators use it: targets, by their iSCSI names, with the disks behind
    them, or without names everything that is not the daemon's yet.

    The plan comes first: what each object becomes, what is different after the next boot, and what stays as it is and why.
    Then the bytes get their place in a pool, by a new name, and the daemon keeps the rest: numbers, serial numbers, ACLs,
    CHAP, portals. Sessions go on. An adoption that fails, or is cut off, changes nothing.

    Keep targetcli's service from restoring its file at boot afterwards; the plan says how, where it would.
    """
    plan = session.client.call("Service.QueryAdoption", targets=targets)
    adopted = [entry for entry in plan["objects"] if entry.get("adopted")]
    if consent.as_json and consent.dry_run:
        print_json(plan)
        return
    if not consent.as_json:
        click.echo(_text(plan["objects"], plan.get("notes", ())))
    if not adopted and not consent.dry_run and plan["objects"]:
        raise errors.Failure("none of it can be; the plan says why", errors.UNSUPPORTED)
    if consent.dry_run or not plan["objects"]:
        return
    if not consent.yes:
        if not sys.stdin.isatty():
            raise errors.Failure("there is nobody to confirm it; give --yes", errors.UNCONFIRMED)
        if not click.confirm(f"Adopt {_count(adopted)}?", err=True):
            raise errors.Failure("not confirmed; nothing was changed", errors.UNCONFIRMED)
    made = session.client.call("Service.Adopt", digest=plan["digest"], targets=targets)
    if consent.as_json:
        print_json({"adopted": made, "plan": plan})
    else:
        click.echo(f"Adopted {_count(adopted)}.")


def _count(adopted: Sequence[Object]) -> str:
    targets = sum(entry["type"] == "target" for entry in adopted)
    return f"{counted(len(adopted) - targets, 'LUN')} and {counted(targets, 'target')}"


def _text(objects: Sequence[Object], notes: Sequence[str]) -> str:
    if not objects:
        return "Nothing to adopt: all of it is the daemon's."
    from vdsprovd.cli.sizes import size
    from vdsprovd.cli.tables import Column, table  # rich takes longer than a list

    columns = [
        Column("NAME", lambda entry: entry["name"], cut=True),
        Column("SIZE", lambda entry: size(entry["size"]) if entry.get("size") else "", right=True),
        Column("BECOMES", lambda entry: entry["becomes"] if entry.get("adopted") else "stays as it is", cut=True),
    ]
    parts = [table(columns, objects, whole=False)]
    adopted = [entry for entry in objects if entry.get("adopted")]
    parts += _listed("Different after the next boot; until then it stays as it is:", adopted, "lapses")
    parts += _listed("Not adopted:", [entry for entry in objects if entry not in adopted], "obstacles")
    parts += ["\n".join(wrapped(note, f"{click.style('Note', fg='yellow')}: ", "      ")) for note in notes]
    return "\n\n".join(parts)


def _listed(heading: str, objects: Sequence[Object], field: str) -> list[str]:
    lines = []
    for entry in objects:
        if texts := entry.get(field):
            lines += wrapped(entry["name"], "  ", "  ")
            lines += [line for text in texts for line in wrapped(text, "    - ", "      ")]
    return ["\n".join([heading, *lines])] if lines else []
