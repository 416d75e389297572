"""The kinds of objects in the tree that vdsprovctl's verbs do not name by their kind alone, and what a parameter names."""

from typing import Final

import click

from vdsprovd.cli.objects import Kind, Named

PORTAL_GROUP: Final = Kind(
    "portal group",
    "IscsiPortalGroup",
    "IscsiTarget.QueryPortalGroups",
    lambda entry: (str(entry["tag"]),),
    "vdsprovctl portal-group list",
)
PLEX: Final = Kind("plex", "LunPlex", "Lun.QueryPlexes", lambda entry: (entry["id"],), "vdsprovctl plex list LUN")

_BY_NAME: Final = {"group": PORTAL_GROUP, "plex": PLEX}
"""Arguments that take more than a name: TARGET:TAG, or the place of a plex in its LUN's list."""


def kind_of(parameter: click.Parameter) -> Kind | None:
    """The kind of object that the parameter names; None where it is something else."""
    if isinstance(parameter.type, Named):
        return parameter.type.kind
    return _BY_NAME.get(parameter.name or "") if isinstance(parameter, click.Argument) else None
