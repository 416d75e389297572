"""The words of msgspec, which this package reads in one place: these tests fail when msgspec finds others."""

from __future__ import annotations

import enum
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest

from vdsprovd.varlink.message import MalformedError
from vdsprovd.varlink.parameters import InvalidParameterError, reader


class Kind(enum.Enum):
    A = "a"


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    n: int
    kind: Kind = Kind.A


class Outer(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    int_field: int = 0
    inner: Inner | None = None
    items: list[Inner] = []
    named: dict[str, Inner] = {}
    by_kind: dict[Kind, int] = {}
    literal: Literal["x", "y"] = "x"
    at_least: Annotated[int, msgspec.Meta(ge=1)] = 1
    even: Annotated[int, msgspec.Meta(multiple_of=2)] = 2
    short: Annotated[str, msgspec.Meta(max_length=2)] = ""
    pattern: Annotated[str, msgspec.Meta(pattern="^x")] = "x"
    some: Annotated[list[int], msgspec.Meta(min_length=1)] | None = None
    uuid: UUID | None = None
    blob: bytes = b""
    ratio: float = 0
    anything: Any = None


VALUE, SHAPE = True, False


@pytest.mark.parametrize(
    ("parameters", "parameter", "is_value"),
    [
        ('{"intField":"1"}', "intField", SHAPE),
        ('{"intField":1.5}', "intField", SHAPE),
        ('{"other":1}', "other", SHAPE),
        ('{"inner":1}', "inner", SHAPE),
        ('{"inner":{}}', "inner.n", SHAPE),
        ('{"inner":{"n":null}}', "inner.n", SHAPE),
        ('{"inner":{"n":1,"other":1}}', "inner.other", SHAPE),
        ('{"inner":{"n":1,"kind":1}}', "inner.kind", SHAPE),
        ('{"items":{}}', "items", SHAPE),
        ('{"items":[{"n":1},{"n":"1"}]}', "items[1].n", SHAPE),
        ('{"named":{"x":{}}}', "named[].n", SHAPE),
        ('{"Invalid enum value":1}', "Invalid enum value", SHAPE),
        ('{"inner":{"n":1,"kind":"b"}}', "inner.kind", VALUE),
        ('{"items":[{"n":1,"kind":"b"}]}', "items[0].kind", VALUE),
        ('{"byKind":{"b":1}}', "byKind", VALUE),
        ('{"literal":"z"}', "literal", VALUE),
        ('{"literal":"z` - at `$.other`"}', "literal", VALUE),
        ('{"atLeast":0}', "atLeast", VALUE),
        ('{"even":1}', "even", VALUE),
        ('{"short":"long"}', "short", VALUE),
        ('{"pattern":"y"}', "pattern", VALUE),
        ('{"some":[]}', "some", VALUE),
        ('{"uuid":"no"}', "uuid", VALUE),
        ('{"blob":"!"}', "blob", VALUE),
        ('{"ratio":1e999}', "ratio", VALUE),
    ],
)
def test_reason(parameters: str, parameter: str, is_value: bool) -> None:
    """What does not fit is named by its path, and told apart: a value that is not allowed, or a wrong shape."""
    with pytest.raises(InvalidParameterError) as caught:
        reader(Outer)(parameters.encode())
    assert (caught.value.parameter, caught.value.is_value) == (parameter, is_value)


def test_null_is_absent() -> None:
    """A null stands for a field's default, also where that is not None, and in nested objects."""
    read = reader(Outer)
    assert read(b'{"intField":null,"inner":null,"items":[{"n":1,"kind":null}],"ratio":2}') == Outer(
        items=[Inner(1)], ratio=2
    )


@pytest.mark.parametrize(
    "parameters", [b"{", b'{"intField":\xff}', b'{"short":"\xff"}', b'{"anything":' + b"[" * 100_000]
)
def test_what_is_no_json(parameters: bytes) -> None:
    """What is no JSON, or nested without end, is malformed."""
    with pytest.raises(MalformedError):
        reader(Outer)(parameters)


@pytest.mark.parametrize("inside", [b'"\xff"', b"[" * 900 + b"]" * 900], ids=["no UTF-8", "deep nesting"])
def test_bad_input_beside_a_null(inside: bytes) -> None:
    """What is read a second time because of a null is held to the same: no JSON, or beyond reason, is malformed."""
    with pytest.raises((MalformedError, InvalidParameterError)):
        reader(Outer)(b'{"intField":null,"other":' + inside + b"}")
