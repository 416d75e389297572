"""From one set of facts to another: in which order the kernel accepts it, and how what was begun is undone."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import TYPE_CHECKING

from vdsprovd import garbage
from vdsprovd.hardware.errors import HardwareError, Mismatch
from vdsprovd.hardware.facts import Credentials, Fact, Step
from vdsprovd.side_by_side import MOST, side_by_side

if TYPE_CHECKING:
    from vdsprovd.hardware import Hardware


def steps(before: Iterable[Fact], after: Iterable[Fact]) -> list[Step]:
    """What leads from one set of facts to another, in an order that the kernel accepts: removals from the outside in,
    then changes and additions from the inside out."""
    old = {fact.key: fact for fact in before}
    new = {fact.key: fact for fact in after}
    differ = [(fact, there) for key, fact in new.items() if (there := old.get(key)) != fact]
    remade = {
        fact.key
        for fact, there in differ
        if there and any(getattr(fact, field) != getattr(there, field) for field in fact.fixed)
    }
    if remade:
        for fact in sorted(old.values(), key=_rank):
            if not remade.isdisjoint(fact.needs):
                remade.add(fact.key)
        differ = [(fact, there) for fact, there in differ if fact.key not in remade]
        differ += [(fact, None) for key, fact in new.items() if key in remade]
    removed = [fact for key, fact in old.items() if key not in new or key in remade]
    garbage.let_go(old, new)
    return [
        *(Step(fact, None) for fact in sorted(removed, key=_rank, reverse=True)),
        *(Step(there, fact) for fact, there in sorted(differ, key=lambda pair: pair[0].rank)),
    ]


def _rank(fact: Fact) -> int:
    return fact.rank


def verify(hardware: "Hardware", facts: Iterable[Fact]) -> None:
    """See that the host is as these facts say, at their cost alone. Raises `Mismatch` for what is missing or another."""
    expected = {fact.key: fact for fact in facts}
    there = {fact.key: fact for fact in hardware.look(list(expected))} if expected else {}
    for key, fact in expected.items():
        if (found := there.get(key)) is None:
            raise Mismatch(f"{fact} is not in the kernel")
        if found != fact:
            raise Mismatch(f"{fact} was changed by somebody else: {changes(fact, found)}")


def changes(wanted: Fact, there: Fact) -> str:
    """Which settings differ, for people; secrets are not told."""
    fields = wanted.__struct_fields__[wanted.identity :]
    pairs = ((field, getattr(wanted, field), getattr(there, field)) for field in fields)
    return ", ".join(
        f"other {field}" if isinstance(old, Credentials) else f"{field} is {new!r} instead of {old!r}"
        for field, old, new in pairs
        if old != new
    )


_MANY = 64
"""Steps from which on it pays to have threads ready for those that the kernel sleeps over."""


def rests_on(wanted: Sequence[Step], before: Iterable[Fact]) -> list[Fact]:
    """What of the facts before must be so for the steps to do what they are for: what is changed or removed, and what is
    there already of the objects that added ones need."""
    there = {fact.key: fact for fact in before}
    needed = {key for step in wanted if step.after for key in step.after.needs} if there else ()
    return [*(step.before for step in wanted if step.before), *(there[key] for key in needed if key in there)]


def realize(hardware: "Hardware", wanted: Sequence[Step], before: Iterable[Fact] = ()) -> None:
    """Take the steps in order, if the host is as they and the facts before have it; when one fails, undo those taken, and
    raise what failed."""
    verify(hardware, rests_on(wanted, before))
    taken: list[Step] = []
    try:
        if len(wanted) < _MANY:
            for step in wanted:
                hardware.take(step)
                taken.append(step)
            return
        with hardware.taker() as take:

            def noted(step: Step) -> None:
                take(step)
                taken.append(step)

            for done in _by_kind(noted, wanted):
                for _, error in done:
                    if error:
                        raise error
    except Exception as error:
        undo(hardware, taken, error)
        raise


def attempt(hardware: "Hardware", wanted: Sequence[Step]) -> Iterator[tuple[Step, HardwareError | None]]:
    """Take the steps, each whatever became of the others, and give what became of it."""
    with hardware.taker() as take:
        for done in _by_kind(take, wanted):
            yield from done


def _by_kind(
    take: Callable[[Step], None], wanted: Iterable[Step]
) -> Iterator[Sequence[tuple[Step, HardwareError | None]]]:
    """Take the steps, those of one kind before those of the next, and give what became of them. Those of one kind need nothing
    of each other and are taken side by side while the kernel sleeps, through a grace period of RCU mostly."""

    def outcome(step: Step) -> HardwareError | None:
        try:
            take(step)
        except HardwareError as error:
            return error
        return None

    with ThreadPoolExecutor(MOST, "vdsprovd-steps") as workers:
        for _, group in groupby(wanted, lambda step: (step.after is None, type(step.after or step.before))):
            batch = list(group)
            yield list(zip(batch, side_by_side(workers, outcome, batch, str), strict=True))


def undo(hardware: "Hardware", taken: Sequence[Step], error: Exception) -> None:
    """Undo the steps, the last first, because of the error; one that cannot be undone becomes a note of the error, and
    the others are undone all the same."""
    for step in reversed(taken):
        try:
            hardware.take(step.inverse)
        except Exception as second:
            error.add_note(f"and could not be undone: {second}")
