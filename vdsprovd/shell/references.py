"""What is listed of an object: what belongs to it, and references, which are objects that are elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from vdsprovd.cli.objects import CONTROLLER, LUN, PORTAL, TARGET, Kind, Object
from vdsprovd.cli.sizes import size
from vdsprovd.shell.nodes import Folder, Place, Row, Thing


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


class Names(Folder):
    """Names with nothing below."""

    def get_child(self, name: str) -> Place:
        return Place.get_child(self, name)


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


class ControllerReference(Thing):
    kind = CONTROLLER
    noun = "controller"
