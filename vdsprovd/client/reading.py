"""Reads replies into their types, also those of a newer daemon, which may know more words than we do."""

import enum
import functools
from typing import Any, TypeVar

import msgspec
from msgspec import inspect as types

from vdsprovd.model import VdsEnum

T = TypeVar("T")


def read(raw: msgspec.Raw, kind: type[T]) -> T:
    """The reply as that type; raises msgspec.ValidationError for what is none.

    A word that the enumeration does not have is a value of its own: `LunStatus` "sleeping" is neither of its members, its
    `value` is "sleeping", its `number` -1.
    """
    hashable: Any = kind
    try:
        value: T = _decoder(hashable)(raw)
    except msgspec.ValidationError:
        # The usual case costs nothing for this one.
        value = _build(msgspec.json.decode(raw), types.type_info(kind))
    return value


@functools.lru_cache(maxsize=256)
def _decoder(kind: Any) -> Any:
    return msgspec.json.Decoder(kind).decode


def _build(value: Any, kind: types.Type) -> Any:
    match kind:
        case types.Metadata():
            return _build(value, kind.type)
        case types.UnionType():
            inner = next(member for member in kind.types if not isinstance(member, types.NoneType))
            return None if value is None else _build(value, inner)
        case types.EnumType():
            return _word(value, kind.cls)
        case types.VarTupleType() if isinstance(value, list):
            return tuple(_build(item, kind.item_type) for item in value)
        case types.StructType() if isinstance(value, dict):
            fields = {
                field.name: _build(value[field.encode_name], field.type)
                for field in kind.fields
                if field.encode_name in value
            }
            missing = [field.encode_name for field in kind.fields if field.required and field.name not in fields]
            if missing:
                raise msgspec.ValidationError(f"{kind.cls.__name__} has no {', '.join(missing)}")
            return kind.cls(**fields)
        case types.IntType() | types.StrType() | types.BoolType() | types.BytesType():
            return msgspec.convert(value, _PLAIN[type(kind)])
    raise msgspec.ValidationError(f"expected {type(kind).__name__.removesuffix('Type').lower()}, got {value!r}")


_PLAIN: dict[type, Any] = {
    types.IntType: int,
    types.StrType: str,
    types.BoolType: bool,
    types.BytesType: bytes,
}


def _word(value: Any, kind: type[enum.Enum]) -> Any:
    try:
        return kind(value)
    except ValueError:
        if not isinstance(value, str):
            raise msgspec.ValidationError(f"{value!r} is no {kind.__name__}") from None
        unknown: Any = str.__new__(kind, value) if issubclass(kind, str) else object.__new__(kind)
        unknown._name_ = value.upper()
        unknown._value_ = value
        if issubclass(kind, VdsEnum):
            unknown.number = -1
        return unknown
