"""IVdsMaintenance."""

import time
from typing import cast

import pytest

from tests.arrays import SimulatedArray
from vdsprovd.hardware.simulator import SimulatedMaintenance
from vdsprovd.provider import maintenance

START, STOP, PULSE = (f"Maintenance.{verb}Maintenance" for verb in ("Start", "Stop", "Pulse"))


@pytest.fixture
def lights(drives_simulated: SimulatedArray) -> SimulatedMaintenance:
    """The drives' lights and motors."""
    return cast(SimulatedMaintenance, drives_simulated.hardware.maintenance)


@pytest.mark.shows(START, "S_OK", "VDS_E_NOT_SUPPORTED")
@pytest.mark.shows(STOP, "S_OK", "S_FALSE", "VDS_E_NOT_SUPPORTED")
def test_a_light_blinks_until_it_is_stopped(drives_simulated: SimulatedArray, lights: SimulatedMaintenance) -> None:
    """Started it blinks; stopped it does not, and to stop it again is S_FALSE; nothing beeps."""
    array, drive = drives_simulated, drives_simulated.drives()["drive0"]
    assert array.call(STOP, id=drive, operation="blink_light") == {"hresult": 1}
    array.call(START, id=drive, operation="blink_light")
    assert lights.lit == {"/dev/drive0"}
    assert array.call(STOP, id=drive, operation="blink_light") == {"hresult": 0}
    assert lights.lit == set()
    assert array.call(STOP, id=drive, operation="blink_light") == {"hresult": 1}
    assert array.error(START, id=drive, operation="beep_alarm") == "VDS_E_NOT_SUPPORTED"
    assert array.error(STOP, id=drive, operation="beep_alarm") == "VDS_E_NOT_SUPPORTED"


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


@pytest.mark.shows(PULSE, "S_OK", "S_FALSE", "VDS_E_NOT_SUPPORTED")
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
