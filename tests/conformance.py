"""Which tests show which documented codes: what a test claims with `@pytest.mark.shows`, and whether it is true.

`@pytest.mark.shows("LunIscsi.AssociateTargets", "VDS_E_OBJECT_NOT_FOUND")` claims that the test sees that method answer
that code; without a code it is S_OK. A test that did not see what it claims fails. docs/conformance.md is made of the
claims (scripts/conformance).
"""

from collections.abc import Iterator

import pytest

from vdsprovd.hresult import Hresult
from vdsprovd.provider.api import Rules
from vdsprovd.provider.interfaces import INTERFACES

Pair = tuple[str, str]
"""A method, such as "Lun.Extend", and a code, such as "VDS_E_NOT_ENOUGH_SPACE"."""

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


def methods() -> Iterator[tuple[str, Rules]]:
    """Every method of the API, and what its definition says of it."""
    for interface in INTERFACES:
        for name, function in vars(interface).items():
            if isinstance(rules := getattr(function, "rules", None), Rules):
                yield f"{interface.__name__}.{''.join(word.capitalize() for word in name.split('_'))}", rules


def documenting(code: Hresult, *interfaces: str) -> list[object]:
    """pytest's parameters: each method of the interfaces (all, if none) that documents the code, claimed to show it."""
    return [
        pytest.param(name, marks=pytest.mark.shows(name, code.name))
        for name, rules in methods()
        if code in rules.codes and (not interfaces or name.partition(".")[0] in interfaces)
    ]


def documented() -> list[Pair]:
    """Every method with every code that can come of it, S_OK included."""
    return [
        (name, code.name)
        for name, rules in methods()
        for code in (*(() if rules.refuses else (Hresult.S_OK,)), *sorted(rules.codes))
    ]
