"""What the host has, as one immutable value. The provider cache is the newest one.

An entity holds what shall be (it comes from the store) and what was found (faults, free space): `objects`. Maps are
persistent, so a changed inventory shares all but what was touched with the one before: a command costs what it touches.
`inventory` has all objects and the indexes that queries need, `differences` what is told of a change.
"""

from vdsprovd.inventory.differences import differences
from vdsprovd.inventory.inventory import Inventory
from vdsprovd.inventory.objects import (
    FAULT_TOLERANT,
    OBJECT_TYPES,
    Association,
    Controller,
    Drive,
    Entity,
    Lun,
    Plex,
    Port,
    Portal,
    PortalGroup,
    StoragePool,
    SubSystem,
    Target,
    object_type,
)

__all__ = [
    "FAULT_TOLERANT",
    "OBJECT_TYPES",
    "Association",
    "Controller",
    "Drive",
    "Entity",
    "Inventory",
    "Lun",
    "Plex",
    "Port",
    "Portal",
    "PortalGroup",
    "StoragePool",
    "SubSystem",
    "Target",
    "differences",
    "object_type",
]
