"""What the generated proxies have in common: they turn a method of Python into one of the wire."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from vdsprovd.client.operation import Operation

T = TypeVar("T")


class Caller(ABC):
    """Who makes the calls: a client."""

    @abstractmethod
    def call(self, method: str, /, **parameters: Any) -> dict[str, Any]:
        """Call a method and return its reply."""

    @abstractmethod
    def invoke(self, method: str, parameters: Mapping[str, Any], reply: type[T]) -> T:
        """Call a method and return its reply as that type."""

    @abstractmethod
    def replies(self, method: str, parameters: Mapping[str, Any], reply: type[T]) -> Iterator[T]:
        """Call a method with `more` and return its replies, as that type, as they come."""

    @abstractmethod
    def start(self, method: str, parameters: Mapping[str, Any]) -> "Operation":
        """Call a method that starts an asynchronous operation."""


class Proxy:
    """Calls methods that need no object."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def _parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        # The daemon has the default of what is not given, and an older one may not know the parameter.
        return {name: value for name, value in given.items() if value is not None}

    def _do(self, method: str, /, **parameters: Any) -> None:
        self._caller.call(method, **self._parameters(parameters))

    def _call(self, method: str, reply: type[T], /, **parameters: Any) -> T:
        return self._caller.invoke(method, self._parameters(parameters), reply)

    def _start(self, method: str, /, **parameters: Any) -> "Operation":
        return self._caller.start(method, self._parameters(parameters))

    def _stream(self, method: str, reply: type[T], /, **parameters: Any) -> Iterator[T]:
        return self._caller.replies(method, self._parameters(parameters), reply)

    def _each(self, method: str, reply: type[Any], /, **parameters: Any) -> Iterator[Any]:
        """The elements of a reply's one array: there is never more of it here than the daemon sends at once."""
        (array,) = reply.__struct_fields__
        for part in self._stream(method, reply, **parameters):
            yield from getattr(part, array)


class ObjectProxy(Proxy):
    """An object of the daemon, by its id; whether there is one, a call will tell."""

    def __init__(self, caller: Caller, id: str) -> None:
        super().__init__(caller)
        self.id = id

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"

    def _parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"id": self.id, **super()._parameters(given)}
