"""Events only say "look again": how a look follows a burst of them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from vdsprovd.operations import Work, begin

log = logging.getLogger(__name__)

SETTLE = 0.2
"""Seconds to wait for a burst of events to end."""


@asynccontextmanager
async def looking(look: Callable[[], Awaitable[None]], what: str) -> AsyncIterator[Callable[[], None]]:
    """Gives what to call when something changed; `look` is called after each burst of that, one call at a time, as long
    as the context lasts. `what` completes "cannot ..." in the log."""
    changed = asyncio.Event()

    async def follow() -> None:
        while True:
            await changed.wait()
            await asyncio.sleep(SETTLE)
            changed.clear()
            begin(Work(what))
            try:
                await look()
            except Exception:
                log.exception("cannot %s", what)

    task = asyncio.get_running_loop().create_task(follow())
    try:
        yield changed.set
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
