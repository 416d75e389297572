"""Other hosts' daemons through ssh: a real sshd on loopback, with users who are in the daemon's group or not."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.arrays import LioArray
from vdsprovd.client import AsyncClient, Client, Unreachable

pytestmark = pytest.mark.lab

PORT = 2022
BIN = Path(sys.executable).parent


class Storage:
    """A host to log in to, which is this one."""

    def __init__(self, array: LioArray, folder: Path) -> None:
        self.array = array
        self.folder = folder
        self.environment = os.environ | {"VDSPROVD_SSH": f"ssh -F {folder}/config"}

    def address(self, user: str) -> str:
        return f"ssh://{user}@127.0.0.1:{PORT}{self.array.socket}"

    def vdsprovctl(self, host: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["vdsprovctl", "--socket", str(self.array.socket), "--host", host, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture
def storage(lio: LioArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    """A running sshd, and the users alice, in the group vdsprov, and mallory, in none."""
    for folder in (tmp_path, *tmp_path.parents):
        folder.chmod(folder.stat().st_mode | 0o755)
    for folder in (lio.folder, lio.folder.parent, lio.folder.parent.parent):
        folder.chmod(0o755)
    for name in ("key", "host"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    (tmp_path / "authorized").write_text((tmp_path / "key.pub").read_text())
    (tmp_path / "config").write_text(
        f"Host *\n  IdentityFile {tmp_path}/key\n  IdentitiesOnly yes\n  BatchMode yes\n"
        f"  UserKnownHostsFile {tmp_path}/known\n  StrictHostKeyChecking accept-new\n"
        f"Host storage1 storage2\n  HostName 127.0.0.1\n  Port {PORT}\n  User alice\n"
        "Host nowhere\n  HostName 127.0.0.1\n  Port 9\n"
    )
    (tmp_path / "sshd").write_text(
        f"Port {PORT}\nPort 2222\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host\nPidFile {tmp_path}/pid\nUsePAM no\n"
        f"AuthorizedKeysFile {tmp_path}/authorized\nStrictModes no\nSetEnv PATH={BIN}:/usr/bin:/bin\n"
    )
    # One that the document has; Debian has it, too, and lets it do nothing.
    subprocess.run(["usermod", "--shell", "/bin/sh", "--append", "--groups", "vdsprov", "backup"], check=True)
    for user, groups in (("alice", ["-G", "vdsprov"]), ("mallory", [])):
        subprocess.run(["useradd", "--shell", "/bin/sh", "--password", "*", *groups, user], check=True)
    Path("/run/sshd").mkdir(exist_ok=True)
    daemon = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", tmp_path / "sshd"], stderr=subprocess.DEVNULL)
    host = Storage(lio, tmp_path)
    monkeypatch.setenv("VDSPROVD_SSH", host.environment["VDSPROVD_SSH"])
    end = time.monotonic() + 20
    while not (tmp_path / "pid").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    try:
        yield host
    finally:
        daemon.terminate()
        daemon.wait(20)
        for user in ("alice", "mallory"):
            _remove(user)
        subprocess.run(["usermod", "--shell", "/usr/sbin/nologin", "--groups", "", "backup"], check=True)


def _remove(user: str) -> None:
    """Once all sessions have ended, as they do some time after the client has gone."""
    end = time.monotonic() + 30
    while subprocess.run(["pgrep", "-u", user], check=False).returncode == 0:
        assert time.monotonic() < end, f"{user} is still logged in"
        time.sleep(0.05)
    subprocess.run(["userdel", user], check=True)


def test_a_member_of_the_group_works_over_there(storage: Storage) -> None:
    """Lists, changes, waits for an operation and gets the daemon's errors, as on the host itself."""
    made = storage.vdsprovctl("storage1", "lun", "create", "far", "--size", "8M", "--pool", "files0")
    assert made.returncode == 0, made.stderr
    listed = storage.vdsprovctl("storage1", "lun", "list", "--json")
    assert [lun["friendlyName"] for lun in json.loads(listed.stdout)] == ["far"]
    missing = storage.vdsprovctl("storage1", "lun", "show", "no-such-lun")
    assert missing.returncode == 6, missing.stderr
    gone = storage.vdsprovctl("storage1", "lun", "delete", "far", "--yes")
    assert gone.returncode == 0, gone.stderr


def test_the_daemon_sees_who_logged_in(storage: Storage) -> None:
    """Somebody outside the group is kept out by the socket over there, and told so."""
    with pytest.raises(Unreachable, match="Permission denied"):
        Client(storage.address("mallory"))
    with Client(storage.address("alice")) as client:
        assert client.subsystems()


def test_several_hosts_at_once(storage: Storage) -> None:
    """Each one's lines have its name; JSON is one object a line; one that fails does not keep the others from answering."""
    listed = storage.vdsprovctl("storage1,storage2", "pool", "list")
    assert listed.returncode == 0, listed.stderr
    assert {line.partition(" ")[0] for line in listed.stdout.splitlines()} == {"storage1", "storage2"}
    told = storage.vdsprovctl("storage1,nowhere,storage2", "pool", "list", "--json")
    values = {entry["host"]: entry["value"] for entry in map(json.loads, told.stdout.splitlines())}
    assert values.keys() == {"storage1", "storage2"}
    assert values["storage1"] == values["storage2"]
    assert told.returncode == 3
    assert "nowhere: exit status 3" in told.stderr
    assert "Connection refused" in told.stderr


def test_what_cannot_be_undone_is_not_asked_of_several(storage: Storage) -> None:
    """Without --yes nothing is deleted: there is nobody to ask."""
    assert storage.vdsprovctl("storage1", "lun", "create", "kept", "--size", "8M", "--pool", "files0").returncode == 0
    refused = storage.vdsprovctl("storage1,storage2", "lun", "delete", "kept")
    assert refused.returncode == 14, refused.stderr
    assert len(json.loads(storage.vdsprovctl("storage1", "lun", "list", "--json").stdout)) == 1


def test_clients_in_python(storage: Storage) -> None:
    """Both clients take the address; streams have sessions of their own; queries survive that the daemon starts anew."""

    async def look() -> int:
        async with AsyncClient(storage.address("alice")) as vds:
            (found, *_) = [entry async for entry in vds.provider.query_sub_systems()]
            return len([lun async for lun in vds.sub_system(found.id).query_luns()])

    assert asyncio.run(look()) == 0
    with Client(storage.address("alice"), reconnect=30) as client:
        before = client.subsystems()
        storage.array.stop()
        storage.array.start()
        assert [entry["id"] for entry in client.subsystems()] == [entry["id"] for entry in before]


def test_a_key_for_nothing_else(storage: Storage) -> None:
    """A forced command lets a key reach the daemon and nothing more."""
    forced = f'restrict,command="vdsprovctl --socket {storage.array.socket} bridge"'
    (storage.folder / "authorized").write_text(f"{forced} {(storage.folder / 'key.pub').read_text()}")
    with Client(f"ssh://alice@127.0.0.1:{PORT}") as client:
        assert client.subsystems()
    command = ["ssh", "-F", str(storage.folder / "config"), "storage1", "id"]
    told = subprocess.run(command, input=b"", capture_output=True, check=False, timeout=30)
    assert b"uid=" not in told.stdout


def test_the_document_s_commands(storage: Storage) -> None:
    """What docs/remote.md has a reader type, in one shell: all of it works, and each host is asked."""
    text = (Path(__file__).resolve().parents[2] / "docs/remote.md").read_text()
    commands = re.findall(r"^\$ (.*)$", text, re.MULTILINE)
    assert len(commands) == 4
    usual = Path("/run/vdsprovd/org.vdsprov")
    usual.parent.mkdir(exist_ok=True)
    usual.symlink_to(storage.array.socket)
    try:
        done = subprocess.run(
            ["bash", "-e", "-c", "\n".join(commands)],
            env=storage.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        usual.unlink()
    assert done.returncode == 0, done.stderr
    assert "all is well" in done.stdout
    assert {json.loads(line)["host"] for line in done.stdout.splitlines()[-2:]} == {"storage1", "storage2"}
