"""How targets come to be, whichever method asks for it."""

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from vdsprovd.hardware import Fact, TargetNode
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.ids import new_id
from vdsprovd.inventory import Portal, PortalGroup, SubSystem, Target
from vdsprovd.model import AsyncOutputType, NewTarget
from vdsprovd.operations import Operation
from vdsprovd.provider import facts, names
from vdsprovd.provider.context import Context


class Plan(msgspec.Struct, frozen=True):
    """A target that is to be, and its portal group, if it has one."""

    target: Target
    group: PortalGroup | None = None


def create_targets(
    context: Context, sub_system: SubSystem, wanted: Sequence[NewTarget]
) -> tuple[Operation, tuple[str, ...]]:
    """Start to create targets, all of them or none, each with a portal group if it has portals; gives the operation, and the
    ids that they will have, in the order given. What is wrong with one of them is raised at once."""
    plans = [_planned(context, sub_system, new) for new in wanted]
    used = Counter(plan.target.iscsi_name for plan in plans)
    if twice := [name for name, times in used.items() if times > 1]:
        raise VdsError(Hresult.VDS_E_NAME_NOT_UNIQUE, f"two of the targets are to be {twice[0]}", sub_system.id)

    portals = dict.fromkeys(id for plan in plans if plan.group for id in plan.group.portal_ids)

    async def work(operation: Operation) -> str | None:
        settings = context.settings_of(sub_system.id)
        # Waits while the host's addresses are looked at: portals may be gone then.
        async with context.operations.holds.wait(shared=[*portals, settings]), context.reshaping(used):
            _check_portals(context, sub_system, portals)
            await _create(context, sub_system, plans)
        return plans[0].target.id if len(plans) == 1 else None

    operation = context.operations.start(
        AsyncOutputType.CREATE_TARGET,
        plans[0].target.iscsi_name,
        work,
        shared=[sub_system.id, context.provider_id],
        cancellable=False,
        translate=context.translate,
    )
    return operation, tuple(plan.target.id for plan in plans)


def _planned(context: Context, sub_system: SubSystem, new: NewTarget) -> Plan:
    given = new.iscsi_name
    name = names.iscsi_name(given) if given else names.generated_iscsi_name(sub_system.iqn_prefix)
    if name.startswith("naa.") and not (name.startswith("naa.5") and len(name) == len("naa.") + 16):
        raise VdsError(
            Hresult.VDS_E_NOT_SUPPORTED, f"LIO has no targets of the name {name}; of the naa. names, it has naa.5"
        )
    friendly, _ = names.friendly_name(new.friendly_name)
    _check_unused(context, name)
    target = Target(new_id(), sub_system.id, name, friendly, sub_system.require_chap)
    if not new.portal_ids:
        return Plan(target)
    _check_portals(context, sub_system, new.portal_ids)
    return Plan(target, PortalGroup(new_id(), target.id, 1, portal_ids=tuple(dict.fromkeys(new.portal_ids))))


def _check_portals(context: Context, sub_system: SubSystem, ids: Iterable[str]) -> None:
    for id in ids:
        portal = context.cache.inventory.get(Portal, id)
        if portal is None or portal.sub_system_id != sub_system.id:
            raise VdsError(Hresult.VDS_E_OBJECT_NOT_FOUND, f"the target's subsystem has no portal {id!r}", id)


def _check_unused(context: Context, name: str) -> None:
    if id := context.cache.inventory.target_by_name.get(name):
        raise VdsError(Hresult.VDS_E_NAME_NOT_UNIQUE, f"there is a target {name} already", id)


async def _create(context: Context, sub_system: SubSystem, plans: Sequence[Plan]) -> None:
    """Make them, while nobody else makes targets of these names."""
    claims = [plan.target.iscsi_name for plan in plans]
    for name in claims:
        _check_unused(context, name)

    if taken := await context.look(context.hardware.existing, claims):
        text = f"somebody else made a target {next(iter(taken))} on this host"
        raise VdsError(Hresult.VDS_E_NAME_NOT_UNIQUE, text, sub_system.id)
    require_chap = context.cache.inventory.known(SubSystem, sub_system.id).require_chap
    targets = [msgspec.structs.replace(plan.target, require_chap=require_chap) for plan in plans]
    groups = {plan.target.id: plan.group for plan in plans if plan.group}
    wanted: list[Fact] = [TargetNode(name) for name in claims]
    for target in targets:
        if target.id in groups:
            wanted += facts.of_group(context.cache.inventory, target, groups[target.id], context.local)
    await context.change([], wanted, put=[*targets, *groups.values()], claims=claims)
