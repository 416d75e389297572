"""What is not well, and what to do about it: the rules of `vdsprovctl status`."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from vdsprovd.cli.objects import CONTROLLER, LUN, Object, address
from vdsprovd.cli.sizes import size

FULL: Final = 0.9
"""The share of a pool that is used from which it is warned of."""
THIN_FULL: Final = 0.8
"""The same for a thin pool, where writes fail when it is full."""

_BREAKS: Final = ("failed", "removed")
_FAULT_TOLERANT: Final = ("failed_redundancy", "failing_redundancy", "failed_redundancy_failing", "degraded", "stale")


class Concern(NamedTuple):
    """Something that is not well: how bad it is, what kind of object it is about, what it is, and what to do."""

    level: str
    kind: str
    what: str
    do: str


def corrupt(message: str) -> Concern:
    """The cache is proven wrong: no query answers."""
    return Concern("critical", "cache", f"The provider's cache is corrupt: {message}", "vdsprovctl recover")


def all_of(found: Object) -> list[Concern]:
    """What is not well in what `status` has read, the worst first."""
    rules = (_sub_systems, _controllers, _pools, _drives, _luns, _targets, _portals)
    warnings = [warning for rule in rules for warning in rule(found)]
    return sorted(warnings, key=lambda warning: warning.level != "critical")


def _sub_systems(found: Object) -> Iterator[Concern]:
    targets = {target["iscsiName"] for target in found["targetList"]}
    for entry in found["subSystems"]:
        name = entry["friendlyName"]
        if entry["status"] == "offline":
            yield Concern(
                "critical",
                "subsystem",
                f"Subsystem {name} is offline: nobody reaches its targets.",
                f"vdsprovctl subsystem online {_quoted(name)}",
            )
        elif entry["status"] != "online" or entry["health"] not in ("healthy", "unknown"):
            yield Concern(
                "warning",
                "subsystem",
                f"Subsystem {name} is {entry['status']}, its health is {entry['health']}.",
                f"vdsprovctl subsystem rescan {_quoted(name)}; see the pools",
            )
        if (wanted := entry["importTarget"]) and wanted not in targets:
            yield Concern(
                "warning",
                "import target",
                f"The import target of subsystem {name} dangles: there is no target {wanted}.",
                f"vdsprovctl target create {wanted}, or vdsprovctl import-target clear",
            )


def _controllers(found: Object) -> Iterator[Concern]:
    for entry in found["controllers"]:
        if entry["status"] != "online":
            yield Concern(
                "critical",
                "controller",
                f"Controller {CONTROLLER.name(entry)} is {entry['status']}: nobody reaches LUNs through it.",
                f"vdsprovctl controller online {entry['id']}",
            )


def _pools(found: Object) -> Iterator[Concern]:
    for pool in found["pools"]:
        name, total, free = pool["name"], pool["totalManagedSpace"], pool["remainingFreeSpace"]
        if pool["status"] != "online":
            yield Concern(
                "critical",
                "pool",
                f"Pool {name} ({pool['description']}) is {pool['status']}: its LUNs cannot be used.",
                "mend what it stands on (mounts, disks, the volume group), then vdsprovctl recover",
            )
        elif pool["health"] not in ("healthy", "unknown"):
            yield Concern(
                "warning",
                "pool",
                f"The health of pool {name} is {pool['health']}.",
                f"vdsprovctl pool show {_quoted(name)}",
            )
        if total and (share := (total - free) / total) >= (THIN_FULL if pool["thin"] else FULL):
            yield Concern(
                "critical" if pool["thin"] and share >= FULL else "warning",
                "pool",
                f"Pool {name} is {share:.0%} full, {size(free)} are free"
                + ("; initiators' writes fail when it is full." if pool["thin"] else "."),
                "add a drive to the volume group, or free space" if pool["thin"] else "free space, or add some",
            )


def _drives(found: Object) -> Iterator[Concern]:
    for drive in found["driveList"]:
        name = drive["friendlyName"] or drive["id"]
        if drive["status"] in _BREAKS:
            yield Concern(
                "critical",
                "drive",
                f"Drive {name} in slot {drive['slotNumber']} is {drive['status']}.",
                "put it right or add a hot spare, then vdsprovctl lun recover for the LUNs that were on it",
            )
        elif drive["health"] not in ("healthy", "unknown"):
            yield Concern(
                "warning",
                "drive",
                f"The health of drive {name} in slot {drive['slotNumber']} is {drive['health']}.",
                f"vdsprovctl drive replace {_quoted(name)} NEW",
            )


def _luns(found: Object) -> Iterator[Concern]:
    for lun in found["lunList"]:
        name = LUN.name(lun)
        why = f": {lun['reason']}" if lun["reason"] else ""
        if lun["health"] in _FAULT_TOLERANT:
            yield Concern(
                "warning",
                "LUN",
                f"LUN {name} is not as fault tolerant as it should be: its health is {lun['health']}{why}.",
                f"vdsprovctl lun recover {_quoted(name)}",
            )
        elif lun["status"] == "failed" or lun["reason"]:
            yield Concern(
                "critical",
                "LUN",
                f"LUN {name} is {lun['status']}{why}.",
                f"mend what its pool stands on, then vdsprovctl recover; see vdsprovctl lun show {_quoted(name)}",
            )
        if lun["deviation"]:
            yield _deviates("LUN", name, lun["deviation"])


def _targets(found: Object) -> Iterator[Concern]:
    for target in found["targetList"]:
        if target["deviation"]:
            yield _deviates("target", target["iscsiName"], target["deviation"])


def _portals(found: Object) -> Iterator[Concern]:
    for portal in found["portalList"]:
        if portal["deviation"]:
            yield _deviates("portal", address(portal), portal["deviation"])
        elif portal["status"] not in ("online", "offline"):
            yield Concern(
                "warning",
                "portal",
                f"Portal {address(portal)} is {portal['status']}.",
                "see whether the host has the address and the link is up: ip address",
            )


def _deviates(kind: str, name: str, deviation: str) -> Concern:
    return Concern(
        "warning",
        kind,
        f"The kernel's target is not as it was set, at {kind} {name}: {deviation}.".replace("..", "."),
        "vdsprovctl recover puts it right",
    )


def _quoted(name: str) -> str:
    import shlex  # for warnings only

    return shlex.quote(name)
