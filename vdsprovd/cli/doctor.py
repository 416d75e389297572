"""`vdsprovctl doctor`: whether this host is as the daemon needs it, also when the daemon does not run."""

from __future__ import annotations

from pathlib import Path

import click

from vdsprovd.cli import errors
from vdsprovd.cli.output import print_json, wrapped
from vdsprovd.cli.session import Session

CONFIGURATION = Path("/etc/vdsprovd/vdsprovd.toml")

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=CONFIGURATION,
    show_default=True,
    help="The daemon's configuration.",
)
@click.option("--json", "as_json", is_flag=True, help="Print an array with a line of each check as JSON.")
@click.pass_obj
def doctor(session: Session, config: Path, as_json: bool) -> int:
    """Check what the daemon needs of this host: modules, configfs, network, groups, time, devices, other tools.

    It only looks. Each line is ok, warn or fail, and says what to do next. It works when the daemon does not run; as root it
    sees more. It is about this host, whatever --host says.

    --json prints objects with the keys level, check, found and do.

    The exit status is 1 if a check failed.
    """
    from vdsprovd.cli.checks import Host, all_of  # most commands check nothing

    found = all_of(Host(), config, session.socket)
    if as_json:
        print_json([finding._asdict() for finding in found])
    else:
        width = max(len(finding.check) for finding in found)
        for finding in found:
            head = f"{finding.level:<4}  {finding.check:<{width}}  "
            space = " " * len(head)
            level = click.style(finding.level, fg=_COLOURS[finding.level], bold=True)
            lines = wrapped(finding.found, level + head[len(finding.level) :], space)
            lines += wrapped(finding.do, f"{space}-> ", f"{space}   ") if finding.do else []
            click.echo("\n".join(lines))
    return errors.FAILED if any(finding.level == "fail" for finding in found) else errors.OK
