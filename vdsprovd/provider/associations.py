"""Which targets a LUN can be reached through, and under which logical unit number."""

from collections.abc import Iterable, Iterator

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


def free_indexes(current: Inventory, target_id: str) -> Iterator[int]:
    """Logical unit numbers for more LUNs of a target: as a rule the number of those it has then. Raises
    VDS_E_NOT_SUPPORTED."""
    taken, given = current.luns_of_target.get(target_id, ()), set[int]()
    while True:
        count = len(taken) + len(given)
        index = count
        if index in taken or index in given:
            index = next(index for index in range(count) if index not in taken and index not in given)
        if index >= LUNS_PER_TARGET:
            raise VdsError(
                Hresult.VDS_E_NOT_SUPPORTED, f"the target has {count} LUNs; SCSI can address no more", target_id
            )
        yield index
        given.add(index)
