"""A daemon that cannot start, and those who wait for it."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests import conformance
from vdsprovd import backups
from vdsprovd.hresult import Hresult
from vdsprovd.store import Store


def start(folder: Path, listener: socket.socket, config: str) -> subprocess.CompletedProcess[str]:
    """Start the daemon as systemd does, with the socket."""
    file = folder / "vdsprovd.toml"
    file.write_text(config)
    # LISTEN_PID must name the daemon's process, and the socket must be its first descriptor.
    launch = (
        "import os, sys; os.environ['LISTEN_PID'] = str(os.getpid()); os.dup2(int(sys.argv[1]), 3);"
        "os.execv(sys.executable, [sys.executable, '-m', 'vdsprovd', '--config', sys.argv[2]])"
    )
    return subprocess.run(
        [sys.executable, "-c", launch, str(listener.fileno()), str(file)],
        env={**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "varlink"},
        pass_fds=[listener.fileno()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.shows("Service.GetObject", "VDS_E_INITIALIZED_FAILED")
@pytest.mark.shows("Service.Advise", "VDS_E_INITIALIZED_FAILED")
@pytest.mark.shows("Service.QueryForeignObjects", "VDS_E_INITIALIZED_FAILED")
@pytest.mark.shows("Service.QueryOperations", "VDS_E_INITIALIZED_FAILED")
@pytest.mark.shows("Service.QueryAdoption", "VDS_E_INITIALIZED_FAILED")
@pytest.mark.shows("Service.Adopt", "VDS_E_INITIALIZED_FAILED")
@pytest.mark.shows("Service.GetSaveconfig", "VDS_E_INITIALIZED_FAILED")
@pytest.mark.parametrize(
    ("config", "status", "reason"),
    [
        ("[provider]\nsokcet = 'x'\n", 78, "sokcet"),
        (
            "[provider]\nstate = '/proc/nowhere'\n[[subsystem]]\nname = 'array0'\niqn-prefix = 'iqn.2026-11.org.example'\n",
            69,
            "/proc/nowhere",
        ),
        pytest.param(
            "[[subsystem]]\nname = 'array0'\niqn-prefix = 'iqn.2026-11.org.example'\n"
            "[[subsystem.pool]]\nname = 'vg0'\nkind = 'lvm'\nvg = 'nowhere'\n",
            78,
            "nowhere",
            marks=pytest.mark.lab,
        ),
    ],
)
def test_who_waited_is_told_why(tmp_path: Path, config: str, status: int, reason: str) -> None:
    """Calls that made systemd start the daemon are answered VDS_E_INITIALIZED_FAILED with the reason, when it cannot
    start; they do not hang, and the exit status is that of the failure."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        clients = []
        for method, parameters, more in (
            ("Service.GetObject", {"objectId": "x", "type": "lun"}, False),
            ("Service.Advise", {}, True),
            ("Service.QueryForeignObjects", {}, False),
            ("Service.QueryOperations", {}, False),
            ("Service.QueryAdoption", {}, False),
            ("Service.Adopt", {"digest": "x"}, False),
            ("Service.GetSaveconfig", {}, False),
        ):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(str(tmp_path / "socket"))
            client.sendall(
                json.dumps({"method": f"org.vdsprov.{method}", "parameters": parameters, "more": more}).encode() + b"\0"
            )
            clients.append((method, client))
        done = start(tmp_path, listener, config)
        assert done.returncode == status, done.stderr
        assert reason in done.stderr
        for method, client in clients:
            client.settimeout(10)
            reply = json.loads(client.recv(65536).rstrip(b"\0"))
            assert reply["error"] == "org.vdsprov.InitializedFailed"
            assert reason in reply["parameters"]["message"]
            conformance.saw(method, Hresult(reply["parameters"]["hresult"]))


CONFIG = """
[provider]
socket = "{folder}/own"
state = "{folder}/state"
[[subsystem]]
name = "array0"
iqn-prefix = "iqn.2026-11.org.example"
[[subsystem.pool]]
name = "files0"
kind = "files"
path = "{folder}"
"""


def daemon(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the daemon's program."""
    file = folder / "vdsprovd.toml"
    file.write_text(CONFIG.format(folder=folder))
    command = [sys.executable, "-m", "vdsprovd", "--config", str(file), *options]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)


def test_a_second_daemon(tmp_path: Path) -> None:
    """A daemon on a store that another process uses ends with 69 and says its pid, also where systemd started it and to those
    who wait; so does a rescue. A backup is made all the same."""
    store = Store(tmp_path / "state")
    wanted = f"another vdsprovd (pid {os.getpid()}) uses it"
    for options in ((), ("--rescue",), ("--rescue", "--yes")):
        done = daemon(tmp_path, *options)
        assert (done.returncode, wanted in done.stderr) == (69, True), done.stderr
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        client.connect(str(tmp_path / "socket"))
        client.sendall(b'{"method": "org.vdsprov.Provider.GetProperties", "parameters": {}}\0')
        done = start(tmp_path, listener, CONFIG.format(folder=tmp_path))
        assert (done.returncode, wanted in done.stderr) == (69, True), done.stderr
        client.settimeout(10)
        assert wanted in client.recv(65536).decode()
    done = daemon(tmp_path, "--backup", str(tmp_path / "copy"))
    assert done.returncode == 0, done.stderr
    assert backups.check(tmp_path / "copy") == ""
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600
    again = daemon(tmp_path, "--backup", str(tmp_path / "copy"))
    assert (again.returncode, "exists already" in again.stderr) == (69, True)
    (tmp_path / "state" / backups.NAME).unlink()
    none = daemon(tmp_path, "--backup", str(tmp_path / "another"))
    assert (none.returncode, "there is none" in none.stderr) == (69, True)
    store.close()


def test_what_excludes_another(tmp_path: Path) -> None:
    """Who asks for a rescue and a teardown at once gets neither."""
    done = daemon(tmp_path, "--rescue", "--teardown")
    assert (done.returncode, "not allowed with argument" in done.stderr) == (2, True)


def test_a_damaged_store(tmp_path: Path) -> None:
    """A daemon whose store is damaged ends with 65, and says which file it is, what is wrong, the newest good backup and the
    command that rebuilds it. A backup of it is not made."""
    store = Store(tmp_path / "state")
    backup = backups.make(tmp_path / "state", 3)
    store.close()
    file = tmp_path / "state" / backups.NAME
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("UPDATE provider SET id = 'another'")
    for options in ((), ("--backup", str(tmp_path / "copy"))):
        done = daemon(tmp_path, *options)
        assert done.returncode == 65
        for text in (str(file), "rows of provider", f"newest good backup is {backup}", "vdsprovd --rescue"):
            assert text in done.stderr
    assert not (tmp_path / "copy").exists()
