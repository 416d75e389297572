"""What somebody else changes in the kernel is noticed, shown and told, and so is its reversal; nothing becomes corrupt."""

from collections.abc import Callable, Collection, Iterable, Iterator

import pytest

from tests.arrays import INITIATOR, OTHER_INITIATOR, Array, Failed, SimulatedArray
from tests.scene import SOON, Scene, altered, without
from vdsprovd.hardware import (
    Acl,
    Credentials,
    Disk,
    Fact,
    Grant,
    Group,
    Listener,
    Secret,
    Step,
    TargetNode,
    Unit,
    steps,
)

# rtslib, which plays somebody else in the lab, uses what pyudev has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def scene(array: Array) -> Iterator[Scene]:
    """The scene, with nothing left to be told."""
    found = Scene(array)
    assert found.sink.silent()
    yield found
    found.sink.close()


Meddling = Callable[[Collection[Fact]], Iterable[Fact]]

LOSSES: dict[str, tuple[Meddling, list[str]]] = {
    "portal": (lambda there: without(there, Listener), ["portal", "portal_group"]),
    "logical unit": (lambda there: without(there, Unit), ["lun"]),
    "mapped LUN": (lambda there: without(there, Grant), ["lun"]),
    "ACL": (lambda there: without(there, Acl), ["lun", "portal_group"]),
    "storage object": (lambda there: without(there, Disk), ["lun"]),
    "portal group": (lambda there: without(there, Group), ["lun", "portal", "portal_group"]),
    "target": (lambda there: without(there, TargetNode), ["lun", "portal", "portal_group", "target"]),
    "enabled": (lambda there: altered(there, Group, enabled=False), ["portal_group"]),
    "authentication": (lambda there: altered(there, Group, authentication=False), ["portal_group"]),
    "secret": (
        lambda there: altered(there, Acl, credentials=Credentials(INITIATOR, Secret("twelve-bytes"))),
        ["portal_group"],
    ),
}


@pytest.mark.parametrize("what", LOSSES)
def test_what_is_lost_is_told_and_so_is_its_return(scene: Scene, what: str) -> None:
    """Each object of ours that is removed or changed is told of within two seconds and shown by those concerned, and
    when its author puts it back that is told, and nothing is shown."""
    meddling, concerned = LOSSES[what]
    told = scene.told(*concerned)
    before = scene.ours()
    there = list(meddling(before))
    scene.array.meddle(steps(before, there))
    scene.sink.until(told)
    assert set(scene.deviations()) == {kind.removeprefix("portal_") for kind in concerned}
    # Methods that document a corrupt cache answer.
    assert scene.array.associated(scene.lun) == [scene.target]
    assert scene.sink.silent()
    scene.array.meddle(steps(there, before))
    scene.sink.until(told)
    assert scene.deviations() == {}
    assert (scene.shown("lun")["status"], scene.shown("lun")["health"]) == ("online", "healthy")
    assert scene.shown("portal")["status"] == "online"
    assert scene.sink.silent()


@pytest.mark.parametrize(
    ("kind", "status"), [(Disk, "not_ready"), (Unit, "not_ready"), (Grant, "online"), (Listener, "online")]
)
def test_how_a_lun_shows_it(scene: Scene, kind: type[Fact], status: str) -> None:
    """A LUN that nobody can reach is not ready; one that has lost something is degraded, and never failed: its methods
    answer."""
    before = scene.ours()
    scene.array.meddle(steps(before, without(before, kind)))
    scene.sink.until(scene.told(*(["portal", "portal_group"] if kind is Listener else ["lun"])))
    lun = scene.shown("lun")
    assert (lun["status"], lun["health"]) == (status, "healthy" if kind is Listener else "degraded")
    assert scene.shown("portal")["status"] == ("not_ready" if kind is Listener else "online")
    scene.array.call("LunNaming.SetFriendlyName", id=scene.lun, friendlyName="still ours")
    # A command does not hide what a look found.
    assert scene.shown("lun")["deviation"] == lun["deviation"]


def test_what_somebody_adds(scene: Scene) -> None:
    """An ACL that nobody granted, a portal and a portal group that nobody made are told and shown, until they are gone."""
    nobody = Credentials()
    for extra, kind in (
        (Acl(scene.name, 1, OTHER_INITIATOR, nobody), "portal_group"),
        (Listener(scene.name, 1, "127.0.0.1", 3270), "portal_group"),
        (Group(scene.name, 2, enabled=False, authentication=True, alias="x"), "target"),
    ):
        scene.array.meddle([Step(None, extra)])
        scene.sink.until(scene.told(kind))
        assert scene.deviations() == {kind.removeprefix("portal_"): f"{extra} was added by somebody else"}
        scene.array.meddle([Step(extra, None)])
        scene.sink.until(scene.told(kind))
        assert scene.deviations() == {}


def test_access_that_somebody_gives(scene: Scene) -> None:
    """A grant of our LUN to an initiator that its mask does not name is shown by the LUN; its ACL by the group."""
    acl, grant = Acl(scene.name, 1, OTHER_INITIATOR, Credentials()), Grant(scene.name, 1, OTHER_INITIATOR, 0, 0)
    scene.array.meddle([Step(None, acl), Step(None, grant)])
    scene.sink.until(scene.told("lun", "portal_group"))
    assert scene.shown("lun")["status"] == "online"
    # What a command makes right is shown no more.
    scene.array.call("Lun.SetMask", id=scene.lun, unmaskingList=INITIATOR)
    scene.array.meddle([Step(grant, None), Step(acl, None)])
    scene.sink.until(scene.told("lun", "portal_group"))
    assert scene.deviations() == {}


def test_targets_of_others_are_theirs(scene: Scene) -> None:
    """A foreign target comes, changes and goes, and nothing is told."""
    name = "iqn.2003-01.org.example:somebody"
    foreign = [
        TargetNode(name),
        Group(name, 1, enabled=True, authentication=False, alias=name),
        Acl(name, 1, OTHER_INITIATOR, Credentials()),
        Listener(name, 1, "127.0.0.1", 3270),
    ]
    scene.array.meddle(steps([], foreign))
    assert scene.sink.silent()
    scene.array.meddle(steps(foreign, []))
    assert scene.sink.silent()
    assert scene.deviations() == {}


def test_the_whole_target_is_told_at_once(scene: Scene) -> None:
    """However many objects are gone, an object is told of a few times at most, and its text stays short."""
    before = scene.ours()
    scene.array.meddle(steps(before, without(before, TargetNode)))
    # One group for each fifth of a second that it took.
    assert scene.sink.until(scene.told("target", "portal_group", "portal", "lun")) <= 5
    assert scene.sink.silent()
    assert scene.shown("target")["deviation"] == f"target {scene.name} is missing in the kernel"
    assert scene.shown("group")["deviation"] == f"portal group 1 of target {scene.name} is missing in the kernel"


def test_a_command_that_needs_it_proves_corruption(scene: Scene) -> None:
    """Noticed or not: what a command needs and the kernel lacks corrupts the cache. Refresh tells what it put right."""
    before = scene.ours()
    scene.array.meddle(steps(before, without(before, Listener)))
    scene.sink.until(scene.told("portal", "portal_group"))
    removal = scene.array.call("IscsiPortalGroup.RemovePortal", id=scene.group, portalId=scene.portal)
    with pytest.raises(Failed, match="VDS_E_PROVIDER_CACHE_CORRUPT"):
        scene.array.wait(removal)
    scene.array.call("HwProvider.Reenumerate")
    assert scene.sink.silent()
    scene.array.call("HwProvider.Refresh")
    scene.sink.until(scene.told("portal", "portal_group"), 0.5)
    assert scene.deviations() == {}
    assert set(scene.ours()) == set(before)
    assert scene.sink.silent()


def test_a_restart_puts_it_right(scene: Scene) -> None:
    """Deviations are not kept."""
    before = scene.ours()
    scene.array.meddle(steps(before, without(before, Acl)))
    scene.sink.until(scene.told("lun", "portal_group"))
    scene.array.restart()
    assert set(scene.ours()) == set(before)
    assert scene.deviations() == {}


def test_our_own_commands_are_no_news(scene: Scene) -> None:
    """Commands of every kind, one upon the other, are told once each and never as a deviation."""
    array = scene.array
    for number in range(10):
        lun = array.make_lun(mask=INITIATOR)
        array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[scene.target])
        array.call("Lun.SetMask", id=lun, unmaskingList=OTHER_INITIATOR)
        array.wait(array.call("Lun.Extend", id=lun, numberOfBytesToAdd=4096))
        array.call("Lun.Delete", id=lun)
        array.call("IscsiTarget.SetSharedSecret", id=scene.target, targetSharedSecret=f"twelve-bytes-{number}")
        other = array.make_target()
        array.make_group(other)
        array.wait(array.call("IscsiTarget.Delete", id=other))
    # Arrival, association, mask, growth (begins and ends), departure; secret; target's and group's arrival, departure.
    groups = [scene.sink.groups.get(timeout=SOON) for _ in range(10 * 10)]
    assert scene.sink.silent(1.0)
    assert sum(event == "lun_modify" for group in groups for event, _ in group) == 10 * 4
    assert sum(event == "portal_group_modify" for group in groups for event, _ in group) == 0
    assert scene.deviations() == {}


def test_the_audit_alone_finds_it(simulated: SimulatedArray) -> None:
    """Without a hint the periodic comparison finds what was changed, and its reversal."""
    simulated.configuration["provider"]["audit"] = 1
    simulated.restart()
    scene = Scene(simulated)
    simulated.hardware.silent = True
    before = scene.ours()
    for there in (without(before, TargetNode), before, [*before, Acl(scene.name, 1, OTHER_INITIATOR, Credentials())]):
        present = scene.ours()
        simulated.meddle(steps(present, there))
        lost = len(there) < len(before) or len(present) < len(before)
        kinds = ["lun", "target", "portal", "portal_group"] if lost else ["portal_group"]
        scene.sink.until(scene.told(*kinds))
    assert scene.sink.silent(2.5)
    scene.sink.close()


def test_each_deviation_is_logged_once(simulated: SimulatedArray, caplog: pytest.LogCaptureFixture) -> None:
    """A line for what is missing, none for what follows from it, none when it is looked at again; no secret in it."""
    scene = Scene(simulated)
    caplog.clear()
    before = scene.ours()
    there = altered(without(before, Unit), Acl, credentials=Credentials(INITIATOR, Secret("twelve-bytes")))
    simulated.meddle(steps(before, there))
    scene.sink.until(scene.told("lun", "portal_group"))
    simulated.hardware.silent = True
    lines = [record.message for record in caplog.records if record.name.endswith("drift")]
    assert len(lines) == 2
    assert any("as logical unit 0" in line and "missing" in line for line in lines)
    assert "twelve-bytes" not in caplog.text
    scene.sink.close()
