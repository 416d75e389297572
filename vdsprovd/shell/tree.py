"""The tree, from its root to the folders of a subsystem: what is below what, and which noun's verbs are there.

/array0/luns/NAME/...     see `luns`
/array0/targets/IQN/...   see `targets`
/array0/controllers/NAME/ports, drives/NAME/spare, import-target, pools, portals
/foreign, operations
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from vdsprovd.cli.nouns.controller_port import PORT
from vdsprovd.cli.nouns.operation import OPERATION
from vdsprovd.cli.objects import CONTROLLER, DRIVE, POOL, PORTAL, SUBSYSTEM, Object
from vdsprovd.cli.queries import import_target
from vdsprovd.cli.sizes import size
from vdsprovd.hresult import Hresult
from vdsprovd.shell.commands import Command
from vdsprovd.shell.configshell import Drawn
from vdsprovd.shell.luns import Luns
from vdsprovd.shell.nodes import Folder, Place, Row, Thing, counted
from vdsprovd.shell.references import ControllerReference, Listed, Names, Portal, Verbs
from vdsprovd.shell.targets import Targets


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


class Foreign(Names):
    called = "foreign"
    unit = "object"
    noun = "foreign"
    about = "What others have in this host's target, which is left alone."

    def rows(self) -> Sequence[Row]:
        found = self.client.call("Service.QueryForeignObjects")["objects"]
        return [Row(entry["name"], f"{entry['type'].replace('_', ' ')}: {entry['detail']}", None) for entry in found]


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
        sub_systems = [
            replace(row, name=row.entry["id"]) if row.name in _OF_ALL else row
            for row in SubSystem.rows_of(self.client.subsystems())
        ]
        return [*sub_systems, *(Row(name, "", None, each) for name, each in _OF_ALL.items())]

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
