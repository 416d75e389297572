"""VDS's hints, as they are written on the command line: KEY=VALUE."""

from collections.abc import Sequence
from typing import Any, Final

import click

from vdsprovd.cli.sizes import parse

SIZES: Final = (
    "expectedMaximumSize",
    "optimalReadSize",
    "optimalReadAlignment",
    "optimalWriteSize",
    "optimalWriteAlignment",
    "stripeSize",
)
NUMBERS: Final = ("maximumDriveCount", "rebuildPriority")
SWITCHES: Final = (
    "fastCrashRecoveryRequired",
    "mostlyReads",
    "optimizeForSequentialReads",
    "optimizeForSequentialWrites",
    "remapEnabled",
    "readBackVerifyEnabled",
    "writeThroughCachingEnabled",
    "hardwareChecksumEnabled",
    "isYankable",
)
SWITCHES2: Final = (
    "allocateHotSpare",
    "useMirroredCache",
    "readCachingEnabled",
    "writeCachingEnabled",
    "mediaScanEnabled",
    "consistencyCheckEnabled",
)
"""Those of VDS_HINTS2 alone."""
TEXTS2: Final = ("busType",)

KEYS: Final = (*SIZES, *NUMBERS, *SWITCHES, *SWITCHES2, *TEXTS2)


def parsed(given: Sequence[str]) -> dict[str, Any]:
    """The hints of KEY=VALUE texts. Raises a usage error."""
    hints: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if key not in KEYS or not equals:
            raise click.UsageError(f"{text!r} is no hint; write KEY=VALUE with one of the keys {', '.join(KEYS)}")
        hints[key] = _value(key, value)
    return hints


def _value(key: str, value: str) -> Any:
    if key in SWITCHES or key in SWITCHES2:
        if value not in ("true", "false"):
            raise click.UsageError(f"{key} is true or false, not {value!r}")
        return value == "true"
    if key in TEXTS2:
        return value
    try:
        return int(value) if key in NUMBERS else parse(value)
    except ValueError as error:
        raise click.UsageError(f"{key}: {error}") from None
