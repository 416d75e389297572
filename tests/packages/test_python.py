"""The wheel and the source distribution, as scripts/package makes them."""

import importlib.metadata
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
VERSION = importlib.metadata.version("vdsprovd")
EPOCH = "1790000000"

pytestmark = pytest.mark.skipif(not (CHECKOUT / ".git").exists(), reason="what git has is what is expected here")


def package(into: Path, *kinds: str, root: Path = CHECKOUT) -> list[Path]:
    """What scripts/package makes of these kinds, in the order in which it names them."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    command = [sys.executable, str(root / "scripts/package"), "--into", str(into), *kinds]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [Path(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The source distribution and the wheel."""
    sdist, wheel = package(tmp_path_factory.mktemp("dist"), "sdist", "wheel")
    return sdist, wheel


def tracked(*folders: str) -> set[str]:
    """What git has in these folders of the checkout, or in all of it."""
    command = ["git", "ls-files", "-z", *folders]
    listed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    return {name for name in listed.split("\0") if name}


def test_the_wheel_has_the_package_and_nothing_else(made: tuple[Path, Path]) -> None:
    """Every file of ours, the marker of types, the example and the descriptions; the licence; no tests, no scripts."""
    with zipfile.ZipFile(made[1]) as wheel:
        names = set(wheel.namelist())
    about = {name for name in names if name.startswith(f"vdsprovd-{VERSION}.dist-info/")}
    assert names - about == tracked("vdsprovd")
    assert {"vdsprovd/py.typed", "vdsprovd/vdsprovd.toml"} <= names
    assert f"vdsprovd-{VERSION}.dist-info/licenses/LICENSE" in about


def test_the_source_distribution_has_what_git_has(made: tuple[Path, Path]) -> None:
    """Nothing is left out, and nothing that lies about in a checkout is in it."""
    with tarfile.open(made[0]) as sdist:
        files = {name.name.partition("/")[2] for name in sdist.getmembers() if name.isfile()}
    assert {name for name in files if ".egg-info/" not in name} == tracked() | {"MANIFEST.in", "PKG-INFO", "setup.cfg"}


def test_the_same_source_gives_the_same_bytes(made: tuple[Path, Path], tmp_path: Path) -> None:
    """Whenever, wherever, and with whatever umask; an unpacked source distribution gives the same wheel and itself."""
    with tarfile.open(made[0]) as sdist:
        sdist.extractall(tmp_path, filter="data")
    unpacked = tmp_path / f"vdsprovd-{VERSION}"
    (unpacked / ".venv").symlink_to(CHECKOUT / ".venv")
    before = os.umask(0o077)
    try:
        again = package(tmp_path / "again", "sdist", "wheel", root=unpacked)
    finally:
        os.umask(before)
    assert [path.name for path in again] == [path.name for path in made]
    assert again[1].read_bytes() == made[1].read_bytes()
    assert again[0].read_bytes() == made[0].read_bytes()


@pytest.fixture
def bare(made: tuple[Path, Path], tmp_path: Path) -> Path:
    """The programs of a virtual environment with the wheel and what it needs without extras, and nothing else."""
    venv.create(tmp_path / "venv", symlinks=True)
    python = str(tmp_path / "venv/bin/python")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*pip, str(made[1])], check=True)
    (packages,) = (tmp_path / "venv/lib").glob("python3*/site-packages")
    for name in needed("vdsprovd"):
        for file in importlib.metadata.distribution(name).files or ():
            link = packages / file.parts[0]
            if file.parts[0] != ".." and not link.exists():
                link.symlink_to(Path(str(file.locate())).parents[len(file.parts) - 1] / file.parts[0])
    return tmp_path / "venv/bin"


def needed(name: str) -> Iterator[str]:
    """What a distribution needs here, without extras, and what that needs."""
    for requirement in importlib.metadata.requires(name) or ():
        other = re.match(r"[\w.-]+", requirement)
        assert other
        marker = requirement.partition(";")[2]
        if "extra ==" not in marker and installed(other[0]):
            yield other[0]
            yield from needed(other[0])


def installed(name: str) -> bool:
    """Whether it is here: it is not where its marker is not true."""
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program away from the checkout, whose modules it would find."""
    return subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)


def test_the_client_needs_no_extras(bare: Path) -> None:
    """vdsprovctl and vdsprovd.client work with nothing but what the wheel itself asks for."""
    shown = run(bare / "vdsprovctl", "--version")
    assert (shown.returncode, VERSION in shown.stdout) == (0, True), shown.stderr
    imported = run(bare / "python", "-c", "import vdsprovd.client; print(vdsprovd.client.__file__)")
    assert imported.stdout.startswith(str(bare.parent)), imported.stderr


def test_the_daemon_without_its_extra_says_so(bare: Path, tmp_path: Path) -> None:
    """Who starts it without vdsprovd[daemon] is told what to install, in a sentence; the simulator needs no more."""
    configuration = tmp_path / "vdsprovd.toml"
    configuration.write_text(
        f'[provider]\nstate = "{tmp_path}/state"\nsocket = "{tmp_path}/socket"\n'
        '[[subsystem]]\nname = "array0"\niqn-prefix = "iqn.2026-11.org.example"\n'
    )
    assert run(bare / "vdsprovd", "--simulate", "--check").returncode == 0
    done = run(bare / "vdsprovd", "--config", configuration)
    assert done.returncode == 69
    assert "pip install 'vdsprovd[daemon]'" in done.stderr
    assert "Traceback" not in done.stderr
