"""The command line of scripts/lab."""

import argparse
import contextlib
import os
import shutil
import sys
import termios
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from labhost import cache, recipe
from labhost.ending import USAGE, LabError, say
from labhost.namespaces import Interrupted, Json, check_rights, end_on_signals, run_inside
from labhost.prerequisites import BUILDING, EMULATION, RUNNING, require

CHECKOUT = Path(__file__).resolve().parents[2]
GUEST_SCRIPTS = CHECKOUT / "scripts/guest"
BUILD_SPACE = 2000 << 20
KERNEL_SPACE = 1000 << 20
# What a test run may want to know of the one who called it.
FORWARDED = ("CI", "TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "PYTEST_ADDOPTS")
FORWARDED_PREFIXES = ("VDSPROVD_", "HYPOTHESIS_")

DESCRIPTION = """\
Boots a guest with a real LIO kernel and runs COMMAND in it as root, in a writable throw-away copy of this checkout at
the same path, with the project and its dependencies on the PATH (vdsprovd, vdsprovctl, pytest, python3). Ends with
COMMAND's exit status (128 + n for signal n). The first call builds a root file system, which takes some minutes.
"""
EPILOG = """\
examples:
  scripts/lab -- pytest -m lab           the tests that need LIO
  scripts/lab -- bash                    a shell in a guest; Ctrl-] three times leaves a hung one
  scripts/lab --share results -- sh -c 'targetcli ls > results/tree'
  scripts/lab --systemd -- systemctl list-unit-files 'vdsprovd*'
  scripts/lab --hosts 2 -- on-host 2 ping -c 1 10.77.0.1

the lab's own exit statuses: 64 usage, 69 a tool is missing, 70 the guest died or never reached COMMAND, 73 the root
file system could not be built, 77 namespaces are forbidden, 124 --timeout. See docs/lab.md.
"""


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"lab: {message}\n")


def _parser() -> Parser:
    parser = Parser(
        prog="scripts/lab",
        usage="scripts/lab [option]... -- COMMAND...",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--share",
        metavar="DIR",
        action="append",
        default=[],
        help="a folder of this machine, writable in the guest at the same path (repeatable)",
    )
    add("--systemd", action="store_true", help="boot systemd with the project's units, and run COMMAND once it is up")
    add(
        "--clean",
        action="store_true",
        help="a guest without the project's commands, units and group, for its packages to bring them",
    )
    add(
        "--hosts",
        metavar="N",
        type=int,
        default=1,
        help="N guests on one network, 10.77.0.1 to 10.77.0.N; COMMAND runs on the first, and `on-host 2 ...` there runs a command on another",
    )
    add(
        "--qemu",
        action="store_true",
        help="the distribution's stock kernel on two processors, emulated: slow, a second opinion",
    )
    add(
        "--timeout",
        metavar="SECONDS",
        type=float,
        help="end the guest after that long, with status 124 (default: never)",
    )
    add("--memory", metavar="MIB", type=int, default=2048, help="memory of each guest (default: 2048)")
    add(
        "--state",
        metavar="DIR",
        help="keep /etc/vdsprovd, /var/lib/vdsprovd and /srv/state in DIR, from one boot to the next (one host)",
    )
    add("--console", metavar="FILE", help="keep what the guests' kernels say, and their services, in FILE")
    add(
        "--env",
        metavar="NAME[=VALUE]",
        action="append",
        default=[],
        help="an environment variable for COMMAND (repeatable)",
    )
    add("--yes", action="store_true", help="as root: install the Debian packages that the lab misses, without asking")
    add("--build", action="store_true", help="build what is not yet in the cache; COMMAND may be left out")
    add("command", metavar="COMMAND", nargs="*", help=argparse.SUPPRESS)
    return parser


def main(arguments: list[str]) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.command and not options.build:
        parser.error("no COMMAND; put it after --")
    if not 1 <= options.hosts <= 9:
        parser.error("--hosts takes 1 to 9")
    if options.state and options.hosts > 1:
        parser.error("--state is for one host")
    end_on_signals()
    terminal = _saved_terminal()
    try:
        return _lab(options)
    except LabError as error:
        say(str(error))
        return error.status
    except Interrupted as interrupted:
        return 128 + interrupted.number
    finally:
        if terminal is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, terminal)


def _lab(options: argparse.Namespace) -> int:
    shares = [_shared(name) for name in options.share]
    if not shutil.which("apt-get") and options.yes:
        raise LabError("--yes needs apt-get", USAGE)
    require({**RUNNING, **(EMULATION if options.qemu else {})}, install=options.yes)
    check_rights(install=options.yes)
    wanted = recipe.read(CHECKOUT)
    place = cache.ready()
    if not all(
        (place / name).is_dir() for name in [wanted.name, *([recipe.stock_kernel_name()] if options.qemu else [])]
    ):
        require(BUILDING, install=options.yes)
    built, _keep = cache.obtain(
        wanted.name,
        "labhost.rootfs",
        {"recipe": asdict(wanted)},
        need=BUILD_SPACE,
        announce="building the lab's root file system (about 3 minutes, once)...",
    )
    kernel = None
    if options.qemu:
        source = {"suite": recipe.SUITE, "package": recipe.STOCK_KERNEL_PACKAGE}
        kernel, _keep_kernel = cache.obtain(
            recipe.stock_kernel_name(),
            "labhost.stock_kernel",
            {**source, "root": str(built / "root")},
            need=KERNEL_SPACE,
            announce="unpacking the stock kernel (about a minute, once)...",
        )
    if not options.command:
        return 0
    task: Json = {
        "root": str(built / "root"),
        "kernel": str(kernel) if kernel else None,
        "state": _state(options.state),
        "guest_scripts": str(GUEST_SCRIPTS),
        "checkout": str(CHECKOUT),
        "folder": _folder(shares),
        "shares": shares,
        "command": options.command,
        "environment": _environment(options.env),
        "systemd": options.systemd,
        "clean": options.clean,
        "hosts": options.hosts,
        "memory": options.memory,
        "timeout": options.timeout,
        "terminal": _interactive(),
        "console": str(Path(options.console).absolute()) if options.console else None,
    }
    return run_inside("labhost.guests", task)


def _shared(name: str) -> str:
    path = Path(name).resolve()
    if not path.is_dir():
        raise LabError(f"--share {name}: no such folder", USAGE)
    return str(path)


def _state(name: str | None) -> str | None:
    if name is None:
        return None
    path = Path(name).resolve()
    path.mkdir(parents=True, exist_ok=True)
    return str(path)


def _folder(shares: list[str]) -> str:
    """COMMAND's folder: the caller's, where the guest has it, else the checkout."""
    here = Path.cwd().resolve()
    there = any(here.is_relative_to(place) for place in (str(CHECKOUT), *shares))
    return str(here if there else CHECKOUT)


def _environment(named: list[str]) -> list[str]:
    chosen = {
        name: value
        for name, value in os.environ.items()
        if (name in FORWARDED or name.startswith(FORWARDED_PREFIXES)) and name != "VDSPROVD_LAB_CACHE"
    }
    for setting in named:
        name, equals, value = setting.partition("=")
        if not name.isidentifier():
            raise LabError(f"--env {setting}: no name of a variable", USAGE)
        chosen[name] = value if equals else os.environ.get(name, "")
    return [f"{name}={value}" for name, value in chosen.items()]


def _interactive() -> bool:
    """A terminal on all three, and this the job in the foreground: then COMMAND gets a terminal, too."""
    if not all(os.isatty(descriptor) for descriptor in (0, 1, 2)):
        return False
    with contextlib.suppress(OSError):
        return os.tcgetpgrp(0) == os.getpgrp()
    return False


def _saved_terminal() -> list[int | list[bytes | int]] | None:
    return termios.tcgetattr(0) if _interactive() else None
