"""Many objects go without keeping everybody waiting."""

import asyncio
import gc
from collections.abc import Collection

import pytest

from vdsprovd import garbage


def test_garbage_is_left_alone_until_the_last_who_wants_that_is_done() -> None:
    """Two scans may overlap, and one may break off."""

    async def scans() -> None:
        assert gc.isenabled()
        with garbage.left_alone():
            with pytest.raises(RuntimeError), garbage.left_alone():
                raise RuntimeError
            assert not gc.isenabled()
        assert gc.isenabled()

    asyncio.run(scans())


def test_garbage_is_looked_for_while_somebody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that hangs may keep a scan from its end."""
    monkeypatch.setattr(garbage, "LONGEST", 0.0)

    async def scan() -> None:
        with garbage.left_alone():
            assert not gc.isenabled()
            await asyncio.sleep(0.001)
            assert gc.isenabled()

    asyncio.run(scan())


def test_a_collection_is_let_go_of_one_object_after_the_other() -> None:
    """Each goes while those before it in a list, or that came before it into a dictionary, are still there."""
    left: list[int] = []

    class Thing:
        def __init__(self, within: Collection[object]) -> None:
            self._within = within

        def __del__(self) -> None:
            left.append(len(self._within))

    of_list: list[object] = []
    of_list += [Thing(of_list) for _ in range(3)]
    of_dict: dict[int, object] = {}
    of_dict |= {number: Thing(of_dict) for number in range(3)}
    garbage.let_go(of_list, of_dict)
    assert left == [2, 1, 0, 2, 1, 0]
