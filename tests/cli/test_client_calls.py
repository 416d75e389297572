"""vdsprovd.client, the Python client."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.arrays import SimulatedArray
from tests.cli.vdsprovctl import Daemon, answering
from vdsprovd.client import Client, Unreachable, hresult
from vdsprovd.hresult import Hresult, VdsError


def test_imports_nothing_of_the_daemon() -> None:
    """The client and the command need neither the daemon's libraries nor, before a table is printed, rich."""
    program = (
        "import sys, vdsprovd.client, vdsprovd.cli.__main__, vdsprovd.cli.nouns.lun, vdsprovd.cli.call, "
        "vdsprovd.cli.events, vdsprovd.cli.recover, vdsprovd.cli.nouns.target;"
        "print([name for name in ('rtslib_fb', 'rtslib', 'pyudev', 'ifaddr', 'sqlite3', 'rich',"
        " 'vdsprovd.inventory', 'vdsprovd.provider', 'vdsprovd.model', 'asyncio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


LOADED = """
import contextlib, os, sys
from vdsprovd.cli.__main__ import main
with contextlib.redirect_stdout(open(os.devnull, "w")):
    status = main(sys.argv[1:])
print(status, len(sys.modules), *sys.modules)
"""
SLOW = {
    "asyncio",
    "dataclasses",
    "difflib",
    "msgspec",
    "rich",
    "rich.console",
    "rich.progress",
    "subprocess",
}
"""What takes long to load."""
CLIENT = {"dataclasses", "msgspec"}


@pytest.mark.parametrize(
    ("arguments", "most", "needed"),
    [
        ("--version", 120, set()),
        ("--help", 130, set()),
        ("lun --help", 150, {"dataclasses"}),
        ("lun create --help", 150, {"dataclasses"}),
        ("portal list --json", 190, CLIENT),
        ("portal show 127.0.0.1", 190, CLIENT),
        ("portal list", 200, CLIENT | {"rich"}),
        ("status", 190, CLIENT),
    ],
)
def test_a_command_loads_what_it_needs(shared_daemon: Daemon, arguments: str, most: int, needed: set[str]) -> None:
    """How quickly a command starts is a matter of the modules that it loads: --version and --help load click and nothing of
    the client, only tables load what tells the width of text, and nothing loads a progress bar before it is shown.

    Counted, not timed: times are the machine's. A hundred modules take some 60 ms.
    """
    done = subprocess.run(
        [sys.executable, "-c", LOADED, "--socket", str(shared_daemon.socket), *arguments.split()],
        capture_output=True,
        text=True,
        check=True,
    )
    status, number, *loaded = done.stdout.split()
    assert status == "0", done.stderr
    assert SLOW.intersection(loaded) == needed
    assert int(number) <= most


def test_error(shared_daemon: Daemon) -> None:
    """A VDS error has its code, its message and its object."""
    with pytest.raises(VdsError) as caught:
        shared_daemon.client.call("Lun.GetProperties", id="none")
    assert caught.value.code is Hresult.VDS_E_OBJECT_NOT_FOUND
    assert caught.value.message == "there is no such object as 'none'"
    assert caught.value.object == "none"


@pytest.mark.parametrize(
    ("method", "parameters", "code"),
    [
        ("Lun.Explode", {}, Hresult.E_NOTIMPL),
        ("Moon.GetProperties", {}, Hresult.E_NOTIMPL),
        ("Lun.GetProperties", {"id": "x", "self": 1, "method": 2}, Hresult.E_INVALIDARG),
        ("Service.Advise", {}, Hresult.E_INVALIDARG),
        ("Lun.GetProperties", {"id": 7}, Hresult.E_INVALIDARG),
    ],
)
def test_varlink_errors(shared_daemon: Daemon, method: str, parameters: dict[str, object], code: Hresult) -> None:
    """Varlink's own errors come as the VDS error nearest to them."""
    with pytest.raises(VdsError) as caught:
        shared_daemon.client.call(method, **parameters)
    assert caught.value.code is code


def test_foreign_error(tmp_path: Path) -> None:
    """An error of some other service is E_FAIL, with its name."""
    answer = b'{"error":"org.example.Odd","parameters":{"x":1}}'
    with (
        answering(tmp_path / "sock", answer),
        Client(tmp_path / "sock") as client,
        pytest.raises(VdsError, match=r"org\.example\.Odd") as caught,
    ):
        client.call("org.example.thing.Do")
    assert caught.value.code is Hresult.E_FAIL


def test_unknown_hresult() -> None:
    """A number that this version does not know is an Hresult all the same, and changes nothing for those it does."""
    assert hresult(0x80042405) is Hresult.VDS_E_OBJECT_NOT_FOUND
    unknown = hresult(0x80049999)
    assert (unknown.name, unknown, unknown.failed) == ("HRESULT_80049999", 0x80049999, True)
    assert hresult(0x00049999, "VDS_S_NEW").name == "VDS_S_NEW"
    assert 0x80049999 not in list(Hresult)


def test_wait(array: tuple[SimulatedArray, Daemon]) -> None:
    """wait() gives the result and tells of progress, up to 100."""
    simulated, daemon = array
    started = daemon.client.call("SubSystem.CreateLun", id=simulated.sub_system, type="simple", sizeInBytes=4096)
    seen: list[int] = []
    result = daemon.client.wait(started["async"], seen.append)
    assert result["type"] == "create_lun"
    assert seen == sorted(seen)
    assert seen[-1] == 100


def test_busy_is_waited_for(array: tuple[SimulatedArray, Daemon]) -> None:
    """A list waits for the call that keeps its object busy."""
    simulated, daemon = array
    loop = simulated._loop
    hold = simulated.context.operations.holds.hold([simulated.sub_system])
    loop.call_soon_threadsafe(hold.__enter__)
    release = threading.Timer(0.4, loop.call_soon_threadsafe, [hold.__exit__, None, None, None])
    begin = time.monotonic()
    release.start()
    assert daemon.client.luns(simulated.sub_system) == []
    assert time.monotonic() - begin > 0.3
    release.join()


def test_unreachable(tmp_path: Path) -> None:
    """Without a daemon the exception names the socket and the reason, also for a path that no socket can have."""
    with pytest.raises(Unreachable, match="No such file or directory") as caught:
        Client(tmp_path / "none")
    assert (caught.value.socket, caught.value.connected) == (str(tmp_path / "none"), False)
    with pytest.raises(Unreachable):
        Client("/" + "x" * 200)


def test_import_target(shared_daemon: Daemon) -> None:
    """import_target() is None where none is set."""
    assert shared_daemon.client.import_target(shared_daemon.sub_system(), "nobodys-computer") is None
