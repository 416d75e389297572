"""Sizes, as people write and read them.

As coreutils has it: 10G and 10GiB are 10 * 1024^3 bytes, 10GB are 10 * 1000^3, and a number alone is bytes.
"""

import re
from typing import Final

import click

MAX: Final = -1
"""What `SizeType` gives for "max"."""

_UNITS: Final = "KMGTPE"
_WRITTEN: Final = re.compile(rf"([0-9]+(?:\.[0-9]+)?)\s*(?:([{_UNITS}])(i?B)?|B)?", re.IGNORECASE)


def size(number: int) -> str:
    """Bytes for people: 10.0 GiB."""
    amount = float(number)
    units = iter(("B", *(f"{unit}iB" for unit in _UNITS)))
    unit = next(units)
    # What would be shown as 1024.0 is 1.0 of the next unit.
    while round(amount, 1) >= 1024 and (larger := next(units, None)):
        amount, unit = amount / 1024, larger
    return f"{number} B" if unit == "B" else f"{amount:.1f} {unit}"


def parse(text: str) -> int:
    """The bytes that a person means, to the byte: "1.5G" is 1610612736. Raises ValueError."""
    found = _WRITTEN.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is no size; write bytes, or for example 512M, 10G, 1.5T (powers of 1024) or 10GB")
    number, unit, suffix = found.groups()
    factor: int = 1
    if unit:
        decimal = (suffix or "").upper() == "B"
        base = 1000 if decimal else 1024
        for _ in range(_UNITS.index(unit.upper()) + 1):
            factor *= base
    whole, _, fraction = number.partition(".")
    tenths: int = 10 ** len(fraction)
    return int(whole) * factor + int(fraction or "0") * factor // tenths


class SizeType(click.ParamType):  # type: ignore[type-arg]  # older versions have none
    """A size of at least one byte; with `max`, also that word, for the most there is room for."""

    name = "size"

    def __init__(self, *, max: bool = False) -> None:
        self._max = max

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        text = str(value)
        if self._max and text == "max":
            return MAX
        try:
            number = parse(text)
        except ValueError as error:
            self.fail(str(error) + (', or "max"' if self._max else ""), param, ctx)
        if number < 1:
            self.fail(f"{text} is no size of at least one byte", param, ctx)
        return number
