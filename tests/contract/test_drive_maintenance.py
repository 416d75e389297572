"""IVdsMaintenance, on drives and on what is made of drives."""

import time
from collections.abc import Collection
from typing import cast

import pytest

from tests.arrays import MIB, Array, SimulatedArray
from vdsprovd.hardware import Refused, Unsupported
from vdsprovd.hardware.simulator import SimulatedMaintenance
from vdsprovd.model import MaintenanceOperation
from vdsprovd.provider import maintenance

START, STOP, PULSE = (f"Maintenance.{verb}Maintenance" for verb in ("Start", "Stop", "Pulse"))


@pytest.fixture
def lights(drives_simulated: SimulatedArray) -> SimulatedMaintenance:
    """The drives' lights and motors."""
    return cast(SimulatedMaintenance, drives_simulated.hardware.maintenance)


@pytest.mark.shows(STOP)
def test_a_light_blinks_until_it_is_stopped(drives_simulated: SimulatedArray, lights: SimulatedMaintenance) -> None:
    """Started it blinks; stopped it does not, and to stop it again is S_FALSE."""
    array, drive = drives_simulated, drives_simulated.drives()["drive0"]
    assert array.call(STOP, id=drive, operation="blink_light") == {"hresult": 1}
    array.call(START, id=drive, operation="blink_light")
    assert lights.lit == {"/dev/drive0"}
    assert array.call(STOP, id=drive, operation="blink_light") == {"hresult": 0}
    assert lights.lit == set()
    assert array.call(STOP, id=drive, operation="blink_light") == {"hresult": 1}


def test_motors_and_signs_of_life(drives_simulated: SimulatedArray, lights: SimulatedMaintenance) -> None:
    """A drive is spun down and up, and answers a ping; none of them goes on."""
    array, drive = drives_simulated, drives_simulated.drives()["drive0"]
    array.call(START, id=drive, operation="spin_down")
    assert lights.stopped == {"/dev/drive0"}
    array.call(START, id=drive, operation="spin_up")
    assert lights.stopped == set()
    array.call(START, id=drive, operation="ping")
    for operation in ("spin_down", "spin_up", "ping"):
        assert array.call(STOP, id=drive, operation=operation) == {"hresult": 1}


@pytest.mark.shows(START, "S_OK", "VDS_E_NOT_SUPPORTED")
@pytest.mark.shows(STOP, "S_FALSE", "VDS_E_NOT_SUPPORTED")
@pytest.mark.shows(PULSE, "S_FALSE", "VDS_E_NOT_SUPPORTED")
def test_what_a_disk_does_itself(array: Array) -> None:
    """A disk is spun down and up and answers a ping, which is over at once: to stop or to pulse it is S_FALSE. Motors
    cannot be pulsed, and nothing beeps: VDS_E_NOT_SUPPORTED."""
    disk = array.add_scsi_disk(16 * MIB)
    for operation in ("spin_down", "spin_up", "ping"):
        array.call(START, id=disk, operation=operation)
        assert array.call(STOP, id=disk, operation=operation) == {"hresult": 1}
    assert array.call(PULSE, id=disk, operation="ping", count=2) == {"hresult": 1}
    assert array.error(PULSE, id=disk, operation="spin_down", count=2) == "VDS_E_NOT_SUPPORTED"
    for method, more in ((START, {}), (STOP, {}), (PULSE, {"count": 2})):
        assert array.error(method, id=disk, operation="beep_alarm", **more) == "VDS_E_NOT_SUPPORTED"


@pytest.mark.shows(PULSE)
def test_pulses(
    drives_simulated: SimulatedArray, lights: SimulatedMaintenance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A running light goes on for so many pulses; started again it goes on for good; what does not run is S_FALSE."""
    monkeypatch.setattr(maintenance, "PULSE", 0.02)
    array, drive = drives_simulated, drives_simulated.drives()["drive0"]
    assert array.call(PULSE, id=drive, operation="blink_light", count=2) == {"hresult": 1}
    assert array.error(PULSE, id=drive, operation="spin_down", count=2) == "VDS_E_NOT_SUPPORTED"
    array.call(START, id=drive, operation="blink_light")
    assert array.call(PULSE, id=drive, operation="blink_light", count=2) == {"hresult": 0}
    deadline = time.monotonic() + 10
    while array.call(STOP, id=drive, operation="blink_light") == {"hresult": 0}:
        # Still pulsing: begun anew, as stopping it has ended it.
        array.call(START, id=drive, operation="blink_light")
        array.call(PULSE, id=drive, operation="blink_light", count=1)
        time.sleep(0.2)
        assert time.monotonic() < deadline
    assert lights.lit == set()
    array.call(START, id=drive, operation="blink_light")
    array.call(PULSE, id=drive, operation="blink_light", count=1)
    array.call(START, id=drive, operation="blink_light")
    time.sleep(0.2)
    assert lights.lit == {"/dev/drive0"}
    assert array.error(PULSE, id=drive, operation="blink_light", count=-1) == "E_INVALIDARG"


def test_a_lun_and_a_subsystem_are_their_drives(drives_simulated: SimulatedArray, lights: SimulatedMaintenance) -> None:
    """The lights of a LUN are those of the drives that it lies on, and those of a subsystem are all; one that blinks for
    several goes out with the last."""
    array = drives_simulated
    lun, sub_system = array.make_volume("mirror", drives=["drive1", "drive2"]), array.sub_systems()["array2"]
    array.call(START, id=lun, operation="blink_light")
    assert lights.lit == {"/dev/drive1", "/dev/drive2"}
    array.call(START, id=array.drives()["drive2"], operation="blink_light")
    array.call(START, id=sub_system, operation="blink_light")
    every = {f"/dev/{name}" for name in array.drives()}
    assert lights.lit == every
    assert array.call(STOP, id=sub_system, operation="blink_light") == {"hresult": 0}
    assert lights.lit == {"/dev/drive1", "/dev/drive2"}
    assert array.call(STOP, id=lun, operation="blink_light") == {"hresult": 0}
    assert lights.lit == {"/dev/drive2"}
    assert array.call(STOP, id=lun, operation="blink_light") == {"hresult": 1}
    array.call(START, id=sub_system, operation="spin_down")
    assert lights.stopped == every
    array.call(START, id=sub_system, operation="ping")


def test_pulses_leave_the_lights_of_others(
    drives_simulated: SimulatedArray, lights: SimulatedMaintenance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pulses of a subsystem are not seen at a drive whose own light is on, which goes on after them."""
    monkeypatch.setattr(maintenance, "PULSE", 0.02)
    array = drives_simulated
    sub_system = array.sub_systems()["array2"]
    array.call(START, id=array.drives()["drive2"], operation="blink_light")
    array.call(START, id=sub_system, operation="blink_light")
    array.call(PULSE, id=sub_system, operation="blink_light", count=2)
    deadline = time.monotonic() + 10
    while lights.lit != {"/dev/drive2"}:
        assert "/dev/drive2" in lights.lit
        assert time.monotonic() < deadline
        time.sleep(0.001)
    time.sleep(0.1)
    assert lights.lit == {"/dev/drive2"}


def test_what_has_no_drives(simulated: SimulatedArray) -> None:
    """A controller answers a ping; it has no light, and neither has what lies in a pool of files."""
    node = simulated.call("SubSystem.QueryControllers", id=simulated.sub_system)["controllers"][0]["id"]
    simulated.call(START, id=node, operation="ping")
    assert simulated.call(STOP, id=node, operation="ping") == {"hresult": 1}
    for id in (node, simulated.sub_system, simulated.make_lun()):
        assert simulated.error(START, id=id, operation="blink_light") == "VDS_E_NOT_SUPPORTED"
    target = simulated.make_target()
    assert simulated.error(START, id=target, operation="ping") == "VDS_E_OBJECT_NOT_FOUND"


class Dark(SimulatedMaintenance):
    """Drives of which some have no light, and some do not answer."""

    def __init__(self, unlit: Collection[str], silent: Collection[str] = ()) -> None:
        super().__init__()
        self.unlit, self.silent = unlit, silent

    def start(self, node: str, operation: MaintenanceOperation) -> None:
        if node in self.unlit:
            raise Unsupported(f"{node} has no light")
        if node in self.silent:
            raise Refused(f"{node} does not answer")
        super().start(node, operation)


def test_drives_without_a_light(drives_simulated: SimulatedArray) -> None:
    """Of several drives those blink that can; when none can that is VDS_E_NOT_SUPPORTED, and when one fails none does."""
    array = drives_simulated
    sub_system, nodes = array.sub_systems()["array2"], [f"/dev/{name}" for name in array.drives()]
    array.hardware.maintenance = some = Dark(nodes[1:])
    array.call(START, id=sub_system, operation="blink_light")
    assert some.lit == {nodes[0]}
    assert array.call(STOP, id=sub_system, operation="blink_light") == {"hresult": 0}
    array.hardware.maintenance = Dark(nodes)
    assert array.error(START, id=sub_system, operation="blink_light") == "VDS_E_NOT_SUPPORTED"
    array.hardware.maintenance = failing = Dark([], nodes[-1:])
    assert array.error(START, id=sub_system, operation="blink_light") == "VDS_E_PROVIDER_FAILURE"
    assert failing.lit == set()
    assert array.call(STOP, id=sub_system, operation="blink_light") == {"hresult": 1}
