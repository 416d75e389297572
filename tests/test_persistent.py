"""The persistent map of which the inventory is made."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from vdsprovd.persistent import PersistentMap


@given(some.lists(some.tuples(some.booleans(), some.integers(0, 400)), max_size=2000))
def test_it_is_a_dictionary_of_which_older_ones_stay_as_they_were(changes: list[tuple[bool, int]]) -> None:
    """Whatever is put and removed, also when it grows in parts."""
    found: PersistentMap[int, str] = PersistentMap()
    known: dict[int, str] = {}
    before, known_before = found, dict(known)
    for round, (put, key) in enumerate(changes):
        if round % 100 == 0:
            before, known_before = found, dict(known)
        if put:
            known[key] = f"{key} of {round}"
            found = found.insert(key, known[key])
        else:
            known.pop(key, None)
            found = found.discard(key)
        assert len(found) == len(known)
        assert (key in found) == (key in known)
        assert found.get(key) == known.get(key)
    assert dict(found.items()) == known
    assert sorted(found) == sorted(known)
    assert sorted(found.values()) == sorted(known.values())
    assert dict(before.items()) == known_before
    assert found == PersistentMap(known)
    assert hash(found) == hash(PersistentMap(known))
    assert (before == found) == (known_before == known)


@given(
    some.dictionaries(some.integers(0, 400), some.integers()),
    some.dictionaries(some.integers(0, 2000), some.integers()),
)
def test_many_changes_at_once_are_as_one_after_the_other(known: dict[int, int], more: dict[int, int]) -> None:
    """Also when it grows in parts; the one before stays as it was."""
    before = PersistentMap(known)
    after = before.update(more)
    assert dict(after.items()) == known | more
    assert len(after) == len(known | more)
    assert max(len(part) for part in after._parts) < 500
    assert dict(before.items()) == known


def test_many_entries_are_in_parts_and_all_there() -> None:
    """Growth loses nothing, a change copies few, and what is made at once is as what is made one by one."""
    found: PersistentMap[str, int] = PersistentMap()
    for number in range(5000):
        found = found.insert(str(number), number)
    assert found == PersistentMap({str(number): number for number in range(5000)})
    assert sorted(found.values()) == list(range(5000))
    assert max(len(part) for part in found._parts) < 500
    for number in range(0, 5000, 2):
        found = found.remove(str(number))
    assert sorted(found.values()) == list(range(1, 5000, 2))
    with pytest.raises(KeyError):
        found.remove("0")
    with pytest.raises(KeyError):
        found["0"]
