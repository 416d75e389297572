"""`vdsprovctl import-target`: the target to which snapshots that a computer imports are attached."""

import click

from vdsprovd.cli import errors
from vdsprovd.cli.listing import Object, warn_of_dangling
from vdsprovd.client import Client


@click.command()
@click.argument("subsystem", required=False)
@click.option("--set", "name", metavar="IQN", help="Make the target of that iSCSI name the import target.")
@click.option("--clear", is_flag=True, help="Have no import target.")
@click.option("--computer", metavar="NAME", help="The computer whose import target it is (default: the daemon's host).")
@click.pass_obj
def import_target(socket: str, subsystem: str | None, name: str | None, clear: bool, computer: str | None) -> None:
    """Show, set or clear the import target of a computer at a SUBSYSTEM, and print its iSCSI name.

    SUBSYSTEM is its name, its id, or the beginning of either; it can be left out where there is one. To show fails
    where no import target is set. A name that no target of the subsystem has is allowed, and warned of.
    """
    if clear and name is not None:
        raise click.UsageError("--set and --clear do not go together")
    if name == "":
        raise click.UsageError("--set needs an iSCSI name; to have no import target, give --clear")
    purpose = "set" if name else "clear" if clear else "show"
    with errors.cannot(f"{purpose} the import target"), Client(socket) as client:
        chosen = _choose(client.subsystems(), subsystem)
        if name or clear:
            client.call(
                "SubSystemImportTarget.SetImportTarget", id=chosen["id"], iscsiName=name or None, computer=computer
            )
        if clear:
            click.echo(
                f"subsystem {chosen['friendlyName']} has no import target{f' for {computer}' if computer else ''}"
            )
            return
        # Read also after it was set: the daemon brings names into their normal form.
        found: str = client.call("SubSystemImportTarget.GetImportTarget", id=chosen["id"], computer=computer)[
            "iscsiName"
        ]
        dangles = found not in [target["iscsiName"] for target in client.targets(chosen["id"])]
    click.echo(found)
    if dangles:
        warn_of_dangling(chosen, found)


def _choose(sub_systems: list[Object], text: str | None) -> Object:
    if text is None:
        found = sub_systems
    else:
        names = [(entry["friendlyName"], entry["id"]) for entry in sub_systems]
        exact = [entry for entry, keys in zip(sub_systems, names, strict=True) if text in keys]
        found = exact or [
            entry
            for entry, keys in zip(sub_systems, names, strict=True)
            if text and any(key.startswith(text) for key in keys)
        ]
    if len(found) == 1:
        return found[0]
    there = ", ".join(f"{entry['friendlyName']} ({entry['id']})" for entry in found or sub_systems)
    if text is None:
        raise click.UsageError(f"which SUBSYSTEM? There are: {there}" if found else "there is no subsystem")
    if found:
        raise click.UsageError(f"{text!r} could be several subsystems: {there}")
    raise click.UsageError(f"there is no subsystem {text!r}; there are: {there}")
