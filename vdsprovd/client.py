"""The client: the API's calls over one connection, with VDS errors as exceptions. `vdsprovctl` stands on it.

Method and parameter names are those of the wire, so that what one reads in the API's description works here:
`client.call("Lun.SetMask", id=lun, unmaskingList="*")`.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.varlink import VarlinkError
from vdsprovd.varlink.client import Connection

DEFAULT_SOCKET: Final = "/run/vdsprovd/org.vdsprov"

PATIENCE: Final = 10.0
"""For how many seconds a listing tries again while another call keeps its object busy."""

_PREFIX: Final = "org.vdsprov"
_SERVICE: Final = "org.varlink.service"

# Errors of Varlink itself, as the HRESULT nearest to them and a message with the error's parameter.
_OF_VARLINK: Final[Mapping[str, tuple[Hresult, str]]] = {
    "PermissionDenied": (Hresult.E_ACCESSDENIED, "you are in none of the groups that may call vdsprovd"),
    "InterfaceNotFound": (Hresult.E_NOTIMPL, "there is no interface {interface}"),
    "MethodNotFound": (Hresult.E_NOTIMPL, "there is no method {method}"),
    "MethodNotImplemented": (Hresult.E_NOTIMPL, "the method {method} is not carried out"),
    "InvalidParameter": (Hresult.E_INVALIDARG, "the parameter {parameter} is missing, unknown or not of its type"),
    "ExpectedMore": (Hresult.E_INVALIDARG, "the answer takes several replies, and the call asked for one"),
}


class Unreachable(ConnectionError):
    """There is no connection to the daemon, or no longer; `socket` is where it was looked for."""

    def __init__(self, socket: str, reason: str, *, connected: bool) -> None:
        super().__init__(f"{'lost' if connected else 'no'} connection to vdsprovd at {socket}: {reason}")
        self.socket = socket
        self.reason = reason
        self.connected = connected


class Client:
    """A connection to the daemon, for one call at a time.

    Calls raise `VdsError` for what the daemon answers with an error, and `Unreachable` when it does not answer.
    """

    def __init__(self, socket: str | Path = DEFAULT_SOCKET, *, timeout: float | None = None) -> None:
        """Connect to the daemon's socket; `timeout` in seconds is for one reply, None waits for ever."""
        self.socket = str(socket)
        self._connected = False
        with self._reachable():
            self._connection = Connection(self.socket, timeout=timeout)
        self._connected = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. An asynchronous operation goes on without it."""
        self._connection.close()

    # Any method.

    def call(self, method: str, /, **parameters: Any) -> dict[str, Any]:
        """Call a method and return its reply; `Lun.GetProperties` is short for `org.vdsprov.Lun.GetProperties`."""
        with self._reachable():
            return self._connection.call(full_name(method), parameters)

    def stream(self, method: str, /, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Call a method with Varlink's `more` and return its replies as they come.

        To stop before the last one closes the connection.
        """
        with self._reachable():
            yield from self._connection.stream(full_name(method), parameters)

    def wait(self, async_id: str, on_progress: Callable[[int], None] | None = None) -> dict[str, Any]:
        """Wait for an asynchronous operation and return its result; its failure is raised like a call's.

        `on_progress` is told the percentage as it changes.
        """
        result: dict[str, Any] = {}
        for result in self.stream("Async.Wait", id=async_id):
            if on_progress:
                on_progress(result["percentCompleted"])
        code = hresult(result["hresult"])
        if code.failed:
            raise VdsError(code, result.get("message") or "the operation failed", result.get("object"))
        return result

    # What there is.

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

    def query(self, method: str, /, **parameters: Any) -> list[Any]:
        """Call a method whose replies have one array, and return that array; waits for a busy object, within bounds."""
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                found: list[Any] = []
                for reply in self.stream(method, **parameters):
                    found += next(value for value in reply.values() if isinstance(value, list))
            except VdsError as error:
                if error.code is not Hresult.VDS_E_ANOTHER_CALL_IN_PROGRESS or time.monotonic() > give_up:
                    raise
            else:
                return found
            time.sleep(0.05)

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except VarlinkError as error:
            raise vds_error(error) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise Unreachable(self.socket, reason, connected=self._connected) from error


def full_name(method: str) -> str:
    """The method's full name: `Lun.GetProperties` is one of ours, what has more dots is complete."""
    return f"{_PREFIX}.{method}" if method.count(".") == 1 else method


def hresult(number: int, symbol: str = "") -> Hresult:
    """The HRESULT of that number, also where this version does not know it; then named `symbol`, or by its digits."""
    try:
        return Hresult(number)
    except ValueError:
        # A newer daemon may have codes of its own. They are no members, and otherwise like those.
        unknown = int.__new__(Hresult, number)
        unknown._name_ = symbol or f"HRESULT_{number:08X}"
        unknown._value_ = number
        return unknown


def vds_error(error: VarlinkError) -> VdsError:
    """The error that came over the wire, as the daemon's own code would have raised it."""
    parameters = error.parameters
    assert isinstance(parameters, Mapping)
    match parameters:
        case {"hresult": int(number), "symbol": str(symbol), "message": str(message)}:
            return VdsError(hresult(number, symbol), message, parameters.get("object"))
    interface, _, name = error.name.rpartition(".")
    if interface == _SERVICE and name in _OF_VARLINK:
        code, message = _OF_VARLINK[name]
        return VdsError(code, message.format_map(_Named(parameters)))
    return VdsError(Hresult.E_FAIL, str(error))


class _Named(dict[str, Any]):
    """Parameters for a message, with a word for the one that is missing."""

    def __missing__(self, key: str) -> str:
        return "?"
