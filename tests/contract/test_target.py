"""IVdsIscsiTarget, IVdsIscsiPortalGroup, IVdsIscsiPortal."""

import pytest

from tests.arrays import INITIATOR, Array, SimulatedArray

SECRET = "twelve-bytes"


@pytest.mark.shows("IscsiTarget.GetConnectedInitiators")
@pytest.mark.shows("IscsiTarget.GetSubSystem")
@pytest.mark.shows("IscsiTarget.QueryAssociatedLuns")
def test_properties_of_a_new_target(array: Array) -> None:
    """A new target needs a CHAP secret to log in, has no portal group, no LUN and nobody connected."""
    target = array.make_target("iqn.2026-11.org.example:new")
    assert array.call("IscsiTarget.GetProperties", id=target) == {
        "hresult": 0,
        "properties": {
            "id": target,
            "iscsiName": "iqn.2026-11.org.example:new",
            "friendlyName": "",
            "chapEnabled": True,
            "deviation": "",
        },
    }
    assert array.call("IscsiTarget.GetSubSystem", id=target) == {"subSystem": array.sub_system}
    assert array.call("IscsiTarget.QueryPortalGroups", id=target) == {"portalGroups": []}
    assert array.call("IscsiTarget.QueryAssociatedLuns", id=target) == {"luns": []}
    assert array.call("IscsiTarget.GetConnectedInitiators", id=target) == {"initiatorList": []}


@pytest.mark.shows("IscsiPortalGroup.Delete")
@pytest.mark.shows("IscsiPortalGroup.GetProperties")
@pytest.mark.shows("IscsiPortalGroup.GetTarget")
def test_portal_groups_get_the_lowest_free_tag(array: Array) -> None:
    """Tags are the provider's choice: 1, 2, ..., and one that was freed is used again."""
    target = array.make_target()
    groups = [array.make_group(target) for _ in range(3)]
    result = array.result(array.call("IscsiPortalGroup.Delete", id=groups[1]))
    assert (result["hresult"], result["type"]) == (0, "delete_portal_group")
    groups[1] = array.make_group(target)
    found = array.call("IscsiTarget.QueryPortalGroups", id=target)["portalGroups"]
    assert found == [{"id": group, "tag": tag, "deviation": ""} for tag, group in enumerate(groups, 1)]
    assert array.call("IscsiPortalGroup.GetProperties", id=groups[2])["properties"] == found[2]
    assert array.call("IscsiPortalGroup.GetTarget", id=groups[2]) == {"target": target}


@pytest.mark.shows("IscsiTarget.CreatePortalGroup", "S_OK", "VDS_S_ALREADY_EXISTS")
@pytest.mark.shows("IscsiTarget.QueryPortalGroups")
def test_at_the_limit_an_existing_group_is_handed_out(array: Array) -> None:
    """The 65th group succeeds with VDS_S_ALREADY_EXISTS, and Wait gives a group that exists."""
    target = array.make_target()
    groups = {array.make_group(target) for _ in range(64)}
    reply = array.call("IscsiTarget.CreatePortalGroup", id=target)
    assert reply["hresult"] == 0x00042714
    assert array.wait(reply) in groups
    assert len(array.call("IscsiTarget.QueryPortalGroups", id=target)["portalGroups"]) == 64


@pytest.mark.shows("IscsiTarget.Delete", "S_OK", "VDS_E_ASSOCIATED_LUNS_EXIST")
def test_a_target_with_luns_cannot_be_deleted(array: Array) -> None:
    """Delete answers VDS_E_ASSOCIATED_LUNS_EXIST; without LUNs it deletes groups and portals along."""
    empty = array.kernel()
    lun, (target, group) = array.make_lun(), array.make_reachable_target()
    array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    assert array.error("IscsiTarget.Delete", id=target) == "VDS_E_ASSOCIATED_LUNS_EXIST"
    array.call("Lun.Delete", id=lun)
    assert array.result(array.call("IscsiTarget.Delete", id=target))["type"] == "delete_target"
    assert array.error("IscsiTarget.GetProperties", id=target) == "VDS_E_OBJECT_DELETED"
    assert array.error("IscsiPortalGroup.GetProperties", id=group) == "VDS_E_OBJECT_DELETED"
    assert array.call("IscsiPortal.QueryAssociatedPortalGroups", id=array.portals()[0]) == {"portalGroups": []}
    assert array.kernel() == empty


@pytest.mark.shows("IscsiPortalGroup.Delete", "VDS_E_ASSOCIATED_PORTALS_EXIST")
@pytest.mark.shows("IscsiPortalGroup.RemovePortal")
def test_a_group_with_portals_cannot_be_deleted(array: Array) -> None:
    """Delete answers VDS_E_ASSOCIATED_PORTALS_EXIST, and succeeds once RemovePortal has emptied the group."""
    _, group = array.make_reachable_target()
    portal = array.portals()[0]
    assert array.error("IscsiPortalGroup.Delete", id=group) == "VDS_E_ASSOCIATED_PORTALS_EXIST"
    assert (
        array.result(array.call("IscsiPortalGroup.RemovePortal", id=group, portalId=portal))["type"] == "remove_portal"
    )
    array.wait(array.call("IscsiPortalGroup.Delete", id=group))


@pytest.mark.shows("IscsiPortal.QueryAssociatedPortalGroups")
@pytest.mark.shows("IscsiPortalGroup.AddPortal", "S_OK", "VDS_E_OBJECT_EXISTS")
def test_a_portal_is_in_one_group_of_a_target_and_in_groups_of_many_targets(array: Array) -> None:
    """A second group of the same target is VDS_E_OBJECT_EXISTS; a group of another target is fine."""
    target, group = array.make_reachable_target()
    first, second = array.portals()
    sibling = array.make_group(target)
    assert array.error("IscsiPortalGroup.AddPortal", id=sibling, portalId=first) == "VDS_E_OBJECT_EXISTS"
    assert array.error("IscsiPortalGroup.AddPortal", id=group, portalId=first) == "VDS_E_OBJECT_EXISTS"
    array.wait(array.call("IscsiPortalGroup.AddPortal", id=sibling, portalId=second))
    _, foreign = array.make_reachable_target()
    found = array.call("IscsiPortal.QueryAssociatedPortalGroups", id=first)["portalGroups"]
    assert {entry["id"] for entry in found} == {group, foreign}


@pytest.mark.shows("IscsiPortalGroup.AddPortal", "VDS_E_OBJECT_NOT_FOUND")
@pytest.mark.shows("IscsiPortalGroup.RemovePortal", "VDS_E_OBJECT_NOT_FOUND")
def test_unknown_portals_change_nothing(array: Array) -> None:
    """AddPortal and RemovePortal answer VDS_E_OBJECT_NOT_FOUND to an id of nothing, or of a portal elsewhere."""
    target, group = array.make_reachable_target()
    before = array.kernel()
    found = array.call("SubSystemIscsi.QueryPortals", id=array.sub_systems()["array1"])["portals"]
    for wrong in ("nothing", target, found[0]["id"]):
        assert array.error("IscsiPortalGroup.AddPortal", id=group, portalId=wrong) == "VDS_E_OBJECT_NOT_FOUND"
        assert array.error("IscsiPortalGroup.RemovePortal", id=group, portalId=wrong) == "VDS_E_OBJECT_NOT_FOUND"
    absent = array.portals()[1]
    assert array.error("IscsiPortalGroup.RemovePortal", id=group, portalId=absent) == "VDS_E_OBJECT_NOT_FOUND"
    assert array.kernel() == before


@pytest.mark.shows("IscsiPortal.GetProperties")
@pytest.mark.shows("IscsiPortal.GetSubSystem")
@pytest.mark.shows("IscsiPortal.SetStatus")
@pytest.mark.shows("IscsiPortalGroup.QueryAssociatedPortals")
def test_an_offline_portal_is_closed_in_every_group(array: Array) -> None:
    """SetStatus offline closes the portal and keeps its places, through a reboot; online opens it again."""
    _, group = array.make_reachable_target()
    array.make_reachable_target()
    portal = array.portals()[0]
    before = array.kernel()
    array.call("IscsiPortal.SetStatus", id=portal, status="offline")
    assert array.call("IscsiPortal.GetProperties", id=portal)["properties"]["status"] == "offline"
    assert array.portals_of(group) == [portal]
    assert len(array.kernel()) < len(before)
    array.reboot()
    array.call("IscsiPortal.SetStatus", id=portal, status="online")
    assert array.kernel() == before
    assert array.call("IscsiPortal.GetSubSystem", id=portal) == {"subSystem": array.sub_system}


@pytest.mark.shows("IscsiPortal.SetStatus", "VDS_E_NOT_SUPPORTED")
@pytest.mark.parametrize("status", ["unknown", "not_ready", "failed"])
def test_a_portal_can_be_set_online_and_offline_only(array: Array, status: str) -> None:
    """The other statuses are the provider's to report: VDS_E_NOT_SUPPORTED."""
    assert array.error("IscsiPortal.SetStatus", id=array.portals()[0], status=status) == "VDS_E_NOT_SUPPORTED"


@pytest.mark.shows("IscsiTarget.RememberInitiatorSharedSecret", "E_INVALIDARG")
@pytest.mark.shows("IscsiTarget.SetSharedSecret")
@pytest.mark.parametrize("secret", ["NULL56789012", "eleven-byte", "seventeen-bytes!!", "ä" * 9, "twelve\nbytes"])
def test_a_secret_has_12_to_16_bytes(array: Array, secret: str) -> None:
    """Another length, or a line end, is E_INVALIDARG; the message does not show the secret; nothing changes."""
    target, _ = array.make_reachable_target()
    array.call("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret=SECRET, initiatorName=INITIATOR)
    before = array.kernel()
    try:
        array.connection.call("org.vdsprov.IscsiTarget.SetSharedSecret", {"id": target, "targetSharedSecret": secret})
    except Exception as error:
        assert "InvalidArg" in str(error)
        assert secret not in str(error)
    else:
        raise AssertionError("it was accepted")
    assert (
        array.error(
            "IscsiTarget.RememberInitiatorSharedSecret",
            id=target,
            initiatorName=INITIATOR,
            initiatorSharedSecret=secret,
        )
        == "E_INVALIDARG"
    )
    assert array.kernel() == before


@pytest.mark.shows("IscsiTarget.SetSharedSecret", "E_INVALIDARG")
def test_secrets_are_cleared_by_null(array: Array) -> None:
    """Null, or "", takes an initiator's own secret away, and with it the ACL that only the secret had made."""
    target, _ = array.make_reachable_target()
    before = array.kernel()
    for clear in (None, ""):
        array.call("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret=SECRET, initiatorName=INITIATOR)
        assert array.kernel() != before
        array.call("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret=clear, initiatorName=INITIATOR)
        assert array.kernel() == before
    wrong = "not an initiator"
    assert (
        array.error("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret=SECRET, initiatorName=wrong)
        == "E_INVALIDARG"
    )


@pytest.mark.shows("IscsiTarget.SetFriendlyName", "S_OK", "VDS_S_NAME_TRUNCATED")
def test_names(array: Array) -> None:
    """A target's name is kept through a reboot, cut with VDS_S_NAME_TRUNCATED, and may be anything printable."""
    target, _ = array.make_reachable_target()
    for name, result in (("Büro, 2=b; 'c'", 0), ("x" * 256, 0x00042700), ("", 0), ("Büro", 0)):
        assert array.call("IscsiTarget.SetFriendlyName", id=target, friendlyName=name) == {"hresult": result}
    array.reboot()
    assert array.call("IscsiTarget.GetProperties", id=target)["properties"]["friendlyName"] == "Büro"
    assert array.error("IscsiTarget.SetFriendlyName", id=target, friendlyName="a\0b") == "E_INVALIDARG"


def test_a_portal_that_the_host_lost_is_not_ready(simulated: SimulatedArray) -> None:
    """A configured portal whose address the host does not have is not_ready; with the address it is online."""
    simulated.hardware._addresses = ["127.0.0.1"]
    simulated.call("SubSystem.Reenumerate", id=simulated.sub_system)
    portal = simulated.portals()[0]
    assert simulated.call("IscsiPortal.GetProperties", id=portal)["properties"]["status"] == "not_ready"
    simulated.hardware._addresses = ["127.0.0.1", "10.77.0.1"]
    simulated.call("SubSystem.Reenumerate", id=simulated.sub_system)
    assert simulated.call("IscsiPortal.GetProperties", id=portal)["properties"]["status"] == "online"


def test_portals_come_and_go_with_addresses(simulated: SimulatedArray) -> None:
    """Without configured portals every address but loopback and link-local is one, at port 3260; one that is in a group
    stays, not ready, when its address goes, and one that is in none departs."""
    for sub_system in simulated.configuration["subsystem"]:
        del sub_system["portals"]
    simulated.hardware._addresses = ["127.0.0.1", "::1", "fe80::1", "10.77.0.1", "fd00::1"]
    simulated.restart()

    def addresses() -> dict[str, str]:
        found = simulated.call("SubSystemIscsi.QueryPortals", id=simulated.sub_system)["portals"]
        return {entry["address"]["textAddress"]: entry["status"] for entry in found}

    assert addresses() == {"10.77.0.1": "online", "fd00::1": "online"}
    found = simulated.call("SubSystemIscsi.QueryPortals", id=simulated.sub_system)["portals"]
    used = next(entry["id"] for entry in found if entry["address"]["type"] == "ipv6")
    group = simulated.make_group(simulated.make_target())
    simulated.wait(simulated.call("IscsiPortalGroup.AddPortal", id=group, portalId=used))
    simulated.hardware._addresses = ["127.0.0.1"]
    simulated.call("SubSystem.Reenumerate", id=simulated.sub_system)
    assert addresses() == {"fd00::1": "not_ready"}


@pytest.mark.shows("IscsiTarget.RememberInitiatorSharedSecret")
@pytest.mark.shows("IscsiTarget.SetSharedSecret", "VDS_E_NOT_SUPPORTED")
@pytest.mark.shows("IscsiTarget.RememberInitiatorSharedSecret", "VDS_E_NOT_SUPPORTED")
def test_one_secret_for_both_directions(array: Array) -> None:
    """A secret of one direction cannot be one of the other (RFC 7143 9.2.1): VDS_E_NOT_SUPPORTED."""
    target, _ = array.make_reachable_target()
    array.call("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret="one-way-only")
    before = array.kernel()
    mutual = {"id": target, "initiatorName": INITIATOR, "initiatorSharedSecret": "one-way-only"}
    assert array.error("IscsiTarget.RememberInitiatorSharedSecret", **mutual) == "VDS_E_NOT_SUPPORTED"
    assert array.kernel() == before
    array.call("IscsiTarget.RememberInitiatorSharedSecret", **{**mutual, "initiatorSharedSecret": "the-other-way"})
    other = {"id": target, "targetSharedSecret": "the-other-way", "initiatorName": INITIATOR}
    assert array.error("IscsiTarget.SetSharedSecret", **other) == "VDS_E_NOT_SUPPORTED"
