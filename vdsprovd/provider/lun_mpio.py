"""The paths by which initiators reach a LUN: IVdsLunMpio."""

import ipaddress
from hashlib import blake2b

from vdsprovd import inventory
from vdsprovd.hardware import InitiatorConnection, Unit
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.inventory import Portal, PortalGroup, Target
from vdsprovd.model import (
    NULL_GUID,
    HwProviderType,
    IpAddress,
    IpAddressType,
    LoadBalancePolicy,
    PathId,
    PathInfo,
    PathPolicy,
    PathStatus,
    ProviderLbSupportFlag,
)
from vdsprovd.provider import facts
from vdsprovd.provider.api import Interface, Role, method
from vdsprovd.replies import LoadBalancePolicyReply, PathInfoReply, SupportedLbPoliciesReply

_USUAL = (
    Hresult.VDS_E_PROVIDER_CACHE_CORRUPT,
    Hresult.VDS_E_OBJECT_DELETED,
    Hresult.VDS_E_OBJECT_STATUS_FAILED,
    Hresult.VDS_E_ANOTHER_CALL_IN_PROGRESS,
)


class LunMpio(Interface):
    """The paths by which initiators reach a LUN, from their sessions and from ALUA.

    A path leads from one address of an initiator to one portal, and is one while the initiator is logged in, is in the
    LUN's mask, and the LUN is in the portal's group.
    """

    com = "IVdsLunMpio"

    @method(Role.VIEWER, *_USUAL)
    async def get_path_info(self, lun: inventory.Lun) -> PathInfoReply:
        """The paths to the LUN. (IVdsLunMpio::GetPathInfo)

        A path is failed when its connection broke and the initiator has not logged in again, or when ALUA forbids to
        use it; standby when ALUA says so. It is unknown when the initiator is connected to the portal and the kernel
        does not tell whether to this target: of the sessions that an initiator has with a portal group, it shows the
        newest only. Where each portal is in a group of its own, every path is known.
        """
        return PathInfoReply(await self._paths(lun))

    @method(Role.VIEWER, *_USUAL)
    async def get_load_balance_policy(self, lun: inventory.Lun) -> LoadBalancePolicyReply:
        """Always round_robin: the array serves a LUN equally well on all its paths, and prefers none.

        A path that is standby or failed is not primary. Which of the paths an initiator's multipath really uses, and
        how, is its own choice, which an array cannot see. (IVdsLunMpio::GetLoadBalancePolicy)
        """
        return LoadBalancePolicyReply(
            LoadBalancePolicy.ROUND_ROBIN,
            tuple(PathPolicy(path.path_id, _primary(path)) for path in await self._paths(lun)),
        )

    @method(Role.OPERATOR, *_USUAL, Hresult.VDS_E_NOT_SUPPORTED, Hresult.E_INVALIDARG, exclusive=True)
    async def set_load_balance_policy(
        self, lun: inventory.Lun, policy: LoadBalancePolicy, paths: tuple[PathPolicy, ...] = ()
    ) -> None:
        """Accept the policy that is in force, which is what GetLoadBalancePolicy gives, and change nothing.

        Another policy, or another choice of primary paths, is VDS_E_NOT_SUPPORTED: it is set in the multipath of the
        initiators. E_INVALIDARG when there is no such path to the LUN. (IVdsLunMpio::SetLoadBalancePolicy)
        """
        found = {path.path_id: path for path in await self._paths(lun)}
        for path in paths:
            if path.path_id not in found:
                raise VdsError(Hresult.E_INVALIDARG, f"the LUN has no path {path.path_id.path_id} now", lun.id)
        if policy is not LoadBalancePolicy.ROUND_ROBIN or any(
            path.primary_path != _primary(found[path.path_id]) for path in paths
        ):
            raise VdsError(
                Hresult.VDS_E_NOT_SUPPORTED,
                "the array serves the LUN equally well on all its paths (round_robin); to prefer some, set the policy "
                "in the initiator's multipath",
                lun.id,
            )

    @method(Role.VIEWER)
    def get_supported_lb_policies(self, lun: inventory.Lun) -> SupportedLbPoliciesReply:
        """Always round_robin alone. (IVdsLunMpio::GetSupportedLbPolicies)"""
        return SupportedLbPoliciesReply((ProviderLbSupportFlag.ROUND_ROBIN,))

    async def _paths(self, lun: inventory.Lun) -> tuple[PathInfo, ...]:
        targets = [entry.target_id for entry in lun.associations]
        # Waits for changes of the targets that are under way: what they remove would look like proof of corruption.
        async with self.context.reshaping(targets):
            current = self.inventory.get(inventory.Lun, lun.id)
            if current is None:
                raise VdsError(Hresult.VDS_E_OBJECT_DELETED, f"{lun.id} was deleted", lun.id)
            initiators = set(facts.expanded(current.mask, self.context.local))
            found: list[PathInfo] = []
            if current.exported and current.online:
                for entry in current.associations:
                    if entry.target_id in targets:
                        found += await self._through(current, entry, initiators)
            return tuple(found)

    async def _through(
        self, lun: inventory.Lun, association: inventory.Association, initiators: set[str]
    ) -> list[PathInfo]:
        """The paths through one target."""
        target, hardware = self.inventory.known(Target, association.target_id), self.context.hardware
        groups = {group.tag: group for group in self.inventory.groups_at(target.id)}
        work = self.context.look(hardware.connections, target.iscsi_name)
        connections = [
            connection
            for connection in await self.context.guarded(work, lun.id)
            if connection.tag in groups and initiators.intersection(connection.initiators)
        ]
        found = []
        for connection in sorted(connections, key=lambda entry: (entry.tag, entry.portal or ("", 0), entry.address)):
            group = groups[connection.tag]
            unit = Unit(target.iscsi_name, group.tag, association.index, lun.id, lun.number)
            status = await self.context.guarded(self.context.look(hardware.path_status, unit), lun.id)
            if not connection.up:
                status = PathStatus.FAILED
            elif status is PathStatus.ONLINE and not (connection.sure and initiators.issuperset(connection.initiators)):
                status = PathStatus.UNKNOWN
            found.append(
                PathInfo(
                    path_id=_path_id(target, connection),
                    type=HwProviderType.ISCSI,
                    status=status,
                    target_portal_id=self._portal(group, connection),
                    initiator_adapter_id=NULL_GUID,
                    initiator_portal_ip_addr=_address(connection.address),
                )
            )
        return found

    def _portal(self, group: PortalGroup, connection: InitiatorConnection) -> str:
        """The id of the portal that the connection leads to."""
        for id in group.portal_ids:
            portal = self.inventory.known(Portal, id)
            if connection.portal == (str(ipaddress.ip_address(portal.address)), portal.port):
                return id
        return NULL_GUID


def _primary(path: PathInfo) -> bool:
    return path.status not in (PathStatus.STANDBY, PathStatus.FAILED)


def _path_id(target: Target, connection: InitiatorConnection) -> PathId:
    """A number for the path that is the same in each call. 48 bits are exact in every JSON."""
    name = repr((target.id, connection.tag, connection.portal, connection.address))
    return PathId(0, int.from_bytes(blake2b(name.encode(), digest_size=6).digest(), "big"))


def _address(address: str) -> IpAddress:
    if not address:
        return IpAddress(IpAddressType.EMPTY, "", 0)
    return IpAddress(IpAddressType.IPV6 if ":" in address else IpAddressType.IPV4, address, 0)
