"""Every metric, in one table: its name, what it says, its labels, how many series it has, and how it is read.

Names and units are Prometheus's: seconds and bytes, `_total` ends a counter, a time is a Unix timestamp, whose age is for
the query to tell. What this kernel does not count, or nobody knows yet, has no sample rather than a zero. Counters stand
for single objects, never for sums: a sum would fall when an object goes, and a counter that falls is taken for a restart.
"""

import platform
from collections.abc import Callable, Iterator
from enum import Enum

import msgspec

from vdsprovd import __version__
from vdsprovd.counted import Durations
from vdsprovd.hardware import Count
from vdsprovd.metrics.scene import Samples, Scene


class Kind(Enum):
    """A metric's type, in Prometheus's word."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(msgspec.Struct, frozen=True):
    """A metric. `series` says how many it has, for who plans a Prometheus."""

    name: str
    kind: Kind
    help: str
    read: Callable[[Scene], Iterator[tuple[tuple[str, ...], float | Durations]]]
    labels: tuple[str, ...] = ()
    series: str = "1"


def _one(value: Callable[[Scene], float]) -> Callable[[Scene], Samples]:
    """A metric without labels."""

    def read(scene: Scene) -> Samples:
        yield (), value(scene)

    return read


def _by(value: Callable[[Scene], dict[str, int]]) -> Callable[[Scene], Samples]:
    """A metric with one label."""

    def read(scene: Scene) -> Samples:
        yield from (((label,), count) for label, count in value(scene).items())

    return read


def _build(scene: Scene) -> Samples:
    yield (__version__, platform.python_version(), platform.release()), 1


_POOL = ("subsystem", "pool")
_LUN = ("lun", "name")
_UNIT = ("target", "portal_group", *_LUN)
_PER_UNIT = "one for each LUN, in each target that it is associated with, for each portal group"

METRICS = (
    # The daemon.
    Metric(
        "vdsprovd_build_info",
        Kind.GAUGE,
        "Always 1; the versions of vdsprovd, Python and the kernel.",
        _build,
        ("version", "python", "kernel"),
    ),
    Metric(
        "vdsprovd_connections",
        Kind.GAUGE,
        "Clients connected to the API's socket.",
        _one(lambda scene: scene.connections),
    ),
    Metric(
        "vdsprovd_advise_sinks", Kind.GAUGE, "Clients that listen to notifications.", _one(lambda scene: scene.sinks)
    ),
    Metric(
        "vdsprovd_call_duration_seconds",
        Kind.HISTOGRAM,
        "How long calls took from their turn until the reply was written; streams (Advise, Wait) are not in it.",
        Scene.calls,
        ("method",),
        "17 for each method that was called",
    ),
    Metric(
        "vdsprovd_call_errors_total",
        Kind.COUNTER,
        "Calls answered with an error, by the symbol of the VDS code, or the name of an error of Varlink's.",
        Scene.errors,
        ("method", "code"),
        "one for each error of a method that was answered",
    ),
    Metric(
        "vdsprovd_operations_running",
        Kind.GAUGE,
        "Asynchronous operations (IVdsAsync) under way.",
        _by(lambda scene: scene.operations),
        ("type",),
        "at most one for each type of operation",
    ),
    Metric(
        "vdsprovd_operation_duration_seconds",
        Kind.HISTOGRAM,
        "How long asynchronous operations took, by the code that they ended with (S_OK: they did what was asked).",
        Scene.finished_operations,
        ("type", "code"),
        "11 for each type of operation and code",
    ),
    Metric(
        "vdsprovd_unanswered_operations",
        Kind.GAUGE,
        "Operations and looks at the host that wait for an answer of the kernel's and got none for ten seconds or more.",
        _one(lambda scene: scene.unanswered),
    ),
    # The cache and the store.
    Metric(
        "vdsprovd_cache_corrupt",
        Kind.GAUGE,
        "1 while the provider cache is proven wrong: methods answer VDS_E_PROVIDER_CACHE_CORRUPT. Else 0.",
        _one(lambda scene: scene.corrupt),
    ),
    Metric(
        "vdsprovd_cache_changes_total",
        Kind.COUNTER,
        "Changes of the cache that sinks were told, as groups of notifications.",
        _one(lambda scene: scene.changes),
    ),
    Metric(
        "vdsprovd_deviations",
        Kind.GAUGE,
        "Objects in the kernel that are not as they were set.",
        _by(lambda scene: scene.deviations),
        ("kind",),
        "at most 7",
    ),
    Metric(
        "vdsprovd_audit_duration_seconds",
        Kind.GAUGE,
        'How long the last one took that was complete: "kernel", an audit, start or Refresh; "store", an audit.',
        lambda scene: scene.audits(lambda seconds, over: seconds),
        ("audit",),
        "2: kernel, store",
    ),
    Metric(
        "vdsprovd_audit_last_success_timestamp_seconds",
        Kind.GAUGE,
        'When that one ended: with audit="kernel", time() less this is the cache\'s age.',
        lambda scene: scene.audits(lambda seconds, over: over),
        ("audit",),
        "2: kernel, store",
    ),
    Metric("vdsprovd_store_size_bytes", Kind.GAUGE, "The store's file and its log.", Scene.store_size),
    Metric(
        "vdsprovd_store_failed",
        Kind.GAUGE,
        "1 while the store cannot be written, and the provider has failed with it. Else 0.",
        _one(lambda scene: scene.store_failed),
    ),
    Metric(
        "vdsprovd_backup_last_success_timestamp_seconds",
        Kind.GAUGE,
        "When the newest backup of the store was made.",
        Scene.newest_backup,
    ),
    # Objects.
    Metric(
        "vdsprovd_subsystem_state",
        Kind.GAUGE,
        "Always 1; each subsystem's status and health.",
        Scene.sub_systems,
        ("subsystem", "status", "health"),
        "one for each subsystem",
    ),
    Metric(
        "vdsprovd_luns",
        Kind.GAUGE,
        "LUNs.",
        Scene.luns,
        ("subsystem", "status", "health"),
        "one for each combination that there is",
    ),
    Metric(
        "vdsprovd_lun_impaired",
        Kind.GAUGE,
        "Always 1; a LUN that is not both online and healthy.",
        Scene.impaired_luns,
        (*_LUN, "status", "health"),
        "one for each such LUN, none when all is well",
    ),
    Metric(
        "vdsprovd_targets",
        Kind.GAUGE,
        "Targets; whether the kernel has the target otherwise than it was set.",
        Scene.targets,
        ("subsystem", "deviates"),
        "2 for each subsystem",
    ),
    Metric(
        "vdsprovd_drives",
        Kind.GAUGE,
        "Drives: members of pools, hot spares and free ones.",
        Scene.drives,
        ("subsystem", "status", "health"),
        "one for each combination that there is",
    ),
    Metric(
        "vdsprovd_portals",
        Kind.GAUGE,
        "Portals.",
        Scene.portals,
        ("subsystem", "status"),
        "one for each combination that there is",
    ),
    # Pools.
    Metric(
        "vdsprovd_pool_usable",
        Kind.GAUGE,
        "1 when the pool could be read at the last look, else 0.",
        lambda scene: scene.pools(lambda pool, fill: not pool.fault),
        _POOL,
        "one for each pool",
    ),
    Metric(
        "vdsprovd_pool_size_bytes",
        Kind.GAUGE,
        "The pool's size.",
        lambda scene: scene.pools(lambda pool, fill: fill.size if fill else pool.total),
        _POOL,
        "one for each pool",
    ),
    Metric(
        "vdsprovd_pool_used_bytes",
        Kind.GAUGE,
        "What is in use: by LUNs, and by whatever else shares the file system or the volume group. Of folders and thin "
        "pools as it is now, of volume groups as of the last change or audit.",
        lambda scene: scene.pools(lambda pool, fill: fill.used if fill else pool.total - pool.free),
        _POOL,
        "one for each pool",
    ),
    Metric(
        "vdsprovd_pool_provisioned_bytes",
        Kind.GAUGE,
        "What a thin pool has promised its LUNs, as of the last change or audit.",
        lambda scene: scene.pools(lambda pool, fill: pool.provisioned if pool.thin else None),
        _POOL,
        "one for each thin pool",
    ),
    Metric(
        "vdsprovd_pool_metadata_size_bytes",
        Kind.GAUGE,
        "The size of a thin pool's metadata.",
        lambda scene: scene.pools(lambda pool, fill: fill.metadata_size if fill else None),
        _POOL,
        "one for each thin pool",
    ),
    Metric(
        "vdsprovd_pool_metadata_used_bytes",
        Kind.GAUGE,
        "What of a thin pool's metadata is in use.",
        lambda scene: scene.pools(lambda pool, fill: fill.metadata_used if fill else None),
        _POOL,
        "one for each thin pool",
    ),
    # LUNs, as the kernel counts.
    Metric(
        "vdsprovd_lun_size_bytes",
        Kind.GAUGE,
        "The LUN's size.",
        Scene.lun_sizes,
        (*_LUN, *_POOL),
        "one for each LUN",
    ),
    Metric(
        "vdsprovd_lun_commands_total",
        Kind.COUNTER,
        "SCSI commands for the LUN since it was exported.",
        lambda scene: scene.of_luns(Count.COMMANDS),
        _LUN,
        "one for each LUN",
    ),
    Metric(
        "vdsprovd_lun_read_bytes_total",
        Kind.COUNTER,
        "Bytes read from the LUN since it was exported; the kernel shows whole MiB.",
        lambda scene: scene.of_luns(Count.READ),
        _LUN,
        "one for each LUN",
    ),
    Metric(
        "vdsprovd_lun_written_bytes_total",
        Kind.COUNTER,
        "Bytes written to the LUN since it was exported; the kernel shows whole MiB.",
        lambda scene: scene.of_luns(Count.WRITTEN),
        _LUN,
        "one for each LUN",
    ),
    Metric(
        "vdsprovd_lun_aborts_total",
        Kind.COUNTER,
        "Commands that initiators gave up, mostly because they took too long.",
        lambda scene: scene.of_luns(Count.ABORTS),
        _LUN,
        "one for each LUN",
    ),
    Metric(
        "vdsprovd_lun_resets_total",
        Kind.COUNTER,
        "Resets of the LUN by initiators.",
        lambda scene: scene.of_luns(Count.RESETS),
        _LUN,
        "one for each LUN",
    ),
    # Targets, as the kernel counts.
    Metric(
        "vdsprovd_target_sessions",
        Kind.GAUGE,
        "Sessions of initiators with the target.",
        lambda scene: scene.of_targets(Count.SESSIONS),
        ("target",),
        "one for each target",
    ),
    Metric(
        "vdsprovd_target_initiator_connected",
        Kind.GAUGE,
        "1 for an initiator that is logged in to the target, 0 for one that is not and that a LUN's mask names.",
        Scene.initiators,
        ("target", "initiator"),
        "one for each target and initiator",
    ),
    Metric(
        "vdsprovd_target_commands_total",
        Kind.COUNTER,
        "SCSI commands for a LUN through the target since they were associated.",
        lambda scene: scene.of_units(Count.COMMANDS),
        _UNIT,
        _PER_UNIT,
    ),
    Metric(
        "vdsprovd_target_read_bytes_total",
        Kind.COUNTER,
        "Bytes read from a LUN through the target since they were associated; the kernel shows whole MiB.",
        lambda scene: scene.of_units(Count.READ),
        _UNIT,
        _PER_UNIT,
    ),
    Metric(
        "vdsprovd_target_written_bytes_total",
        Kind.COUNTER,
        "Bytes written to a LUN through the target since they were associated; the kernel shows whole MiB.",
        lambda scene: scene.of_units(Count.WRITTEN),
        _UNIT,
        _PER_UNIT,
    ),
    Metric(
        "vdsprovd_target_logins_total",
        Kind.COUNTER,
        "Logins to the target, discoveries not included.",
        lambda scene: scene.of_targets(Count.LOGINS),
        ("target",),
        "one for each target",
    ),
    Metric(
        "vdsprovd_target_login_failures_total",
        Kind.COUNTER,
        "Logins that the target refused: not_authenticated (CHAP), not_authorized (no ACL), not_negotiated, other_refusals.",
        lambda scene: scene.of_targets(
            Count.NOT_AUTHENTICATED, Count.NOT_AUTHORIZED, Count.NOT_NEGOTIATED, Count.OTHER_REFUSALS
        ),
        ("target", "reason"),
        "4 for each target",
    ),
    Metric(
        "vdsprovd_target_session_errors_total",
        Kind.COUNTER,
        "What broke sessions with the target: digest_errors, connection_errors, format_errors, abnormal_logouts.",
        lambda scene: scene.of_targets(
            Count.DIGEST_ERRORS, Count.CONNECTION_ERRORS, Count.FORMAT_ERRORS, Count.ABNORMAL_LOGOUTS
        ),
        ("target", "kind"),
        "4 for each target",
    ),
)
