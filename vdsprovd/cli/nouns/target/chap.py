"""`vdsprovctl target chap`: the secrets with which initiators and a target authenticate each other."""

import sys

import click

from vdsprovd.cli.nouns.target.noun import NAMED, target, title
from vdsprovd.cli.objects import TARGET, find
from vdsprovd.cli.session import Session

chap = target.noun("chap", "CHAP secrets of a target, which can be set and never read.")

_SET = ("IscsiTarget.SetSharedSecret", "IscsiTarget.RememberInitiatorSharedSecret")

_initiator = click.option("--initiator", metavar="IQN", help="Only for this initiator.")
_mutual = click.option(
    "--mutual", is_flag=True, help="The secret with which the target answers that initiator (mutual CHAP)."
)


@chap.verb("set", "set the CHAP secret of target {target}", *_SET)
@click.argument("target", type=NAMED)
@_initiator
@_mutual
@click.pass_obj
def set_(session: Session, target: str, initiator: str | None, mutual: bool) -> None:
    """Set the CHAP secret with which a target authenticates initiators: 12 to 16 bytes.

    It is asked for at a terminal, and elsewhere read from standard input; every user of the host could read it among the
    arguments. Without --initiator it is that of all initiators which have none of their own. The CHAP name is the
    initiator's iSCSI name, and with --mutual the target's.
    """
    _check(initiator, mutual)
    entry = find(session.client, TARGET, target)
    _set(session, entry["id"], _secret(), initiator, mutual)
    click.echo(f"The CHAP secret of {title(entry)} is set{_whose(initiator, mutual)}.")


@chap.verb("clear", "clear the CHAP secret of target {target}", *_SET)
@click.argument("target", type=NAMED)
@_initiator
@_mutual
@click.pass_obj
def clear(session: Session, target: str, initiator: str | None, mutual: bool) -> None:
    """Clear a CHAP secret."""
    _check(initiator, mutual)
    entry = find(session.client, TARGET, target)
    _set(session, entry["id"], None, initiator, mutual)
    click.echo(f"The CHAP secret of {title(entry)} is cleared{_whose(initiator, mutual)}.")


def _check(initiator: str | None, mutual: bool) -> None:
    if mutual and not initiator:
        raise click.UsageError("--mutual needs --initiator: each has a secret of its own")


def _set(session: Session, id: str, secret: str | None, initiator: str | None, mutual: bool) -> None:
    if mutual:
        session.client.call(
            "IscsiTarget.RememberInitiatorSharedSecret",
            id=id,
            initiatorName=initiator,
            initiatorSharedSecret=secret,
        )
    else:
        session.client.call("IscsiTarget.SetSharedSecret", id=id, targetSharedSecret=secret, initiatorName=initiator)


def _secret() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("CHAP secret", hide_input=True, confirmation_prompt=True, err=True))
    # A file that an editor made ends in a newline, which nobody means.
    secret = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    if not secret:
        raise click.UsageError("there is no secret on standard input")
    return secret


def _whose(initiator: str | None, mutual: bool) -> str:
    return f" for {initiator}{', mutual' if mutual else ''}" if initiator else ""
