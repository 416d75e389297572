"""The generated API reference."""

import subprocess
import sys
from pathlib import Path


def test_it_is_up_to_date() -> None:
    """docs/api.md is what scripts/api-reference makes of the code; run that when this fails."""
    script = Path(__file__).parent.parent / "scripts" / "api-reference"
    assert subprocess.run([sys.executable, script, "--check"], check=False).returncode == 0
