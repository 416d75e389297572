"""IVdsStoragePool, IVdsSubSystem2, and which type an automagic LUN gets."""

import re
from pathlib import Path

import pytest

from tests.arrays import DRIVES, MIB, Array, SimulatedArray
from vdsprovd.model import Hints2, LunType
from vdsprovd.provider import automagic


def pool(array: Array, name: str) -> str:
    """The id of the pool of that name."""
    found = array.call("HwProviderStoragePools.QueryStoragePools")["storagePools"]
    (id,) = [entry["id"] for entry in found if entry["name"] == name]
    return str(id)


@pytest.mark.shows("StoragePool.GetAttributes")
@pytest.mark.shows("StoragePool.QueryDriveExtents")
@pytest.mark.shows("StoragePool.QueryAllocatedStoragePools")
def test_what_pools_are_like(drives: Array) -> None:
    """A pool of drives has redundancy, stripes and extents of its drives, used and free; a pool of files has none."""
    volumes, files = pool(drives, "vg0"), pool(drives, "files0")
    drives.make_volume("simple", 8 * MIB, ["drive1"])
    found = drives.call("StoragePool.GetAttributes", id=volumes)["attributes"]
    assert (found["isThinProvisioned"], found["packageRedundancyMax"]) == (False, len(DRIVES) - 1)
    assert found["stripeSizeMin"] <= found["defaultStripeSize"] <= found["stripeSizeMax"]
    assert drives.call("StoragePool.GetAttributes", id=files)["attributes"]["packageRedundancyMax"] == 0
    extents = drives.call("StoragePool.QueryDriveExtents", id=volumes)["extents"]
    assert {entry["id"] for entry in extents} == {drives.drives()[name] for name in DRIVES}
    used = [(entry["id"], entry["size"]) for entry in extents if entry["used"]]
    assert used == [(drives.drives()["drive1"], 8 * MIB)]
    properties = drives.call("StoragePool.GetProperties", id=volumes)["properties"]
    free = sum(entry["size"] for entry in extents if not entry["used"])
    assert properties["remainingFreeSpace"] == free
    assert drives.call("StoragePool.QueryDriveExtents", id=files) == {"extents": []}
    assert drives.call("StoragePool.QueryAllocatedStoragePools", id=volumes) == {"storagePools": []}


def test_pools_are_found_by_what_they_are_like(drives: Array) -> None:
    """QueryStoragePools gives the pools that have every attribute asked for, to the number; other pools it does not."""

    def names(**attributes: object) -> set[str]:
        found = drives.call("HwProviderStoragePools.QueryStoragePools", poolAttributes=attributes)["storagePools"]
        return {entry["name"] for entry in found}

    assert names() == {"files0", "spare0", "vg0"}
    assert names(packageRedundancyMax=len(DRIVES) - 1) == {"vg0"}
    assert names(packageRedundancyMax=len(DRIVES)) == set()
    assert names(isThinProvisioned=False) == {"files0", "spare0", "vg0"}
    assert names(isThinProvisioned=True) == set()
    assert names(raidType="raid6") == set()


@pytest.mark.shows("SubSystem2.GetProperties2")
@pytest.mark.shows("SubSystem2.QueryMaxLunCreateSize2", "S_OK", "VDS_E_NOT_SUPPORTED", "VDS_E_OBJECT_NOT_FOUND")
@pytest.mark.shows(
    "SubSystem2.CreateLun2",
    "S_OK",
    "VDS_E_NOT_SUPPORTED",
    "VDS_E_OBJECT_NOT_FOUND",
    "VDS_E_NOT_ENOUGH_SPACE",
    "VDS_E_NOT_ENOUGH_DRIVE",
    "E_INVALIDARG",
)
def test_the_methods_that_came_later(drives: Array) -> None:
    """With VDS_HINTS2, and the RAID forms that the pools have; the same errors as the older methods."""
    id = drives.sub_systems()["array2"]
    old = drives.call("SubSystem.GetProperties", id=id)["properties"]
    found = drives.call("SubSystem2.GetProperties2", id=id)["properties"]
    assert {key: found[key] for key in old} == old
    assert "supports_raid5_luns" in found["supportedRaidTypeFlags"]
    assert {"supports_mirror_luns", "lun_plexing_capable", "drive_extent_capable"} <= set(found["flags"])
    query = {"id": id, "type": "default", "hints2": {"mostlyReads": True}}
    largest = drives.call("SubSystem2.QueryMaxLunCreateSize2", **query)["maxLunSize"]
    create = {**query, "sizeInBytes": 8 * MIB}
    lun = drives.wait(drives.call("SubSystem2.CreateLun2", **create))
    assert drives.call("Lun2.QueryHints2", id=lun)["hints2"]["mostlyReads"]
    for code, parameters in (
        ("VDS_E_NOT_ENOUGH_SPACE", {"sizeInBytes": 4 * largest * len(DRIVES)}),
        ("E_INVALIDARG", {"type": "unknown"}),
        ("VDS_E_NOT_SUPPORTED", {"type": "simple"}),  # hints go with automagic types
        ("VDS_E_NOT_SUPPORTED", {"type": "raid3", "hints2": None}),
        ("VDS_E_NOT_SUPPORTED", {"driveIds": [drives.drives()["drive0"]]}),  # and drives with concrete ones
        ("VDS_E_OBJECT_NOT_FOUND", {"type": "simple", "hints2": None, "driveIds": ["x"]}),
    ):
        assert drives.error("SubSystem2.CreateLun2", **{**create, **parameters}) == code, parameters
    for code, parameters in (
        ("VDS_E_NOT_SUPPORTED", {"type": "raid3", "hints2": None}),
        ("VDS_E_OBJECT_NOT_FOUND", {"type": "simple", "hints2": None, "driveIds": ["x"]}),
    ):
        assert drives.error("SubSystem2.QueryMaxLunCreateSize2", **{**query, **parameters}) == code
    for name, drive in drives.drives().items():
        if name in DRIVES[1:]:
            drives.call("Drive.SetStatus", id=drive, status="offline")
    mirror = {"id": id, "type": "mirror", "sizeInBytes": 8 * MIB}
    assert drives.error("SubSystem2.CreateLun2", **mirror) == "VDS_E_NOT_ENOUGH_DRIVE"


@pytest.mark.shows("Lun.QueryMaxLunExtendSize", "VDS_E_NOT_ENOUGH_DRIVE")
def test_growth_in_a_pool_that_is_gone(array: Array) -> None:
    """QueryMaxLunExtendSize in a pool that cannot be used is VDS_E_NOT_ENOUGH_DRIVE."""
    lun = array.make_lun()
    with array.pool_gone("files0"):
        assert array.error("Lun.QueryMaxLunExtendSize", id=lun) == "VDS_E_NOT_ENOUGH_DRIVE"


DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "automagic.md"


def test_the_table_of_automagic_choices_is_the_code_s() -> None:
    """docs/automagic.md has a line for every rule, in the rules' order, with the same types."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", DOCUMENT.read_text(), re.MULTILINE)[2:]
    assert rows == [
        (
            ", ".join(f"`{type.value}`" for type in rule.asked),
            rule.wish,
            ", then ".join(type.value for type in rule.types),
        )
        for rule in automagic.RULES
    ]


@pytest.mark.parametrize(
    ("asked", "hints", "type"),
    [
        ("default", {}, "simple"),
        ("default", {"optimizeForSequentialReads": True}, "stripe"),
        ("default", {"optimizeForSequentialReads": True, "isYankable": True}, "simple"),
        ("non_fault_tolerant", {"stripeSize": 65536}, "stripe"),
        ("non_fault_tolerant", {"stripeSize": 65536, "maximumDriveCount": 1}, "simple"),
        ("fault_tolerant", {}, "mirror"),
        ("fault_tolerant", {"mostlyReads": True}, "parity"),
        ("fault_tolerant", {"mostlyReads": True, "fastCrashRecoveryRequired": True}, "mirror"),
    ],
)
def test_automagic_choices(drives_simulated: SimulatedArray, asked: str, hints: dict[str, object], type: str) -> None:
    """The type that is chosen is the one of the table."""
    array = drives_simulated
    create = {"id": array.sub_systems()["array2"], "type": asked, "sizeInBytes": 8 * MIB, "hints": hints}
    lun = array.wait(array.call("SubSystem.CreateLun", **create))
    assert array.call("Lun.GetProperties", id=lun)["properties"]["type"] == type


def test_a_stripe_size_goes_with_what_is_striped(drives: Array) -> None:
    """A stripeSize, alone, is no wish for a LUN of a striped type but a part of what it is; other hints are refused."""
    create = {"id": drives.sub_systems()["array2"], "type": "stripe", "sizeInBytes": 8 * MIB}
    lun = drives.wait(drives.call("SubSystem.CreateLun", **create, hints={"stripeSize": 131072}))
    (plex,) = drives.call("Lun.QueryPlexes", id=lun)["plexes"]
    assert plex["stripeSize"] == 131072
    for hints in ({}, {"stripeSize": 131072, "mostlyReads": True}, {"stripeSize": 5000}):
        assert drives.error("SubSystem.CreateLun", **create, hints=hints) == "VDS_E_NOT_SUPPORTED"


def test_an_automagic_lun_that_fits_on_no_single_drive(drives: Array) -> None:
    """Where the first type has no room, the next one of the table is taken: a span for what no drive holds alone."""
    id = drives.sub_systems()["array2"]
    alone = drives.call("SubSystem.QueryMaxLunCreateSize", id=id, type="simple")["maxLunSize"]
    lun = drives.make_volume("default", alone + 8 * MIB)
    assert drives.call("Lun.GetProperties", id=lun)["properties"]["type"] == "span"


def test_every_automagic_type_has_a_rule_for_no_wish() -> None:
    """Without any hint there is something to try for each automagic type."""
    for type in LunType:
        assert automagic.types(type, Hints2())


@pytest.mark.shows("SubSystem.GetProperties", "VDS_S_PROPERTIES_INCOMPLETE")
@pytest.mark.shows("SubSystem2.GetProperties2", "VDS_S_PROPERTIES_INCOMPLETE")
@pytest.mark.shows("LunPlex.GetProperties", "VDS_S_PROPERTIES_INCOMPLETE")
def test_what_is_not_known_while_a_pool_is_gone(array: Array) -> None:
    """While a pool cannot be read a scan finds the subsystem degraded and its properties incomplete, and so are those of
    the plexes whose volumes are missing; with the pool back they are whole."""
    array.add_pool("files1")
    lun = array.make_lun(pool="files1")
    (plex,) = array.plexes(lun)
    objects = (
        ("SubSystem.GetProperties", array.sub_system),
        ("SubSystem2.GetProperties2", array.sub_system),
        ("LunPlex.GetProperties", plex["id"]),
    )
    with array.pool_gone("files1"):
        array.call("HwProvider.Refresh")
        assert [array.call(method, id=id)["hresult"] for method, id in objects] == [0x00042715] * 3
        assert array.call("SubSystem.GetProperties", id=array.sub_system)["properties"]["health"] == "degraded"
    array.call("HwProvider.Refresh")
    assert [array.call(method, id=id)["hresult"] for method, id in objects] == [0] * 3
