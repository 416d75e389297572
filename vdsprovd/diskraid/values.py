"""What parameters are: sizes, numbers and lists of them, names. Each raises `ValueError` with words for people."""

import re
from collections.abc import Callable, Iterable
from decimal import ROUND_CEILING, Decimal
from typing import Final

_UNITS: Final = {
    "b": 1,
    "kb": 1 << 10,
    "mb": 1 << 20,
    "gb": 1 << 30,
    "tb": 1 << 40,
    "pb": 1 << 50,
}
_SIZE = re.compile(r"([0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20}) *([a-z]*)", re.IGNORECASE)
_TRUTHS: Final = {"true": True, "false": False}

SHORTEST: Final = 3
"""Letters that an abbreviation has at least: `sel lun 5`."""

Pair = tuple[int, int]


def size(text: str) -> int:
    """Bytes. Without a unit the number is in MB; units are powers of 1024, and a part of a byte counts as one."""
    match = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get((match[2] or "mb").lower()) if match else None
    if not match or not unit:
        raise ValueError(f"{text!r} is no size: write a number and B, KB, MB (if left out), GB, TB or PB, such as 10GB")
    found = int((Decimal(match[1]) * unit).to_integral_value(ROUND_CEILING))
    if not 0 < found < 1 << 63:
        raise ValueError(f"{text!r} is no size that a LUN can have")
    return found


def number(text: str) -> int:
    """An object's number, as lists show it; or any other that is not negative."""
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError(f"{text!r} is no number")
    return int(text)


def numbers(text: str) -> tuple[int, ...]:
    """Numbers that commas separate, in their order, each once."""
    found = tuple(number(part.strip()) for part in text.split(","))
    _once(found)
    return found


def pairs(text: str) -> tuple[Pair, ...]:
    """Controllers and their ports: `0-1,1-1`."""
    found = tuple(_pair(part.strip()) for part in text.split(","))
    _once(found)
    return found


def names(text: str) -> tuple[str, ...]:
    """Names of initiators that semicolons separate."""
    found = tuple(part.strip() for part in text.split(";"))
    if not all(found):
        raise ValueError(f"{text!r} has an empty name; write names with ; between them")
    return found


def candidates(text: str, words: Iterable[str]) -> list[str]:
    """The words of which the text could be one: itself in any case, else those that begin with its three letters or more."""
    lower = text.lower()
    unique = list(dict.fromkeys(words))
    exact = [word for word in unique if word.lower() == lower]
    return exact or [word for word in unique if len(lower) >= SHORTEST and word.lower().startswith(lower)]


def one_of(*words: str) -> Callable[[str], str]:
    """What reads one of these words."""

    def read(text: str) -> str:
        found = candidates(text, words)
        if len(found) != 1:
            raise ValueError(f"{text!r} is none of {', '.join(word.upper() for word in words)}")
        return found[0]

    return read


def truth(text: str) -> bool:
    """TRUE or FALSE."""
    found = _TRUTHS.get(text.lower())
    if found is None:
        raise ValueError(f"{text!r} is neither TRUE nor FALSE")
    return found


def _pair(text: str) -> Pair:
    first, dash, second = text.partition("-")
    if not dash:
        raise ValueError(f"{text!r} is no port: write the controller's number, a hyphen, and the port's, such as 0-1")
    return number(first), number(second)


def _once(found: tuple[object, ...]) -> None:
    if len(set(found)) < len(found):
        raise ValueError("something is there twice")
