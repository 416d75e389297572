"""The paths by which initiators reach a LUN."""

import pytest

from tests.arrays import ADDRESS, INITIATOR, OTHER_INITIATOR, Array, Reply, SimulatedArray
from vdsprovd.hardware import Access, InitiatorConnection
from vdsprovd.model import NULL_GUID


@pytest.fixture
def target(array: Array) -> str:
    """A target with two portal groups of one portal each, on ports 3260 and 3261."""
    target = array.make_target()
    for portal in array.portals():
        array.wait(array.call("IscsiPortalGroup.AddPortal", id=array.make_group(target), portalId=portal))
    return target


@pytest.fixture
def lun(array: Array, target: str) -> str:
    """A LUN that this host reaches through the target."""
    lun = array.make_lun(mask=INITIATOR)
    array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    return lun


def paths(array: Array, lun: str) -> list[Reply]:
    """The LUN's paths, by GetPathInfo."""
    found = array.call("LunMpio.GetPathInfo", id=lun)["paths"]
    assert isinstance(found, list)
    return found


def policy(array: Array, lun: str) -> Reply:
    """The LUN's policy, by GetLoadBalancePolicy."""
    return array.call("LunMpio.GetLoadBalancePolicy", id=lun)


@pytest.mark.shows("LunMpio.GetPathInfo")
def test_a_path_for_each_session(array: Array, target: str, lun: str) -> None:
    """Each portal through which the initiator is logged in is a path, with its portal's id and the initiator's address,
    and stays the same path; when the session ends the path is gone."""
    first, second = array.portals()
    assert paths(array, lun) == []
    with array.logged_in(target, 3261):
        (alone,) = paths(array, lun)
        assert alone == {
            "pathId": alone["pathId"],
            "type": "iscsi",
            "status": "online",
            "targetPortalId": second,
            "initiatorAdapterId": NULL_GUID,
            "initiatorPortalIpAddr": {"type": "ipv4", "textAddress": ADDRESS, "port": 0},
        }
        assert alone["pathId"]["sourceId"] == 0
    with array.logged_in(target, 3260, 3261):
        found = {path["targetPortalId"]: path for path in paths(array, lun)}
        assert set(found) == {first, second}
        assert found[second] == alone
        assert found[first]["pathId"] != alone["pathId"]
        assert found[first]["status"] == "online"
    assert paths(array, lun) == []


def test_two_portals_of_one_group(array: Array) -> None:
    """Two sessions with one portal group are two paths."""
    target, group = array.make_reachable_target()
    array.wait(array.call("IscsiPortalGroup.AddPortal", id=group, portalId=array.portals()[1]))
    lun = array.make_lun(mask=INITIATOR)
    array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    with array.logged_in(target, 3260, 3261):
        found = paths(array, lun)
        assert [path["targetPortalId"] for path in found] == array.portals()
        assert [path["status"] for path in found] == ["online", "online"]


def test_only_who_reaches_the_lun_has_a_path(array: Array, target: str, lun: str) -> None:
    """A session is no path to a LUN that is masked from its initiator, offline, or not associated with the target."""
    masked, elsewhere = array.make_lun(mask=OTHER_INITIATOR), array.make_lun(mask=INITIATOR)
    everybody = array.make_lun(mask="*")
    for id in (masked, everybody):
        array.call("LunIscsi.AssociateTargets", id=id, targetIds=[target])
    with array.logged_in(target, 3260):
        assert len(paths(array, lun)) == 1
        assert len(paths(array, everybody)) == 1
        assert paths(array, masked) == []
        assert paths(array, elsewhere) == []
        array.call("Lun.SetStatus", id=lun, status="offline")
        assert paths(array, lun) == []
        array.call("Lun.SetStatus", id=lun, status="online")
        array.call("Lun.SetMask", id=lun, unmaskingList="")
        assert paths(array, lun) == []


@pytest.mark.shows("LunMpio.GetLoadBalancePolicy")
@pytest.mark.shows("LunMpio.GetSupportedLbPolicies")
def test_all_paths_are_equally_good(array: Array, target: str, lun: str) -> None:
    """The policy is round_robin, and the paths are GetPathInfo's; all are primary unless ALUA says standby."""
    assert array.call("LunMpio.GetSupportedLbPolicies", id=lun) == {"lbFlags": ["round_robin"]}
    assert policy(array, lun) == {"policy": "round_robin", "paths": []}
    with array.logged_in(target, 3260, 3261):
        ids = [path["pathId"] for path in paths(array, lun)]
        assert len(ids) == 2
        assert policy(array, lun) == {
            "policy": "round_robin",
            "paths": [{"pathId": id, "primaryPath": True, "weight": 0} for id in ids],
        }
        for access, status in ((Access.STANDBY, "standby"), (Access.UNAVAILABLE, "failed")):
            array.set_access(lun, access)
            assert [path["status"] for path in paths(array, lun)] == [status, status]
            assert [path["primaryPath"] for path in policy(array, lun)["paths"]] == [False, False]


@pytest.mark.shows("LunMpio.SetLoadBalancePolicy")
@pytest.mark.shows("LunMpio.SetLoadBalancePolicy", "VDS_E_NOT_SUPPORTED")
@pytest.mark.shows("LunMpio.SetLoadBalancePolicy", "E_INVALIDARG")
def test_the_policy_is_as_it_is(array: Array, target: str, lun: str) -> None:
    """What GetLoadBalancePolicy gives can be set; another policy or choice of paths cannot, nor what is no path."""

    def refusal(policy: str, paths: list[Reply]) -> str:
        return array.error("LunMpio.SetLoadBalancePolicy", id=lun, policy=policy, paths=paths)

    array.call("LunMpio.SetLoadBalancePolicy", id=lun, policy="round_robin")
    with array.logged_in(target, 3260, 3261):
        known = policy(array, lun)
        array.call("LunMpio.SetLoadBalancePolicy", id=lun, **known)
        assert refusal("failover", known["paths"]) == "VDS_E_NOT_SUPPORTED"
        backup = {**known["paths"][1], "primaryPath": False}
        assert refusal("round_robin", [known["paths"][0], backup]) == "VDS_E_NOT_SUPPORTED"
        other = {**backup, "pathId": {"sourceId": 0, "pathId": 1}}
        assert refusal("round_robin", [other]) == "E_INVALIDARG"
        assert policy(array, lun) == known
    assert refusal("round_robin", known["paths"]) == "E_INVALIDARG"


def test_what_the_host_cannot_tell_is_unknown(simulated: SimulatedArray) -> None:
    """A connection that may lead to another target, or be one of several initiators that are not all in the mask, is
    unknown; one that broke is failed, and its portal may be unknown; one of others is no path."""
    target, group = simulated.make_reachable_target()
    (portal,) = simulated.portals_of(group)
    lun = simulated.make_lun(mask=INITIATOR)
    simulated.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    here, both = (ADDRESS, 3260), (INITIATOR, OTHER_INITIATOR)
    simulated.hardware.connected[simulated.name_of(target)] = [
        InitiatorConnection(1, (INITIATOR,), "10.0.0.1", here),
        InitiatorConnection(1, (INITIATOR,), "10.0.0.2", here, sure=False),
        InitiatorConnection(1, both, "10.0.0.3", here),
        InitiatorConnection(1, (OTHER_INITIATOR,), "10.0.0.4", here),
        InitiatorConnection(1, (INITIATOR,), "", None, up=False),
        InitiatorConnection(1, (INITIATOR,), "fd00::1", here),
        InitiatorConnection(2, (INITIATOR,), "10.0.0.5", here),
    ]
    found = {path["initiatorPortalIpAddr"]["textAddress"]: path for path in paths(simulated, lun)}
    assert {address: path["status"] for address, path in found.items()} == {
        "10.0.0.1": "online",
        "10.0.0.2": "unknown",
        "10.0.0.3": "unknown",
        "": "failed",
        "fd00::1": "online",
    }
    assert [path["initiatorPortalIpAddr"]["type"] for path in found.values()].count("ipv6") == 1
    assert found[""]["initiatorPortalIpAddr"]["type"] == "empty"
    assert found[""]["targetPortalId"] == NULL_GUID
    assert found["10.0.0.2"]["targetPortalId"] == portal
    # ALUA is of the LUN, whoever is connected.
    simulated.set_access(lun, Access.UNAVAILABLE)
    assert {path["status"] for path in paths(simulated, lun)} == {"failed"}
    primary = [path["primaryPath"] for path in policy(simulated, lun)["paths"]]
    assert primary == [False] * 5


@pytest.mark.shows("IscsiTarget.GetConnectedInitiators")
def test_who_is_connected(array: Array, target: str) -> None:
    """GetConnectedInitiators names an initiator once, however many sessions it has, while it has one."""
    array.call("LunIscsi.AssociateTargets", id=array.make_lun(mask=INITIATOR), targetIds=[target])
    assert array.call("IscsiTarget.GetConnectedInitiators", id=target) == {"initiatorList": []}
    with array.logged_in(target, 3260, 3261):
        assert array.call("IscsiTarget.GetConnectedInitiators", id=target) == {"initiatorList": [INITIATOR]}
    assert array.call("IscsiTarget.GetConnectedInitiators", id=target) == {"initiatorList": []}
