"""An asynchronous operation (IVdsAsync), waited for by a blocking client."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from vdsprovd.client.errors import succeeded
from vdsprovd.hresult import Hresult
from vdsprovd.model import AsyncOutputType, Struct
from vdsprovd.replies import QueryStatusReply

if TYPE_CHECKING:
    from vdsprovd.client.client import Client


class Result(Struct, frozen=True):
    """How an operation ended that succeeded: which it was, and the id of what it made, "" where it makes nothing."""

    type: AsyncOutputType
    object: str = ""


def result(reply: Mapping[str, Any]) -> Result:
    """The result in the last reply of Async.Wait; a failure is raised as `VdsError`."""
    found = succeeded(reply)
    return msgspec.convert({"type": found.get("type"), "object": found.get("object") or ""}, Result)


class Operation:
    """An operation that goes on in the daemon, whether somebody waits for it or not."""

    def __init__(
        self, client: "Client", id: str, hresult: Hresult = Hresult.S_OK, objects: tuple[str, ...] = ()
    ) -> None:
        self.id = id
        self.hresult = hresult
        """What the method that started it answered: S_OK, or a success code such as VDS_S_ALREADY_EXISTS."""
        self.objects = objects
        """The ids of what it makes, where the method tells them at once: Provisioning's do."""
        self._client = client
        self._result: Result | None = None

    def __repr__(self) -> str:
        return f"<Operation {self.id}>"

    def __iter__(self) -> Iterator[int]:
        """The percentage as it changes, up to 100. At the end a failure is raised, as by `wait`."""
        last: dict[str, Any] = {}
        for last in self._client.progress(self.id):
            yield last["percentCompleted"]
        self._result = result(last)

    def wait(self, on_progress: Callable[[int], None] | None = None) -> Result:
        """Wait until it is over. `on_progress` is told the percentage as it changes.

        Raises `VdsError` when it failed, VDS_E_OPERATION_CANCELED when it was cancelled, and `AnswerLost` when the daemon was
        started anew meanwhile: it is completed or undone then, and forgotten.
        """
        if self._result is None:
            for percent in self:
                if on_progress:
                    on_progress(percent)
        assert self._result is not None
        return self._result

    def query_status(self) -> QueryStatusReply:
        """The operation's state without waiting. (IVdsAsync::QueryStatus)"""
        return self._client.invoke("Async.QueryStatus", {"id": self.id}, QueryStatusReply)

    def cancel(self) -> None:
        """Ask it to stop and undo itself; `wait` then raises VDS_E_OPERATION_CANCELED. (IVdsAsync::Cancel)

        Raises VDS_E_CANCEL_TOO_LATE, or VDS_E_NOT_SUPPORTED for what is over too soon for it.
        """
        self._client.call("Async.Cancel", id=self.id)
