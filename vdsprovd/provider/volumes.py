"""Notice what others do to drives, pools and volumes: with LVM, in a pool's folder, by pulling a disk.

As in `drift`, an event only says where to look again, and so does the audit, for what makes no event. A look costs one
report of a volume group and one system call a file; only what seems to be other than it was is read. What a command of
ours changes it tells itself.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from functools import partial

from vdsprovd.hardware import HardwareError
from vdsprovd.hresult import VdsError
from vdsprovd.inventory import Lun, StoragePool, SubSystem
from vdsprovd.look_again import looking
from vdsprovd.operations import Work, begin
from vdsprovd.provider import scans
from vdsprovd.provider.context import Context

log = logging.getLogger(__name__)

_LATER = 1.0
"""Seconds until the next look at what a command is changing."""
_MOST_SILENT = 4
"""How many looks may wait for volumes that do not answer."""


@asynccontextmanager
async def watch(context: Context) -> AsyncIterator[None]:
    """Keep drives, pools and volumes in the cache up to date as long as the context lasts."""
    watcher = _Watcher(context)
    async with looking(watcher.look, "look for what became of drives and volumes") as watcher.changed:
        with (
            context.hardware.watch_drives(watcher.drives_changed),
            context.hardware.watch_volumes(watcher.volumes_changed),
        ):
            audit = asyncio.create_task(watcher.audit())
            try:
                yield
            finally:
                audit.cancel()
                await asyncio.gather(audit, return_exceptions=True)


class _Watcher:
    """Gathers what to look at: ids of LUNs, and of subsystems with all that is in them."""

    changed: Callable[[], None]

    def __init__(self, context: Context) -> None:
        self._context = context
        self._touched: set[str] = set()
        self._works: dict[str, Work] = {}
        """By subsystem."""

    def _touch(self, ids: Iterable[str]) -> None:
        self._touched.update(ids)
        if self._touched:
            self.changed()

    def drives_changed(self) -> None:
        """The host's disks changed: drives come, go, break and are mended, and LUNs with them."""
        configured = {entry.name: entry for entry in self._context.config.subsystem}
        inventory = self._context.cache.inventory
        with_drives = {pool.sub_system_id for pool in inventory.all(StoragePool) if pool.drives}
        self._touch(
            entry.id for entry in inventory.all(SubSystem) if entry.id in with_drives or configured[entry.name].drives
        )

    def volumes_changed(self, luns: Collection[str] | None) -> None:
        """Somebody touched the files of these LUNs; of any, if None."""
        if luns is not None:
            self._touch(luns)
        else:
            pools = self._context.cache.inventory.all(StoragePool)
            self._touch(pool.sub_system_id for pool in pools if not pool.drives)

    async def audit(self) -> None:
        """Look at everything at intervals, addresses included."""
        while True:
            await asyncio.sleep(self._context.config.provider.audit)
            self._touch(entry.id for entry in self._context.cache.inventory.all(SubSystem))
            try:
                await scans.readdress(self._context)
            except Exception:
                log.exception("cannot read the host's addresses")

    async def look(self) -> None:
        """Look at what was touched, but for what a command is changing, and where the kernel does not answer: at that
        later."""
        loop, began = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        touched, self._touched = self._touched, set()
        try:
            later = await self._look(touched)
        except VdsError as error:  # somebody who has no answer from the kernel holds the provider
            log.warning("cannot look what became of drives and volumes: %s", error.message)
            later = touched
        if later:
            # A tenth of the time at most is spent on what goes on for hours.
            loop.call_later(max(_LATER, 10 * (loop.time() - began)), self._touch, later)

    async def _look(self, touched: set[str]) -> set[str]:
        holds = self._context.operations.holds
        begin(Work("look what became of drives and volumes"))
        # Reenumerate and Refresh claim the provider.
        async with holds.wait(shared=[self._context.provider_id]):
            inventory = self._context.cache.inventory
            later = {id for id in touched if holds.busy(id)}
            sub_systems = [entry for id in touched - later if (entry := inventory.get(SubSystem, id))]
            for entry in sub_systems:
                later |= await self._unless_stuck(entry.id, {entry.id}, partial(scans.scan, self._context, entry))
            scanned = {entry.id for entry in sub_systems}
            luns: dict[str, set[str]] = {}
            for id in touched - later:
                if (lun := inventory.get(Lun, id)) and lun.sub_system_id not in scanned:
                    luns.setdefault(lun.sub_system_id, set()).add(id)
            for sub_system, ids in luns.items():
                later |= await self._unless_stuck(sub_system, ids, partial(scans.revisit, self._context, ids))
        return later

    async def _unless_stuck(self, sub_system: str, ids: set[str], look: Callable[[], Awaitable[set[str]]]) -> set[str]:
        """Look at these in the subsystem; gives those to look at later. LUNs that hang are left out, but not pools: one more
        look at those would be one more thread that waits."""
        work = self._works.setdefault(sub_system, Work("look what became of drives and volumes"))
        if len(work.silences) >= _MOST_SILENT or any(not question.lun for question in work.silences.values()):
            return ids
        begin(work)
        try:
            return await look()
        except (VdsError, HardwareError) as error:
            if work.silences:
                return ids  # logged already
            log.warning("cannot look what became of drives and volumes: %s", error)
            return set()
