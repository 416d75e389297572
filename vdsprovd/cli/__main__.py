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
from vdsprovd.cli.session import Session, address, given

# Name, module, and the help that the list of commands shows; in the order in which one gets to know them.
COMMANDS = {
    "status": ("status", "Show on one screen how all is, and what to do."),
    "doctor": ("doctor", "Check what the daemon needs of this host."),
    "recover": ("recover", "Make a corrupt provider cache sound again."),
    "events": ("events", "Follow what changes."),
    "shell": ("shell", "Walk through it all as through folders."),
    "lun": ("nouns.lun", "LUNs: the disks that initiators see."),
    "target": ("nouns.target", "iSCSI targets: what initiators log in to."),
    "portal-group": ("nouns.portal_group", "Portal groups: where a target can be logged in to."),
    "portal": ("nouns.portal", "Portals: addresses that targets can be reached at."),
    "pool": ("nouns.pool", "Storage pools: where LUNs' bytes live."),
    "drive": ("nouns.drive", "Drives: disks that are a pool's, hot spares, or free."),
    "plex": ("nouns.plex", "Plexes: copies of a LUN's bytes."),
    "hint": ("nouns.hint", "Hints: what is wished of a LUN."),
    "subsystem": ("nouns.subsystem", "Subsystems: a storage host, or one part of it."),
    "controller": ("nouns.controller", "Controllers: the host as a node that serves LUNs."),
    "controller-port": ("nouns.controller_port", "Ports of controllers."),
    "import-target": ("nouns.import_target", "Import targets: where snapshots are attached."),
    "operation": ("nouns.operation", "Asynchronous operations: what takes a while."),
    "provider": ("nouns.provider", "The daemon itself, as VDS sees it."),
    "foreign": ("nouns.foreign", "What others have in this host's target."),
    "adopt": ("adopt", "Take over what targetcli exports, while initiators use it."),
    "export": ("export", "Write what the daemon exports as a saveconfig.json."),
    "diskraid": ("diskraid", "Carry out commands in DiskRAID's language."),
    "bridge": ("bridge", "Pass a connection on to the daemon's socket, for ssh."),
    "call": ("call", "Call any method of the API."),
    "completion": ("completion", "Print a script that completes what is typed in a shell."),
}

ALIASES = {"group": "portal-group"}


class Commands(click.Group):
    """The commands of the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        cmd_name = ALIASES.get(cmd_name, cmd_name)
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"vdsprovd.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        rest = super().parse_args(ctx, args)
        # A group's options come before its command: what is left of them is at the end.
        ctx.meta["command"] = given[len(given) - 1 - len(ctx.args) :]
        return rest

    def invoke(self, ctx: click.Context) -> object:
        try:
            if len(hosts := ctx.params["host"]) > 1:
                from vdsprovd.cli.hosts import on_each  # most commands are for one host

                return on_each(hosts, _options_for_each(ctx), ctx.meta["command"])
            return super().invoke(ctx)
        except BrokenPipeError:
            # Whoever reads has read enough, such as head. Python flushes standard output once more at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return errors.OK

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        nouns = {name for name, (module, _) in COMMANDS.items() if module.startswith("nouns.")}
        for title, names in (("Commands", COMMANDS.keys() - nouns), ("Nouns, which have verbs", nouns)):
            with formatter.section(title):
                formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items() if name in names])


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
@click.option(
    "--host",
    metavar="HOST,...",
    envvar="VDSPROVD_HOST",
    callback=lambda _context, _option, value: [name for name in (value or "").split(",") if name],
    show_envvar=True,
    help="Another host's daemon, reached with ssh: [USER@]HOST[:PORT]. With several, the command runs at each.",
)
@click.version_option(__version__, "-V", "--version", message="%(prog)s %(version)s")
@click.pass_context
def vdsprovctl(context: click.Context, /, **_options: object) -> None:
    """Look at and control vdsprovd, which drives this host's iSCSI target, or another's."""
    context.obj = Session(address(context))
    context.call_on_close(context.obj.close)
    if os.environ.get("NO_COLOR"):
        context.color = False


def _options_for_each(context: click.Context) -> list[str]:
    return ["--socket", context.params["socket"]] if given(context, "socket") else []


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command of the arguments (those of the process, if None); gives the exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name that the locale cannot show is no reason to show nothing.
        sys.stdout.reconfigure(errors="backslashreplace")
    if "_VDSPROVCTL_COMPLETE" in os.environ:
        from vdsprovd.cli.completion import register  # when a shell asks

        register()
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
