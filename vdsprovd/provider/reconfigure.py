"""A changed configuration, applied while clients are served and initiators read and write.

All of it applies or none: what the daemon runs with is always one file, as it was read. The rest takes a restart.
"""

from contextlib import AsyncExitStack

import msgspec

from vdsprovd.config import Config, ConfigError, MetricsConfig, ProviderConfig, SubSystemConfig
from vdsprovd.hardware import Fact
from vdsprovd.inventory import Inventory, SubSystem, Target
from vdsprovd.provider import facts, scans
from vdsprovd.provider.context import Context

RELOADED = {
    ProviderConfig: {"audit", "self_heal"},
    MetricsConfig: {"listen", "group"},
    SubSystemConfig: {"iqn_prefix", "portals", "drives", "require_chap", "import_target"},
}
"""The keys that a reload takes in, besides roles, by their table."""


def check(running: Config, wanted: Config, source: str) -> None:
    """Raises `ConfigError` when something changed that only a start takes in; `source` names the file in it."""

    def fixed(key: str) -> ConfigError:
        return ConfigError(f"{source}: {key}: to change it takes a restart, which exports outlive")

    for key in _fixed_changes(running.provider, wanted.provider):
        raise fixed(f"provider.{key}")
    known = {entry.name: entry for entry in running.subsystem}
    for number, entry in enumerate(wanted.subsystem):
        if (before := known.pop(entry.name, None)) is None:
            raise fixed(f"subsystem[{number}].name")
        for key in _fixed_changes(before, entry):
            raise fixed(f"subsystem[{number}].{key}")
    for name in known:
        raise fixed(f"subsystem {name!r}, which is gone")


def _fixed_changes(before: ProviderConfig | SubSystemConfig, after: ProviderConfig | SubSystemConfig) -> list[str]:
    """The keys that differ and that a reload does not take in, as they are in the file."""
    return [
        field.encode_name
        for field in msgspec.structs.fields(before)
        if field.name not in RELOADED[type(before)] and getattr(before, field.name) != getattr(after, field.name)
    ]


async def apply(context: Context, config: Config) -> None:
    """Work with this configuration, which `check` has passed, from now on. Raises `VdsError` when the host cannot be
    changed or looked at; the configuration is in force then all the same."""
    context.config = config
    for configured in config.subsystem:
        sub_system = next(entry for entry in context.cache.inventory.all(SubSystem) if entry.name == configured.name)
        holds = context.operations.holds
        # Reenumerate and Refresh claim the provider; a command may be changing the subsystem's own settings.
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(holds.wait(shared=[context.provider_id, sub_system.id]))
            await stack.enter_async_context(holds.wait([context.settings_of(sub_system.id)]))
            ids = [target.id for target in _targets(context.cache.inventory, sub_system.id)]
            await stack.enter_async_context(context.reshaping(ids))
            before = context.cache.inventory
            changed: SubSystem | Target = msgspec.structs.replace(
                before.known(SubSystem, sub_system.id),
                iqn_prefix=configured.iqn_prefix,
                require_chap=configured.require_chap,
                import_target=configured.import_target,
            )
            targets: list[SubSystem | Target] = [
                msgspec.structs.replace(target, require_chap=configured.require_chap)
                for target in _targets(before, sub_system.id)
            ]
            put = [entry for entry in (changed, *targets) if entry != before.objects[entry.id]]
            if put:
                after = before.put(*put)
                await context.change(_groups(before, sub_system.id), _groups(after, sub_system.id), put=put)
    await scans.readdress(context)
    for sub_system in list(context.cache.inventory.all(SubSystem)):
        await scans.scan(context, sub_system)
    if context.cache.corruption and context.cache.on_corruption:
        context.cache.on_corruption()  # it may be for us to recover from now on


def _targets(inventory: Inventory, sub_system_id: str) -> list[Target]:
    return [target for target in inventory.all(Target) if target.sub_system_id == sub_system_id]


def _groups(inventory: Inventory, sub_system_id: str) -> list[Fact]:
    return [
        facts.group_itself(inventory, target, group)
        for target in _targets(inventory, sub_system_id)
        for group in inventory.groups_at(target.id)
    ]
