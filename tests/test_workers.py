"""Threads for what blocks: which priority they have."""

import asyncio
import os

from vdsprovd.operations import Work
from vdsprovd.workers import Workers


def niceness() -> int:
    """The calling thread's."""
    return os.getpriority(os.PRIO_PROCESS, 0)


def test_threads_give_way_once_they_are_told_to() -> None:
    """Not before, also those that are there already; the thread that answers clients keeps its priority."""
    normal = niceness()

    async def run() -> list[int]:
        workers = Workers("test", 2, 10.0, lambda work: None)

        async def pair() -> list[int]:
            return await asyncio.gather(*(workers.run(niceness, Work("be nice")) for _ in range(2)))

        first = await pair()
        assert first == [normal] * 2
        workers.give_way()
        later = await pair()
        workers.close()
        return later

    assert min(asyncio.run(run())) > normal
    assert niceness() == normal
