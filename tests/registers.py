"""Whether what clients saw of an object could be so if each call had happened at one moment between its beginning and its
end: linearizability, of a register to which no value is written twice.

The test is exact, and quick for long histories (P. B. Gibbons and E. Korach, Testing Shared Memories, 1997). The calls that
wrote and read one value are a cluster, which needs the register for itself from its first end to its last beginning. If
the one is before the other, no other cluster may need it meanwhile, nor lie in between altogether.
"""

import math
from collections.abc import Hashable, Iterable
from typing import NamedTuple


class Seen(NamedTuple):
    """A call that wrote or read a value, by the clock of the clients. One that failed with an unknown outcome ends never."""

    write: bool
    value: Hashable
    begin: float
    end: float = math.inf


def contradiction(history: Iterable[Seen], initial: Hashable) -> str:
    """Why the history of a register cannot be, for people; empty when it can. Raises ValueError when a value is written
    twice."""
    writes = {initial: Seen(True, initial, -math.inf, -math.inf)}
    reads: dict[Hashable, list[Seen]] = {}
    for call in history:
        if not call.write:
            reads.setdefault(call.value, []).append(call)
        elif call.value in writes:
            raise ValueError(f"{call.value!r} was written twice")
        else:
            writes[call.value] = call
    for value, calls in reads.items():
        if value not in writes:
            return f"{value!r} was read, which nobody wrote"
        if min(call.end for call in calls) < writes[value].begin:
            return f"{value!r} was read before it was written"
    zones = []
    for value, write in writes.items():
        calls = [write, *reads.get(value, ())]
        if len(calls) > 1 or write.end < math.inf:  # else nobody can tell whether it happened
            zones.append((min(call.end for call in calls), max(call.begin for call in calls), value))
    # Sorted by where they begin: from the first end to the last beginning, or the other way round.
    zones.sort(key=lambda zone: min(zone[:2]))
    owner, until = initial, -math.inf
    for first_end, last_begin, value in zones:
        if first_end < last_begin:
            if first_end < until:
                return f"{value!r} and {owner!r} were there in turn: each was seen after the other was"
            owner, until = value, last_begin
        elif first_end < until:
            return f"{value!r} came and went while {owner!r} was there all the time"
    return ""
