"""What `pip install vdsprovd` gives, and what `vdsprovd[daemon]` adds: a wheel in an environment with nothing else."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.arrays import SimulatedArray

CHECKOUT = Path(__file__).resolve().parents[2]

IMPORTS = """
import importlib, pkgutil, sys
import vdsprovd.client, vdsprovd.cli
for package in (vdsprovd.client, vdsprovd.cli):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(found.name)
for name in ("vdsprovd.provider", "vdsprovd.hardware", "vdsprovd.inventory", "rtslib_fb", "pyudev", "inotify_simple", "ifaddr"):
    assert name not in sys.modules, name
    if not name.startswith("vdsprovd"):
        assert importlib.util.find_spec(name) is None, name
"""

DESCRIPTIONS = """
from importlib.resources import files
for found in sorted((files("vdsprovd") / "interfaces").iterdir(), key=lambda found: found.name):
    assert "interface org.vdsprov" in found.read_text()
    print(found.name)
"""

USES = """
import asyncio, sys
from vdsprovd.client import AsyncClient, Client
from vdsprovd.model import LunType

with Client(sys.argv[1]) as vds:
    array = vds.sub_system(next(vds.provider.query_sub_systems()).id)
    lun = vds.lun(array.create_lun(LunType.SIMPLE, 1 << 20).wait().object)
    lun.set_mask("*")

async def main() -> None:
    async with AsyncClient(sys.argv[1]) as vds:
        print((await vds.lun(lun.id).get_properties()).properties.unmasking_list)
        operation = await vds.sub_system(array.id).create_lun(LunType.SIMPLE, 1 << 20)
        async for percent in operation:
            pass
        print(percent)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: a build leaves things in its folder."""
    folder = tmp_path_factory.mktemp("wheel")
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(CHECKOUT / "vdsprovd", folder / "source/vdsprovd", ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, folder / "source")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*command, "-w", str(folder), str(folder / "source")], check=True, timeout=100)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The programs of an environment in which that wheel was installed, without extras."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=100)
    install(folder / "bin", str(wheel))
    yield folder / "bin"
    shutil.rmtree(folder)


def install(programs: Path, what: str) -> None:
    """Install it there."""
    pip = [str(programs / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-input"]
    subprocess.run([*pip, what], check=True, timeout=100)


def run(programs: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a program of that environment, which sees nothing of this one."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    path = [str(programs / command[0]), *command[1:]]
    return subprocess.run(path, env=environment, cwd="/", capture_output=True, text=True, check=False, timeout=60)


def test_the_client_without_extras(bare: Path, simulated: SimulatedArray) -> None:
    """Client, AsyncClient and vdsprovctl work, and nothing of the daemon's libraries is there or needed."""
    done = run(bare, "python", "-c", IMPORTS)
    assert (done.returncode, done.stderr) == (0, "")
    done = run(bare, "python", "-c", USES, str(simulated.socket))
    assert (done.stdout, done.stderr) == ("*\n100\n", "")
    done = run(bare, "python", "-c", DESCRIPTIONS)
    assert done.stdout.split() == sorted(path.name for path in (CHECKOUT / "vdsprovd/interfaces").iterdir())
    done = run(bare, "vdsprovctl", "--socket", str(simulated.socket), "lun", "list")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 3


def test_the_daemon_without_its_extra(bare: Path, tmp_path: Path) -> None:
    """It says which extra it needs. (The simulator needs none.)"""
    configuration = tmp_path / "vdsprovd.toml"
    configuration.write_text(
        f"""
[provider]
state = "{tmp_path}/state"
socket = "{tmp_path}/socket"
[[subsystem]]
name = "array0"
iqn-prefix = "iqn.2026-11.org.example"
portals = ["127.0.0.1:3260"]
[[subsystem.pool]]
name = "files0"
kind = "files"
path = "{tmp_path}"
"""
    )
    done = run(bare, "vdsprovd", "--config", str(configuration))
    assert done.returncode == 69
    assert "pip install 'vdsprovd[daemon]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_daemon_with_its_extra(bare: Path, wheel: Path) -> None:
    """With the extra all of it can be imported. (Installed into the same environment, so this is the last test.)"""
    install(bare, f"{wheel}[daemon]")
    done = run(
        bare, "python", "-c", "import vdsprovd.hardware.lio, vdsprovd.hardware.lio.watch, vdsprovd.hardware.drives"
    )
    assert (done.returncode, done.stderr) == (0, "")
