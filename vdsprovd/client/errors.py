"""What goes wrong in a call: what the daemon answers, and that there is no answer."""

from collections.abc import Mapping
from typing import Any, Final

from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.varlink import VarlinkError

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
    """There is no connection to the daemon, or no longer; `socket` is where it was looked for.

    What was called has changed nothing, unless it is an `AnswerLost`.
    """

    def __init__(self, socket: str, reason: str, *, connected: bool) -> None:
        super().__init__(f"{'lost' if connected else 'no'} connection to vdsprovd at {socket}: {reason}")
        self.socket = socket
        self.reason = reason
        self.connected = connected


class AnswerLost(Unreachable):
    """The connection was lost before an answer came: whether `what` was carried out, a method or an operation, is not known.

    It was not sent again, for that could carry it out twice. Look at what there is before you repeat it.
    """

    def __init__(self, socket: str, reason: str, what: str) -> None:
        super().__init__(
            socket,
            f"{reason}; whether {what} was carried out is not known, and it was not sent again: "
            "look at what there is before you repeat it",
            connected=True,
        )
        self.what = what


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


def succeeded(result: Mapping[str, Any]) -> dict[str, Any]:
    """An operation's result, the last reply of Async.Wait; one that is a failure is raised."""
    code = hresult(result["hresult"])
    if code.failed:
        raise VdsError(code, result.get("message") or "the operation failed", result.get("object"))
    return dict(result)
