"""LUNs in the tree: luns/NAME/controllers, hints, mask, plexes, targets."""

from __future__ import annotations

from collections.abc import Sequence

from vdsprovd.cli.objects import LUN, SUBSYSTEM, Object
from vdsprovd.shell.kinds import PLEX
from vdsprovd.shell.nodes import Row, Thing
from vdsprovd.shell.references import ControllerReference, Listed, LunReference, Names, TargetReference, Verbs


class Mask(Names):
    called = "mask"
    unit = "initiator"
    none = "nobody"
    noun = "lun mask"
    about = "The initiators that may reach the LUN; * stands for those of the daemon's host."

    def rows(self) -> Sequence[Row]:
        lun = self.parent
        assert isinstance(lun, Thing)
        return [Row(name, "may reach it", None) for name in lun.entry["unmaskingList"].split(";") if name]


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
