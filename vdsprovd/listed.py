"""A persistent map that is listed as fast as a dict. One of rpds takes a microsecond for each entry that it gives out, a
hundred times as long; a change of it costs as much as a change of this one.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Generic, TypeVar

V = TypeVar("V")

_FULL = 64
"""Entries that a part has on average when there are to be more parts: a change copies one part and the list of parts."""
_GROWTH = 4


class Listed(Generic[V]):
    """Values by name, in no order, in parts by the hashes of their names. Make another with `insert` and `remove`."""

    __slots__ = ("_count", "_parts")

    def __init__(self, parts: tuple[dict[str, V], ...] = ({},), count: int = 0) -> None:
        self._parts = parts
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[V]:
        """The values."""
        return chain.from_iterable(part.values() for part in self._parts)

    def insert(self, name: str, value: V) -> "Listed[V]":
        """This map with that entry, added or replaced."""
        parts, place = self._parts, hash(name) % len(self._parts)
        count = self._count + (name not in parts[place])
        if count > _FULL * len(parts):
            parts = _parted(parts, len(parts) * _GROWTH)
            place = hash(name) % len(parts)
        return Listed(_replaced(parts, place, {**parts[place], name: value}), count)

    def remove(self, name: str) -> "Listed[V]":
        """This map without that entry. Raises KeyError when it is not there."""
        place = hash(name) % len(self._parts)
        part = dict(self._parts[place])
        del part[name]
        return Listed(_replaced(self._parts, place, part), self._count - 1)


def _replaced(parts: tuple[dict[str, V], ...], place: int, part: dict[str, V]) -> tuple[dict[str, V], ...]:
    return (*parts[:place], part, *parts[place + 1 :])


def _parted(parts: tuple[dict[str, V], ...], number: int) -> tuple[dict[str, V], ...]:
    found: tuple[dict[str, V], ...] = tuple({} for _ in range(number))
    for name, value in chain.from_iterable(part.items() for part in parts):
        found[hash(name) % number][name] = value
    return found
