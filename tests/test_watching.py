"""What docs/watching.md says of metrics is so."""

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]


def test_the_tables_are_up_to_date() -> None:
    """They are what scripts/watching-reference makes of the code; run that when this fails."""
    script = CHECKOUT / "scripts/watching-reference"
    assert subprocess.run([sys.executable, script, "--check"], check=False).returncode == 0
