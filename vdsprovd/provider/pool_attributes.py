"""What a storage pool is like, in the words of VDS_POOL_ATTRIBUTES."""

import msgspec

from vdsprovd.inventory import FAULT_TOLERANT, Drive, Inventory, StoragePool
from vdsprovd.model import LunType, PoolAttributes, StorageBusType

_LARGEST_STRIPE, _SMALLEST_STRIPE, _USUAL_STRIPE = 1 << 20, 1 << 12, 1 << 16
"""Bytes; LVM's, and what it takes when none is asked for."""


def attributes(inventory: Inventory, pool: StoragePool) -> PoolAttributes:
    """The pool's attributes; those of drives are there when they hold for all of them."""
    drives = [drive for drive in inventory.all(Drive) if drive.pool_id == pool.id and drive.found]
    buses = {drive.found.bus for drive in drives if drive.found}
    redundant = bool(FAULT_TOLERANT & set(pool.types)) and len(drives) > 1
    striped = LunType.STRIPE in pool.types
    return PoolAttributes(
        bus_type=buses.pop() if len(buses) == 1 else StorageBusType.UNKNOWN if drives else None,
        spin_down=False,
        is_thin_provisioned=pool.thin,
        provisioned_space=max(pool.provisioned, pool.total) if pool.thin else None,
        no_single_point_of_failure=False,
        data_redundancy_max=len(drives) if redundant else 1,
        data_redundancy_min=1,
        data_redundancy_default=1,
        package_redundancy_max=len(drives) - 1 if redundant else 0,
        package_redundancy_min=0,
        package_redundancy_default=0,
        stripe_size_max=_LARGEST_STRIPE if striped else None,
        stripe_size_min=_SMALLEST_STRIPE if striped else None,
        default_stripe_size=_USUAL_STRIPE if striped else None,
        number_of_columns_max=max(1, len(drives)) if striped else None,
        number_of_columns_min=1 if striped else None,
    )


def match(wanted: PoolAttributes, found: PoolAttributes) -> bool:
    """Whether a pool has every attribute that is wanted, to the number; one that does not apply is not had."""
    pairs = msgspec.structs.asdict(wanted)
    return all(value is None or getattr(found, name) == value for name, value in pairs.items())
