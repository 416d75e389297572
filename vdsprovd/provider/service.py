"""What VDS's service does for clients of a provider: finding objects by id, and advise sinks."""

from collections.abc import AsyncIterator

from vdsprovd.hardware import Disk
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.inventory import Lun, Target, object_type
from vdsprovd.model import AsyncOperation, ObjectType
from vdsprovd.provider import adoption, adoption_plan, saveconfig
from vdsprovd.provider.api import Interface, Role, method
from vdsprovd.replies import (
    AdoptionPlanReply,
    AdoptionReply,
    AdviseReply,
    AsyncOperationsReply,
    ConfigurationReply,
    ForeignObjectsReply,
    ObjectReply,
)
from vdsprovd.varlink import More
from vdsprovd.varlink.call import Call

GROUP = 100
"""The most notifications in one reply (IVdsAdviseSink::OnNotify)."""


class Service(Interface):
    """The way in: objects by id, and notifications."""

    com = "IVdsService"

    @method(Role.VIEWER, Hresult.VDS_E_OBJECT_NOT_FOUND, Hresult.VDS_E_INITIALIZED_FAILED)
    def get_object(self, object_id: str, type: ObjectType) -> ObjectReply:
        """Check that there is an object of that id and type; its methods take the id. (IVdsProviderPrivate::GetObject)"""
        entity = self.inventory.objects.get(object_id)
        if object_id == self.context.provider_id:
            found: ObjectType | None = ObjectType.PROVIDER
        else:
            found = object_type(entity) if entity is not None else None
        if found is not type:
            raise VdsError(Hresult.VDS_E_OBJECT_NOT_FOUND, f"there is no {type.value} {object_id!r}", object_id)
        return ObjectReply(object_id)

    @method(Role.VIEWER, Hresult.VDS_E_INITIALIZED_FAILED)
    async def query_foreign_objects(self) -> ForeignObjectsReply:
        """What this host's target holds that is not the provider's: targetcli's, another daemon's. It is never touched, and
        a name that it has cannot be used."""
        disks = {(Disk, lun.id, lun.number) for lun in self.inventory.all(Lun)}
        targets = self.inventory.target_by_name
        found = await self.context.guarded(self.context.look(self.context.hardware.foreign, targets, disks))
        return ForeignObjectsReply(tuple(found))

    @method(Role.VIEWER, Hresult.VDS_E_INITIALIZED_FAILED)
    def query_operations(self) -> AsyncOperationsReply:
        """The asynchronous operations that run, and the last that have ended, in the order in which they began: for those
        who lost the id that the method which started one had returned."""
        return AsyncOperationsReply(
            tuple(
                AsyncOperation(operation.id, operation.type, operation.subject, operation.percent, operation.result)
                for operation in self.context.operations.all()
            )
        )

    @method(Role.VIEWER, Hresult.VDS_E_INITIALIZED_FAILED, Hresult.VDS_E_OBJECT_NOT_FOUND)
    async def query_adoption(self, targets: tuple[str, ...] = ()) -> AdoptionPlanReply:
        """What `Adopt` would do with these foreign targets (IQNs) and the storage objects behind them, or without names with
        everything foreign: what each becomes, what is different after the next boot, and what is refused and why.

        Nothing is changed. A storage object goes with all the targets that it is in, or stays.
        """
        plan = await self.context.guarded(self.context.look(adoption_plan.make, self.context, targets))
        names = {*self.inventory.target_by_name, *plan.targets}
        notes = await self.context.guarded(self.context.look(self.context.hardware.rivals, names))
        return AdoptionPlanReply(plan.digest, plan.objects, tuple(notes))

    @method(
        Role.ADMIN,
        Hresult.VDS_E_INITIALIZED_FAILED,
        Hresult.VDS_E_PROVIDER_CACHE_CORRUPT,
        Hresult.VDS_E_OBJECT_STATUS_FAILED,
        Hresult.VDS_E_ANOTHER_CALL_IN_PROGRESS,
        Hresult.VDS_E_OBJECT_NOT_FOUND,
        Hresult.VDS_E_INVALID_OPERATION,
    )
    async def adopt(self, digest: str, targets: tuple[str, ...] = ()) -> AdoptionReply:
        """Take over what the plan of that digest, for these targets, says is adopted: from then on they are objects of the
        provider. Sessions and their reads and writes go on, and initiators find the same disks after the next boot.

        VDS_E_INVALID_OPERATION when there is another plan by now, or nothing can be adopted.
        """
        plan = await adoption.adopt(self.context, digest, targets)
        luns = tuple(entity.id for entity in plan.put if isinstance(entity, Lun))
        return AdoptionReply(luns, tuple(entity.id for entity in plan.put if isinstance(entity, Target)))

    @method(Role.VIEWER, Hresult.VDS_E_INITIALIZED_FAILED)
    def get_saveconfig(self) -> ConfigurationReply:
        """What is exported, as targetcli saves it: `targetctl restore` makes the same exports on a host without vdsprovd. It
        has no CHAP secrets."""
        found = saveconfig.saved(self.inventory, self.context.local)
        return ConfigurationReply(found.text, found.secrets, found.missing)

    @method(Role.VIEWER, Hresult.VDS_E_INITIALIZED_FAILED, more=More.REQUIRED)
    async def advise(self, *, call: Call) -> AsyncIterator[AdviseReply]:
        """Be told of every change, whoever made it. Closing the connection ends it.

        The first reply has `established`; enumerate then, and nothing is missed. After `overrun` enumerate again. Do
        not call HwProvider.Refresh while handling notifications. (IVdsService::Advise)
        """
        cache = self.context.cache
        sink = cache.advise()
        try:
            yield AdviseReply(cache.epoch, cache.sequence, established=True)
            while True:
                overrun, groups = await sink.take()
                if overrun:
                    yield AdviseReply(cache.epoch, cache.sequence, overrun=True)
                for sequence, group in groups:
                    for start in range(0, len(group), GROUP):
                        yield AdviseReply(cache.epoch, sequence, notifications=group[start : start + GROUP])
        finally:
            cache.unadvise(sink)
