"""Hints: wishes for a LUN, and what is in force of them."""

import msgspec

from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.inventory import Lun
from vdsprovd.model import Hints, Hints2, LunType

REBUILD_PRIORITIES = range(16)


def check(wished: Hints, id: str) -> None:
    """Raises E_INVALIDARG for a number that a hint cannot be."""
    for name, value in msgspec.structs.asdict(wished).items():
        if isinstance(value, int) and not isinstance(value, bool) and value < 0:
            raise VdsError(Hresult.E_INVALIDARG, f"the hint {name} is {value}; it cannot be negative", id)
    if wished.rebuild_priority is not None and wished.rebuild_priority not in REBUILD_PRIORITIES:
        raise VdsError(Hresult.E_INVALIDARG, f"a rebuild priority is 0 to 15, not {wished.rebuild_priority}", id)


def merged(before: Hints2, wished: Hints) -> Hints2:
    """The hints with those that are wished in place of what was before; null leaves one as it was."""
    changes = {name: value for name, value in msgspec.structs.asdict(wished).items() if value is not None}
    return msgspec.structs.replace(before, **changes)


def rebuild_priority(lun: Lun, own: Hints | None = None) -> int:
    """The rebuild priority of a LUN, or of the plex whose hints are `own`; 0 is one, too."""
    if own and own.rebuild_priority is not None:
        return own.rebuild_priority
    return lun.hints.rebuild_priority or 0


def in_force(lun: Lun, own: Hints | None = None) -> Hints2:
    """What is in force for a LUN: what the volume and the kernel have, whatever was wished, and the wishes that are kept
    because they say something of the future. `own` are a plex's hints."""
    wished = lun.hints
    return Hints2(
        expected_maximum_size=wished.expected_maximum_size or 0,
        optimal_read_size=lun.stripe_size * lun.columns,
        optimal_read_alignment=lun.stripe_size,
        optimal_write_size=lun.stripe_size * lun.columns,
        optimal_write_alignment=lun.stripe_size,
        maximum_drive_count=wished.maximum_drive_count or 0,
        stripe_size=lun.stripe_size,
        # LVM's RAID keeps a bitmap of what is being written: after a crash only that is synchronized.
        fast_crash_recovery_required=lun.type in _WITH_BITMAP,
        mostly_reads=wished.mostly_reads or False,
        optimize_for_sequential_reads=lun.columns > 1,
        optimize_for_sequential_writes=lun.columns > 1,
        remap_enabled=False,
        read_back_verify_enabled=False,
        write_through_caching_enabled=True,
        hardware_checksum_enabled=False,
        is_yankable=lun.columns == 1,
        rebuild_priority=rebuild_priority(lun, own),
        allocate_hot_spare=False,
        use_mirrored_cache=False,
        read_caching_enabled=True,
        write_caching_enabled=False,
        media_scan_enabled=False,
        consistency_check_enabled=False,
        bus_type=None,
    )


_WITH_BITMAP = (LunType.MIRROR, LunType.PARITY, LunType.RAID4, LunType.RAID5, LunType.RAID6, LunType.RAID10)
