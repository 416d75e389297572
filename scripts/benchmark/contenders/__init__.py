"""Who does the same work: make LUNs, each a sparse file of 1 MiB, in targets that initiators may log in to, so that it
lasts. One module for each, and `all` names them."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

SIZE = 1 << 20
"""Bytes of a LUN."""


@dataclass(frozen=True)
class Work:
    """LUNs to be made: of each target so many, numbered through from `first`."""

    folder: str
    """Where their files are, and what the contender writes down."""
    targets: tuple[str, ...]
    """iSCSI names."""
    luns: int
    """In each target."""
    initiators: tuple[str, ...]
    """Who sees the LUNs."""
    first: int = 0
    """The lowest number that nobody uses."""
    new_targets: bool = False
    """The targets and the ACLs are not there yet."""

    def each(self) -> Iterator[tuple[str, int]]:
        """The target and number of each LUN."""
        numbers = iter(range(self.first, self.first + len(self.targets) * self.luns))
        for target in self.targets:
            for _ in range(self.luns):
                yield target, next(numbers)

    def file(self, number: int) -> str:
        """The file of that LUN."""
        return f"{self.folder}/lun-{number}"

    def as_json(self) -> dict[str, Any]:
        """For a worker's command line."""
        return asdict(self)


@dataclass
class Cost:
    """What it took."""

    seconds: list[float] = field(default_factory=list)
    """For each LUN, with what makes it last. One who cannot tell gives the mean for each."""
    total: float = 0.0
    """Seconds, for all of the work, targets included."""
    processor: float = 0.0
    """Seconds of processor time."""
    peak: float = 0.0
    """MiB of memory, at most."""


class Contender(Protocol):
    """Somebody who can do the work. It is killed, and raises TimeoutError, where it takes longer than `patience`."""

    name: str
    luns: int
    """How many LUNs are enough to know what one costs."""

    def do(self, work: Work, patience: float) -> Cost:
        """Do it."""
        ...
