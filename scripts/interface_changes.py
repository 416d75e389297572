"""Finds what a change of a Varlink interface would break for clients that were made for it as it was.

Clients send what is in a method's parameters, and receive its reply and errors: what may be added to one may not be taken
from the other. docs/interfaces.md is the promise.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from varlink import scanner

ROLES = ("viewer", "operator", "admin")
"""Each includes the ones before it."""
MORE = {"[Requires 'more' flag]": "required", "[Supports 'more' flag]": "supported"}


@dataclass
class Struct:
    """Fields, each with its type as it is written down."""

    fields: dict[str, str]


@dataclass
class Method:
    """What goes in and comes out, and what it does with `more`."""

    parameters: Struct
    reply: Struct
    more: str
    role: int
    """The place in ROLES; the last one where the description names none."""


@dataclass
class Description:
    """An interface, read from its description."""

    name: str
    types: dict[str, Struct | list[str]] = field(default_factory=dict)
    """Structures, and enumerations with their words."""
    methods: dict[str, Method] = field(default_factory=dict)
    errors: dict[str, Struct] = field(default_factory=dict)


def read(text: str) -> Description:
    """The interface in a description; raises SyntaxError."""
    parsed = scanner.Interface(text)
    found = Description(parsed.name)
    for name, member in parsed.members.items():
        if isinstance(member, scanner._Method):
            more = next((word for mark, word in MORE.items() if mark in member.doc), "never")
            role = next((place for place, word in enumerate(ROLES) if f"Role: {word}." in member.doc), 2)
            found.methods[name] = Method(_struct(member.in_type), _struct(member.out_type), more, role)
        elif isinstance(member, scanner._Error):
            found.errors[name] = _struct(member.type)
        elif isinstance(member.type, scanner._Enum):
            found.types[name] = list(member.type.fields)
        else:
            found.types[name] = _struct(member.type)
    return found


def _struct(parsed: Any) -> Struct:
    return Struct({name: _written(kind) for name, kind in parsed.fields.items()})


def _written(kind: Any) -> str:
    match kind:
        case scanner._Maybe():
            return f"?{_written(kind.element_type)}"
        case scanner._Array():
            return f"[]{_written(kind.element_type)}"
        case scanner._Dict():
            return f"[string]{_written(kind.element_type)}"
        case scanner._CustomType():
            return str(kind.name)
        case scanner._Object():
            return "object"
        case scanner._Enum():
            return f"({', '.join(kind.fields)})"
        case scanner._Struct():
            return f"({', '.join(f'{name}: {_written(inner)}' for name, inner in kind.fields.items())})"
    return {bool: "bool", int: "int", float: "float", str: "string"}[type(kind)]


def breaks(old: str, new: str) -> list[str]:
    """What the new description of an interface breaks, one sentence each; nothing if all clients can go on."""
    before, after = read(old), read(new)
    return [f"{before.name}: {what}" for what in _breaks(before, after)]


def _breaks(before: Description, after: Description) -> Iterator[str]:
    sent = set(_reached(before, [method.parameters for method in before.methods.values()]))
    received = [*(method.reply for method in before.methods.values()), *before.errors.values()]
    got = set(_reached(before, received))
    for name, kind in before.types.items():
        changed = after.types.get(name)
        if changed is None:
            yield f"type {name} is gone"
        elif isinstance(kind, list):
            # A client may send a word that is gone, and a person may look for it in what is received.
            gone = [word for word in kind if isinstance(changed, Struct) or word not in changed]
            yield from (f"{name} has lost {word}" for word in gone)
        elif isinstance(changed, list):
            yield f"type {name} is an enumeration now"
        else:
            yield from _fields(f"type {name}", kind, changed, sent=name in sent, received=name in got)
    for name, method in before.methods.items():
        yield from _method(name, method, after.methods)
    for name, error in before.errors.items():
        if name not in after.errors:
            yield f"error {name} is gone"
        else:
            yield from _fields(f"error {name}", error, after.errors[name], sent=False, received=True)


def _method(name: str, method: Method, after: Mapping[str, Method]) -> Iterator[str]:
    changed = after.get(name)
    if changed is None:
        yield f"method {name} is gone"
        return
    yield from _fields(f"{name}'s parameters", method.parameters, changed.parameters, sent=True, received=False)
    yield from _fields(f"{name}'s reply", method.reply, changed.reply, sent=False, received=True)
    names = list(method.parameters.fields)
    if set(names) <= set(changed.parameters.fields) and names != list(changed.parameters.fields)[: len(names)]:
        yield f"{name}'s parameters are in another order, and some languages give them by their places"
    if changed.role > method.role:
        yield f"{name} needed the role {ROLES[method.role]} and needs {ROLES[changed.role]}"
    if method.more != changed.more and (method.more, changed.more) not in (
        ("never", "supported"),
        ("required", "supported"),
    ):
        yield f"{name} was to be called with `more` {method.more}, and is {changed.more} now"


def _fields(where: str, old: Struct, new: Struct, *, sent: bool, received: bool) -> Iterator[str]:
    for name, kind in old.fields.items():
        changed = new.fields.get(name)
        if changed is None:
            yield f"{where}: {name} is gone"
        elif changed != kind:
            # What a client sends may become optional, and what it receives may become certain.
            looser = changed == f"?{kind}"
            stricter = kind == f"?{changed}"
            if not ((looser and not received) or (stricter and not sent)):
                yield f"{where}: {name} was {kind} and is {changed}"
    if sent:
        for name, kind in new.fields.items():
            if name not in old.fields and not kind.startswith("?"):
                yield f"{where}: {name} is new and must be given"


def _reached(description: Description, structs: list[Struct]) -> Iterator[str]:
    """The names of the types that these structures are made of."""
    seen: set[str] = set()
    left = list(structs)
    while left:
        for kind in left.pop().fields.values():
            name = kind.lstrip("?").removeprefix("[]").removeprefix("[string]").lstrip("?")
            if name in description.types and name not in seen:
                seen.add(name)
                yield name
                inner = description.types[name]
                if isinstance(inner, Struct):
                    left.append(inner)
