"""Fixtures: a running vdsprovd on the simulator, and on the kernel's target where the lab is."""

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import conformance
from tests.arrays import Array, LioArray, SimulatedArray, breakable_disk, clear_kernel
from tests.arrays.facts import one_of_each
from tests.daemon import SimulatedProcess
from vdsprovd.hardware import Fact

# Started in the background by a shell, the tests, and so the programs that they start, would ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """What the tests before saw is not this one's."""
    conformance.forget()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test that did not see what it claims to show."""
    yield
    if missing := conformance.unseen(item):
        pytest.fail(f"the test claims to show {sorted(missing)}, and did not see it")


@pytest.fixture
def simulated(tmp_path: Path) -> Iterator[SimulatedArray]:
    """A daemon on the simulator, which a test can reach into."""
    array = SimulatedArray(tmp_path)
    array.start()
    yield array
    array.stop()


@pytest.fixture
def facts(tmp_path: Path) -> list[Fact]:
    """One of each kind, in an order that the kernel accepts."""
    return one_of_each(tmp_path)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[SimulatedProcess]:
    """A daemon on the simulator, in a process of its own."""
    array = SimulatedProcess(tmp_path)
    array.start()
    yield array
    array.stop()


@pytest.fixture
def drives_simulated(simulated: SimulatedArray) -> SimulatedArray:
    """A daemon on the simulator with array2, which has a pool of drives."""
    simulated.add_drives()
    return simulated


@pytest.fixture(scope="session")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system on a disk that can be broken."""
    with breakable_disk(tmp_path_factory.mktemp("disk")) as mount:
        yield mount


@pytest.fixture
def lio(tmp_path: Path, disk: Path) -> Iterator[LioArray]:
    """A daemon on the kernel's target, with its pools on a disk that can be broken."""
    with running(LioArray(tmp_path, disk / tmp_path.name)) as array:
        yield array


@contextmanager
def running(array: LioArray) -> Iterator[LioArray]:
    """The array, and its daemon started; all that is the array's is taken down."""
    array.start()
    try:
        yield array
    finally:
        array.stop()
        print(array.log.read_text())
        clear_kernel()
        array.stack.close()
        shutil.rmtree(array.pools_folder)


@pytest.fixture(params=["simulator", pytest.param("lio", marks=pytest.mark.lab)])
def array(request: pytest.FixtureRequest) -> Array:
    """A daemon, once on the simulator and once on the kernel: the contract is the same."""
    found: Array = request.getfixturevalue("simulated" if request.param == "simulator" else "lio")
    return found


@pytest.fixture
def drives(array: Array) -> Array:
    """A daemon with array2, which has a pool of drives, once on the simulator and once on LVM."""
    array.add_drives()
    return array
