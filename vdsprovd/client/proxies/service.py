"""Service: The way in: objects by id, and notifications.

Generated from the daemon's methods by scripts/client-proxies; do not edit.
"""

from collections.abc import Iterator, Sequence

from vdsprovd.client.proxies.proxy import Proxy
from vdsprovd.model import ObjectType
from vdsprovd.replies import (
    AdoptionPlanReply,
    AdoptionReply,
    AdviseReply,
    AsyncOperationsReply,
    ConfigurationReply,
    ForeignObjectsReply,
    ObjectReply,
)


class Service(Proxy):
    """The way in: objects by id, and notifications.

    It has the methods of IVdsService.
    """

    # IVdsService

    def get_object(self, object_id: str, type: ObjectType) -> ObjectReply:
        """Check that there is an object of that id and type; its methods take the id. (IVdsProviderPrivate::GetObject)

        Role: viewer. Codes: VDS_E_INITIALIZED_FAILED, VDS_E_OBJECT_NOT_FOUND.
        """
        return self._call("Service.GetObject", ObjectReply, objectId=object_id, type=type)

    def query_foreign_objects(self) -> ForeignObjectsReply:
        """What this host's target holds that is not the provider's: targetcli's, another daemon's. It is never touched, and
        a name that it has cannot be used.

        Role: viewer. Codes: VDS_E_INITIALIZED_FAILED.
        """
        return self._call("Service.QueryForeignObjects", ForeignObjectsReply)

    def query_operations(self) -> AsyncOperationsReply:
        """The asynchronous operations that run, and the last that have ended, in the order in which they began: for those
        who lost the id that the method which started one had returned.

        Role: viewer. Codes: VDS_E_INITIALIZED_FAILED.
        """
        return self._call("Service.QueryOperations", AsyncOperationsReply)

    def query_adoption(self, targets: Sequence[str] | None = None) -> AdoptionPlanReply:
        """What `Adopt` would do with these foreign targets (IQNs) and the storage objects behind them, or without names with
        everything foreign: what each becomes, what is different after the next boot, and what is refused and why.

        Nothing is changed. A storage object goes with all the targets that it is in, or stays.

        Role: viewer. Codes: VDS_E_INITIALIZED_FAILED, VDS_E_OBJECT_NOT_FOUND.
        """
        return self._call("Service.QueryAdoption", AdoptionPlanReply, targets=targets)

    def adopt(self, digest: str, targets: Sequence[str] | None = None) -> AdoptionReply:
        """Take over what the plan of that digest, for these targets, says is adopted: from then on they are objects of the
        provider. Sessions and their reads and writes go on, and initiators find the same disks after the next boot.

        VDS_E_INVALID_OPERATION when there is another plan by now, or nothing can be adopted.

        Role: admin. Codes: VDS_E_INITIALIZED_FAILED, VDS_E_ANOTHER_CALL_IN_PROGRESS, VDS_E_OBJECT_NOT_FOUND,
        VDS_E_INVALID_OPERATION, VDS_E_PROVIDER_CACHE_CORRUPT, VDS_E_OBJECT_STATUS_FAILED.
        """
        return self._call("Service.Adopt", AdoptionReply, digest=digest, targets=targets)

    def get_saveconfig(self) -> ConfigurationReply:
        """What is exported, as targetcli saves it: `targetctl restore` makes the same exports on a host without vdsprovd. It
        has no CHAP secrets.

        Role: viewer. Codes: VDS_E_INITIALIZED_FAILED.
        """
        return self._call("Service.GetSaveconfig", ConfigurationReply)

    def advise(self) -> Iterator[AdviseReply]:
        """Be told of every change, whoever made it. Closing the connection ends it.

        The first reply has `established`; enumerate then, and nothing is missed. After `overrun` enumerate again. Do
        not call HwProvider.Refresh while handling notifications. (IVdsService::Advise)

        Role: viewer. Codes: VDS_E_INITIALIZED_FAILED.
        """
        return self._stream("Service.Advise", AdviseReply)
