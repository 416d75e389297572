"""A portal group of a target: IVdsIscsiPortalGroup."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import msgspec

from vdsprovd.hardware import Fact
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.inventory import Portal, PortalGroup, Target
from vdsprovd.model import AsyncOutputType
from vdsprovd.operations import Operation
from vdsprovd.provider import facts
from vdsprovd.provider.api import ALL_KNOWN, Interface, Role, method
from vdsprovd.replies import PortalGroupPropertiesReply, PortalsReply, TargetReply
from vdsprovd.varlink import More

_GETTER = (Hresult.VDS_E_PROVIDER_CACHE_CORRUPT, Hresult.VDS_E_OBJECT_DELETED)
_USUAL = (*_GETTER, Hresult.VDS_E_ANOTHER_CALL_IN_PROGRESS)


class IscsiPortalGroup(Interface):
    """A portal group: the portals through which a target can be logged in to."""

    com = "IVdsIscsiPortalGroup"

    @method(Role.VIEWER, *_GETTER, never={"VDS_S_PROPERTIES_INCOMPLETE": ALL_KNOWN})
    def get_properties(self, group: PortalGroup) -> PortalGroupPropertiesReply:
        """The group's tag. (IVdsIscsiPortalGroup::GetProperties)"""
        return PortalGroupPropertiesReply(Hresult.S_OK, group.properties)

    @method(Role.VIEWER, *_GETTER)
    def get_target(self, group: PortalGroup) -> TargetReply:
        """The target that has the group. (IVdsIscsiPortalGroup::GetTarget)"""
        return TargetReply(group.target_id)

    @method(Role.VIEWER, *_USUAL, more=More.SUPPORTED)
    def query_associated_portals(self, group: PortalGroup) -> PortalsReply:
        """The portals in the group: a snapshot. (IVdsIscsiPortalGroup::QueryAssociatedPortals)"""
        return PortalsReply(tuple(self.inventory.known(Portal, id).properties for id in group.portal_ids))

    @method(Role.OPERATOR, *_USUAL, Hresult.VDS_E_OBJECT_NOT_FOUND, Hresult.VDS_E_OBJECT_EXISTS)
    def add_portal(self, group: PortalGroup, portal_id: str) -> Operation:
        """Put a portal into the group.

        A portal is in at most one group of a target: VDS_E_OBJECT_EXISTS when it is in one already. It can be in
        groups of other targets. (IVdsIscsiPortalGroup::AddPortal)
        """
        self._check_free(group, self._portal(group, portal_id))

        async def work(operation: Operation) -> None:
            async with self._portal_held(portal_id), self.context.reshaping([group.target_id]):
                portal, current = self._portal(group, portal_id), self.inventory.known(PortalGroup, group.id)
                self._check_free(current, portal)
                changed = msgspec.structs.replace(current, portal_ids=(*current.portal_ids, portal.id))
                await self._change(changed, [], [portal.id])

        return self._start(AsyncOutputType.ADD_PORTAL, group, work)

    @method(Role.OPERATOR, *_USUAL, Hresult.VDS_E_OBJECT_NOT_FOUND)
    def remove_portal(self, group: PortalGroup, portal_id: str) -> Operation:
        """Take a portal out of the group; sessions through it end. (IVdsIscsiPortalGroup::RemovePortal)"""
        portal = self._portal(group, portal_id)
        if portal.id not in group.portal_ids:
            raise VdsError(Hresult.VDS_E_OBJECT_NOT_FOUND, f"portal {portal_id} is not in this group", portal_id)

        async def work(operation: Operation) -> None:
            async with self._portal_held(portal_id), self.context.reshaping([group.target_id]):
                current = self.inventory.known(PortalGroup, group.id)
                left = tuple(id for id in current.portal_ids if id != portal.id)
                await self._change(msgspec.structs.replace(current, portal_ids=left), [portal.id], [])

        return self._start(AsyncOutputType.REMOVE_PORTAL, group, work)

    @method(Role.OPERATOR, *_USUAL, Hresult.VDS_E_ASSOCIATED_PORTALS_EXIST)
    def delete(self, group: PortalGroup) -> Operation:
        """Delete the group; refused while portals are in it. (IVdsIscsiPortalGroup::Delete)"""
        if group.portal_ids:
            raise VdsError(
                Hresult.VDS_E_ASSOCIATED_PORTALS_EXIST,
                f"cannot delete portal group {group.tag}: {len(group.portal_ids)} portals are in it; "
                "take them out with IscsiPortalGroup.RemovePortal",
                group.id,
            )

        async def work(operation: Operation) -> None:
            async with self.context.reshaping([group.target_id]):
                target = self.inventory.known(Target, group.target_id)
                present = facts.of_group(self.inventory, target, group, self.context.local)
                await self.context.change(present, [], drop=[group], also=[target.id], claims=[target.iscsi_name])

        return self._start(AsyncOutputType.DELETE_PORTAL_GROUP, group, work)

    def _portal_held(self, portal_id: str) -> AbstractAsyncContextManager[None]:
        """The portal stays as it is. Waits while the host's addresses are looked at; it may be gone then."""
        return self.context.operations.holds.wait(shared=[portal_id])

    def _portal(self, group: PortalGroup, portal_id: str) -> Portal:
        portal = self.inventory.get(Portal, portal_id)
        target = self.inventory.known(Target, group.target_id)
        if portal is None or portal.sub_system_id != target.sub_system_id:
            raise VdsError(
                Hresult.VDS_E_OBJECT_NOT_FOUND, f"the target's subsystem has no portal {portal_id!r}", portal_id
            )
        return portal

    def _check_free(self, group: PortalGroup, portal: Portal) -> None:
        for other in self.inventory.groups_at(group.target_id):
            if portal.id in other.portal_ids:
                raise VdsError(
                    Hresult.VDS_E_OBJECT_EXISTS,
                    f"portal {portal.address}:{portal.port} is in portal group {other.tag} of this target already",
                    portal.id,
                )

    async def _change(self, changed: PortalGroup, removed: list[str], added: list[str]) -> None:
        target = self.inventory.known(Target, changed.target_id)

        def listeners(ids: list[str]) -> list[Fact]:
            return [fact for id in ids for fact in facts.listener(self.inventory.known(Portal, id), target, changed)]

        await self.context.change(listeners(removed), listeners(added), put=[changed], claims=[target.iscsi_name])

    def _start(
        self,
        type: AsyncOutputType,
        group: PortalGroup,
        work: Callable[[Operation], Awaitable[str | None]],
    ) -> Operation:
        return self.context.operations.start(
            type,
            group.id,
            work,
            exclusive=[group.id],
            shared=[group.target_id, self.context.provider_id],
            cancellable=False,
            translate=self.context.translate,
        )
