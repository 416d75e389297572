"""IVdsSubSystemImportTarget: one name for each computer and subsystem."""

import threading

import pytest

from tests.arrays import Array, SimulatedArray
from vdsprovd.varlink.client import Connection

NAME = "iqn.2026-11.org.example:import"
GET = "SubSystemImportTarget.GetImportTarget"
SET = "SubSystemImportTarget.SetImportTarget"


@pytest.mark.shows("SubSystemImportTarget.GetImportTarget", "VDS_E_NO_IMPORT_TARGET")
def test_unset_is_an_error(array: Array) -> None:
    """Before it is set GetImportTarget answers VDS_E_NO_IMPORT_TARGET, not an empty name."""
    assert array.error(GET, id=array.sub_system) == "VDS_E_NO_IMPORT_TARGET"


@pytest.mark.shows("SubSystemImportTarget.GetImportTarget")
def test_set_and_get(array: Array) -> None:
    """What was set is returned; setting again replaces; no target of that name needs to be there."""
    array.call(SET, id=array.sub_system, iscsiName=NAME)
    assert array.call(GET, id=array.sub_system) == {"iscsiName": NAME}
    array.call(SET, id=array.sub_system, iscsiName=NAME + "2")
    assert array.call(GET, id=array.sub_system) == {"iscsiName": NAME + "2"}


def test_null_and_the_empty_string_clear(array: Array) -> None:
    """Null and "" clear it, and clearing what is not set is no error."""
    for clear in (None, ""):
        array.call(SET, id=array.sub_system, iscsiName=NAME)
        array.call(SET, id=array.sub_system, iscsiName=clear)
        assert array.error(GET, id=array.sub_system) == "VDS_E_NO_IMPORT_TARGET"
        array.call(SET, id=array.sub_system, iscsiName=clear)


def test_it_is_per_computer(array: Array) -> None:
    """Each computer has its own, whatever the case of its name; the default is this host."""
    array.call(SET, id=array.sub_system, iscsiName=NAME + ":a", computer="HostA")
    assert array.error(GET, id=array.sub_system) == "VDS_E_NO_IMPORT_TARGET"
    assert array.error(GET, id=array.sub_system, computer="hostb") == "VDS_E_NO_IMPORT_TARGET"
    assert array.call(GET, id=array.sub_system, computer="hosta") == {"iscsiName": NAME + ":a"}


def test_it_survives_restart_and_reboot(array: Array) -> None:
    """The daemon's restart and the host's reboot keep it, for every computer."""
    array.call(SET, id=array.sub_system, iscsiName=NAME)
    array.call(SET, id=array.sub_system, iscsiName=NAME + ":a", computer="a")
    for again in (array.restart, array.reboot):
        again()
        assert array.call(GET, id=array.sub_system) == {"iscsiName": NAME}
        assert array.call(GET, id=array.sub_system, computer="a") == {"iscsiName": NAME + ":a"}


def test_a_dangling_name_is_still_returned(array: Array) -> None:
    """When the target is deleted the name stays: it belongs to the computer, not to the array."""
    target = array.make_target(NAME)
    array.call(SET, id=array.sub_system, iscsiName=NAME)
    array.wait(array.call("IscsiTarget.Delete", id=target))
    assert array.call(GET, id=array.sub_system) == {"iscsiName": NAME}


@pytest.mark.shows("SubSystemImportTarget.GetImportTarget", "VDS_E_NOT_SUPPORTED")
@pytest.mark.shows("SubSystemImportTarget.SetImportTarget", "VDS_E_NOT_SUPPORTED")
def test_a_subsystem_without_the_feature(array: Array) -> None:
    """A subsystem whose configuration says import-target = false answers VDS_E_NOT_SUPPORTED to both."""
    other = array.sub_systems()["array1"]
    assert array.error(GET, id=other) == "VDS_E_NOT_SUPPORTED"
    assert array.error(SET, id=other, iscsiName=NAME) == "VDS_E_NOT_SUPPORTED"


def test_a_subsystem_that_is_gone(array: Array) -> None:
    """A subsystem taken out of the configuration answers VDS_E_OBJECT_DELETED, also after another restart."""
    gone = array.sub_systems()["array1"]
    array.configuration["subsystem"].pop()
    for _ in range(2):
        array.restart()
        assert array.error(GET, id=gone) == "VDS_E_OBJECT_DELETED"
        assert array.error(SET, id=gone, iscsiName=NAME) == "VDS_E_OBJECT_DELETED"


def test_a_corrupt_cache(array: Array) -> None:
    """With a corrupt cache both answer VDS_E_PROVIDER_CACHE_CORRUPT, and the name is there after the recovery."""
    array.call(SET, id=array.sub_system, iscsiName=NAME)
    id = array.sub_system
    array.prove_corruption()
    assert array.error(GET, id=id) == "VDS_E_PROVIDER_CACHE_CORRUPT"
    assert array.error(SET, id=id, iscsiName=NAME) == "VDS_E_PROVIDER_CACHE_CORRUPT"
    array.call("HwProvider.Reenumerate")
    assert array.error(GET, id=id) == "VDS_E_PROVIDER_CACHE_CORRUPT"
    array.call("HwProvider.Refresh")
    assert array.call(GET, id=id) == {"iscsiName": NAME}


def test_a_wrong_name_changes_nothing(array: Array) -> None:
    """What is no iSCSI name is E_INVALIDARG, and the name set before stays."""
    array.call(SET, id=array.sub_system, iscsiName=NAME)
    for wrong in ("disk", "iqn.2026-13.org.example:a", "iqn.2026-11.org.example:" + "a" * 200, "../../etc", "iqn.x y"):
        assert array.error(SET, id=array.sub_system, iscsiName=wrong) == "E_INVALIDARG"
    assert array.call(GET, id=array.sub_system) == {"iscsiName": NAME}


@pytest.mark.shows("SubSystemImportTarget.SetImportTarget")
def test_it_works_on_an_offline_subsystem(array: Array) -> None:
    """Neither a status nor a busy subsystem keeps it from being read or set."""
    array.call("SubSystem.SetStatus", id=array.sub_system, status="offline")
    array.call(SET, id=array.sub_system, iscsiName=NAME)
    with Connection(str(array.socket)) as other:
        assert other.call("org.vdsprov." + GET, {"id": array.sub_system}) == {"iscsiName": NAME}


def test_what_is_kept_last_is_shown(simulated: SimulatedArray, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two that set it at once, although the thread of the first comes back after the second's: a restart changes nothing."""
    write = simulated.context.store.set_import_target
    first, second = threading.Event(), threading.Event()

    def written(computer: str, sub_system_id: str, name: str | None) -> None:
        write(computer, sub_system_id, name)
        if name == f"{NAME}:first":
            first.set()
            second.wait(1)
        else:
            second.set()

    monkeypatch.setattr(simulated.context.store, "set_import_target", written)

    def set_first() -> None:
        with simulated.connect() as connection:
            connection.call(f"org.vdsprov.{SET}", {"id": simulated.sub_system, "iscsiName": f"{NAME}:first"})

    other = threading.Thread(target=set_first)
    other.start()
    assert first.wait(10)
    simulated.call(SET, id=simulated.sub_system, iscsiName=f"{NAME}:second")
    other.join(10)
    shown = simulated.call(GET, id=simulated.sub_system)
    assert shown == {"iscsiName": f"{NAME}:second"}
    simulated.restart()
    assert simulated.call(GET, id=simulated.sub_system) == shown
