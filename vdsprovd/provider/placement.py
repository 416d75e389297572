"""Where a LUN can be: in which pool, and laid out how, for what is wished of it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from operator import itemgetter

import msgspec

from vdsprovd.hardware import HardwareError, Layout, NoDrives, Unsupported
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.inventory import Drive, StoragePool
from vdsprovd.model import DriveStatus, Hints2, LunType, NewLun
from vdsprovd.provider import automagic
from vdsprovd.provider.context import Context

LARGEST = (1 << 63) - 1
"""Bytes; what a file system and the wire's integers can express."""


class Wish(msgspec.Struct, frozen=True):
    """What was asked of a new LUN, but for its size: type, drives in order (none: any), hints."""

    type: LunType
    drives: tuple[Drive, ...] = ()
    hints: Hints2 = Hints2()

    def layouts(self) -> Iterable[Layout]:
        """The ways to fulfil it, the best first."""
        for type in automagic.types(self.type, self.hints):
            yield Layout(
                type,
                tuple(drive.node for drive in self.drives),
                stripe_size=(self.hints.stripe_size or 0) if type in _STRIPED else 0,
            )


_STRIPED = (LunType.STRIPE, LunType.RAID10)


class Choice(msgspec.Struct, frozen=True):
    """A pool and a layout, and how many bytes a LUN could have there."""

    pool: StoragePool
    layout: Layout
    largest: int


def wish_of(context: Context, sub_system_id: str, new: NewLun) -> Wish:
    """What is asked of it. Raises E_INVALIDARG for the type unknown, VDS_E_NOT_SUPPORTED for parameters that exclude each
    other, and what `drives` does."""
    wish = Wish(new.type, drives(context, sub_system_id, new.drive_ids), new.hints2 or Hints2())
    if wish.type is LunType.UNKNOWN:
        raise VdsError(Hresult.E_INVALIDARG, "the LUN type unknown cannot be created")
    if wish.type.automagic and wish.drives:
        raise VdsError(
            Hresult.VDS_E_NOT_SUPPORTED,
            f"with the automagic type {wish.type.value} the drives are chosen for you; name a type to choose drives",
        )
    if new.hints2 is not None and not wish.type.automagic and not _only_a_stripe_size(wish):
        also = "no other than a stripeSize" if wish.type in _STRIPED else "none"
        raise VdsError(
            Hresult.VDS_E_NOT_SUPPORTED, f"hints go with automagic types; type {wish.type.value} takes {also}"
        )
    return wish


def _only_a_stripe_size(wish: Wish) -> bool:
    """Whether all that is hinted is the stripes of a striped LUN: that is part of what it is, as DiskRAID has it."""
    stripe_size = wish.hints.stripe_size
    return wish.type in _STRIPED and stripe_size is not None and wish.hints == Hints2(stripe_size=stripe_size)


def drives(context: Context, sub_system_id: str, ids: Sequence[str]) -> tuple[Drive, ...]:
    """The drives of these ids, each once. Raises VDS_E_OBJECT_NOT_FOUND, VDS_E_NOT_ENOUGH_DRIVE for one that cannot be
    used, VDS_E_NOT_SUPPORTED for one that is in no pool."""
    found = []
    for id in dict.fromkeys(ids):
        drive = context.cache.inventory.get(Drive, id)
        if drive is None or drive.sub_system_id != sub_system_id:
            raise VdsError(Hresult.VDS_E_OBJECT_NOT_FOUND, f"there is no drive {id!r}", id)
        if drive.status is not DriveStatus.ONLINE:
            raise VdsError(Hresult.VDS_E_NOT_ENOUGH_DRIVE, f"drive {id} is {drive.status.value}", id)
        if not drive.pool_id:
            raise VdsError(
                Hresult.VDS_E_NOT_SUPPORTED, f"drive {id} is in no pool; LUNs are made on the drives of a pool", id
            )
        found.append(drive)
    return tuple(found)


def rounded(size: int, granule: int) -> int:
    """The size rounded up. Raises E_INVALIDARG for a size that no LUN can have."""
    if size <= 0:
        raise VdsError(Hresult.E_INVALIDARG, f"the size is {size} bytes; it must be positive")
    rounded_up = -(-size // granule) * granule
    if rounded_up > LARGEST:
        raise VdsError(Hresult.VDS_E_NOT_ENOUGH_SPACE, f"no pool can hold {size} bytes")
    return rounded_up


async def largest_lun(context: Context, sub_system_id: str, new: NewLun) -> int:
    """The size in bytes of the largest LUN of that kind that could be created now; its own size does not matter."""

    def look() -> int:
        wish = wish_of(context, sub_system_id, new)
        choice = Places(context, sub_system_id).choose(wish, new.storage_pool_id, LARGEST)
        granule = context.pool(choice.pool.id).granule
        return choice.largest // granule * granule

    return await context.look(look)


class Places:
    """Where LUNs can be in a subsystem, as it is now, less what has been taken of it. Blocks."""

    def __init__(self, context: Context, sub_system_id: str) -> None:
        self.sub_system_id = sub_system_id
        self._context = context
        self._taken: Counter[str] = Counter()
        self._looked: dict[tuple[Wish, str | None], list[Choice]] = {}

    def take(self, pool: StoragePool, size: int) -> None:
        """So many bytes of the pool are for a LUN that was chosen there."""
        self._taken[pool.id] += size

    def choose(self, wish: Wish, pool_id: str | None, size: int) -> Choice:
        """The roomiest pool (or that one) for the first layout that has the room, or else the roomiest of all.

        Raises VDS_E_NOT_SUPPORTED when no pool holds such LUNs, VDS_E_NOT_ENOUGH_DRIVE when none can be used for it.
        """
        if (wish, pool_id) not in self._looked:
            self._looked[wish, pool_id] = self._choices(wish, pool_id)
        choices = [
            (max(0, choice.largest - self._taken[choice.pool.id]), choice) for choice in self._looked[wish, pool_id]
        ]
        roomy = [(room, choice) for room, choice in choices if room >= size]
        best = [(room, choice) for room, choice in roomy if choice.layout == roomy[0][1].layout]
        room, choice = max(best or choices, key=itemgetter(0))
        return msgspec.structs.replace(choice, largest=room)

    def _choices(self, wish: Wish, pool_id: str | None) -> list[Choice]:
        pools = self._pools(pool_id)
        holding = {drive.pool_id for drive in wish.drives}
        if len(holding) > 1:
            raise VdsError(Hresult.VDS_E_NOT_SUPPORTED, "the drives are in several pools; a LUN is in one")
        usable = [pool for pool in pools if not holding or pool.id in holding]
        choices, reasons, unsupported = _look(self._context, wish, usable)
        if choices:
            return choices
        if reasons or not pools:
            why = "; ".join(reasons) or "the subsystem has no pool"
            raise VdsError(Hresult.VDS_E_NOT_ENOUGH_DRIVE, f"there is no pool that can be used: {why}")
        raise VdsError(
            Hresult.VDS_E_NOT_SUPPORTED,
            f"no pool can hold a LUN of type {wish.type.value}: {'; '.join(unsupported) or 'none has its drives'}",
        )

    def _pools(self, pool_id: str | None) -> list[StoragePool]:
        inventory = self._context.cache.inventory
        if pool_id is None:
            return [pool for pool in inventory.all(StoragePool) if pool.sub_system_id == self.sub_system_id]
        pool = inventory.get(StoragePool, pool_id)
        if pool is None or pool.sub_system_id != self.sub_system_id:
            raise VdsError(Hresult.VDS_E_OBJECT_NOT_FOUND, f"the subsystem has no storage pool {pool_id!r}", pool_id)
        return [pool]


def _look(context: Context, wish: Wish, pools: Sequence[StoragePool]) -> tuple[list[Choice], list[str], list[str]]:
    """The choices that there are, the pools' reasons for having none, and what they cannot hold at all. Runs in a
    worker thread."""
    choices, reasons, unsupported = [], [], []
    for layout in wish.layouts():
        for pool in pools:
            if layout.type not in pool.types:
                unsupported.append(f"{pool.name} holds {', '.join(type.value for type in pool.types)}")
                continue
            try:
                choices.append(Choice(pool, layout, context.pool(pool.id).largest(layout)))
            except Unsupported as error:
                unsupported.append(str(error))
            except (NoDrives, HardwareError) as error:
                reasons.append(str(error))
    return choices, list(dict.fromkeys(reasons)), list(dict.fromkeys(unsupported))
