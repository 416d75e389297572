"""Writes an interface in Varlink's interface definition language, from the Struct types of its methods and errors."""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import inspect as types

from vdsprovd.varlink.interface import Interface, Method, More

# The grammar's names. The one for interfaces is narrower than the grammar: no international domain names.
_INTERFACE = re.compile(r"[A-Za-z](-*[A-Za-z0-9])*(\.[A-Za-z0-9](-*[A-Za-z0-9])*)+")
_NAME = re.compile(r"[A-Z][A-Za-z0-9]*")
_FIELD = re.compile(r"[A-Za-z](_?[A-Za-z0-9])*")

_SIMPLE: dict[type[types.Type], str] = {
    types.BoolType: "bool",
    types.IntType: "int",
    types.FloatType: "float",
    types.StrType: "string",
    types.BytesType: "string",
    types.ByteArrayType: "string",
    types.MemoryViewType: "string",
    types.DateTimeType: "string",
    types.DateType: "string",
    types.TimeType: "string",
    types.UUIDType: "string",
    types.DecimalType: "string",
    types.AnyType: "object",
    types.RawType: "object",
}
_BYTES = (types.BytesType, types.ByteArrayType, types.MemoryViewType)
_SEQUENCES = (types.ListType, types.VarTupleType, types.SetType, types.FrozenSetType, types.CollectionType)

# How `more` is written down: the grammar has no word for it, tools read systemd's comment.
_MORE = {More.NEVER: "", More.SUPPORTED: "[Supports 'more' flag]", More.REQUIRED: "[Requires 'more' flag]"}

# A list of names that is no longer than this stays on one line.
_SHORT = 72


def describe(interface: Interface) -> str:
    """The interface as text: types in the order in which they are first used, then methods, then errors."""
    if not _INTERFACE.fullmatch(interface.name):
        raise ValueError(f"cannot describe {interface.name!r}: not a Varlink interface name")
    return _Writer(interface).text()


class _Writer:
    def __init__(self, interface: Interface) -> None:
        self._interface = interface
        # Every named type, by name, in order of first use.
        self._named: dict[str, type] = {}
        # Types that a client sends: in these a field with a default may be left out, so it is nullable.
        self._sent: set[type] = set()
        self._received: set[type] = set()
        structs = [(method.parameters, True) for method in interface.methods]
        structs += [(method.reply, False) for method in interface.methods]
        structs += [(error.parameters, False) for error in interface.errors]
        for struct, sent in structs:
            if sent:
                self._sent.add(struct)
            for field in _fields(struct):
                self._collect(field.type, sent)

    def text(self) -> str:
        interface = self._interface
        members = [(name, self._type(cls)) for name, cls in self._named.items()]
        members += [(method.name, self._method(method)) for method in interface.methods]
        members += [
            (error.name, _comment(error.doc) + f"error {error.name} {self._struct(error.parameters)}")
            for error in interface.errors
        ]
        if not members:
            raise ValueError(f"cannot describe {interface.name}: an interface has at least one member")
        seen = set()
        for name, _ in members:
            if not _NAME.fullmatch(name):
                raise ValueError(f"cannot describe {interface.name}: {name!r} is not a name of a Varlink member")
            if name in seen:
                raise ValueError(f"cannot describe {interface.name}: it has two members named {name}")
            seen.add(name)
        head = _comment(interface.doc) + f"interface {interface.name}\n"
        return "\n".join([head, *(member + "\n" for _, member in members)])

    def _collect(self, kind: types.Type, sent: bool) -> None:
        if isinstance(kind, types.StructType | types.EnumType):
            if isinstance(kind, types.EnumType) and not _is_named_enum(kind.cls):
                return
            cls = kind.cls
            if self._named.setdefault(cls.__name__, cls) is not cls:
                raise ValueError(f"cannot describe {self._interface.name}: it has two types named {cls.__name__}")
            if isinstance(kind, types.StructType):
                # Once for each direction, which also ends a type that contains itself.
                seen = self._sent if sent else self._received
                if cls in seen:
                    return
                seen.add(cls)
                for field in kind.fields:
                    self._collect(field.type, sent)
        for inner in _inner(kind):
            self._collect(inner, sent)

    def _type(self, cls: type) -> str:
        doc = _comment(_doc(cls))
        if issubclass(cls, enum.Enum):
            return doc + f"type {cls.__name__} {_enum([member.value for member in cls])}"
        return doc + f"type {cls.__name__} {self._struct(cls)}"

    def _method(self, method: Method) -> str:
        doc = _comment("\n\n".join(filter(None, [inspect.cleandoc(method.doc), _MORE[method.more]])))
        return f"{doc}method {method.name}{self._struct(method.parameters)} -> {self._struct(method.reply)}"

    def _struct(self, struct: type) -> str:
        """The fields in brackets: in one line where it fits and says it all."""
        fields = [(self._field(struct, field), _comment(_field_doc(field.type), "  ")) for field in _fields(struct)]
        line = "(" + ", ".join(text for text, _ in fields) + ")"
        if not any(comment for _, comment in fields) and len(line) <= _SHORT:
            return line
        return "(\n" + ",\n".join(f"{comment}  {text}" for text, comment in fields) + "\n)"

    def _field(self, struct: type, field: types.Field) -> str:
        name = field.encode_name
        if not _FIELD.fullmatch(name):
            raise ValueError(f"cannot describe {struct.__name__}: {name!r} is not a name of a Varlink field")
        try:
            text = self._reference(field.type)
        except ValueError as error:
            raise ValueError(f"cannot describe {struct.__name__}.{name}: {error}") from None
        may_be_missing = not field.required and (
            struct in self._sent or _omits_defaults(struct) or not _has_default(field)
        )
        return f"{name}: {'?' if may_be_missing and not text.startswith('?') else ''}{text}"

    def _reference(self, kind: types.Type) -> str:
        """How a field refers to a type."""
        match kind:
            case types.Metadata():
                return self._reference(kind.type)
            case types.CustomType():
                return "object"
            case types.UnionType():
                return self._nullable(kind)
            case types.StructType():
                return kind.cls.__name__
            case types.EnumType():
                return kind.cls.__name__ if _is_named_enum(kind.cls) else "int"
            case types.LiteralType():
                return _literal(kind.values)
            case types.DictType():
                return self._map(kind)
            case types.TupleType():
                items = {self._element(item) for item in kind.item_types}
                if len(items) != 1:
                    raise ValueError("Varlink's arrays have one type of element")
                return f"[]{items.pop()}"
        if isinstance(kind, _SEQUENCES):
            return f"[]{self._element(kind.item_type)}"
        try:
            return _SIMPLE[type(kind)]
        except KeyError:
            raise ValueError(f"Varlink has nothing like {type(kind).__name__}") from None

    def _element(self, kind: types.Type) -> str:
        """What an array or map holds. The grammar allows more here than systemd's parser (257) understands."""
        text = self._reference(kind)
        if text.startswith(("?", "[")):
            raise ValueError(f"varlinkctl cannot read an array or map of {text}; a type of its own around it helps")
        return text

    def _nullable(self, kind: types.UnionType) -> str:
        texts = {self._reference(member) for member in kind.types if not isinstance(_bare(member), types.NoneType)}
        if len(texts) != 1:
            raise ValueError("Varlink has no unions")
        text = texts.pop()
        return text if text.startswith("?") else f"?{text}"

    def _map(self, kind: types.DictType) -> str:
        if not isinstance(_bare(kind.key_type), types.StrType | types.EnumType | types.AnyType):
            raise ValueError("the keys of Varlink's maps are strings")
        # A map of anything is what Varlink calls an object.
        return "object" if isinstance(kind.value_type, types.AnyType) else f"[string]{self._element(kind.value_type)}"


def _fields(struct: type) -> tuple[types.Field, ...]:
    info = types.type_info(struct)
    if not isinstance(info, types.StructType):
        raise TypeError(f"cannot describe {struct!r}: not a msgspec Struct")
    return info.fields


def _inner(kind: types.Type) -> Iterable[types.Type]:
    match kind:
        case types.Metadata():
            return (kind.type,)
        case types.UnionType():
            return kind.types
        case types.DictType():
            return (kind.key_type, kind.value_type)
        case types.TupleType():
            return kind.item_types
    return (kind.item_type,) if isinstance(kind, _SEQUENCES) else ()


def _bare(kind: types.Type) -> types.Type:
    return _bare(kind.type) if isinstance(kind, types.Metadata) else kind


def _has_default(field: types.Field) -> bool:
    """Whether an optional field has a value when it is not given; it has none when its default is UNSET."""
    return field.default is not msgspec.NODEFAULT or field.default_factory is not msgspec.NODEFAULT


def _omits_defaults(struct: Any) -> bool:
    return bool(struct.__struct_config__.omit_defaults)


def _is_named_enum(cls: type[enum.Enum]) -> bool:
    """Whether the enum's values are names; an enum of numbers is an int on the wire."""
    return all(isinstance(member.value, str) for member in cls)


def _literal(values: tuple[Any, ...]) -> str:
    if all(isinstance(value, int) for value in values):
        return "int"
    return _enum(values)


def _enum(values: Iterable[Any]) -> str:
    values = list(values)
    for value in values:
        if not isinstance(value, str) or not _FIELD.fullmatch(value):
            raise ValueError(f"{value!r} is not a name of a Varlink enum")
    line = f"({', '.join(values)})"
    return line if len(line) <= _SHORT else "(\n" + ",\n".join(f"  {value}" for value in values) + "\n)"


def _doc(cls: type) -> str:
    # The class's own: an inherited docstring describes something else.
    return inspect.cleandoc(cls.__dict__.get("__doc__") or "")


def _field_doc(kind: types.Type) -> str:
    """What Meta(description=...) says of a field, wherever in `Annotated[X | None, ...]` it stands."""
    lines = []
    described: list[types.Type] = [kind]
    while described:
        part = described.pop(0)
        if isinstance(part, types.Metadata):
            lines.append((part.extra_json_schema or {}).get("description", ""))
            described.append(part.type)
        elif isinstance(part, types.UnionType):
            described.extend(part.types)
        elif isinstance(part, _BYTES):
            lines.append("Base64.")
    return "\n".join(inspect.cleandoc(line) for line in lines if line)


def _comment(text: str, indent: str = "") -> str:
    return "".join(f"{indent}# {line}".rstrip() + "\n" for line in inspect.cleandoc(text).strip().splitlines())
