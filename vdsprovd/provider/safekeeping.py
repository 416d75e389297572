"""The store while the daemon runs: it is read through at intervals, and backed up after changes.

Both work on a connection of their own, beside commands. What they find damaged is proof of a corrupt cache: Refresh makes
the store anew from what the daemon knows.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from vdsprovd import backups, digests, journal
from vdsprovd.provider.context import Context

log = logging.getLogger(__name__)

BACKUP_EVERY = 600.0
"""Seconds between backups at least, while something changes."""


@asynccontextmanager
async def watch(context: Context) -> AsyncIterator[None]:
    """Audit the store and back it up as long as the context lasts."""
    tasks = [asyncio.create_task(work) for work in (_audit(context), _back_up(context))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _audit(context: Context) -> None:
    while True:
        await asyncio.sleep(context.config.provider.audit)
        try:
            with context.counted.audit("store"):
                await context.work(context.store.check)
        except sqlite3.Error as error:
            context.translate(error)
        except Exception:
            log.exception("the audit of the store broke off")


async def _back_up(context: Context) -> None:
    folder, keep = context.store.folder, context.config.provider.backups
    if folder is None or not keep:
        return
    done = -1
    while True:
        changes = context.store.changes
        if changes != done and not context.store.damage:
            try:
                await context.work(context.store.back_up, keep)
                done = changes
            except Exception as error:
                if digests.is_damage(error):
                    context.translate(error)
                else:
                    about = journal.about(journal.NO_BACKUP)
                    log.warning("cannot back up the store in %s: %s", folder / backups.FOLDER, error, extra=about)
        await asyncio.sleep(BACKUP_EVERY)
