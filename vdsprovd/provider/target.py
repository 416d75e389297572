"""An iSCSI target: IVdsIscsiTarget."""

from collections.abc import Awaitable, Callable, Collection

import msgspec

from vdsprovd.hardware import Fact, Secret, TargetNode
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.ids import new_id
from vdsprovd.inventory import Inventory, PortalGroup, Target
from vdsprovd.model import AsyncOutputType
from vdsprovd.operations import Operation
from vdsprovd.provider import facts, names
from vdsprovd.provider.api import ALL_KNOWN, Interface, Role, method
from vdsprovd.replies import (
    CreatePortalGroupReply,
    InitiatorsReply,
    LunsReply,
    PortalGroupsReply,
    SubSystemReply,
    SuccessReply,
    TargetPropertiesReply,
)
from vdsprovd.varlink import More, lazily

_GETTER = (Hresult.VDS_E_PROVIDER_CACHE_CORRUPT, Hresult.VDS_E_OBJECT_DELETED)
_USUAL = (*_GETTER, Hresult.VDS_E_ANOTHER_CALL_IN_PROGRESS)

GROUPS_PER_TARGET = 64
"""At this many portal groups CreatePortalGroup hands out an existing one: LIO links every LUN into every group."""


class IscsiTarget(Interface):
    """An iSCSI target."""

    com = "IVdsIscsiTarget"

    @method(Role.VIEWER, *_GETTER, never={"VDS_S_PROPERTIES_INCOMPLETE": ALL_KNOWN})
    def get_properties(self, target: Target) -> TargetPropertiesReply:
        """The target's names, and whether a CHAP secret is needed to log in. (IVdsIscsiTarget::GetProperties)"""
        return TargetPropertiesReply(Hresult.S_OK, target.properties)

    @method(Role.VIEWER, *_GETTER)
    def get_sub_system(self, target: Target) -> SubSystemReply:
        """The subsystem that has the target. (IVdsIscsiTarget::GetSubSystem)"""
        return SubSystemReply(target.sub_system_id)

    @method(Role.VIEWER, *_USUAL, more=More.SUPPORTED)
    def query_portal_groups(self, target: Target) -> PortalGroupsReply:
        """The target's portal groups, by tag: a snapshot. (IVdsIscsiTarget::QueryPortalGroups)"""
        return PortalGroupsReply(tuple(group.properties for group in self.inventory.groups_at(target.id)))

    @method(Role.VIEWER, *_USUAL, more=More.SUPPORTED)
    def query_associated_luns(self, target: Target) -> LunsReply:
        """The LUNs associated with the target, by logical unit number. (IVdsIscsiTarget::QueryAssociatedLuns)"""
        return LunsReply(lazily(lun.encoded for lun in self.inventory.luns_at(target.id)))

    @method(Role.OPERATOR, *_USUAL, Hresult.VDS_S_ALREADY_EXISTS)
    def create_portal_group(self, target: Target) -> CreatePortalGroupReply:
        """Create a portal group; the provider chooses the tag. Async.Wait gives its id.

        At the limit of 64 groups `hresult` is VDS_S_ALREADY_EXISTS, and an existing group is handed out.
        (IVdsIscsiTarget::CreatePortalGroup)
        """
        groups = self.inventory.groups_at(target.id)
        full = len(groups) >= GROUPS_PER_TARGET

        async def work(operation: Operation) -> str:
            if full:
                return groups[-1].id
            async with self.context.reshaping([target.id]):
                current = self.inventory.known(Target, target.id)
                tags = {entry.tag for entry in groups}
                tag = next(number for number in range(1, GROUPS_PER_TARGET + 1) if number not in tags)
                group = PortalGroup(new_id(), target.id, tag)
                wanted = facts.of_group(self.inventory.put(group), current, group, self.context.local)
                await self.context.change([], wanted, put=[group], claims=[target.iscsi_name])
                return group.id

        operation = self._start(AsyncOutputType.CREATE_PORTAL_GROUP, target, work)
        return CreatePortalGroupReply(Hresult.VDS_S_ALREADY_EXISTS if full else Hresult.S_OK, operation.id)

    @method(Role.OPERATOR, *_USUAL, Hresult.VDS_E_ASSOCIATED_LUNS_EXIST)
    def delete(self, target: Target) -> Operation:
        """Delete the target with its portal groups; refused while LUNs are associated. (IVdsIscsiTarget::Delete)"""
        if luns := self.inventory.luns_of_target.get(target.id):
            raise VdsError(
                Hresult.VDS_E_ASSOCIATED_LUNS_EXIST,
                f"cannot delete target {target.iscsi_name}: {len(luns)} LUNs are associated; "
                "dissociate them with LunIscsi.AssociateTargets",
                target.id,
            )

        async def work(operation: Operation) -> None:
            async with self.context.reshaping([target.id]):
                current = self.inventory.known(Target, target.id)
                groups = self.inventory.groups_at(target.id)
                present: list[Fact] = [TargetNode(target.iscsi_name)]
                for group in groups:
                    present += facts.of_group(self.inventory, current, group, self.context.local)
                await self.context.change(present, [], drop=[*groups, current], claims=[target.iscsi_name])

        return self._start(AsyncOutputType.DELETE_TARGET, target, work)

    def _start(
        self, type: AsyncOutputType, target: Target, work: Callable[[Operation], Awaitable[str | None]]
    ) -> Operation:
        return self.context.operations.start(
            type,
            target.id,
            work,
            exclusive=[target.id],
            shared=[target.sub_system_id, self.context.provider_id],
            cancellable=False,
            translate=self.context.translate,
        )

    @method(
        Role.OPERATOR,
        *_USUAL,
        Hresult.VDS_S_NAME_TRUNCATED,
        never={"VDS_E_NOT_SUPPORTED": "every target can be named"},
        exclusive=True,
    )
    async def set_friendly_name(self, target: Target, friendly_name: str) -> SuccessReply:
        """Name the target; the name is the iSCSI alias that initiators see at login.

        VDS_S_NAME_TRUNCATED when it was cut to 255 bytes of UTF-8. (IVdsIscsiTarget::SetFriendlyName)
        """
        name, result = names.friendly_name(friendly_name)
        await self._alter(target, msgspec.structs.replace(target, friendly_name=name))
        return SuccessReply(result)

    @method(
        Role.ADMIN,
        *_GETTER,
        Hresult.VDS_E_NOT_SUPPORTED,
        Hresult.E_INVALIDARG,
        never={"VDS_E_INITIATOR_SPECIFIC_NOT_SUPPORTED": "every initiator can have a secret of its own"},
        exclusive=True,
    )
    async def set_shared_secret(
        self, target: Target, target_shared_secret: str | None = None, initiator_name: str | None = None
    ) -> None:
        """Set the CHAP secret, 12 to 16 bytes, with which the target authenticates an initiator; null clears it.

        Without `initiatorName` it is the secret of all initiators that have none of their own. The CHAP name is the
        initiator's iSCSI name; an adopted one stays as long as there is a secret. A secret cannot begin with NULL, nor be one of mutual CHAP
        too. Secrets can be set and never read. (IVdsIscsiTarget::SetSharedSecret)
        """
        initiator = names.iscsi_name(initiator_name, "the initiator's name") if initiator_name else ""
        secrets, users = target.secrets, target.users
        if target_shared_secret:
            _check_one_way(target_shared_secret, [*target.mutual_secrets.values()], target.id)
            secrets = secrets.insert(initiator, Secret(names.chap_secret(target_shared_secret)))
        else:
            secrets, users = secrets.discard(initiator), users.discard(initiator)
        await self._alter(target, msgspec.structs.replace(target, secrets=secrets, users=users))

    @method(Role.ADMIN, *_GETTER, Hresult.VDS_E_NOT_SUPPORTED, Hresult.E_INVALIDARG, exclusive=True)
    async def remember_initiator_shared_secret(
        self, target: Target, initiator_name: str, initiator_shared_secret: str | None = None
    ) -> None:
        """Set the secret with which the target answers an initiator that authenticates it (mutual CHAP); null clears it.

        The target's CHAP name is its iSCSI name. (IVdsIscsiTarget::RememberInitiatorSharedSecret)
        """
        initiator = names.iscsi_name(initiator_name, "the initiator's name")
        secrets, users = target.mutual_secrets, target.mutual_users
        if initiator_shared_secret:
            _check_one_way(initiator_shared_secret, [*target.secrets.values()], target.id)
            secrets = secrets.insert(initiator, Secret(names.chap_secret(initiator_shared_secret)))
        else:
            secrets, users = secrets.discard(initiator), users.discard(initiator)
        await self._alter(target, msgspec.structs.replace(target, mutual_secrets=secrets, mutual_users=users))

    async def _alter(self, target: Target, altered: Target) -> None:
        """Change the target's own settings in the kernel and keep them."""
        async with self.context.reshaping([target.id]):
            await self.context.change(
                self._settings(self.inventory, target),
                self._settings(self.inventory.put(altered), altered),
                put=[altered],
                claims=[target.iscsi_name],
            )

    def _settings(self, inventory: Inventory, target: Target) -> list[Fact]:
        found: list[Fact] = []
        for group in inventory.groups_at(target.id):
            found.append(facts.group_itself(inventory, target, group))
            found += facts.acls(inventory, target, group, self.context.local)
        return found

    @method(Role.VIEWER, *_USUAL)
    async def get_connected_initiators(self, target: Target) -> InitiatorsReply:
        """The iSCSI names of the initiators that are logged in now. (IVdsIscsiTarget::GetConnectedInitiators)

        One whose connection broke counts until the kernel gives its session up, some seconds later.
        """
        # Waits for a change of the target that is under way: what it removes would look like proof of corruption.
        async with self.context.reshaping([target.id]):
            if self.inventory.get(Target, target.id) is None:
                raise VdsError(Hresult.VDS_E_OBJECT_DELETED, f"{target.id} was deleted", target.id)
            found = self.context.look(self.context.hardware.sessions, target.iscsi_name)
            return InitiatorsReply(tuple(await self.context.guarded(found, target.id)))


def _check_one_way(secret: str, others: Collection[str], target_id: str) -> None:
    """A secret of one direction must not be one of the other's: whoever is authenticated could answer for both."""
    if secret in others:
        raise VdsError(
            Hresult.VDS_E_NOT_SUPPORTED,
            "the target has that secret for the other direction already, which iSCSI forbids (RFC 7143 9.2.1); "
            "take another one",
            target_id,
        )
