"""What the generated proxies for asyncio have in common: they turn a method of Python into one of the wire."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from vdsprovd.client.aio import AsyncOperation

T = TypeVar("T")


class AsyncCaller(ABC):
    """Who makes the calls: a client."""

    @abstractmethod
    async def call(self, method: str, /, **parameters: Any) -> dict[str, Any]:
        """Call a method and return its reply."""

    @abstractmethod
    async def invoke(self, method: str, parameters: Mapping[str, Any], reply: type[T]) -> T:
        """Call a method and return its reply as that type."""

    @abstractmethod
    def replies(self, method: str, parameters: Mapping[str, Any], reply: type[T]) -> AsyncGenerator[T, None]:
        """Call a method with `more` and return its replies, as that type, as they come."""

    @abstractmethod
    async def start(self, method: str, parameters: Mapping[str, Any]) -> "AsyncOperation":
        """Call a method that starts an asynchronous operation."""


class Proxy:
    """Calls methods that need no object."""

    def __init__(self, caller: AsyncCaller) -> None:
        self._caller = caller

    def _parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        # The daemon has the default of what is not given, and an older one may not know the parameter.
        return {name: value for name, value in given.items() if value is not None}

    async def _do(self, method: str, /, **parameters: Any) -> None:
        await self._caller.call(method, **self._parameters(parameters))

    async def _call(self, method: str, reply: type[T], /, **parameters: Any) -> T:
        return await self._caller.invoke(method, self._parameters(parameters), reply)

    async def _start(self, method: str, /, **parameters: Any) -> "AsyncOperation":
        return await self._caller.start(method, self._parameters(parameters))

    def _stream(self, method: str, reply: type[T], /, **parameters: Any) -> AsyncGenerator[T, None]:
        return self._caller.replies(method, self._parameters(parameters), reply)

    async def _each(self, method: str, reply: type[Any], /, **parameters: Any) -> AsyncGenerator[Any, None]:
        """The elements of a reply's one array: there is never more of it here than the daemon sends at once."""
        (array,) = reply.__struct_fields__
        async with aclosing(self._stream(method, reply, **parameters)) as parts:
            async for part in parts:
                for element in getattr(part, array):
                    yield element


class ObjectProxy(Proxy):
    """An object of the daemon, by its id; whether there is one, a call will tell."""

    def __init__(self, caller: AsyncCaller, id: str) -> None:
        super().__init__(caller)
        self.id = id

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"

    def _parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"id": self.id, **super()._parameters(given)}
