"""LUNs: CREATE, EXTEND, SHRINK, ADD PLEX, BREAK, RECOVER, UNMASK, DELETE, AUTOMAGIC, LBPOLICY."""

import pytest

from tests.diskraid.raid import Raid

MIB = 1 << 20
ONE, TWO = "iqn.2026-11.org.example:one", "iqn.2026-11.org.example:two"


def luns(raid: Raid) -> list[dict[str, object]]:
    """The properties of array2's LUNs."""
    found: list[dict[str, object]] = raid.array.call("SubSystem.QueryLuns", id=raid.array.sub_systems()["array2"])[
        "luns"
    ]
    return found


@pytest.mark.parametrize(
    ("line", "type", "size"),
    [
        ("create lun simple size=8MB", "simple", 8 * MIB),
        ("CREATE LUN SIMPLE SIZE=8", "simple", 8 * MIB),
        ("cre lun str size=8MB drives=0,1", "stripe", 8 * MIB),
        ("create lun raid size=8192KB", "parity", 8 * MIB),
        ("create lun mirror drives=0, 3 size=8MB", "mirror", 8 * MIB),
        ("create lun mirror drives=0,3", "mirror", 32 * MIB),
        ("create lun simple drives=2", "simple", 32 * MIB),
        ("create lun automagic size=8MB", "simple", 8 * MIB),
    ],
)
def test_create(raid: Raid, line: str, type: str, size: int) -> None:
    """A LUN has the type that DiskRAID's word means, and the size asked for, or all that the drives hold."""
    raid.shows(line)
    (lun,) = luns(raid)
    assert lun["type"] == type
    largest = "size" not in line.lower()
    assert lun["size"] == size or (largest and 8 * MIB < int(str(lun["size"])) <= size)
    assert lun["unmaskingList"] == ""


def test_the_stripe_size(raid: Raid) -> None:
    """stripesize= is the size of a striped LUN's stripes, as DETAIL LUN VERBOSE shows it."""
    shown = raid.detail("lun verbose", "create lun stripe size=8 drives=0,1 stripesize=128KB")
    assert shown["Plex 0"] == ["Stripe, Online, Healthy, 8192 KB, stripes of 128 KB"]
    assert "VDS_E_NOT_SUPPORTED" in raid.fails(4, "create lun mirror size=8 stripesize=128KB")


def test_create_on_the_drives_in_their_order(raid: Raid) -> None:
    """drives= are numbers of LIST DRIVES, and the first is used first."""
    assert raid.detail("lun", "create lun simple size=8 drives=3,1")["Drives"] == ["Drive 3 (8192 KB)"]


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (5, "create lun simple"),
        (5, "create lun stripe stripesize=64KB"),
        (5, "create lun automagic"),
        (5, "create lun simple size=8 drives=9"),
        (5, "create lun simple size=8 drives=a"),
        (4, "create lun simple size=1PB"),
        (4, "create lun stripe size=8 stripesize=3KB"),
    ],
)
def test_create_that_fails(raid: Raid, status: int, line: str) -> None:
    """What is wrong in the line is a mistake, what the daemon refuses has VDS's code; nothing is created."""
    before = raid.state()
    raid.fails(status, line)
    assert raid.state() == before


def test_automagic(raid: Raid) -> None:
    """The flags say what LUN CREATE LUN AUTOMAGIC makes, until they are cleared."""
    raid.shows(
        "automagic set ftl=true msr=TRUE mxs=1GB rbp=3",
        "create lun automagic size=8",
        "automagic clear ftl msr",
        "automagic clear all",
        "create lun automagic size=8",
    )
    first, second = luns(raid)
    assert (first["type"], second["type"]) == ("parity", "simple")
    hints = raid.array.call("Lun.QueryHints", id=first["id"])["hints"]
    assert (hints["mostlyReads"], hints["expectedMaximumSize"], hints["rebuildPriority"]) == (True, 1 << 30, 3)


def test_automagic_flags_are_shown(raid: Raid) -> None:
    """AUTOMAGIC lists the flags with their values."""
    shown = raid.shows("automagic set osr=true sts=64KB")
    assert shown == ["The automagic flags were set."]
    shown = raid.shows("automagic set osr=true sts=64KB", "automagic")[1:]
    rows = {line[2:5]: line[5:].split()[0] for line in shown[2:]}
    assert len(rows) == 17
    assert (rows["OSR"], rows["STS"], rows["WTC"]) == ("TRUE", "64", "-")
    assert [line for line in shown if line.startswith("*")] == [line for line in shown if line[2:5] in ("OSR", "STS")]


def test_automagic_apply(raid: Raid) -> None:
    """APPLY applies what is set and named, or all that is set, or what is given with it."""
    flags = "automagic set msr=true mxd=3 rbp=5"

    def in_force() -> tuple[object, ...]:
        hints = raid.array.call("Lun.QueryHints", id=luns(raid)[0]["id"])["hints"]
        return hints["mostlyReads"], hints["maximumDriveCount"], hints["rebuildPriority"]

    raid.shows("create lun simple size=8", flags, "automagic apply msr")
    assert in_force() == (True, 0, 0)
    raid.shows("select lun 0", flags, "automagic apply all", "automagic apply rbp=7")
    assert in_force() == (True, 3, 7)
    raid.fails(5, "select lun 0", "automagic apply all")
    raid.fails(5, "select lun 0", "automagic apply")
    raid.fails(5, "automagic set")
    raid.fails(5, "automagic clear")


def test_extend_and_shrink(raid: Raid) -> None:
    """EXTEND adds that size, or what the drives hold; SHRINK takes it off."""
    raid.shows("create lun simple size=8 drives=0", "extend lun size=4MB", "shrink lun size=2MB")
    assert luns(raid)[0]["size"] in (10 * MIB, 12 * MIB)
    shown = raid.shows("select lun 0", "extend lun drives=0")
    assert shown[-1].startswith("The LUN was extended; it has ")
    assert int(str(luns(raid)[0]["size"])) > 16 * MIB
    raid.fails(5, "select lun 0", "extend lun")
    raid.fails(4, "select lun 0", "shrink lun size=1GB")
    raid.fails(5, "extend lun size=1")


def test_plexes(raid: Raid) -> None:
    """ADD PLEX makes a LUN a copy of the selected one; BREAK removes a copy by its number."""
    shown = raid.shows(
        "create lun simple size=8 drives=0",
        "create lun simple size=8 drives=1",
        "select lun 0",
        "add plex lun=1",
        "select lun 1",
        "select lun 0",
        "break plex=1",
    )
    assert "LUN 1 is now a plex of the selected LUN, and no LUN any more." in shown
    assert "There is no LUN 1: LIST LUNS shows them." in shown
    assert "Plex 1 was removed. The numbers of the plexes after it are one less now." in shown
    assert len(luns(raid)) == 1
    raid.fails(5, "select lun 0", "break plex=7")
    raid.fails(4, "select lun 0", "break plex=0")
    raid.fails(5, "select lun 0", "add plex lun=4")


def test_recover(raid: Raid) -> None:
    """RECOVER is for fault-tolerant LUNs; of another one the daemon says that it is none."""
    raid.shows("create lun mirror size=8", "recover lun")
    shown = raid.fails(4, "create lun simple size=8", "recover lun")
    assert "VDS_E_INVALID_OPERATION" in shown


def test_unmask(raid: Raid) -> None:
    """UNMASK replaces the hosts, or with ADD adds some; each once, in their order."""
    masks = [
        ("unmask lun all", "*"),
        (f"unmask lun initiator={ONE}", ONE),
        (f"unmask lun add initiator={TWO};{ONE}", f"{ONE};{TWO}"),
        (f"unmask lun initiator={TWO}; {ONE}", f"{TWO};{ONE}"),
        ("unmask lun none", ""),
        (f"unmask lun add initiator={ONE}", ONE),
        ("UNMASK LUN ALL", "*"),
        (f"unmask lun add initiator={ONE}", "*"),
    ]
    raid.shows("create lun simple size=8")
    for line, mask in masks:
        raid.shows("select lun 0", line)
        assert luns(raid)[0]["unmaskingList"] == mask, line


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (5, "unmask lun"),
        (5, "unmask lun add"),
        (5, f"unmask lun wwn=1000000000000000 initiator={ONE}"),
        (5, f"unmask lun all initiator={ONE}"),
        (4, "unmask lun initiator=nobody"),
        (4, "unmask lun wwn=1000000000000000"),
    ],
)
def test_unmask_that_fails(raid: Raid, status: int, line: str) -> None:
    """The mask stays as it was."""
    raid.shows("create lun simple size=8", f"unmask lun initiator={ONE}")
    raid.fails(status, "select lun 0", line)
    assert luns(raid)[0]["unmaskingList"] == ONE


def test_delete(raid: Raid) -> None:
    """DELETE LUN deletes the selected one, and none is selected then."""
    shown = raid.shows(
        *["create lun simple size=8"] * 2, "delete lun", "select lun", "select lun 0", "delete lun uninstall"
    )
    assert shown[2:] == [
        "LUN 1 was deleted.",
        "There is no selected LUN.",
        "LUN 0 is now the selected LUN.",
        "LUN 0 was deleted.",
    ]
    assert luns(raid) == []


def test_load_balance_policy(raid: Raid) -> None:
    """LBPOLICY sets what the daemon has, and what it has not is refused with VDS's code."""
    raid.shows("create lun simple size=8", "lbpolicy set lun type=roundrobin", "lbpolicy set lun type=ROU")
    assert "VDS_E_NOT_SUPPORTED" in raid.fails(4, "select lun 0", "lbpolicy set lun type=FAILOVER")
    raid.fails(5, "select lun 0", "lbpolicy set lun")
    raid.fails(5, "select lun 0", "lbpolicy set lun type=magic")
    raid.fails(5, "select lun 0", "lbpolicy set lun type=weighted paths=0-5")
    raid.fails(5, "select lun 0", "lbpolicy set lun paths=0")
    raid.fails(5, "select lun 0", "lbpolicy set lun paths=0-primary,0-1")
