"""Names, status, maintenance, caches, drives, and what finds objects."""

import pytest

from tests.diskraid.raid import Raid

OBJECTS = ("create lun simple size=8", "create target name=one")


@pytest.mark.parametrize(("word", "kind"), [("subsystem", "subsystem"), ("lun", "LUN"), ("target", "target")])
def test_name(raid: Raid, word: str, kind: str) -> None:
    """NAME gives a name, with blanks in quotes, and takes it again."""
    select = (*OBJECTS, f"select {word} {2 if word == 'subsystem' else 0}")
    assert raid.shows(*select, f'name {word} "Great Möhre 7"')[-1] == f"The selected {kind} was named Great Möhre 7."
    assert raid.detail(word, *select[2:])["Name"] == ["Great Möhre 7"]
    if word == "subsystem":
        return
    assert raid.shows(*select[2:], f"name {word}")[-1] == f"The selected {kind} has no name now."
    assert raid.detail(word, *select[2:])["Name"] == [""]


def test_names_that_are_none(raid: Raid) -> None:
    """A name has fewer than 64 characters, and is one word or in quotes."""
    raid.shows(OBJECTS[0], "name lun " + 63 * "x")
    raid.fails(5, "select lun 0", "name lun " + 64 * "x")
    raid.fails(5, "select lun 0", "name lun two words")
    assert raid.detail("lun", "select lun 0")["Name"] == [63 * "x"]


@pytest.mark.parametrize("word", ["subsystem", "controller", "drive", "lun", "tportal"])
def test_offline_and_online(raid: Raid, word: str) -> None:
    """An object's status is set, and told."""
    select = [*OBJECTS, f"select {word} {2 if word == 'subsystem' else 0}"]
    assert raid.detail(word, *select, f"offline {word}")["Status"] == ["Offline"]
    assert raid.detail(word, f"select {word} {2 if word == 'subsystem' else 0}", f"online {word}")["Status"] == [
        "Online"
    ]


def test_what_has_no_status(raid: Raid) -> None:
    """A target cannot be set offline, and a port neither: DiskRAID has no such commands."""
    for word in ("target", "port", "tpgroup", "provider"):
        raid.fails(5, f"offline {word}")


@pytest.mark.parametrize("word", ["subsystem", "drive", "lun"])
def test_maintenance(raid: Raid, word: str) -> None:
    """A light blinks until it is stopped, or for some times; whatever the host cannot do has VDS's code."""
    select = [OBJECTS[0], f"select {word} {2 if word == 'subsystem' else 0}"]
    shown = raid.shows(
        *select,
        f"maintenance {word} blink count=3",
        f"maintenance {word} blink",
        f"maintenance {word} blink count=0",
        f"maintenance {word} blink count=0",
    )
    assert shown[-4:] == [
        "BLINK was started, for 3 times.",
        "BLINK was started; MAINTENANCE with COUNT=0 stops it.",
        "BLINK was stopped.",
        "BLINK was not running.",
    ]
    assert "VDS_E_NOT_SUPPORTED" in raid.fails(4, *select, f"maintenance {word} beep")


def test_maintenance_of_a_controller(raid: Raid) -> None:
    """The controller, this host, answers a ping."""
    assert raid.shows("select controller 0", "maintenance controller ping")[-1].startswith("PING was started")
    raid.fails(5, "select controller 0", "maintenance controller")
    raid.fails(5, "select controller 0", "maintenance controller dance")


def test_caches_and_resets(raid: Raid) -> None:
    """A controller's cache is written out or invalidated; a controller and a port are reset, as far as the daemon does."""
    raid.shows("select controller 0", "flushcache controller")
    for line in ("invalidatecache controller", "reset controller"):
        done = raid.script("select controller 0", line)
        assert done.returncode in (0, 4)
        assert done.returncode == 0 or "VDS_E_NOT_SUPPORTED" in done.stdout
    done = raid.script("select controller 0", "select port 0", "reset port")
    assert done.returncode in (0, 4)
    for line in ("flushcache controller", "invalidatecache controller", "reset controller", "reset port"):
        raid.fails(5, line)


def test_reenumerate_and_refresh(raid: Raid) -> None:
    """The provider looks for subsystems and reads anew, the subsystem looks for drives."""
    assert raid.shows("reenumerate subsystems", "refresh provider", "reenumerate drives") == [
        "The subsystems were reenumerated.",
        "The provider was refreshed.",
        "The drives were reenumerated.",
    ]
    assert raid.run(b"refresh provider").returncode == 5
    assert raid.run(b"select provider 0\nrefresh provider").returncode == 0


def test_they_recover_a_corrupt_cache(raid: Raid) -> None:
    """Reenumerate and Refresh, in that order, are what a script recovers the provider's cache with."""
    target, group = raid.array.make_reachable_target()
    portal = raid.array.portals_of(group)[0]
    raid.array.lose_portal(raid.array.name_of(target))
    operation = raid.array.call("IscsiPortalGroup.RemovePortal", id=group, portalId=portal)["async"]
    with pytest.raises(AssertionError, match="VDS_E_PROVIDER_CACHE_CORRUPT"):
        raid.array.wait({"async": operation})
    said = raid.run(b"select subsystem 0\nlist luns").stdout
    assert "VDS_E_PROVIDER_CACHE_CORRUPT" in said
    assert "REENUMERATE SUBSYSTEMS, then REFRESH PROVIDER, recover it." in said
    done = raid.run(b"select provider 0\nreenumerate subsystems\nrefresh provider\nselect subsystem 0\nlist luns")
    assert done.returncode == 0, done.stdout


def test_hot_spares(raid: Raid) -> None:
    """SETFLAG makes a free drive a hot spare, and none again; a drive in use cannot be one."""
    assert "Hotspare" in raid.detail("drive", "select drive 4", "setflag drive hotspare=true")["Flags"][0]
    assert "Hotspare" not in raid.detail("drive", "select drive 4", "setflag drive hotspare=FALSE")["Flags"][0]
    raid.fails(4, "create lun simple size=8 drives=0", "select drive 0", "setflag drive hotspare=true")
    raid.fails(5, "select drive 4", "setflag drive")


def test_replace(raid: Raid) -> None:
    """REPLACE puts the selected drive in the place of another one."""
    shown = raid.shows("create lun mirror size=8 drives=0,1", "select drive 4", "replace drive=1")
    assert shown[-1] == "Drive 1 was replaced by the selected drive."
    assert sorted(raid.detail("lun", "select lun 0")["Drives"])[0].startswith("Drive 0 ")
    assert "cannot replace itself" in raid.fails(5, "select drive 4", "replace drive=4")
    raid.fails(5, "select drive 4", "replace drive=44")
    raid.fails(5, "select drive 4", "replace")


def test_hba_ports(raid: Raid) -> None:
    """Where this host has no Fibre Channel adapter, no HBA port can be selected."""
    assert raid.shows("list hbaports")[-1] == "There are no HBA ports."
    for line in ("standby hbaport", "online hbaport", "detail hbaport"):
        raid.fails(5, line)
