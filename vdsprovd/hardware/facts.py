"""What the host's target is made of: facts, each about one kernel object, and the step that makes one of another.

Laws: a fact's `key` names the object, its other fields are the object's settings; those in `fixed` cannot be changed in
place, so an object that differs in them is made anew, with all that needs it.
"""

from enum import Enum
from typing import ClassVar

import msgspec

PRODUCT = "vdsprovd"
"""What initiators are told that a disk is (INQUIRY's product identification), unless it was something else before."""


class Secret(str):
    """A CHAP secret: a string that does not show itself in logs and tracebacks."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(***)"


class Credentials(msgspec.Struct, frozen=True, gc=False):
    """The CHAP names and secrets of one initiator at one portal group; None where none is set."""

    user: str | None = None
    secret: Secret | None = None
    mutual_user: str | None = None
    mutual_secret: Secret | None = None


class Fact(msgspec.Struct, frozen=True, gc=False):
    """One kernel object as it is or shall be. `rank` orders kinds: an object needs only objects of lower rank."""

    rank: ClassVar[int]
    identity: ClassVar[int]  # how many of the fields, from the first, name the object
    fixed: ClassVar[tuple[str, ...]] = ()

    @property
    def key(self) -> "Key":
        """What names the object; two facts with one key are the same object with different settings."""
        return (type(self), *msgspec.structs.astuple(self)[: self.identity])

    @property
    def needs(self) -> "tuple[Key, ...]":
        """The keys of the objects without which this one cannot be."""
        return ()


class Access(Enum):
    """How the node serves a LUN: the ALUA access state of its target port group (SPC-4 5.15.2), with its number."""

    ACTIVE = 0
    STANDBY = 2
    UNAVAILABLE = 3


class Disk(Fact, frozen=True):
    """A storage object: the LUN's bytes behind a SCSI disk.

    `size` is that of a file's disk in bytes; a block device's disk follows the device, and it is 0. `serial` is its unit
    serial number, by which initiators know it again: the LUN's id, unless something else is given. `product` is what
    they are told that it is; designators have it, too. A `number` below 0 is the place where somebody else has put a disk
    that was adopted since: no kernel object can be renamed, so it stays there until it is made anew.
    """

    lun: str
    number: int
    path: str
    size: int
    block: bool = False
    access: Access = Access.ACTIVE
    serial: str = ""
    product: str = PRODUCT
    rank: ClassVar[int] = 0
    identity: ClassVar[int] = 2
    fixed: ClassVar[tuple[str, ...]] = ("path", "block", "serial", "product")

    def __post_init__(self) -> None:
        if not self.serial:
            msgspec.structs.force_setattr(self, "serial", self.lun)

    def __str__(self) -> str:
        return f"the disk of LUN {self.lun} ({f'{self.size} bytes in ' if self.size else ''}{self.path})"


class TargetNode(Fact, frozen=True):
    """An iSCSI target, named by its IQN."""

    target: str
    rank: ClassVar[int] = 1
    identity: ClassVar[int] = 1

    def __str__(self) -> str:
        return f"target {self.target}"


class Group(Fact, frozen=True):
    """A target portal group; `alias` is the target's name for people, which initiators see at login. In demo mode
    initiators without an ACL log in, and see every LUN; of a read-only one, LUNs that come cannot be written."""

    target: str
    tag: int
    enabled: bool
    authentication: bool
    alias: str
    demo_mode: bool = False
    read_only: bool = False
    rank: ClassVar[int] = 2
    identity: ClassVar[int] = 2

    @property
    def needs(self) -> "tuple[Key, ...]":
        return ((TargetNode, self.target),)

    def __str__(self) -> str:
        return f"portal group {self.tag} of target {self.target}"


class Unit(Fact, frozen=True):
    """A logical unit of a portal group: the disk of LUN `lun`, whose number is `number`, under the number `index`."""

    target: str
    tag: int
    index: int
    lun: str
    number: int
    rank: ClassVar[int] = 3
    identity: ClassVar[int] = 3
    fixed: ClassVar[tuple[str, ...]] = ("lun", "number")

    @property
    def needs(self) -> "tuple[Key, ...]":
        return ((Group, self.target, self.tag), (Disk, self.lun, self.number))

    def __str__(self) -> str:
        return f"LUN {self.lun} as logical unit {self.index} of portal group {self.tag} of target {self.target}"


class Acl(Fact, frozen=True):
    """An initiator that may log in to a portal group."""

    target: str
    tag: int
    initiator: str
    credentials: Credentials
    rank: ClassVar[int] = 4
    identity: ClassVar[int] = 3

    @property
    def needs(self) -> "tuple[Key, ...]":
        return ((Group, self.target, self.tag),)

    def __str__(self) -> str:
        return f"initiator {self.initiator} at portal group {self.tag} of target {self.target}"


class Grant(Fact, frozen=True):
    """An initiator's access, under the number `index`, to the logical unit `unit` of a portal group."""

    target: str
    tag: int
    initiator: str
    index: int
    unit: int
    rank: ClassVar[int] = 5
    identity: ClassVar[int] = 4
    fixed: ClassVar[tuple[str, ...]] = ("unit",)

    @property
    def needs(self) -> "tuple[Key, ...]":
        return ((Acl, self.target, self.tag, self.initiator), (Unit, self.target, self.tag, self.unit))

    def __str__(self) -> str:
        return f"initiator {self.initiator}'s access to logical unit {self.unit} of target {self.target}"


class Listener(Fact, frozen=True):
    """An address and port at which a portal group is reachable; the last to come and the first to go."""

    target: str
    tag: int
    address: str
    port: int
    rank: ClassVar[int] = 6
    identity: ClassVar[int] = 4

    @property
    def needs(self) -> "tuple[Key, ...]":
        return ((Group, self.target, self.tag),)

    def __str__(self) -> str:
        return f"portal {self.address}:{self.port} of target {self.target}"


Key = tuple[object, ...]
"""A kind of fact, and the values of the fields that name the object."""


class Step(msgspec.Struct, frozen=True, gc=False):
    """One operation: add (`before` is None), remove (`after` is None), or change settings."""

    before: Fact | None
    after: Fact | None

    @property
    def inverse(self) -> "Step":
        """The step that undoes this one."""
        return Step(self.after, self.before)

    def __str__(self) -> str:
        if self.before is None:
            return f"add {self.after}"
        return f"change {self.after}" if self.after else f"remove {self.before}"
