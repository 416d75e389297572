"""Descriptions say what the types say, in a text that other implementations can read."""

from __future__ import annotations

import enum
import subprocess
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from varlink.scanner import Interface as Scanned

from tests.varlink.sample import INTERFACE, NAME, Color, Count, Everything, Failure, Nothing, Number, method
from vdsprovd.varlink import service_interface
from vdsprovd.varlink.interface import Error, Interface, More

SAMPLE = """\
# Numbers of all kinds.
interface org.example.Sample

# What it looks like.
type Color (red, dark_blue)

# Where it is.
type Point (x: int, y: ?int)

# What Echo does.
method Echo(count: int, color: ?Color, point: ?Point) -> (number: int)

# What EchoEverything does.
method EchoEverything(
  aText: string,
  flag: bool,
  # How many there are.
  # Never negative.
  whole: int,
  half: float,
  point: Point,
  color: Color,
  points: []Point,
  names: []string,
  byName: [string]Point,
  anything: object,
  raw: object,
  # Base64.
  blob: string,
  # Left out when unknown.
  maybe: ?string,
  maybePoints: ?[]Point,
  count: ?int
) -> (
  aText: string,
  flag: bool,
  # How many there are.
  # Never negative.
  whole: int,
  half: float,
  point: Point,
  color: Color,
  points: []Point,
  names: []string,
  byName: [string]Point,
  anything: object,
  raw: object,
  # Base64.
  blob: string,
  # Left out when unknown.
  maybe: ?string,
  maybePoints: ?[]Point,
  count: ?int
)
"""

SERVICE = Interface(
    service_interface.NAME,
    service_interface.interface(lambda call, parameters: None, lambda call, parameters: None).methods,  # type: ignore[arg-type, return-value]
    service_interface.ERRORS,
)
ERRORS_ONLY = Interface("org.example", errors=(Error("Failed", Failure, "Why."), Error("Empty", Nothing)))


def test_text() -> None:
    """The description has the types in order of use, then methods, then errors, with all that is said of them."""
    text = INTERFACE.description()
    assert text.startswith(SAMPLE)
    assert text.endswith("# It did not work.\nerror Failed (message: string, code: int)\n\nerror Empty ()\n")
    assert "# What UpTo does.\n#\n# [Supports 'more' flag]\nmethod UpTo(" in text
    assert "# What UpToOnly does.\n#\n# [Requires 'more' flag]\nmethod UpToOnly(" in text


def test_text_is_always_the_same() -> None:
    """The same interface has the same description, every time."""
    assert INTERFACE.description() == Interface(*_parts(INTERFACE)).description()


def _parts(interface: Interface) -> Any:
    return interface.name, interface.methods, interface.errors, interface.doc


@pytest.mark.parametrize("interface", [INTERFACE, SERVICE, ERRORS_ONLY], ids=lambda interface: interface.name)
def test_foreign_parser(interface: Interface) -> None:
    """Another implementation's parser finds every method and error, with its fields."""
    scanned = Scanned(interface.description())
    assert scanned.name == interface.name
    for method_ in interface.methods:
        found = scanned.members[method_.name]
        assert list(found.in_type.fields) == list(method_.parameters.__struct_encode_fields__)
        assert list(found.out_type.fields) == list(method_.reply.__struct_encode_fields__)
    for error in interface.errors:
        assert list(scanned.members[error.name].type.fields) == list(error.parameters.__struct_encode_fields__)


@pytest.mark.lab  # which has varlinkctl
@pytest.mark.parametrize("interface", [INTERFACE, SERVICE, ERRORS_ONLY], ids=lambda interface: interface.name)
def test_systemd_parser(tmp_path: Path, interface: Interface) -> None:
    """systemd accepts the description."""
    file = tmp_path / f"{interface.name}.varlink"
    file.write_text(interface.description())
    subprocess.run(["varlinkctl", "validate-idl", str(file)], check=True)


def fields(*types: Any, **defaults: Any) -> str:
    """How fields of these types look in a reply."""
    names = [(f"f{number}", kind) for number, kind in enumerate(types)]
    struct = msgspec.defstruct("Reply", [*names, *[(name, *pair) for name, pair in defaults.items()]])
    text = Interface("org.example", (method("Get", Nothing, struct, print),)).description()
    return text.rpartition(" -> ")[2].strip()


class Size(enum.IntEnum):
    SMALL = 1


class Tree(msgspec.Struct):
    children: list[Tree]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (str, "string"),
        (UUID, "string"),
        (Size, "int"),
        (Color, "Color"),
        (Color | None, "?Color"),
        (Literal["a", "b"], "(a, b)"),
        (Literal[1, 2], "int"),
        (list[int], "[]int"),
        (tuple[int, int], "[]int"),
        (frozenset[str], "[]string"),
        (dict[str, int], "[string]int"),
        (dict[Color, int], "[string]int"),
        (dict[str, Any], "object"),
        (dict, "object"),
        (list[dict[str, Any]] | None, "?[]object"),
        (Annotated[int, msgspec.Meta(ge=0)] | None, "?int"),
        (Tree, "Tree"),
    ],
    ids=str,
)
def test_types(kind: Any, text: str) -> None:
    """Each Python type has one Varlink type."""
    assert fields(kind) == f"(f0: {text})"


def test_what_may_be_missing() -> None:
    """In what a client sends, a field with a default may be missing; in a reply, one that is not sent."""
    assert fields(a=(int, 5), b=(int | None, None), c=(int | msgspec.UnsetType, msgspec.UNSET)) == (
        "(a: int, b: ?int, c: ?int)"
    )
    sent = msgspec.defstruct("Sent", [("a", int, 5)])
    assert "method Put(a: ?int) ->" in Interface("org.example", (method("Put", sent, Nothing, print),)).description()


def test_type_that_contains_itself() -> None:
    """A recursive type is declared once."""
    text = Interface("org.example", (method("Get", Nothing, Tree, print),)).description()
    assert text.count("type Tree") == 1


@pytest.mark.parametrize(
    ("interface", "message"),
    [
        (Interface("example", (method("Get", Nothing, Number, print),)), "not a Varlink interface name"),
        (Interface("org.example"), "at least one member"),
        (Interface("org.example", (method("get", Nothing, Number, print),)), "'get' is not a name"),
        (Interface("org.example", (method("Get", Nothing, Number, print),) * 2), "two members named Get"),
        (Interface("org.example", (method("Color", Count, Number, print),)), "two members named Color"),
    ],
)
def test_what_cannot_be_described(interface: Interface, message: str) -> None:
    """What Varlink has no words for is refused, with the reason."""
    with pytest.raises(ValueError, match=message):
        interface.description()


@pytest.mark.parametrize(
    "kind",
    [
        int | str,
        dict[int, int],
        tuple[int, str],
        Literal["a b"],
        None,
        list[int | None],
        list[list[int]],
        dict[str, list[int]],
    ],
    ids=str,
)
def test_types_that_varlink_does_not_have(kind: Any) -> None:
    """A type that Varlink does not have is refused, with the field's name."""
    with pytest.raises(ValueError, match=r"cannot describe Reply\.f0: "):
        fields(kind)


def test_two_types_of_one_name() -> None:
    """Two types of the same name in one interface are refused."""
    other = msgspec.defstruct("Tree", [("x", int)])
    with pytest.raises(ValueError, match="two types named Tree"):
        fields(Tree, other)


def test_inherited_docstrings_are_left_out() -> None:
    """A type without a docstring of its own has no comment."""
    derived = msgspec.defstruct("Derived", [], bases=(Everything,))
    assert More.NEVER.value == "never"
    outer = msgspec.defstruct("Outer", [("inner", derived)])
    text = Interface("org.example", (method("Get", Nothing, outer, print),)).description()
    assert "One field of each type" not in text
    assert NAME not in text
