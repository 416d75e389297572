"""What proves that the cache is corrupt, by doing it: what a command needs was removed, altered or swapped."""

from collections.abc import Callable, Collection

import msgspec
import pytest

from tests.arrays import INITIATOR, MIB, Array, Failed
from tests.scene import altered, without
from vdsprovd.hardware import Acl, Credentials, Disk, Fact, Grant, Group, Listener, Secret, TargetNode, Unit, steps
from vdsprovd.hresult import Hresult

CORRUPT = Hresult.VDS_E_PROVIDER_CACHE_CORRUPT

# rtslib, which plays somebody else in the lab, uses what pyudev has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Exports:
    """Two LUNs in a target with a portal, and a third one and a target that have nothing to do with them yet."""

    def __init__(self, array: Array) -> None:
        self.array = array
        self.luns = [array.make_lun(mask=INITIATOR) for _ in range(3)]
        self.target, self.group = array.make_reachable_target()
        self.other_target = array.make_reachable_target()[0]
        for lun in self.luns[:2]:
            array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[self.target])
        self.name = array.name_of(self.target)

    # Commands, each about the first LUN or its target.

    def extend(self) -> None:
        """Change the size of its disk."""
        self._wait("Lun.Extend", id=self.luns[0], numberOfBytesToAdd=MIB)

    def associate(self) -> None:
        """Add a logical unit that leads to its disk."""
        both = [self.target, self.other_target]
        self.array.call("LunIscsi.AssociateTargets", id=self.luns[0], targetIds=both)

    def associate_another(self) -> None:
        """Add a grant for an initiator that has an ACL."""
        self.array.call("LunIscsi.AssociateTargets", id=self.luns[2], targetIds=[self.target])

    def dissociate(self) -> None:
        """Remove its logical unit."""
        self.array.call("LunIscsi.AssociateTargets", id=self.luns[0], targetIds=[])

    def mask(self) -> None:
        """Remove the grant of it."""
        self.array.call("Lun.SetMask", id=self.luns[0], unmaskingList="")

    def rename(self) -> None:
        """Change the alias of the target's portal group."""
        self.array.call("IscsiTarget.SetFriendlyName", id=self.target, friendlyName="renamed")

    def set_secret(self) -> None:
        """Change the ACLs of the target."""
        self.array.call("IscsiTarget.SetSharedSecret", id=self.target, targetSharedSecret="thirteen-byte")

    def remove_portal(self) -> None:
        """Remove what the portal group listens at."""
        portal = self.array.portals_of(self.group)[0]
        self._wait("IscsiPortalGroup.RemovePortal", id=self.group, portalId=portal)

    def delete_empty_target(self) -> None:
        """Remove a target in which there is nothing."""
        self._wait("IscsiTarget.Delete", id=self.empty_target)

    empty_target = ""

    def _wait(self, method: str, **parameters: object) -> None:
        self.array.wait(self.array.call(method, **parameters))


Meddling = Callable[[Exports, Collection[Fact]], Collection[Fact]]


def lost(*kinds: type[Fact]) -> Meddling:
    """Objects of these kinds are gone."""
    return lambda _exports, there: without(there, *kinds)


def other(kind: type[Fact], **settings: object) -> Meddling:
    """Objects of that kind have other settings."""
    return lambda _exports, there: altered(there, kind, **settings)


def swapped(kind: type[Fact], *fields: str) -> Meddling:
    """What these fields lead to is the other's, with the two objects of that kind."""

    def swap(exports: Exports, there: Collection[Fact]) -> Collection[Fact]:
        one, two = (
            fact
            for fact in there
            if isinstance(fact, kind) and (not isinstance(fact, Disk) or fact.lun in exports.luns[:2])
        )
        values = {field: (getattr(one, field), getattr(two, field)) for field in fields}
        exchanged = {
            one.key: msgspec.structs.replace(one, **{field: second for field, (_, second) in values.items()}),
            two.key: msgspec.structs.replace(two, **{field: first for field, (first, _) in values.items()}),
        }
        return [exchanged.get(fact.key, fact) for fact in there]

    return swap


SECRET = Credentials(INITIATOR, Secret("somebody-s-own"))

PROOFS: dict[str, tuple[Meddling, Callable[[Exports], None]]] = {
    "a disk is removed": (lost(Disk), Exports.extend),
    "a disk has another size": (other(Disk, size=MIB // 2), Exports.extend),
    "two disks are swapped": (swapped(Disk, "path"), Exports.associate),
    "a logical unit is removed": (lost(Unit), Exports.dissociate),
    "two logical units are swapped": (swapped(Unit, "lun", "number"), Exports.dissociate),
    "a grant is removed": (lost(Grant), Exports.mask),
    "two grants are swapped": (swapped(Grant, "unit"), Exports.mask),
    "an ACL is removed": (lost(Acl), Exports.associate_another),
    "an ACL has another secret": (other(Acl, credentials=SECRET), Exports.set_secret),
    "a portal group is removed": (lost(Group), Exports.rename),
    "a portal group is open to everybody": (other(Group, authentication=False), Exports.rename),
    "a portal is removed": (lost(Listener), Exports.remove_portal),
    "a target is removed": (lost(TargetNode), Exports.delete_empty_target),
}


@pytest.mark.parametrize("proof", PROOFS)
def test_what_a_command_needs_is_not_what_the_cache_says(array: Array, proof: str) -> None:
    """The command that meets it changes nothing and proves the corruption; Refresh alone does not end it; Reenumerate and
    Refresh do, and everything is as it was."""
    exports = Exports(array)
    meddling, command = PROOFS[proof]
    if command is Exports.delete_empty_target:
        exports.empty_target = array.make_target()
    before, sub_system = array.kernel(), array.sub_system
    there = [fact for fact in array.facts() if getattr(fact, "target", "") != array.name_of(exports.other_target)]
    meddled = meddling(exports, there)
    array.meddle(steps(there, meddled))
    altered_kernel = array.kernel()
    with pytest.raises(Failed) as failed:
        command(exports)
    assert failed.value.symbol == CORRUPT.name
    assert array.kernel() == altered_kernel
    assert array.error("HwProvider.Refresh") == CORRUPT.name
    array.call("HwProvider.Reenumerate")
    assert array.error("SubSystem.QueryLuns", id=sub_system) == CORRUPT.name
    array.call("HwProvider.Refresh")
    assert array.kernel() == before
    command(exports)
