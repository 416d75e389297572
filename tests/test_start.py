"""A daemon that cannot start, and those who wait for it."""

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import conformance
from vdsprovd.hresult import Hresult


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
