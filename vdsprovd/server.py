"""Who may call what: peer credentials, roles, and the errors that callers get for what is no storage matter."""

import grp
import logging
import resource
from collections.abc import Callable, Iterable, Mapping

from vdsprovd import __version__, journal, varlink
from vdsprovd.config import RolesConfig
from vdsprovd.counted import NO_METHOD, Counted
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.provider.api import PREFIX, Failure, Role, Rules, wire_error
from vdsprovd.varlink.call import Call, Peer
from vdsprovd.varlink.routes import Kind
from vdsprovd.varlink.server import Service

log = logging.getLogger(__name__)

_LONGEST_CALL = 3 << 20
"""Bytes: 1,000 LUNs in one call, each with 3 KB of initiators and targets. Who sends more is disconnected."""

_CONNECTIONS = 4096
"""How many clients may be connected."""
_OWN_DESCRIPTORS = 512
"""What is kept for the store, the kernel, the pools and the programs."""
URL = "https://github.com/vdsprovd/vdsprovd"


class Gate:
    """Decides for each call whether its caller may make it. Closed until the provider has loaded what it manages."""

    def __init__(self, owner: int, groups: Mapping[int, Role]) -> None:
        """`owner` is the uid that may do everything besides root; `groups` gives group ids their roles."""
        self.owner = owner
        self.groups = groups
        self.ready = False
        self.failure = ""
        """Why the provider cannot start, once that is known."""
        self.waits_for: Callable[[], str] = str
        """What a start waits for that has no answer, for people."""

    def role(self, peer: Peer) -> Role | None:
        """What the peer may do, None for nothing."""
        if peer.uid in (0, self.owner):
            return Role.ADMIN
        return max((self.groups[gid] for gid in (peer.gid, *peer.groups) if gid in self.groups), default=None)

    def authorize(self, peer: Peer, method: varlink.Method) -> None:
        """Raise the error for a call that is refused. A method that states no role cannot be called."""
        role = self.role(peer)
        if role is None:
            raise varlink.VarlinkError("org.varlink.service.PermissionDenied")
        rules = method.metadata
        if not isinstance(rules, Rules):
            if method.name in ("GetInfo", "GetInterfaceDescription"):
                return
            raise varlink.VarlinkError("org.varlink.service.PermissionDenied")
        if role < rules.role:
            raise wire_error(
                VdsError(
                    Hresult.E_ACCESSDENIED,
                    f"{method.name} needs the role {rules.role.name.lower()}; yours is {role.name.lower()}",
                )
            )
        if self.failure:
            raise wire_error(VdsError(Hresult.VDS_E_INITIALIZED_FAILED, f"vdsprovd cannot start: {self.failure}"))
        if not self.ready:
            waits_for = self.waits_for()
            text = f"the provider is still starting: {waits_for}" if waits_for else "the provider is still starting"
            raise wire_error(VdsError(Hresult.VDS_E_INITIALIZE_NOT_CALLED, f"{text}; try again shortly"))


def group_roles(roles: RolesConfig) -> dict[int, Role]:
    """The roles by group id; a group that does not exist is logged and ignored."""
    found: dict[int, Role] = {}
    for role, names in ((Role.VIEWER, roles.viewer), (Role.OPERATOR, roles.operator), (Role.ADMIN, roles.admin)):
        for name in names:
            try:
                found[grp.getgrnam(name).gr_gid] = role
            except KeyError:
                log.warning("there is no group %s; nobody has the role %s by it", name, role.name.lower())
    return found


def _room_for_connections() -> int:
    """How many clients may be connected: at most the descriptors that the process may have, but for some of its own. Most
    systems let a process have a thousand or so, until it asks for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _CONNECTIONS + _OWN_DESCRIPTORS
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return max(1, min(_CONNECTIONS, limit - _OWN_DESCRIPTORS))


def make_service(interfaces: Iterable[varlink.Interface], gate: Gate, counted: Counted) -> Service:
    """The Varlink service for the interfaces, behind the gate. Calls are counted."""

    def answered(call: Call, seconds: float, error: varlink.VarlinkError | None) -> None:
        kind = service.kind(call.method)
        code = _code(error) if error else ""
        counted.call(call.method if kind else NO_METHOD, None if kind is Kind.STREAM else seconds, code)
        if code in _REFUSALS:
            _tell_refusal(call)

    service = Service(
        vendor="vdsprovd",
        product="vdsprovd",
        version=__version__,
        url=URL,
        interfaces=interfaces,
        authorize=gate.authorize,
        invalid_parameter=_invalid_parameter,
        unexpected=_unexpected,
        answered=answered,
        max_message=_LONGEST_CALL,
        max_connections=_room_for_connections(),
    )
    return service


_REFUSALS = (Hresult.E_ACCESSDENIED.name, "org.varlink.service.PermissionDenied")


def _tell_refusal(call: Call) -> None:
    method, caller = call.method.removeprefix(f"{PREFIX}."), (call.peer.uid, call.peer.pid)
    about = journal.about(journal.CALL_REFUSED, method=method, code=Hresult.E_ACCESSDENIED, caller=caller)
    log.warning(
        "refused uid %d (pid %d) to call %s: none of its groups has a role for that", *caller, method, extra=about
    )


def _code(error: varlink.VarlinkError) -> str:
    """The symbol of the VDS code; of Varlink's own errors the name."""
    return error.parameters.symbol if isinstance(error.parameters, Failure) else error.name


def _invalid_parameter(method: str, parameter: str, message: str) -> varlink.VarlinkError:
    return wire_error(VdsError(Hresult.E_INVALIDARG, f"{method}: parameter {parameter}: {message}"))


def _unexpected(method: str, error: BaseException) -> varlink.VarlinkError:
    about = journal.about(journal.BUG, method=method.removeprefix(f"{PREFIX}."), code=Hresult.E_UNEXPECTED)
    log.error("a bug in %s", method, exc_info=error, extra=about)
    return wire_error(VdsError(Hresult.E_UNEXPECTED, f"{method} failed unexpectedly; vdsprovd's log says more"))
