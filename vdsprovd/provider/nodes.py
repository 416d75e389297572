"""What controllers and their ports do to LUNs: the rules that several methods share."""

from collections.abc import Collection

import msgspec

from vdsprovd.hardware import Fact
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.inventory import Controller, Inventory, Lun, Port, Target
from vdsprovd.provider import facts
from vdsprovd.provider.context import Context


def check_partition(
    known: Collection[str], ones: Collection[str], others: Collection[str], kind: str, subject: str
) -> None:
    """Each of the known ids must be in exactly one of the two lists.

    Raises VDS_E_OBJECT_NOT_FOUND for an id that is none of them, E_INVALIDARG when one is missing or in both.
    """
    for id in (*ones, *others):
        if id not in known:
            raise VdsError(Hresult.VDS_E_OBJECT_NOT_FOUND, f"there is no {kind} {id!r}", id)
    given = [*set(ones), *set(others)]
    if sorted(given) != sorted(known):
        raise VdsError(
            Hresult.E_INVALIDARG,
            f"each {kind} must be in exactly one of the two lists; there are {len(known)}",
            subject,
        )


async def serve(context: Context, changed: Controller | Port) -> None:
    """Let the controller or port serve its subsystem's LUNs, or no longer, as its changed self says."""
    # A LUN that is being made meanwhile, or moved, would miss the change.
    async with context.operations.holds.wait([serving(changed.sub_system_id)]):
        before = context.cache.inventory
        after = before.put(changed)
        await context.change(_disks(before, changed.sub_system_id), _disks(after, changed.sub_system_id), put=[changed])


def serving(sub_system_id: str) -> str:
    """What to hold, shared, while a disk is added to a subsystem: how its node serves it must not change meanwhile."""
    return f"service of {sub_system_id}"


async def reset(context: Context, sub_system_id: str) -> None:
    """End every session with the subsystem's targets; initiators log in again by themselves."""
    inventory = context.cache.inventory
    targets = [target for target in inventory.all(Target) if target.sub_system_id == sub_system_id]
    async with context.reshaping(target.id for target in targets):
        before = context.cache.inventory
        groups = [
            facts.group_itself(before, target, group) for target in targets for group in before.groups_at(target.id)
        ]
        closed = [msgspec.structs.replace(group, enabled=False) for group in groups]
        await context.change(groups, closed)
        await context.change(closed, groups)


def _disks(inventory: Inventory, sub_system_id: str) -> list[Fact]:
    return [
        facts.disk(inventory, lun) for lun in inventory.all(Lun) if lun.sub_system_id == sub_system_id and lun.exported
    ]
