"""Many at once, all or none of them. VDS has nothing like it: it makes one LUN, names it, masks it and associates it, in four
calls, and whoever stops in between leaves the LUN half done."""

from collections.abc import Collection

from vdsprovd import inventory
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.model import NewLun, NewTarget
from vdsprovd.provider.api import Interface, Role, method
from vdsprovd.provider.creation import create_luns
from vdsprovd.provider.target_creation import create_targets
from vdsprovd.replies import CreationReply

MOST = 1000
"""Objects that one call makes at most. Their rows are one transaction, and until it is over nobody sees any of them."""

_USUAL = (
    Hresult.VDS_E_PROVIDER_CACHE_CORRUPT,
    Hresult.VDS_E_OBJECT_DELETED,
    Hresult.VDS_E_OBJECT_STATUS_FAILED,
    Hresult.VDS_E_ANOTHER_CALL_IN_PROGRESS,
    Hresult.VDS_E_OBJECT_NOT_FOUND,
    Hresult.VDS_E_NOT_SUPPORTED,
    Hresult.E_INVALIDARG,
)


class Provisioning(Interface):
    """Makes many LUNs or targets of a subsystem at once, each ready for use, all of them or none."""

    @method(Role.OPERATOR, *_USUAL, Hresult.VDS_E_NOT_ENOUGH_SPACE, Hresult.VDS_E_NOT_ENOUGH_DRIVE)
    async def create_luns(self, sub_system: inventory.SubSystem, luns: tuple[NewLun, ...]) -> CreationReply:
        """Create up to 1,000 LUNs, with their names, unmasked and associated as each says.

        They are there, all of them, when Async.Wait says that the operation is over; when it fails, is cancelled or is cut
        off by a crash, none is. What one call makes costs a few transactions, whatever their number: 1,000 LUNs take a
        fraction of the time that 1,000 calls do.
        """
        _check_number(luns, sub_system.id)
        operation, ids = await create_luns(self.context, sub_system.id, luns)
        return CreationReply(ids, operation.id)

    @method(Role.OPERATOR, *_USUAL, Hresult.VDS_E_NAME_NOT_UNIQUE)
    def create_targets(self, sub_system: inventory.SubSystem, targets: tuple[NewTarget, ...]) -> CreationReply:
        """Create up to 1,000 targets, each with a portal group of the portals that it names, if it names any.

        They are there, all of them, when Async.Wait says that the operation is over; when it fails or is cut off by a crash,
        none is. Authentication is on, as after SubSystemIscsi.CreateTarget.
        """
        _check_number(targets, sub_system.id)
        operation, ids = create_targets(self.context, sub_system, targets)
        return CreationReply(ids, operation.id)


def _check_number(wanted: Collection[object], sub_system_id: str) -> None:
    if not 1 <= len(wanted) <= MOST:
        raise VdsError(Hresult.E_INVALIDARG, f"{len(wanted)} are wanted; one call makes 1 to {MOST}", sub_system_id)
