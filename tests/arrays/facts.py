"""One fact of each kind, for tests of the hardware port."""

import uuid
from pathlib import Path

from tests.arrays.array import ADDRESS, INITIATOR
from tests.programs import MIB
from vdsprovd.hardware import Acl, Credentials, Disk, Fact, Grant, Group, Layout, Listener, Secret, TargetNode, Unit
from vdsprovd.hardware.pools.files import FilesPool

IQN = "iqn.2026-11.org.example:contract"
LUN = str(uuid.UUID(int=0x1234567890ABCDEF1234567890ABCDEF))
CREDENTIALS = Credentials(INITIATOR, Secret("twelve-bytes"), IQN, Secret("fourteen-bytes"))


def one_of_each(folder: Path) -> list[Fact]:
    """One fact of each kind, in an order that the kernel accepts; the disk's file is in the folder."""
    pool = FilesPool(folder)
    pool.create(LUN, MIB, Layout(), lambda _percent: None)
    pool.flush([LUN])
    return [
        Disk(LUN, 5, pool.path(LUN), MIB),
        TargetNode(IQN),
        Group(IQN, 1, enabled=True, authentication=True, alias="Web disks"),
        Unit(IQN, 1, 3, LUN, 5),
        Acl(IQN, 1, INITIATOR, CREDENTIALS),
        Grant(IQN, 1, INITIATOR, 3, 3),
        Listener(IQN, 1, ADDRESS, 3260),
    ]
