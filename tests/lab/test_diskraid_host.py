"""DiskRAID's commands for this host's initiator: open-iscsi against the kernel's target, and the disks that come of it."""

import io
import stat
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from tests.arrays import ADDRESS, INITIATOR, LioArray, run
from vdsprovd.cli.__main__ import main

pytestmark = pytest.mark.lab

NAME = "iqn.2026-11.org.example:diskraid"
SECRET, OWN = "twelve-bytes", "fourteen-bytes"
TARGET = (
    "select subsystem 0",
    "create lun simple size=16",
    f"unmask lun initiator={INITIATOR}",
    f"create target name=t iscsiname={NAME}",
    "create tpgroup",
    "add tpgroup tportal=0",
    f"chap target set secret={SECRET}",
    "select lun 0",
    "associate targets 0",
    "select target 0",
)
KNOWN = (*TARGET, f"chap initiator remember secret={SECRET} target=0")
RECORDS = (Path("/etc/iscsi/nodes"), Path("/var/lib/iscsi/nodes"))


class Host:
    """vdsprovctl diskraid on the host of the daemon."""

    def __init__(self, array: LioArray) -> None:
        self.array = array

    def run(self, *lines: str) -> tuple[int, str]:
        """Run a script of these lines: its status, and what it says."""
        file = self.array.folder / "script.txt"
        file.touch(0o600)
        file.write_text("\n".join(lines))
        out = io.StringIO()
        with redirect_stdout(out), redirect_stderr(out):
            status = main(["--socket", str(self.array.socket), "diskraid", "--script", str(file)])
        print(out.getvalue())
        return status, out.getvalue()

    def shows(self, *lines: str) -> str:
        """Run a script, which must succeed: what it says."""
        status, said = self.run(*lines)
        assert status == 0, said
        return said

    def sessions(self) -> list[str]:
        """The names of the interfaces of open-iscsi's sessions with the target."""
        found = Path("/sys/class/iscsi_session").glob("session*")
        return [
            (session / "ifacename").read_text().strip()
            for session in found
            if (session / "targetname").read_text().strip() == NAME
        ]

    def record(self) -> dict[str, str]:
        """What open-iscsi's only record of the target says; only root can read it."""
        (file,) = (path for folder in RECORDS for path in (folder / NAME).rglob("*") if path.is_file())
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        pairs = (line.partition(" = ") for line in file.read_text().splitlines())
        return {key: value for key, equals, value in pairs if equals}

    def disk(self) -> Path:
        """The disk that the host has of the LUN."""
        link = Path(f"/dev/disk/by-path/ip-{ADDRESS}:3260-iscsi-{NAME}-lun-0")
        end = time.monotonic() + 20
        while not link.exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        return link.resolve()


@pytest.fixture
def host(lio: LioArray) -> Iterator[Host]:
    """The host, which is logged out and has forgotten the target afterwards."""
    yield Host(lio)
    run("iscsiadm", "-m", "node", "-T", NAME, "--logout", check=False)
    run("iscsiadm", "-m", "node", "-T", NAME, "-o", "delete", check=False)
    for name in [line.split()[0] for line in run("iscsiadm", "-m", "iface").splitlines()]:
        if name.startswith("vdsprovctl-"):
            run("iscsiadm", "-m", "iface", "-I", name, "-o", "delete")


def test_the_initiator_and_its_adapters(host: Host) -> None:
    """INITIATOR tells the initiator's name; adapters are open-iscsi's interfaces, portals the addresses of the host."""
    assert INITIATOR in host.shows("initiator")
    said = host.shows("list iadapters", "select iadapter 0", "detail iadapter", "list iportals", "select iportal 0")
    assert "* Adapter 0" not in said
    assert "Adapter 0    default" in said
    assert ADDRESS in said
    assert "Initiator name    : " + INITIATOR in said
    assert "Address" in host.shows("select iadapter 0", "select iportal 0", "detail iportal")


def test_login_and_logout(host: Host) -> None:
    """LOGIN with the secret that CHAP INITIATOR REMEMBER told the initiator; the LUN's disk comes, and goes with LOGOUT."""
    said = host.shows(*KNOWN, "login target iadapter=0 chap=oneway", "initiator", "detail target")
    assert f"Logged in to {NAME} through {ADDRESS}:3260." in said
    assert f"Sessions       : {NAME}" in said
    assert f"Initiators    : {INITIATOR}" in said
    assert host.sessions() == ["default"]
    host.disk()
    record = host.record()
    assert (record["node.startup"], record["node.session.auth.authmethod"]) == ("manual", "CHAP")
    assert SECRET not in said
    assert "Logged out" in host.shows("select subsystem 0", "select target 0", "logout target iadapter= 0")
    assert host.sessions() == []
    status, said = host.run("select subsystem 0", "select target 0", "logout target iadapter=0")
    assert (status, f"Adapter default is not logged in to {NAME}." in said) == (4, True)


def test_mutual_chap(host: Host) -> None:
    """The target proves itself with the initiator's own secret: for this target, or for all others."""
    remembered = f"chap target remember secret={OWN} initiator={INITIATOR}"
    login = "login target iadapter=0 type=persistent chap=mutual EHD EDD"
    host.shows(*KNOWN, remembered, f"chap initiator set secret={OWN}", login)
    record = host.record()
    assert (record["node.startup"], record["node.session.auth.password_in"]) == ("automatic", OWN)
    assert record["node.conn[0].iscsi.HeaderDigest"].startswith("CRC32C")
    host.shows("select subsystem 0", "select target 0", "logout target iadapter=0")
    # A wrong secret of its own: the initiator does not believe the target.
    select = ("select subsystem 0", "select target 0")
    status, said = host.run(*select, f"chap initiator set secret=another-secret target={NAME}", login)
    assert status == 4
    assert "This host's iscsiadm failed with status 19" in said
    assert host.sessions() == []
    host.shows(*select, f"chap initiator set secret={OWN} target=0", login)
    assert host.sessions() == ["default"]


def test_chap_that_is_not_known(host: Host) -> None:
    """Without the secret there is no login, and it is said how to tell it; after it was cleared there is none again."""
    for lines in (TARGET, (*KNOWN[:1], "select target 0", "chap initiator remember secret= target=0")):
        status, said = host.run(*lines, "login target iadapter=0 chap=oneway")
        assert status == 4
        assert "CHAP INITIATOR REMEMBER" in said
    status, said = host.run("select subsystem 0", "select target 0", "login target iadapter=0")
    assert status == 4, "the target wants a secret"
    assert host.sessions() == []


def test_login_from_a_portal(host: Host) -> None:
    """IPORTAL= binds the login to the network interface of that address; LOGOUT of the adapter ends it, too."""
    said = host.shows("select iadapter 0", "list iportals")
    number = next(line.split()[2] for line in said.splitlines() if ADDRESS in line)
    host.shows(*KNOWN, f"login target iadapter=0 iportal={number} tportal=0 chap=one")
    (interface,) = host.sessions()
    assert interface.startswith("vdsprovctl-")
    host.shows("select subsystem 0", "select target 0", "logout target iadapter=0")
    assert host.sessions() == []


@pytest.mark.parametrize(
    ("status", "line", "told"),
    [
        (4, "login target iadapter=0 IPS", "IPsec is not supported"),
        (5, "login target iadapter=9", "there is no Adapter 9"),
        (5, "login target iadapter=0 tportal=1", "is in no portal group of the selected target"),
        (5, "login target", "IADAPTER= is missing"),
    ],
)
def test_logins_that_fail(host: Host, status: int, line: str, told: str) -> None:
    """What cannot be is told, and no session comes of it."""
    found, said = host.run(*KNOWN, line)
    assert found == status
    assert told.lower() in said.lower()
    assert host.sessions() == []


def test_uninstall(host: Host) -> None:
    """UNINSTALL lets the host's disk go before the LUN is masked or deleted, and refuses while it is mounted."""
    host.shows(*KNOWN, "login target iadapter=0 chap=oneway")
    disk = host.disk()
    run("mkfs.ext4", "-q", str(disk))
    mount = host.array.folder / "mount"
    mount.mkdir()
    run("mount", str(disk), str(mount))
    select = ("select subsystem 0", "select lun 0")
    for line in ("delete lun uninstall", "unmask lun none uninstall"):
        status, said = host.run(*select, line)
        assert status == 4
        assert f"is in use: {disk} is mounted on {mount}" in said
    run("umount", str(mount))
    assert f"{disk} was removed from this host." in host.shows(*select, "unmask lun none uninstall")
    assert not disk.exists()
    host.shows(*select, "dissociate targets 0", "delete lun uninstall")


def test_no_secret_in_the_arguments_of_a_program(host: Host) -> None:
    """What iscsiadm is called with has no secret: it is put in the PATH's first place, and writes down what it gets."""
    spy, seen = host.array.folder / "bin", host.array.folder / "seen"
    spy.mkdir()
    (spy / "iscsiadm").write_text(f'#!/bin/sh\necho "$@" >> {seen}\nexec /usr/sbin/iscsiadm "$@"\n')
    (spy / "iscsiadm").chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{spy}:/usr/sbin:/usr/bin:/sbin:/bin")
        remembered = f"chap target remember secret={OWN} initiator={INITIATOR}"
        host.shows(*KNOWN, remembered, f"chap initiator set secret={OWN}", "login target iadapter=0 chap=mutual")
    arguments = seen.read_text()
    assert "--login" in arguments
    assert SECRET not in arguments
    assert OWN not in arguments
