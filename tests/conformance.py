"""Which tests show which documented codes: what a test claims with `@pytest.mark.shows`, and whether it is true.

`@pytest.mark.shows("LunIscsi.AssociateTargets", "VDS_E_OBJECT_NOT_FOUND")` claims that the test sees that method answer
that code; without a code it is S_OK. A test that did not see what it claims fails. docs/conformance.md is made of the
claims (scripts/conformance), and says which of them a test on a real kernel makes.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar, get_type_hints

import pytest

from vdsprovd.hresult import Hresult
from vdsprovd.provider.api import Rules, kinds_of
from vdsprovd.provider.interfaces import INTERFACES

T = TypeVar("T", bound=Callable[..., object])

Pair = tuple[str, str]
"""A method, such as "Lun.Extend", and a code, such as "VDS_E_NOT_ENOUGH_SPACE"."""

NO_KERNEL: Mapping[Pair, str] = {
    (f"Maintenance.{verb}Maintenance", "S_OK"): "no kernel emulates an enclosure whose slots have lights"
    for verb in ("Stop", "Pulse")
}
"""What only the simulator can show, and why."""

_SIMULATED = {"simulated", "drives_simulated"}
"""The fixtures that are no kernel's."""

_seen: set[Pair] = set()
_operations: dict[str, str] = {}


def saw(method: str, code: int) -> None:
    """A client of a test saw the method answer the code."""
    _seen.add((method, Hresult(code).name))


def began(method: str, operation: str) -> None:
    """The method started that operation; its result will be the method's."""
    _operations[operation] = method


def ended(operation: str, code: int) -> None:
    """The operation gave that result."""
    if operation in _operations:
        saw(_operations[operation], code)


def forget() -> None:
    """Another test begins."""
    _seen.clear()
    _operations.clear()


def claims(item: pytest.Item) -> set[Pair]:
    """What the test says it shows."""
    return {
        (mark.args[0], code) for mark in item.iter_markers("shows") for code in (mark.args[1:] or (Hresult.S_OK.name,))
    }


def unseen(item: pytest.Item) -> set[Pair]:
    """What the test says it shows and did not see."""
    return claims(item) - _seen


def on_kernel(item: pytest.Item) -> bool:
    """Whether the test runs on a real kernel, and on nothing else."""
    fixtures: list[str] = getattr(item, "fixturenames", [])
    return item.get_closest_marker("lab") is not None and _SIMULATED.isdisjoint(fixtures)


class Method(NamedTuple):
    """A method of the API, what its definition says of it, and the kinds of object that it is called on, none for the
    provider."""

    name: str
    rules: Rules
    subjects: tuple[type[Any], ...]


class Call(NamedTuple):
    """A method on an object of one kind, None for the provider."""

    method: str
    subject: type[Any] | None


def methods() -> Iterator[Method]:
    """Every method of the API."""
    for interface in INTERFACES:
        for name, function in vars(interface).items():
            if isinstance(rules := getattr(function, "rules", None), Rules):
                hints = [hint for parameter, hint in get_type_hints(function).items() if parameter != "return"]
                wire_name = "".join(word.capitalize() for word in name.split("_"))
                yield Method(f"{interface.__name__}.{wire_name}", rules, kinds_of(hints[0]) if hints else ())


def documenting(code: Hresult, *subjects: type[Any] | None) -> list[Call]:
    """The methods that document the code, on these kinds of object (on all, if none)."""
    return [
        Call(method.name, subject)
        for method in methods()
        if code in method.rules.codes
        for subject in method.subjects or (None,)
        if subject in subjects or not subjects
    ]


def shows_each(code: Hresult, *subjects: type[Any] | None) -> Callable[[T], T]:
    """The test claims to show the code of each method that `documenting` gives."""

    def claim(test: T) -> T:
        for call in documenting(code, *subjects):
            pytest.mark.shows(call.method, code.name)(test)
        return test

    return claim


def documented() -> list[Pair]:
    """Every method with every code that can come of it, S_OK included."""
    return [
        (name, code.name)
        for name, rules, _ in methods()
        for code in (*(() if rules.refuses else (Hresult.S_OK,)), *sorted(rules.codes))
    ]
