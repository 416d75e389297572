"""The blocking client."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import msgspec

from vdsprovd.client.address import reach
from vdsprovd.client.attempt import PATIENCE, Attempt
from vdsprovd.client.errors import Unreachable, hresult, succeeded
from vdsprovd.client.proxies import Objects
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.varlink import VarlinkError
from vdsprovd.varlink.client import Connection

if TYPE_CHECKING:
    from vdsprovd.client.notifications import Notifications
    from vdsprovd.client.operation import Operation

T = TypeVar("T")

DEFAULT_SOCKET: Final = "/run/vdsprovd/org.vdsprov"
RECONNECT: Final = 10.0
"""For how many seconds a daemon that was there is waited for, such as while it is started anew."""

_KEPT: Final = 4
"""How many connections stay open for the next calls."""


class Client(Objects):
    """The daemon, seen through connections to its socket: one, and one more for each stream that is not at its end.

    Calls raise `VdsError` for what the daemon answers with an error, `Unreachable` when it does not answer, and
    `AnswerLost`, which is an `Unreachable`, when it is not known whether something was carried out. When a connection is
    lost, a new one is made: queries are sent again, and so is what had not left. Threads may share a client.
    """

    def __init__(
        self, socket: str | Path = DEFAULT_SOCKET, *, timeout: float | None = None, reconnect: float = RECONNECT
    ) -> None:
        """Connect to the daemon's socket, or to another host's: `ssh://[USER@]HOST[:PORT][/PATH]`. `timeout` in seconds is for one reply, None waits for ever.

        `reconnect` is for how many seconds a daemon that goes away is waited for; `math.inf` waits for ever.
        """
        self.socket = str(socket)
        self.reconnect = reconnect
        self._timeout = timeout
        self._idle: list[Connection] = []
        self._connections: set[Connection] = set()
        self._open = True
        self._been_connected = False
        self._put_back(self._connection(self._attempt("")))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. An asynchronous operation goes on without them."""
        self._open = False
        while self._connections:
            with suppress(KeyError):  # another thread was first
                self._connections.pop().close()

    # Any method, by its name on the wire.

    def call(self, method: str, /, **parameters: Any) -> dict[str, Any]:
        """Call a method and return its reply; `Lun.GetProperties` is short for `org.vdsprov.Lun.GetProperties`."""
        return self._answer(self._attempt(method), parameters, dict[str, Any])

    def stream(self, method: str, /, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Call a method with Varlink's `more` and return its replies as they come.

        To stop before the last one closes the stream's connection.
        """
        return self._replies(self._attempt(method), parameters, dict[str, Any])

    def query(self, method: str, /, **parameters: Any) -> list[Any]:
        """Call a method whose replies have one array, and return that array; waits for a busy object, within bounds."""
        found: list[Any] = []
        for reply in self._replies(self._attempt(method, patience=PATIENCE), parameters, dict[str, Any]):
            found += next(value for value in reply.values() if isinstance(value, list))
        return found

    def wait(self, async_id: str, on_progress: Callable[[int], None] | None = None) -> dict[str, Any]:
        """Wait for an asynchronous operation and return its result; its failure is raised like a call's.

        `on_progress` is told the percentage as it changes.
        """
        result: dict[str, Any] = {}
        for result in self.progress(async_id):
            if on_progress:
                on_progress(result["percentCompleted"])
        return succeeded(result)

    def progress(self, async_id: str) -> Iterator[dict[str, Any]]:
        """The replies of Async.Wait: percentages, and the operation's result at the end, whatever that is.

        A connection that is lost meanwhile is made anew. A daemon that was started anew does not know the operation any
        more: `AnswerLost`.
        """
        attempt = self._attempt("Async.Wait", resumable=True)
        try:
            yield from self._replies(attempt, {"id": async_id}, dict[str, Any])
        except VdsError as error:
            raise attempt.forgotten(error, f"operation {async_id}") from error

    # What the typed proxies stand on.

    def invoke(self, method: str, parameters: Mapping[str, Any], reply: type[T]) -> T:
        """Call a method and return its reply as that type."""
        from vdsprovd.client.reading import read

        return read(self._answer(self._attempt(method), parameters, msgspec.Raw), reply)

    def replies(self, method: str, parameters: Mapping[str, Any], reply: type[T]) -> Iterator[T]:
        """Call a method with `more` and return its replies, as that type, as they come."""
        from vdsprovd.client.reading import read

        for raw in self._replies(self._attempt(method, patience=PATIENCE), parameters, msgspec.Raw):
            yield read(raw, reply)

    def start(self, method: str, parameters: Mapping[str, Any]) -> "Operation":
        """Call a method that starts an asynchronous operation."""
        # VDS's types take longer to load than most commands of vdsprovctl to run, and those need none of them.
        from vdsprovd.client.operation import Operation

        reply = self._answer(self._attempt(method), parameters, dict[str, Any])
        return Operation(self, reply["async"], hresult(reply.get("hresult", 0)), tuple(reply.get("objects", ())))

    def operation(self, id: str) -> "Operation":
        """The asynchronous operation of that id, which a reply calls `async`."""
        from vdsprovd.client.operation import Operation

        return Operation(self, id)

    def notifications(self) -> Iterator["Notifications"]:
        """What changes, whoever changes it, for as long as one asks; it survives that the daemon is started anew.

        List what you keep track of whenever `missed` is true: for the first time, which comes at once, and when changes
        may not have been told. Do not call Refresh while handling notifications.
        """
        from vdsprovd.client.notifications import Gaps
        from vdsprovd.client.reading import read
        from vdsprovd.replies import AdviseReply

        gaps = Gaps()
        for raw in self._replies(self._attempt("Service.Advise", resumable=True), {}, msgspec.Raw):
            if told := gaps.take(read(raw, AdviseReply)):
                yield told

    # What there is, as vdsprovctl shows it.

    def subsystems(self) -> list[dict[str, Any]]:
        """The subsystems' properties."""
        return self.query("HwProvider.QuerySubSystems")

    def pools(self) -> list[dict[str, Any]]:
        """The storage pools' properties, over all subsystems."""
        return self.query("HwProviderStoragePools.QueryStoragePools")

    def luns(self, sub_system_id: str) -> list[dict[str, Any]]:
        """The properties of a subsystem's LUNs."""
        return self.query("SubSystem.QueryLuns", id=sub_system_id)

    def targets(self, sub_system_id: str) -> list[dict[str, Any]]:
        """The properties of a subsystem's targets."""
        return self.query("SubSystemIscsi.QueryTargets", id=sub_system_id)

    def portals(self, sub_system_id: str) -> list[dict[str, Any]]:
        """The properties of a subsystem's portals."""
        return self.query("SubSystemIscsi.QueryPortals", id=sub_system_id)

    def luns_of_target(self, target_id: str) -> list[dict[str, Any]]:
        """The properties of the LUNs associated with a target, by logical unit number."""
        return self.query("IscsiTarget.QueryAssociatedLuns", id=target_id)

    def portal_groups(self, target_id: str) -> list[dict[str, Any]]:
        """The properties of a target's portal groups."""
        return self.query("IscsiTarget.QueryPortalGroups", id=target_id)

    def portals_of_group(self, portal_group_id: str) -> list[dict[str, Any]]:
        """The properties of the portals in a portal group."""
        return self.query("IscsiPortalGroup.QueryAssociatedPortals", id=portal_group_id)

    def connected_initiators(self, target_id: str) -> list[str]:
        """The iSCSI names of the initiators that are logged in to a target now."""
        return self.query("IscsiTarget.GetConnectedInitiators", id=target_id)

    def import_target(self, sub_system_id: str, computer: str | None = None) -> str | None:
        """The import target's iSCSI name, None where none is set; there need not be a target of that name.

        `computer` None is the daemon's host.
        """
        try:
            reply = self.call("SubSystemImportTarget.GetImportTarget", id=sub_system_id, computer=computer)
        except VdsError as error:
            if error.code is Hresult.VDS_E_NO_IMPORT_TARGET:
                return None
            raise
        name: str = reply["iscsiName"]
        return name

    # The connections.

    def _attempt(self, method: str, *, resumable: bool = False, patience: float = 0.0) -> Attempt:
        return Attempt(method, self.socket, self.reconnect, resumable=resumable, patience=patience)

    def _answer(self, attempt: Attempt, parameters: Mapping[str, Any], reply: type[T]) -> T:
        while True:
            connection = self._connection(attempt)
            try:
                return connection.call(attempt.method, parameters, reply)
            except (VarlinkError, OSError) as error:
                pause = self._failed(attempt, error)
            finally:
                self._put_back(connection)
            time.sleep(pause)

    def _replies(self, attempt: Attempt, parameters: Mapping[str, Any], reply: type[T]) -> Iterator[T]:
        while True:
            connection = self._connection(attempt)
            try:
                for value in connection.stream(attempt.method, parameters, reply):
                    attempt.replied()
                    yield value
            except (VarlinkError, OSError) as error:
                pause = self._failed(attempt, error)
            else:
                return
            finally:
                self._put_back(connection)
            time.sleep(pause)

    def _connection(self, attempt: Attempt) -> Connection:
        """One for the next call: an idle one, or one more."""
        while self._open:
            with suppress(IndexError):
                return self._idle.pop()
            try:
                connection = Connection(reach(self.socket), timeout=self._timeout)
            except (OSError, ValueError) as error:
                time.sleep(attempt.unconnected(error, before=self._been_connected))
                continue
            self._been_connected = True
            self._connections.add(connection)
            return connection
        raise Unreachable(self.socket, "the client is closed", connected=True)

    def _failed(self, attempt: Attempt, error: Exception) -> float:
        """The seconds after which to try again; raises what the caller gets."""
        if not isinstance(error, VarlinkError):
            # What was lost with its daemon was not the only one.
            with suppress(IndexError):  # other threads take from them
                while True:
                    self._discard(self._idle.pop())
        return attempt.failed(error)

    def _put_back(self, connection: Connection) -> None:
        if self._open and connection.free and len(self._idle) < _KEPT:
            self._idle.append(connection)
        else:
            self._discard(connection)

    def _discard(self, connection: Connection) -> None:
        connection.close()
        self._connections.discard(connection)
