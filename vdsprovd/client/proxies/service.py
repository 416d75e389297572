"""Service: The way in: objects by id, and notifications.

Generated from the daemon's methods by scripts/client-proxies; do not edit.
"""

from collections.abc import Iterator

from vdsprovd.client.proxies.proxy import Proxy
from vdsprovd.model import ObjectType
from vdsprovd.replies import AdviseReply, AsyncOperationsReply, ForeignObjectsReply, ObjectReply


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

    def advise(self) -> Iterator[AdviseReply]:
        """Be told of every change, whoever made it. Closing the connection ends it.

        The first reply has `established`; enumerate then, and nothing is missed. After `overrun` enumerate again. Do
        not call HwProvider.Refresh while handling notifications. (IVdsService::Advise)

        Role: viewer. Codes: VDS_E_INITIALIZED_FAILED.
        """
        return self._stream("Service.Advise", AdviseReply)
