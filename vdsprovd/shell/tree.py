"""The tree: what is below what, by which query it is listed, and which noun's verbs are there.

/array0/luns/NAME/mask, targets, plexes
/array0/targets/IQN/portal-groups/TAG/portals/ADDRESS, luns, initiators, chap
/array0/pools, drives, portals, controllers, import-target
/foreign
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Final

from vdsprovd.cli.nouns.controller_port import PORT
from vdsprovd.cli.nouns.operation import OPERATION
from vdsprovd.cli.objects import CONTROLLER, DRIVE, LUN, POOL, PORTAL, SUBSYSTEM, TARGET, Kind, Object
from vdsprovd.cli.queries import import_target
from vdsprovd.cli.sizes import size
from vdsprovd.hresult import Hresult
from vdsprovd.shell.commands import Command
from vdsprovd.shell.configshell import Drawn
from vdsprovd.shell.kinds import PLEX, PORTAL_GROUP
from vdsprovd.shell.nodes import Folder, Place, Row, Thing, counted


class Listed(Folder):
    """What a query lists of the object above."""

    query: ClassVar[str]
    owner: ClassVar[Kind]

    def entries(self) -> Sequence[Object]:
        return self.client.query(self.query, id=self.objects[self.owner])


class Verbs(Folder):
    """Nothing but verbs."""

    def rows(self) -> Sequence[Row]:
        return ()

    def text(self, rows: Sequence[Row] | None) -> str:
        return "see: help"


# References: what is elsewhere, named by what it is related to.


class TargetReference(Thing):
    kind = TARGET
    noun = "target"

    @classmethod
    def describe(cls, entry: Object) -> str:
        chap = "CHAP" if entry["chapEnabled"] else "no CHAP"
        return ", ".join(filter(None, (entry["friendlyName"], chap, entry["deviation"])))


class LunReference(Thing):
    kind = LUN
    noun = "lun"

    @classmethod
    def describe(cls, entry: Object) -> str:
        state = entry["reason"] or entry["deviation"] or f"{entry['status']}, {entry['health']}"
        return f"{size(entry['size'])}, {state}"


class Portal(Thing):
    kind = PORTAL
    noun = "portal"
    about = "An address of the host that targets can be reached at."

    @classmethod
    def describe(cls, entry: Object) -> str:
        return entry["deviation"] or str(entry["status"])


# LUNs.


class Mask(Folder):
    called = "mask"
    unit = "initiator"
    noun = "lun mask"
    about = "The initiators that may reach the LUN; * stands for those of the daemon's host."

    def rows(self) -> Sequence[Row]:
        lun = self.parent
        assert isinstance(lun, Thing)
        return [Row(name, "may reach it", None) for name in lun.entry["unmaskingList"].split(";") if name]

    def get_child(self, name: str) -> Place:
        return Place.get_child(self, name)

    def text(self, rows: Sequence[Row] | None) -> str:
        return super().text(rows) if rows else "nobody"


class LunTargets(Listed):
    called = "targets"
    unit = "target"
    thing = TargetReference
    owner = LUN
    query = "LunIscsi.QueryAssociatedTargets"
    about = "The targets through which the LUN is reached."


class Plex(Thing):
    kind = PLEX
    noun = "plex"

    @classmethod
    def describe(cls, entry: Object) -> str:
        return f"{entry['type']}, {entry['status']}, {entry['health']}"


class Plexes(Listed):
    called = "plexes"
    unit = "plex"
    thing = Plex
    noun = "plex"
    owner = LUN
    query = "Lun.QueryPlexes"
    about = "The LUN's copies of its data."


class ControllerReference(Thing):
    kind = CONTROLLER
    noun = "controller"


class LunControllers(Listed):
    called = "controllers"
    unit = "controller"
    thing = ControllerReference
    noun = "lun controller"
    owner = LUN
    query = "Lun.QueryActiveControllers"
    about = "The controllers through which the LUN is reached."


class Hints(Verbs):
    called = "hints"
    noun = "hint"
    about = "What is wished of the LUN."


class Lun(LunReference):
    about = "A LUN: a disk that initiators see."
    folders = (LunControllers, Hints, Mask, Plexes, LunTargets)
    depth = 2


class Luns(Listed):
    called = "luns"
    unit = "LUN"
    thing = Lun
    noun = "lun"
    owner = SUBSYSTEM
    query = LUN.query
    about = "LUNs: the disks that initiators see."


# Targets.


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


class Initiators(Folder):
    called = "initiators"
    unit = "initiator"
    about = "Who is logged in to the target now."

    def rows(self) -> Sequence[Row]:
        return [Row(name, "logged in", True) for name in self.client.connected_initiators(self.objects[TARGET])]

    def get_child(self, name: str) -> Place:
        return Place.get_child(self, name)

    def text(self, rows: Sequence[Row] | None) -> str:
        return super().text(rows) if rows else "nobody is logged in"


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


# The rest of a subsystem.


class Pool(Thing):
    kind = POOL
    noun = "pool"
    about = "A storage pool: where LUNs' bytes live."

    @classmethod
    def describe(cls, entry: Object) -> str:
        if not entry["totalManagedSpace"]:
            return str(entry["description"])
        return f"{size(entry['remainingFreeSpace'])} of {size(entry['totalManagedSpace'])} free, {entry['health']}"


class Pools(Folder):
    called = "pools"
    unit = "pool"
    thing = Pool
    noun = "pool"
    about = "Storage pools: where LUNs' bytes live."

    def entries(self) -> Sequence[Object]:
        return POOL.listing(self.client, within=self.objects[SUBSYSTEM])


class Spare(Verbs):
    called = "spare"
    noun = "drive spare"
    about = "Whether the drive is a hot spare, which takes the place of one that a pool loses."

    def text(self, rows: Sequence[Row] | None) -> str:
        drive = self.parent
        assert isinstance(drive, Thing)
        return "a hot spare" if "hotspare" in drive.entry["flags"] else "no hot spare"


class Drive(Thing):
    kind = DRIVE
    noun = "drive"
    folders = (Spare,)
    about = "A drive: a disk of the host that is a pool's member, a hot spare, or free."

    @classmethod
    def describe(cls, entry: Object) -> str:
        return f"{size(entry['size'])}, {entry['status']}, {entry['health']}"


class Drives(Listed):
    called = "drives"
    unit = "drive"
    thing = Drive
    noun = "drive"
    owner = SUBSYSTEM
    query = DRIVE.query
    about = "Drives: disks of the host that are a pool's members, hot spares, or free."


class Portals(Listed):
    called = "portals"
    unit = "portal"
    thing = Portal
    noun = "portal"
    owner = SUBSYSTEM
    query = PORTAL.query
    about = "Portals: addresses of the host that targets can be reached at."


class Port(Thing):
    kind = PORT
    noun = "controller-port"
    about = "A port of a controller."


class Ports(Listed):
    called = "ports"
    unit = "port"
    thing = Port
    noun = "controller-port"
    owner = CONTROLLER
    query = PORT.query


class Controller(ControllerReference):
    folders = (Ports,)
    depth = 2
    about = "A controller: the host as a node that serves LUNs."


class Controllers(Listed):
    called = "controllers"
    unit = "controller"
    thing = Controller
    noun = "controller"
    owner = SUBSYSTEM
    query = CONTROLLER.query
    about = "Controllers: the host as a node that serves LUNs."


class ImportTarget(Verbs):
    called = "import-target"
    noun = "import-target"
    about = "The target to which snapshots are attached that the daemon's host imports."

    def text(self, rows: Sequence[Row] | None) -> str:
        return import_target(self.client, self.objects[SUBSYSTEM]) or "none"


class SubSystem(Thing):
    kind = SUBSYSTEM
    noun = "subsystem"
    folders = (Controllers, Drives, ImportTarget, Luns, Pools, Portals, Targets)
    about = "A subsystem: a storage host, or one part of it."


class Foreign(Folder):
    called = "foreign"
    unit = "object"
    noun = "foreign"
    about = "What others have in this host's target, which is left alone."

    def rows(self) -> Sequence[Row]:
        found = self.client.call("Service.QueryForeignObjects")["objects"]
        return [Row(entry["name"], f"{entry['type'].replace('_', ' ')}: {entry['detail']}", None) for entry in found]

    def get_child(self, name: str) -> Place:
        return Place.get_child(self, name)


class Operation(Thing):
    kind = OPERATION
    noun = "operation"
    about = "An asynchronous operation."

    @classmethod
    def describe(cls, entry: Object) -> str:
        return f"{entry['type'].replace('_', ' ')}: {entry['percentCompleted']} %"


class Operations(Folder):
    called = "operations"
    unit = "operation"
    thing = Operation
    noun = "operation"
    about = "Asynchronous operations that run, whoever started them."

    def entries(self) -> Sequence[Object]:
        return [
            entry for entry in OPERATION.listing(self.client) if entry["hresult"] == Hresult.VDS_E_OPERATION_PENDING
        ]


class Root(Place):
    about = "This daemon: its subsystems, and commands that concern all of it."
    depth = 2

    def __init__(self, session: object) -> None:
        super().__init__("", None, session)  # type: ignore[arg-type]  # a Session, which knows the tree

    def refresh(self) -> None:
        self.client.subsystems()

    def rows(self) -> Sequence[Row]:
        return [
            *SubSystem.rows_of(self.client.subsystems()),
            *(Row(name, "", None, each) for name, each in _OF_ALL.items()),
        ]

    def open(self, row: Row) -> Place:
        folder = _OF_ALL.get(row.name)
        return folder(self) if folder else SubSystem(row.name, self, row.entry)

    def text(self, rows: Sequence[Row] | None) -> str:
        return counted(len(rows or ()) - len(_OF_ALL), "subsystem")

    def _row(self, row: Row, depth: int) -> Drawn:
        if row.entry is Foreign and depth <= self.depth:
            # The kernel is asked for it, which takes longer than all the rest.
            return Drawn(row.name, f"/{row.name}", "read when it is looked at")
        return super()._row(row, min(depth, 1) if isinstance(row.entry, type) and depth <= self.depth else depth)

    def get_child(self, name: str) -> Place:
        folder = _OF_ALL.get(name)
        return folder(self) if folder else super().get_child(name)

    def verbs(self) -> Iterable[Command]:
        return [*self.session.general(), *self.session.verbs("provider", {})]


_OF_ALL: Final[Mapping[str, type[Folder]]] = {each.called: each for each in (Foreign, Operations)}
"""What belongs to no subsystem."""
