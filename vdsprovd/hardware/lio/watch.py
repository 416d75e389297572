"""Which objects in configfs somebody touched, by inotify.

configfs tells of every mkdir, rmdir, link and write in a folder that is watched, and of nothing that the kernel does by
itself. Each folder takes a watch of its own: three for a LUN with one initiator. Of an HBA folder of ours only the disk in it is
watched: that watch ends with the disk. What somebody makes in it later, and a disk's ALUA state, which would take two watches
more, is left to the audit. Targets of others are watched too: which target is ours only the inventory knows, and it learns of a
new one after the kernel has it.

What our own steps make is watched from the end of the step on, by who takes it. So nobody has to find out what is there, or to
look whether it is as it shall be, which together would take longer than to make it. What others do to it between the step's
first system call and its last is left to the audit.
"""

import asyncio
import errno
import fcntl
import logging
import sys
import termios
import time
from collections import deque
from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager

from inotify_simple import Event, INotify, flags

from vdsprovd.hardware import Acl, Disk, Fact, Grant, Group, Key, Listener, TargetNode, Unit
from vdsprovd.hardware.lio import configfs, reader

log = logging.getLogger(__name__)

_ROOT = str(configfs.ROOT)
_QUIET = 0.1
"""Seconds without an event after which a burst of them is over: a command makes a dozen, and a thread for each folder among
them would cost more than the command."""
_LONGEST = 0.5
"""Seconds after which the events of a burst are looked at that is not over. Until then whoever makes them has the processor."""
_MOST = 128 << 10
"""Bytes of events, some 4,000 of them, with which a burst is over, lest nothing else is done while somebody makes more."""
_GROUP = ("lun", "acls", "np", "attrib", "param")
"""The folders of a portal group that facts tell of."""
_MASK = flags.CREATE | flags.DELETE | flags.MODIFY | flags.ONLYDIR
_NONE = -1
"""In place of a watch, for what is known and not watched."""

_Parts = tuple[str, ...]
"""Of a path below configfs.ROOT. Where many are kept, it is the path: that is nothing to be looked through for garbage."""


async def changes(watches: "Watches") -> AsyncGenerator[Collection[Key] | None, None]:
    """The keys of objects that others touched, None for everything."""
    try:
        inotify = INotify(nonblocking=True)
    except OSError as error:
        log.warning("what others change is noticed by the audit alone: cannot use inotify: %s", error.strerror)
        return
    with inotify, watches.put_by(inotify):
        await asyncio.to_thread(watches.begin)
        yield None
        while True:
            lost, keys, made = False, set[Key](), []
            for event in await _burst(inotify):
                if event.mask & flags.Q_OVERFLOW:
                    lost = True
                elif (path := watches.where(event)) and not (event.mask & flags.CREATE and watches.has(path)):
                    parts = tuple(path.split("/"))
                    if key := reader.key(parts):
                        keys.add(key)
                    if event.mask & flags.CREATE and event.mask & flags.ISDIR and _is_watched(parts):
                        made.append(parts)
            if lost:
                await asyncio.to_thread(watches.begin)
                yield None
                continue
            if made:
                # Not here: a folder in which an operation hangs cannot be read.
                keys |= await asyncio.to_thread(watches.spread, made)
            if keys:
                yield keys


async def _burst(inotify: INotify) -> list[Event]:
    """What happens, from the first event on until there is no more for a while, or for too long. Nothing of it is looked at
    before."""
    await _readable(inotify.fd)
    end, before = time.monotonic() + _LONGEST, 0
    while before < (waiting := _waiting(inotify)) < _MOST and time.monotonic() < end:
        before = waiting
        await asyncio.sleep(_QUIET)
    events: list[Event] = inotify.read(timeout=0)
    return events


def _waiting(inotify: INotify) -> int:
    """How many bytes of events there are."""
    return int.from_bytes(fcntl.ioctl(inotify.fd, termios.FIONREAD, bytes(4)), sys.byteorder)


async def _readable(descriptor: int) -> None:
    """Wait until there is something to read."""
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)


class Watches:
    """Puts watches on folders, and knows where they are. One is gone when its folder is."""

    def __init__(self) -> None:
        self._inotify: INotify | None = None
        self._folders: dict[int, str] = {}
        """Their paths below configfs.ROOT."""
        self._of: dict[str, int] = {}
        self._short = False

    @contextmanager
    def put_by(self, inotify: INotify) -> Iterator[None]:
        """Use that as long as the context lasts; without one there are no watches."""
        self._folders, self._of, self._inotify = {}, {}, inotify
        try:
            yield
        finally:
            self._inotify = None

    def begin(self) -> None:
        """Watch all that is there. After events were lost: what was made meanwhile has no watch, and what is gone is not
        there any more."""
        self._folders.clear()
        self._of.clear()
        self.spread([()])

    def made(self, fact: Fact) -> None:
        """Watch the folders of what a step of ours has made. Safe in any thread."""
        if self._inotify is None:
            return  # who begins looks at all that is there
        try:
            if isinstance(fact, Grant):  # by far the most
                self._watch(f"iscsi/{fact.target}/tpgt_{fact.tag}/acls/{fact.initiator}/lun_{fact.index}")
                return
            for path in _folders_of(fact):
                self._watch(path)
        except (OSError, ValueError):
            pass  # it is gone already, watches have run out, or the daemon stops
        match fact:
            case Listener(target, tag, address, port):
                # Nothing in its folder is told of.
                self._of[configfs.listener(target, tag, address, port)[len(_ROOT) + 1 :]] = _NONE
            case Disk(_, number) if number >= 0:
                self._of[f"core/{configfs.hba_name(number, block=fact.block)}"] = _NONE

    def has(self, path: str) -> bool:
        """Whether that folder is known, as one is that we made or that was found in one that others made."""
        return path in self._of

    def where(self, event: Event) -> str:
        """The path of what the event is about; nothing when only a watch is gone, unless it is a disk's, which is gone with it."""
        if event.mask & flags.IGNORED:
            path = self._folders.pop(event.wd, "")
            if self._of.get(path) == event.wd:
                del self._of[path]
            return path if path.startswith("core/") and path.count("/") == 2 else ""
        folder = self._folders.get(event.wd)
        if folder is None:
            return ""  # who puts this watch has not said yet where it is
        path = f"{folder}/{event.name}" if folder else event.name
        if event.mask & flags.DELETE:
            # The watch itself may go later, when another folder of that name has been made.
            self._of.pop(path, None)
        return path

    def _watch(self, path: str) -> None:
        if self._inotify is None:
            return
        watch = self._inotify.add_watch(f"{_ROOT}/{path}", _MASK)
        self._folders[watch] = path
        self._of[path] = watch

    def spread(self, start: Iterable[_Parts]) -> set[Key]:
        """Watch folders and what is in them, and give the keys of the objects that were made in them before that.

        Breadth first: when watches run out, the links at the bottom of the tree are those without.
        """
        found: set[Key] = set()
        waiting = deque(start)
        while waiting:
            parts = waiting.popleft()
            path = "/".join(parts)
            inside: Sequence[str] = configfs.folders(f"{_ROOT}/{path}") if _is_hba_of_ours(parts) else ()
            if inside:
                self._of[path] = _NONE
            else:
                try:
                    self._watch(path)
                except (FileNotFoundError, NotADirectoryError):
                    if parts[0] == "core" and len(parts) == 2:
                        found.add(reader.some_disk(parts[1]))
                    continue
                except OSError as error:
                    self._complain(error)
                if _is_group(parts):
                    # What has come and gone in it, before there was a watch, cannot be found.
                    found.add(reader.contents(*parts[1:]))
                if _is_leaf(parts):
                    if key := reader.key(parts):
                        found.add(key)
                    continue
                inside = _GROUP if _is_group(parts) else configfs.folders(f"{_ROOT}/{path}")
            for name in inside:
                child = (*parts, name)
                if key := reader.key(child):
                    found.add(key)
                if _is_watched(child):
                    waiting.append(child)
        return found

    def _complain(self, error: OSError) -> None:
        if self._short:
            return
        self._short = True
        why = "fs.inotify.max_user_watches is used up" if error.errno == errno.ENOSPC else error.strerror
        log.warning("some of what others change is noticed by the audit alone: cannot watch all of configfs: %s", why)


def _folders_of(fact: Fact) -> list[str]:
    """The paths of those of an object that are watched, all of which are there when it is. A grant's is its own folder."""
    match fact:
        case Disk(lun, number):
            hba = f"core/{configfs.hba_name(number, block=fact.block)}"
            return [f"{hba}/{lun}"] if number >= 0 else [hba, f"{hba}/{lun}"]
        case TargetNode(target):
            return [f"iscsi/{target}"]
        case Group(target, tag):
            group = _group(target, tag)
            return [group, *(f"{group}/{name}" for name in _GROUP)]
        case Unit(target, tag, index):
            return [f"{_group(target, tag)}/lun/lun_{index}"]
        case Acl(target, tag, initiator):
            acl = f"{_group(target, tag)}/acls/{initiator}"
            return [acl, f"{acl}/auth"]
    return []


def _group(target: str, tag: int) -> str:
    return f"iscsi/{target}/tpgt_{tag}"


def _is_hba_of_ours(parts: _Parts) -> bool:
    """Whether a folder is one that holds the disk of a LUN, and never more."""
    return parts[:1] == ("core",) and len(parts) == 2 and reader.is_ours(parts[1])


def _is_group(parts: _Parts) -> bool:
    """Whether a watched folder is a portal group's, which has the same folders always."""
    return parts[:1] == ("iscsi",) and len(parts) == 3


def _is_leaf(parts: _Parts) -> bool:
    """Whether all that is in a watched folder is of one object; to list those takes longer than to watch them."""
    match parts:
        case (
            ("core", _, _)
            | ("iscsi", _, _, "attrib" | "param")
            | ("iscsi", _, _, "lun", _)
            | ("iscsi", _, _, "acls", _, _)
        ):
            return True
    return False


def _is_watched(parts: _Parts) -> bool:
    """Whether a folder can hold what facts tell of."""
    match parts:
        case ("core",) | ("iscsi",):
            return True
        case ("core", hba):
            return configfs.number(hba) != -1
        case ("core", _, _):
            return reader.key(parts) is not None
        case ("iscsi", target):
            return reader.is_target(target)
        case ("iscsi", _, group):
            return group.startswith("tpgt_")
        case ("iscsi", _, _, name):
            return name in _GROUP
        case ("iscsi", _, _, "lun" | "acls", _):
            return True
        case ("iscsi", _, _, "acls", _, name):
            return name == "auth" or name.startswith("lun_")
    return False
