"""vagrant/: its scripts on two hosts of the lab, which stand for the machines, and what Vagrant says of its Vagrantfile."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.boots_lab, pytest.mark.timeout(600)]

INITIATOR = "iqn.2026-11.org.example:initiator"
# As in the Vagrantfile: twice, because `vagrant provision` may be called again.
STORY = f"""
set -e
echo -n abcdefghijklmnop >chap-secret
vagrant/storage.sh 10.77.0.1 {INITIATOR} "$1" chap-secret
on-host 2 sh -c 'echo -n abcdefghijklmnop >chap-secret'
on-host 2 vagrant/initiator.sh 10.77.0.1 {INITIATOR} chap-secret
on-host 2 sh -c 'echo kept >/mnt/lun/file'
vagrant/storage.sh 10.77.0.1 {INITIATOR} "$1" chap-secret
on-host 2 vagrant/initiator.sh 10.77.0.1 {INITIATOR} chap-secret
on-host 2 cat /mnt/lun/file >"$1/file"
on-host 2 findmnt -J /mnt/lun >"$1/mount"
vdsprovctl lun list --json >"$1/luns"
vdsprovctl target list --json >"$1/targets"
"""


def lab(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(CHECKOUT / "scripts/lab"), "--timeout", "300", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_scripts_end_in_a_mounted_lun(debs: Path, tmp_path: Path) -> None:
    """On the initiator, with CHAP; run again they change nothing."""
    shutil.copytree(debs, tmp_path, dirs_exist_ok=True)
    done = lab(
        "--systemd", "--clean", "--hosts", "2", "--share", str(tmp_path), "--", "bash", "-c", STORY, "", str(tmp_path)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "file").read_text() == "kept\n"
    (mount,) = json.loads((tmp_path / "mount").read_text())["filesystems"]
    assert (mount["target"], mount["fstype"]) == ("/mnt/lun", "ext4")
    (lun,) = json.loads((tmp_path / "luns").read_text())
    (target,) = json.loads((tmp_path / "targets").read_text())
    assert (lun["size"], lun["unmaskingList"], target["chapEnabled"]) == (1 << 30, INITIATOR, True)
    assert target["connectedInitiators"] == [INITIATOR]


def test_vagrant_takes_the_vagrantfile() -> None:
    """Debian's vagrant; its providers' plug-ins are not there."""
    done = lab("--", "sh", "-c", "cd vagrant && HOME=/tmp vagrant validate --ignore-provider")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Vagrantfile validated successfully" in done.stdout


def test_the_vagrantfile_calls_the_scripts_as_they_are_called_here() -> None:
    """As many arguments, in the same order, and the same initiator."""
    text = (CHECKOUT / "vagrant/Vagrantfile").read_text()
    assert f'INITIATOR = "{INITIATOR}"' in text
    assert re.search(
        r'"storage.sh",\s*args: \["#\{NETWORK\}.11", INITIATOR, "/tmp/packages", "/tmp/chap-secret"\]', text
    )
    assert re.search(r'"initiator.sh",\s*args: \["#\{NETWORK\}.11", INITIATOR, "/tmp/chap-secret"\]', text)
