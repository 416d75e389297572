"""A persistent map: a change of it is another map, and the one before stays as it was.

It is a list of dicts, of which a change copies one, and so most of it is the work of dict. Beside rpds, of 10,000 entries:
listing is a hundred times as fast, a change twice, and it takes less than half of the memory. What differs between two maps
is found at the cost of what differs. (immutables is as good, and not in Debian.)
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Generic, TypeVar, overload

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
D = TypeVar("D")

_FULL = 64
"""Entries that a part has on average when there are to be more parts: a change copies a part and the list of parts."""
_GROWTH = 4


class PersistentMap(Generic[K, V]):
    """Values by keys, in no order, in parts by the hashes of the keys. Make another with `insert`, `remove` and `discard`."""

    __slots__ = ("_count", "_parts")

    def __init__(self, entries: Mapping[K, V] | None = None) -> None:
        self._parts: tuple[dict[K, V], ...] = ({},)
        self._count = 0
        if entries:
            self._count = len(entries)
            number = 1
            while self._count > _FULL * number:
                number *= _GROWTH
            self._parts = _parts(entries.items(), number) if number > 1 else (dict(entries),)

    @classmethod
    def _of(cls, parts: tuple[dict[K, V], ...], count: int) -> "PersistentMap[K, V]":
        made: PersistentMap[K, V] = cls.__new__(cls)
        made._parts = parts
        made._count = count
        return made

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: object) -> bool:
        return key in self._parts[hash(key) % len(self._parts)]

    def __getitem__(self, key: K) -> V:
        return self._parts[hash(key) % len(self._parts)][key]

    @overload
    def get(self, key: K) -> V | None: ...
    @overload
    def get(self, key: K, default: D) -> V | D: ...
    def get(self, key: K, default: D | None = None) -> V | D | None:
        """The key's value, or the default."""
        return self._parts[hash(key) % len(self._parts)].get(key, default)

    def __iter__(self) -> Iterator[K]:
        return chain.from_iterable(self._parts)

    def values(self) -> Iterator[V]:
        """The values, once."""
        return chain.from_iterable(part.values() for part in self._parts)

    def items(self) -> Iterator[tuple[K, V]]:
        """The keys with their values, once."""
        if len(self._parts) == 1:
            return iter(self._parts[0].items())
        return chain.from_iterable(part.items() for part in self._parts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PersistentMap):
            return NotImplemented
        if len(self._parts) == len(other._parts):
            return self._parts == other._parts  # parts that they share are not looked into
        return self._count == other._count and dict(self.items()) == dict(other.items())

    def __hash__(self) -> int:
        return hash(frozenset(self.items()))

    def __repr__(self) -> str:
        return f"PersistentMap({dict(self.items())})"

    def insert(self, key: K, value: V) -> "PersistentMap[K, V]":
        """This map with that entry, added or replaced."""
        parts, place = self._parts, hash(key) % len(self._parts)
        count = self._count + (key not in parts[place])
        if count > _FULL * len(parts):
            parts = _parts(self.items(), len(parts) * _GROWTH)
            place = hash(key) % len(parts)
        return self._of(_replaced(parts, place, {**parts[place], key: value}), count)

    def update(self, entries: Mapping[K, V]) -> "PersistentMap[K, V]":
        """This map with all of these entries, added or replaced: each part is copied once, however many go there."""
        if not entries:
            return self
        if len(self._parts) == 1:
            together = {**self._parts[0], **entries}
            return self._of((together,), len(together)) if len(together) <= _FULL else PersistentMap(together)
        parts, number, count = list(self._parts), len(self._parts), self._count
        changed: set[int] = set()
        for key, value in entries.items():
            place = hash(key) % number
            if place not in changed:
                changed.add(place)
                parts[place] = dict(parts[place])
            count += key not in parts[place]
            parts[place][key] = value
        made = self._of(tuple(parts), count)
        return PersistentMap(dict(made.items())) if count > _FULL * number else made

    def remove(self, key: K) -> "PersistentMap[K, V]":
        """This map without that entry. Raises KeyError when it is not there."""
        place = hash(key) % len(self._parts)
        part = dict(self._parts[place])
        del part[key]
        return self._of(_replaced(self._parts, place, part), self._count - 1)

    def discard(self, key: K) -> "PersistentMap[K, V]":
        """This map without that entry, if it is there."""
        return self.remove(key) if key in self else self


def _parts(entries: Iterable[tuple[K, V]], number: int) -> tuple[dict[K, V], ...]:
    found: tuple[dict[K, V], ...] = tuple({} for _ in range(number))
    for key, value in entries:
        found[hash(key) % number][key] = value
    return found


def _replaced(parts: tuple[dict[K, V], ...], place: int, part: dict[K, V]) -> tuple[dict[K, V], ...]:
    return (*parts[:place], part, *parts[place + 1 :])
