"""What a call's method name leads to: everything about a method that can be found out once, when the service starts."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec
from msgspec import inspect as types

from vdsprovd.varlink.interface import Interface, Method, More
from vdsprovd.varlink.parameters import reader

# Elements of an array in one reply of a batched answer. Larger batches gain nothing, smaller ones cost (measured).
BATCH_SIZE = 200
# The same in the first one, for which a person waits.
FIRST_BATCH = 10
# The longest array that is sent in one reply. The usual clients refuse messages of more than 16 MiB.
WHOLE_ARRAY_MAX = 16_384

_ARRAYS = (types.ListType, types.VarTupleType, types.CollectionType)


class Kind(enum.Enum):
    """How a handler answers."""

    SYNC = "sync"
    COROUTINE = "coroutine"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Route:
    """A method, ready to be called."""

    method: Method
    kind: Kind
    read: Callable[[bytes | msgspec.Raw], Any]
    # The attribute of the reply that is sent in batches.
    array: str | None
    # Whether a stream may end with a reply without parameters.
    may_end_empty: bool

    @classmethod
    def to(cls, method: Method) -> Route:
        """Work out how to call a method; raises TypeError where its parts do not fit together."""
        kind = _kind(method.handler)
        array = None
        if kind is Kind.STREAM and method.more is More.NEVER:
            raise TypeError(f"{method.name}: a handler that is an async generator needs More.SUPPORTED or REQUIRED")
        if kind is not Kind.STREAM and method.more is not More.NEVER:
            array = _only_array(method)
        # Only found out of streams: of all methods, that takes a quarter of the time in which a service is made.
        may_end_empty = kind is Kind.STREAM and not any(
            field.required for field in msgspec.structs.fields(method.reply)
        )
        return cls(method, kind, reader(method.parameters), array, may_end_empty)

    def batches(self, reply: msgspec.Struct, more: bool) -> Iterator[tuple[msgspec.Struct, bool]]:
        """Split a reply's array over replies, or make one of all of it unless it is too long for that; each with whether
        another follows. What `lazily` made comes into being with its batch."""
        assert self.array is not None
        size = BATCH_SIZE if more else WHOLE_ARRAY_MAX
        elements = iter(getattr(reply, self.array))
        batch = tuple(islice(elements, FIRST_BATCH if more else size))
        while ahead := tuple(islice(elements, 1)):
            yield msgspec.structs.replace(reply, **{self.array: batch}), True
            batch = ahead + tuple(islice(elements, size - 1))
        yield msgspec.structs.replace(reply, **{self.array: batch}), False


def routes(interfaces: dict[str, Interface]) -> dict[str, Route]:
    """The routes of all methods, by full name."""
    found: dict[str, Route] = {}
    for interface in interfaces.values():
        for method in interface.methods:
            name = f"{interface.name}.{method.name}"
            if name in found:
                raise ValueError(f"{name} is there twice")
            found[name] = Route.to(method)
    return found


def _kind(handler: Callable[..., Any]) -> Kind:
    # An object may be called too; what it is shows on its class.
    for function in (handler, type(handler).__call__):
        if inspect.isasyncgenfunction(function):
            return Kind.STREAM
        if inspect.iscoroutinefunction(function):
            return Kind.COROUTINE
    return Kind.SYNC


def _only_array(method: Method) -> str:
    info = types.type_info(method.reply)
    assert isinstance(info, types.StructType)
    arrays = [field.name for field in info.fields if isinstance(_bare(field.type), _ARRAYS)]
    if len(arrays) != 1:
        raise TypeError(f"{method.name}: a reply that is sent in batches has one array, this one has {len(arrays)}")
    return arrays[0]


def _bare(kind: types.Type) -> types.Type:
    return _bare(kind.type) if isinstance(kind, types.Metadata) else kind
