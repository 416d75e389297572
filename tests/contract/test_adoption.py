"""What somebody else exports becomes the provider's, or is refused for a reason: the rules, on the simulator."""

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest

from tests.arrays import INITIATOR, MIB, OTHER_INITIATOR, SECRET, Array, Reply, SimulatedArray
from tests.contract.test_rescue import forget_backups, lose_file
from vdsprovd.hardware import (
    Access,
    Acl,
    Credentials,
    Disk,
    Fact,
    Grant,
    Group,
    Listener,
    Mismatch,
    Refused,
    Secret,
    Step,
    TargetNode,
    Unit,
    steps,
)

THEIRS = "iqn.2003-01.org.example:theirs"
ALSO_THEIRS = "iqn.2003-01.org.example:also"
NO_CHAP = Credentials()


def a_disk(array: SimulatedArray, place: int = -2, size: int = 8 * MIB, **settings: Any) -> Disk:
    """A disk as somebody's tool makes it, with its bytes where the pool files0 can take them from."""
    path = f"/theirs/disk{place}.img"
    array.pool.others[path] = size
    return Disk(str(uuid.uuid4()), place, path, size, **{"product": "disk", **settings})


def a_target(
    disks: Sequence[Disk],
    name: str = THEIRS,
    tag: int = 1,
    initiators: Iterable[str] = (INITIATOR,),
    credentials: Credentials = NO_CHAP,
    **group: Any,
) -> list[Fact]:
    """A target with a portal group that shows the disks to the initiators."""
    settings = {"enabled": True, "authentication": False, "alias": "LIO Target", **group}
    return [
        TargetNode(name),
        Group(name, tag, **settings),
        *(Unit(name, tag, index, disk.lun, disk.number) for index, disk in enumerate(disks)),
        *(Acl(name, tag, initiator, credentials) for initiator in initiators),
        *(Grant(name, tag, initiator, i, i) for initiator in initiators for i, _ in enumerate(disks)),
        Listener(name, tag, "0.0.0.0", 3260 + tag),
    ]


def export(array: SimulatedArray, *facts: Iterable[Fact]) -> None:
    """Somebody exports that."""
    array.meddle(steps([], [fact for some in facts for fact in some]))


@pytest.fixture
def array(simulated: SimulatedArray) -> SimulatedArray:
    """An array whose new targets ask for no CHAP."""
    for sub_system in simulated.configuration["subsystem"]:
        sub_system["require-chap"] = False
    simulated.restart()
    return simulated


def planned(array: Array, *targets: str) -> dict[str, Reply]:
    """The plan, by the names of the objects."""
    return {entry["name"]: entry for entry in array.call("Service.QueryAdoption", targets=targets)["objects"]}


def refusal(array: Array, name: str = THEIRS) -> str:
    """Why the object is not adopted."""
    entry = planned(array)[name]
    assert not entry.get("adopted")
    return "; ".join(entry["obstacles"])


def adopt(array: Array, *targets: str) -> Reply:
    """Adopt what the plan says."""
    plan = array.call("Service.QueryAdoption", targets=targets)
    return array.call("Service.Adopt", digest=plan["digest"], targets=targets)


@pytest.mark.shows("Service.QueryAdoption")
@pytest.mark.shows("Service.Adopt")
def test_it_is_ours_as_it_is(array: SimulatedArray) -> None:
    """The kernel's objects stay as they are but for the bytes' name; the provider has them with all settings, and a start,
    Refresh and the audit find nothing to do. After a reboot the LUN is where ours are, with its number, serial number and
    product."""
    disk = a_disk(array)
    export(array, [disk], a_target([disk], credentials=Credentials("me", Secret(SECRET)), authentication=True))
    before = set(array.facts())
    (storage, target) = array.call("Service.QueryAdoption")["objects"]
    assert (storage["adopted"], storage["id"], target["adopted"]) == (True, disk.lun, True)
    assert set(array.facts()) == before
    made = adopt(array)
    assert made["luns"] == [disk.lun]
    moved = msgspec.structs.replace(disk, path=array.pool.path(disk.lun))
    after = (before - {disk}) | {moved}
    assert set(array.facts()) == after
    for again in (lambda: array.call("HwProvider.Refresh"), array.restart):
        again()
        assert set(array.facts()) == after
    assert planned(array) == {}
    found = array.call("Lun.GetProperties", id=disk.lun)["properties"]
    assert (found["size"], found["unmaskingList"], found["status"]) == (disk.size, INITIATOR, "online")
    assert array.associated(disk.lun) == made["targets"]
    array.reboot()
    (remade,) = (fact for fact in array.facts() if isinstance(fact, Disk))
    assert remade == msgspec.structs.replace(moved, number=remade.number)
    assert remade.number > 0
    others = {fact for fact in array.facts() if not isinstance(fact, Disk | Unit)}
    assert others == {fact for fact in after if not isinstance(fact, Disk | Unit)}
    array.restart()
    assert remade in set(array.facts())


def test_it_can_be_changed_and_deleted(array: SimulatedArray) -> None:
    """Commands do with an adopted LUN and target what they do with others."""
    disk = a_disk(array)
    export(array, [disk], a_target([disk]))
    (target,) = adopt(array)["targets"]
    array.call("Lun.SetMask", id=disk.lun, unmaskingList=OTHER_INITIATOR)
    array.wait(array.call("Lun.Extend", id=disk.lun, numberOfBytesToAdd=MIB))
    array.call("LunIscsi.AssociateTargets", id=disk.lun, targetIds=[])
    array.call("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret=SECRET, initiatorName=INITIATOR)
    array.call("Lun.Delete", id=disk.lun)
    array.wait(array.call("IscsiTarget.Delete", id=target))
    assert set(array.facts()) == set()


def test_chap_names_stay(array: SimulatedArray) -> None:
    """Initiators log in after a reboot with the CHAP names that they have, until their secrets are cleared."""
    disk = a_disk(array)
    mine = Credentials("me", Secret(SECRET), "you", Secret("another-secret"))
    export(array, [disk], a_target([disk], credentials=mine, authentication=True))
    (target,) = adopt(array)["targets"]
    array.reboot()
    acl = Acl(THEIRS, 1, INITIATOR, mine)
    assert acl in set(array.facts())
    for secret, name in (("a-new-secret", "me"), (None, None), ("a-new-secret", INITIATOR)):
        array.call("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret=secret, initiatorName=INITIATOR)
        (found,) = (fact for fact in array.facts() if isinstance(fact, Acl))
        assert found.credentials.user == name


@pytest.mark.shows("Service.Adopt", "VDS_E_INVALID_OPERATION")
def test_a_plan_that_is_not_true_any_more(array: SimulatedArray) -> None:
    """What changed since the plan was made, a secret included, makes another digest; and of nothing nothing is made."""
    disk = a_disk(array)
    assert (
        array.error("Service.Adopt", digest=array.call("Service.QueryAdoption")["digest"]) == "VDS_E_INVALID_OPERATION"
    )
    export(array, [disk], a_target([disk], credentials=Credentials("me", Secret(SECRET)), authentication=True))
    digest = array.call("Service.QueryAdoption")["digest"]
    assert array.call("Service.QueryAdoption")["digest"] == digest
    before, after = (
        Acl(THEIRS, 1, INITIATOR, Credentials("me", Secret(secret))) for secret in (SECRET, "other-secret")
    )
    array.meddle([Step(before, after)])
    assert array.error("Service.Adopt", digest=digest) == "VDS_E_INVALID_OPERATION"
    assert array.call("SubSystem.QueryLuns", id=array.sub_system) == {"luns": []}


@pytest.mark.shows("Service.QueryAdoption", "VDS_E_OBJECT_NOT_FOUND")
@pytest.mark.shows("Service.Adopt", "VDS_E_OBJECT_NOT_FOUND")
def test_only_the_targets_that_are_named(array: SimulatedArray) -> None:
    """With the disks behind them; a disk that is in another target too stays, and with it its targets."""
    one, two, both = (a_disk(array, place) for place in (-2, -3, -4))
    export(array, [one, two, both], a_target([one]), a_target([two, both], ALSO_THEIRS))
    assert set(planned(array, THEIRS)) == {f"-2/{one.lun}", THEIRS}
    assert adopt(array, THEIRS)["luns"] == [one.lun]
    assert array.error("Service.QueryAdoption", targets=[THEIRS]) == "VDS_E_OBJECT_NOT_FOUND"
    assert array.error("Service.Adopt", digest="", targets=[THEIRS]) == "VDS_E_OBJECT_NOT_FOUND"
    third = "iqn.2003-01.org.example:third"
    export(array, a_target([both], third))
    assert "which is not adopted with it" in planned(array, third)[f"-4/{both.lun}"]["obstacles"][0]
    assert len(adopt(array)["targets"]) == 2


def test_a_disk_in_no_target(array: SimulatedArray) -> None:
    """It is a LUN that is in none."""
    disk = a_disk(array)
    export(array, [disk])
    assert adopt(array) == {"luns": [disk.lun], "targets": []}
    assert array.associated(disk.lun) == []


def differing_groups(disk: Disk) -> list[Fact]:
    """Two portal groups, of which one has another initiator."""
    return [*a_target([disk]), *a_target([disk], tag=2, initiators=[OTHER_INITIATOR])[1:]]


def another_number(disk: Disk) -> list[Fact]:
    """An initiator sees the disk under another number than that of the logical unit."""
    facts = [fact for fact in a_target([disk]) if not isinstance(fact, Grant)]
    return [*facts, Grant(THEIRS, 1, INITIATOR, 5, 0)]


def idle_acl(disk: Disk) -> list[Fact]:
    """An initiator may log in and see nothing."""
    return [*a_target([disk]), Acl(THEIRS, 1, OTHER_INITIATOR, NO_CHAP)]


REFUSED = {
    "other groups": (differing_groups, "remove"),
    "another number": (another_number, "one number for all initiators"),
    "an ACL without LUNs": (idle_acl, "neither a mapped LUN nor a secret"),
    "disabled": (lambda disk: a_target([disk], enabled=False), "disabled"),
    "CHAP without secrets": (lambda disk: a_target([disk], authentication=True), "no initiator has a secret"),
    "secrets without CHAP": (
        lambda disk: a_target([disk], credentials=Credentials("me", Secret(SECRET))),
        "does not ask for them",
    ),
    "a name without a secret": (lambda disk: a_target([disk], credentials=Credentials("me")), "other credentials"),
    "an upper case name": (lambda disk: a_target([disk], THEIRS.upper().replace("IQN", "iqn")), "normal form"),
    "an initiator that is none": (lambda disk: a_target([disk], initiators=["Me"]), "normal form"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_provider_cannot_have(array: SimulatedArray, case: str) -> None:
    """It is refused with the reason, and with it the disk; the host stays as it is."""
    make, why = REFUSED[case]
    disk = a_disk(array)
    facts = make(disk)
    export(array, [disk], facts)
    before = set(array.facts())
    name = next(fact.target for fact in facts if isinstance(fact, TargetNode))
    assert why in refusal(array, name)
    assert "not adopted with it" in refusal(array, f"-2/{disk.lun}")
    assert (
        array.error("Service.Adopt", digest=array.call("Service.QueryAdoption")["digest"]) == "VDS_E_INVALID_OPERATION"
    )
    assert set(array.facts()) == before


def test_a_subsystem_that_requires_chap(simulated: SimulatedArray) -> None:
    """Who logs in without could not any more."""
    disk = a_disk(simulated)
    export(simulated, [disk], a_target([disk]))
    assert "requires CHAP" in refusal(simulated)


def test_what_the_hardware_finds_in_the_way(array: SimulatedArray) -> None:
    """It is told; what lapses is told, and no reason to refuse."""
    disk = a_disk(array)
    export(array, [disk], a_target([disk]))
    array.hardware.peculiar = {THEIRS: (("it lapses",), ()), f"-2/{disk.lun}": ((), ("it is in the way",))}
    array.hardware.rivalry = ("somebody restores",)
    assert refusal(array, f"-2/{disk.lun}").startswith("it is in the way")
    assert planned(array)[THEIRS]["lapses"] == ["it lapses"]
    assert array.call("Service.QueryAdoption")["notes"] == ["somebody restores"]
    array.hardware.peculiar.popitem()
    assert planned(array)[THEIRS]["adopted"]


def test_bytes_that_no_pool_can_have(array: SimulatedArray) -> None:
    """It is said what to configure."""
    disk = a_disk(array)
    array.pool.others.clear()
    export(array, [disk], a_target([disk]))
    assert "kind files with a folder there" in refusal(array, f"-2/{disk.lun}")


def test_a_disk_that_is_not_what_its_bytes_are(array: SimulatedArray) -> None:
    """Shorter bytes, the same bytes twice, the same serial number twice, another state: none of them is taken."""
    short, one, same = a_disk(array), a_disk(array, -3), a_disk(array, -4)
    array.pool.others[short.path] -= MIB
    double = msgspec.structs.replace(same, number=-5, path=one.path)
    standing_by = a_disk(array, -6, access=Access.UNAVAILABLE)
    export(array, [short, one, same, double, standing_by])
    assert "has 7340032" in refusal(array, f"-2/{short.lun}")
    assert "same bytes" in refusal(array, f"-3/{one.lun}")
    assert "same serial number" in refusal(array, f"-4/{same.lun}")
    assert "access" in refusal(array, f"-6/{standing_by.lun}")


def test_a_disk_with_a_serial_number_of_ours(array: SimulatedArray) -> None:
    """It is not taken for ours, and left alone."""
    lun = array.make_lun()
    array.pool.others["/theirs"] = MIB
    disk = Disk(lun, -2, "/theirs", MIB)
    export(array, [disk], a_target([disk]))
    for again in (lambda: array.call("HwProvider.Refresh"), array.restart):
        again()
        assert disk in set(array.facts())
        assert array.call("Lun.GetProperties", id=lun)["properties"]["status"] == "online"
    assert "is or was the provider's" in refusal(array, f"-2/{lun}")


@pytest.mark.parametrize("at", [Refused, Mismatch])
def test_a_host_that_refuses(array: SimulatedArray, at: type[Exception]) -> None:
    """Everything is as it was, and it can be tried again."""
    disks = [a_disk(array, place) for place in (-2, -3)]
    export(array, disks, a_target(disks))
    before, others = set(array.facts()), dict(array.pool.others)

    def fail(step: Step) -> None:
        if isinstance(step.before, Disk) and step.before.number == -3 and step.before.path.startswith("/theirs"):
            raise at("the test says so")

    array.hardware.fault = fail
    assert array.error("Service.Adopt", digest=array.call("Service.QueryAdoption")["digest"]) in (
        "VDS_E_PROVIDER_FAILURE",
        "VDS_E_PROVIDER_CACHE_CORRUPT",
    )
    assert (set(array.facts()), array.pool.others) == (before, others)
    array.hardware.fault = None
    array.call("HwProvider.Reenumerate")
    array.call("HwProvider.Refresh")
    assert len(adopt(array)["luns"]) == 2


def test_a_rescue_knows_it(array: SimulatedArray) -> None:
    """Without its store, an adopted LUN is found in the kernel with all that it has, and what others have is not."""
    disk, other = a_disk(array), a_disk(array, -3)
    export(array, [disk], a_target([disk], credentials=Credentials("me", Secret(SECRET)), authentication=True))
    adopt(array)
    export(array, [other], a_target([other], ALSO_THEIRS))
    array.stop()
    before = set(array.facts())
    lose_file(array)
    forget_backups(array)
    array.rescue()
    array.start()
    assert set(array.facts()) == before
    assert [entry["id"] for entry in array.call("SubSystem.QueryLuns", id=array.sub_system)["luns"]] == [disk.lun]
    array.reboot()
    (remade,) = (fact for fact in array.facts() if isinstance(fact, Disk) and fact.lun == disk.lun)
    assert remade.product == "disk"
    assert {fact.credentials.user for fact in array.facts() if isinstance(fact, Acl)} == {"me"}
