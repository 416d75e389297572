"""The hardware port: what both adapters promise, and the order of work that a difference of facts makes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.arrays import ADDRESS, INITIATOR, MIB, OTHER_INITIATOR, clear_kernel
from tests.arrays.facts import CREDENTIALS, IQN, LUN
from vdsprovd.hardware import (
    Acl,
    Credentials,
    Disk,
    Fact,
    Grant,
    Group,
    Hardware,
    HardwareError,
    Listener,
    Mismatch,
    Step,
    TargetNode,
    Unit,
    realize,
    steps,
)
from vdsprovd.hardware.pools.files import FilesPool
from vdsprovd.hardware.simulator import Simulator


@pytest.fixture(params=["simulator", pytest.param("lio", marks=pytest.mark.lab)])
def hardware(request: pytest.FixtureRequest) -> Iterator[Hardware]:
    """Each adapter, empty."""
    if request.param == "simulator":
        yield Simulator({})
    else:
        from vdsprovd.hardware.lio import Lio

        clear_kernel()
        yield Lio({})
        clear_kernel()


@pytest.fixture(params=["one by one", "many"])
def take(request: pytest.FixtureRequest, hardware: Hardware) -> Iterator[Callable[[Step], None]]:
    """Each way of taking steps."""
    if request.param == "one by one":
        yield hardware.take
    else:
        with hardware.taker() as take:
            yield take


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # rtslib's use of pyudev


def test_what_is_added_is_read_and_what_is_removed_is_not(
    hardware: Hardware, take: Callable[[Step], None], facts: list[Fact]
) -> None:
    """Each fact is read back as it was added, secrets included; removed in reverse, nothing is left."""
    for count, fact in enumerate(facts, 1):
        take(Step(None, fact))
        assert {entry.key: entry for entry in hardware.read()} == {entry.key: entry for entry in facts[:count]}
    for fact in reversed(facts):
        take(Step(fact, None))
        assert fact.key not in {entry.key for entry in hardware.read()}
    assert list(hardware.read()) == []


def test_adding_what_is_there_is_a_mismatch(
    hardware: Hardware, take: Callable[[Step], None], facts: list[Fact]
) -> None:
    """It proves that the caller's picture is wrong, and changes nothing. An ACL is adopted: its settings are set."""
    realize(hardware, steps([], facts))
    for fact in facts:
        if isinstance(fact, Acl):
            take(Step(None, fact))
        else:
            with pytest.raises(Mismatch):
                take(Step(None, fact))
    assert {entry.key: entry for entry in hardware.read()} == {entry.key: entry for entry in facts}


def test_relying_on_what_is_not_there_is_a_mismatch(
    hardware: Hardware, take: Callable[[Step], None], facts: list[Fact]
) -> None:
    """Removing what is missing, and adding to what is missing, are mismatches."""
    for fact in facts:
        with pytest.raises(Mismatch):
            take(Step(fact, None))
        if fact.needs:
            with pytest.raises(Mismatch):
                take(Step(None, fact))
    assert list(hardware.read()) == []
    with pytest.raises(Mismatch):
        hardware.sessions(IQN)
    with pytest.raises(Mismatch):
        hardware.identity(Disk(LUN, 5, "/x", MIB))


def test_what_is_in_use_is_not_removed(hardware: Hardware, take: Callable[[Step], None], facts: list[Fact]) -> None:
    """The kernel refuses to remove what others need."""
    realize(hardware, steps([], facts))
    for fact in facts:
        if any(fact.key in other.needs for other in facts) and not isinstance(fact, Unit):
            with pytest.raises(HardwareError):
                take(Step(fact, None))


def test_settings_are_changed_in_place(hardware: Hardware, facts: list[Fact], tmp_path: Path) -> None:
    """A disk's size, a group's settings and an ACL's secrets change without removing anything."""
    realize(hardware, steps([], facts))
    pool = FilesPool(tmp_path)
    pool.resize(LUN, 2 * MIB, (), lambda _percent: None)
    changed = [
        Disk(LUN, 5, pool.path(LUN), 2 * MIB),
        Group(IQN, 1, enabled=False, authentication=False, alias="Other"),
        Acl(IQN, 1, INITIATOR, Credentials()),
    ]
    keys = {fact.key for fact in changed}
    wanted = [*(fact for fact in facts if fact.key not in keys), *changed]
    work = steps(hardware.read(), wanted)
    assert all(step.before and step.after for step in work)
    assert len(work) == 3
    realize(hardware, work)
    assert {entry.key: entry for entry in hardware.read()} == {entry.key: entry for entry in wanted}


def test_a_portal_group_is_made_as_it_shall_be(hardware: Hardware) -> None:
    """Whichever came before it."""
    wanted: list[Fact] = []
    for number, (authentication, enabled) in enumerate([(True, True), (False, True), (True, False), (False, False)]):
        target = f"{IQN}-{number}"
        wanted += [TargetNode(target), Group(target, 1, enabled=enabled, authentication=authentication, alias=target)]
    for fact in wanted:
        hardware.take(Step(None, fact))
    assert {fact.key: fact for fact in hardware.read()} == {fact.key: fact for fact in wanted}


def test_it_knows_identity_targets_and_sessions(hardware: Hardware, facts: list[Fact]) -> None:
    """A disk's serial is the LUN's id; a target is known by its name; nobody is logged in."""
    realize(hardware, steps([], facts))
    disk = facts[0]
    assert isinstance(disk, Disk)
    found = hardware.identity(disk)
    assert (found.vendor, found.product, found.serial) == ("LIO-ORG ", "vdsprovd        ", LUN)
    for others in (1, 100):  # a few names are looked for otherwise than many
        assert list(hardware.existing([IQN, *(f"{IQN}x{number}" for number in range(others))])) == [IQN]
    assert list(hardware.sessions(IQN)) == []
    assert "127.0.0.1" in hardware.addresses()


def test_a_refused_step_undoes_the_ones_before(hardware: Hardware, facts: list[Fact]) -> None:
    """When the last of several steps fails the host is as before."""
    realize(hardware, steps([], facts[:3]))
    wrong = Grant(IQN, 1, OTHER_INITIATOR, 9, 9)
    with pytest.raises(Mismatch):
        realize(hardware, [*steps([], facts[3:]), Step(None, wrong)])
    assert {entry.key for entry in hardware.read()} == {entry.key for entry in facts[:3]}


# The order of work.

_NAMES = st.sampled_from(["iqn.a", "iqn.b"])
_SMALL = st.integers(1, 2)
_LUNS = st.sampled_from(["x", "y"])
_CREDENTIALS = st.sampled_from([Credentials(), CREDENTIALS])
_FACTS = st.one_of(
    st.builds(Disk, _LUNS, st.just(1), st.just("/p"), _SMALL),
    st.builds(TargetNode, _NAMES),
    st.builds(Group, _NAMES, _SMALL, st.booleans(), st.booleans(), st.just("")),
    st.builds(Unit, _NAMES, _SMALL, _SMALL, _LUNS, st.just(1)),
    st.builds(Acl, _NAMES, _SMALL, _LUNS, _CREDENTIALS),
    st.builds(Grant, _NAMES, _SMALL, _LUNS, _SMALL, _SMALL),
    st.builds(Listener, _NAMES, _SMALL, st.just(ADDRESS), _SMALL),
)


def closed(found: list[Fact]) -> list[Fact]:
    """The facts that have all that they need among them, each object once."""
    kept = {fact.key: fact for fact in found}
    while True:
        left = {key: fact for key, fact in kept.items() if kept.keys() >= set(fact.needs)}
        if len(left) == len(kept):
            return list(left.values())
        kept = left


@given(st.lists(_FACTS, max_size=40).map(closed), st.lists(_FACTS, max_size=40).map(closed))
def test_any_difference_is_taken_in_an_order_that_works(before: list[Fact], after: list[Fact]) -> None:
    """From any state to any other, and back by the inverse steps, no step meets a missing or a present object."""
    hardware = Simulator({})
    realize(hardware, steps([], before))
    work = steps(before, after)
    realize(hardware, work)
    assert {fact.key: fact for fact in hardware.read()} == {fact.key: fact for fact in after}
    realize(hardware, [step.inverse for step in reversed(work)])
    assert {fact.key: fact for fact in hardware.read()} == {fact.key: fact for fact in before}


def test_secrets_do_not_show_themselves() -> None:
    """Neither a secret nor what holds it shows it when printed."""
    acl = Acl(IQN, 1, INITIATOR, CREDENTIALS)
    for text in (repr(acl), str(acl), repr(Step(None, acl)), f"{CREDENTIALS}"):
        assert "twelve-bytes" not in text
        assert "fourteen-bytes" not in text
