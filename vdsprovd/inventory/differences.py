"""What happened between two inventories, as VDS notifies of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from vdsprovd.hardware import Extent
from vdsprovd.inventory.inventory import Inventory
from vdsprovd.inventory.objects import (
    Controller,
    Drive,
    Entity,
    Lun,
    Plex,
    Port,
    Portal,
    PortalGroup,
    SubSystem,
    Target,
    object_type,
)
from vdsprovd.model import DriveStatus, Notification, NotificationEvent, ObjectType

# Which events a kind of object has: arrival, departure, modification. Storage pools and plexes have none
# in VDS.
_EVENTS: dict[type[Any], tuple[NotificationEvent, NotificationEvent, NotificationEvent]] = {
    SubSystem: (
        NotificationEvent.SUB_SYSTEM_ARRIVE,
        NotificationEvent.SUB_SYSTEM_DEPART,
        NotificationEvent.SUB_SYSTEM_MODIFY,
    ),
    Controller: (
        NotificationEvent.CONTROLLER_ARRIVE,
        NotificationEvent.CONTROLLER_DEPART,
        NotificationEvent.CONTROLLER_MODIFY,
    ),
    Port: (NotificationEvent.PORT_ARRIVE, NotificationEvent.PORT_DEPART, NotificationEvent.PORT_MODIFY),
    Drive: (NotificationEvent.DRIVE_ARRIVE, NotificationEvent.DRIVE_DEPART, NotificationEvent.DRIVE_MODIFY),
    Lun: (NotificationEvent.LUN_ARRIVE, NotificationEvent.LUN_DEPART, NotificationEvent.LUN_MODIFY),
    Target: (NotificationEvent.TARGET_ARRIVE, NotificationEvent.TARGET_DEPART, NotificationEvent.TARGET_MODIFY),
    PortalGroup: (
        NotificationEvent.PORTAL_GROUP_ARRIVE,
        NotificationEvent.PORTAL_GROUP_DEPART,
        NotificationEvent.PORTAL_GROUP_MODIFY,
    ),
    Portal: (NotificationEvent.PORTAL_ARRIVE, NotificationEvent.PORTAL_DEPART, NotificationEvent.PORTAL_MODIFY),
}


# What these send when they are there and not used any more.
_REMOVED: dict[type[Any], NotificationEvent] = {
    Controller: NotificationEvent.CONTROLLER_REMOVED,
    Port: NotificationEvent.PORT_REMOVED,
    Drive: NotificationEvent.DRIVE_REMOVED,
}


def _there(entity: Entity) -> bool:
    """A drive that a pool misses is an object, and not there."""
    return not isinstance(entity, Drive) or entity.found is not None


def _used(entity: Entity) -> bool:
    """A drive that has failed is not used, whatever was set."""
    return entity.status is DriveStatus.ONLINE if isinstance(entity, Drive) else getattr(entity, "online", True)


def _seen(entity: Entity) -> object:
    """What clients see of it. What is on a free drive, they do not."""
    if isinstance(entity, Drive):
        return entity.properties2, entity.pool_id, entity.member.free if entity.member else 0
    return entity


def differences(before: Inventory, after: Inventory, touched: Iterable[str]) -> list[Notification]:
    """The notifications that lead from one inventory to another, looking only at the touched ids.

    A target whose LUNs changed counts as modified (VDS documents no event for an association; clients want one), and so
    does a drive whose extents did.
    """
    found = []
    extents: set[Extent] = set()
    for id in dict.fromkeys(touched):
        old, new = before.objects.get(id), after.objects.get(id)
        entity = old if new is None else new
        if isinstance(entity, Plex):
            was, now = (set(plex.leg.extents) if isinstance(plex, Plex) else set() for plex in (old, new))
            extents |= was ^ now
        if entity is None or type(entity) not in _EVENTS:
            continue
        arrive, depart, modify = _EVENTS[type(entity)]
        if old is None or (new is not None and not _there(old) and _there(new)):
            event = arrive
        elif new is None or (_there(old) and not _there(new)):
            event = depart
        elif _used(old) and not _used(new) and type(entity) in _REMOVED:
            event = _REMOVED[type(entity)]
        elif _seen(old) != _seen(new) or before.luns_of_target.get(id) != after.luns_of_target.get(id):
            event = modify
        else:
            continue
        found.append(Notification(object_type(entity), event, id))
    if extents:
        told = {entry.id for entry in found}
        names = {extent.drive for extent in extents}
        for drive in after.all(Drive):
            if drive.id not in told and names & {drive.node, drive.member.id if drive.member else ""}:
                found.append(Notification(ObjectType.DRIVE, NotificationEvent.DRIVE_MODIFY, drive.id))
    return found
