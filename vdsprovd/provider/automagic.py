"""Which concrete type an automagic LUN gets (VDS_LUN_TYPE default, fault_tolerant and non_fault_tolerant).

The first rule that applies gives types in the order in which they are tried; the first that a pool can hold at the
size asked for is taken. docs/automagic.md is this table.
"""

from collections.abc import Callable

import msgspec

from vdsprovd.model import Hints2, LunType


class Rule(msgspec.Struct, frozen=True):
    """For which automagic types and wishes which concrete types are tried; `wish` is for people."""

    asked: tuple[LunType, ...]
    wish: str
    applies: Callable[[Hints2], bool]
    types: tuple[LunType, ...]


_PLAIN = (LunType.DEFAULT, LunType.NON_FAULT_TOLERANT)
_SAFE = (LunType.FAULT_TOLERANT,)

RULES: tuple[Rule, ...] = (
    Rule(_PLAIN, "isYankable", lambda hints: bool(hints.is_yankable), (LunType.SIMPLE,)),
    Rule(
        _PLAIN,
        "maximumDriveCount = 1",
        lambda hints: hints.maximum_drive_count == 1,
        (LunType.SIMPLE,),
    ),
    Rule(
        _PLAIN,
        "optimizeForSequentialReads, optimizeForSequentialWrites or a stripeSize",
        lambda hints: bool(
            hints.optimize_for_sequential_reads or hints.optimize_for_sequential_writes or hints.stripe_size
        ),
        (LunType.STRIPE, LunType.SIMPLE, LunType.SPAN),
    ),
    Rule(_PLAIN, "none of these", lambda hints: True, (LunType.SIMPLE, LunType.SPAN)),
    Rule(
        _SAFE,
        "fastCrashRecoveryRequired or isYankable",
        lambda hints: bool(hints.fast_crash_recovery_required or hints.is_yankable),
        (LunType.MIRROR,),
    ),
    Rule(
        _SAFE,
        "mostlyReads, or optimizeForSequentialReads without optimizeForSequentialWrites",
        lambda hints: bool(
            hints.mostly_reads or (hints.optimize_for_sequential_reads and not hints.optimize_for_sequential_writes)
        ),
        (LunType.PARITY, LunType.MIRROR),
    ),
    Rule(
        _SAFE,
        "optimizeForSequentialWrites or a stripeSize",
        lambda hints: bool(hints.optimize_for_sequential_writes or hints.stripe_size),
        (LunType.RAID10, LunType.MIRROR, LunType.PARITY),
    ),
    Rule(_SAFE, "none of these", lambda hints: True, (LunType.MIRROR, LunType.PARITY)),
)


def types(asked: LunType, hints: Hints2) -> tuple[LunType, ...]:
    """The concrete types to try, the best first; a concrete type gives itself."""
    if not asked.automagic:
        return (asked,)
    return next(rule.types for rule in RULES if asked in rule.asked and rule.applies(hints))
