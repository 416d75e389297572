"""What tests of units and packages share."""

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def debs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the Debian packages, as scripts/package makes them."""
    folder = tmp_path_factory.mktemp("debs")
    made = [sys.executable, str(CHECKOUT / "scripts/package"), "--into", str(folder), "deb"]
    done = subprocess.run(made, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder
