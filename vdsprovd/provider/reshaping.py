"""Change a LUN together with what the kernel holds for it."""

from collections.abc import Callable, Sequence

from vdsprovd.hardware import Fact
from vdsprovd.inventory import Lun, Target
from vdsprovd.provider import facts
from vdsprovd.provider.context import Context


async def reshape(
    context: Context,
    lun: Lun,
    altered: Callable[[Lun], Lun],
    targets: tuple[str, ...] = (),
) -> None:
    """Change a LUN and what the kernel holds for it, wholly or not at all; `targets` are those that it comes to."""
    touched = [*(entry.target_id for entry in lun.associations), *targets]
    async with context.reshaping(touched):
        changed = altered(context.cache.inventory.known(Lun, lun.id))
        before, after = sides(context, lun, changed)
        await context.change(before, after, put=[changed], also=touched, claims=_claims(context, lun, touched))


def sides(context: Context, lun: Lun, changed: Lun | None) -> tuple[list[Fact], list[Fact]]:
    """The facts about a LUN before and after a change of it; None for after its deletion."""
    current, local = context.cache.inventory, context.local
    both = (lun, changed) if changed else (lun,)
    targets = {entry.target_id for side in both for entry in side.associations}
    initiators = {name for side in both for name in facts.expanded(side.mask, local)}
    before = list(facts.of_lun(current, lun, local, targets, initiators))
    if changed:
        return before, list(facts.of_lun(current.put(changed), changed, local, targets, initiators))
    after = current.drop(lun.id)
    return before, [fact for id in targets for fact in facts.acls_at(after, after.known(Target, id), local, initiators)]


def arrival(context: Context, luns: Sequence[Lun]) -> tuple[list[Fact], list[Fact]]:
    """The facts about LUNs that come, and about what is in their targets for them, before and after."""
    current, local = context.cache.inventory, context.local
    seen: dict[str, set[str]] = {}
    for lun in luns:
        for association in lun.associations:
            seen.setdefault(association.target_id, set()).update(facts.expanded(lun.mask, local))
    there: list[Fact] = []
    wanted = [fact for lun in luns for fact in facts.of_lun(current, lun, local, (), ())]
    for id, initiators in seen.items():
        target = current.known(Target, id)
        there += facts.acls_at(current, target, local, initiators)
        wanted += (facts.acl(target, group, name) for group in current.groups_at(id) for name in initiators)
    return there, wanted


def _claims(context: Context, lun: Lun, targets: list[str]) -> list[str]:
    return [lun.id, *(context.cache.inventory.known(Target, id).iscsi_name for id in targets)]
