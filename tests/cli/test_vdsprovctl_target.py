"""vdsprovctl target: create, delete, chap, login."""

import re

from tests.cli.vdsprovctl import PROGRAM, Daemon
from tests.terminal import on_terminal

IQN = "iqn.2026-11.org.example:office"
HOST = "iqn.2026-11.org.example:host1"
SECRET = "correct-horse-9"


def test_life(daemon: Daemon) -> None:
    """A target is created with its portals, renamed, shown, and deleted once no LUN is associated."""
    assert daemon.shows("target", "create", IQN, "--name", "Büro", "--portal", "127.0.0.1") == (
        f"Created target {IQN} (Büro) with 1 portal.\n"
    )
    (target,) = daemon.client.targets(daemon.sub_system())
    lun = daemon.make_lun("disk")
    daemon.shows("lun", "associate", "disk", "office")
    shown = daemon.shows("target", "show", "Büro")
    for line in (f"iSCSI name:    {IQN}", "Portal groups: 1: 127.0.0.1:3260", "LUNs:          disk: 1.0 MiB, online"):
        assert line in shown
    assert daemon.json("target", "show", "office", "--json")["luns"][0]["id"] == lun
    refused = daemon.run("target", "delete", "office", "--yes")
    assert (refused.returncode, refused.stdout) == (7, "")
    assert "VDS_E_ASSOCIATED_LUNS_EXIST" in refused.stderr
    assert daemon.shows("target", "delete", "office", "--dry-run") == (
        f"Would delete target {IQN} (Büro).\n  {IQN}: 1 portal group, LUNs: disk, connected now: nobody\n"
    )
    daemon.shows("lun", "dissociate", "disk", "office")
    assert daemon.shows("target", "rename", "office", "Amt") == f"Renamed target {IQN} (Amt).\n"
    assert daemon.json("target", "delete", "Amt", "--yes", "--json") == {"deleted": [target["id"]]}


def test_generated_name(daemon: Daemon) -> None:
    """Without an iSCSI name one is generated."""
    made = daemon.json("target", "create", "--json")
    assert re.fullmatch(r"iqn\.2026-11\.org\.example:[0-9a-f]{16}", made["iscsiName"])


def test_name_taken(shared_daemon: Daemon) -> None:
    """An iSCSI name that is taken is status 7."""
    shared_daemon.make_target("iqn.2026-11.org.example:taken")
    done = shared_daemon.run_here("target", "create", "iqn.2026-11.org.example:taken")
    assert done.returncode == 7


def test_chap(daemon: Daemon) -> None:
    """A secret comes from standard input, or is asked for twice at a terminal; it is shown nowhere."""
    daemon.make_target(IQN)
    for arguments in ([], ["--initiator", HOST], ["--initiator", HOST, "--mutual"]):
        secret = f"{SECRET}\n" if not arguments else f"other-horse-{len(arguments)}"
        done = daemon.run("target", "chap", "set", "office", *arguments, stdin=secret)
        assert (done.returncode, done.stderr) == (0, "")
        assert "horse" not in done.stdout
        assert daemon.run("target", "chap", "clear", "office", *arguments).returncode == 0
    assert daemon.run("target", "chap", "set", "office", stdin="short").returncode == 11
    assert daemon.run("target", "chap", "set", "office", stdin="").returncode == 2
    assert daemon.run_here("target", "chap", "set", "office", "--mutual").returncode == 2


def test_chap_at_a_terminal(daemon: Daemon) -> None:
    """At a terminal the secret is asked for twice, and not echoed."""
    daemon.make_target(IQN)
    with on_terminal(
        [*PROGRAM, "target", "chap", "set", "office"], daemon.socket.parent, daemon.environment()
    ) as shown:
        shown.expect("CHAP secret: ")
        shown.type(f"{SECRET}\r")
        shown.expect("Repeat for confirmation: ")
        shown.type(f"{SECRET}\r")
        shown.expect("is set.")
        assert shown.end() == 0
        assert SECRET not in shown.shown


def test_login(daemon: Daemon) -> None:
    """login prints a command of open-iscsi for each portal; without a portal it says that nobody can log in."""
    daemon.make_reachable_target(IQN)
    shown = daemon.shows("target", "login", "office")
    assert f"iscsiadm --mode node --targetname {IQN} --portal 127.0.0.1:3260 --login\n" in shown
    daemon.make_target("iqn.2026-11.org.example:unreachable")
    assert "nobody can log in" in daemon.shows("target", "login", "unreachable")
