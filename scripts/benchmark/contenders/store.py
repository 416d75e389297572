"""What it takes for vdsprovd to know afterwards what there is, and nothing else: the rows of all objects in its store."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from time import perf_counter, process_time
from typing import TypeVar

from benchmark.contenders import SIZE, Cost, Work
from benchmark.figures import peak
from benchmark.subject import MOST
from vdsprovd.ids import new_id
from vdsprovd.inventory import Association, Lun, Plex, Portal, PortalGroup, StoragePool, SubSystem, Target
from vdsprovd.model import LunType
from vdsprovd.store import Store

T = TypeVar("T")


class Rows:
    """Writes them as vdsprovd does that is asked for all at once, an intent and an outcome for up to 1,000 targets or LUNs, each
    for sure and with their sums. There is no kernel, no file, no service, and nobody who asks."""

    name = "the rows of it alone"
    luns = 0

    def do(self, work: Work, patience: float) -> Cost:
        """In this process."""
        sub_system = SubSystem(new_id(), "array0", "iqn.2026-11.org.example", "", require_chap=False)
        pool = StoragePool(new_id(), sub_system.id, "files0", work.folder)
        portal = Portal(new_id(), sub_system.id, "127.0.0.1", 3260)
        targets = {name: Target(new_id(), sub_system.id, name, "", require_chap=False) for name in work.targets}
        groups = {name: PortalGroup(new_id(), target.id, 1, (portal.id,)) for name, target in targets.items()}
        luns = list(_luns(work, pool, targets))
        with closing(Store(Path(work.folder, "state"))) as store:
            store.finish(None, put=[sub_system, pool, portal])
            used, begun = process_time(), perf_counter()
            for names in _parts(work.targets):
                step = store.begin("change", claims=names)
                store.finish(step, put=[*(targets[name] for name in names), *(groups[name] for name in names)])
            for some in _parts(luns):
                step = store.begin("create_luns", luns=[[lun.id, lun.pool_id, lun.number] for lun in some])
                store.finish(step, put=[*some, *(Plex(new_id(), lun.id, 0) for lun in some)])
            return Cost(total=perf_counter() - begun, processor=process_time() - used, peak=peak("self"))


def _luns(work: Work, pool: StoragePool, targets: dict[str, Target]) -> Iterator[Lun]:
    places = {name: count() for name in targets}
    for name, number in work.each():
        id = new_id()
        yield Lun(
            id=id,
            sub_system_id=pool.sub_system_id,
            pool_id=pool.id,
            number=number,
            path=f"{work.folder}/pool/{id}.lun",
            name="",
            size=SIZE,
            type=LunType.SIMPLE,
            mask=work.initiators,
            associations=(Association(targets[name].id, next(places[name])),),
        )


def _parts(of: Sequence[T]) -> Iterator[Sequence[T]]:
    return (of[place : place + MOST] for place in range(0, len(of), MOST))
