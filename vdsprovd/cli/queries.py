"""Questions that several nouns ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from vdsprovd.cli.objects import Object

if TYPE_CHECKING:
    from vdsprovd.client import Client

P = ParamSpec("P")
T = TypeVar("T")


def unless_deleted(query: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """What the query gives, None where its object was deleted since it was listed."""
    from vdsprovd.hresult import Hresult, VdsError

    try:
        return query(*args, **kwargs)
    except VdsError as error:
        if error.code in (Hresult.VDS_E_OBJECT_DELETED, Hresult.VDS_E_OBJECT_NOT_FOUND):
            return None
        raise


def connected(client: Client, targets: Iterable[Object]) -> list[Object]:
    """The targets with `connectedInitiators`, who is logged in to each now; without those that are gone."""
    return [
        target | {"connectedInitiators": found}
        for target in targets
        if (found := unless_deleted(client.connected_initiators, target["id"])) is not None
    ]


def initiators_of(lun: Object, targets: Iterable[Object]) -> list[str]:
    """Who reaches the LUN now: logged in to one of the targets, which are those of `connected`, and in its mask."""
    mask = lun["unmaskingList"].split(";")
    there = dict.fromkeys(name for target in targets for name in target["connectedInitiators"])
    return [name for name in there if name in mask or mask == ["*"]]


def import_target(client: Client, sub_system: str) -> str | None:
    """The import target of the daemon's host at the subsystem; None also where the configuration can do without."""
    from vdsprovd.hresult import Hresult, VdsError

    try:
        return client.import_target(sub_system)
    except VdsError as error:
        if error.code is not Hresult.VDS_E_NOT_SUPPORTED:
            raise
        return None


def groups_of_portal(client: Client, portal: str) -> list[Object]:
    """The portal groups that a portal is in, with `target` and `iscsiName` of the target that has each."""
    found = []
    for group in client.query("IscsiPortal.QueryAssociatedPortalGroups", id=portal):
        target = client.call("IscsiPortalGroup.GetTarget", id=group["id"])["target"]
        name = client.call("IscsiTarget.GetProperties", id=target)["properties"]["iscsiName"]
        found.append(group | {"target": target, "iscsiName": name})
    return found
