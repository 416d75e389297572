"""What scripts/bench makes of its results."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from benchmark import figures, report

RESULT: report.Result = {
    "case": "create",
    "title": "Create a LUN.",
    "aim": "at most 1.5 times the floor",
    "plot": "median, ms",
    "kernel": "6.1, 1 processors",
    "date": "2026-11-25",
    "rows": [
        [10, "floor", {"median, ms": 1.234567}],
        [1000, "vdsprovd", {"median, ms": 12.34567, "ratio": 10.0}],
        [1000, "rtslib", {"median, ms": "over 60 s"}],
    ],
}


def test_a_table_has_a_line_for_each_row_and_three_digits() -> None:
    """A figure that a row does not have is empty, and a text stays as it is."""
    lines = report.table(RESULT).splitlines()
    assert "Create a LUN." in lines[0] and "2026-11-25" in lines[0] and "6.1" in lines[0]
    assert lines[2:] == [
        "| N |  | median, ms | ratio |",
        "| --: | --- | --: | --: |",
        "| 10 | floor | 1.23 |  |",
        "| 1,000 | vdsprovd | 12.3 | 10.0 |",
        "| 1,000 | rtslib | over 60 s |  |",
    ]


def test_a_table_takes_the_place_of_the_one_before() -> None:
    """What is around the marks stays."""
    document = "# Speed\n\n<!-- scripts/bench create -->\nold\n<!-- end of create -->\n\nMore.\n"
    written = report.with_table(document, RESULT)
    assert "old" not in written
    assert written.startswith("# Speed\n\n<!-- scripts/bench create -->\n**Create a LUN.**")
    assert written.endswith("<!-- end of create -->\n\nMore.\n")
    assert report.with_table(written, RESULT) == written


def test_a_new_case_comes_to_the_end() -> None:
    """A case that has no marks yet gets some."""
    written = report.with_table("# Speed\n", RESULT)
    assert written.startswith("# Speed\n\n<!-- scripts/bench create -->")
    assert report.with_table(written, RESULT) == written


@pytest.mark.parametrize(("percent", "expected"), [(10, 10.9), (50, 50.5), (99, 99.01)])
def test_percentiles(percent: int, expected: float) -> None:
    """They are interpolated, as everybody's are."""
    assert figures.percentile(list(range(1, 101)), percent) == pytest.approx(expected)


def test_the_percentile_of_one_figure_is_that_figure() -> None:
    """Of who makes one LUN."""
    assert figures.percentile([3.0], 99) == 3.0
