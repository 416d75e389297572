"""Whose files in the folders of pools somebody touched, by inotify, and whether something was mounted or unmounted.

The kernel holds a LUN's file open for as long as it is exported, so what initiators write makes no event here; somebody
who opens a file, writes or cuts it, and closes it does. Who cuts one without opening it (truncate(2)) goes unseen.
"""

import asyncio
import logging
import select
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from inotify_simple import INotify, flags

from vdsprovd.hardware.pools.files import SUFFIX

log = logging.getLogger(__name__)

_MASK = (
    flags.CLOSE_WRITE
    | flags.DELETE
    | flags.MOVED_FROM
    | flags.MOVED_TO
    | flags.DELETE_SELF
    | flags.MOVE_SELF
    | flags.ONLYDIR
)
_ABOVE = flags.CREATE | flags.MOVED_TO | flags.ONLYDIR
"""Of the folder that a pool's is in: it may come again."""
_ANY = flags.Q_OVERFLOW | flags.DELETE_SELF | flags.MOVE_SELF | flags.UNMOUNT

_QUIET = 0.1
"""Seconds after a look in which events are left to gather: a command that makes a thousand files makes one each, and each would
take the interpreter from it."""

Changed = Callable[[Collection[str] | None], None]


@contextmanager
def watch(folders: Collection[Path], changed: Changed) -> Iterator[None]:
    """Call `changed` in the running event loop with the ids of the LUNs whose files somebody touched, or with None when it
    may have been any, as long as the context lasts."""
    if not folders:
        yield
        return
    with _touched(folders, changed) as again, _mounted(again):
        yield


@contextmanager
def _touched(folders: Collection[Path], changed: Changed) -> Iterator[Callable[[], None]]:
    """Gives what to call when the folders may be others than before."""
    loop = asyncio.get_running_loop()
    try:
        inotify = INotify(nonblocking=True)
    except OSError as error:
        log.warning("what others do to the files of pools is noticed by the audit alone: %s", error.strerror)
        yield lambda: changed(None)
        return
    watches: dict[Path, int] = {}
    above: dict[Path, int] = {}
    complained: set[Path] = set()

    def place(watches: dict[Path, int], folder: Path, mask: int) -> None:
        before = watches.get(folder)
        try:
            # The same folder has the same watch.
            watches[folder] = inotify.add_watch(folder, mask | flags.MASK_ADD)
        except FileNotFoundError:
            pass  # it may come
        except OSError as error:
            if folder not in complained:
                complained.add(folder)
                log.warning("what others do in %s is noticed by the audit alone: %s", folder, error.strerror)
        if before and (folder not in watches or watches[folder] != before):
            with suppress(OSError):  # gone with its folder
                inotify.rm_watch(before)

    def place_all() -> None:
        for folder in folders:
            place(above, folder.parent, _ABOVE)
            place(watches, folder, _MASK)

    def again() -> None:
        place_all()
        changed(None)

    resuming: asyncio.TimerHandle | None = None

    def drain() -> None:
        nonlocal resuming
        loop.remove_reader(inotify.fd)
        resuming = loop.call_later(_QUIET, loop.add_reader, inotify.fd, drain)
        luns: set[str] = set()
        other = False
        for event in inotify.read(timeout=0):
            name = event.name
            if event.mask & _ANY or any(folder.name == name for folder in folders):
                other = True
            elif name.endswith(SUFFIX):
                luns.add(name.removesuffix(SUFFIX))
        if other:
            again()
        elif luns:
            changed(luns)

    with inotify:
        place_all()
        loop.add_reader(inotify.fd, drain)
        try:
            yield again
        finally:
            if resuming:
                resuming.cancel()
            loop.remove_reader(inotify.fd)


@contextmanager
def _mounted(changed: Callable[[], None]) -> Iterator[None]:
    """Call `changed` when the table of mounts changes."""
    loop = asyncio.get_running_loop()
    # The table can always be read; that it changed is an exceptional condition, which only an epoll of our own waits for.
    with Path("/proc/self/mountinfo").open("rb") as table, select.epoll() as epoll:
        epoll.register(table, select.EPOLLPRI)

        def drain() -> None:
            epoll.poll(0)
            changed()

        loop.add_reader(epoll.fileno(), drain)
        try:
            yield
        finally:
            loop.remove_reader(epoll.fileno())
