"""The generated conformance table, and what it says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import conformance

ROOT = Path(__file__).parent.parent


def test_it_is_up_to_date() -> None:
    """docs/conformance.md is what scripts/conformance makes of code and tests; run that when this fails."""
    done = subprocess.run([sys.executable, ROOT / "scripts" / "conformance", "--check"], check=False)
    assert done.returncode == 0


def test_what_can_never_occur_says_why() -> None:
    """A code that VDS documents and that cannot occur has a name of VDS's and a reason, and is not a code that can."""
    for name, rules, _ in conformance.methods():
        for symbol, reason in rules.never.items():
            assert re.fullmatch(r"VDS_[ES]_[A-Z_]+|S_OK", symbol), name
            assert len(reason) > 12, name
            assert symbol not in {code.name for code in rules.codes}, name


def test_what_runs_on_a_kernel(request: pytest.FixtureRequest) -> None:
    """A test is a real kernel's that is the lab's and uses no simulator."""
    item = request.node
    assert not conformance.on_kernel(item)
    item.add_marker("lab")
    assert conformance.on_kernel(item)
    item.fixturenames.append("simulated")
    assert not conformance.on_kernel(item)


def test_every_documented_code_is_shown() -> None:
    """The table names a test for every code of every method that can occur, and one on a real kernel where it does not
    say why there is none."""
    table = (ROOT / "docs" / "conformance.md").read_text()
    assert "| not shown |" not in table
    assert "simulator only |" not in table
    assert table.count(", simulator only: ") == len(conformance.NO_KERNEL)
