"""`identify`, `spin-down`, `spin-up` and `ping`: the maintenance verbs, which several nouns have."""

import click

from vdsprovd.cli.objects import Kind, Named, find
from vdsprovd.cli.session import Session
from vdsprovd.cli.verbs import Noun

_START = "Maintenance.StartMaintenance"
_LIGHT = "blink_light"


def add_lights(noun: Noun, kind: Kind) -> None:
    """Add `identify`: the lights of the object's drives."""

    @noun.verb(
        "identify",
        f"identify {kind.noun} {{what}}",
        _START,
        "Maintenance.StopMaintenance",
        "Maintenance.PulseMaintenance",
    )
    @click.argument("what", type=Named(kind))
    @click.option("--stop", is_flag=True, help="Let it blink no longer.")
    @click.option(
        "--pulses", type=click.IntRange(min=1), metavar="N", help="Let it go on for so many pulses, and stop."
    )
    @click.pass_obj
    def identify(session: Session, what: str, stop: bool, pulses: int | None) -> None:
        """Let the lights at the drives' slots blink, so that they are found in the rack, until --stop."""
        if stop and pulses:
            raise click.UsageError("--stop and --pulses do not go together")
        client = session.client
        entry = find(client, kind, what)
        if stop:
            reply = client.call("Maintenance.StopMaintenance", id=entry["id"], operation=_LIGHT)
        elif pulses:
            client.call(_START, id=entry["id"], operation=_LIGHT)
            reply = client.call("Maintenance.PulseMaintenance", id=entry["id"], operation=_LIGHT, count=pulses)
        else:
            reply = client.call(_START, id=entry["id"], operation=_LIGHT)
        lights = f"The lights of {kind.noun} {kind.name(entry)}"
        if reply.get("hresult"):
            click.echo(f"{lights} did not blink.")
        else:
            click.echo(f"{lights} {'stopped' if stop else f'blink {pulses} times' if pulses else 'blink'}.")


def add_motors(noun: Noun, kind: Kind) -> None:
    """Add `spin-down` and `spin-up`: the motors of the object's drives."""

    @noun.verb("spin-down", f"spin down {kind.noun} {{what}}", _START)
    @click.argument("what", type=Named(kind))
    @click.pass_obj
    def spin_down(session: Session, what: str) -> None:
        """Stop the motors of the drives; they start again when they are read or written."""
        _do(session, kind, what, "spin_down", "spun down")

    @noun.verb("spin-up", f"spin up {kind.noun} {{what}}", _START)
    @click.argument("what", type=Named(kind))
    @click.pass_obj
    def spin_up(session: Session, what: str) -> None:
        """Start the motors of the drives."""
        _do(session, kind, what, "spin_up", "spun up")


def add_ping(noun: Noun, kind: Kind) -> None:
    """Add `ping`: whether the hardware answers."""

    @noun.verb("ping", f"ping {kind.noun} {{what}}", _START)
    @click.argument("what", type=Named(kind))
    @click.pass_obj
    def ping(session: Session, what: str) -> None:
        """Ask the hardware for a sign of life; fails if there is none."""
        _do(session, kind, what, "ping", "answers")


def _do(session: Session, kind: Kind, what: str, operation: str, done: str) -> None:
    entry = find(session.client, kind, what)
    session.client.call(_START, id=entry["id"], operation=operation)
    click.echo(f"{kind.noun[0].upper()}{kind.noun[1:]} {kind.name(entry)} {done}.")
