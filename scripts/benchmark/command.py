"""The command line of scripts/bench."""

import argparse
import json
import os
import subprocess
from importlib import import_module
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
CASES = ("boot", "reenumerate", "audit")
"""Modules of benchmark.cases. They are only loaded in the lab: elsewhere there is no kernel to measure, and no vdsprovd."""


def main() -> int:
    """Measure, in a guest of the lab."""
    parser = argparse.ArgumentParser(description="Measure vdsprovd on a LIO kernel in the lab.")
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], help="what to measure (default: everything)")
    parser.add_argument("--luns", type=int, default=1000, metavar="N", help="how many LUNs there are (default: 1000)")
    parser.add_argument("--qemu", action="store_true", help="on Debian's own kernel with two processors")
    parser.add_argument("--in-guest", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.in_guest:
        lab = [str(CHECKOUT / "scripts/lab"), *(["--qemu"] if options.qemu else []), "--timeout", "1700", "--"]
        inner = [str(CHECKOUT / "scripts/bench"), "--in-guest", "--luns", str(options.luns), *options.cases]
        return subprocess.run([*lab, *inner], check=False).returncode
    print(f"kernel {os.uname().release}, {os.cpu_count()} processors, {options.luns} LUNs", flush=True)
    for name in options.cases or CASES:
        print(name, json.dumps(import_module(f"benchmark.cases.{name}").measure(options.luns)), flush=True)
    return 0
