"""Paths on the real kernel: sessions of several initiators with several targets, and connections that break."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.arrays import ADDRESS, INITIATOR, OTHER_INITIATOR, SECRET, LioArray, Reply, run

pytestmark = pytest.mark.lab


def paths(lio: LioArray, lun: str) -> list[Reply]:
    """The LUN's paths, by GetPathInfo."""
    found = lio.call("LunMpio.GetPathInfo", id=lun)["paths"]
    assert isinstance(found, list)
    return found


def eventually(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def open_array(lio: LioArray) -> LioArray:
    """An array whose targets need no secret."""
    for sub_system in lio.configuration["subsystem"]:
        sub_system["require-chap"] = False
    lio.restart()
    return lio


def reachable(lio: LioArray, mask: str) -> tuple[str, str]:
    """A LUN, and the target through which the initiators of the mask reach it: one group with both portals."""
    target, group = lio.make_reachable_target()
    lio.wait(lio.call("IscsiPortalGroup.AddPortal", id=group, portalId=lio.portals()[1]))
    lun = lio.make_lun(mask=mask)
    lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    return lun, target


def test_targets_that_share_portals_are_told_apart(lio: LioArray) -> None:
    """An initiator with sessions with two targets at the same two portals has the paths of each, and no others."""
    (first, one), (second, two) = reachable(lio, INITIATOR), reachable(lio, INITIATOR)
    with lio.logged_in(one, 3260, 3261):
        assert [path["status"] for path in paths(lio, first)] == ["online", "online"]
        assert paths(lio, second) == []
        with lio.logged_in(two, 3260, 3261):
            assert [path["status"] for path in paths(lio, first)] == ["online", "online"]
            assert [path["status"] for path in paths(lio, second)] == ["online", "online"]
            ids = [path["pathId"]["pathId"] for lun in (first, second) for path in paths(lio, lun)]
            assert len(set(ids)) == 4
            assert [path["targetPortalId"] for path in paths(lio, second)] == lio.portals()
        # One session of the second, whose address and portal could be either of the first's too.
        with lio.logged_in(two, 3261):
            assert [path["status"] for path in paths(lio, first)] == ["online", "online"]
            assert {path["status"] for path in paths(lio, second)} == {"unknown"}


def test_an_initiator_of_several_addresses(lio: LioArray) -> None:
    """Sessions over IPv4 and IPv6 are two paths, each with the address that the initiator has there, though the kernel
    shows the newest session only."""
    run("ip", "-6", "address", "add", "fd00::77/64", "dev", "lo", "nodad")
    try:
        for sub_system in lio.configuration["subsystem"]:
            sub_system["portals"].append("[fd00::77]:3262")
        lio.restart()
        target, group = lio.make_reachable_target()
        portals = lio.call("SubSystemIscsi.QueryPortals", id=lio.sub_system)["portals"]
        (sixth,) = [entry["id"] for entry in portals if entry["address"]["type"] == "ipv6"]
        lio.wait(lio.call("IscsiPortalGroup.AddPortal", id=group, portalId=sixth))
        lun = lio.make_lun(mask=INITIATOR)
        lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
        name = lio.name_of(target)
        with lio.logged_in(target, 3260):
            node = ("iscsiadm", "-m", "node", "-T", name, "-p", "[fd00::77]:3262")
            run(*node, "-o", "new")
            for key, value in (("authmethod", "CHAP"), ("username", INITIATOR), ("password", SECRET)):
                run(*node, "-o", "update", "-n", f"node.session.auth.{key}", "-v", value)
            run(*node, "--login")
            found = {path["targetPortalId"]: path for path in paths(lio, lun)}
            assert found[sixth]["initiatorPortalIpAddr"] == {"type": "ipv6", "textAddress": "fd00::77", "port": 0}
            (other,) = [path for id, path in found.items() if id != sixth]
            assert other["initiatorPortalIpAddr"] == {"type": "ipv4", "textAddress": ADDRESS, "port": 0}
            assert (other["status"], found[sixth]["status"]) == ("online", "online")
    finally:
        run("ip", "-6", "address", "del", "fd00::77/64", "dev", "lo")


def test_a_broken_connection_is_a_failed_path(open_array: LioArray) -> None:
    """When an initiator dies, the path to its LUN is failed until the kernel gives the session up; GetConnectedInitiators
    names it that long."""
    lio = open_array
    lun, target = reachable(lio, OTHER_INITIATOR)
    url = f"iscsi://{ADDRESS}:3261/{lio.name_of(target)}/0"
    reading = ["iscsi-perf", "-i", OTHER_INITIATOR, "-t", "60", url]
    with subprocess.Popen(reading, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as initiator:
        eventually(lambda: len(paths(lio, lun)) == 1)
        (alive,) = paths(lio, lun)
        assert (alive["status"], alive["targetPortalId"]) == ("online", lio.portals()[1])
        initiator.kill()
    (dead,) = paths(lio, lun)
    assert dead["status"] == "failed"
    assert lio.call("LunMpio.GetLoadBalancePolicy", id=lun)["paths"][0]["primaryPath"] is False
    assert lio.call("IscsiTarget.GetConnectedInitiators", id=target) == {"initiatorList": [OTHER_INITIATOR]}
    eventually(lambda: paths(lio, lun) == [], 60)
    assert lio.call("IscsiTarget.GetConnectedInitiators", id=target) == {"initiatorList": []}


def test_initiators_at_one_target(open_array: LioArray) -> None:
    """Of two initiators at one address, connected to a portal each, a LUN that only one reaches has no sure path; one
    that both reach has both."""
    lio = open_array
    shared, target = reachable(lio, f"{INITIATOR};{OTHER_INITIATOR}")
    own = lio.make_lun(mask=INITIATOR)
    lio.call("LunIscsi.AssociateTargets", id=own, targetIds=[target])
    name = lio.name_of(target)
    reading = ["iscsi-perf", "-t", "60"]
    with (
        subprocess.Popen(
            [*reading, "-i", INITIATOR, f"iscsi://{ADDRESS}:3260/{name}/0"], stdout=subprocess.DEVNULL
        ) as one,
        subprocess.Popen(
            [*reading, "-i", OTHER_INITIATOR, f"iscsi://{ADDRESS}:3261/{name}/0"], stdout=subprocess.DEVNULL
        ) as two,
    ):
        try:
            eventually(lambda: len(lio.call("IscsiTarget.GetConnectedInitiators", id=target)["initiatorList"]) == 2)
            assert [path["status"] for path in paths(lio, shared)] == ["online", "online"]
            assert {path["status"] for path in paths(lio, own)} == {"unknown"}
        finally:
            one.kill()
            two.kill()


def test_a_logical_unit_set_offline_by_alua(lio: LioArray) -> None:
    """A port's secondary state offline, which somebody else sets for one portal group, makes its paths fail."""
    lun, target = reachable(lio, INITIATOR)
    with lio.logged_in(target, 3260):
        (unit,) = Path("/sys/kernel/config/target/iscsi", lio.name_of(target)).glob("tpgt_1/lun/lun_0")
        (unit / "alua_tg_pt_offline").write_text("1")
        assert [path["status"] for path in paths(lio, lun)] == ["failed"]
        (unit / "alua_tg_pt_offline").write_text("0")
        assert [path["status"] for path in paths(lio, lun)] == ["online"]
