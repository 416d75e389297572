"""The Python client: `Client`, which blocks, and `AsyncClient` for asyncio. `vdsprovctl` stands on it. See docs/client.md.

    with Client() as vds:
        for lun in vds.sub_system(id).query_luns():
            vds.lun(lun.id).set_mask("*")

A method is an object's: `vds.lun(id)` has those of IVdsLun, IVdsLunNaming, IVdsLunIscsi and so on, named as VDS names them,
in Python's way. Whatever the API has can also be called as it is on the wire: `vds.call("Lun.SetMask", id=id,
unmaskingList="*")`. VDS's structures and enumerations are in `vdsprovd.model`.

Nothing here needs the daemon's libraries.
"""

from typing import TYPE_CHECKING, Any

from vdsprovd.client.client import DEFAULT_SOCKET, RECONNECT, Client
from vdsprovd.client.errors import AnswerLost, Unreachable, hresult, vds_error
from vdsprovd.hresult import Hresult, VdsError

if TYPE_CHECKING:
    from vdsprovd.client.aio import AsyncClient, AsyncOperation
    from vdsprovd.client.notifications import Notifications
    from vdsprovd.client.operation import Operation, Result

__all__ = [
    "DEFAULT_SOCKET",
    "RECONNECT",
    "AnswerLost",
    "AsyncClient",
    "AsyncOperation",
    "Client",
    "Hresult",
    "Notifications",
    "Operation",
    "Result",
    "Unreachable",
    "VdsError",
    "hresult",
    "vds_error",
]

# Imported when somebody asks for them: asyncio and VDS's types would be most of the start of a short command.
_LATER = {
    "AsyncClient": "vdsprovd.client.aio",
    "AsyncOperation": "vdsprovd.client.aio",
    "Notifications": "vdsprovd.client.notifications",
    "Operation": "vdsprovd.client.operation",
    "Result": "vdsprovd.client.operation",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib  # rarely needed

    return getattr(importlib.import_module(_LATER[name]), name)
