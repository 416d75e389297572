"""From the bytes of a call's parameters to a Struct, or to the reason why not.

msgspec tells what is wrong in words only. This is the one place that reads those words.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from vdsprovd.varlink.message import UNREADABLE, MalformedError

# What msgspec says of a value that has the right JSON type and still is none of the allowed ones.
_VALUE = re.compile(
    r"Invalid |Number out of range|Integer value out of range"
    r"|Expected `[a-z]+` (?:[<>]|of length|matching regex|that's a multiple of)"
)
_PLACE = re.compile(r"(?s)(.*) - at (?:`key` in )?`\$(.*)`")
_FIELD = re.compile(r"(?s)Object (?:missing required|contains unknown) field `(.*)`")
_NULL = "got `null`"


class InvalidParameterError(Exception):
    """Parameters that do not fit their type.

    `is_value` tells a value that is not allowed (an unknown enum member) from a wrong shape (missing, unknown, wrong
    JSON type).
    """

    def __init__(self, parameter: str, message: str, is_value: bool) -> None:
        super().__init__(parameter, message, is_value)
        # The dotted path, "hints.size" or "luns[3].name".
        self.parameter = parameter
        self.message = message
        self.is_value = is_value


def reader(parameters: type[msgspec.Struct]) -> Callable[[bytes | msgspec.Raw], Any]:
    """Make the function that reads parameters of that type.

    It raises InvalidParameterError, and MalformedError for what is no JSON.
    """
    decode = msgspec.json.Decoder(parameters).decode

    def read(raw: bytes | msgspec.Raw) -> Any:
        try:
            return decode(raw)
        except msgspec.ValidationError as error:
            if _NULL not in str(error):
                raise _reason(error) from None
        except UNREADABLE as error:
            raise MalformedError from error
        # Absent and null mean the same. msgspec takes null only where the type says None, so a field that may be
        # absent because it has another default is read a second time, without the nulls.
        try:
            return decode(msgspec.json.encode(_without_nulls(msgspec.json.decode(raw))))
        except msgspec.ValidationError as error:
            raise _reason(error) from None
        except (*UNREADABLE, RecursionError) as error:
            raise MalformedError from error

    return read


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _reason(error: msgspec.ValidationError) -> InvalidParameterError:
    message = str(error)
    path = ""
    if place := _PLACE.fullmatch(message):
        message, path = place.groups()
    if field := _FIELD.fullmatch(message):
        path = f"{path}.{field[1]}"
    return InvalidParameterError(
        path.removeprefix(".").replace("[...]", "[]"), message, _VALUE.match(message) is not None
    )
