"""What the blocking client and the one for asyncio decide alike: when a call is sent again, and when it must not be.

Nothing here reads, writes or waits.
"""

import time
from typing import Final

from vdsprovd.client.errors import AnswerLost, Unreachable, vds_error
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.varlink import VarlinkError
from vdsprovd.varlink.client import NotTakenError

PAUSE: Final = 0.05
"""Seconds before something is tried again."""
PATIENCE: Final = 10.0
"""For how many seconds a listing tries again while another call keeps its object busy."""

_PREFIX: Final = "org.vdsprov"
_QUERIES: Final = ("Get", "Query", "Wait", "Advise")


def full_name(method: str) -> str:
    """The method's full name: `Lun.GetProperties` is one of ours, what has more dots is complete."""
    return f"{_PREFIX}.{method}" if method.count(".") == 1 else method


def is_query(method: str) -> bool:
    """Whether the method changes nothing, by its name: it can be called again with no harm."""
    return method.rpartition(".")[2].startswith(_QUERIES)


class Attempt:
    """One call, and what became of it so far.

    What the daemon has not read is sent again, whatever it is. What it has is sent again once, and only if it is a query: a
    daemon that a call brings down is not to be brought down for ever. A stream that has given replies is sent again only
    if it is `resumable`, which means that its replies make sense after a gap.
    """

    def __init__(
        self, method: str, socket: str, reconnect: float, *, resumable: bool = False, patience: float = 0.0
    ) -> None:
        """`reconnect` is for how many seconds a lost daemon is waited for, `patience` for how many a busy object."""
        self.method = full_name(method)
        self.lost = False
        """Whether a connection was lost on the way: the daemon may have been started anew since."""
        self._socket = socket
        self._reconnect = reconnect
        self._resumable = resumable
        self._busy_until = time.monotonic() + patience
        self._lost_since: float | None = None
        self._again = False
        self._replies = 0

    def replied(self) -> None:
        """A reply of a stream has come, and is given on."""
        self._replies += 1
        self._again = False
        self._lost_since = None

    # Each of these gives the seconds after which the call is to be sent, again, or raises what its caller gets.

    def unconnected(self, error: Exception, *, before: bool) -> float:
        """There is no connection to be had. `before` tells whether there was one: a daemon that was there is waited for."""
        if before and isinstance(error, FileNotFoundError | ConnectionRefusedError) and self._may_return():
            return PAUSE
        raise Unreachable(self._socket, _reason(error), connected=before) from error

    def failed(self, error: Exception) -> float:
        """The call was refused, or its connection was lost."""
        if isinstance(error, VarlinkError):
            return self._refused(vds_error(error), error)
        if isinstance(error, NotTakenError):
            # One that was kept open for the next call tells nothing of the daemon that is there now.
            at_once = not self.lost
            if self._may_return() or at_once:
                return 0.0 if at_once else PAUSE
            raise Unreachable(self._socket, _reason(error), connected=True) from error
        if not is_query(self.method):
            raise AnswerLost(self._socket, _reason(error), self.method.removeprefix(f"{_PREFIX}.")) from error
        # What takes too long once would take as long again.
        if isinstance(error, TimeoutError) or self._again or (self._replies and not self._resumable):
            raise Unreachable(self._socket, _reason(error), connected=True) from error
        self._lose()
        self._again = True
        return 0.0

    def forgotten(self, error: VdsError, what: str) -> Exception:
        """The error, for an object that ends with the daemon: one that was started anew does not know it."""
        if self.lost and error.code is Hresult.VDS_E_OBJECT_NOT_FOUND:
            return AnswerLost(self._socket, "vdsprovd was started anew meanwhile", what)
        return error

    def _refused(self, refusal: VdsError, error: VarlinkError) -> float:
        starting = refusal.code is Hresult.VDS_E_INITIALIZE_NOT_CALLED and self.lost and self._may_return()
        busy = refusal.code is Hresult.VDS_E_ANOTHER_CALL_IN_PROGRESS and time.monotonic() < self._busy_until
        if starting or (busy and not self._replies):
            return PAUSE
        raise refusal from error

    def _lose(self) -> None:
        self.lost = True
        if self._lost_since is None:
            self._lost_since = time.monotonic()

    def _may_return(self) -> bool:
        self._lose()
        assert self._lost_since is not None
        return time.monotonic() < self._lost_since + self._reconnect


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    return getattr(error, "strerror", None) or str(error)
