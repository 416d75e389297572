"""The command `vdsprovctl`: its options, and where its commands are.

A command's module is imported when it is called for: to start takes most of the time that a call takes.
"""

import importlib
import io
import os
import sys
from collections.abc import Sequence

import click

from vdsprovd import __version__
from vdsprovd.cli import errors
from vdsprovd.cli.session import Session

# Name, module, and the help that the list of commands shows; in the order in which one gets to know them.
COMMANDS = {
    "subsystem": ("nouns.subsystem", "Subsystems: a storage host, or one part of it."),
    "pool": ("nouns.pool", "Storage pools: where LUNs' bytes live."),
    "lun": ("nouns.lun", "LUNs: the disks that initiators see."),
    "target": ("nouns.target", "iSCSI targets: what initiators log in to."),
    "portal": ("nouns.portal", "Portals: addresses that targets can be reached at."),
    "import-target": ("nouns.import_target", "Import targets: where snapshots are attached."),
    "foreign": ("nouns.foreign", "What others have in this host's target."),
    "call": ("call", "Call any method of the API."),
    "events": ("events", "Follow what changes."),
    "diskraid": ("diskraid", "Carry out commands in DiskRAID's language."),
    "recover": ("recover", "Make a corrupt provider cache sound again."),
}


class Commands(click.Group):
    """The commands of the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"vdsprovd.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Whoever reads has read enough, such as head. Python flushes standard output once more at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return errors.OK

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nExit status:\n" + "\n".join(f"  {status:3}  {meaning}" for status, meaning in errors.STATUSES.items()),
)
@click.option(
    "--socket",
    metavar="PATH",
    envvar="VDSPROVD_SOCKET",
    default="/run/vdsprovd/org.vdsprov",
    show_default=True,
    show_envvar=True,
    help="The daemon's socket.",
)
@click.version_option(__version__, "-V", "--version", message="%(prog)s %(version)s")
@click.pass_context
def vdsprovctl(context: click.Context, socket: str) -> None:
    """Look at and control vdsprovd, which drives this host's iSCSI target."""
    context.obj = Session(socket)
    context.call_on_close(context.obj.close)
    if os.environ.get("NO_COLOR"):
        context.color = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command of the arguments (those of the process, if None); gives the exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name that the locale cannot show is no reason to show nothing.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return int(vdsprovctl.main(arguments, prog_name="vdsprovctl", standalone_mode=False) or errors.OK)
    except errors.Failure as failure:
        errors.note(str(failure))
        return failure.status
    except click.ClickException as error:
        error.show()
        return errors.USAGE
    except click.Abort:
        return errors.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
