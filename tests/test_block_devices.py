"""Disks that no kernel at hand has, as folders that mirror a real one's sysfs."""

from pathlib import Path

import pytest

from vdsprovd.hardware import BlockDevice, Refused, Unsupported
from vdsprovd.hardware.drives import Uses, describe
from vdsprovd.hardware.enclosures import Maintenance
from vdsprovd.model import Health, MaintenanceOperation, StorageBusType

INITIALIZED = {"DEVTYPE": "disk"}


def write(folder: Path, **files: str) -> None:
    """Attributes; in their names, `__` stands for a slash."""
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")


class Tree:
    """A /sys with disks in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "block").mkdir()

    def disk(self, path: str, **files: str) -> Path:
        """The folder of a disk at that path below /sys/devices, where `device` leads two levels up as in SCSI's."""
        folder = self.root / "devices" / path
        write(folder, **{"size": "2048", "ro": "0", "removable": "0", "queue__rotational": "1", "dev": "8:0"} | files)
        (self.root / "block" / folder.name).symlink_to(folder)
        return folder

    def scsi(self, path: str, name: str, **files: str) -> Path:
        """The folder of a SCSI disk, with the attributes of its SCSI device."""
        folder = self.disk(f"{path}/block/{name}")
        write(folder.parents[1], **{"state": "running", "scsi_level": "7"} | files)
        (folder / "device").symlink_to("../..")
        return folder


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """No disk yet."""
    return Tree(tmp_path)


NOTHING_IN_USE = Uses()


def described(folder: Path, uses: Uses = NOTHING_IN_USE, /, **properties: str) -> BlockDevice:
    """The drive that is found there."""
    found = describe(folder, INITIALIZED | properties, uses)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("path", "attributes", "properties", "bus"),
    [
        ("pci0/ata3/host2/target2:0:0/2:0:0:0", {"vendor": "ATA"}, {"ID_ATA_SATA": "1", "ID_ATA": "1"}, "sata"),
        ("pci0/ata3/host2/target2:0:0/2:0:0:0", {"vendor": "ATA"}, {"ID_ATA": "1"}, "ata"),
        ("pci0/host0/port-0:1/end_device-0:1/target0:0:1/0:0:1:0", {"vendor": "SEAGATE"}, {}, "sas"),
        ("pci0/host0/port-0:1/end_device-0:1/target0:0:1/0:0:1:0", {"vendor": "ATA"}, {}, "sata"),
        ("pci0/host5/rport-5:0-2/target5:0:0/5:0:0:0", {}, {}, "fibre"),
        ("platform/host0/session1/target0:0:0/0:0:0:0", {}, {}, "iscsi"),
        ("pci0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0", {}, {"ID_BUS": "ata", "ID_ATA": "1"}, "usb"),
        ("pci0/virtio2/host3/target3:0:0/3:0:0:0", {}, {}, "virtual"),
        ("pci0/host0/target0:2:0/0:2:0:0", {"vendor": "DELL"}, {}, "scsi"),
    ],
)
def test_the_bus_of_a_scsi_disk(
    tree: Tree, path: str, attributes: dict[str, str], properties: dict[str, str], bus: str
) -> None:
    """The bus is that of the devices above the disk, whatever it emulates."""
    assert described(tree.scsi(path, "sda", **attributes), **properties).bus is StorageBusType.of(bus)


def test_a_rotating_disk(tree: Tree) -> None:
    """Model, serial number and speed are the disk's own; udev's are the second choice."""
    folder = tree.scsi("pci0/ata3/host2/target2:0:0/2:0:0:0", "sda", vendor="ATA     ", model="ST500DM002   ")
    (folder / "device/vpd_pg80").write_bytes(b"\0\x80\0\x14" + b"            Z3T4WGZB")
    write(folder / "device", wwid="naa.5000c5006d2b8a6f")
    (folder / "device/vpd_pgb1").write_bytes(b"\0\xb1\0\x3c\x1c\x20" + bytes(58))
    found = described(folder, ID_SERIAL_SHORT="other", ID_WWN="other", ID_ATA_ROTATION_RATE_RPM="5400")
    assert (found.name, found.serial, found.identification) == ("ST500DM002", "Z3T4WGZB", "naa.5000c5006d2b8a6f")
    assert found.spindle_speed == 7200
    (folder / "device/vpd_pgb1").unlink()
    assert described(folder, ID_ATA_ROTATION_RATE_RPM="5400").spindle_speed == 5400
    assert described(folder).spindle_speed == 0
    write(folder, queue__rotational="0")
    assert described(folder).spindle_speed == 1


def test_the_order_of_names(tree: Tree) -> None:
    """Each name is used where no better one is there."""
    folder = tree.scsi("pci0/usb2/2-1/host6/target6:0:0/6:0:0:0", "sda", vendor="Kingston", model="DataTraveler")
    known = {"ID_WWN_WITH_EXTENSION": "0x5", "ID_SERIAL": "Kingston_DT_1", "ID_SERIAL_SHORT": "1", "ID_PATH": "usb-1"}
    for name in ("0x5", "Kingston_DT_1", "1", "usb-1"):
        assert described(folder, **known).identification == name
        known.pop(next(iter(known)))
    assert described(folder).identification == "sda"


def test_nvme(tree: Tree) -> None:
    """A namespace is online while its controller lives; the paths of the kernel's multipathing are no drives."""
    folder = tree.disk("pci0/nvme/nvme0/nvme0n1", wwid="eui.0025385b71b0a6d0", queue__rotational="0")
    write(folder.parent, model="Samsung SSD 980 PRO 1TB ", serial="S5GXNF0R", state="live")
    (folder / "device").symlink_to("..")
    found = described(folder)
    assert (found.name, found.serial) == ("Samsung SSD 980 PRO 1TB", "S5GXNF0R")
    assert (found.identification, found.bus) == ("eui.0025385b71b0a6d0", StorageBusType.NVME)
    assert (found.online, found.health, found.spindle_speed) == (True, Health.HEALTHY, 1)
    write(folder.parent, state="resetting")
    assert (described(folder).online, described(folder).health) == (False, Health.UNKNOWN)
    write(folder.parent, state="dead")
    assert (described(folder).online, described(folder).health) == (False, Health.FAILED)
    write(folder, hidden="1")
    assert describe(folder, INITIALIZED, Uses()) is None


def test_virtio(tree: Tree) -> None:
    """A disk of a virtual machine has the serial number that it was given, and no vendor but a number."""
    folder = tree.disk("pci0/virtio1/block/vda", serial="data-1")
    write(folder.parents[1], vendor="0x1af4")
    (folder / "device").symlink_to("../..")
    found = described(folder)
    assert (found.name, found.serial, found.identification) == ("vda", "data-1", "data-1")
    assert (found.bus, found.online) == (StorageBusType.VIRTUAL, True)


def test_md(tree: Tree) -> None:
    """An array is named for its UUID; one that is not assembled is no drive."""
    folder = tree.disk("virtual/block/md0", md__uuid="3e1c7f9a-0000-0000-0000-000000000001")
    assert described(folder).identification == "3e1c7f9a-0000-0000-0000-000000000001"
    assert described(folder).bus is StorageBusType.RAID
    write(folder, size="0")
    assert describe(folder, INITIALIZED, Uses()) is None


@pytest.mark.parametrize("name", ["sr0", "fd0", "ram3", "zram0", "mtdblock1", "mmcblk0boot1"])
def test_no_drives(tree: Tree, name: str) -> None:
    """What is no disk that could be a drive is not described."""
    assert describe(tree.disk(f"pci0/{name}"), INITIALIZED, Uses()) is None


def test_no_medium(tree: Tree) -> None:
    """A card reader without a card is there, offline and not free."""
    folder = tree.scsi("pci0/usb2/2-1/host6/target6:0:0/6:0:0:0", "sda")
    write(folder, size="0", removable="1")
    assert (described(folder).online, described(folder).holder) == (False, "removable medium absent")
    write(folder, removable="0")
    assert described(folder).holder == "offline"


def test_a_path_that_is_blocked(tree: Tree) -> None:
    """What an initiator is reconnecting to is not online, and nothing is known of its health."""
    found = described(tree.scsi("platform/host0/session1/target0:0:0/0:0:0:0", "sda", state="blocked"))
    assert (found.online, found.health, found.holder) == (False, Health.UNKNOWN, "offline")


def test_the_disk_of_the_root_file_system(tree: Tree, tmp_path: Path) -> None:
    """It is not free, whether a partition of it is mounted or a file system on all of it, under whatever number."""
    folder = tree.scsi("pci0/ata1/host0/target0:0:0/0:0:0:0", "sda")
    write(folder, sda2__partition="2", sda2__dev="8:2")
    proc = tmp_path / "proc"
    write(
        proc,
        self__mountinfo="22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/root rw\n"
        "23 22 0:30 / /mnt/my\\040data rw - btrfs /dev/sdb rw",
        swaps="Filename Type Size Used Priority\n/dev/sdc1 partition 1 0 -2",
    )
    uses = Uses.read(proc)
    assert described(folder, uses, ID_PART_TABLE_TYPE="gpt").holder == "mounted on /"
    assert described(folder, ID_PART_TABLE_TYPE="gpt").holder == "it has a partition table (gpt)"
    assert described(folder).holder == "it has partitions"
    second = tree.scsi("pci0/ata2/host1/target1:0:0/1:0:0:0", "sdb")
    write(second, dev="8:16")
    assert described(second, uses).holder == "mounted on /mnt/my data"
    third = tree.scsi("pci0/ata3/host2/target2:0:0/2:0:0:0", "sdc")
    write(third, dev="8:32", sdc1__partition="1", sdc1__dev="8:33")
    assert described(third, uses).holder == "used as swap space"


def test_what_is_mounted_must_be_known(tmp_path: Path) -> None:
    """Without the list of mounts no disk may look free."""
    with pytest.raises(OSError, match="mountinfo"):
        Uses.read(tmp_path)


def test_a_device_that_vanishes(tree: Tree) -> None:
    """Whatever is gone while it is read, nothing is raised."""
    folder = tree.scsi("pci0/ata1/host0/target0:0:0/0:0:0:0", "sda", vendor="ATA")
    for path in sorted((path for path in folder.rglob("*") if path.is_file()), reverse=True):
        path.unlink()
        assert described(folder).node == "/dev/sda"
    (folder / "device").unlink()
    found = described(folder)
    assert (found.size, found.online, found.holder) == (0, False, "offline")


class Enclosure:
    """An enclosure with a disk in slot 7, as `ses` shows it: the SCSI device with the services has the enclosure below
    it, and the enclosure the slots."""

    def __init__(self, tree: Tree) -> None:
        self.disk = tree.scsi("pci0/host0/port-0:1/end_device-0:1/target0:0:1/0:0:1:0", "sda", vendor="SEAGATE")
        services = tree.root / "devices/pci0/host0/port-0:0/end_device-0:0/target0:0:0/0:0:0:0"
        self.slot = services / "enclosure/0:0:0:0/Slot 07"
        write(self.slot, slot="7", status="OK", locate="0", fault="0")
        (services / "scsi_generic/sg4").mkdir(parents=True)
        (self.slot.parent / "device").symlink_to("../..")
        (self.disk / "device/enclosure_device:Slot 07").symlink_to(self.slot)


def test_enclosure_and_slot(tree: Tree) -> None:
    """A tree that mirrors what `ses` shows of a real enclosure: the kernel at hand can have none, as scsi_debug has no
    SES pages and the links are made for SAS disks only."""
    there = Enclosure(tree)
    found = described(there.disk)
    assert (found.enclosure, found.slot, found.health) == (4, 7, Health.HEALTHY)
    write(there.slot, status="critical")
    assert (described(there.disk).online, described(there.disk).health) == (True, Health.PENDING_FAILURE)
    write(there.slot, slot="-1")
    assert described(there.disk).slot is None


BLINK, BEEP, DOWN, UP, PING = MaintenanceOperation


def test_the_light_of_an_enclosure(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's own switch is used where it is, though ledctl is there, too; on such a tree as above, so that what the
    enclosure does of it is not shown."""
    there = Enclosure(tree)
    ledctl(tree, monkeypatch, "exit 9")
    maintenance = Maintenance(tree.root)
    assert maintenance.supported("/dev/sda") == {BLINK, DOWN, UP, PING}
    maintenance.start("/dev/sda", BLINK)
    assert (there.slot / "locate").read_text() == "1"
    maintenance.stop("/dev/sda", BLINK)
    assert (there.slot / "locate").read_text() == "0"
    (there.slot / "locate").unlink()
    (there.slot / "locate").mkdir()
    with pytest.raises(Refused, match="the light of /dev/sda: Is a directory"):
        maintenance.start("/dev/sda", BLINK)


def ledctl(tree: Tree, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """Put a program of the test's own in ledctl's place; where its calls are written down."""
    folder, calls = tree.root / "bin", tree.root / "calls"
    folder.mkdir()
    (folder / "ledctl").write_text(f'#!/bin/sh\necho "$*" >>{calls}\n{script}\n')
    (folder / "ledctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return calls


def test_the_light_of_a_controller(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an enclosure ledctl switches the light, and that one only, of disks below a controller that it knows."""
    tree.scsi("pci0/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0", "sda")
    tree.scsi("pci0/0000:00:1f.0/ata1/host0/target0:0:0/0:0:0:0", "sdb")
    controller = tree.root / "devices/pci0/0000:00:17.0"
    calls = ledctl(tree, monkeypatch, f'case "$*" in *list-controllers) echo "{controller} (AHCI)" ;; esac')
    maintenance = Maintenance(tree.root)
    maintenance.start("/dev/sda", BLINK)
    maintenance.stop("/dev/sda", BLINK)
    wanted = [line for line in calls.read_text().splitlines() if "list-controllers" not in line]
    assert wanted == [f"--log=/dev/null --listed-only {what}=/dev/sda" for what in ("locate", "locate_off")]
    assert BLINK not in maintenance.supported("/dev/sdb")
    with pytest.raises(Unsupported, match="/dev/sdb cannot blink_light"):
        maintenance.start("/dev/sdb", BLINK)
    ledctl_fails = (tree.root / "bin/ledctl").read_text() + 'case "$*" in *locate*) exit 33 ;; esac\n'
    (tree.root / "bin/ledctl").write_text(ledctl_fails)
    with pytest.raises(Refused, match="exit status 33"):
        maintenance.start("/dev/sda", BLINK)
