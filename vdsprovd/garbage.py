"""When Python looks for garbage, that is for objects that hold each other and that nobody else has any more.

It looks through all that is new, and nobody gets an answer meanwhile: 30 to 60 ms where somebody has just read what there is of
10,000 LUNs, all of which goes by itself.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_left_alone = 0
"""How many want that nobody looks for it."""


@contextmanager
def left_alone() -> Iterator[None]:
    """Nobody looks for garbage, as long as the context lasts; for the event loop's thread."""
    global _left_alone  # noqa: PLW0603  # as Python's own switch, it is one for the process
    _left_alone += 1
    gc.disable()
    try:
        yield
    finally:
        _left_alone -= 1
        if not _left_alone:
            gc.enable()
