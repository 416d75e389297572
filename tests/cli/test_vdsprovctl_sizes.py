"""Sizes as people write and read them."""

import pytest

from vdsprovd.cli.sizes import parse, size

WRITTEN = {
    "1": 1,
    "512B": 512,
    "10G": 10 << 30,
    "10g": 10 << 30,
    "10GiB": 10 << 30,
    "10 GiB": 10 << 30,
    "10GB": 10 * 10**9,
    "1.5T": 3 << 39,
    "0.1K": 102,
    "8E": 8 << 60,
}


@pytest.mark.parametrize(("text", "number"), WRITTEN.items())
def test_parse(text: str, number: int) -> None:
    """As coreutils has it: letters alone and with iB are powers of 1024, with B of 1000; no rounding of fractions."""
    assert parse(text) == number


@pytest.mark.parametrize("text", ["", "G", "-1G", "10X", "10iB", "1,5G", "1e3", "10Gi", "nan", "٣G"])
def test_what_is_no_size(text: str) -> None:
    """What could be meant in two ways, or in none, is refused with examples."""
    with pytest.raises(ValueError, match="powers of 1024"):
        parse(text)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        ((1 << 20) - 1, "1.0 MiB"),
        (3 << 29, "1.5 GiB"),
        (1 << 70, "1024.0 EiB"),
    ],
)
def test_size(number: int, text: str) -> None:
    """Four digits at most, and never 1024.0 of what has a larger unit."""
    assert size(number) == text
