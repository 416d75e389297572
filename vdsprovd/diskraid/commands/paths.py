"""LBPOLICY: how the load is spread over a LUN's paths."""

from typing import Any, Final

from vdsprovd.diskraid import values
from vdsprovd.diskraid.grammar import Form, Given, Parameter, usage
from vdsprovd.diskraid.problems import Mistake, NotSelected
from vdsprovd.diskraid.session import Session

_POLICIES: Final = {
    "failover": "failover",
    "roundrobin": "round_robin",
    "subsetroundrobin": "round_robin_with_subset",
    "dynlqd": "dyn_least_queue_depth",
    "weighted": "weighted_paths",
    "leastblocks": "least_blocks",
    "vendorspecific": "vendor_specific",
}
_PRIMARY: Final = "primary"

_Path = tuple[int, int | None]
"""A path's number, and its weight; None is a primary path."""


def _set(session: Session, given: Given) -> None:
    policy, paths = given.get("type"), given.get("paths")
    if policy is None and paths is None:
        raise Mistake("TYPE= or PATHS= is needed\n" + usage(FORMS))
    lun = session.focus.require("lun")
    policy = _POLICIES.get(policy)
    if policy is None:
        policy = session.client.call("LunMpio.GetLoadBalancePolicy", id=lun)["policy"]
    chosen = None if paths is None else _chosen(session, lun, paths)
    session.client.call("LunMpio.SetLoadBalancePolicy", id=lun, policy=policy, paths=chosen)
    session.say("", "The load balance policy of the selected LUN was set.")


def _chosen(session: Session, lun: str, paths: tuple[_Path, ...]) -> list[dict[str, Any]]:
    """All paths of the LUN: those that are not named are backups."""
    there = session.client.query("LunMpio.GetPathInfo", id=lun)
    named = dict(paths)
    for number in named:
        if number >= len(there):
            raise NotSelected(f"the selected LUN has no path {number}: DETAIL LUN VERBOSE shows its paths")
    return [
        {
            "pathId": path["pathId"],
            "primaryPath": number in named and named[number] is None,
            "weight": named.get(number) or 0,
        }
        for number, path in enumerate(there)
    ]


def _paths(text: str) -> tuple[_Path, ...]:
    found = []
    for part in text.split(","):
        number, dash, role = part.strip().partition("-")
        if not dash:
            raise ValueError(
                f"{part!r} is no path: write its number, a hyphen, and PRIMARY or its weight, such as 0-primary"
            )
        found.append((values.number(number), None if role.lower() == _PRIMARY else values.number(role)))
    if len({number for number, _ in found}) < len(found):
        raise ValueError("a path is there twice")
    return tuple(found)


FORMS: Final = (
    Form(
        ("lbpolicy", "set", "lun"),
        _set,
        "Sets the load balance policy of the selected LUN, or the roles of its paths.",
        calls="LunMpio.SetLoadBalancePolicy",
        parameters=(
            Parameter("type", values.one_of(*_POLICIES), "<type>", f"one of {', '.join(_POLICIES)}"),
            Parameter(
                "paths",
                _paths,
                "<path>-{primary|<weight>}[,...]",
                "paths by their numbers in DETAIL LUN VERBOSE; those that are left out are backups",
            ),
        ),
        difference=(
            "The daemon has ROUNDROBIN only, and answers `VDS_E_NOT_SUPPORTED` for the others: an initiator's multipath is "
            "set at the initiator."
        ),
    ),
)
