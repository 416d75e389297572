"""Notice what others change in the kernel: with targetcli, at a shell, however.

An event only says "look again" at some objects. So does the audit, which compares everything now and then: it holds
nothing, reads while commands run, and what seems to differ there is looked at again like anything else. A look reads
those objects while no command of ours changes them, and compares them with what the inventory wants. What differs is a
deviation that the objects concerned show until it is gone; a command that needs what is missing proves corruption, as
ever, and Refresh puts everything right.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress

from vdsprovd import garbage, journal
from vdsprovd.deviations import Deviation
from vdsprovd.hardware import Disk, Fact, Grant, Group, HardwareError, Key, Listener, Unit, changes
from vdsprovd.hresult import VdsError
from vdsprovd.inventory import Inventory, Lun, Portal, SubSystem, Target
from vdsprovd.look_again import looking
from vdsprovd.operations import Work, begin
from vdsprovd.provider import facts, nodes, recovery
from vdsprovd.provider.context import Context, contents

log = logging.getLogger(__name__)

_LATER = 1.0
"""Seconds until the next look at what somebody else keeps from being looked at."""


@asynccontextmanager
async def watch(context: Context) -> AsyncIterator[None]:
    """Keep the deviations in the cache up to date as long as the context lasts."""
    watcher = _Watcher(context)
    async with looking(watcher.look, "look for what others changed") as watcher.changed:
        tasks = [asyncio.create_task(work) for work in (watcher.listen(), watcher.audit())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class _Watcher:
    """Gathers what to look at."""

    changed: Callable[[], None]

    def __init__(self, context: Context) -> None:
        self._context = context
        self._touched: set[Key] = set()
        self._everything = asyncio.Event()
        self._work = Work("look for what others changed")

    def _touch(self, keys: Collection[Key]) -> None:
        if keys:
            self._touched.update(keys)
            self.changed()

    async def listen(self) -> None:
        """Take the hardware's hints."""
        try:
            async with aclosing(self._context.hardware.changes()) as hints:
                async for keys in hints:
                    if keys is None:
                        self._everything.set()
                    else:
                        self._touch(keys)
        except Exception:
            log.exception("what others change is noticed by the audit alone")

    async def audit(self) -> None:
        """Compare everything at intervals, and when hints were lost."""
        begin(self._work)
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._everything.wait(), self._context.config.provider.audit)
            self._everything.clear()
            if self._work.silences:
                continue
            try:
                with self._context.counted.audit("kernel"), garbage.left_alone():
                    self._touch(await self._context.look(suspects, self._context, _stuck_targets(self._context)))
                self._touch(self._context.cache.deviations.keys())
            except Exception:
                log.exception("the audit broke off")

    async def look(self) -> None:
        """Look at what was touched."""
        begin(self._work)
        touched, self._touched = _named(self._context, self._touched), set()
        stuck = _stuck_targets(self._context)
        later = {key for key in touched if self._work.silences or str(key[1]) in stuck or key[1] in self._context.stuck}
        try:
            self._touch(await look(self._context, touched - later))
        except HardwareError as error:
            log.warning("cannot look for what others changed: %s", error)
        except VdsError as error:  # somebody who has no answer from the kernel holds what is looked at
            log.warning("cannot look for what others changed: %s", error.message)
            later = touched
        if later:
            asyncio.get_running_loop().call_later(_LATER, self._touch, later)


def _named(context: Context, keys: Collection[Key]) -> set[Key]:
    """The keys, with the LUNs of disks of which only the number is known, and with what shall be in the portal groups whose
    contents are meant."""
    inventory = context.cache.inventory
    numbers = {key[2] for key in keys if key[0] is Disk and not key[1]}
    groups = {key for key in keys if key[0] is Group and len(key) > 3}
    named = {key for key in keys if key not in groups and (key[0] is not Disk or key[1])}
    if numbers:
        named |= {(Disk, lun.id, lun.number) for lun in inventory.all(Lun) if lun.number in numbers}
    for _, name, tag, _ in groups:
        if target := inventory.get(Target, inventory.target_by_name.get(str(name), "")):
            for group in inventory.groups_at(target.id):
                if group.tag == tag:
                    named |= {fact.key for fact in facts.of_group(inventory, target, group, context.local)}
    return named


def _stuck_targets(context: Context) -> set[str]:
    """The IQNs of the targets in which somebody changes something and has no answer from the kernel: to read them would
    wait for that, too."""
    holds, known = context.operations.holds, context.cache.inventory.target_by_name
    return {name for name, id in known.items() if holds.stuck(contents(id))}


def suspects(context: Context, stuck: Collection[str] = ()) -> set[Key]:
    """The keys of what seems to differ, but for what is in `stuck` targets. Runs in a worker thread, and sees commands at
    half-time."""
    inventory, hardware, hanging = context.cache.inventory, context.hardware, context.stuck
    wanted: dict[str, dict[Key, Fact]] = defaultdict(dict)
    for fact in facts.of_everything(inventory, context.local):
        if fact.key[1] not in hanging:
            wanted[getattr(fact, "target", "")][fact.key] = fact
    found: set[Key] = set()
    for target, shall in wanted.items():
        if target in stuck:
            continue
        try:
            there = hardware.read(target) if target else hardware.look(list(shall))
        except HardwareError:  # it changed while it was read
            found.update(shall)
            continue
        present = {fact.key: fact for fact in there}
        found.update(key for key, fact in shall.items() if present.get(key) != fact)
        found.update(fact.key for fact in recovery.ours(context.cache, there) if fact.key not in shall)
        garbage.let_go(shall, present, there)
    return found


async def look(context: Context, touched: Iterable[Key]) -> Collection[Key]:
    """Compare these objects with what the inventory wants; gives the keys of those that are being worked on."""
    holds, keys = context.operations.holds, set(touched)
    targets = {str(key[1]) for key in keys if key[0] is not Disk}
    served = {nodes.serving(entry.id) for entry in context.cache.inventory.all(SubSystem)}
    async with AsyncExitStack() as stack:
        # Reenumerate and Refresh claim the provider.
        await stack.enter_async_context(holds.wait(shared=[context.provider_id, *served]))
        for target in targets:
            if id := context.cache.inventory.target_by_name.get(target):
                await stack.enter_async_context(context.reshaping([id]))
            # What makes an object somebody else's may be another one that was touched.
            keys |= context.cache.deviations.strange_in(target)
        # A LUN is not held, for a client that finds it held is refused: one that is worked on is looked at later.
        inventory = context.cache.inventory
        busy = {key for key in keys if key[0] is Disk and holds.busy(str(key[1]))}
        wanted = facts.at(inventory, keys - busy, context.local)
        there = await context.look(_read, context, wanted)
        busy |= {key for key in keys if key[0] is Disk and _was_worked_on(context, str(key[1]), inventory)}
        _note(context, {key: _deviation(inventory, wanted[key], there.get(key)) for key in keys - busy})
    return busy


def _was_worked_on(context: Context, lun: str, before: Inventory) -> bool:
    return context.operations.holds.busy(lun) or context.cache.inventory.get(Lun, lun) is not before.get(Lun, lun)


def _read(context: Context, wanted: Mapping[Key, Fact | None]) -> dict[Key, Fact]:
    """What is there of these objects, but for those that are somebody else's to keep. Runs in a worker thread."""
    there = {fact.key: fact for fact in context.hardware.look(list(wanted))}
    known = context.cache.inventory.target_by_name
    strange = {str(key[1]) for key in there if wanted[key] is None and key[1] in known}
    ours = {fact.key for target in strange for fact in recovery.ours(context.cache, context.hardware.read(target))}
    return {key: fact for key, fact in there.items() if wanted[key] or key in ours}


def _note(context: Context, looked: Mapping[Key, Deviation | None]) -> None:
    known = context.cache.deviations
    new = {key for key, deviation in looked.items() if deviation and known.get(key) != deviation}
    context.cache.deviate(looked)
    for key in new:
        if (deviation := known.get(key)) and not known.follows(deviation):
            about = journal.about(journal.DEVIATION, object=deviation.objects[0])
            log.warning("%s", deviation.text, extra=about)


def _deviation(inventory: Inventory, wanted: Fact | None, there: Fact | None) -> Deviation | None:
    if wanted == there:
        return None
    fact = wanted or there
    assert fact
    objects = tuple(_concerned(inventory, fact))
    if not objects:
        return None
    if there is None:
        return Deviation(fact, objects, f"{fact} is missing in the kernel", missing=True)
    if wanted is None:
        return Deviation(fact, objects, f"{fact} was added by somebody else", strange=True)
    return Deviation(fact, objects, f"{fact} was changed by somebody else: {changes(wanted, there)}")


def _concerned(inventory: Inventory, fact: Fact) -> Iterable[str]:
    """The ids of the objects that show a deviation of the kernel object; none for what is not ours."""
    if isinstance(fact, Disk):
        return [fact.lun] if inventory.get(Lun, fact.lun) else []
    target = inventory.get(Target, inventory.target_by_name.get(getattr(fact, "target", ""), ""))
    if target is None:
        return []
    group = next((entry for entry in inventory.groups_at(target.id) if entry.tag == getattr(fact, "tag", 0)), None)
    if group is None:
        return [target.id]
    match fact:
        case Unit(lun=lun) if inventory.get(Lun, lun):
            return [lun]
        case Grant(unit=unit):
            luns = inventory.luns_of_target.get(target.id)
            return [luns[unit]] if luns is not None and unit in luns else [group.id]
        case Listener(address=address, port=port):
            portals = (inventory.known(Portal, id) for id in group.portal_ids)
            return [group.id, *(entry.id for entry in portals if (entry.address, entry.port) == (address, port))]
    return [group.id]
