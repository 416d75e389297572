"""Where what the system raises becomes what adapters raise."""

from abc import ABC, abstractmethod
from types import TracebackType

from vdsprovd.asking import asking
from vdsprovd.hardware.errors import HardwareError


class Door(asking, ABC):
    """This thread asks the kernel for that, which completes "cannot ...", as long as the context lasts. What is raised in it is
    translated; `HardwareError`s go through."""

    __slots__ = ()

    @abstractmethod
    def translated(self, what: object, error: Exception) -> HardwareError | None:
        """The error as adapters raise it, None to let it through."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        if not isinstance(error, Exception) or isinstance(error, HardwareError):
            return
        if other := self.translated(self._to, error):
            raise other from error
