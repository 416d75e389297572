"""Which targets a LUN can be reached through, and under which logical unit number."""

from collections.abc import Iterable

from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.inventory import Inventory, Target

LUNS_PER_TARGET = 16384
"""Logical unit numbers that SCSI's flat addressing can express (SAM-5 4.7.7)."""


def check_targets(current: Inventory, sub_system_id: str, target_ids: Iterable[str]) -> None:
    """Raises VDS_E_OBJECT_NOT_FOUND for an id that is no target's of the subsystem."""
    for id in target_ids:
        target = current.get(Target, id)
        if target is None or target.sub_system_id != sub_system_id:
            raise VdsError(Hresult.VDS_E_OBJECT_NOT_FOUND, f"the LUN's subsystem has no target {id!r}", id)


def free_index(current: Inventory, target_id: str) -> int:
    """The logical unit number for one more LUN of a target: as a rule the number of those it has."""
    taken = current.luns_of_target.get(target_id)
    if taken is None:
        return 0
    if len(taken) not in taken:
        index = len(taken)
    else:
        index = next(number for number in range(len(taken)) if number not in taken)
    if index >= LUNS_PER_TARGET:
        raise VdsError(
            Hresult.VDS_E_NOT_SUPPORTED, f"the target has {len(taken)} LUNs; SCSI can address no more", target_id
        )
    return index
