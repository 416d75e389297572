"""An asynchronous operation: IVdsAsync."""

from collections.abc import AsyncIterator

from vdsprovd.hresult import Hresult
from vdsprovd.provider.api import Interface, Role, method
from vdsprovd.replies import QueryStatusReply, WaitReply
from vdsprovd.varlink import Last, More
from vdsprovd.varlink.call import Call

_SOFTWARE = "it is about formatting volumes, which only software providers do"


class Async(Interface):
    """An asynchronous operation, by the id that the method which started it returned as `async`.

    The operation's failure is data: `hresult` in the reply. An error means that the call about the operation failed.
    """

    com = "IVdsAsync"

    @method(Role.VIEWER, Hresult.VDS_E_OBJECT_NOT_FOUND, more=More.SUPPORTED)
    async def wait(self, id: str, *, call: Call) -> AsyncIterator[WaitReply | Last]:
        """Wait until the operation is over; `hresult` is then its result, `object` the id of what it made.

        Called with `more`, it reports `percentCompleted` as it changes, until then. (IVdsAsync::Wait)
        """
        operation = self.context.operations.find(id)
        while call.more and not operation.finished:
            yield WaitReply(operation.percent)
            # It may have ended while the reply went out; then nothing changes any more.
            if not operation.finished:
                await operation.changed()
        await operation.over()
        yield Last(
            WaitReply(
                operation.percent,
                operation.result,
                operation.type,
                operation.object,
                operation.message or None,
            )
        )

    @method(Role.VIEWER, Hresult.VDS_E_OPERATION_PENDING, Hresult.VDS_E_OBJECT_NOT_FOUND)
    def query_status(self, id: str) -> QueryStatusReply:
        """The operation's state without waiting. (IVdsAsync::QueryStatus)"""
        operation = self.context.operations.find(id)
        return QueryStatusReply(operation.result, operation.percent)

    @method(
        Role.OPERATOR,
        Hresult.VDS_E_NOT_SUPPORTED,
        Hresult.VDS_E_OPERATION_CANCELED,
        Hresult.VDS_E_CANCEL_TOO_LATE,
        Hresult.VDS_E_OBJECT_NOT_FOUND,
        never={
            "VDS_E_INCOMPATIBLE_FILE_SYSTEM": _SOFTWARE,
            "VDS_E_INCOMPATIBLE_MEDIA": _SOFTWARE,
            "VDS_E_ACCESS_DENIED": "callers who may not are told so alike for all methods, with E_ACCESSDENIED",
        },
    )
    def cancel(self, id: str) -> None:
        """Ask the operation to stop and undo itself; Wait then reports VDS_E_OPERATION_CANCELED.

        VDS_E_NOT_SUPPORTED for operations on targets and portal groups, which are over too soon for it.
        (IVdsAsync::Cancel)
        """
        self.context.operations.find(id).cancel()
