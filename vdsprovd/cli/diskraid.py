"""`vdsprovctl diskraid`: DiskRAID's language, at a terminal and in scripts."""

import re
import sys

import click

from vdsprovd.cli.session import Session as Daemon
from vdsprovd.diskraid.problems import INTERRUPTED, OK, STATUSES, NoScript

_SECRET = re.compile(r'(\bsec\w*\s*=\s*)("[^"]*"?|\S+)', re.IGNORECASE)


@click.command(
    context_settings={"help_option_names": ["-h", "--help", "/?"]},
    epilog="\b\nExit status:\n" + "\n".join(f"  {status:3}  {meaning}" for status, meaning in STATUSES.items()),
)
@click.option("--script", "-s", "/s", "/S", metavar="FILE", help="Carry out the commands in FILE; - is standard input.")
@click.option(
    "--verbose", "-v", "/v", "/V", is_flag=True, help="Show each command of a script before it is carried out."
)
@click.pass_obj
def diskraid(daemon: Daemon, script: str | None, verbose: bool) -> int:
    """Carry out commands in the language of Windows' DiskRAID. HELP lists them.

    A script stops at the first error, unless the command has NOERR. Windows' scripts run as they are, in UTF-8, UTF-16
    or an OEM code page. Commands that are piped in are a script, too.
    """
    from vdsprovd.diskraid import script as scripts  # noqa: PLC0415
    from vdsprovd.diskraid.commands import FORMS  # noqa: PLC0415
    from vdsprovd.diskraid.session import Session  # noqa: PLC0415

    if script is None and sys.stdin.isatty():
        from vdsprovd.diskraid import console  # noqa: PLC0415

        session = Session(daemon.socket, FORMS, person=console.Console(), verbose=verbose)
        try:
            console.run(session)
        except Exception:
            return session.fatal()
        return OK
    name = script or scripts.STDIN
    session = Session(daemon.socket, FORMS, verbose=verbose)
    try:
        return scripts.run(session, scripts.read(name), name, _show if verbose else None)
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


def _show(line: str) -> None:
    # The secrets in it are not for whoever reads the output.
    shown = _SECRET.sub(r"\1***", line.strip())
    click.echo(f"\nDISKRAID> {shown}")
