"""A pool without drives, as one of files is."""

import threading
from collections.abc import Collection, Mapping, Sequence

from vdsprovd.hardware import (
    Condition,
    Fill,
    HardwareError,
    Layout,
    Leg,
    Mismatch,
    NoSpace,
    Progress,
    Space,
    Unsupported,
    VolumeFailed,
    VolumeState,
)
from vdsprovd.hardware.simulator.delay import sleep
from vdsprovd.model import LunType


class SimulatedPool:
    """A pool of sizes without bytes. `broken` maps a LUN's id to the state that its volume shall show."""

    granule = 4096
    sparse = False
    block = False
    types: Collection[LunType] = (LunType.SIMPLE,)

    def __init__(self, total: int, delay: float = 0.0) -> None:
        self.total = total
        self.delay = delay
        self.sizes: dict[str, int] = {}
        self.broken: dict[str, VolumeState] = {}
        self.others: dict[str, int] = {}
        """For tests: the sizes of what others have there, by path."""
        self._used = 0
        self._lock = threading.Lock()

    def space(self) -> Space:
        return Space(self.total, self.total - self._used)

    def fill(self) -> Fill | None:
        return Fill(self.total, self._used)

    def largest(self, layout: Layout) -> int:
        self._check(layout)
        return self.space().free // self.granule * self.granule

    def growth(self, lun: str, drives: Sequence[str] = ()) -> int:
        return self.largest(Layout(drives=tuple(drives)))

    def path(self, lun: str) -> str:
        return f"/simulated/{lun}"

    def _check(self, layout: Layout) -> None:
        if layout.type not in self.types or layout.drives:
            raise Unsupported("the pool has neither drives nor other types than simple")

    def create(self, lun: str, size: int, layout: Layout, progress: Progress) -> None:
        self._check(layout)
        if lun in self.sizes:
            raise Mismatch(f"cannot create volume {lun}: it exists")
        self._set(lun, size, progress)

    def flush(self, luns: Sequence[str]) -> Mapping[str, VolumeState]:
        return self.glance(luns)

    def resize(self, lun: str, size: int, drives: Sequence[str], progress: Progress) -> None:
        self._check(Layout(drives=tuple(drives)))
        if lun not in self.sizes:
            raise Mismatch(f"cannot resize volume {lun}: it does not exist")
        self._set(lun, size, progress)

    def _set(self, lun: str, size: int, progress: Progress) -> None:
        with self._lock:
            growth = size - self.sizes.get(lun, 0)
            if growth > self.total - self._used:
                raise NoSpace(f"{growth} bytes are wanted and {self.total - self._used} are free")
            self._used += growth
        try:
            for percent in range(0, 100, 20):
                progress(percent)
                sleep(self.delay / 5)
        except HardwareError:
            with self._lock:
                self._used -= growth
            raise
        self.sizes[lun] = size

    def delete(self, lun: str) -> None:
        if lun in self.broken:
            raise VolumeFailed(f"cannot wipe LUN {lun}: {self.broken[lun].reason}")
        with self._lock:
            self._used -= self.sizes.pop(lun, 0)

    def probe(self, lun: str) -> VolumeState:
        if lun in self.broken:
            return self.broken[lun]
        if lun not in self.sizes:
            return VolumeState(Condition.MISSING, "the volume does not exist")
        return VolumeState(Condition.GOOD, size=self.sizes[lun], legs=(Leg(),))

    def survey(self, luns: Collection[str], wake: Collection[str] = ()) -> Mapping[str, VolumeState]:
        return {lun: self.probe(lun) for lun in luns}

    def glance(self, luns: Collection[str]) -> Mapping[str, VolumeState]:
        return {lun: self.probe(lun) for lun in luns}

    def volumes(self) -> Collection[str]:
        return list(self.sizes)

    def find(self, path: str) -> VolumeState | None:
        size = self.others.get(path)
        return None if size is None else VolumeState(Condition.GOOD, size=size, legs=(Leg(),), type=LunType.SIMPLE)

    def take_in(self, lun: str, path: str) -> None:
        self._set(lun, self.others.pop(path), lambda _percent: None)

    def give_back(self, lun: str, path: str) -> None:
        if lun in self.sizes:
            self.others[path] = self.sizes[lun]
            self.delete(lun)
