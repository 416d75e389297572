"""The test of linearizability finds what it is to find, and nothing else."""

import random
from itertools import permutations

import pytest

from tests.registers import Seen, contradiction


def write(value: str, begin: float, end: float = float("inf")) -> Seen:
    return Seen(True, value, begin, end)


def read(value: str, begin: float, end: float) -> Seen:
    return Seen(False, value, begin, end)


@pytest.mark.parametrize(
    ("history", "wrong"),
    [
        pytest.param([], "", id="nothing"),
        pytest.param([write("a", 0, 1), read("a", 2, 3)], "", id="in order"),
        pytest.param([write("a", 0, 9), read("", 1, 2), read("a", 3, 4)], "", id="while it is written"),
        pytest.param([write("a", 0, 9), read("a", 1, 2), read("", 3, 4)], "came and went", id="forth and back"),
        pytest.param([write("a", 0, 1), read("", 2, 3)], "came and went", id="stale read"),
        pytest.param([write("a", 0, 1), write("b", 2, 3), read("a", 4, 5)], "came and went", id="lost update"),
        pytest.param([write("a", 0, 5), write("b", 1, 6), read("a", 7, 8)], "", id="either may be last"),
        pytest.param(
            [write("a", 0, 5), write("b", 1, 6), read("a", 7, 8), read("b", 9, 10)], "in turn", id="both were last"
        ),
        pytest.param([read("a", 0, 1), write("a", 2, 3)], "before it was written", id="from the future"),
        pytest.param([read("a", 0, 1)], "nobody wrote", id="from nowhere"),
        pytest.param([write("a", 0), read("", 5, 6), read("a", 7, 8)], "", id="unknown outcome, and it happened late"),
        pytest.param([write("a", 0), read("", 5, 6)], "", id="unknown outcome, and it may not have happened"),
        pytest.param(
            [write("a", 0), read("a", 5, 6), read("", 7, 8)], "came and went", id="unknown outcome, seen and gone"
        ),
    ],
)
def test_contradiction(history: list[Seen], wrong: str) -> None:
    """Stale reads, lost updates and values from nowhere are found; overlapping calls may come in any order."""
    found = contradiction(history, "")
    assert bool(found) == bool(wrong), found
    assert wrong in found


def test_a_value_written_twice_cannot_be_judged() -> None:
    """No value may be written twice."""
    with pytest.raises(ValueError, match="twice"):
        contradiction([write("a", 0, 1), write("a", 2, 3)], "")


def possible(history: list[Seen]) -> bool:
    """The definition: an order that keeps what was over before something began, and in which reads see the last write. An
    unknown outcome may be left out."""
    unknown = [call for call in history if call.end == float("inf")]
    for chosen in range(1 << len(unknown)):
        calls = [call for call in history if call not in unknown or chosen >> unknown.index(call) & 1]
        for order in permutations(calls):
            value, latest = "", float("-inf")
            for call in order:
                if call.end < latest or not (call.write or call.value == value):
                    break
                value, latest = str(call.value), max(latest, call.begin)
            else:
                return True
    return False


def test_as_by_definition() -> None:
    """Thousands of short histories are judged as by the definition, and many of either kind are among them."""
    chance = random.Random(1)
    verdicts = []
    for _ in range(4000):
        moments = chance.sample(range(100), 12)
        history = []
        for number in range(chance.randint(2, 6)):
            begin, end = sorted(moments[2 * number : 2 * number + 2])
            if chance.random() < 0.5:
                history.append(write(f"{number}", begin, end if chance.random() < 0.8 else float("inf")))
            else:
                history.append(read(chance.choice(["", "0", "1", "2"]), begin, end))
        verdict = contradiction(history, "") == ""
        assert verdict == possible(history), history
        verdicts.append(verdict)
    assert 400 < sum(verdicts) < 3600
