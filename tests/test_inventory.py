"""The inventory: objects that come together are as if they came one after the other."""

from hypothesis import given
from hypothesis import strategies as some

from vdsprovd.inventory import Association, Entity, Inventory, Lun, Plex, Target
from vdsprovd.model import LunType

TARGETS = [Target(f"target{n}", "array0", f"iqn.2026-11.org.example:{n}", "", True) for n in range(3)]
INITIATORS = [f"iqn.2026-11.org.example:host{n}" for n in range(4)]


@some.composite
def luns(draw: some.DrawFn) -> list[Entity]:
    """Up to 40 LUNs, each with its plexes, some of them several times with other masks and in other targets."""
    made: list[Entity] = []
    for number in draw(some.lists(some.integers(0, 40), max_size=60)):
        id = f"lun{number}"
        made += [Plex(f"{id}.{place}", id, place) for place in range(draw(some.integers(1, 2)))]
        made.append(
            Lun(
                id=id,
                sub_system_id="array0",
                pool_id="files0",
                number=number,
                path=f"/pool/{id}",
                name=draw(some.sampled_from(["one", "another"])),
                size=1,
                type=LunType.SIMPLE,
                mask=tuple(draw(some.sets(some.sampled_from(INITIATORS)))),
                associations=tuple(Association(t.id, number) for t in draw(some.sets(some.sampled_from(TARGETS)))),
            )
        )
    return made


@given(luns(), luns())
def test_together_or_one_by_one(first: list[Entity], then: list[Entity]) -> None:
    """Whatever was there before; and when all are gone, so is what indexes had of them."""
    there = Inventory().put(*TARGETS, *first)
    one_by_one = there
    for entity in then:
        one_by_one = one_by_one.put(entity)
    together = there.put(*then)
    assert together == one_by_one
    assert together.put(*then) == together
    gone = together.drop(*(plex.id for plex in together.all(Plex)), *(lun.id for lun in together.all(Lun)))
    empty = Inventory().put(*TARGETS)
    assert (gone.objects, gone.luns_of_target, gone.initiator_uses, gone.plexes_of_lun) == (
        empty.objects,
        empty.luns_of_target,
        empty.initiator_uses,
        empty.plexes_of_lun,
    )
