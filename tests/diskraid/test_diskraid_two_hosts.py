"""DiskRAID's language where it is used: on the host that wants a disk, with the array on another one, through ssh."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SESSION = """select subsystem 0
create lun simple size=32MB
unmask lun initiator=iqn.2026-11.org.example:host2
create target name=remote iscsiname=iqn.2026-11.org.example:remote
create tpgroup
add tpgroup tportal=0
chap target set secret=twelve-bytes
chap initiator remember secret=twelve-bytes target=0
select lun 0
associate targets 0
select target 0
login target iadapter=0 chap=oneway
detail target
"""
GUEST = f"""set -e
mkdir -p /srv/pool /etc/vdsprovd /run/vdsprovd
cat > /etc/vdsprovd/vdsprovd.toml <<'END'
[[subsystem]]
name = "array0"
iqn-prefix = "iqn.2026-11.org.example"
portals = ["10.77.0.1:3260"]
[[subsystem.pool]]
name = "files0"
kind = "files"
path = "/srv/pool"
END
vdsprovd >/tmp/log 2>&1 &
on-host 2 sh -c 'ssh-keygen -q -t ed25519 -N "" -f /root/.ssh/id_ed25519; cat /root/.ssh/id_ed25519.pub' >>/root/.ssh/authorized_keys
on-host 2 sh -c 'cat >/root/.ssh/config; chmod 600 /root/.ssh/config' <<'END'
Host *
StrictHostKeyChecking accept-new
LogLevel ERROR
END
while ! grep -q ready /tmp/log; do sleep 0.1; done
on-host 2 sh -c 'umask 077; cat >/tmp/session.txt' <<'END'
{SESSION}END
on-host 2 vdsprovctl --host host1 diskraid /s /tmp/session.txt
on-host 2 udevadm settle
on-host 2 lsblk --nodeps --noheadings --output VENDOR,SIZE
on-host 2 sh -c 'umask 077; printf "select subsystem 0\\nselect target 0\\nlogout target iadapter=0\\ndetail target\\n" >/tmp/end.txt'
on-host 2 vdsprovctl --host host1 diskraid --script /tmp/end.txt
"""


@pytest.mark.boots_lab
@pytest.mark.skipif(shutil.which("unshare") is None, reason="the lab needs unshare")
@pytest.mark.timeout(600)
def test_a_script_for_two_hosts() -> None:
    """One script on the initiator's host creates a LUN on the storage host, and logs in to it: the disk is there."""
    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "scripts/lab"), "--hosts", "2", "--", "sh", "-c", GUEST],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    before, logged_in, after = done.stdout.partition(
        "Logged in to iqn.2026-11.org.example:remote through 10.77.0.1:3260."
    )
    assert logged_in, before
    assert "Initiators    : iqn.2026-11.org.example:host2" in after
    assert "LIO-ORG    32M" in after
    assert after.rstrip().endswith("Initiators    : none")
