"""The help, from the table of commands."""

from collections.abc import Mapping, Sequence
from typing import Final

from vdsprovd.diskraid.grammar import NOERR, Form, keyword
from vdsprovd.diskraid.layout import wrapped
from vdsprovd.diskraid.problems import Mistake

SUMMARIES: Final[Mapping[str, str]] = {
    "add": "Adds a plex to a LUN, or a target portal to a portal group.",
    "associate": "Associates a LUN with targets, controllers or ports.",
    "automagic": "Shows, sets, clears or applies hints about what a LUN is for.",
    "break": "Removes a plex from a LUN.",
    "chap": "Sets secrets of a target or of this host's initiator.",
    "create": "Creates a LUN, a target or a portal group.",
    "delete": "Deletes a LUN, a target or a portal group.",
    "detail": "Shows all about the selected object.",
    "dissociate": "Dissociates a LUN from targets, controllers or ports.",
    "exit": "Ends DiskRAID.",
    "extend": "Makes a LUN larger.",
    "flushcache": "Writes out a controller's cache.",
    "help": "Lists the commands, or tells about one.",
    "importtarget": "Shows or sets a subsystem's VSS import target.",
    "initiator": "Shows this host's iSCSI initiator.",
    "invalidatecache": "Invalidates a controller's cache.",
    "lbpolicy": "Sets a LUN's load balance policy.",
    "list": "Lists objects with their numbers.",
    "login": "Logs this host's initiator in to a target.",
    "logout": "Logs this host's initiator out from a target.",
    "maintenance": "Blinks, beeps, spins up or down, or pings.",
    "name": "Names a subsystem, a LUN or a target.",
    "offline": "Sets an object offline.",
    "online": "Sets an object online.",
    "recover": "Repairs a fault-tolerant LUN.",
    "reenumerate": "Looks for new subsystems or drives.",
    "refresh": "Reads anew what the provider knows.",
    "rem": "Is a comment.",
    "remove": "Removes a target portal from a portal group.",
    "replace": "Replaces a drive by the selected one.",
    "reset": "Resets a controller or a port.",
    "select": "Selects an object, or shows which one is selected.",
    "setflag": "Makes a drive a hot spare, or none.",
    "shrink": "Makes a LUN smaller.",
    "standby": "Sets the paths from an HBA port to standby.",
    "unmask": "Says which hosts can access a LUN.",
}
"""A line about each command, for HELP."""

_NOERR_HELP: Final = "in a script: go on to the next command where this one fails"
_INDENT: Final = "    "
_MANY: Final = 12
"""How many parameters a help has at most: those of AUTOMAGIC are what AUTOMAGIC lists."""


def overview(forms: Sequence[Form]) -> list[str]:
    """The commands, with a line about each."""
    names = _by_name(forms)
    width = max(map(len, names))
    lines = [f"  {name.upper().ljust(width)}  {SUMMARIES[name]}" for name in names]
    return [*lines, "", "HELP and a command tells more. Keywords can be shortened: SEL LUN 5."]


def help_of(forms: Sequence[Form], command: str) -> list[str]:
    """All about a command. Raises `Mistake` where there is none of that name."""
    by_name = _by_name(forms)
    name = keyword(command, by_name)
    if name is None:
        raise Mistake(f"{command!r} is no command; HELP lists them")
    lines: list[str] = []
    for form in by_name[name]:
        lines += wrapped(form.syntax, "", _INDENT * 2)
        lines += wrapped(form.help, _INDENT, _INDENT)
        parts = _parts(form)
        if len(parts) > _MANY:
            parts = []
        width = max((len(part) for part, _ in parts), default=0)
        for part, text in parts:
            lines += wrapped(f"{part.ljust(width)}  {text}", _INDENT, _INDENT + " " * (width + 2))
        if form.difference:
            lines += wrapped(f"Unlike DiskRAID: {form.difference.replace('`', '')}", _INDENT, _INDENT)
        lines.append("")
    return lines[:-1]


def _parts(form: Form) -> list[tuple[str, str]]:
    parts = [(form.operand.shape, form.operand.help)] if form.operand else []
    parts += [(f"{parameter.key}=", parameter.help) for parameter in form.parameters]
    parts += [(flag.word, flag.help) for flag in form.flags]
    if form.noerr:
        parts.append((NOERR, _NOERR_HELP))
    return parts


def _by_name(forms: Sequence[Form]) -> dict[str, list[Form]]:
    found: dict[str, list[Form]] = {}
    for form in forms:
        found.setdefault(form.name, []).append(form)
    return found
