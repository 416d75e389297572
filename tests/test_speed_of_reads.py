"""That queries, listings and a daemon with nothing to do cost what docs/speed.md says, with wide margins: the machine may be
busy. `VDSPROVD_SPEED_LUNS=10000` has them measured with so many LUNs."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from benchmark.cases import idle, listing, reads

LUNS = int(os.environ.get("VDSPROVD_SPEED_LUNS", "1000"))


def test_a_query_costs_little_more_than_an_echo() -> None:
    """However many LUNs there are."""
    found = reads.measure(LUNS, rounds=5, seconds=0.2)
    for name in ("GetImportTarget", "QueryAssociatedTargets", "GetProperties"):
        assert found[f"{name}: p50 / echo"] < 3
        assert found[f"{name}: p50 / with {reads.FEW} LUNs"] < 1.5


def test_a_listing_costs_little_more_than_sending_it() -> None:
    """And its first batch waits for no other."""
    found = listing.measure(LUNS, rounds=9)
    assert found["whole / echo"] < 4
    assert found["first batch, ms"] < found["whole, ms"] / 2


def test_nothing_to_do_costs_nothing() -> None:
    """No wake-ups, and little memory."""
    found = idle.measure(LUNS, seconds=3)
    assert found["0 LUNs: memory, MiB"] < 40
    assert found[f"{LUNS} LUNs: memory, MiB"] < 40 + LUNS * 8 / 1024  # the simulator's, too
    assert found["0 LUNs: wake-ups a second"] < 1
    assert found[f"{LUNS} LUNs: wake-ups a second"] < 1
