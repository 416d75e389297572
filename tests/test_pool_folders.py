"""What somebody does to the files in pools' folders is told of."""

import asyncio
from collections.abc import Collection
from pathlib import Path

from vdsprovd.hardware.pools import folders


def test_a_thousand_files_are_told_of_in_a_few_calls(tmp_path: Path) -> None:
    """The first at once, and the others soon after it, none of them lost."""
    pool = tmp_path / "pool"
    pool.mkdir()
    calls: list[Collection[str] | None] = []

    async def touch() -> None:
        with folders.watch([pool], calls.append):
            (pool / "first.lun").touch()
            await asyncio.sleep(0.02)
            assert calls == [{"first"}]
            for number in range(1000):
                (pool / f"{number}.lun").touch()
                if not number % 50:
                    await asyncio.sleep(0)
            await asyncio.sleep(0.5)

    asyncio.run(touch())
    assert len(calls) <= 10
    assert set().union(*filter(None, calls)) == {"first", *map(str, range(1000))}


def test_nobody_is_told_after_the_end(tmp_path: Path) -> None:
    """Not of what was left to gather either."""
    calls: list[Collection[str] | None] = []

    async def touch() -> None:
        with folders.watch([tmp_path], calls.append):
            (tmp_path / "first.lun").touch()
            await asyncio.sleep(0.02)
            (tmp_path / "second.lun").touch()
        await asyncio.sleep(0.3)

    asyncio.run(touch())
    assert calls == [{"first"}]
