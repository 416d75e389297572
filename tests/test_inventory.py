"""The inventory: objects that come together are as if they came one after the other."""

from itertools import chain

from hypothesis import given
from hypothesis import strategies as some

from vdsprovd.inventory import (
    Association,
    Controller,
    Entity,
    Inventory,
    Lun,
    Plex,
    Port,
    PortalGroup,
    Target,
)
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


@some.composite
def targets(draw: some.DrawFn) -> list[Entity]:
    """Targets under one name or another, each with two portal groups of some portals, some of them several times."""
    made: list[Entity] = []
    for number in draw(some.lists(some.integers(0, 8), max_size=16)):
        name = f"iqn.2026-11.org.example:{draw(some.sampled_from(['', 'renamed']))}{number}"
        made.append(Target(f"target{number}", "array0", name, "", True))
        for tag in (1, 2):
            portals = tuple(draw(some.sets(some.sampled_from(["portal0", "portal1", "portal2"]))))
            made.append(PortalGroup(f"group{number}.{tag}", f"target{number}", tag, portals))
    return made


@some.composite
def nodes(draw: some.DrawFn) -> list[Entity]:
    """The controllers and ports of two arrays, on or off."""
    return [
        node
        for array in ("array0", "array1")
        for node in (
            Controller(f"{array}.controller", array, online=draw(some.booleans())),
            Port(f"{array}.port", array, f"{array}.controller", online=draw(some.booleans())),
        )
    ]


@given(some.tuples(targets(), nodes()), some.tuples(targets(), nodes()))
def test_targets_and_nodes_together_or_one_by_one(
    first: tuple[list[Entity], list[Entity]], then: tuple[list[Entity], list[Entity]]
) -> None:
    """Whatever was there before, and under whatever name."""
    there = one_by_one = Inventory().put(*chain(*first))
    for entity in chain(*then):
        one_by_one = one_by_one.put(entity)
    together = there.put(*chain(*then))
    assert together == one_by_one
    names = {target.iscsi_name: target.id for target in together.all(Target)}
    assert dict(together.target_by_name.items()) == names
    all_nodes: list[Controller | Port] = [*together.all(Controller), *together.all(Port)]
    off = {node.sub_system_id for node in all_nodes if not node.online}
    assert dict(together.served.items()) == {"array0": "array0" not in off, "array1": "array1" not in off}
    for group in together.all(PortalGroup):
        assert together.groups_of_target[group.target_id][group.tag] == group.id
        assert all((group.id in together.groups_of_portal[id]) for id in group.portal_ids)
    empty = together.drop(*(group.id for group in together.all(PortalGroup)))
    assert not empty.groups_of_portal
    assert not empty.groups_of_target


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
