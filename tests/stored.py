"""Objects that a store has, in tests: one of each kind that refers to others."""

from vdsprovd.hardware import Secret
from vdsprovd.inventory import Association, Entity, Lun, Portal, PortalGroup, StoragePool, SubSystem, Target
from vdsprovd.model import LunType
from vdsprovd.persistent import PersistentMap

SUB_SYSTEM = SubSystem("s", "array0", "", "Array", True, online=False)
POOL = StoragePool("p", "s", "files0", "")
TARGET = Target(
    "t",
    "s",
    "iqn.x:t",
    "T",
    True,
    PersistentMap({"": Secret("default-secret")}),
    PersistentMap({"i": Secret("mutual-secret")}),
)
PORTAL = Portal("a", "s", "10.77.0.1", 3260, online=False)
GROUP = PortalGroup("g", "t", 1, ("a",))
LUN = Lun("l", "s", "p", 7, "/x/l.lun", "name", 4096, LunType.SIMPLE, ("i", "j"), False, (Association("t", 3),))
ALL: tuple[Entity, ...] = (SUB_SYSTEM, POOL, TARGET, PORTAL, GROUP, LUN)
