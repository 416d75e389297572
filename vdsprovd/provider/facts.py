"""What the kernel shall hold for what the inventory says.

A host reaches a LUN when it is in the LUN's mask *and* the LUN is associated with a target *and* the target has a portal
in a group; here that rule becomes facts. Masking is per portal group and initiator in LIO, per LUN in VDS: the LUN's
list is the truth.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec

from vdsprovd.hardware import Access, Acl, Credentials, Disk, Fact, Grant, Group, Key, Listener, TargetNode, Unit
from vdsprovd.inventory import Inventory, Lun, Portal, PortalGroup, StoragePool, SubSystem, Target
from vdsprovd.persistent import PersistentMap

EVERYBODY = "*"


def of_everything(inventory: Inventory, local: Collection[str]) -> Iterator[Fact]:
    """All the facts of an inventory. `local` are the names of this host's initiators."""
    for lun in inventory.all(Lun):
        if lun.exported:
            yield disk(inventory, lun)
    for target in inventory.all(Target):
        yield TargetNode(target.iscsi_name)
        for group in inventory.groups_at(target.id):
            yield from of_group(inventory, target, group, local)


def of_lun(
    inventory: Inventory, lun: Lun, local: Collection[str], targets: Iterable[str], initiators: Collection[str]
) -> Iterator[Fact]:
    """The LUN's disk, logical units and grants, and the ACLs at the targets (ids) for the initiators given.

    To compare a LUN before and after a change, give the targets and initiators of both sides to both.
    """
    if lun.exported:
        yield disk(inventory, lun)
    for association in lun.associations:
        target = inventory.known(Target, association.target_id)
        for group in inventory.groups_at(target.id):
            yield from _unit(lun, association.index, target, group, local)
    for target_id in targets:
        yield from acls_at(inventory, inventory.known(Target, target_id), local, initiators)


def at(inventory: Inventory, keys: Iterable[Key], local: Collection[str]) -> dict[Key, Fact | None]:
    """The facts of those keys, None when there shall be none; at the cost of their LUNs' and portal groups' facts."""
    keys = list(keys)
    found: dict[Key, Fact | None] = {}
    for key in keys:
        if key not in found:  # a logical unit comes with all of its grants
            found |= {fact.key: fact for fact in _around(inventory, key, local)}
            found.setdefault(key, None)
    return {key: found[key] for key in keys}


def _around(inventory: Inventory, key: Key, local: Collection[str]) -> Iterator[Fact]:
    kind, name, *rest = key
    if kind is Disk:
        lun = inventory.get(Lun, str(name))
        if lun and lun.exported:
            yield disk(inventory, lun)
        return
    target = inventory.get(Target, inventory.target_by_name.get(str(name), ""))
    if target is None:
        return
    if kind is TargetNode:
        yield TargetNode(target.iscsi_name)
        return
    tag, *place = rest
    group = next((group for group in inventory.groups_at(target.id) if group.tag == tag), None)
    if group is None:
        return
    if kind is Group:
        yield group_itself(inventory, target, group)
    elif kind is Acl:
        yield from acls(inventory, target, group, local, [str(place[0])])
    elif kind is Listener:
        for portal_id in group.portal_ids:
            yield from listener(inventory.known(Portal, portal_id), target, group)
    else:  # a logical unit, or a grant of it under the same number
        luns, index = inventory.luns_of_target.get(target.id), place[-1]
        if luns is not None and index in luns:
            yield from _unit(inventory.known(Lun, luns[index]), int(str(index)), target, group, local)


def of_group(inventory: Inventory, target: Target, group: PortalGroup, local: Collection[str]) -> Iterator[Fact]:
    """A portal group and everything in it."""
    yield group_itself(inventory, target, group)
    for index, lun_id in inventory.luns_of_target.get(target.id, {}).items():
        yield from _unit(inventory.known(Lun, lun_id), index, target, group, local)
    yield from acls(inventory, target, group, local)
    for portal_id in group.portal_ids:
        yield from listener(inventory.known(Portal, portal_id), target, group)


def group_itself(inventory: Inventory, target: Target, group: PortalGroup) -> Group:
    """The portal group alone."""
    sub_system = inventory.known(SubSystem, target.sub_system_id)
    return Group(
        target.iscsi_name,
        group.tag,
        enabled=sub_system.online,
        authentication=target.authentication,
        alias=alias(target),
    )


def alias(target: Target) -> str:
    """The target's name for people, as initiators see it."""
    # The kernel takes a comma for the separator of a list of values and refuses it here, and the words that iSCSI keeps
    # for itself (RFC 7143 6.1).
    name = target.friendly_name.replace(",", " ")
    return target.iscsi_name if name in ("", "None", "Reject", "Irrelevant", "NotUnderstood") else name


def acls(
    inventory: Inventory,
    target: Target,
    group: PortalGroup,
    local: Collection[str],
    initiators: Iterable[str] | None = None,
) -> Iterator[Acl]:
    """The ACLs that a portal group shall have, or those of them that are for the initiators given."""
    uses = inventory.uses_at(target.id)
    everybody = local if EVERYBODY in uses else ()
    if initiators is None:
        initiators = {*uses, *everybody, *target.secrets, *target.mutual_secrets} - {EVERYBODY, ""}
    for initiator in initiators:
        if (
            initiator in uses
            or initiator in everybody
            or initiator in target.secrets
            or initiator in target.mutual_secrets
        ):
            yield acl(target, group, initiator)


def acl(target: Target, group: PortalGroup, initiator: str) -> Acl:
    """The ACL of one initiator."""
    return Acl(target.iscsi_name, group.tag, initiator, credentials(target, initiator))


def acls_at(inventory: Inventory, target: Target, local: Collection[str], initiators: Collection[str]) -> Iterator[Acl]:
    """The ACLs that a target's portal groups shall have for these initiators."""
    for group in inventory.groups_at(target.id):
        yield from acls(inventory, target, group, local, initiators)


def credentials(target: Target, initiator: str) -> Credentials:
    """With what the initiator logs in to the target: the CHAP name is the initiator's name, or for mutual CHAP the
    target's, as Microsoft's initiator and VDS have it, unless another one was adopted."""
    secret = target.secrets.get(initiator) or target.secrets.get("")
    mutual = target.mutual_secrets.get(initiator)
    return Credentials(
        user=target.users.get(initiator, initiator) if secret else None,
        secret=secret,
        mutual_user=target.mutual_users.get(initiator, target.iscsi_name) if mutual else None,
        mutual_secret=mutual,
    )


def with_credentials(target: Target, acls: Mapping[str, Credentials]) -> Target:
    """The target with the secrets that make these credentials, by initiator."""
    secrets = {name: found.secret for name, found in acls.items() if found.secret}
    mutual = {name: found.mutual_secret for name, found in acls.items() if found.mutual_secret}
    users = {name: found.user for name, found in acls.items() if name in secrets and found.user not in (None, name)}
    mutual_users = {
        name: found.mutual_user
        for name, found in acls.items()
        if name in mutual and found.mutual_user not in (None, target.iscsi_name)
    }
    return msgspec.structs.replace(
        target,
        secrets=PersistentMap(secrets),
        mutual_secrets=PersistentMap(mutual),
        users=PersistentMap(users),
        mutual_users=PersistentMap(mutual_users),
    )


def listener(portal: Portal, target: Target, group: PortalGroup) -> Iterator[Listener]:
    """The portal in the group, unless it was set offline."""
    if portal.online:
        yield Listener(target.iscsi_name, group.tag, portal.address, portal.port)


def disk(inventory: Inventory, lun: Lun) -> Disk:
    """The LUN's storage object."""
    block, size = inventory.known(StoragePool, lun.pool_id).block, lun.size
    return Disk(lun.id, lun.number, lun.path, 0 if block else size, block, access(inventory, lun), product=lun.product)


def access(inventory: Inventory, lun: Lun) -> Access:
    """How the node serves the LUN: what is offline at the node is unavailable, what was set inactive stands by."""
    served = inventory.served.get(lun.sub_system_id, True)
    return (Access.ACTIVE if lun.active else Access.STANDBY) if served else Access.UNAVAILABLE


def expanded(mask: Collection[str], local: Collection[str]) -> Collection[str]:
    """The initiators that an unmasking list means. "*" means this host's own, as with most hardware providers: LIO has
    no grant to everybody that leaves other LUNs of the target masked."""
    return local if EVERYBODY in mask else mask


def _unit(lun: Lun, index: int, target: Target, group: PortalGroup, local: Collection[str]) -> Iterator[Fact]:
    if not (lun.exported and lun.online):
        return
    yield Unit(target.iscsi_name, group.tag, index, lun.id, lun.number)
    for initiator in expanded(lun.mask, local):
        yield Grant(target.iscsi_name, group.tag, initiator, index, index)


def is_disk_of(lun: Lun, fact: Disk | Unit) -> bool:
    """Of what others made, it is what was adopted and nothing else with the LUN's serial number."""
    return fact.lun == lun.id and (fact.number >= 0 or fact.number == lun.number)
