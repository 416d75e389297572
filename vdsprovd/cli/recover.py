"""`vdsprovctl recover`: the two calls, in their order, that make a corrupt provider cache sound again."""

import sys
import time

import click

from vdsprovd.cli import errors
from vdsprovd.cli.output import print_json
from vdsprovd.cli.session import Session

STEPS = (
    ("HwProvider.Reenumerate", "discovering what there is"),
    ("HwProvider.Refresh", "reading every object anew"),
)


@click.command()
@click.option("--json", "as_json", is_flag=True, help='Print {"steps": [{"method": ..., "seconds": ...}]} at the end.')
@click.pass_obj
def recover(session: Session, as_json: bool) -> None:
    """Make a corrupt provider cache sound again: Reenumerate, then Refresh.

    Exports go on meanwhile. With a sound cache it does no harm: it looks for what changed. Where a step fails, the
    cache stays as it was.
    """
    done = []
    with errors.cannot("recover"), session.connect() as client:
        for method, purpose in STEPS:
            if not as_json:
                click.echo(f"{method}: {purpose} ... ", nl=False)
                sys.stdout.flush()
            begin = time.monotonic()
            try:
                with errors.cannot(f"recover: {method}"):
                    client.call(method)
            except errors.Failure:
                if not as_json:
                    click.echo("failed")
                raise
            seconds = round(time.monotonic() - begin, 3)
            done.append({"method": method, "seconds": seconds})
            if not as_json:
                click.echo(f"done in {seconds:.1f} s")
    if as_json:
        print_json({"steps": done})
    else:
        click.echo("The provider's cache is sound.")
