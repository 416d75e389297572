"""`vdsprovctl diskraid`: DiskRAID's language, at a terminal and in scripts."""

import codecs
import sys

import click

from vdsprovd.cli import errors
from vdsprovd.cli.session import Session as Daemon
from vdsprovd.diskraid.problems import INTERRUPTED, OK, STATUSES, NoScript


@click.command(
    context_settings={"help_option_names": ["-h", "--help", "/?"]},
    epilog="\b\nExit status:\n" + "\n".join(f"  {status:3}  {meaning}" for status, meaning in STATUSES.items()),
)
@click.option(
    "--script",
    "-s",
    "/s",
    "/S",
    metavar="FILE",
    type=click.Path(readable=False, allow_dash=True),
    help="Carry out the commands in FILE; - is standard input.",
)
@click.option(
    "--verbose", "-v", "/v", "/V", is_flag=True, help="Show each command of a script before it is carried out."
)
@click.option(
    "--encoding",
    metavar="NAME",
    callback=lambda _context, _option, value: _known(value),
    help="What a script is in that is neither UTF-8 nor UTF-16; cp850 if not given, and cp1252 is Windows' ANSI.",
)
@click.pass_obj
def diskraid(daemon: Daemon, script: str | None, verbose: bool, encoding: str | None) -> int:
    """Carry out commands in the language of Windows' DiskRAID. HELP lists them.

    A script stops at the first error, unless the command has NOERR. Windows' scripts run as they are, in UTF-8, UTF-16
    or an OEM code page. Commands that are piped in are a script, too.
    """
    from vdsprovd.diskraid import script as scripts
    from vdsprovd.diskraid.commands import FORMS
    from vdsprovd.diskraid.session import Session

    if script is None and sys.stdin.isatty():
        from vdsprovd.diskraid import console

        session = Session(daemon.socket, FORMS, person=console.Console(), verbose=verbose)
        try:
            console.run(session)
        except Exception:
            return session.fatal()
        return OK
    name = script or scripts.STDIN
    session = Session(daemon.socket, FORMS, verbose=verbose)
    try:
        lines = scripts.read(name, encoding)
        if scripts.reveals(name, lines):
            errors.warn(f"{name} has secrets, and others can read it: chmod 600 {name}")
        return scripts.run(session, lines, name, _show if verbose else None)
    except NoScript as problem:
        click.echo(f"vdsprovctl: {problem}", err=True)
        return problem.status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception:
        return session.fatal()
    finally:
        session.close()


def _known(encoding: str | None) -> str | None:
    """The name of an encoding, if it is one."""
    try:
        return encoding and codecs.lookup(encoding).name
    except LookupError:
        raise click.BadParameter(f"there is no encoding {encoding!r}") from None


def _show(line: str) -> None:
    from vdsprovd.diskraid.lexer import without_secrets

    click.echo(f"\nDISKRAID> {without_secrets(line.strip())}")
