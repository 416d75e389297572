"""The automagic hints by DiskRAID's acronyms: which hint of VDS's each is, and what values it takes."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from vdsprovd.diskraid import layout, values


@dataclass(frozen=True)
class Hint:
    """An automagic flag: VDS's hint (fault tolerance is none, it is the LUN's type), and how its value is read."""

    acronym: str
    meaning: str
    field: str
    read: Callable[[str], Any]
    shape: str

    def show(self, value: Any) -> str:
        """The value for people."""
        if self.read is values.size:
            return layout.size(value)
        return str(value).upper()


FAULT_TOLERANT: Final = "FTL"


def _truth(acronym: str, meaning: str, field: str) -> Hint:
    return Hint(acronym, meaning, field, values.truth, "true|false")


def _size(acronym: str, meaning: str, field: str) -> Hint:
    return Hint(acronym, meaning, field, values.size, "<size>")


def _priority(text: str) -> int:
    if not re.fullmatch(r"[0-9]|1[0-5]", text):
        raise ValueError(f"{text!r} is no priority from 0 to 15")
    return int(text)


HINTS: Final[Mapping[str, Hint]] = {
    hint.acronym: hint
    for hint in (
        _truth("FCR", "Fast crash recovery required", "fastCrashRecoveryRequired"),
        _truth(FAULT_TOLERANT, "Fault tolerant", ""),
        _truth("MSR", "Mostly reads", "mostlyReads"),
        Hint("MXD", "Maximum drives", "maximumDriveCount", values.number, "<n>"),
        _size("MXS", "Maximum size expected", "expectedMaximumSize"),
        _size("ORA", "Optimal read alignment", "optimalReadAlignment"),
        _size("ORS", "Optimal read size", "optimalReadSize"),
        _truth("OSR", "Optimize for sequential reads", "optimizeForSequentialReads"),
        _truth("OSW", "Optimize for sequential writes", "optimizeForSequentialWrites"),
        _size("OWA", "Optimal write alignment", "optimalWriteAlignment"),
        _size("OWS", "Optimal write size", "optimalWriteSize"),
        Hint("RBP", "Rebuild priority", "rebuildPriority", _priority, "<0 to 15>"),
        _truth("RBV", "Read back verify enabled", "readBackVerifyEnabled"),
        _truth("RMP", "Remap enabled", "remapEnabled"),
        _size("STS", "Stripe size", "stripeSize"),
        _truth("WTC", "Write-through caching enabled", "writeThroughCachingEnabled"),
        _truth("YNK", "Removable", "isYankable"),
    )
}


def wanted(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """VDS's hints of the flags."""
    return {HINTS[acronym].field: value for acronym, value in chosen.items() if HINTS[acronym].field}


def lun_type(chosen: Mapping[str, Any]) -> str:
    """The automagic type of the flags."""
    return {None: "default", True: "fault_tolerant", False: "non_fault_tolerant"}[chosen.get(FAULT_TOLERANT)]


def shown(hints: Mapping[str, Any]) -> list[str]:
    """VDS's hints that are there, for people, by their acronyms."""
    return [
        f"{acronym}={hint.show(hints[hint.field])}"
        for acronym, hint in HINTS.items()
        if hint.field and hints.get(hint.field) is not None
    ]
