"""What the kernel's watches tell of: what others touch, and not what our own steps make."""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from inotify_simple import INotify, flags

from tests.arrays import ADDRESS, INITIATOR, MIB, clear_kernel, group_folder
from tests.arrays.facts import IQN, LUN
from vdsprovd.hardware import Acl, Disk, Fact, Grant, Group, Key, Listener, Step, TargetNode, Unit
from vdsprovd.hardware.lio import Lio, configfs
from vdsprovd.hardware.lio.watch import Watches

pytestmark = pytest.mark.lab

QUIET = 0.7
"""Seconds in which everything has been told."""
GROUP = group_folder(IQN)


class Told:
    """The keys that the hardware tells of."""

    def __init__(self, hardware: Lio) -> None:
        self._hints = hardware.changes()
        self._keys: set[Key] = set()
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for keys in self._hints:
            self._keys.update(keys or [()])

    async def of(self) -> set[Key]:
        """Those of the last second, and what is told in the next; the empty one is for everything."""
        await asyncio.sleep(QUIET)
        found, self._keys = self._keys, set()
        return found

    async def close(self) -> None:
        """Listen no more."""
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)


@pytest.fixture
def hardware() -> Iterator[Lio]:
    """The kernel's target, empty."""
    clear_kernel()
    yield Lio({})
    clear_kernel()


def listening(hardware: Lio, test: Callable[[Told], Awaitable[None]]) -> None:
    """Run the test while what is told is listened to."""

    async def run() -> None:
        told = Told(hardware)
        assert await told.of() == {()}
        await test(told)
        await told.close()

    asyncio.run(run())


def make(hardware: Lio, facts: list[Fact]) -> None:
    """Take the steps that make these, in a thread of their own, as commands do."""

    def take() -> None:
        for fact in facts:
            hardware.take(Step(None, fact))

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    assert len(list(hardware.look([fact.key for fact in facts]))) == len(facts)


def touch(disk: Path) -> dict[str, Callable[[], object]]:
    """What somebody does to each of the folders that were made, from the bottom up."""
    unit, grant = GROUP / "lun/lun_3", GROUP / "acls" / INITIATOR / "lun_3"
    return {
        "link of a grant": (grant / "vdsprovd").unlink,
        "grant": grant.rmdir,
        "secret": lambda: (GROUP / "acls" / INITIATOR / "auth/userid").write_text("somebody"),
        "access": (GROUP / "acls" / INITIATOR).rmdir,
        "link of a unit": (unit / "vdsprovd").unlink,
        "unit": unit.rmdir,
        "listener": (GROUP / f"np/{ADDRESS}:3260").rmdir,
        "attribute": lambda: (GROUP / "attrib/generate_node_acls").write_text("1"),
        "alias": lambda: (GROUP / "param/TargetAlias").write_text("another\n"),
        "group": lambda: (GROUP / "enable").write_text("0"),
        "its folder": GROUP.rmdir,
        "target": GROUP.parent.rmdir,
        "size": lambda: (disk / "control").write_text(f"fd_dev_size={MIB // 2}"),
        "disk": disk.rmdir,
        "its place": disk.parent.rmdir,
    }


EXPECTED: dict[str, set[Key]] = {
    "link of a grant": {(Grant, IQN, 1, INITIATOR, 3)},
    "grant": {(Grant, IQN, 1, INITIATOR, 3)},
    "secret": {(Acl, IQN, 1, INITIATOR)},
    "access": {(Acl, IQN, 1, INITIATOR)},
    "link of a unit": {(Unit, IQN, 1, 3)},
    "unit": {(Unit, IQN, 1, 3)},
    "listener": {(Listener, IQN, 1, ADDRESS, 3260)},
    "attribute": {(Group, IQN, 1)},
    "alias": {(Group, IQN, 1)},
    "group": {(Group, IQN, 1)},
    "its folder": {(Group, IQN, 1)},
    "target": {(TargetNode, IQN)},
    "size": {(Disk, LUN, 5)},
    "disk": {(Disk, LUN, 5)},
    "its place": set(),
}


def test_what_we_make_is_watched_and_not_told_of(hardware: Lio, facts: list[Fact]) -> None:
    """Each folder of it: whatever somebody then does there is told of, and nothing else."""

    async def test(told: Told) -> None:
        await asyncio.to_thread(make, hardware, facts)
        assert await told.of() == set()
        for what, meddle in touch(configfs.hba(5, block=False) / LUN).items():
            await asyncio.to_thread(meddle)
            assert await told.of() == EXPECTED[what], what

    listening(hardware, test)


def test_what_others_make_again_in_our_place(hardware: Lio, facts: list[Fact]) -> None:
    """A mapped LUN that somebody removes and makes anew under the same name, while the old folder is still open in
    another program, is told of, and so is what is done in the new one."""
    key = (Grant, IQN, 1, INITIATOR, 3)

    async def test(told: Told) -> None:
        await asyncio.to_thread(make, hardware, facts)
        await told.of()
        grant = GROUP / "acls" / INITIATOR / "lun_3"
        descriptor = os.open(grant, os.O_RDONLY)
        (grant / "vdsprovd").unlink()
        grant.rmdir()
        grant.mkdir()
        assert await told.of() == {key}
        (grant / "somebody").symlink_to(GROUP / "lun/lun_3")
        assert await told.of() == {key}
        os.close(descriptor)
        await told.of()
        (grant / "somebody").unlink()
        assert await told.of() == {key}

    listening(hardware, test)


def test_what_we_make_in_what_others_made(hardware: Lio, facts: list[Fact]) -> None:
    """An ACL of somebody's that we adopt is looked into, for it may have more than ours."""

    async def test(told: Told) -> None:
        others = [fact for fact in facts if not isinstance(fact, Acl | Grant)]
        (acl,) = (fact for fact in facts if isinstance(fact, Acl))
        await asyncio.to_thread(make, hardware, others)
        await told.of()
        mapped = GROUP / "acls" / INITIATOR / "lun_7"
        mapped.parent.mkdir()
        mapped.mkdir()
        await asyncio.to_thread(make, hardware, [acl])
        assert await told.of() == {acl.key, (Grant, IQN, 1, INITIATOR, 7)}
        mapped.rmdir()
        assert await told.of() == {(Grant, IQN, 1, INITIATOR, 7)}

    listening(hardware, test)


def test_an_event_before_it_is_known_where_its_watch_is(tmp_path: Path) -> None:
    """It is passed over: the thread that puts the watch may be between the kernel's answer and its note of it."""
    with INotify() as inotify:
        inotify.add_watch(tmp_path, flags.CREATE)
        (tmp_path / "folder").mkdir()
        (event,) = inotify.read()
        assert Watches().where(event) == ""
