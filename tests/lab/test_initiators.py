"""What initiators see: open-iscsi's and libiscsi's, against the kernel's target."""

import base64
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.arrays import ADDRESS, INITIATOR, MIB, OTHER_INITIATOR, LioArray, run
from vdsprovd.model import StorageIdentifierType

pytestmark = pytest.mark.lab

SECRET = "twelve-bytes"
MUTUAL = "fourteen-bytes"
THIRD = "iqn.2026-11.org.example:third"


_SEEN = re.compile(r"^(?:Target:(\S+)|Lun:(\d+) +Type:DIRECT_ACCESS)", re.MULTILINE)


def sees(initiator: str, wanted: list[str], secret: str | None = SECRET, user: str | None = None) -> None:
    """What iscsi-ls finds as that initiator is what is wanted: the target's name and the numbers of its disks.

    It may take some attempts to see all: a new logical unit reports "the list of LUNs has changed" once, which iscsi-ls
    takes for an error. More than is wanted may never be seen.
    """
    environment = dict(os.environ)
    if secret is not None:
        environment |= {"LIBISCSI_CHAP_USERNAME": user or initiator, "LIBISCSI_CHAP_PASSWORD": secret}
    for _ in range(4):
        done = subprocess.run(
            ["iscsi-ls", "-i", initiator, "-s", f"iscsi://{ADDRESS}"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        found = {target or number for target, number in _SEEN.findall(done.stdout)}
        assert found <= set(wanted)
        if found == set(wanted):
            return
        time.sleep(0.1)
    raise AssertionError(f"{initiator} sees {found} and not {wanted}: {done.stdout}{done.stderr}")


@pytest.fixture
def target(lio: LioArray) -> str:
    """A target with a portal and a default secret."""
    found, _ = lio.make_reachable_target()
    lio.call("IscsiTarget.SetSharedSecret", id=found, targetSharedSecret=SECRET)
    return found


# The kernel counts a portal group's CHAP logins, and libiscsi cannot read the count once it has two digits ("NUL not
# found when parsing login data"): no test may have its target logged in to with CHAP ten times.


def test_initiators_see_exactly_what_the_masks_say(lio: LioArray, target: str) -> None:
    """Each initiator sees the LUNs whose masks name it, by their numbers, and an initiator in no mask sees no target."""
    name = lio.name_of(target)
    for mask in (INITIATOR, f"{INITIATOR};{OTHER_INITIATOR}", "", OTHER_INITIATOR):
        lio.call("LunIscsi.AssociateTargets", id=lio.make_lun(mask=mask), targetIds=[target])
    sees(INITIATOR, [name, "0", "1"])
    sees(OTHER_INITIATOR, [name, "1", "3"])
    sees(THIRD, [])


def test_a_changed_mask_changes_what_they_see(lio: LioArray, target: str) -> None:
    """A new mask gives and takes LUNs; with the last LUN goes the target."""
    name = lio.name_of(target)
    first, second = lio.make_lun(mask=OTHER_INITIATOR), lio.make_lun(mask=OTHER_INITIATOR)
    for lun in (first, second):
        lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    lio.call("Lun.SetMask", id=first, unmaskingList=THIRD)
    sees(OTHER_INITIATOR, [name, "1"])
    sees(THIRD, [name, "0"])
    lio.call("LunIscsi.AssociateTargets", id=second)
    sees(OTHER_INITIATOR, [])
    lio.call("Lun.SetMask", id=first, unmaskingList="")
    sees(THIRD, [])


def test_everybody_is_this_host(lio: LioArray, target: str) -> None:
    """ "*" stands for this host's own initiators, and for nobody else."""
    lio.call("LunIscsi.AssociateTargets", id=lio.make_lun(mask="*"), targetIds=[target])
    sees(INITIATOR, [lio.name_of(target), "0"])
    sees(OTHER_INITIATOR, [])


def test_iscsi_inq_reads_the_lun_s_identity(lio: LioArray, target: str) -> None:
    """INQUIRY and the serial number page carry the LUN's id, as GetIdentificationData says."""
    lun = lio.make_lun(mask=INITIATOR)
    lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    url = f"iscsi://{INITIATOR}%{SECRET}@{ADDRESS}/{lio.name_of(target)}/0"
    known = lio.call("Lun.GetIdentificationData", id=lun)["properties"]
    standard = run("iscsi-inq", "-i", INITIATOR, url)
    assert f"Vendor:{known['vendorId']}" in standard
    assert f"Product:{known['productId']}" in standard
    assert known["serialNumber"] == lun
    assert lun in run("iscsi-inq", "-i", INITIATOR, "-e", "1", "-c", "0x80", url)


def test_secrets_are_needed_and_must_be_right(lio: LioArray, target: str) -> None:
    """No secret, a wrong one and a wrong CHAP name do not log in; without any secret the target lets nobody in."""
    lun, name = lio.make_lun(mask=INITIATOR), lio.name_of(target)
    lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    sees(INITIATOR, [name, "0"])
    sees(INITIATOR, [name], None)
    sees(INITIATOR, [name], "wrong-secret")
    sees(INITIATOR, [name], SECRET, user=OTHER_INITIATOR)
    lio.call("IscsiTarget.SetSharedSecret", id=target)
    sees(INITIATOR, [name])
    sees(INITIATOR, [name], None)


def test_an_initiator_s_own_secret_beats_the_default(lio: LioArray, target: str) -> None:
    """With a secret of its own an initiator needs that one, others the default; cleared, it needs the default again."""
    lun, name = lio.make_lun(mask=f"{INITIATOR};{OTHER_INITIATOR}"), lio.name_of(target)
    lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    lio.call("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret=MUTUAL, initiatorName=INITIATOR)
    sees(INITIATOR, [name])
    sees(INITIATOR, [name, "0"], MUTUAL)
    sees(OTHER_INITIATOR, [name, "0"])
    lio.call("IscsiTarget.SetSharedSecret", id=target, initiatorName=INITIATOR)
    sees(INITIATOR, [name, "0"])


def test_without_required_chap_a_secret_makes_the_difference(lio: LioArray) -> None:
    """With require-chap = false the mask alone decides, until a secret is set; cleared, the mask alone decides again."""
    for sub_system in lio.configuration["subsystem"]:
        sub_system["require-chap"] = False
    lio.restart()
    lun, (target, _) = lio.make_lun(mask=INITIATOR), lio.make_reachable_target()
    lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    name = lio.name_of(target)
    assert not lio.call("IscsiTarget.GetProperties", id=target)["properties"]["chapEnabled"]
    sees(INITIATOR, [name, "0"], None)
    sees(OTHER_INITIATOR, [], None)
    lio.call("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret=SECRET)
    assert lio.call("IscsiTarget.GetProperties", id=target)["properties"]["chapEnabled"]
    sees(INITIATOR, [name], None)
    sees(INITIATOR, [name, "0"])
    lio.call("IscsiTarget.SetSharedSecret", id=target)
    sees(INITIATOR, [name, "0"], None)


def test_a_login_alone_does_not_show_a_lun(lio: LioArray, target: str) -> None:
    """An initiator that has only a secret, and is in no mask, logs in and sees no LUN."""
    lun, name = lio.make_lun(mask=OTHER_INITIATOR), lio.name_of(target)
    lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    lio.call("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret=MUTUAL, initiatorName=INITIATOR)
    sees(INITIATOR, [name], MUTUAL)


class Login:
    """A session of this host's open-iscsi with a target."""

    def __init__(self, name: str, port: int = 3260) -> None:
        self.name = name
        self.portal = f"{ADDRESS}:{port}"
        self.disk = f"/dev/disk/by-path/ip-{self.portal}-iscsi-{name}-lun-0"

    def set(self, key: str, value: str) -> None:
        """Set a value of the node's record."""
        run("iscsiadm", "-m", "node", "-T", self.name, "-o", "update", "-n", key, "-v", value)

    def login(self, mutual: str | None = None) -> None:
        """Discover the target and log in with CHAP; returns when the disk is there."""
        run("iscsiadm", "-m", "discovery", "-t", "st", "-p", self.portal)
        self.set("node.session.auth.authmethod", "CHAP")
        self.set("node.session.auth.username", INITIATOR)
        self.set("node.session.auth.password", SECRET)
        if mutual:
            self.set("node.session.auth.username_in", self.name)
            self.set("node.session.auth.password_in", mutual)
        run("iscsiadm", "-m", "node", "-T", self.name, "--login")
        deadline = time.monotonic() + 20
        while not Path(self.disk).exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def end(self) -> None:
        """Log out and forget the target."""
        run("iscsiadm", "-m", "node", "-T", self.name, "--logout", check=False)
        run("iscsiadm", "-m", "node", "-T", self.name, "-o", "delete", check=False)


@pytest.fixture
def session(lio: LioArray, target: str) -> Iterator[Login]:
    """A session that is ended after the test."""
    found = Login(lio.name_of(target))
    yield found
    found.end()


def test_data_outlives_the_daemon_and_growth_is_seen(lio: LioArray, target: str, session: Login) -> None:
    """A logged-in initiator writes and reads while the daemon is killed, restarted and refreshed; after Extend and
    Shrink a rescan shows the new size; GetConnectedInitiators names the initiator while it is there."""
    lun = lio.make_lun(16 * MIB, mask=INITIATOR)
    lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    assert lio.call("IscsiTarget.GetConnectedInitiators", id=target) == {"initiatorList": []}
    session.login()
    assert lio.call("IscsiTarget.GetConnectedInitiators", id=target) == {"initiatorList": [INITIATOR]}
    data = os.urandom(MIB)
    disk = os.open(session.disk, os.O_RDWR | os.O_SYNC)
    try:
        os.pwrite(disk, data, 0)
        lio.kill()
        os.pwrite(disk, data, 8 * MIB)
        lio.start()
        lio.call("HwProvider.Refresh")
        lio.stop()
        os.pwrite(disk, data, 15 * MIB)
        lio.start()
        for offset in (0, 8 * MIB, 15 * MIB):
            assert os.pread(disk, MIB, offset) == data
    finally:
        os.close(disk)
    for method, change, size in (
        ("Lun.Extend", {"numberOfBytesToAdd": 16 * MIB}, 32 * MIB),
        ("Lun.Shrink", {"numberOfBytesToRemove": 24 * MIB}, 8 * MIB),
    ):
        lio.wait(lio.call(method, id=lun, **change))
        run("iscsiadm", "-m", "session", "-R")
        assert int(run("blockdev", "--getsize64", session.disk)) == size
    # The bytes are in the pool's file: written through, not kept in a cache.
    path = lio.pools_folder / "files0" / f"{lun}.lun"
    assert path.read_bytes()[:MIB] == data
    assert (path.stat().st_mode & 0o777, path.stat().st_uid) == (0o600, 0)
    session.end()
    assert lio.call("IscsiTarget.GetConnectedInitiators", id=target) == {"initiatorList": []}


LOGICAL_UNIT, PORT, TARGET = 0, 1, 2
"""Whose a designator is: its association (SPC-4 7.8.6.2)."""
CODE_SETS = {"binary": 1, "ascii": 2, "utf8": 3}
TYPES = {"vendor_id": 1, "fcph_name": 3, "logical_unit_group": 6}


def inquiry(disk: str, page: int | None = None) -> bytes:
    """The bytes with which the target answers INQUIRY, or INQUIRY for a VPD page: by sg_raw, which reads nothing into
    them."""
    cdb = ["12", "00" if page is None else "01", f"{page or 0:02x}", "02", "00", "00"]
    done = subprocess.run(["sg_raw", "--binary", "--request=512", disk, *cdb], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def designators(page: bytes) -> list[tuple[int, int, int, bytes]]:
    """Page 0x83 taken apart: association, code set, type and bytes of each designator, in order."""
    assert page[:2] == b"\x00\x83"
    assert len(page) == 4 + int.from_bytes(page[2:4], "big")
    found, offset = [], 4
    while offset < len(page):
        code_set, kind, length = page[offset], page[offset + 1], page[offset + 3]
        found.append((kind >> 4 & 3, code_set & 15, kind & 15, page[offset + 4 : offset + 4 + length]))
        offset += 4 + length
    return found


@pytest.mark.shows("Lun.GetIdentificationData")
def test_identification_is_what_the_initiator_reads(lio: LioArray, target: str, session: Login) -> None:
    """INQUIRY, the unit serial number page and the device identification page are byte for byte what
    GetIdentificationData says, but for the designators of the path; they, and nothing else, are left out."""
    lun, name = lio.make_lun(mask=INITIATOR), lio.name_of(target)
    lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    session.login()
    known = lio.call("Lun.GetIdentificationData", id=lun)["properties"]

    standard = inquiry(session.disk)
    assert (known["deviceType"], known["deviceTypeModifier"]) == (standard[0], standard[1])
    assert known["commandQueueing"] == bool(standard[7] & 2)
    assert known["vendorId"].encode() == standard[8:16]
    assert known["productId"].encode() == standard[16:32]
    assert known["productRevision"].encode() == standard[32:36]

    serial = known["serialNumber"].encode() + b"\0"
    assert inquiry(session.disk, 0x80) == bytes([0, 0x80, 0, len(serial)]) + serial

    page = designators(inquiry(session.disk, 0x83))
    assert [entry[1:] for entry in page if entry[0] == LOGICAL_UNIT] == [
        (CODE_SETS[entry["codeSet"]], TYPES[entry["type"]], base64.b64decode(entry["identifier"]))
        for entry in known["deviceIdDescriptor"]["identifiers"]
    ]
    relative_port, port_group, port_name, target_name = (entry for entry in page if entry[0] != LOGICAL_UNIT)
    assert relative_port[:3] == (PORT, 1, 4)
    assert port_group == (PORT, 1, 5, bytes(4))
    assert (*port_name[:3], port_name[3].rstrip(b"\0")) == (PORT, 3, 8, f"{name},t,0x0001".encode())
    assert (*target_name[:3], target_name[3].rstrip(b"\0")) == (TARGET, 3, 8, name.encode())


@pytest.mark.shows("HwProviderPrivate.QueryIfCreatedLun")
def test_a_disk_of_the_initiator_leads_to_its_lun(lio: LioArray, target: str, session: Login) -> None:
    """With the bytes that a host reads of its disk, QueryIfCreatedLun finds the LUN."""
    lun = lio.make_lun(mask=INITIATOR)
    lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    session.login()
    types = {kind.number: kind.value for kind in StorageIdentifierType}
    code_sets = {number: name for name, number in CODE_SETS.items()}
    identifiers = [
        {"codeSet": code_sets[code_set], "type": types[kind], "identifier": base64.b64encode(identifier).decode()}
        for _, code_set, kind, identifier in designators(inquiry(session.disk, 0x83))
    ]
    descriptor = {"version": 1, "identifiers": identifiers}
    serial = inquiry(session.disk, 0x80)[4:].rstrip(b"\0").decode()
    for information in (
        {"serialNumber": serial},
        {"deviceIdDescriptor": descriptor},
        {"serialNumber": serial, "deviceIdDescriptor": descriptor},
    ):
        found = lio.call("HwProviderPrivate.QueryIfCreatedLun", devicePath=session.disk, lunInformation=information)
        assert found == {"hresult": 0, "lunId": lun}


def test_identification_follows_the_kernel_s_attributes(lio: LioArray, target: str, session: Login) -> None:
    """A company id and a logical unit group that somebody else set are in the answer as they are in the page."""
    lun = lio.make_lun(mask=INITIATOR)
    (disk,) = Path("/sys/kernel/config/target/core").glob(f"fileio_*/{lun}")
    group = Path("/sys/kernel/config/target/core/alua/lu_gps/others")
    group.mkdir()
    try:
        (group / "lu_gp_id").write_text("258")
        (disk / "alua_lu_gp").write_text("others")
        (disk / "wwn/company_id").write_text("0xabcdef")
        lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
        session.login()
        page = [entry[3] for entry in designators(inquiry(session.disk, 0x83)) if entry[0] == LOGICAL_UNIT]
        known = lio.call("Lun.GetIdentificationData", id=lun)["properties"]["deviceIdDescriptor"]["identifiers"]
        assert [base64.b64decode(entry["identifier"]) for entry in known] == page
        assert page[0].hex() == "6abcdef" + lun.replace("-", "")[:25]
        assert page[2] == bytes([0, 0, 1, 2])
    finally:
        session.end()
        (disk / "alua_lu_gp").write_text("NULL")  # back to the default one
        group.rmdir()


def test_mutual_chap(lio: LioArray, target: str, session: Login) -> None:
    """With RememberInitiatorSharedSecret the initiator authenticates the target too; a wrong secret ends the login."""
    lun = lio.make_lun(mask=INITIATOR)
    lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    parameters = {"id": target, "initiatorName": INITIATOR}
    lio.call("IscsiTarget.RememberInitiatorSharedSecret", **parameters, initiatorSharedSecret="another-secret")
    with pytest.raises(AssertionError, match="login failure"):
        session.login(MUTUAL)
    lio.call("IscsiTarget.RememberInitiatorSharedSecret", **parameters, initiatorSharedSecret=MUTUAL)
    session.login(MUTUAL)


def test_ends_are_wiped(lio: LioArray, target: str, session: Login) -> None:
    """A new LUN reads as zeros; when a LUN is deleted, its first and last MiB are zeroed before the file goes."""
    lun = lio.make_lun(4 * MIB, mask=INITIATOR)
    path = lio.pools_folder / "files0" / f"{lun}.lun"
    assert path.read_bytes() == bytes(4 * MIB)
    lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    session.login()
    disk = os.open(session.disk, os.O_RDWR | os.O_SYNC)
    os.pwrite(disk, b"x" * 4 * MIB, 0)
    os.close(disk)
    session.end()
    with path.open("rb") as kept:
        lio.call("Lun.Delete", id=lun)
        left = kept.read()
    assert left == bytes(MIB) + b"x" * 2 * MIB + bytes(MIB)
    assert not path.exists()


@pytest.fixture
def busy(lio: LioArray, target: str, session: Login) -> Iterator[str]:
    """A LUN that this host's initiator keeps writing to while the test goes on."""
    lun = lio.make_lun(8 * MIB, mask=INITIATOR)
    lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    session.login()
    # A disk that is taken away shall fail soon, not after the two minutes for which open-iscsi hopes that it comes back.
    for timeout in Path("/sys/class/iscsi_session").glob("session*/recovery_tmo"):
        timeout.write_text("1")
    writer = subprocess.Popen(
        ["sh", "-c", f"while dd if=/dev/zero of={session.disk} bs=64k count=64 oflag=direct; do :; done"],
        stderr=subprocess.DEVNULL,
    )
    yield lun
    writer.kill()
    writer.wait()


def test_a_lun_in_use_can_be_deleted(lio: LioArray, target: str, busy: str) -> None:
    """Delete takes the LUN from under its initiator, which gets errors; nothing hangs and nothing is left."""
    lio.call("Lun.Delete", id=busy)
    assert lio.call("IscsiTarget.QueryAssociatedLuns", id=target) == {"luns": []}
    assert list(Path("/sys/kernel/config/target/core").glob("fileio_*/*-*")) == []
    assert list((lio.pools_folder / "files0").iterdir()) == []


def test_a_mask_and_an_association_in_use_can_be_changed(lio: LioArray, target: str, busy: str) -> None:
    """A LUN in use can be masked, dissociated, set offline and given back."""
    before = lio.kernel()
    lio.call("Lun.SetMask", id=busy, unmaskingList="")
    lio.call("Lun.SetMask", id=busy, unmaskingList=INITIATOR)
    lio.call("LunIscsi.AssociateTargets", id=busy)
    lio.call("LunIscsi.AssociateTargets", id=busy, targetIds=[target])
    lio.call("Lun.SetStatus", id=busy, status="offline")
    lio.call("Lun.SetStatus", id=busy, status="online")
    assert lio.kernel() == before


def test_a_target_and_a_subsystem_in_use_can_be_taken_away(lio: LioArray, target: str, busy: str) -> None:
    """Connected initiators are no obstacle to an offline subsystem, nor to the deletion of a target."""
    lio.call("SubSystem.SetStatus", id=lio.sub_system, status="offline")
    assert lio.call("IscsiTarget.GetConnectedInitiators", id=target) == {"initiatorList": []}
    lio.call("SubSystem.SetStatus", id=lio.sub_system, status="online")
    lio.call("LunIscsi.AssociateTargets", id=busy)
    lio.wait(lio.call("IscsiTarget.Delete", id=target))
    assert lio.call("SubSystemIscsi.QueryTargets", id=lio.sub_system) == {"targets": []}
