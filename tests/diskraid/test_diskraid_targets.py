"""Targets, portal groups, associations, CHAP of targets, the import target."""

import pytest

from tests.diskraid.raid import Raid
from vdsprovd.diskraid.commands import FORMS
from vdsprovd.diskraid.session import Session

NAME = "iqn.2026-11.org.example:web"
TARGET = f'create target name="web servers" iscsiname={NAME}'
INITIATOR = "iqn.2026-11.org.example:host1"


def targets(raid: Raid) -> list[dict[str, object]]:
    """The properties of array2's targets."""
    id = raid.array.sub_systems()["array2"]
    found: list[dict[str, object]] = raid.array.call("SubSystemIscsi.QueryTargets", id=id)["targets"]
    return found


def associated(raid: Raid) -> list[object]:
    """The targets of array2's first LUN."""
    (lun, *_) = raid.array.call("SubSystem.QueryLuns", id=raid.array.sub_systems()["array2"])["luns"]
    found = raid.array.call("LunIscsi.QueryAssociatedTargets", id=lun["id"])["targets"]
    return [target["friendlyName"] for target in found]


def test_create_and_delete(raid: Raid) -> None:
    """A target has the names that are given, or an iSCSI name that the daemon makes."""
    shown = raid.shows(TARGET, "create target name=other")
    assert shown[0] == f"Target 0 ({NAME}) was created and is now the selected target."
    assert [target["friendlyName"] for target in targets(raid)] == ["web servers", "other"]
    raid.shows("select target 0", "delete target", "select target 1", "delete target")
    assert targets(raid) == []


def test_create_that_fails(raid: Raid) -> None:
    """A name that another target has is refused by the daemon."""
    raid.shows(TARGET)
    before = raid.state()
    assert "VDS_E_NAME_NOT_UNIQUE" in raid.fails(4, TARGET)
    raid.fails(5, "create target")
    raid.fails(5, "create target name=")
    raid.fails(4, "create target name=x iscsiname=nonsense")
    assert raid.state() == before


def test_portal_groups(raid: Raid) -> None:
    """Groups are created, get portals and lose them, and are deleted when they have none."""
    shown = raid.shows(
        TARGET,
        "create tpgroup",
        "add tpgroup tportal=0",
        "list tpgroups",
        "delete tpgroup noerr",
        "remove tpgroup tportal=0",
        "delete tpgroup",
        "list tpgroups",
    )
    assert ["*", "Portal", "Group", "0", "1"] in [line.split() for line in shown]
    assert any("VDS_E_ASSOCIATED_PORTALS_EXIST" in line for line in shown)
    assert shown[-1] == "There are no portal groups."
    raid.fails(5, "select target 0", "add tpgroup tportal=0")
    raid.fails(5, "select target 0", "create tpgroup", "remove tpgroup tportal=5")


def test_portal_groups_at_the_limit(raid: Raid) -> None:
    """At the limit CREATE TPGROUP selects a group that is there, and says so."""
    session = Session(str(raid.array.socket), FORMS)
    for line in ("select subsystem 2", TARGET, *["create tpgroup"] * 65):
        assert session.execute(line) == 0
    target = str(session.focus.get("target"))
    session.close()
    assert len(raid.array.call("IscsiTarget.QueryPortalGroups", id=target)["portalGroups"]) == 64


def test_associate_targets(raid: Raid) -> None:
    """ASSOCIATE replaces the targets, or with ADD adds some, and DISSOCIATE takes some away."""
    raid.shows("create target name=a", "create target name=b", "create target name=c", "create lun simple size=8")
    for line, names in (
        ("associate targets 0,2", ["a", "c"]),
        ("associate targets add 1", ["a", "b", "c"]),
        ("dissociate targets 0, 1", ["c"]),
        ("associate targets 1", ["b"]),
        ("dissociate targets 0,1,2", []),
    ):
        shown = raid.shows("select lun 0", line)
        assert shown[1] == "Target associations changed."
        assert sorted(map(str, associated(raid))) == names
    assert shown[2] == "(Targets associated after this command: none)"
    raid.fails(5, "select lun 0", "associate targets 0,7")
    assert associated(raid) == []


def test_a_target_with_luns_is_not_deleted(raid: Raid) -> None:
    """The daemon refuses, with VDS's code."""
    raid.shows(TARGET, "create lun simple size=8", "associate targets 0")
    assert "VDS_E_ASSOCIATED_LUNS_EXIST" in raid.fails(4, "select target 0", "delete target")


def test_associate_controllers_and_ports(raid: Raid) -> None:
    """What Microsoft's example does with ports, on one controller with one port."""
    shown = raid.shows(
        "create lun simple size=8", "associate ports 0-0", "associate ports add 0-0", "dissociate ports 0-0"
    )
    assert shown[1:] == [
        *["Controller port associations changed.", "(Controller ports active after this command: Ctlr 0 Port 0)"] * 2,
        "Controller port associations changed.",
        "(Controller ports active after this command: none)",
    ]
    shown = raid.shows(
        "select lun 0", "associate controllers 0", "dissociate controllers 0", "associate controllers add 0"
    )
    assert shown[-1] == "(Controllers active after this command: Ctlr 0)"
    raid.fails(5, "select lun 0", "associate ports 0-1")
    raid.fails(5, "select lun 0", "associate ports 1-0")
    raid.fails(5, "select lun 0", "associate controllers 1")


def test_chap(raid: Raid) -> None:
    """Secrets go to the daemon, for all initiators or one, and can be cleared; they are never shown."""
    done = raid.script(
        TARGET,
        "chap target set secret=twelve-bytes",
        f'chap target set secret="an other-bytes" initiator={INITIATOR}',
        f"chap target remember secret=fourteen-bytes initiator={INITIATOR}",
        f"chap target remember secret= initiator={INITIATOR}",
        f"chap target set secret= initiator={INITIATOR}",
        "chap target set secret=",
        f"chap target set secret=[] initiator={INITIATOR}",
    )
    assert done.returncode == 4, "the brackets of the reference are no part of a command"
    assert "E_INVALIDARG" in done.stdout
    for secret in ("twelve", "other", "fourteen"):
        assert secret not in done.stdout + done.stderr
    assert "The secret of the selected target was cleared." in done.stdout


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (5, "chap target set"),
        (5, "chap target remember secret=twelve-bytes"),
        (4, "chap target set secret=short"),
        (4, "chap target set secret=much-too-long-a-secret"),
        (5, "chap target set secret=*"),
    ],
)
def test_chap_that_fails(raid: Raid, status: int, line: str) -> None:
    """A secret that cannot be one is refused, and not shown."""
    shown = raid.fails(status, TARGET, line)
    assert "short" not in shown
    assert "much-too" not in shown


def test_import_target(raid: Raid) -> None:
    """IMPORTTARGET shows the import target, and makes the selected target it."""
    shown = raid.shows("importtarget subsystem", TARGET, "importtarget subsystem set target", "importtarget subsystem")
    assert shown == [
        "VSS import target: none",
        f"Target 0 ({NAME}) was created and is now the selected target.",
        f"The VSS import target is now {NAME}.",
        f"VSS import target: {NAME}",
    ]
    raid.fails(5, "importtarget subsystem set target")
    raid.fails(5, "importtarget subsystem set lun")
