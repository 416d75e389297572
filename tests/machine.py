"""A throw-away checkout on a machine whose programs a test chooses: for tests of what sets things up."""

import os
import re
import shutil
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from tests.terminal import Terminal, on_terminal

CHECKOUT = Path(__file__).resolve().parents[1]

# A project that pip installs without a network and in a second, in place of ours with its dependencies. Its one program,
# `lasting`, says which version runs, and after a line from standard input where a package is that it imports only then.
PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "vdsprovd"
version = "{version}"
"""
BACKEND = """\
import importlib.metadata
import os
import signal
import sys
import tomllib
import zipfile
from pathlib import Path

FILES = {
    "METADATA": "Metadata-Version: 2.1\\nName: vdsprovd\\nVersion: %s\\nProvides-Extra: daemon\\nProvides-Extra: test\\n",
    "WHEEL": "Wheel-Version: 1.0\\nGenerator: tests\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    "entry_points.txt": "[console_scripts]\\nlasting = backend:lasting\\n",
    "RECORD": "",
}


def build_editable(folder, settings=None, metadata=None):
    version = tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"]
    if version == "fails":
        sys.exit("this build fails")
    if version == "hangs":
        with open("pipe", "w") as pipe:  # which waits for a reader
            print("reached", file=pipe)
        signal.pause()
    name = f"vdsprovd-{version}-py3-none-any.whl"
    with zipfile.ZipFile(Path(folder, name), "w") as wheel:
        wheel.writestr("vdsprovd.pth", os.getcwd())
        for file, text in FILES.items():
            wheel.writestr(f"vdsprovd-{version}.dist-info/{file}", text.replace("%s", version))
    return name


def lasting():
    print(importlib.metadata.version("vdsprovd"), flush=True)
    sys.stdin.readline()
    import pip
    print(pip.__file__)
"""


class Checkout:
    """A copy of what the scripts need, around a project without dependencies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("scripts", "vdsprovd"):
            shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "backend.py").write_text(BACKEND)
        os.mkfifo(folder / "pipe")
        self.set_version("1")

    def set_version(self, version: str) -> None:
        """Change the project, so that .venv is to be made anew; the versions "fails" and "hangs" do that."""
        (self.folder / "pyproject.toml").write_text(PROJECT.format(version=version))

    def version(self) -> str:
        """The version that is installed in .venv, which has to work for that."""
        done = subprocess.run(
            [self.folder / ".venv/bin/lasting"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
        )
        return done.stdout.splitlines()[0]

    def environments(self) -> set[str]:
        """What there is of virtual environments, whole or not."""
        return {path.name for path in self.folder.glob(".venv*")}


class Machine:
    """A PATH that has this machine's programs but for a few, and an apt-get that writes down how it is called.

    It never has vdsprovd, which a test could otherwise let loose on this machine's own target.
    """

    def __init__(self, checkout: Checkout, folder: Path) -> None:
        self.checkout = checkout
        self._bin = folder / "bin"
        self._packages = folder / "packages"
        self._calls = folder / "apt-get.calls"
        for place in (self._bin, self._packages):
            place.mkdir()
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHON"},
            "PATH": str(self._bin),
            "VDSPROVD_LAB_CACHE": str(folder / "cache"),
        }
        for directory in [*os.get_exec_path(), "/usr/sbin", "/sbin"]:
            for program in Path(directory).glob("*"):
                link = self._bin / program.name
                if not program.name.startswith(("python", "vdsprov")) and not link.is_symlink():
                    link.symlink_to(program)
        # Past the virtual environment that the tests run in, and the wrappers of version managers.
        self._python = Path(sys.executable).resolve()
        self.add("python3", f'exec {self._python} "$@"')
        self.add(
            "apt-get", f'echo "apt-get $*" >>{self._calls}\n[ "$1" != install ] || mv {self._packages}/* {self._bin}'
        )

    def add(self, name: str, script: str) -> None:
        """Put a program of the test's own in a place of the machine's."""
        (self._bin / name).unlink(missing_ok=True)
        (self._bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self._bin / name).chmod(0o755)

    def remove(self, name: str) -> None:
        """Let the machine be without this program until apt-get installs something."""
        if (self._bin / name).is_symlink():
            (self._bin / name).rename(self._packages / name)

    def remove_venv(self) -> None:
        """Let its Python be without ensurepip until apt-get installs something, as Debian's is without python3-venv."""
        (self._bin / "python3").rename(self._packages / "python3")
        self.add("python3", f'case "$*" in *ensurepip*) exit 1 ;; esac\nexec {self._python} "$@"')

    def break_apt_get(self) -> None:
        """Let apt-get fail to install anything."""
        self.add("apt-get", f'echo "apt-get $*" >>{self._calls}\n[ "$1" != install ] || exit 100')

    @property
    def apt_get_calls(self) -> list[str]:
        """The command lines of apt-get so far."""
        return self._calls.read_text().splitlines() if self._calls.exists() else []

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the checkout, without a terminal."""
        return subprocess.run(
            command,
            cwd=self.checkout.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def on_terminal(self, *command: str) -> AbstractContextManager[Terminal]:
        """Run a command in the checkout, on a terminal of its own."""
        return on_terminal(command, self.checkout.folder, self.environment)


def command_in(question: str) -> str:
    """The command that a question asks to run."""
    found = re.findall(r"Run '(.+)' now\?", question)
    assert len(found) == 1, question
    return str(found[0])
