"""The port on the kernel's iSCSI target: rtslib for modules and persistent reservations, configfs for the rest."""

import errno
import os
import threading
import warnings
from collections.abc import AsyncGenerator, Callable, Collection, Container, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from functools import cache
from pathlib import Path

import ifaddr

from vdsprovd.hardware import (
    Access,
    Acl,
    BlockDevice,
    Count,
    Credentials,
    Disk,
    Fact,
    Grant,
    Group,
    HardwareError,
    Identity,
    InitiatorConnection,
    Key,
    Listener,
    Maintenance,
    Mismatch,
    Pool,
    Refused,
    Step,
    Stranger,
    TargetNode,
    Unit,
    drives,
    enclosures,
)
from vdsprovd.hardware.lio import configfs, reader, rivals, rtslib, sessions, statistics, strangers, watch
from vdsprovd.hardware.lio.rtslib import (
    BlockStorageObject,
    FabricModule,
    FileIOStorageObject,
    RTSRoot,
)
from vdsprovd.hardware.pools import folders
from vdsprovd.hardware.pools.files import FilesPool
from vdsprovd.hardware.pools.lvm import report
from vdsprovd.model import ForeignObject, PathStatus

INITIATOR_NAME = Path("/etc/iscsi/initiatorname.iscsi")

_PATH = 256
"""Bytes of a path for which the kernel has room, with a zero at their end (FD_MAX_DEV_NAME, SE_UDEV_PATH_LEN is more)."""

_NONE_SET = Credentials()
"""Of an ACL that was just made."""

_HELD = 64
"""Folders that are held open while many steps are taken: a descriptor each."""
_LISTED = 64
"""Targets of which to list all that there are takes no longer, as a rule, than to look for each."""
_NONE_HELD = configfs.OpenFolders(0)


class Lio:
    """The host's LIO. Making one loads the kernel modules. Raises `Refused` when the kernel has no iSCSI target."""

    def __init__(self, pools: Mapping[tuple[str, str], Pool]) -> None:
        self.pools = pools
        self.maintenance: Maintenance = enclosures.Maintenance()
        self._watches = watch.Watches()
        # rtslib is not thread-safe. What goes straight to configfs needs no lock.
        self._rtslib = threading.Lock()
        self._swept = False
        """Whether what a crash left empty is gone."""
        self._new_group: Group | None = None
        """A portal group as the kernel makes one, by the first that was made."""
        # A kernel that finds its database folder missing complains in its log and keeps no persistent reservations.
        Path(rtslib.STATE).mkdir(mode=0o700, exist_ok=True)
        with configfs.Door("use the kernel's iSCSI target"):
            with warnings.catch_warnings():
                # Where somebody's storage objects are, the kernel keeps the folder that it has.
                warnings.simplefilter("ignore")
                RTSRoot()
            self._iscsi = FabricModule("iscsi")
            if not self._iscsi.exists:
                self._iscsi._check_self()  # makes the folder, which loads the module
            self._reservations = Path(configfs.read(configfs.ROOT / "dbroot"), "pr")
        self._reservations.mkdir(mode=0o700, parents=True, exist_ok=True)

    def read(self, target: str | None = None, needed: Container[str] | None = None) -> list[Fact]:
        with configfs.scan():
            if target is not None:
                return list(reader.of_target(target))
            found = list(reader.facts(needed))
            if not self._swept:
                # The first one is a start's, which reads everything before anything is made.
                configfs.sweep({fact.number for fact in found if isinstance(fact, Disk)})
                self._swept = True
            return found

    def discover(self, needed: Container[str] | None = None) -> None:
        with configfs.scan():
            for _ in reader.keys(needed):
                pass

    def foreign(self, targets: Container[str], disks: Container[Key]) -> Collection[ForeignObject]:
        with configfs.scan():
            return [*reader.foreign_disks(disks), *reader.foreign_targets(targets, disks)]

    def strangers(self, targets: Container[str], disks: Container[Key]) -> Collection[Stranger]:
        with configfs.scan():
            return list(strangers.strangers(targets, disks))

    def rivals(self, targets: Container[str]) -> Collection[str]:
        return list(rivals.rivals(targets))

    def look(self, keys: Collection[Key]) -> list[Fact]:
        with configfs.scan():
            return [fact for key in keys if (fact := reader.at(key))]

    def changes(self) -> AsyncGenerator[Collection[Key] | None, None]:
        return watch.changes(self._watches)

    def take(self, step: Step) -> None:
        with configfs.Door(step):
            self._take(step, lambda file: os.path.exists(f"{self._reservations}/{file}"), _NONE_HELD)

    @contextmanager
    def taker(self) -> Iterator[Callable[[Step], None]]:
        @cache
        def kept() -> Collection[str]:
            # At the first disk that comes: those that go have gone, and the kernel writes no more of them.
            try:
                return frozenset(os.listdir(self._reservations))
            except FileNotFoundError:
                return ()

        def is_kept(file: str) -> bool:
            return file in kept()

        def take(step: Step) -> None:
            # Without a door, which would say of each what the kernel is asked for: who has many taken says so of the oldest.
            try:
                self._take(step, is_kept, held)
            except HardwareError:
                raise
            except Exception as error:
                raise configfs.translated(step, error) from error

        with closing(configfs.OpenFolders(_HELD)) as held:
            yield take

    def _take(self, step: Step, kept: Callable[[str], bool], held: configfs.OpenFolders) -> None:
        """Take it. `kept` says whether there is a file of that name, to which the kernel wrote persistent reservations."""
        before, after = step.before, step.after
        if before is None:
            assert after
            self._add(after, kept, held)
        elif after is None:
            self._remove(before)
        else:
            self._change(before, after)

    def _add(self, fact: Fact, kept: Callable[[str], bool], held: configfs.OpenFolders) -> None:
        match fact:
            # By far the most, so the first that is looked for. To take its fields one by one is quicker than in a pattern.
            case Grant():
                # It can be written: the group is not read-only, and is looked after lest somebody makes it so.
                base = configfs.group(fact.target, fact.tag)
                unit = f"{base}/lun/lun_{fact.unit}"
                configfs.link(held, f"{base}/acls/{fact.initiator}", f"lun_{fact.index}", unit)
            case Disk():
                self._add_disk(fact, kept)
            case TargetNode(target):
                path = f"{configfs.ISCSI}/{target}"
                try:
                    os.mkdir(path)
                except FileExistsError:
                    raise Mismatch(f"cannot add target {target}: it is in the kernel already") from None
                except FileNotFoundError:  # the first one makes the folder of iSCSI, too
                    os.makedirs(path)
            case Group():
                self._add_group(fact)
            case Unit(target, tag, index, lun, number):
                disks = configfs.places(lun, number) if number >= 0 else (str(configfs.disk(lun, number)),)
                configfs.link(held, f"{configfs.group(target, tag)}/lun", f"lun_{index}", *disks)
            case Acl(target, tag, initiator, credentials):
                path = f"{configfs.group(target, tag)}/acls/{initiator}"
                try:
                    os.mkdir(path)
                except FileExistsError:
                    # One that somebody else made is adopted: its settings are overwritten, its other grants stay.
                    _write_credentials(path, None, credentials)
                    return
                _write_credentials(path, _NONE_SET, credentials)
            case Listener(target, tag, address, port):
                try:
                    os.mkdir(configfs.listener(target, tag, address, port))
                except OSError as error:
                    if error.errno == errno.EINVAL:
                        raise _port_taken(fact) from error
                    raise
        self._watches.made(fact)

    def _add_disk(self, disk: Disk, kept: Callable[[str], bool]) -> None:
        folder = f"{configfs.CORE}/{configfs.hba_name(disk.number, block=disk.block)}"
        made = f"{folder}/{disk.lun}"
        try:
            os.mkdir(folder)
        except FileExistsError:
            if os.path.exists(made):
                raise Mismatch(f"cannot add {disk}: it is in the kernel already") from None
            if configfs.folders(folder):
                text = f"somebody else uses its place, {folder}; try again after a recovery"
                raise Refused(f"cannot add {disk}: {text}") from None
            # A crash between its two mkdirs left an empty HBA folder.
            os.rmdir(folder)
            os.mkdir(folder)
        try:
            if disk.block and not Path(disk.path).is_block_device():
                raise Refused(f"cannot add {disk}: there is no such block device")
            if not disk.block and not os.path.isfile(disk.path):
                # The kernel would make an empty one.
                raise Refused(f"cannot add {disk}: there is no such file")
            os.mkdir(made)
            self._configure_disk(made, disk)
            if kept(f"aptpl_{disk.serial}"):
                # The kernel wrote its persistent reservations there, and has to be told of them again after a boot.
                kind = BlockStorageObject if disk.block else FileIOStorageObject
                with self._rtslib:
                    kind(disk.lun, index=configfs.FIRST_HBA + disk.number)._config_pr_aptpl()
        except BaseException:
            for path in (made, folder):
                with suppress(OSError):
                    os.rmdir(path)
            raise

    def _configure_disk(self, folder: str, disk: Disk) -> None:
        # In a quarter of the time that rtslib takes, which is most of what a LUN takes. A system call is what costs here.
        control = (
            f"udev_path={disk.path},readonly=0" if disk.block else f"fd_dev_name={disk.path},fd_dev_size={disk.size}"
        )
        configfs.write(f"{folder}/control", control)
        configfs.write(f"{folder}/udev_path", disk.path)
        configfs.write(f"{folder}/enable", "1")
        configfs.write(f"{folder}/wwn/vpd_unit_serial", disk.serial)
        # It takes a comma or a line's end for the end, and has room for so many bytes.
        odd = "," in disk.path or "\n" in disk.path or len(disk.path.encode()) >= _PATH
        if odd and (found := reader.behind(folder, block=disk.block)[0]) != disk.path:
            raise Refused(f"cannot add {disk}: the kernel opened {found!r}")
        with suppress(FileNotFoundError):  # kernels before 5.9 have none
            configfs.write(f"{folder}/wwn/product_id", disk.product)
        if disk.access is not Access.ACTIVE:
            _write_access(folder, disk.access)

    def _add_group(self, group: Group) -> None:
        path = configfs.group(group.target, group.tag)
        os.mkdir(path)
        try:
            # Of a new one that is closed to initiators without an ACL, discovery is not.
            configfs.write(f"{path}/attrib/demo_mode_discovery", "0")
            # How the kernel makes one is the same each time: what is right by itself need not be written.
            self._new_group = self._new_group or reader.group_itself(group.target, group.tag)
            _write_group(path, self._new_group, group)
        except BaseException:
            os.rmdir(path)
            raise

    def _remove(self, fact: Fact) -> None:
        match fact:
            case Disk(lun, number):
                folder = configfs.disk(lun, number)
                folder.rmdir()
                folder.parent.rmdir()
            case TargetNode(target):
                (configfs.ISCSI / target).rmdir()
            case Group(target, tag):
                path = configfs.group(target, tag)
                configfs.write(f"{path}/enable", "0")
                os.rmdir(path)
            case Unit(target, tag, index):
                configfs.unlink(f"{configfs.group(target, tag)}/lun/lun_{index}")
            case Acl(target, tag, initiator):
                os.rmdir(f"{configfs.group(target, tag)}/acls/{initiator}")
            case Grant(target, tag, initiator, index):
                configfs.unlink(f"{configfs.group(target, tag)}/acls/{initiator}/lun_{index}")
            case Listener(target, tag, address, port):
                os.rmdir(configfs.listener(target, tag, address, port))

    def _change(self, before: Fact, after: Fact) -> None:
        match before, after:
            case Disk(), Disk():
                folder = configfs.disk(after.lun, after.number)
                if before.path != after.path:
                    _write_path(folder, after)
                if before.size != after.size:
                    # The one way to resize a file-backed disk under live sessions; initiators see it after a rescan.
                    configfs.write(folder / "control", f"fd_dev_size={after.size}")
                if before.access is not after.access:
                    _write_access(folder, after.access)
            case Group(), Group():
                _write_group(configfs.group(after.target, after.tag), before, after)
            case Acl(), Acl(target, tag, initiator, credentials):
                path = f"{configfs.group(target, tag)}/acls/{initiator}"
                _write_credentials(path, before.credentials, credentials)

    def existing(self, targets: Collection[str]) -> Collection[str]:
        if len(targets) < _LISTED:
            return [target for target in targets if _exists(target)]
        there = set(configfs.folders(configfs.ISCSI))
        return [target for target in targets if target in there]

    def sessions(self, target: str) -> Collection[str]:
        with configfs.Door(f"read the sessions of {target}"):
            if not _exists(target):
                raise Mismatch(f"target {target} is not in the kernel")
            return sorted({*(entry.initiator for entry in sessions.of_target(target)), *sessions.without_acl(target)})

    def connections(self, target: str) -> Collection[InitiatorConnection]:
        with configfs.Door(f"read the connections of {target}"):
            return sessions.connections(target)

    def count(self, of: Disk | Unit | TargetNode, what: Count) -> int | None:
        return statistics.count(of, what)

    def path_status(self, unit: Unit) -> PathStatus:
        with configfs.Door(f"read the ALUA state of {unit}"):
            return reader.path_status(unit)

    def identity(self, disk: Disk) -> Identity:
        with configfs.Door(f"read the identity of LUN {disk.lun}"):
            return reader.identity(configfs.disk(disk.lun, disk.number))

    def drives(self, own: Collection[str]) -> Collection[BlockDevice]:
        with configfs.Door("list the host's disks"):
            return [disk for disk in drives.devices(own) if disk.holder != drives.OWN]

    def watch_drives(self, changed: Callable[[], None]) -> AbstractContextManager[None]:
        return drives.watch(changed)

    def watch_volumes(self, changed: Callable[[Collection[str] | None], None]) -> AbstractContextManager[None]:
        return folders.watch([pool.folder for pool in self.pools.values() if isinstance(pool, FilesPool)], changed)

    def scan(self) -> AbstractContextManager[None]:
        return report.scan()

    def flush(self) -> None:
        os.sync()

    def drop_caches(self, paths: Collection[str]) -> None:
        for path in paths:
            with configfs.Door(f"drop what is cached of {path}"):
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
                try:
                    os.fsync(descriptor)
                    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                finally:
                    os.close(descriptor)

    def addresses(self) -> Mapping[str, bool]:
        found: dict[str, bool] = {}
        for adapter in ifaddr.get_adapters():
            up = _is_up(adapter.nice_name)
            for ip in adapter.ips:
                address = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
                found[address] = found.get(address, False) or up
        return found

    def local_initiators(self) -> Collection[str]:
        try:
            lines = INITIATOR_NAME.read_text().splitlines()
        except OSError:
            return ()
        return [line.partition("=")[2].strip() for line in lines if line.startswith("InitiatorName=")]


def _exists(target: str) -> bool:
    return os.path.exists(f"{configfs.ISCSI}/{target}")


def _port_taken(listener: Listener) -> Refused:
    """What the kernel's "Invalid argument" means, which is all that it has to say about it."""
    taken = f"the kernel cannot listen at {listener.address}:{listener.port}"
    advice = "another target may listen at every address, or a program: `ss -ltnp` lists them"
    return Refused(f"cannot add {listener}: {taken}; {advice}")


def _is_up(link: str) -> bool:
    """Whether the network link of that name is set up, and has a cable where it needs one."""
    try:
        # Of a link that is set down this cannot be read.
        return Path("/sys/class/net", link.partition(":")[0], "carrier").read_text().strip() == "1"
    except OSError:
        return False


def _write_path(folder: Path, disk: Disk) -> None:
    """Tell the kernel the new name of what it has open already: it keeps that, and tells the name whoever asks."""
    if not disk.block:
        configfs.write(folder / "control", f"fd_dev_name={disk.path}")
    configfs.write(folder / "udev_path", disk.path)


def _write_access(disk: Path | str, access: Access) -> None:
    configfs.write(f"{disk}/{reader.ACCESS}", str(access.value))


def _write_group(path: str, before: Group, after: Group) -> None:
    for name, field in reader.GROUP_ATTRIBUTES.items():
        if getattr(before, field) != getattr(after, field):
            configfs.write(f"{path}/attrib/{name}", str(int(getattr(after, field))))
    if before.alias != after.alias:
        # Parameters, unlike attributes and secrets, lose their last character: the kernel takes it for a newline.
        configfs.write(f"{path}/param/TargetAlias", after.alias + "\n")
    # Whoever may log in finds all else as it shall be.
    if before.enabled != after.enabled:
        configfs.write(f"{path}/enable", str(int(after.enabled)))


def _write_credentials(acl: str, before: Credentials | None, after: Credentials) -> None:
    if before == after:
        return
    for name, field in reader.AUTHENTICATION.items():
        value: str | None = getattr(after, field)
        if before is None or getattr(before, field) != value:
            # NULL is the kernel's word for "not set".
            configfs.write(f"{acl}/auth/{name}", "NULL" if value is None else value)
