"""What every VDS object works with: cache, store, hardware and operations, and the one way to change the host."""

import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import ParamSpec, TypeVar, cast

import msgspec

from vdsprovd import journal
from vdsprovd.cache import Cache
from vdsprovd.config import Config
from vdsprovd.counted import Counted
from vdsprovd.digests import is_damage
from vdsprovd.hardware import (
    Cancelled,
    Condition,
    DrivePool,
    Fact,
    Hardware,
    HardwareError,
    Mismatch,
    NoDrives,
    NoSpace,
    Pool,
    Unsupported,
    VolumeFailed,
    realize,
    steps,
    undo,
)
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.inventory import Drive, Entity, Lun, StoragePool, SubSystem
from vdsprovd.model import TransitionState
from vdsprovd.operations import Operations, Work, current
from vdsprovd.store import Store
from vdsprovd.workers import Workers

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

WORKERS = 8
"""Threads for what blocks for a moment: the kernel, pools, the store."""
LONG_WORKERS = 32
"""Threads for what may take hours: zeroing, synchronizing, moving. More of that waits; nothing else waits for it."""
PATIENCE = 10.0
"""Seconds until the kernel is taken not to answer; then the objects that are worked on show it."""
LONG_PATIENCE = 30.0
"""The same where much is written."""

DRAIN = 15.0
"""Seconds that a stop waits for what is under way; systemd gives it 30 (TimeoutStopSec=)."""


def measure(entry: StoragePool, pool: Pool) -> StoragePool:
    """The storage pool with its capacity as it is now; a pool that cannot be read has a fault. Blocks."""
    try:
        space = pool.space()
    except HardwareError as error:
        return msgspec.structs.replace(entry, total=0, free=0, provisioned=0, fault=str(error))
    return msgspec.structs.replace(
        entry,
        total=space.total,
        free=space.free,
        provisioned=space.provisioned,
        types=tuple(pool.types),  # of a pool that was not there at the start they were not known
        fault="",
    )


def contents(target_id: str) -> str:
    """What is held while somebody changes what is in the target: LUNs share it, and its ACLs."""
    return f"contents of {target_id}"


class Context:
    """The provider's parts. Belongs to the event loop's thread, but for what `work` runs."""

    def __init__(
        self, config: Config, store: Store, hardware: Hardware, cache: Cache, provider_id: str, computer: str
    ) -> None:
        self.config = config
        self.store = store
        self.hardware = hardware
        self.cache = cache
        self.provider_id = provider_id
        self.computer = computer
        """This host's name, the default computer of import targets."""
        self.counted = Counted()
        self.operations = Operations(self.counted)
        self._failure = ""
        self._trying = False
        self.local: Collection[str] = ()
        """The iSCSI names of this host's initiators."""
        self.last_lun_number = 0
        """The highest number of a LUN that is or was seen."""
        self._workers = Workers("vdsprovd", WORKERS, PATIENCE, self._heard)
        self._long_workers = Workers("vdsprovd-long", LONG_WORKERS, LONG_PATIENCE, self._heard)
        self._silent: dict[Work, tuple[str, ...]] = {}
        """What has no answer from the kernel, and the objects that show it."""

    def give_way(self) -> None:
        """Let what changes something, or looks at much, have a processor after everybody else. Not before the host is
        rebuilt: until then nobody is served."""
        for workers in (self._workers, self._long_workers):
            workers.give_way()

    async def work(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what blocks in a worker thread."""
        return await self._workers.run(lambda: function(*args, **kwargs), current())

    async def look(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for what only reads: it waits for no answer that does not come. Raises `Refused` then."""
        return await self._workers.run(lambda: function(*args, **kwargs), current(), looks=True)

    async def long_work(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what may block for as long as it takes to write every byte of a LUN."""
        return await self._long_workers.run(lambda: function(*args, **kwargs), current())

    def _heard(self, work: Work) -> None:
        """The kernel does not answer, or did: the objects show it, and those who wait for them look again."""
        shown = self._silent.pop(work, ())
        if work.silences:
            about = {id for id, held in work.exclusive.items() if held}
            about |= {question.lun for question in work.silences.values() if question.lun}
            self._silent[work] = tuple(about)
        changed = {*shown, *self._silent.get(work, ())}
        texts = {id: silent.silent_since for silent, about in self._silent.items() for id in about}
        self.cache.silence({id: texts.get(id, "") for id in changed})
        self.operations.holds.heard()

    @property
    def stuck(self) -> Collection[str]:
        """The ids of the objects about which the kernel gives no answer."""
        return {id for about in tuple(self._silent.values()) for id in about}

    @property
    def unanswered(self) -> int:
        """How many commands and looks have no answer from the kernel."""
        return len(self._silent)

    @property
    def silence(self) -> str:
        """What has no answer from the kernel, for people; empty when all is well."""
        return "; ".join(work.silence for work in self._silent)

    def pool(self, id: str) -> Pool:
        """The storage pool of that id, where the bytes are."""
        pool = self.cache.inventory.known(StoragePool, id)
        sub_system = self.cache.inventory.known(SubSystem, pool.sub_system_id)
        return self.hardware.pools[sub_system.name, pool.name]

    def drive_pool(self, id: str) -> DrivePool:
        """The storage pool of that id, which must know its drives."""
        return cast(DrivePool, self.pool(id))

    async def measured(self, pool_id: str) -> StoragePool:
        """The storage pool with its capacity as it is now; a pool that cannot be read has a fault."""
        entry = self.cache.inventory.known(StoragePool, pool_id)
        return await self.work(measure, entry, self.pool(pool_id))

    async def surroundings(self, pool_id: str) -> list[Entity]:
        """What a change of a volume changes around it: the pool's space, and what is free on its drives. None of it when that
        cannot be read: the change itself is made, and has to be told."""
        try:
            return await self.look(self.look_around, pool_id)
        except HardwareError as error:  # there is no answer
            log.warning("%s", error)
            return []

    def look_around(self, pool_id: str) -> list[Entity]:
        """The same for who is in a worker thread already."""
        entry, found = self.cache.inventory.known(StoragePool, pool_id), self.drive_pool(pool_id)
        try:
            with self.hardware.scan():
                pool = measure(entry, found)
                known = found.members() if pool.drives and not pool.fault else ()
        except HardwareError as error:
            log.warning("cannot read what is free in pool %s: %s", entry.name, error)
            return []
        members = {member.id: member for member in known}
        if not members:
            return [pool]
        return [
            pool,
            *(
                msgspec.structs.replace(drive, member=members[drive.member.id])
                for drive in self.cache.inventory.all(Drive)
                if drive.pool_id == pool_id and drive.member and drive.member.id in members
            ),
        ]

    def next_lun_number(self) -> int:
        """A number that no LUN has, and no disk that a scan found, whoever made it."""
        return self.next_lun_numbers(1)

    def next_lun_numbers(self, count: int) -> int:
        """The first of so many numbers on end that are as `next_lun_number`'s."""
        first = self.last_lun_number + 1
        self.last_lun_number += count
        return first

    def reshaping(self, target_ids: Iterable[str]) -> AbstractAsyncContextManager[None]:
        """Be the only one who changes what is in these targets: LUNs share them, and their ACLs. Waits its turn."""
        return self.operations.holds.wait([contents(id) for id in target_ids])

    def settings_of(self, sub_system_id: str) -> str:
        """What to hold, shared, while a target is added to a subsystem: what it has of the subsystem's settings must not
        change meanwhile."""
        return f"settings of {sub_system_id}"

    @asynccontextmanager
    async def changing(self, lun_id: str, transition: TransitionState) -> AsyncIterator[None]:
        """Show the LUN in this transition state while its volume is being changed."""
        self._show(lun_id, transition)
        try:
            yield
        finally:
            self._show(lun_id, TransitionState.STABLE)

    def _show(self, lun_id: str, transition: TransitionState) -> None:
        if lun := self.cache.inventory.get(Lun, lun_id):
            self.cache.apply([msgspec.structs.replace(lun, transition=transition)])

    async def change(
        self,
        before: Iterable[Fact] = (),
        after: Iterable[Fact] = (),
        *,
        put: Sequence[Entity] = (),
        drop: Sequence[Entity] = (),
        also: Sequence[str] = (),
        claims: Collection[str] = (),
    ) -> None:
        """Lead the host from one set of facts to another, keep the outcome, and tell who listens.

        The intent is durable before the first step and the outcome after the last; when the kernel refuses a step,
        those taken are undone and nothing changed. `claims` are the ids and iSCSI names that are the provider's own
        even if a crash keeps the outcome from being written. Raises `VdsError`.
        """
        before = list(before)
        wanted = steps(before, after)

        def execute() -> None:
            number = self.store.begin("change", claims=sorted(claims)) if wanted else None
            try:
                realize(self.hardware, wanted, before)
                try:
                    self.store.finish(number, put, drop)
                except Exception as error:
                    undo(self.hardware, wanted, error)
                    raise
            except Exception:
                if number is not None:
                    self.store.owe(number)
                raise

        await self.guarded(self.work(execute))
        self.cache.apply(put, [entity.id for entity in drop], also)

    async def set_import_target(self, computer: str, sub_system_id: str, iscsi_name: str | None) -> None:
        """Keep, or with None forget, the import target of a computer at a subsystem. Waits its turn: what is kept last is also
        what is shown."""
        async with self.operations.holds.wait([f"the import target of {computer} at {sub_system_id}"]):
            await self.guarded(self.work(self.store.set_import_target, computer, sub_system_id, iscsi_name))
            self.cache.set_import_target(computer, sub_system_id, iscsi_name)

    @property
    def failure(self) -> str:
        """Why the provider is in status failed (its store cannot be written), empty while it is not. Who asks has it tried
        whether that is still so, for those who ask next: a disk that hangs must keep nobody from an answer."""
        if self._failure and not self._trying:
            self._trying = True
            self.operations.spawn(self._try_store())
        return self._failure

    async def _try_store(self) -> None:
        try:
            await self.work(self.store.try_write)
        except sqlite3.Error as error:
            self._failure = f"the store cannot be used: {error}"
            if is_damage(error):
                self._failure = ""
                self.translate(error)
        else:
            log.warning("the store can be written again", extra=journal.about(journal.STORE_WRITABLE))
            self._failure = ""
        finally:
            self._trying = False

    async def guarded(self, work: Awaitable[T], subject: str | None = None) -> T:
        """Await the work; what it raises becomes a `VdsError` about the subject, and leaves its mark on the cache."""
        try:
            return await work
        except Exception as error:
            raise self.translate(error, subject) from error

    def translate(self, error: Exception, subject: str | None = None) -> VdsError:
        """The error for the client, by VDS code; proof of corruption and failed volumes are taken note of.

        An error with notes left a step that could not be undone: the host is not what the cache says.
        """
        if undone := getattr(error, "__notes__", None):
            self.cache.corrupt("; ".join((str(error), *undone)))
            return self.corrupt()
        match error:
            case VdsError():
                return error
            case Mismatch():
                self.cache.corrupt(str(error))
                return self.corrupt()
            case Unsupported():
                return VdsError(Hresult.VDS_E_NOT_SUPPORTED, str(error), subject)
            case NoDrives():
                return VdsError(Hresult.VDS_E_NOT_ENOUGH_DRIVE, str(error), subject)
            case NoSpace():
                return VdsError(Hresult.VDS_E_NOT_ENOUGH_SPACE, str(error), subject)
            case Cancelled():
                return VdsError(Hresult.VDS_E_OPERATION_CANCELED, str(error), subject)
            case VolumeFailed():
                if subject and (lun := self.cache.inventory.get(Lun, subject)):
                    failed = msgspec.structs.replace(lun, condition=Condition.FAILED, reason=str(error))
                    self.cache.apply([failed])
                return VdsError(Hresult.VDS_E_OBJECT_STATUS_FAILED, str(error), subject)
            case HardwareError():
                return VdsError(Hresult.VDS_E_PROVIDER_FAILURE, str(error), subject)
            case sqlite3.Error() if is_damage(error):
                self.cache.corrupt(f"the store is damaged: {error}")
                return self.corrupt()
            case sqlite3.Error():
                self._failure = f"the store cannot be used: {error}"
                log.error("%s", self._failure, extra=journal.about(journal.STORE_FAILED, object=self.provider_id))
                return VdsError(Hresult.VDS_E_OBJECT_STATUS_FAILED, self._failure, self.provider_id)
            case _:
                about = journal.about(journal.BUG, code=Hresult.E_UNEXPECTED, object=subject, caller=current().caller)
                log.error("a bug in vdsprovd", exc_info=error, extra=about)
                return VdsError(Hresult.E_UNEXPECTED, "vdsprovd failed unexpectedly; its log says more", subject)

    def corrupt(self) -> VdsError:
        """The error that a method answers while the cache is corrupt."""
        return VdsError(
            Hresult.VDS_E_PROVIDER_CACHE_CORRUPT,
            f"the provider's cache is corrupt: {self.cache.corruption}; "
            "call HwProvider.Reenumerate, then HwProvider.Refresh (vdsprovctl recover)",
        )

    async def close(self) -> None:
        """Let what is under way end, within bounds. Threads that the kernel does not answer end with the process."""
        await self.operations.drain(DRAIN)
        for workers in (self._workers, self._long_workers):
            workers.close()
