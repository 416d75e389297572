"""Commands in the journal: who wanted what changed, and what came of it. Queries are not there; who asks too much shows in
the metrics."""

import logging

import msgspec

from vdsprovd import journal
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.varlink.call import Call

log = logging.getLogger(__name__)

_OURS = frozenset(
    (
        Hresult.E_FAIL,
        Hresult.E_UNEXPECTED,
        Hresult.VDS_E_OBJECT_STATUS_FAILED,
        Hresult.VDS_E_PROVIDER_CACHE_CORRUPT,
        Hresult.VDS_E_PROVIDER_FAILURE,
        Hresult.VDS_E_NOT_ENOUGH_SPACE,
        Hresult.VDS_E_NOT_ENOUGH_DRIVE,
    )
)
"""Codes that tell of something wrong with the host; the others tell the caller what is wrong with its call."""


def level(code: Hresult) -> int:
    """How important it is that something ended with that code."""
    return logging.WARNING if code in _OURS else logging.INFO


def made(name: str, call: Call, object: str, reply: msgspec.Struct) -> None:
    """A command did what was asked, or began to: then the reply has an operation's id."""
    operation: str = getattr(reply, "async_", "")
    about = journal.about(
        journal.CALL_MADE,
        method=name,
        code=Hresult(getattr(reply, "hresult", Hresult.S_OK)),
        object=object,
        operation=operation,
        caller=(call.peer.uid, call.peer.pid),
    )
    what = f"{name} of {object}" if object else name
    log.info("uid %d: %s%s", call.peer.uid, what, f" began: operation {operation}" if operation else "", extra=about)


def failed(name: str, call: Call, object: str, error: VdsError) -> None:
    """A command failed, and changed nothing."""
    about = journal.about(
        journal.CALL_FAILED,
        method=name,
        code=error.code,
        object=error.object or object,
        caller=(call.peer.uid, call.peer.pid),
    )
    log.log(level(error.code), "uid %d: %s failed: %s", call.peer.uid, name, error, extra=about)
