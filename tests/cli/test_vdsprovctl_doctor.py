"""vdsprovctl doctor: what it finds on hosts that are made here, and on this one."""

import os
from pathlib import Path

import msgspec
import pytest

from tests.cli.vdsprovctl import Daemon
from vdsprovd.cli.checks import daemon as daemon_checks
from vdsprovd.cli.checks import devices, kernel, network, rivals
from vdsprovd.cli.checks.host import Finding, Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host whose files are the test's."""
    return Host(tmp_path)


def put(host: Host, path: str, text: str = "") -> Path:
    """A file of that host."""
    file = host.path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_on_this_host(shared_daemon: Daemon) -> None:
    """Every check has a line, also where the daemon answers; what failed says what to do, and makes the exit status."""
    done = shared_daemon.run("doctor", "--json")
    found = [Finding(**entry) for entry in msgspec.json.decode(done.stdout)]
    assert {finding.check for finding in found} >= {
        "kernel modules",
        "configfs",
        "time",
        "store",
        "group",
        "daemon",
        "firewall",
    }
    assert all(finding.level in ("ok", "warn", "fail") for finding in found)
    assert all(finding.do for finding in found if finding.level != "ok")
    assert done.returncode == (1 if any(finding.level == "fail" for finding in found) else 0)
    assert ("ok", "daemon") in {(finding.level, finding.check) for finding in found}
    shown = shared_daemon.on_terminal(80, "doctor") if done.returncode == 0 else shared_daemon.run("doctor").stdout
    assert "kernel modules" in shown


def test_without_a_daemon(shared_daemon: Daemon, tmp_path: Path) -> None:
    """It works where no daemon runs, and says so in its line."""
    done = shared_daemon.run_here("--socket", str(tmp_path / "none"), "doctor", "--json")
    (line,) = [entry for entry in msgspec.json.decode(done.stdout) if entry["check"] == "daemon"]
    assert line["level"] == "fail"
    assert "systemctl start vdsprovd" in line["do"]
    assert done.returncode == 1


def test_modules_and_configfs(host: Host) -> None:
    """Modules are loaded or not; a kernel that has none is told apart from one that only has not loaded them."""
    put(host, "/proc/sys/kernel/osrelease", "6.1.0-test\n")
    (missing,) = kernel.modules(host)
    assert (missing.level, "comes without LIO" in missing.do) == ("fail", True)
    host.path("/lib/modules/6.1.0-test/kernel/drivers/target").mkdir(parents=True)
    (missing,) = kernel.modules(host)
    assert missing.do == f"modprobe -a {' '.join(kernel.MODULES)}"
    for module in kernel.MODULES:
        host.path(f"/sys/module/{module}").mkdir(parents=True)
    assert [finding.level for finding in kernel.modules(host)] == ["ok"]
    assert [finding.do for finding in kernel.configfs(host)] == ["mount -t configfs none /sys/kernel/config"]
    put(host, "/proc/mounts", "configfs /sys/kernel/config configfs rw 0 0\n")
    assert [finding.do for finding in kernel.configfs(host)] == ["modprobe target_core_mod"]
    host.path("/sys/kernel/config/target").mkdir(parents=True)
    assert [finding.level for finding in kernel.configfs(host)] == ["ok"]


def test_portals(host: Host) -> None:
    """The port is free, ours, nobody's although it should be ours, or somebody else's."""
    head = "  sl  local_address rem_address   st\n"
    heard = "   0: 0100007F:0CBC 00000000:0000 0A\n"
    assert [finding.level for finding in network.portals(host)] == ["ok"]
    put(host, "/proc/net/tcp", head + heard)
    (other,) = network.portals(host)
    assert (other.level, "other than the kernel's target" in other.found) == ("fail", True)
    host.path("/sys/kernel/config/target/iscsi/iqn.x:y/tpgt_1/np/127.0.0.1:3260").mkdir(parents=True)
    (ours,) = network.portals(host)
    assert (ours.level, ours.found) == ("ok", "the kernel listens at 127.0.0.1:3260")
    put(host, "/proc/net/tcp", head)
    (gone,) = network.portals(host)
    assert (gone.level, gone.found) == ("fail", "nobody listens at 127.0.0.1:3260")


@pytest.mark.parametrize(
    ("rules", "closed"),
    [
        ("table inet filter {\n chain input {\n  type filter hook input priority filter; policy drop;\n }\n}\n", True),
        (
            "table inet filter {\n chain input {\n  type filter hook input priority filter; policy accept;\n }\n}\n",
            False,
        ),
        (":INPUT DROP [0:0]\n", True),
        (":INPUT ACCEPT [0:0]\n", False),
        ("", False),
    ],
)
def test_closed_firewalls(rules: str, closed: bool) -> None:
    """A firewall is closed when it lets nothing in by itself, in nft's words and in iptables'."""
    assert network._closed(rules) is closed


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to root")
def test_the_store(host: Host) -> None:
    """The store's folder is root's alone; one that others can read is a failure that says how to mend it."""
    table = {"provider": {"state": "/var/lib/elsewhere"}}
    assert [finding.level for finding in daemon_checks.store(host, table)] == ["ok"]
    folder = host.path("/var/lib/elsewhere")
    folder.mkdir(parents=True, mode=0o755)
    (finding,) = daemon_checks.store(host, table)
    assert (finding.level, finding.do) == ("fail", "chown root: /var/lib/elsewhere && chmod 0700 /var/lib/elsewhere")
    folder.chmod(0o700)
    assert [finding.level for finding in daemon_checks.store(host, table)] == ["ok"]


def test_the_configuration(host: Host) -> None:
    """A configuration that is not there, that the daemon takes, or that it refuses, with its own words."""
    config = Path("/etc/vdsprovd/vdsprovd.toml")
    assert [finding.level for finding in daemon_checks.configuration(host, config)] == ["fail"]
    file = put(host, str(config), '[provider]\nsokcet = "x"\n')
    (wrong,) = daemon_checks.configuration(host, config)
    assert (wrong.level, "sokcet" in wrong.found) == ("fail", True)
    file.write_text('[[subsystem]]\nname = "array0"\niqn-prefix = "iqn.2026-11.org.example"\n')
    assert [finding.level for finding in daemon_checks.configuration(host, config)] == ["ok"]


def test_pools_and_disks(host: Host) -> None:
    """Folders, volume groups and disks of the configuration: there or not, mounted, or held by somebody else."""
    table = {
        "subsystem": [
            {
                "pool": [
                    {"name": "files0", "kind": "files", "path": "/srv/luns"},
                    {"name": "vg0", "kind": "lvm", "vg": "there-is-no-such-group"},
                ],
                "drives": ["/dev/sd*"],
            }
        ]
    }
    levels = {finding.check: finding for finding in devices.pools(host, table)}
    assert (levels["pool files0"].level, levels["drives /dev/sd*"].level) == ("fail", "warn")
    assert levels["pool vg0"].level != "ok"
    host.path("/srv/luns").mkdir(parents=True, mode=0o700)
    put(host, "/dev/sdx")

    def disks() -> Finding:
        return next(finding for finding in devices.pools(host, table) if finding.check == "drives /dev/sd*")

    assert (disks().level, disks().found) == ("ok", "1 of 1 free")
    host.path("/sys/class/block/sdx/holders/md0").mkdir(parents=True)
    assert (disks().level, disks().found) == ("warn", "0 of 1 free; md0 holds sdx")
    put(host, "/dev/sdy")
    put(host, "/proc/mounts", "/dev/sdy /mnt ext4 rw 0 0\n")
    assert disks().found == "0 of 2 free; md0 holds sdx; sdy is mounted at /mnt"
    put(host, "/dev/sdz")
    assert (disks().level, disks().do) == ("ok", "")


def test_what_targetcli_saved(host: Host) -> None:
    """Targets in targetcli's file are warned of; an empty file is not."""
    put(host, rivals.SAVED[0], '{"targets": []}')
    assert [finding.level for finding in rivals.saved(host)] == ["ok"]
    put(host, rivals.SAVED[0], '{"targets": [{"wwn": "iqn.2003-01.org.example:theirs"}]}')
    assert [finding.level for finding in rivals.saved(host)] == ["warn"]
