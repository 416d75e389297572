"""The tree: what is below what, by which query it is listed, and which noun's verbs are there.

/array0/luns/NAME/mask, targets, plexes
/array0/targets/IQN/portal-groups/TAG/portals/ADDRESS, luns, initiators, chap
/array0/pools, drives, portals, controllers, import-target
/foreign
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Final

from vdsprovd.cli.objects import DRIVE, LUN, POOL, PORTAL, SUBSYSTEM, TARGET, Kind, Object
from vdsprovd.cli.queries import import_target
from vdsprovd.cli.sizes import size
from vdsprovd.shell.commands import Command
from vdsprovd.shell.configshell import Drawn
from vdsprovd.shell.nodes import Folder, Place, Row, Thing, counted

CONTROLLER: Final = Kind(
    "controller", "Controller", "SubSystem.QueryControllers", lambda entry: (entry["friendlyName"],), ""
)
PORT: Final = Kind(
    "controller port",
    "ControllerPort",
    "ControllerControllerPort.QueryControllerPorts",
    lambda entry: (entry["friendlyName"],),
    "",
)
PLEX: Final = Kind("plex", "LunPlex", "Lun.QueryPlexes", lambda entry: (entry["id"],), "")
PORTAL_GROUP: Final = Kind(
    "portal group", "IscsiPortalGroup", "IscsiTarget.QueryPortalGroups", lambda entry: (str(entry["tag"]),), ""
)


class Listed(Folder):
    """What a query lists of the object above."""

    query: ClassVar[str]
    owner: ClassVar[Kind]

    def entries(self) -> Sequence[Object]:
        return self.client.query(self.query, id=self.objects[self.owner])


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
    owner = LUN
    query = "Lun.QueryPlexes"
    about = "The LUN's copies of its data."


class Lun(LunReference):
    about = "A LUN: a disk that initiators see."
    folders = (Mask, LunTargets, Plexes)
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


class Chap(Folder):
    called = "chap"
    unit = "secret"
    noun = "target chap"
    about = "CHAP secrets of the target, which can be set and never read."

    def rows(self) -> Sequence[Row]:
        return ()

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


class Drive(Thing):
    kind = DRIVE
    noun = "drive"
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
    noun = "port"
    about = "A port of a controller."


class Ports(Listed):
    called = "ports"
    unit = "port"
    thing = Port
    owner = CONTROLLER
    query = PORT.query


class Controller(Thing):
    kind = CONTROLLER
    noun = "controller"
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


class ImportTarget(Folder):
    called = "import-target"
    unit = "target"
    noun = "import-target"
    about = "The target to which snapshots are attached that the daemon's host imports."

    def rows(self) -> Sequence[Row]:
        return ()

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


class Root(Place):
    about = "This daemon: its subsystems, and commands that concern all of it."
    depth = 2

    def __init__(self, session: object) -> None:
        super().__init__("", None, session)  # type: ignore[arg-type]  # a Session, which knows the tree

    def refresh(self) -> None:
        self.client.subsystems()

    def rows(self) -> Sequence[Row]:
        return [*SubSystem.rows_of(self.client.subsystems()), Row(Foreign.called, "read when it is looked at", None)]

    def open(self, row: Row) -> Place:
        return SubSystem(row.name, self, row.entry) if row.entry else Foreign(self)

    def text(self, rows: Sequence[Row] | None) -> str:
        return counted(len(rows or ()) - 1, "subsystem")

    def _row(self, row: Row, depth: int) -> Drawn:
        # The kernel is asked for it, which takes longer than all the rest.
        return super()._row(row, depth if row.entry or depth > self.depth else 1)

    def get_child(self, name: str) -> Place:
        return Foreign(self) if name == Foreign.called else super().get_child(name)

    def verbs(self) -> Iterable[Command]:
        return self.session.general()
