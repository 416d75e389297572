"""LIST, SELECT, DETAIL: numbers, what is selected, and what selecting one thing does to the others."""

import pytest

from tests.diskraid.raid import Raid
from vdsprovd.diskraid.commands import FORMS
from vdsprovd.diskraid.kinds import KINDS, PLURALS
from vdsprovd.diskraid.session import Session

OBJECTS = ("create lun simple size=8", "create target name=one", "create tpgroup")
INSIDE = ("controller", "drive", "lun", "tportal", "target")
_THERE_BY_DEFAULT = [plural for plural, word in PLURALS.items() if word not in ("hbaport", "iadapter", "iportal")]


def selected(raid: Raid, *lines: str) -> set[str]:
    """The kinds of which an object is selected after the lines."""
    session = Session(str(raid.array.socket), FORMS)
    for line in ("select subsystem 2", *lines):
        assert session.execute(line) == 0, line
    session.close()
    return {word for word in KINDS if session.focus.get(word)}


@pytest.mark.parametrize("word", INSIDE)
def test_one_thing_in_a_subsystem_is_selected(raid: Raid, word: str) -> None:
    """Selecting a controller, drive, LUN, portal or target takes the selection from what is beside it."""
    for other in INSIDE:
        found = selected(raid, *OBJECTS, f"select {other} 0", f"select {word} 0")
        assert found == {"provider", "subsystem", word}


def test_what_is_inside_stays_with_what_it_is_in(raid: Raid) -> None:
    """A port goes with its controller, and a portal group with its target; another one of those has none selected."""
    assert selected(raid, "select controller 0", "select port 0") == {"provider", "subsystem", "controller", "port"}
    group = selected(raid, *OBJECTS, "select target 0", "select tpgroup 0")
    assert group == {"provider", "subsystem", "target", "tpgroup"}
    assert "tpgroup" not in selected(raid, *OBJECTS, "create target name=two", "select target 0")
    assert selected(raid, *OBJECTS, "select subsystem 1") == {"provider", "subsystem"}


def test_a_number_that_there_is_not(raid: Raid) -> None:
    """It selects nothing, and is no error, as in DiskRAID; without a number the selected one is shown."""
    shown = raid.shows(OBJECTS[0], "select lun", "select lun 99", "select lun", "sel lun 0")
    assert shown[1:] == [
        "LUN 0 is the selected LUN.",
        "There is no LUN 99: LIST LUNS shows them.",
        "There is no selected LUN now.",
        "There is no selected LUN.",
        "LUN 0 is now the selected LUN.",
    ]


def test_nothing_is_selected_at_the_start(raid: Raid) -> None:
    """What is in a subsystem cannot be listed or selected before the subsystem is."""
    for line in ("list luns", "select lun 0", "list ports", "create lun simple size=8", "list tpgroups"):
        done = raid.run(line.encode())
        assert done.returncode == 5
        assert "There is no selected " in done.stdout


@pytest.mark.parametrize("plural", _THERE_BY_DEFAULT)
def test_lists(raid: Raid, plural: str) -> None:
    """Every list has a row for each object, numbered from 0, with a star before the selected one."""
    word = PLURALS[plural]
    before = [*OBJECTS, "select target 0"] if word == "tpgroup" else [*OBJECTS, "select controller 0"]
    shown = raid.shows(*before, f"select {word} 0", f"list {plural}")
    title = KINDS[word].title
    heading = next(place for place, line in enumerate(shown) if line.startswith(f"  {title} ###"))
    assert set(shown[heading + 1]) == {" ", "-"}
    star = "2" if word == "subsystem" else "0"
    rows = shown[heading + 2 :]
    assert [row[:2] for row in rows] == ["* " if row[2:].startswith(f"{title} 0 ") else "  " for row in rows], star
    assert [row[2:].split("  ")[0].strip() for row in rows] == [f"{title} {n}" for n in range(len(rows))]


def test_the_list_of_drives(raid: Raid) -> None:
    """The list has the columns of Microsoft's example."""
    shown = raid.shows("create lun simple size=8 drives=1", "list drives")[1:]
    assert shown[0].split() == ["Drive", "###", "Status", "Health", "Size", "Free", "Bus", "Slot", "Flags"]
    rows = [line[2:].split() for line in shown[2:]]
    assert [row[:2] for row in rows] == [["Drive", str(number)] for number in range(6)]
    assert rows[1][2:8] == ["Online", "Healthy", *rows[1][4:6], *rows[1][6:8]]
    assert int(rows[1][6]) < int(rows[0][6]), "the drive that the LUN is on has less free space"


def test_an_empty_list(raid: Raid) -> None:
    """It says that there is nothing."""
    assert raid.shows("list luns", "list targets") == ["There are no LUNs.", "There are no targets."]


def test_numbers_last_from_list_to_list(raid: Raid) -> None:
    """A number never means another object than the list showed, whatever is deleted or created meanwhile."""
    session = Session(str(raid.array.socket), FORMS)
    for line in ("select subsystem 2", *["create lun simple size=8"] * 3, "list luns"):
        assert session.execute(line) == 0
    first, second, third = (session.focus.at("lun", number) for number in range(3))
    raid.array.call("Lun.Delete", id=first)
    new = raid.array.make_volume("simple")
    assert session.execute("select lun 2") == 0
    assert session.focus.get("lun") == third
    assert session.execute("delete lun") == 0
    assert session.execute("create lun simple size=8") == 0
    assert session.focus.number("lun", str(session.focus.get("lun"))) == 3
    created = session.focus.get("lun")
    assert session.execute("list luns") == 0
    assert [session.focus.at("lun", number) for number in range(3)] == [second, created, new]
    session.close()


def test_details(raid: Raid) -> None:
    """DETAIL tells what there is to know, with the numbers of what belongs to the object."""
    assert raid.detail("provider")["Type"] == ["Hardware"]
    assert raid.detail("subsystem")["Name"] == ["array2"]
    assert raid.detail("controller", "select controller 0")["Ports"] == ["1"]
    assert raid.detail("port", "select controller 0", "select port 0")["Status"] == ["Online"]
    lines = (*OBJECTS, "select lun 0", "associate targets 0", "unmask lun initiator=iqn.2026-11.org.example:a")
    lun = raid.detail("lun", *lines)
    assert lun["Targets"][0].startswith("Target 0 (iqn.2026-11.org.example:")
    assert lun["Unmasked hosts"] == ["iqn.2026-11.org.example:a"]
    assert lun["Drives"] == ["Drive 0 (8192 KB)"]
    assert raid.detail("drive", "select drive 0")["LUNs"] == ["LUN 0 (8192 KB)"]
    assert raid.detail("target", "select target 0")["LUNs"] == ["LUN 0"]
    assert raid.detail("tportal", "select tportal 0")["Address"] == ["10.77.0.1:3262"]
    verbose = raid.detail("lun verbose", "select lun 0")
    assert verbose["Plex 0"][0].startswith("Simple, Online, Healthy, 8192 KB")
    assert verbose["Ports"] == ["Ctlr 0 Port 0"]
    assert verbose["Load balance policy"] == ["Round Robin"]


def test_details_of_a_portal_group(raid: Raid) -> None:
    """A portal group tells its tag and its portals."""
    group = raid.detail("tpgroup", *OBJECTS, "add tpgroup tportal=0")
    assert group["Tag"] == ["1"]
    assert group["Target portals"] == ["Target Portal 0 (10.77.0.1:3262)"]


def test_what_vanished_while_it_was_selected(raid: Raid) -> None:
    """The daemon's answer is told."""
    session = Session(str(raid.array.socket), FORMS)
    for line in ("select subsystem 2", "create lun simple size=8"):
        assert session.execute(line) == 0
    raid.array.call("Lun.Delete", id=str(session.focus.get("lun")))
    assert session.execute("detail lun") == 4
    session.close()
