"""That queries, listings and a daemon with nothing to do cost what docs/speed.md says, with wide margins: the machine may be
busy. `VDSPROVD_SPEED_LUNS=10000` has them measured with so many LUNs."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from benchmark.cases import idle, listing, reads

LUNS = int(os.environ.get("VDSPROVD_SPEED_LUNS", "1000"))


def test_a_query_costs_little_more_than_an_echo() -> None:
    """However many LUNs there are. What the machine does beside it comes and goes, so it is looked at up to three times."""
    for _ in range(3):
        rows = {(row.luns, row.contender): row.figures for row in reads.measure([LUNS], rounds=5, seconds=0.2)}
        ratios = {
            name: [float(rows[luns, f"{name}: vdsprovd"]["p50 to the echo"]) for luns in (reads.FEW, LUNS)]
            for name in ("GetImportTarget", "QueryAssociatedTargets", "GetProperties")
        }
        if all(many < 3 and many < 1.5 * few for few, many in ratios.values()):
            return
    raise AssertionError(f"with {reads.FEW} and with {LUNS} LUNs, as multiples of the echo: {ratios}")


def test_a_listing_costs_little_more_than_sending_it() -> None:
    """And its first batch waits for no other."""
    figures = {row.contender: row.figures for row in listing.measure([5 * LUNS], rounds=9)}["vdsprovd"]
    assert float(figures["whole to the echo"]) < 4
    assert float(figures["first to whole"]) < 1 / 2


def test_nothing_to_do_costs_nothing() -> None:
    """No wake-ups, and little memory."""
    for row in idle.measure([LUNS], seconds=3):
        assert float(row.figures["memory, MiB"]) < 40 + row.luns * 8 / 1024  # the simulator's, too
        assert float(row.figures["wake-ups a second"]) < 1
