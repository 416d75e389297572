"""Which object a person means: by its id, its name, or the beginning of either.

An id is looked up directly. A name takes one listing of its kind, never more, whatever the number of objects and names.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click
from click.shell_completion import CompletionItem

from vdsprovd.cli import errors
from vdsprovd.cli.session import address as address_of_daemon

if TYPE_CHECKING:
    from vdsprovd.client import Client

Object = dict[str, Any]

_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SHORTEST: Final = 4
"""How many characters of an id must be given: with fewer, a slip of the finger is some object's."""
_SHOWN: Final = 8
"""How many candidates an error names."""


@dataclass(frozen=True)
class Kind:
    """A kind of objects that people name."""

    noun: str
    """As in a sentence: "there is no LUN ..."."""
    interface: str
    """Whose GetProperties reads one of them; none, where one is found in the list only."""
    query: str
    """The method that lists them: those of a subsystem, if it is one of SubSystem's."""
    names: Callable[[Object], Sequence[str]]
    """What an object is called, the name that people know it by first."""
    where: str
    """The command that lists them."""

    def name(self, entry: Object) -> str:
        """What people call the object: its name, or its id if it has none."""
        return next(filter(None, self.names(entry)), "") or str(entry["id"])

    @property
    def lists(self) -> tuple[str, ...]:
        """The methods that `listing` calls."""
        return (_SUB_SYSTEMS, self.query) if self.query.startswith("SubSystem") else (self.query,)

    @property
    def calls(self) -> tuple[str, ...]:
        """The methods that `find` calls."""
        return (*self.lists, f"{self.interface}.GetProperties") if self.interface else self.lists

    def listing(self, client: "Client", within: str | None = None) -> list[Object]:
        """All of them; with `subSystem`, the id and the friendlyName, those that are of one.

        `within` is the id of a subsystem: then only what it has, as the API tells it.
        """
        if not self.query.startswith("SubSystem"):
            found = client.query(self.query)
            return [entry for entry in found if within is None or entry.get("subSystem", within) == within]
        return [
            entry | {"subSystem": {"id": owner["id"], "friendlyName": owner["friendlyName"]}}
            for owner in client.query(_SUB_SYSTEMS)
            if within in (None, owner["id"])
            for entry in client.query(self.query, id=owner["id"])
        ]


_SUB_SYSTEMS: Final = "HwProvider.QuerySubSystems"


def address(portal: Object) -> str:
    """A portal as one writes it: 10.77.0.1:3260 or [fd00::1]:3260."""
    where = portal["address"]
    host = f"[{where['textAddress']}]" if where["type"] == "ipv6" else where["textAddress"]
    return f"{host}:{where['port']}"


def in_order(name: str) -> list[Any]:
    """A key that sorts names as people do: web2 before web10."""
    # Split like this, every second part is digits.
    return [int(part) if part.isdecimal() else part.casefold() for part in re.split(r"(\d+)", name)]


def with_sub_system(client: "Client", interface: str, entry: Object) -> Object:
    """The object, with `subSystem` as a listing gives it; an interface's GetSubSystem finds it where it is missing."""
    if "subSystem" in entry:
        return entry
    id = client.call(f"{interface}.GetSubSystem", id=entry["id"])["subSystem"]
    name = client.call("SubSystem.GetProperties", id=id)["properties"]["friendlyName"]
    return entry | {"subSystem": {"id": id, "friendlyName": name}}


def _target_names(target: Object) -> Sequence[str]:
    # Most iSCSI names differ in what stands after the colon only.
    return (target["iscsiName"], target["friendlyName"], target["iscsiName"].rpartition(":")[2])


SUBSYSTEM: Final = Kind(
    "subsystem", "SubSystem", _SUB_SYSTEMS, lambda entry: (entry["friendlyName"],), "vdsprovctl subsystem list"
)
POOL: Final = Kind(
    "pool",
    "StoragePool",
    "HwProviderStoragePools.QueryStoragePools",
    lambda entry: (entry["name"],),
    "vdsprovctl pool list",
)
LUN: Final = Kind("LUN", "Lun", "SubSystem.QueryLuns", lambda entry: (entry["friendlyName"],), "vdsprovctl lun list")
TARGET: Final = Kind("target", "IscsiTarget", "SubSystemIscsi.QueryTargets", _target_names, "vdsprovctl target list")
PORTAL: Final = Kind(
    "portal",
    "IscsiPortal",
    "SubSystemIscsi.QueryPortals",
    lambda entry: (address(entry), entry["address"]["textAddress"]),
    "vdsprovctl portal list",
)
DRIVE: Final = Kind(
    "drive", "Drive", "SubSystem.QueryDrives", lambda entry: (entry["friendlyName"],), "vdsprovctl drive list"
)
CONTROLLER: Final = Kind(
    "controller",
    "Controller",
    "SubSystem.QueryControllers",
    lambda entry: (entry["friendlyName"],),
    "vdsprovctl controller list",
)


def find(client: "Client", kind: Kind, text: str) -> Object:
    """The properties of the object that is meant. Raises `Failure` where there is none, or where it could be several."""
    return find_all(client, kind, [text])[0]


def find_all(client: "Client", kind: Kind, texts: Sequence[str], within: str | None = None) -> list[Object]:
    """The objects that are meant, each once, with one listing at most. Raises as `find`.

    Names mean objects of the subsystem `within`, if there is one; an id is unique everywhere.
    """
    listed: list[Object] | None = None
    found: dict[str, Object] = {}
    for text in texts:
        if kind.interface and is_id(text):
            entry = client.call(f"{kind.interface}.GetProperties", id=text)["properties"]
        else:
            listed = kind.listing(client, within) if listed is None else listed
            entry = choose(kind, listed, text)
        found[entry["id"]] = entry
    return list(found.values())


def only(client: "Client", kind: Kind, text: str | None, option: str) -> Object:
    """The object that is meant; without a text the only one there is. `option` says how to choose among several."""
    if text is not None:
        return find(client, kind, text)
    there = kind.listing(client)
    if len(there) == 1:
        return there[0]
    if not there:
        raise errors.Failure(f"there is no {kind.noun}", errors.NOT_FOUND)
    raise errors.Failure(
        f"there are several {kind.noun}s; choose one with {option}: {_some(kind, there)}", errors.USAGE
    )


def is_id(text: str) -> bool:
    """Whether the text is a whole id, which needs no listing."""
    return _ID.fullmatch(text) is not None


def choose(kind: Kind, listed: Sequence[Object], text: str) -> Object:
    """The one of these that is meant. Raises as `find`."""
    # An object without a name is not called "".
    matching = [entry for entry in listed if text and text in kind.names(entry)]
    if not matching and text:
        matching = [
            entry
            for entry in listed
            if (len(text) >= SHORTEST and entry["id"].startswith(text))
            or any(name.startswith(text) for name in kind.names(entry))
        ]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise errors.Failure(f"{text!r} could be several {kind.noun}s: {_some(kind, matching)}", errors.USAGE)
    there = f"; see: {kind.where}" if listed else f"; there is no {kind.noun} at all"
    raise errors.Failure(f"there is no {kind.noun} {text!r}{_alike(kind, listed, text)}{there}", errors.NOT_FOUND)


def _some(kind: Kind, entries: Sequence[Object]) -> str:
    shown = [f"{kind.name(entry)} ({entry['id']})" for entry in entries[:_SHOWN]]
    more = len(entries) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _alike(kind: Kind, listed: Sequence[Object], text: str) -> str:
    from difflib import get_close_matches  # for an error only

    near = get_close_matches(text, [name for entry in listed for name in kind.names(entry) if name], n=1)
    return f"; did you mean {near[0]}?" if near else ""


class Naming(click.ParamType):  # type: ignore[type-arg]  # older versions have none
    """A parameter that names an object; the shell completes it with the names that there are now."""

    calls: tuple[str, ...] = ()
    """The methods by which the object is found."""

    def candidates(self, client: "Client") -> Iterable[tuple[str, str]]:
        """The names that there are, and what helps to tell them apart."""
        raise NotImplementedError

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return self.name.upper().replace(" ", "-")

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from vdsprovd.client import Client, Unreachable
        from vdsprovd.hresult import VdsError

        try:
            with Client(address_of_daemon(ctx.find_root()), timeout=2, reconnect=0) as client:
                there = list(self.candidates(client))
        except (Unreachable, VdsError):
            return []
        given = ctx.params.get(param.name or "") or ()
        return [
            CompletionItem(name, help=help)
            for name, help in there
            if _typable(name) and name.startswith(incomplete) and name not in given
        ]


class Named(Naming):
    """A parameter that names an object of a kind."""

    def __init__(self, kind: Kind, *words: str) -> None:
        """`words` are those that can stand in place of a name, such as "all"."""
        self.kind = kind
        self.words = words
        self.name = kind.noun
        self.calls = kind.calls

    def candidates(self, client: "Client") -> Iterable[tuple[str, str]]:
        yield from ((word, "") for word in self.words)
        for entry in self.kind.listing(client):
            yield self.kind.name(entry), entry["id"]


within_option: Final = click.option(
    "--subsystem", type=Named(SUBSYSTEM), help="Only those of this subsystem, where there are several."
)
"""The option of lists, given as `subsystem`; see `sub_system`."""


def sub_system(client: "Client", text: str | None) -> str | None:
    """The id of the subsystem that an option names; None without one."""
    return None if text is None else str(find(client, SUBSYSTEM, text)["id"])


def _typable(name: str) -> bool:
    """Whether a shell takes the name as one word without quotes."""
    return re.fullmatch(r"[\w.:/@%+,=\[\]-]+", name) is not None
