"""The port in memory: as strict as the kernel about order and presence, and otherwise dumb. No VDS rule lives here.

Faults are for tests: `fault` is asked before each step and may raise, `facts` may be altered behind the daemon's back.
"""

from vdsprovd.hardware.simulator.drives import (
    SIMULATED_DRIVE,
    SimulatedDrivePool,
    SimulatedMaintenance,
    simulated_disk,
)
from vdsprovd.hardware.simulator.host import Simulator
from vdsprovd.hardware.simulator.pool import SimulatedPool

__all__ = [
    "SIMULATED_DRIVE",
    "SimulatedDrivePool",
    "SimulatedMaintenance",
    "SimulatedPool",
    "Simulator",
    "simulated_disk",
]
