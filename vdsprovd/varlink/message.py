"""The messages themselves: JSON objects around a call's or a reply's parameters.

Their members are the protocol's; a member whose name has a dot is a vendor's extension and is skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from vdsprovd.varlink.interface import VarlinkError

_NOTHING: Final = msgspec.Raw(b"{}")

# What the JSON decoder raises for input that it cannot read: no JSON or the wrong shape, no UTF-8, nested too deep.
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

T = TypeVar("T")


class MalformedError(Exception):
    """A message that is not what the protocol says; there is no answer to it but to close the connection."""


class CallMessage(msgspec.Struct, forbid_unknown_fields=True):
    """A call, its parameters still as they came."""

    method: str
    parameters: msgspec.Raw = _NOTHING
    more: bool | None = None
    oneway: bool | None = None
    upgrade: bool | None = None


class ReplyMessage(msgspec.Struct, forbid_unknown_fields=True):
    """A reply or an error, its parameters still as they came."""

    parameters: msgspec.Raw = _NOTHING
    continues: bool | None = None
    error: str | None = None


def _plain(value: Any) -> Any:
    # msgspec knows dict only, of all mappings.
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"cannot send a {type(value).__name__}")


_encode = msgspec.json.Encoder(enc_hook=_plain).encode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _reader(kind: type[T]) -> Callable[[bytes], T]:
    decode = msgspec.json.Decoder(kind).decode

    def read(message: bytes) -> T:
        try:
            return decode(message)
        except UNREADABLE:
            pass
        try:
            members = {name: value for name, value in _decode_members(message).items() if "." not in name}
            return decode(_encode(members))
        except UNREADABLE as error:
            raise MalformedError(f"not a Varlink message: {error}") from error

    return read


_read_call = _reader(CallMessage)
_read_reply = _reader(ReplyMessage)


def read_call(message: bytes) -> CallMessage:
    """Read a call; raises MalformedError."""
    call = _read_call(message)
    call.parameters = _object(call.parameters)
    if bool(call.more) + bool(call.oneway) + bool(call.upgrade) > 1:
        raise MalformedError("a call has at most one of more, oneway and upgrade")
    return call


def read_reply(message: bytes) -> ReplyMessage:
    """Read a reply or an error; raises MalformedError."""
    reply = _read_reply(message)
    reply.parameters = _object(reply.parameters)
    return reply


def encode_call(
    method: str, parameters: Mapping[str, Any] | msgspec.Struct | None, *, more: bool = False, oneway: bool = False
) -> bytes:
    """A call, ready to be sent."""
    members: dict[str, Any] = {"method": method}
    if parameters is not None:
        members["parameters"] = parameters
    if more:
        members["more"] = True
    if oneway:
        members["oneway"] = True
    return _encode(members) + b"\0"


def encode_reply(reply: Any, continues: bool = False) -> bytes:
    """A reply, ready to be sent."""
    parameters = _encode(reply)
    if parameters == b"{}":
        return b'{"continues":true}\0' if continues else b"{}\0"
    return b'{"parameters":' + parameters + (b',"continues":true}\0' if continues else b"}\0")


def encode_error(error: VarlinkError) -> bytes:
    """An error, ready to be sent."""
    parameters = _encode(error.parameters)
    name = _encode(error.name)
    if parameters == b"{}":
        return b'{"error":' + name + b"}\0"
    return b'{"error":' + name + b',"parameters":' + parameters + b"}\0"


def _object(parameters: msgspec.Raw) -> msgspec.Raw:
    """The parameters, where none at all and null are the same as an empty object."""
    first = bytes(memoryview(parameters)[:1])
    if first == b"{":
        return parameters
    if first == b"n":
        return _NOTHING
    raise MalformedError("parameters are an object")
