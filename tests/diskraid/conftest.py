"""Fixtures: DiskRAID's language on an array with drives."""

from pathlib import Path

import pytest

from tests.arrays import SimulatedArray
from tests.diskraid.raid import Raid


@pytest.fixture
def raid(drives_simulated: SimulatedArray, tmp_path: Path) -> Raid:
    """DiskRAID's language, and an array with array2, which has four drives in a pool and two that are free."""
    return Raid(drives_simulated, tmp_path)
