"""IVdsSubSystem, IVdsSubSystemNaming, IVdsSubSystemIscsi, and the provider above them."""

import threading

import pytest

from tests.arrays import INITIATOR, MIB, Array, SimulatedArray
from vdsprovd.model import LunType


def create(array: Array, **parameters: object) -> str:
    """Why CreateLun fails at once."""
    wanted = {"id": array.sub_system, "type": "simple", "sizeInBytes": MIB, **parameters}
    return array.error("SubSystem.CreateLun", **wanted)


@pytest.mark.shows("HwProviderType.GetProviderType")
@pytest.mark.shows("SubSystem.GetProperties")
@pytest.mark.shows("SubSystem.GetProvider")
def test_properties(array: Array) -> None:
    """The subsystem says what it can do, is online and healthy, and has an identification."""
    found = array.call("SubSystem.GetProperties", id=array.sub_system)
    assert found["hresult"] == 0
    assert found["properties"]["identification"]
    assert found["properties"]["status"] == "online"
    assert {"lun_masking_capable", "supports_simple_luns", "supports_auth_chap"} <= set(found["properties"]["flags"])
    provider = array.call("Provider.GetProperties")["properties"]["id"]
    assert array.call("SubSystem.GetProvider", id=array.sub_system) == {"provider": provider}
    assert array.call("HwProviderType.GetProviderType") == {"type": "iscsi"}


@pytest.mark.shows("Provider.GetProperties")
def test_the_provider_and_its_subsystems_keep_their_ids(array: Array) -> None:
    """Ids outlive restart and reboot."""
    before = (array.call("Provider.GetProperties"), array.sub_systems())
    array.restart()
    array.reboot()
    assert (array.call("Provider.GetProperties"), array.sub_systems()) == before


@pytest.mark.shows("SubSystem.CreateLun")
@pytest.mark.parametrize("type", ["default", "non_fault_tolerant", "simple"])
def test_types_that_files_can_be(array: Array, type: str) -> None:
    """Simple, and the automagic types that may be it, give a simple LUN; the result's object is its id."""
    reply = array.call("SubSystem.CreateLun", id=array.sub_system, type=type, sizeInBytes=MIB, hints=None)
    result = array.result(reply)
    assert (result["hresult"], result["type"]) == (0, "create_lun")
    assert array.call("Lun.GetProperties", id=result["object"])["properties"]["type"] == "simple"
    assert array.call("SubSystem.QueryMaxLunCreateSize", id=array.sub_system, type=type)["maxLunSize"] > 0


def test_every_other_type_is_not_supported(simulated: SimulatedArray) -> None:
    """A type of the enumeration that files cannot be is VDS_E_NOT_SUPPORTED; unknown, or none of it, E_INVALIDARG."""
    for type in LunType:
        if type in (LunType.DEFAULT, LunType.NON_FAULT_TOLERANT, LunType.SIMPLE):
            continue
        wanted = "E_INVALIDARG" if type is LunType.UNKNOWN else "VDS_E_NOT_SUPPORTED"
        assert create(simulated, type=type.value) == wanted
    assert create(simulated, type="raid7") == "E_INVALIDARG"


@pytest.mark.shows("SubSystem.CreateLun", "VDS_E_OBJECT_NOT_FOUND", "E_INVALIDARG")
def test_wrong_parameters_change_nothing(array: Array) -> None:
    """Sizes that no LUN can have, unknown drives and wrong masks are errors at once, and nothing is left."""
    before = array.kernel()
    for size, code in (
        (0, "E_INVALIDARG"),
        (-1, "E_INVALIDARG"),
        (1 << 62, "VDS_E_NOT_ENOUGH_SPACE"),
        (1 << 64, "VDS_E_NOT_ENOUGH_SPACE"),
    ):
        assert create(array, sizeInBytes=size) == code
    assert create(array, sizeInBytes="1G").endswith("InvalidParameter")
    assert create(array, size=1).endswith("InvalidParameter")
    assert create(array, driveIds=["00000000-0000-0000-0000-000000000000"]) == "VDS_E_OBJECT_NOT_FOUND"
    assert create(array, unmaskingList="../../etc") == "E_INVALIDARG"
    assert create(array, hints={"mostlyReads": True}) == "VDS_E_NOT_SUPPORTED"
    assert create(array, id="nothing") == "VDS_E_OBJECT_NOT_FOUND"
    assert array.call("SubSystem.QueryLuns", id=array.sub_system) == {"luns": []}
    assert array.kernel() == before


@pytest.mark.shows("SubSystem.CreateLun", "VDS_E_NOT_ENOUGH_SPACE")
@pytest.mark.shows("SubSystem.QueryMaxLunCreateSize")
def test_the_largest_lun_can_be_created_and_no_larger(array: Array) -> None:
    """QueryMaxLunCreateSize is what CreateLun can do; more is VDS_E_NOT_ENOUGH_SPACE and leaves the pool as it was."""
    most = array.call("SubSystem.QueryMaxLunCreateSize", id=array.sub_system, type="simple")["maxLunSize"]
    assert create(array, sizeInBytes=most + 1) == "VDS_E_NOT_ENOUGH_SPACE"
    # A file system needs some of its free space for itself.
    array.make_lun(most - 16 * MIB)
    after = array.call("SubSystem.QueryMaxLunCreateSize", id=array.sub_system, type="simple")["maxLunSize"]
    assert after <= 16 * MIB


@pytest.mark.shows("SubSystem.QueryLuns")
def test_creations_from_many_clients_queue(array: Array) -> None:
    """CreateLun calls on one subsystem at the same time all succeed."""
    made: list[str] = []
    id = array.sub_system

    def client() -> None:
        with array.connect() as connection:
            for _ in range(4):
                reply = connection.call(
                    "org.vdsprov.SubSystem.CreateLun", {"id": id, "type": "simple", "sizeInBytes": MIB}
                )
                made.append(connection.call("org.vdsprov.Async.Wait", {"id": reply["async"]})["object"])

    clients = [threading.Thread(target=client, daemon=True) for _ in range(8)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    found = {entry["id"] for entry in array.call("SubSystem.QueryLuns", id=id)["luns"]}
    assert found == set(made)
    assert len(made) == 32


@pytest.mark.shows("SubSystem.SetStatus", "S_OK", "VDS_E_NOT_SUPPORTED", "E_INVALIDARG")
def test_offline_disables_every_portal_group(array: Array) -> None:
    """An offline subsystem's portal groups are disabled, also after a reboot; online restores the kernel."""
    array.make_reachable_target()
    before = array.kernel()
    array.call("SubSystem.SetStatus", id=array.sub_system, status="offline")
    assert array.kernel() != before
    array.reboot()
    assert array.call("SubSystem.GetProperties", id=array.sub_system)["properties"]["status"] == "offline"
    array.call("SubSystem.SetStatus", id=array.sub_system, status="online")
    assert array.kernel() == before
    assert array.error("SubSystem.SetStatus", id=array.sub_system, status="unknown") == "E_INVALIDARG"
    assert array.error("SubSystem.SetStatus", id=array.sub_system, status="failed") == "VDS_E_NOT_SUPPORTED"


@pytest.mark.shows("SubSystemNaming.SetFriendlyName", "S_OK", "VDS_S_NAME_TRUNCATED")
def test_names(array: Array) -> None:
    """A subsystem's name is kept through a restart, and cut with VDS_S_NAME_TRUNCATED."""
    id = array.sub_system
    assert array.call("SubSystemNaming.SetFriendlyName", id=id, friendlyName="Basement") == {"hresult": 0}
    array.restart()
    assert array.sub_systems()["Basement"] == id
    reply = array.call("SubSystemNaming.SetFriendlyName", id=id, friendlyName="x" * 300)
    assert reply == {"hresult": 0x00042700}


@pytest.mark.shows("IscsiTarget.GetProperties")
def test_targets_get_a_name_or_a_generated_one(array: Array) -> None:
    """A name given is brought into lower case; null and "" generate one with the subsystem's prefix."""
    names = [array.name_of(array.make_target(name)) for name in ("IQN.2026-11.org.Example:Big", None, "")]
    assert names[0] == "iqn.2026-11.org.example:big"
    assert all(name.startswith("iqn.2026-11.org.example:") for name in names)
    assert len(set(names)) == 3


@pytest.mark.shows("SubSystemIscsi.CreateTarget", "S_OK", "VDS_E_NAME_NOT_UNIQUE")
def test_a_name_is_used_once(array: Array) -> None:
    """A second target of one name, in any subsystem and at the same moment, is VDS_E_NAME_NOT_UNIQUE."""
    name = "iqn.2026-11.org.example:once"
    first = array.call("SubSystemIscsi.CreateTarget", id=array.sub_system, iscsiName=name)
    with array.connect() as connection:
        try:
            second = connection.call(
                "org.vdsprov.SubSystemIscsi.CreateTarget", {"id": array.sub_systems()["array1"], "iscsiName": name}
            )
        except Exception as error:
            assert "NameNotUnique" in str(error)
        else:
            assert array.result(second)["hresult"] == 0x80042701
    array.wait(first)
    other = array.sub_systems()["array1"]
    assert array.error("SubSystemIscsi.CreateTarget", id=other, iscsiName=name.upper()) == "VDS_E_NAME_NOT_UNIQUE"


@pytest.mark.shows("SubSystemIscsi.CreateTarget", "E_INVALIDARG")
@pytest.mark.shows("SubSystemIscsi.QueryTargets")
@pytest.mark.parametrize(
    "wrong",
    [
        "disk",
        "iqn.2026-11",
        "iqn.2026-11.org.example:a b",
        "iqn.2026-11.org.example:../a",
        "iqn.2026-11.org.example:a_b",
        "iqn.\uff12026-11.org.example:a",
        "iqn.2026-11.org.example:\u212a",
    ],
)
def test_a_wrong_target_name_is_refused(array: Array, wrong: str) -> None:
    """What is no iSCSI name is E_INVALIDARG, and no target is made."""
    assert array.error("SubSystemIscsi.CreateTarget", id=array.sub_system, iscsiName=wrong) == "E_INVALIDARG"
    assert array.call("SubSystemIscsi.QueryTargets", id=array.sub_system) == {"targets": []}


@pytest.mark.shows("SubSystemIscsi.CreateTarget", "VDS_E_NOT_SUPPORTED")
def test_a_name_that_lio_has_no_targets_of(array: Array) -> None:
    """A name that is valid, and that LIO takes no target by, is VDS_E_NOT_SUPPORTED."""
    name = "naa.0123456789abcdef"
    assert array.error("SubSystemIscsi.CreateTarget", id=array.sub_system, iscsiName=name) == "VDS_E_NOT_SUPPORTED"
    assert array.call("SubSystemIscsi.QueryTargets", id=array.sub_system) == {"targets": []}


@pytest.mark.shows("SubSystemIscsi.QueryPortals")
def test_portals_are_those_of_the_configuration(array: Array) -> None:
    """Portals are there without being made, with address, port and status."""
    found = array.call("SubSystemIscsi.QueryPortals", id=array.sub_system)["portals"]
    assert sorted((entry["address"]["textAddress"], entry["address"]["port"], entry["status"]) for entry in found) == [
        ("10.77.0.1", 3260, "online"),
        ("10.77.0.1", 3261, "online"),
    ]


@pytest.mark.shows("StoragePool.GetProvider")
@pytest.mark.shows("HwProviderStoragePools.QueryMaxLunCreateSizeInStoragePool")
@pytest.mark.shows(
    "HwProviderStoragePools.CreateLunInStoragePool",
    "VDS_E_NOT_SUPPORTED",
    "VDS_E_OBJECT_NOT_FOUND",
    "VDS_E_NOT_ENOUGH_SPACE",
    "E_INVALIDARG",
)
@pytest.mark.shows("SubSystem.QueryMaxLunCreateSize", "VDS_E_NOT_SUPPORTED", "VDS_E_OBJECT_NOT_FOUND")
def test_what_a_pool_cannot_hold(array: Array) -> None:
    """A LUN larger than the largest, of no type, of a type that files cannot be, in a pool or on a drive that there is
    not: the code says which, and nothing is made."""
    before = array.kernel()
    pools = array.call("HwProviderStoragePools.QueryStoragePools")["storagePools"]
    (pool,) = [entry["id"] for entry in pools if entry["name"] == "files0"]
    wanted = {"type": "simple", "storagePoolId": pool}
    largest = array.call("HwProviderStoragePools.QueryMaxLunCreateSizeInStoragePool", **wanted)["maxLunSize"]
    for code, parameters in (
        ("VDS_E_NOT_ENOUGH_SPACE", {"sizeInBytes": largest + (1 << 40)}),
        ("E_INVALIDARG", {"type": "unknown"}),
        ("VDS_E_NOT_SUPPORTED", {"type": "raid3"}),
        ("VDS_E_OBJECT_NOT_FOUND", {"storagePoolId": "nothing"}),
    ):
        create = {"sizeInBytes": MIB, **wanted, **parameters}
        assert array.error("HwProviderStoragePools.CreateLunInStoragePool", **create) == code
    query = {"id": array.sub_system, "type": "simple"}
    assert array.error("SubSystem.QueryMaxLunCreateSize", **{**query, "type": "raid3"}) == "VDS_E_NOT_SUPPORTED"
    assert array.error("SubSystem.QueryMaxLunCreateSize", **query, driveIds=["x"]) == "VDS_E_OBJECT_NOT_FOUND"
    assert array.call("StoragePool.GetProvider", id=pool) == {
        "provider": array.call("Provider.GetProperties")["properties"]["id"]
    }
    assert array.kernel() == before


@pytest.mark.shows("HwProviderStoragePools.CreateLunInStoragePool")
@pytest.mark.shows("HwProviderStoragePools.QueryStoragePools")
@pytest.mark.shows("StoragePool.GetProperties")
@pytest.mark.shows("StoragePool.QueryAllocatedLuns")
def test_pools_tell_their_space(array: Array) -> None:
    """A pool's free space goes down by what a LUN takes; it tells whose LUNs it holds."""
    pools = array.call("HwProviderStoragePools.QueryStoragePools")["storagePools"]
    (pool,) = [entry for entry in pools if entry["name"] == "files0"]
    assert pool["subSystem"] == array.sub_system
    made = array.call(
        "HwProviderStoragePools.CreateLunInStoragePool", type="simple", sizeInBytes=8 * MIB, storagePoolId=pool["id"]
    )
    lun = array.wait(made)
    after = array.call("StoragePool.GetProperties", id=pool["id"])["properties"]
    assert pool["remainingFreeSpace"] - after["remainingFreeSpace"] >= 8 * MIB
    assert [entry["id"] for entry in array.call("StoragePool.QueryAllocatedLuns", id=pool["id"])["luns"]] == [lun]


def test_enumerations_are_streamed_in_batches(simulated: SimulatedArray) -> None:
    """QueryLuns with `more` gives a small batch and then some of 100, which together are all LUNs."""
    luns = {simulated.make_lun(4096) for _ in range(250)}
    batches = list(simulated.connection.stream("org.vdsprov.SubSystem.QueryLuns", {"id": simulated.sub_system}))
    assert [len(batch["luns"]) for batch in batches] == [10, 200, 40]
    assert {entry["id"] for batch in batches for entry in batch["luns"]} == luns


def test_everything_outlives_a_reboot(array: Array) -> None:
    """After a reboot the kernel holds again what it held, and every object its properties."""
    lun, (target, _) = array.make_lun(mask=f"{INITIATOR};iqn.2026-11.org.example:x"), array.make_reachable_target()
    array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    array.call("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret="twelve-bytes")
    array.call(
        "IscsiTarget.RememberInitiatorSharedSecret",
        id=target,
        initiatorName=INITIATOR,
        initiatorSharedSecret="another-twelve",
    )
    array.call("IscsiTarget.SetFriendlyName", id=target, friendlyName="Web, one")

    def seen() -> list[object]:
        id = array.sub_system
        return [
            array.kernel(),
            array.call("SubSystem.QueryLuns", id=id),
            array.call("SubSystemIscsi.QueryTargets", id=id),
            array.associated(lun),
        ]

    before = seen()
    array.reboot()
    assert seen() == before


@pytest.mark.shows("SubSystem.CreateLun", "VDS_E_NOT_ENOUGH_DRIVE")
def test_a_subsystem_without_a_pool_has_no_drives(array: Array) -> None:
    """Where no pool is configured CreateLun answers VDS_E_NOT_ENOUGH_DRIVE, and makes nothing."""
    array.configuration["subsystem"][0]["pool"] = []
    array.restart()
    before = array.kernel()
    assert create(array) == "VDS_E_NOT_ENOUGH_DRIVE"
    assert array.call("SubSystem.QueryLuns", id=array.sub_system) == {"luns": []}
    assert array.kernel() == before
