"""What a node is: an object of the API, or a folder of them. Each asks the daemon when it is looked at, and keeps nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import click

from vdsprovd.cli import objects
from vdsprovd.cli.objects import Kind, Named, Object
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.shell import builtins
from vdsprovd.shell.commands import Command
from vdsprovd.shell.configshell import Drawn, Node, NoSuchNode
from vdsprovd.shell.kinds import kind_of
from vdsprovd.shell.line import Word

if TYPE_CHECKING:
    from vdsprovd.client import Client
    from vdsprovd.shell.session import Session

_GONE = (Hresult.VDS_E_OBJECT_NOT_FOUND, Hresult.VDS_E_OBJECT_DELETED)


class Gone(Exception):
    """The object of a node is no longer there."""

    def __init__(self, place: Thing) -> None:
        super().__init__(f"{place.kind.noun} {place.name}")
        self.place = place


@dataclass(frozen=True)
class Row:
    """A line of a listing: the name of a node, what is told of it, whether it is well, and what it is made from."""

    name: str
    text: str
    well: bool | None
    entry: Any = None


class Place(Node):
    """A node."""

    about: ClassVar[str] = ""
    """What is here, for its help."""
    depth: ClassVar[int] = 1
    """How far `ls` looks down from here."""

    parent: Place | None

    @property
    def session(self) -> Session:
        """Who is at the shell."""
        found: Session = self.shell
        return found

    @property
    def client(self) -> Client:
        """The daemon."""
        return self.session.client

    @property
    def objects(self) -> dict[Kind, str]:
        """The objects on the way from the root to here, by their kinds: their ids."""
        return self.parent.objects if self.parent else {}

    def refresh(self) -> None:
        """See whether the node is still there, with one call at most. Raises `Gone`, and what the daemon answers."""
        if self.parent:
            self.parent.refresh()

    # What is below.

    def rows(self) -> Sequence[Row]:
        """The nodes below, as they are now."""
        return ()

    def open(self, row: Row) -> Place:
        """The node of one of its rows."""
        return Leaf(row.name, self, row.text, row.well)

    def names(self) -> list[str]:
        """The names of the nodes below."""
        return [row.name for row in self.rows()]

    def get_child(self, name: str) -> Place:
        """The node below of that name."""
        for row in self.rows():
            if row.name == name:
                return self.open(row)
        raise self.missing(name)

    def missing(self, name: str) -> NoSuchNode:
        """The error that there is no such node."""
        return NoSuchNode(f"there is no {self.path.rstrip('/')}/{name}")

    # How it is shown.

    def text(self, rows: Sequence[Row] | None) -> str:
        """What is told of it; the rows, if they are known."""
        return ""

    @property
    def well(self) -> bool | None:
        """Whether it works, None where that is no question."""
        return None

    @property
    def counts(self) -> bool:
        """Whether its rows are needed to tell of it."""
        return False

    def drawn(self, depth: int) -> Drawn:
        """The node and what is below, so many levels down."""
        rows = self.rows() if depth or self.counts else None
        text = self.text(rows)
        children: Sequence[Drawn] = ()
        if depth and rows:
            children = [self._row(row, depth) for row in rows]
        return Drawn(self.name or "/", self.path, text, self.well, children)

    def _row(self, row: Row, depth: int) -> Drawn:
        path = f"{self.path.rstrip('/')}/{row.name}"
        if depth == 1 and not isinstance(row.entry, type):
            return Drawn(row.name, path, row.text, row.well)
        try:
            return self.open(row).drawn(depth - 1)
        except VdsError as error:
            # One that cannot be listed does not hide the others.
            return Drawn(row.name, path, f"cannot be listed: {error.code.name}", False)

    # What can be said.

    def verbs(self) -> Iterable[Command]:
        """The node's own commands."""
        return ()

    def commands(self) -> dict[str, Command]:
        """All commands, by name."""
        own = {command.name: command for command in self.verbs()}
        return own | {name: command for name, command in builtins.EVERYWHERE.items() if name not in own}

    def execute_command(
        self, command: str, pparams: Sequence[Word] = (), kparams: Mapping[str, str] | None = None
    ) -> Node | str | None:
        """Carry out a command."""
        return self.session.carry_out(self, command, pparams)

    def resolve(self, parameter: click.Parameter, text: str) -> str:
        """The id of the object that a parameter names, which is one of this subsystem; other texts stay as they are."""
        if not isinstance(parameter.type, Named) or text in parameter.type.words:
            return text
        within = self.objects.get(objects.SUBSYSTEM)
        entry: Object = objects.find_all(self.client, parameter.type.kind, [text], within=within)[0]
        return str(entry["id"])


class Leaf(Place):
    """A name with nothing below."""

    def __init__(self, name: str, parent: Place, text: str, well: bool | None = None) -> None:
        super().__init__(name, parent)
        self._told = text
        self._well = well

    def text(self, rows: Sequence[Row] | None) -> str:
        return self._told

    @property
    def well(self) -> bool | None:
        return self._well


class Thing(Place):
    """An object."""

    kind: ClassVar[Kind]
    noun: ClassVar[str]
    """The noun of vdsprovctl whose verbs it has."""
    folders: ClassVar[Sequence[type[Folder]]] = ()

    def __init__(self, name: str, parent: Place, entry: Object) -> None:
        super().__init__(name, parent)
        self.entry = entry

    @property
    def id(self) -> str:
        """The object's id."""
        return str(self.entry["id"])

    @property
    def objects(self) -> dict[Kind, str]:
        return super().objects | {self.kind: self.id}

    def refresh(self) -> None:
        entry = read(self.client, self.kind, self.id)
        if entry is None:
            raise Gone(self)
        self.entry = entry
        self._follow()

    def _follow(self) -> None:
        """Somebody may have renamed it; it has no other name than before unless the whole folder is read."""
        known = self.kind.names(self.entry)
        if self.name not in known and self.name != self.id:
            self.name = known[0] if known and fit_for_path(known[0]) else self.id

    def rows(self) -> Sequence[Row]:
        return [Row(folder.called, "", None, folder) for folder in self.folders]

    def get_child(self, name: str) -> Place:
        for folder in self.folders:
            if folder.called == name:
                return folder(self)
        raise self.missing(name)

    def open(self, row: Row) -> Place:
        folder: type[Folder] = row.entry
        return folder(self)

    def text(self, rows: Sequence[Row] | None) -> str:
        return self.describe(self.entry)

    @property
    def well(self) -> bool | None:
        return self.is_well(self.entry)

    @classmethod
    def describe(cls, entry: Object) -> str:
        """What a listing tells of the object."""
        return ", ".join(filter(None, (entry.get("status"), entry.get("health"))))

    @classmethod
    def rows_of(cls, entries: Sequence[Object]) -> list[Row]:
        """The rows of these objects in a folder."""
        rows = []
        for name, entry in zip(node_names(cls.kind, entries), entries, strict=True):
            own = cls.kind.name(entry)
            # One that goes by its id still has a name, perhaps.
            told = [repr(own)] if own not in (name, entry["id"]) else []
            rows.append(Row(name, ", ".join([*told, cls.describe(entry)]), cls.is_well(entry), entry))
        return rows

    @classmethod
    def is_well(cls, entry: Object) -> bool | None:
        """Whether the object works; None while that is not known, or where it has no state."""
        if entry.get("deviation") or entry.get("reason"):
            return False
        states = (entry.get("status", "online"), entry.get("health", "healthy"))
        if "failed" in states:
            return False
        return True if states == ("online", "healthy") else None

    def verbs(self) -> Iterable[Command]:
        return (command for command in self.session.verbs(self.noun, self.objects) if self._is_mine(command))

    def _is_mine(self, command: Command) -> bool:
        """Whether the object is what the command is about: one of its parameters."""
        return any(one.name in command.given and kind_of(one) == self.kind for one in command.verb.params)


class Folder(Place):
    """Objects of a kind, or names."""

    called: ClassVar[str]
    unit: ClassVar[str]
    """What one of them is: "1 LUN"."""
    none: ClassVar[str] = "none"
    """What is told where nothing is there."""
    thing: ClassVar[type[Thing] | None] = None
    noun: ClassVar[str] = ""
    """The noun of vdsprovctl whose verbs it has."""

    parent: Place

    def __init__(self, parent: Place) -> None:
        super().__init__(self.called, parent)

    def entries(self) -> Sequence[Object]:
        """The objects here, as they are now."""
        return ()

    def rows(self) -> Sequence[Row]:
        assert self.thing is not None
        entries = self.entries()
        rows = self.thing.rows_of(entries)
        self.session.seen(self.path, rows)
        return rows

    def open(self, row: Row) -> Place:
        return self.thing(row.name, self, row.entry) if self.thing else super().open(row)

    def get_child(self, name: str) -> Place:
        return self._seen(name) or self._listed(name)

    def _seen(self, name: str) -> Place | None:
        """The object that had that name here when it was listed last, if it still has: that spares a listing."""
        id = self.session.id_seen(self.path, name)
        if not id or not self.thing:
            return None
        entry = read(self.client, self.thing.kind, id)
        if entry is None or name not in (*self.thing.kind.names(entry), id):
            return None
        return self.thing(name, self, entry)

    def _listed(self, name: str) -> Place:
        rows = self.rows()
        found = [row for row in rows if row.name == name] or [row for row in rows if _begins(row, name)]
        if len(found) != 1:
            raise self.missing(name)
        return self.open(found[0])

    @property
    def counts(self) -> bool:
        return True

    def text(self, rows: Sequence[Row] | None) -> str:
        count = len(rows or ())
        return counted(count, self.unit) if count else self.none

    def verbs(self) -> Iterable[Command]:
        return self.session.verbs(self.noun, self.objects) if self.noun else ()

    def resolve(self, parameter: click.Parameter, text: str) -> str:
        kind = kind_of(parameter)
        if self.thing and kind == self.thing.kind and not isinstance(parameter.type, Named):
            found = self.get_child(text)
            return found.id if isinstance(found, Thing) else text
        return super().resolve(parameter, text)


def read(client: Client, kind: Kind, id: str) -> Object | None:
    """The object's properties as they are now, None where it has gone."""
    if not kind.interface:
        return next((entry for entry in kind.listing(client) if entry["id"] == id), None)
    try:
        properties: Object = client.call(f"{kind.interface}.GetProperties", id=id)["properties"]
    except VdsError as error:
        if error.code in _GONE:
            return None
        raise
    return properties


def node_names(kind: Kind, entries: Sequence[Object]) -> list[str]:
    """What the objects are called in a path: by their name, or by their id where that is not theirs alone or has signs
    that mean something in a path."""
    own = [kind.name(entry) for entry in entries]
    times = Counter(own)
    return [
        name if times[name] == 1 and fit_for_path(name) else str(entry["id"])
        for name, entry in zip(own, entries, strict=True)
    ]


def counted(count: int, unit: str) -> str:
    """So many of something: 2 plexes."""
    ending = "" if count == 1 else "es" if unit.endswith("x") else "s"
    return f"{count} {unit}{ending}"


def fit_for_path(name: str) -> bool:
    """Whether a name can stand in a path without quotation marks."""
    return re.fullmatch(r"[\w\[][\w.:@%+,\[\]-]*", name) is not None


def _begins(row: Row, text: str) -> bool:
    id = row.entry.get("id", "") if isinstance(row.entry, dict) else ""
    return len(text) >= 4 and (row.name.startswith(text) or id.startswith(text))
