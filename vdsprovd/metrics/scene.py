"""What a scrape looks at: the daemon at one moment, and the host as it is read.

The event loop makes the scene, at the cost of what runs just then. All that depends on the number of objects is left to a
worker thread, which reads it from the inventory, which never changes, and from the kernel.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from vdsprovd import backups
from vdsprovd.counted import Durations
from vdsprovd.hardware import Count, Fill, HardwareError, TargetNode, Unit
from vdsprovd.inventory import Drive, Lun, Portal, StoragePool, SubSystem, Target
from vdsprovd.model import Health, LunStatus
from vdsprovd.provider import facts
from vdsprovd.provider.context import Context

Samples = Iterator[tuple[tuple[str, ...], float]]
"""The values of a metric's labels in their order, and the metric's value."""
Histograms = Iterator[tuple[tuple[str, ...], Durations]]


class Scene:
    """The daemon as it was when the event loop made this, and the host, as a worker thread reads it meanwhile."""

    def __init__(self, context: Context, connections: int) -> None:
        cache = context.cache
        self.inventory = cache.inventory
        self.connections = connections
        self.sinks = cache.sinks
        self.corrupt = bool(cache.corruption)
        self.changes = cache.sequence
        self.deviations = cache.deviations.count()
        self.store_failed = bool(context.failure)
        self.unanswered = context.unanswered
        self.operations = Counter(
            operation.type.value for operation in context.operations.all() if not operation.finished
        )
        self.counted = context.counted.copy()
        self._hardware = context.hardware
        self._local = context.local
        self._store = context.store.folder
        self._fills: dict[str, Fill | None] = {}
        """By pool: what was read already; a pool is asked once."""

    # The daemon.

    def calls(self) -> Histograms:
        """By method."""
        for method, durations in self.counted.calls.items():
            yield (_short(method),), durations

    def errors(self) -> Samples:
        """By method and code."""
        for (method, code), count in self.counted.errors.items():
            yield (_short(method), code), count

    def finished_operations(self) -> Histograms:
        """By type and code."""
        yield from self.counted.operations.items()

    def audits(self, value: Callable[[float, float], float]) -> Samples:
        """By what is audited, of the duration and the end of the last one."""
        for of, (seconds, over) in self.counted.audits.items():
            yield (of,), value(seconds, over)

    def store_size(self) -> Samples:
        """The store's file and its log; none of a store in memory."""
        if self._store is not None:
            yield (), sum(path.stat().st_size for path in self._store.glob(f"{backups.NAME}*") if path.is_file())

    def newest_backup(self) -> Samples:
        """When the newest one was made; none when there is none."""
        for path in backups.made(self._store)[:1] if self._store is not None else ():
            yield (), path.stat().st_mtime

    # Objects.

    def luns(self) -> Samples:
        """By subsystem, status and health."""
        return self._counted((lun.sub_system_id, lun.status.value, lun.health.value) for lun in self.inventory.all(Lun))

    def drives(self) -> Samples:
        """By subsystem, status and health."""
        drives = self.inventory.all(Drive)
        return self._counted((drive.sub_system_id, drive.status.value, drive.health.value) for drive in drives)

    def portals(self) -> Samples:
        """By subsystem and status."""
        portals = self.inventory.all(Portal)
        return self._counted((portal.sub_system_id, portal.properties.status.value) for portal in portals)

    def targets(self) -> Samples:
        """By subsystem, and whether the kernel has them as they were set."""
        targets = self.inventory.all(Target)
        return self._counted((target.sub_system_id, str(bool(target.deviation)).lower()) for target in targets)

    def _counted(self, states: Iterable[tuple[str, ...]]) -> Samples:
        """How many there are of each state, of which the first part is a subsystem's id."""
        names = self._sub_system_names()
        for (sub_system, *state), count in Counter(states).items():
            yield (names[sub_system], *state), count

    def sub_systems(self) -> Samples:
        """By name, status and health."""
        for entry in self.inventory.all(SubSystem):
            yield (entry.name, entry.status.value, entry.health.value), 1

    def impaired_luns(self) -> Samples:
        """Those that are not online and healthy."""
        for lun in self.inventory.all(Lun):
            if (lun.status, lun.health) != (LunStatus.ONLINE, Health.HEALTHY):
                yield (lun.id, lun.name, lun.status.value, lun.health.value), 1

    def lun_sizes(self) -> Samples:
        """Bytes that initiators see."""
        names = self._sub_system_names()
        pools = {pool.id: pool.name for pool in self.inventory.all(StoragePool)}
        for lun in self.inventory.all(Lun):
            yield (lun.id, lun.name, names[lun.sub_system_id], pools[lun.pool_id]), lun.size

    # Pools.

    def pools(self, value: Callable[[StoragePool, Fill | None], float | None]) -> Samples:
        """By subsystem and name, of what is known of the pool and how full it is now; those without a value are left out."""
        names = self._sub_system_names()
        for pool in self.inventory.all(StoragePool):
            sub_system = names[pool.sub_system_id]
            found = value(pool, self._fill(sub_system, pool))
            if found is not None:
                yield (sub_system, pool.name), found

    def _fill(self, sub_system: str, pool: StoragePool) -> Fill | None:
        if pool.id not in self._fills:
            self._fills[pool.id] = None
            with suppress(HardwareError):  # the last look at the pool says what is known
                self._fills[pool.id] = self._hardware.pools[sub_system, pool.name].fill()
        return self._fills[pool.id]

    # What the kernel counts.

    def of_luns(self, what: Count) -> Samples:
        """By LUN."""
        for lun in self.inventory.all(Lun):
            if lun.exported and (found := self._hardware.count(facts.disk(self.inventory, lun), what)) is not None:
                yield (lun.id, lun.name), found

    def of_units(self, what: Count) -> Samples:
        """By target, portal group and LUN."""
        for target in self.inventory.all(Target):
            groups = self.inventory.groups_at(target.id)
            for index, lun_id in self.inventory.luns_of_target.get(target.id, {}).items():
                lun = self.inventory.known(Lun, lun_id)
                for group in groups:
                    unit = Unit(target.iscsi_name, group.tag, index, lun.id, lun.number)
                    if (found := self._hardware.count(unit, what)) is not None:
                        yield (target.iscsi_name, str(group.tag), lun.id, lun.name), found

    def of_targets(self, *whats: Count) -> Samples:
        """By target, and what was counted if that is several things."""
        for target in self.inventory.all(Target):
            for what in whats:
                if (found := self._hardware.count(TargetNode(target.iscsi_name), what)) is not None:
                    yield (target.iscsi_name, *([what.value.replace(" ", "_")] if len(whats) > 1 else ())), found

    def initiators(self) -> Samples:
        """By target and initiator that a mask names: whether it is logged in."""
        for target in self.inventory.all(Target):
            named = {
                name for mask in self.inventory.uses_at(target.id) for name in facts.expanded((mask,), self._local)
            }
            with suppress(HardwareError):
                there = self._hardware.sessions(target.iscsi_name) if named else ()
                for initiator in sorted({*named, *there}):
                    yield (target.iscsi_name, initiator), initiator in there

    def _sub_system_names(self) -> dict[str, str]:
        return {entry.id: entry.name for entry in self.inventory.all(SubSystem)}


def _short(method: str) -> str:
    return method.removeprefix("org.vdsprov.")
