"""Where the listening socket comes from."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from vdsprovd.varlink.activation import bind, systemd_sockets

CHILD = """
import os, sys
for name, value in [pair.split("=", 1) for pair in sys.argv[1:]]:
    os.environ[name] = value.replace("PID", str(os.getpid()))
from vdsprovd.varlink.activation import systemd_sockets
try:
    sockets = systemd_sockets()
except ValueError as error:
    sys.exit(str(error))
assert not any(name.startswith("LISTEN_") for name in os.environ)
assert systemd_sockets() == {}
for name, sock in sorted(sockets.items()):
    assert not sock.get_inheritable()
    sock.sendall(name.encode())
print(len(sockets))
"""


def start(tmp_path: Path, sockets: int, *environment: str, other: bool = False) -> tuple[str, str, list[bytes]]:
    """Run a child that inherits sockets from descriptor 3 on; what it printed, and what the sockets received."""
    pairs = [socket.socketpair() for _ in range(sockets)]
    with (tmp_path / "file").open("w") as file:
        descriptors = [theirs.fileno() for _, theirs in pairs] + ([file.fileno()] if other else [])
        # The shell puts them where systemd would: their numbers until then are out of the way of those.
        kept = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 50) for descriptor in descriptors]
        moves = " ".join(f"{3 + place}<&{descriptor}" for place, descriptor in enumerate(kept))
        closes = " ".join(f"{descriptor}<&-" for descriptor in kept)
        # Relative to the project, wherever the tests are run from.
        root = Path(__file__).parents[2]
        child = subprocess.run(
            ["bash", "-c", f'exec "$@" {moves} {closes}', "bash", sys.executable, "-c", CHILD, *environment],
            check=False,
            pass_fds=kept,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
        )
        for descriptor in kept:
            os.close(descriptor)
    received = []
    for ours, theirs in pairs:
        theirs.close()
        received.append(ours.recv(100))
        ours.close()
    return child.stdout.strip(), child.stderr.strip(), received


def test_one_socket(tmp_path: Path) -> None:
    """A single socket is Varlink's, whatever systemd calls it."""
    assert start(tmp_path, 1, "LISTEN_PID=PID", "LISTEN_FDS=1", "LISTEN_FDNAMES=vdsprovd.socket") == (
        "1",
        "",
        [b"varlink"],
    )


def test_named_sockets(tmp_path: Path) -> None:
    """Several sockets are found by name; what is no socket is left alone."""
    out, err, received = start(
        tmp_path, 2, "LISTEN_PID=PID", "LISTEN_FDS=3", "LISTEN_FDNAMES=metrics:varlink:stored", other=True
    )
    assert (out, err, received) == ("2", "", [b"metrics", b"varlink"])


@pytest.mark.parametrize(
    "environment",
    [
        (),
        ("LISTEN_PID=1", "LISTEN_FDS=1"),
        ("LISTEN_PID=PID", "LISTEN_FDS=0"),
        ("LISTEN_PID=PID", "LISTEN_PIDFDID=1", "LISTEN_FDS=1"),
    ],
)
def test_sockets_of_another(tmp_path: Path, environment: tuple[str, ...]) -> None:
    """Sockets that are meant for another process, or for none, are not taken."""
    assert start(tmp_path, 1, *environment) == ("0", "", [b""])


@pytest.mark.parametrize(
    ("names", "message"), [("varlink:varlink", "two are named varlink"), ("varlink", "2 sockets: they have 1 names")]
)
def test_names_that_do_not_tell(tmp_path: Path, names: str, message: str) -> None:
    """Sockets that their names do not tell apart are refused, with what to set in the unit."""
    _, err, _ = start(tmp_path, 2, "LISTEN_PID=PID", "LISTEN_FDS=2", f"LISTEN_FDNAMES={names}")
    assert message in err
    assert "FileDescriptorName=" in err


def test_nothing_without_systemd() -> None:
    """Without systemd there are no sockets."""
    assert systemd_sockets() == {}


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def test_bind(tmp_path: Path) -> None:
    """The socket listens, with the mode and group asked for, and the process keeps its umask."""
    umask = os.umask(0o022)
    gid = 4242 if os.geteuid() == 0 else os.getegid()
    try:
        with bind(tmp_path / "s", 0o660, gid):
            status = (tmp_path / "s").stat()
            assert stat.S_IMODE(status.st_mode) == 0o660
            assert status.st_gid == gid
            assert connects(tmp_path / "s")
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(umask)


def test_mode_is_never_wider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the group is set nobody else may connect."""
    modes = []
    chown = os.chown

    def watched(path: Path, *ids: int) -> None:
        modes.append(stat.S_IMODE(path.stat().st_mode))
        chown(path, *ids)

    monkeypatch.setattr(os, "chown", watched)
    bind(tmp_path / "s", 0o666).close()
    assert modes == [0o600]


def test_stale_socket_is_replaced(tmp_path: Path) -> None:
    """The socket file of a server that is gone is replaced."""
    for _ in range(3):
        with bind(tmp_path / "s", 0o600):
            assert connects(tmp_path / "s")
        assert (tmp_path / "s").is_socket()
        assert not connects(tmp_path / "s")


def test_live_socket_is_not_replaced(tmp_path: Path) -> None:
    """The socket of a server that lives, even one too busy to accept, is left alone, with a clear error."""
    with bind(tmp_path / "s", 0o600) as live:
        for backlog in (4096, 0):
            live.listen(backlog)
            with pytest.raises(OSError, match="another server does"):
                bind(tmp_path / "s", 0o600)
        live.accept()[0].close()
    assert (tmp_path / "s").is_socket()


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_what_is_no_socket_is_never_removed(tmp_path: Path, kind: str) -> None:
    """Something else than a socket at the path is left alone, with a clear error."""
    path = tmp_path / "s"
    if kind == "file":
        path.write_text("precious")
    elif kind == "directory":
        path.mkdir()
    else:
        (tmp_path / "precious").write_text("precious")
        path.symlink_to(tmp_path / "precious")
    with pytest.raises(FileExistsError, match="something else than a socket"):
        bind(path, 0o600)
    assert path.exists()


def test_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the permissions cannot be set, no socket is left behind."""

    def fail(*arguments: object) -> None:
        raise PermissionError("not allowed")

    monkeypatch.setattr(os, "chown", fail)
    with pytest.raises(PermissionError):
        bind(tmp_path / "s", 0o600)
    assert not (tmp_path / "s").exists()


def test_servers_that_start_together(tmp_path: Path) -> None:
    """Of several servers that find the same dead socket at once, exactly one gets it."""
    bind(tmp_path / "s", 0o600).close()
    gate = threading.Barrier(8)
    won: list[socket.socket] = []

    def compete() -> None:
        gate.wait()
        with contextlib.suppress(OSError):
            won.append(bind(tmp_path / "s", 0o600))

    threads = [threading.Thread(target=compete, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert connects(tmp_path / "s")
    won[0].close()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """The error names the folder that is missing."""
    with pytest.raises(FileNotFoundError, match=re.escape(f"there is no such folder: '{tmp_path / 'nowhere'}'")):
        bind(tmp_path / "nowhere" / "socket")
