"""Notice what others do to drives, pools and volumes: with LVM, in a pool's folder, by pulling a disk.

As in `drift`, an event only says where to look again, and so does the audit, for what makes no event. A look costs one
report of a volume group and one system call a file; only what seems to be other than it was is read. What a command of
ours changes it tells itself.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager

from vdsprovd.inventory import Lun, StoragePool, SubSystem
from vdsprovd.look_again import looking
from vdsprovd.provider import scans
from vdsprovd.provider.context import Context

log = logging.getLogger(__name__)

_LATER = 1.0
"""Seconds until the next look at what a command is changing."""


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
        """Look at what was touched, but for what a command is changing: at that later."""
        holds, loop = self._context.operations.holds, asyncio.get_running_loop()
        touched, self._touched = self._touched, set()
        # Reenumerate and Refresh claim the provider.
        async with holds.wait(shared=[self._context.provider_id]):
            inventory, began = self._context.cache.inventory, loop.time()
            later = {id for id in touched if holds.busy(id)}
            sub_systems = [entry for id in touched - later if (entry := inventory.get(SubSystem, id))]
            for entry in sub_systems:
                later |= await scans.scan(self._context, entry)
            scanned = {entry.id for entry in sub_systems}
            luns = [
                lun for id in touched - later if (lun := inventory.get(Lun, id)) and lun.sub_system_id not in scanned
            ]
            if luns:
                later |= await scans.revisit(self._context, [lun.id for lun in luns])
            took = loop.time() - began
        if later:
            # A tenth of the time at most is spent on what goes on for hours.
            loop.call_later(max(_LATER, 10 * took), self._touch, later)
