"""Many objects that nobody has any more, without keeping everybody waiting.

While Python looks for those that hold each other, which it does through all that is new, nobody gets an answer: 30 to 60 ms where
somebody has just read what there is of 10,000 LUNs, all of which goes by itself. Nor does anybody while what is in one collection
goes with it: 5 to 20 ms.
"""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LONGEST = 60.0
"""Seconds after which it is looked for all the same: what is waited for may never come."""
_left_alone = 0
"""How many want that nobody looks for it."""


@contextmanager
def left_alone() -> Iterator[None]:
    """Nobody looks for objects that hold each other, as long as the context lasts, but for `LONGEST` at most. Needs
    a running event loop."""
    global _left_alone  # noqa: PLW0603  # as Python's own switch, it is one for the process
    _left_alone += 1
    gc.disable()
    too_long = asyncio.get_running_loop().call_later(LONGEST, gc.enable)
    try:
        yield
    finally:
        too_long.cancel()
        _left_alone -= 1
        if not _left_alone:
            gc.enable()


def let_go(*collections: dict[Any, Any] | list[Any]) -> None:
    """Empty the collections, one object after the other: who waits for the interpreter gets it between two of them."""
    for collection in collections:
        drop = collection.popitem if isinstance(collection, dict) else collection.pop
        while collection:
            drop()
