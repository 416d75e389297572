"""What a plex is, by the LUN that it belongs to."""

from vdsprovd.inventory import Lun, Plex
from vdsprovd.model import Health, LunPlexProperties, LunPlexStatus, LunPlexType, LunType
from vdsprovd.provider.hints import rebuild_priority


def properties(lun: Lun, plex: Plex) -> LunPlexProperties:
    """VDS_LUN_PLEX_PROP. A mirror's plexes are simple, or spans where they lie on several drives."""
    if lun.type is LunType.MIRROR:
        several = len({extent.drive for extent in plex.leg.extents}) > 1
        type = LunPlexType.SPAN if several else LunPlexType.SIMPLE
    else:
        type = LunPlexType.of(lun.type.value)
    failed = plex.leg.health is Health.FAILED
    status = LunPlexStatus.FAILED if failed else LunPlexStatus.of(lun.status.value)
    return LunPlexProperties(
        id=plex.id,
        size=lun.size,
        type=type,
        status=status,
        health=plex.leg.health,
        transition_state=lun.transition,
        flags=(),
        stripe_size=lun.stripe_size,
        rebuild_priority=rebuild_priority(lun, plex.hints),
    )
