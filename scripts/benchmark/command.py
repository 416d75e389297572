"""The command line of scripts/bench."""

import argparse
import ast
import datetime
import json
import subprocess
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmark import report
from benchmark.figures import kernel

CHECKOUT = Path(__file__).resolve().parents[2]
CASES = {path.stem: path for path in sorted((Path(__file__).parent / "cases").glob("[a-z]*.py"))}
"""Modules of benchmark.cases. They are only loaded in the lab: elsewhere there is no kernel to measure, and no vdsprovd."""

DESCRIPTION = """\
Measures vdsprovd on a LIO kernel in the lab, beside the bare operations of the kernel (the floor) and others who do the
same work: as ratios in one run. Prints each figure as it is known, and each case's table.

cases:
"""
EPILOG = """\
examples:
  scripts/bench                                 everything, in the short form
  scripts/bench create --luns 10,100,1000       one case
  scripts/bench create --long --write           the long form, and what it found becomes docs/speed.md
  scripts/bench boot --luns 1000 --qemu --write the same beside it, of Debian's kernel with two processors
  scripts/bench --draw                          the tables and plots there once more, from docs/speed/*.json
"""


def main() -> int:
    """Measure, in a guest of the lab."""
    options = _parser().parse_args()
    if options.in_guest:
        _measure(options)
        return 0
    status = 0
    if not options.draw:
        with tempfile.TemporaryDirectory() as folder:
            status = _lab(options, folder)
            results = [json.loads(file.read_text()) for file in sorted(Path(folder).iterdir())]
        for result in results:
            if options.qemu:
                result["case"] += "-qemu"  # it stands beside the lab's own kernel's
            print(f"\n{report.table(result)}")
            if options.write:
                report.keep(result)
    if options.write or options.draw:
        report.draw()
    return status


def _parser() -> argparse.ArgumentParser:
    # Of each module the first line, without importing it.
    lines = [
        f"  {name:<20} {(ast.get_docstring(ast.parse(path.read_text())) or '').partition(chr(10))[0]}"
        for name, path in CASES.items()
    ]
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description=DESCRIPTION + "\n".join(lines),
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("cases", nargs="*", type=_case, metavar="CASE", help="what to measure (default: every case)")
    add("--luns", type=_counts, metavar="N,...", help="how many LUNs there are; each case has its own default")
    add("--long", action="store_true", help="as many LUNs as the aims name: hours, where the default is minutes")
    add(
        "--write",
        action="store_true",
        help="keep the results in docs/speed, and write docs/speed.md's tables and plots",
    )
    add(
        "--draw", action="store_true", help="measure nothing: write the tables and plots from the results in docs/speed"
    )
    add("--qemu", action="store_true", help="on Debian's own kernel with two processors, emulated")
    add("--timeout", type=int, default=1700, metavar="SECONDS", help="end the guest after that long (default: 1700)")
    add("--in-guest", metavar="FOLDER", type=Path, help=argparse.SUPPRESS)
    return parser


def _case(text: str) -> str:
    if text not in CASES:
        raise argparse.ArgumentTypeError(f"there is no case {text!r}; there are {', '.join(CASES)}")
    return text


def _counts(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers of LUNs, such as 10,1000")
    return [int(part) for part in parts]


def _lab(options: argparse.Namespace, folder: str) -> int:
    """Call this again in a guest, which leaves its results in the folder; gives its exit status."""
    command = [str(CHECKOUT / "scripts/lab"), *(["--qemu"] if options.qemu else [])]
    command += ["--timeout", str(options.timeout), "--share", folder, "--"]
    command += [str(CHECKOUT / "scripts/bench"), "--in-guest", folder, *options.cases]
    command += ["--luns", ",".join(map(str, options.luns))] if options.luns else []
    command += ["--long"] if options.long else []
    return subprocess.run(command, check=False).returncode


def _measure(options: argparse.Namespace) -> None:
    print(kernel(), flush=True)
    for name in options.cases or CASES:
        case: Any = import_module(f"benchmark.cases.{name}")
        rows = []
        for row in case.measure(options.luns or (case.LONG if options.long else case.COUNTS)):
            print(name, json.dumps(row), flush=True)
            rows.append(row)
            result = {
                "case": name,
                "title": (case.__doc__ or "").partition("\n")[0],
                "aim": case.AIM,
                "plot": case.PLOT,
                "kernel": kernel(),
                "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
                "rows": rows,
            }
            (options.in_guest / f"{name}.json").write_text(json.dumps(result, indent=1))
