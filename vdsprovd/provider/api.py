"""How a typed function becomes a method of the API.

The signature is the API: its first parameter, typed as an object of the inventory, is the object's `id` on the wire; the
others are the method's parameters, the return type its reply, the docstring its help. A stream (an async generator)
also gets the `call`, to see whether its caller wants more than one reply. `@method` adds the role that a caller needs
and the VDS codes that the method documents. The codes are its preconditions: a method that documents
VDS_E_ANOTHER_CALL_IN_PROGRESS is refused while its object is being worked on, one that does not is let through, and so
on. They are checked in one place, `_check`, in this order: deleted, cache corrupt, status failed, another call.

A code that VDS documents and that cannot occur here stands in `never`, with the reason; docs/conformance.md shows it.
"""

import asyncio
import inspect
import textwrap
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from enum import IntEnum
from types import UnionType
from typing import Any, ClassVar, ParamSpec, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from vdsprovd import varlink
from vdsprovd.hardware import Leg
from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.inventory import Controller, Drive, Entity, Inventory, Lun, Plex, Port, SubSystem
from vdsprovd.model import DriveStatus, Health, LunStatus, Struct
from vdsprovd.operations import Operation, Work, begin
from vdsprovd.provider import account
from vdsprovd.provider.context import Context
from vdsprovd.replies import AsyncReply
from vdsprovd.varlink.call import Call

ALL_KNOWN = "all of them are known without asking the host"
"""Why properties are never incomplete."""

P = ParamSpec("P")
T = TypeVar("T")

PREFIX = "org.vdsprov"


class Role(IntEnum):
    """What a caller may do; each role includes the ones before it."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


class Failure(Struct, frozen=True):
    """The parameters of every error: the HRESULT, its C symbol, what a person can do, and the object it is about."""

    hresult: int
    symbol: str
    message: str
    object: str | None = None


class Nothing(Struct, frozen=True):
    """A reply without parameters."""


@dataclass(frozen=True)
class Rules:
    """What `@method` says about a function."""

    role: Role
    codes: frozenset[Hresult]
    never: Mapping[str, str]
    exclusive: bool
    recovers: bool
    although_failed: bool
    more: varlink.More

    @property
    def doc(self) -> str:
        """Who may call the method, and the codes, in the lines of its help."""
        codes = ", ".join(code.name for code in sorted(self.codes))
        text = f"Role: {self.role.name.lower()}." + (f" Codes: {codes}." if codes else "")
        return "\n".join(textwrap.wrap(text, 110))

    @property
    def refuses(self) -> bool:
        """Whether the method can do nothing but answer VDS_E_NOT_SUPPORTED."""
        return self.codes == {Hresult.VDS_E_NOT_SUPPORTED}


class Interface:
    """A VDS interface; its methods are the functions marked with `@method`."""

    com: ClassVar[str] = ""
    """The COM interface's name, empty for what is ours alone."""

    def __init__(self, context: Context) -> None:
        self.context = context

    @property
    def inventory(self) -> Inventory:
        """The newest inventory."""
        return self.context.cache.inventory

    @classmethod
    def wire_name(cls) -> str:
        """The interface's name on the wire."""
        return f"{PREFIX}.{cls.__name__}"

    def describe(self) -> varlink.Interface:
        """The interface as the wire layer wants it."""
        return varlink.Interface(
            self.wire_name(),
            methods=tuple(
                _method(self, function) for function in vars(type(self)).values() if hasattr(function, "rules")
            ),
            doc=_doc(type(self), f"{self.com}: " if self.com else ""),
        )


def method(
    role: Role,
    *codes: Hresult,
    never: Mapping[str, str] | None = None,
    exclusive: bool = False,
    recovers: bool = False,
    although_failed: bool = False,
    more: varlink.More = varlink.More.NEVER,
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Make a function of an `Interface` a method of the API.

    `codes` are what VDS documents and can occur; `never` what it documents and cannot, and why. `exclusive` holds its object while the function (a coroutine function) runs. `recovers` lets it run while the cache
    is corrupt, though it documents that code; `although_failed` lets it try on an object that has failed, and answer the
    code only when that is why it cannot be done. `more` is Varlink's flag.
    """

    def mark(function: Callable[P, T]) -> Callable[P, T]:
        function.rules = Rules(  # type: ignore[attr-defined]
            role, frozenset(codes), never or {}, exclusive, recovers, although_failed, more
        )
        return function

    return mark


def wire_error(error: VdsError) -> varlink.VarlinkError:
    """The error as it goes over the wire: org.vdsprov.NoImportTarget and its parameters."""
    return varlink.VarlinkError(
        f"{PREFIX}.{error.code.error_name}", Failure(int(error.code), error.code.name, error.message, error.object)
    )


def ipsec(id: str) -> VdsError:
    """The error of the methods that VDS reserves for IPsec."""
    return VdsError(
        Hresult.VDS_E_NOT_SUPPORTED,
        "VDS reserves IPsec for the future; protect portals with the host's own IPsec or by a network of their own",
        id,
    )


def errors() -> varlink.Interface:
    """The interface that declares every error."""
    return varlink.Interface(
        PREFIX,
        errors=tuple(
            varlink.Error(code.error_name, Failure, f"{code.name} {code:#010x}") for code in Hresult if code.failed
        ),
        doc="The errors of every interface of vdsprovd. Each carries the HRESULT of the VDS call that it stands for.",
    )


def _doc(thing: Any, prefix: str = "") -> str:
    return prefix + (inspect.getdoc(thing) or "")


def _method(interface: Interface, function: Any) -> varlink.Method:
    rules: Rules = function.rules
    hints = get_type_hints(function, include_extras=True)
    returns = hints.pop("return")
    signature = inspect.signature(function).parameters
    names = [name for name in signature if name not in ("self", "call")]
    kinds = kinds_of(hints[names[0]]) if names else ()
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = [("id", str)] if kinds else []
    for name in names[1:] if kinds else names:
        default = signature[name].default
        fields.append((name, hints[name]) if default is inspect.Parameter.empty else (name, hints[name], default))
    name = "".join(word.capitalize() for word in function.__name__.split("_"))
    parameters = msgspec.defstruct(
        f"{type(interface).__name__}{name}Parameters", fields, frozen=True, rename="camel", forbid_unknown_fields=True
    )
    if get_origin(returns) is AsyncIterator:
        (yielded,) = get_args(returns)
        returns = next((kind for kind in get_args(yielded) if kind is not varlink.Last), yielded)
    reply = {type(None): Nothing, Operation: AsyncReply}.get(returns, returns)
    return varlink.Method(
        name,
        parameters,
        reply,
        _handler(
            interface.context, f"{type(interface).__name__}.{name}", getattr(interface, function.__name__), rules, kinds
        ),
        more=rules.more,
        doc=f"{_doc(function)}\n\n{rules.doc}",
        metadata=rules,
    )


def kinds_of(hint: Any) -> tuple[type[Any], ...]:
    """The kinds of object of which a parameter so typed is one; none for any other parameter."""
    alternatives = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return alternatives if set(alternatives) <= set(get_args(Entity)) else ()


def _handler(
    context: Context, name: str, function: Any, rules: Rules, kinds: tuple[type[Any], ...]
) -> Callable[..., Any]:
    def arguments(parameters: msgspec.Struct, *, held: bool = False) -> Sequence[Any]:
        """The function's arguments: the object that the id names, and the other parameters as they came."""
        values = msgspec.structs.astuple(parameters)
        if not kinds:
            _check(context, rules, (), None, held=held)
            return values
        return (_check(context, rules, kinds, values[0], held=held), *values[1:])

    commands = rules.role is not Role.VIEWER

    def subject(parameters: msgspec.Struct) -> str:
        return parameters.id if kinds else ""  # type: ignore[attr-defined]  # added by `_method`

    def answer(call: Call, parameters: msgspec.Struct) -> msgspec.Struct:
        if commands:
            begin(Work(name, (call.peer.uid, call.peer.pid)))
        try:
            reply = _reply(function(*arguments(parameters)))
        except VdsError as error:
            if commands:
                account.failed(name, call, subject(parameters), error)
            raise wire_error(error) from error
        if commands:
            account.made(name, call, subject(parameters), reply)
        return reply

    async def carry_out(call: Call, parameters: msgspec.Struct) -> msgspec.Struct:
        """Perform a command and tell the journal; also when its caller has gone away meanwhile."""
        try:
            reply = await perform(parameters)
        except VdsError as error:
            account.failed(name, call, subject(parameters), error)
            raise
        account.made(name, call, subject(parameters), reply)
        return reply

    async def perform(parameters: msgspec.Struct) -> msgspec.Struct:
        args = arguments(parameters)
        if not (commands and kinds):
            return _reply(await function(*args))
        holds = context.operations.holds
        async with AsyncExitStack() as stack:
            # Reenumerate and Refresh claim the provider: they see no half-made change, and nothing changes under them.
            await stack.enter_async_context(holds.wait(shared=[context.provider_id]))
            if rules.exclusive and Hresult.VDS_E_ANOTHER_CALL_IN_PROGRESS in rules.codes:
                stack.enter_context(holds.hold([args[0].id]))
            elif rules.exclusive:
                await stack.enter_async_context(holds.wait([args[0].id]))
            return _reply(await function(*arguments(parameters, held=rules.exclusive)))

    async def run(call: Call, parameters: msgspec.Struct) -> msgspec.Struct:
        try:
            # A client that goes away does not stop what it started: half a change would be the worst outcome.
            work = carry_out(call, parameters) if commands else perform(parameters)
            return await asyncio.shield(context.operations.spawn(work, Work(name, (call.peer.uid, call.peer.pid))))
        except VdsError as error:
            raise wire_error(error) from error

    async def stream(call: Call, parameters: msgspec.Struct) -> AsyncIterator[Any]:
        try:
            # Closed with the call: an advise sink that nobody reads any more is told no more.
            async with aclosing(function(*arguments(parameters), call=call)) as replies:
                async for reply in replies:
                    yield reply
        except VdsError as error:
            raise wire_error(error) from error

    if inspect.isasyncgenfunction(function):
        return stream
    return run if inspect.iscoroutinefunction(function) else answer


def _reply(result: Any) -> msgspec.Struct:
    if result is None:
        return Nothing()
    if isinstance(result, Operation):
        return AsyncReply(result.id)
    return result  # type: ignore[no-any-return]  # what a function returns was declared by its annotation


def _check(context: Context, rules: Rules, kinds: tuple[type[Any], ...], id: str | None, *, held: bool = False) -> Any:
    """The object that the call is about, or the error of the first precondition that fails."""
    cache = context.cache
    entity: Entity | None = None
    if id is not None:
        entity = next((found for kind in kinds if (found := cache.inventory.get(kind, id))), None)
        if entity is None:
            if cache.was_deleted(id):
                raise VdsError(Hresult.VDS_E_OBJECT_DELETED, f"{id} was deleted", id)
            raise VdsError(Hresult.VDS_E_OBJECT_NOT_FOUND, f"there is no such object as {id!r}", id)
    if cache.corruption and Hresult.VDS_E_PROVIDER_CACHE_CORRUPT in rules.codes and not rules.recovers:
        raise context.corrupt()
    tries = rules.although_failed or Hresult.VDS_E_OBJECT_STATUS_FAILED not in rules.codes
    if not tries and (reason := _failed(context, entity)):
        raise VdsError(Hresult.VDS_E_OBJECT_STATUS_FAILED, reason, id or context.provider_id)
    if Hresult.VDS_E_ANOTHER_CALL_IN_PROGRESS in rules.codes and not held:
        # A plex is worked on with its LUN.
        subject = entity.lun_id if isinstance(entity, Plex) else id or context.provider_id
        if context.operations.holds.busy(subject):
            raise context.operations.holds.another_call(subject)
    return entity


def _failed(context: Context, entity: Entity | None) -> str:
    match entity:
        case None | Controller() | Port():
            # A node that cannot keep its settings has failed, and with it the provider.
            return context.failure
        case Drive(status=DriveStatus.FAILED, node=node, id=id):
            return f"drive {id} ({node}) has failed"
        case Plex(leg=Leg(health=Health.FAILED), lun_id=lun_id, place=place):
            return f"plex {place} of LUN {lun_id} has failed: a drive of it is missing or broken"
        case Lun(status=LunStatus.FAILED, reason=reason, id=id):
            return f"LUN {id} has failed: {reason}"
        case SubSystem(failed=True, name=name, faults=faults):
            return f"subsystem {name} has failed: none of its pools works: {'; '.join(faults)}"
    return ""
