"""What a service offers, as data: interfaces, their methods and errors. Types are msgspec Structs.

The description that clients read is generated from these values, so it cannot say anything else than the server does.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import msgspec

if TYPE_CHECKING:
    from vdsprovd.varlink.call import Call

T = TypeVar("T")

NO_PARAMETERS: Final[Mapping[str, Any]] = MappingProxyType({})


class More(enum.Enum):
    """What a method does with Varlink's `more` flag, by which a client asks for several replies to one call."""

    NEVER = "never"
    SUPPORTED = "supported"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Error:
    """An error that an interface declares; `name` has no interface prefix."""

    name: str
    parameters: type[msgspec.Struct]
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Method:
    """A method and who answers it.

    The handler takes the `Call` and the decoded parameters. It is one of

    - a function that returns the reply: answered at once, so it must not block;
    - a coroutine function that returns the reply;
    - an async generator function that yields replies, each sent as it comes. `Last(reply)` ends the stream. A generator
      that just returns ends it with a reply without parameters, which needs a reply type whose fields all may be
      missing. Without `more`, its first reply is the only one.

    A function or coroutine function may allow `more` when its reply has exactly one array: the server then sends the
    array in batches, whose elements may be made as they are sent: see `lazily`.
    """

    name: str
    parameters: type[msgspec.Struct]
    reply: type[msgspec.Struct]
    handler: Callable[[Call, Any], Any]
    more: More = More.NEVER
    doc: str = ""
    # Opaque here: whoever authorizes calls reads it.
    metadata: Any = None


@dataclass(frozen=True, slots=True)
class Interface:
    """A named set of methods and errors."""

    name: str
    methods: tuple[Method, ...] = ()
    errors: tuple[Error, ...] = ()
    doc: str = ""

    def description(self) -> str:
        """The interface in Varlink's interface definition language; the same text for the same types, always."""
        # Imported here because most processes never describe an interface.
        from vdsprovd.varlink.description import describe  # noqa: PLC0415

        return describe(self)


def lazily(elements: Iterator[T]) -> tuple[T, ...]:
    """An array for a reply that may be sent in batches, of which each element is made when its batch is sent.

    It is no tuple: only the server can read it, once.
    """
    return cast("tuple[T, ...]", elements)


class Last:
    """Marks the last reply of a stream: `yield Last(reply)`."""

    __slots__ = ("reply",)

    def __init__(self, reply: msgspec.Struct) -> None:
        self.reply = reply


class VarlinkError(Exception):
    """An error on its way to the caller, or, in a client, as it arrived; `name` is the full name."""

    def __init__(self, name: str, parameters: msgspec.Struct | Mapping[str, Any] = NO_PARAMETERS) -> None:
        super().__init__(name, parameters)
        self.name = name
        self.parameters = parameters

    def __str__(self) -> str:
        parameters = self.parameters if isinstance(self.parameters, Mapping) else msgspec.to_builtins(self.parameters)
        if message := parameters.get("message"):
            return f"{self.name}: {message}"
        return f"{self.name} {dict(parameters)}" if parameters else self.name
