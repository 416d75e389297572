"""`vdsprovctl status`: how the daemon and all that it has are, on one screen, and what to do about what is not well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import click

from vdsprovd.cli import errors, views
from vdsprovd.cli.concerns import Concern, all_of, corrupt
from vdsprovd.cli.objects import CONTROLLER, DRIVE, LUN, PORTAL, SUBSYSTEM, TARGET, Object
from vdsprovd.cli.output import counted, fields, wrapped
from vdsprovd.cli.queries import connected, import_target
from vdsprovd.cli.session import Session
from vdsprovd.cli.sizes import size
from vdsprovd.cli.verbs import Verb

if TYPE_CHECKING:
    from vdsprovd.client import Client

_PENDING: Final = 0x80042409
_SHOWN: Final = 8
"""How many warnings of one kind, sessions and operations are shown unless with --long."""
_BAR: Final = 20


@click.command(
    cls=Verb,
    purpose="tell the status",
    calls=(
        "Provider.GetProperties",
        *SUBSYSTEM.lists,
        "HwProviderStoragePools.QueryStoragePools",
        "StoragePool.GetAttributes",
        *LUN.lists,
        *TARGET.lists,
        "IscsiTarget.GetConnectedInitiators",
        *PORTAL.lists,
        *DRIVE.lists,
        *CONTROLLER.lists,
        "SubSystemImportTarget.GetImportTarget",
        "Service.QueryOperations",
    ),
)
@views.options
@click.pass_context
def status(context: click.Context, how: views.How) -> None:
    """Show on one screen how all is: health, cache, space, LUNs, targets, sessions, what runs, and what to do.

    Each warning says what to do about it. --long shows all warnings, sessions and operations.

    The exit status is 0, also with warnings; 4 when the provider's cache is corrupt. For a script, --json has the key
    health: ok, warning or critical. Where the daemon does not answer, see vdsprovctl doctor.
    """
    session: Session = context.obj
    seen: list[Object] = []

    def read(client: Client) -> Object:
        seen[:] = [_read(client)]
        return seen[0]

    views.show(
        session,
        how,
        read,
        lambda found: _render(found, how.long),
        about=("sub_system", "lun", "target", "portal", "portal_group", "drive", "controller", "port"),
    )
    if seen and seen[0]["cache"] == "corrupt" and not how.watch:
        context.exit(errors.CORRUPT)


def _read(client: Client) -> Object:
    from vdsprovd.hresult import Hresult, VdsError

    provider = client.call("Provider.GetProperties")["properties"]
    found: Object = {"provider": {"name": provider["name"], "version": provider["version"]}, "cache": "sound"}
    try:
        found |= _contents(client)
        warnings = all_of(found)
    except VdsError as error:
        if error.code is not Hresult.VDS_E_PROVIDER_CACHE_CORRUPT:
            raise
        found["cache"] = "corrupt"
        warnings = [corrupt(error.message)]
    found["warnings"] = [warning._asdict() for warning in warnings]
    levels = {warning.level for warning in warnings}
    found["health"] = next((level for level in ("critical", "warning") if level in levels), "ok")
    for key in ("lunList", "targetList", "portalList", "driveList"):
        found.pop(key, None)
    return found


def _contents(client: Client) -> Object:
    luns, targets = LUN.listing(client), connected(client, TARGET.listing(client))
    portals, drives, pools = PORTAL.listing(client), DRIVE.listing(client), client.pools()
    return {
        "subSystems": [
            entry | {"importTarget": import_target(client, entry["id"])} for entry in SUBSYSTEM.listing(client)
        ],
        "pools": [
            pool
            | {"thin": bool(client.call("StoragePool.GetAttributes", id=pool["id"])["attributes"]["isThinProvisioned"])}
            for pool in pools
        ],
        "controllers": CONTROLLER.listing(client),
        "luns": _counts(luns) | {"size": sum(lun["size"] for lun in luns)},
        "targets": {"count": len(targets)},
        "portals": _counts(portals),
        "drives": _counts(drives) | {"spares": sum("hotspare" in drive["flags"] for drive in drives)},
        "sessions": [
            {"iscsiName": target["iscsiName"], "initiators": target["connectedInitiators"]}
            for target in targets
            if target["connectedInitiators"]
        ],
        "operations": [
            entry for entry in client.call("Service.QueryOperations")["operations"] if entry["hresult"] == _PENDING
        ],
        # For the warnings alone.
        "lunList": luns,
        "targetList": targets,
        "portalList": portals,
        "driveList": drives,
    }


def _counts(entries: list[Object]) -> dict[str, Any]:
    return {
        "count": len(entries),
        **{
            key: dict(Counter(entry[key] for entry in entries))
            for key in ("status", "health")
            if entries and key in entries[0]
        },
    }


# The screen.


def _render(found: Object, long: bool) -> str:
    title = f"{found['provider']['name']}, version {found['provider']['version']}: {_health(found)}"
    parts = [title, ""]
    if found["cache"] == "sound":
        parts += [_screen(found, long), ""]
    warnings = [Concern(**warning) for warning in found["warnings"]]
    parts.append(_told(warnings, long) if warnings else click.style("Nothing needs to be done.", fg="green"))
    return "\n".join(parts)


def _health(found: Object) -> str:
    number = counted(len(found["warnings"]), "warning")
    text, colour = {
        "ok": ("all is well", "green"),
        "warning": (number, "yellow"),
        "critical": (f"{number}, critical", "red"),
    }[found["health"]]
    return click.style(text, fg=colour, bold=True)


def _screen(found: Object, long: bool) -> str:
    return fields(
        ("Cache", found["cache"]),
        (
            "Subsystems",
            [f"{entry['friendlyName']}: {_state(entry)}" for entry in found["subSystems"]] or "none",
        ),
        ("Pools", _spaces(found["pools"]) or "none"),
        ("Drives", _sum(found["drives"], counted(found["drives"]["spares"], "hot spare"))),
        ("LUNs", _sum(found["luns"], f"{size(found['luns']['size'])} in all")),
        ("Targets", str(found["targets"]["count"])),
        ("Portals", _sum(found["portals"])),
        (
            "Sessions",
            _some((f"{entry['iscsiName']}: {', '.join(entry['initiators'])}" for entry in found["sessions"]), long)
            or "nobody is logged in",
        ),
        (
            "Operations",
            _some(
                (
                    f"{entry['type'].replace('_', ' ')} {entry['subject']}: {entry['percentCompleted']} %"
                    for entry in found["operations"]
                ),
                long,
            )
            or "none runs",
        ),
    )


def _state(entry: Object) -> str:
    return entry["status"] if entry["health"] == "healthy" else f"{entry['status']}, {entry['health']}"


def _sum(counts: Object, more: str = "") -> str:
    """How many there are, and in which states."""
    number = counts["count"]
    if not number:
        return "none"
    states = [counts.get("status", {}), counts.get("health", {})]
    if all(len(kind) <= 1 for kind in states):
        told = [state for kind in states for state in kind]
        parts = [f"{number}, {'all ' if number > 1 else ''}{', '.join(told)}"]
    else:
        told = [f"{count} {state}" for kind in states for state, count in sorted(kind.items())]
        parts = [f"{number}: {', '.join(told)}"]
    return "; ".join(parts + ([more] if more else []))


def _spaces(pools: list[Object]) -> list[str]:
    width = max((len(pool["name"]) for pool in pools), default=0)
    return [f"{pool['name']:<{width}}  {_space(pool)}" for pool in pools]


def _space(pool: Object) -> str:
    total, free = pool["totalManagedSpace"], pool["remainingFreeSpace"]
    if not total:
        return _state(pool)
    share = (total - free) / total
    bar = "#" * round(share * _BAR)
    state = "" if _state(pool) == "online" else f", {_state(pool)}"
    return f"[{bar:<{_BAR}}] {share:4.0%} of {size(total)}, {size(free)} free{', thin' if pool['thin'] else ''}{state}"


def _some(texts: Iterable[str], long: bool) -> list[str]:
    found = list(texts)
    if long or len(found) <= _SHOWN:
        return found
    return [*found[:_SHOWN], f"and {len(found) - _SHOWN} more"]


def _told(warnings: list[Concern], long: bool) -> str:
    """The warnings; alike ones are cut short, so that one broken pool does not hide the rest."""
    lines, told = [], Counter[str]()
    for warning in warnings:
        told[warning.kind] += 1
        if long or told[warning.kind] <= _SHOWN:
            mark = click.style("!", fg="red" if warning.level == "critical" else "yellow", bold=True)
            lines += wrapped(warning.what, f"{mark} ", "  ")
            lines += wrapped(warning.do, "  -> ", "     ")
    lines += [
        f"  and {number - _SHOWN} more {kind}s: vdsprovctl status --long"
        for kind, number in told.items()
        if not long and number > _SHOWN
    ]
    return "\n".join(lines)
