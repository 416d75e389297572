"""The persistent map of which everything is listed."""

from hypothesis import given
from hypothesis import strategies as some

from vdsprovd.listed import Listed


@given(some.lists(some.tuples(some.booleans(), some.integers(0, 400)), max_size=2000))
def test_it_is_a_dictionary_of_which_older_ones_stay_as_they_were(changes: list[tuple[bool, int]]) -> None:
    """Whatever is put and removed, also when it grows in parts."""
    listed: Listed[str] = Listed()
    known: dict[str, str] = {}
    before, known_before = listed, dict(known)
    for round, (put, number) in enumerate(changes):
        if round % 100 == 0:
            before, known_before = listed, dict(known)
        if put:
            known[str(number)] = f"{number} of {round}"
            listed = listed.insert(str(number), known[str(number)])
        elif known.pop(str(number), None):
            listed = listed.remove(str(number))
        assert len(listed) == len(known)
    assert sorted(listed) == sorted(known.values())
    assert sorted(before) == sorted(known_before.values())


def test_many_entries_are_in_parts_and_all_there() -> None:
    """Growth loses nothing, and a change copies few."""
    listed: Listed[int] = Listed()
    for number in range(5000):
        listed = listed.insert(str(number), number)
    assert sorted(listed) == list(range(5000))
    assert max(len(part) for part in listed._parts) < 500
    for number in range(0, 5000, 2):
        listed = listed.remove(str(number))
    assert sorted(listed) == list(range(1, 5000, 2))
    assert len(listed) == 2500
