"""The manual page of vdsprovctl."""

import subprocess
import sys
from pathlib import Path

from tests.cli.test_vdsprovctl_methods import VERBS

CHECKOUT = Path(__file__).resolve().parents[2]


def test_it_is_up_to_date() -> None:
    """It is what scripts/man-pages makes of the help texts; run that when this fails."""
    script = CHECKOUT / "scripts" / "man-pages"
    assert subprocess.run([sys.executable, script, "--check"], check=False).returncode == 0


def test_every_verb_is_in_it() -> None:
    """Each verb has a heading of its own."""
    page = (CHECKOUT / "docs/man/vdsprovctl.1.md").read_text()
    headings = {
        line.lstrip("# ").partition(" **")[0].partition(" [")[0].partition(" *")[0]
        for line in page.splitlines()
        if line.startswith("###")
    }
    assert VERBS.keys() <= headings
