"""Addresses of other hosts, and the bridge that ssh runs there; tests/lab/test_ssh.py has the real ssh."""

import json
import os
import shlex
import subprocess
import sys
import threading
import time

import pytest

from tests.cli.vdsprovctl import PROGRAM, Daemon
from vdsprovd.client import Client
from vdsprovd.client.ssh import _command


@pytest.mark.parametrize(
    ("address", "options"),
    [
        ("ssh://storage1", ["--", "storage1", "vdsprovctl bridge"]),
        ("ssh://Backup@Storage1:2222", ["-p2222", "-lBackup", "--", "Storage1", "vdsprovctl bridge"]),
        ("ssh://[fd00::1]:22", ["-p22", "--", "fd00::1", "vdsprovctl bridge"]),
        ("ssh://storage1/run/a b", ["--", "storage1", "vdsprovctl --socket '/run/a b' bridge"]),
        # A host that begins like an option is one that ssh does not find.
        ("ssh://-oProxyCommand=x", ["--", "-oProxyCommand=x", "vdsprovctl bridge"]),
    ],
)
def test_what_ssh_is_asked_for(address: str, options: list[str]) -> None:
    """User, port, host and path of an address, and nothing of it as an option or as shell."""
    command = _command(address)
    assert command[command.index("-T") + 1 :] == options


@pytest.mark.parametrize("address", ["ssh://", "ssh://user:secret@host", "ssh://host?x", "ssh://host:port"])
def test_what_is_no_address(address: str) -> None:
    """A password has no place in one."""
    with pytest.raises(ValueError, match=r"address|port"):
        _command(address)


def test_the_bridge_serves_foreign_clients(daemon: Daemon) -> None:
    """The varlink package talks to the daemon through the bridge's input and output, and the bridge ends with it."""
    bridge = shlex.join([*PROGRAM, "--socket", str(daemon.socket), "bridge"])
    command = [sys.executable, "-m", "varlink.cli", "--bridge", bridge]
    done = subprocess.run(
        [*command, "call", "org.vdsprov.HwProvider.QuerySubSystems"], capture_output=True, check=True, timeout=60
    )
    (found,) = json.loads(done.stdout)["subSystems"]
    assert found["id"] == daemon.client.subsystems()[0]["id"]


def test_the_bridge_passes_on_both_ways_at_once(daemon: Daemon) -> None:
    """Whole messages arrive, however many, although nobody reads the answers at first; it ends with its input."""
    calls = b'{"method":"org.varlink.service.GetInfo"}\0' * 5000
    with subprocess.Popen(
        [*PROGRAM, "--socket", str(daemon.socket), "bridge"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as bridge:
        assert bridge.stdin and bridge.stdout
        writing = threading.Thread(target=bridge.stdin.write, args=(calls,))
        writing.start()
        time.sleep(0.5)
        answers = b""
        while answers.count(b"\0") < 5000:
            answers += os.read(bridge.stdout.fileno(), 1 << 20)
        writing.join()
        bridge.stdin.close()
        assert bridge.wait(30) == 0
    assert len(set(answers.split(b"\0")[:-1])) == 1


def test_a_bridge_without_a_daemon_says_so(daemon: Daemon) -> None:
    """With the exit status that --host looks at."""
    done = daemon.run("--socket", f"{daemon.socket}-not", "bridge")
    assert (done.returncode, done.stdout) == (3, "")
    assert "No such file" in done.stderr


def test_an_address_that_is_none_is_unreachable() -> None:
    """As a socket that is not there is."""
    with pytest.raises(ConnectionError, match="no address of the form"):
        Client("ssh://")
