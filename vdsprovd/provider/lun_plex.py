"""A LUN's plex, one copy of its bytes: IVdsLunPlex."""

import msgspec

from vdsprovd import inventory
from vdsprovd.hardware import Condition
from vdsprovd.hresult import Hresult
from vdsprovd.inventory import Drive, Lun
from vdsprovd.model import (
    DriveExtent,
    Hints,
)
from vdsprovd.provider.api import Interface, Role, method
from vdsprovd.provider.hints import check, in_force
from vdsprovd.provider.plexes import properties
from vdsprovd.replies import DriveExtentsReply, HintsReply, LunPlexPropertiesReply, LunReply

_GETTER = (Hresult.VDS_E_PROVIDER_CACHE_CORRUPT, Hresult.VDS_E_OBJECT_DELETED)
_USUAL = (*_GETTER, Hresult.VDS_E_OBJECT_STATUS_FAILED, Hresult.VDS_E_ANOTHER_CALL_IN_PROGRESS)


class LunPlex(Interface):
    """A plex: one copy of a LUN's bytes, on drives of its own. Only mirrors have several."""

    com = "IVdsLunPlex"

    @method(Role.VIEWER, *_GETTER, Hresult.VDS_S_PROPERTIES_INCOMPLETE)
    def get_properties(self, plex: inventory.Plex) -> LunPlexPropertiesReply:
        """The plex's type, size, status and health; those of a rebuild too.

        `hresult` is VDS_S_PROPERTIES_INCOMPLETE while the LUN's volume is missing. (IVdsLunPlex::GetProperties)
        """
        lun = self.inventory.known(Lun, plex.lun_id)
        missing = lun.condition is Condition.MISSING
        return LunPlexPropertiesReply(
            Hresult.VDS_S_PROPERTIES_INCOMPLETE if missing else Hresult.S_OK, properties(lun, plex)
        )

    @method(Role.VIEWER, *_GETTER)
    def get_lun(self, plex: inventory.Plex) -> LunReply:
        """The LUN that has the plex. (IVdsLunPlex::GetLun)"""
        return LunReply(plex.lun_id)

    @method(Role.VIEWER, *_USUAL)
    def query_extents(self, plex: inventory.Plex) -> DriveExtentsReply:
        """The extents of drives that make up the plex, as last seen; none for a LUN in a pool of files.

        (IVdsLunPlex::QueryExtents)
        """
        drives = {drive.node: drive.id for drive in self.inventory.all(Drive) if drive.node}
        return DriveExtentsReply(
            tuple(
                DriveExtent(drives[extent.drive], plex.lun_id, extent.size, True)
                for extent in plex.leg.extents
                if extent.drive in drives
            )
        )

    @method(Role.VIEWER, *_USUAL, never={"VDS_E_NOT_SUPPORTED": "every plex has hints"})
    def query_hints(self, plex: inventory.Plex) -> HintsReply:
        """The hints in force for the plex. (IVdsLunPlex::QueryHints)"""
        lun = self.inventory.known(Lun, plex.lun_id)
        return HintsReply(msgspec.convert(in_force(lun, plex.hints), Hints, from_attributes=True))

    @method(
        Role.OPERATOR, *_USUAL, Hresult.E_INVALIDARG, never={"VDS_E_NOT_SUPPORTED": "hints are wishes"}, exclusive=True
    )
    async def apply_hints(self, plex: inventory.Plex, hints: Hints) -> None:
        """Apply hints to this plex only: its rebuild priority; null leaves it as it was, and the other
        hints make no sense for a plex and are ignored.

        (IVdsLunPlex::ApplyHints)
        """
        check(hints, plex.id)
        if hints.rebuild_priority is not None:
            kept = Hints(rebuild_priority=hints.rebuild_priority)
            await self.context.change(put=[msgspec.structs.replace(plex, hints=kept)])
