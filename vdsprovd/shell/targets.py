"""Targets in the tree: targets/IQN/chap, initiators, luns, portal-groups/TAG/portals/ADDRESS."""

from __future__ import annotations

from collections.abc import Sequence

from vdsprovd.cli.objects import SUBSYSTEM, TARGET, Object
from vdsprovd.shell.kinds import PORTAL_GROUP
from vdsprovd.shell.nodes import Row, Thing
from vdsprovd.shell.references import Listed, LunReference, Names, Portal, TargetReference, Verbs


class GroupPortals(Listed):
    called = "portals"
    unit = "portal"
    thing = Portal
    owner = PORTAL_GROUP
    query = "IscsiPortalGroup.QueryAssociatedPortals"
    about = "The addresses at which the target is reached through this portal group."


class PortalGroup(Thing):
    kind = PORTAL_GROUP
    noun = "portal-group"
    folders = (GroupPortals,)
    depth = 2
    about = "A portal group of a target."

    @classmethod
    def describe(cls, entry: Object) -> str:
        return entry["deviation"] or "portal group"


class PortalGroups(Listed):
    called = "portal-groups"
    unit = "portal group"
    thing = PortalGroup
    noun = "portal-group"
    owner = TARGET
    query = PORTAL_GROUP.query
    about = "Portal groups: the addresses at which the target is reached."
    depth = 3


class TargetLuns(Listed):
    called = "luns"
    unit = "LUN"
    thing = LunReference
    owner = TARGET
    query = "IscsiTarget.QueryAssociatedLuns"
    about = "The LUNs that are reached through the target."


class Initiators(Names):
    called = "initiators"
    unit = "initiator"
    none = "nobody is logged in"
    about = "Who is logged in to the target now."

    def rows(self) -> Sequence[Row]:
        return [Row(name, "logged in", True) for name in self.client.connected_initiators(self.objects[TARGET])]


class Chap(Verbs):
    called = "chap"
    noun = "target chap"
    about = "CHAP secrets of the target, which can be set and never read."

    def text(self, rows: Sequence[Row] | None) -> str:
        target = self.parent
        assert isinstance(target, Thing)
        return "a secret is needed" if target.entry["chapEnabled"] else "no secret is needed"


class Target(TargetReference):
    about = "An iSCSI target: what initiators log in to."
    folders = (Chap, Initiators, TargetLuns, PortalGroups)


class Targets(Listed):
    called = "targets"
    unit = "target"
    thing = Target
    noun = "target"
    owner = SUBSYSTEM
    query = TARGET.query
    about = "iSCSI targets: what initiators log in to."
