"""What the daemon exports goes on with targetcli alone: the same disks with the same bytes, for those with the same secrets."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from tests.arrays import ADDRESS, INITIATOR, MIB, SECRET, LioArray, clear_kernel, run
from tests.lab import load
from tests.lab.initiator import logged_in

# rtslib, which clears the kernel after a test, would have another folder for its database than Debian's targetcli.
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore:Cannot set dbroot:UserWarning"),
]


def seen() -> list[tuple[str, bytes, bytes, str]]:
    """The disks: LUN, serial number, WWID, and a digest of every byte."""
    found = []
    for node in load.disks(2):
        device = Path("/sys/block", Path(node).name, "device")
        names = (device / "vpd_pg80").read_bytes(), (device / "wwid").read_bytes()
        number = device.resolve().name.rpartition(":")[2]
        found.append((number, *names, hashlib.sha256(Path(node).read_bytes()).hexdigest()))
    return sorted(found)


@pytest.mark.shows("Service.GetSaveconfig")
def test_the_way_out(lio: LioArray, tmp_path: Path) -> None:
    """Exported with secrets, taken down, and restored by targetctl on a host without the daemon: the initiator finds what it
    had. Without the secrets nobody logs in."""
    lio.add_drives()
    with_drives = lio.sub_systems()["array2"]
    luns = [lio.make_lun(2 * MIB, INITIATOR), lio.make_volume("simple", 4 * MIB, mask=INITIATOR)]
    other = lio.make_target(sub_system=with_drives)
    (portal,) = lio.call("SubSystemIscsi.QueryPortals", id=with_drives)["portals"]
    lio.wait(lio.call("IscsiPortalGroup.AddPortal", id=lio.make_group(other), portalId=portal["id"]))
    targets = [lio.make_reachable_target()[0], other]
    for lun, target in zip(luns, targets, strict=True):
        lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
        lio.call("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret=SECRET)
    portals = dict(zip(map(lio.name_of, targets), (f"{ADDRESS}:3260", f"{ADDRESS}:3262"), strict=True))
    chap = dict.fromkeys(portals, (INITIATOR, SECRET))
    with logged_in(portals, chap):
        for node in load.disks(2):
            run("dd", "if=/dev/urandom", f"of={node}", "bs=1M", "count=2", "oflag=direct")
        before = seen()
    files = {option: tmp_path / f"saved{option}.json" for option in ("", "--with-secrets")}
    for option, file in files.items():
        run("vdsprovctl", "--socket", str(lio.socket), "export", *filter(None, [option]), str(file))
    assert [SECRET in file.read_text() for file in files.values()] == [False, True]
    assert files["--with-secrets"].stat().st_mode & 0o777 == 0o600
    assert json.loads(lio.call("Service.GetSaveconfig")["configuration"]) == json.loads(files[""].read_text())
    lio.stop()
    for option, file in files.items():
        clear_kernel()
        # Debian's, with Debian's rtslib. It tells errors and succeeds all the same.
        command = ["/usr/bin/targetctl", "restore", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout + done.stderr == ""
        if option:
            with logged_in(portals, chap):
                assert seen() == before
        else:
            with (
                pytest.raises(Exception, match="login"),
                logged_in(portals, chap),
            ):
                pass
    clear_kernel()
    lio.start()
