#!/usr/bin/env python3
"""The main job of vdsprovd on a real kernel, in numbered steps, each with the commands that it runs and a check.

scripts/quickstart calls it, in the lab or on a host with LIO. It works in folders of its own, with a daemon of its own,
and takes everything down again, also when a step fails.
"""

import argparse
import contextlib
import hashlib
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

TARGETS = Path("/sys/kernel/config/target/iscsi")
STORAGE_OBJECTS = Path("/sys/kernel/config/target/core")
SESSIONS = Path("/sys/class/iscsi_session")
INITIATOR_NAME = Path("/etc/iscsi/initiatorname.iscsi")
# Where open-iscsi keeps its node records, by version.
RECORDS = (Path("/etc/iscsi/nodes"), Path("/var/lib/iscsi/nodes"))

MIB = 1 << 20
LUN_SIZE = 64 * MIB
FILE_SIZE = 16 * MIB
# As vdsprovctl shows them.
NO_IMPORT_TARGET = "VDS_E_NO_IMPORT_TARGET 0x80042713"
CORRUPT = "VDS_E_PROVIDER_CACHE_CORRUPT 0x8004241f"
EX_UNAVAILABLE = 69

CONFIGURATION = """\
[provider]
socket = "{socket}"
state = "{state}"

[[subsystem]]
name = "array0"
iqn-prefix = "iqn.2026-11.org.example"
portals = ["{portal}"]

[[subsystem.pool]]
name = "files0"
kind = "files"
path = "{pool}"
"""


class FailedError(Exception):
    """A step did not do what it should; the message says what."""


class UnsuitableError(Exception):
    """This host cannot be used for the tour; the message says what to do."""


class Tour:
    """The state of one run. Each step is a method whose docstring is its title."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="vdsprovd-tour-", dir="/var/tmp"))
        self.socket = self.folder / "org.vdsprov"
        self.pool = self.folder / "luns"
        self.mount = self.folder / "mount"
        self.log = self.folder / "log"
        self.iqn = f"iqn.2026-11.org.example:tour-{secrets.token_hex(3)}"
        self.portal = ""
        self.initiator = ""
        self.daemon: subprocess.Popen[bytes] | None = None
        self.lun = self.target = ""
        self.checksum = ""
        self._told: set[str] = set()
        os.environ["VDSPROVD_SOCKET"] = str(self.socket)

    # The steps, in their order.

    def look(self) -> None:
        """look at this host's target and initiator"""
        if os.geteuid() != 0:
            raise UnsuitableError("this configures the kernel's target: run it as root")
        tools = ("vdsprovd", "vdsprovctl", "iscsiadm", "mkfs.ext4", "mount", "umount", "modprobe")
        if missing := [tool for tool in tools if not shutil.which(tool)]:
            raise UnsuitableError(f"missing on this host: {', '.join(missing)}; scripts/quickstart sets them up")
        self.run("modprobe", "-a", "target_core_mod", "target_core_file", "iscsi_target_mod", "iscsi_tcp")
        # A LUN's number is its folder's name in configfs; two daemons would take the same.
        if others := sorted(path.name for path in STORAGE_OBJECTS.glob("fileio_1??????")):
            raise UnsuitableError(
                f"this host has LUNs of a vdsprovd already ({', '.join(others[:3])}), and the tour would get in their "
                "way; call scripts/quickstart without --this-host to use the lab"
            )
        if not _initiator_names():
            # Debian writes the file when iscsid is started for the first time.
            self.run("systemctl", "start", "iscsid.service")
        names = _initiator_names()
        if not names:
            raise UnsuitableError(f"{INITIATOR_NAME} has no InitiatorName; iscsi-iname makes one")
        self.initiator = names[0]
        self.portal = f"127.0.0.1:{_free_port()}"
        self.tell(f"kernel {os.uname().release}; initiator {self.initiator}")

    def configure(self) -> None:
        """make a pool of files: a folder, and its place in the configuration"""
        for folder in (self.pool, self.mount):
            folder.mkdir(mode=0o700)
        configuration = self.folder / "vdsprovd.toml"
        configuration.write_text(
            CONFIGURATION.format(socket=self.socket, state=self.folder / "state", portal=self.portal, pool=self.pool)
        )
        self.tell(*configuration.read_text().splitlines())
        self.run("vdsprovd", "--config", str(configuration), "--check")

    def start(self) -> None:
        """start the daemon"""
        command = ["vdsprovd", "--config", str(self.folder / "vdsprovd.toml")]
        self.show(*command, "&")
        with self.log.open("ab") as log:
            # In a group of its own: Ctrl-C is for the tour, which stops the daemon when it has cleaned up.
            self.daemon = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.wait(self._serving, "the daemon to serve its socket", 30)
        self.vdsprovctl("status")
        found = self.read("subsystem", "list")
        self.check([entry["friendlyName"] for entry in found] == ["array0"], "the subsystem is array0")
        pools = self.read("pool", "list")
        self.check([pool["name"] for pool in pools] == ["files0"], "the pool is files0")

    def create_lun(self) -> None:
        """create a LUN of 64 MiB"""
        self.vdsprovctl("lun", "create", "data", "--size", "64M", "--pool", "files0")
        (lun,) = self.read("lun", "list")
        self.lun = lun["id"]
        self.check(lun["size"] == LUN_SIZE, f"the LUN has {LUN_SIZE} bytes, not {lun['size']}")

    def create_target(self) -> None:
        """create a target"""
        self.vdsprovctl("target", "create", self.iqn, "--name", "the tour")
        self.target = self.read("target", "show", self.iqn)["id"]

    def create_portal_group(self) -> None:
        """create a portal group, and put a portal into it"""
        portals = self.read("portal", "list")
        self.check(len(portals) == 1, f"the subsystem has the configured portal, not {len(portals)}")
        self.vdsprovctl("portal-group", "create", self.iqn)
        self.vdsprovctl("portal-group", "add-portal", self.iqn, self.portal)
        self.check(self._listener.exists(), "the kernel has the portal")
        self.tell(f"the kernel listens at {self.portal}")

    def associate(self) -> None:
        """associate the LUN with the target"""
        self.vdsprovctl("lun", "associate", "data", self.iqn)

    def unmask(self) -> None:
        """unmask the LUN to this host's initiator, which shall log in with CHAP"""
        secret = secrets.token_hex(8)
        self.vdsprovctl("lun", "mask", "set", "data", self.initiator)
        self.vdsprovctl("target", "chap", "set", self.iqn, secret=secret)
        self._write_record(secret)

    def log_in(self) -> None:
        """log in with open-iscsi"""
        self.run("iscsiadm", "-m", "node", "-T", self.iqn, "-p", self.portal, "--login")
        self.wait(self._disk_opens, "the disk", 30)
        connected = self.read("target", "show", self.iqn)["connectedInitiators"]
        self.check(connected == [self.initiator], f"the daemon sees this initiator, not {connected}")
        self.tell(f"the LUN is {self._disk()}, and the daemon sees who is connected: {connected[0]}")

    def write(self) -> None:
        """make a file system, mount it, write, and keep the checksum"""
        disk = str(self._disk())
        self.run("mkfs.ext4", "-q", disk)
        self.run("mount", disk, str(self.mount))
        data = os.urandom(FILE_SIZE)
        self.checksum = hashlib.sha256(data).hexdigest()
        self.show("head", "-c", "16M", "/dev/urandom", ">", str(self.mount / "data"))
        self._write("data", data)
        self.tell(f"sha256 {self.checksum}")

    def query_associated_targets(self) -> None:
        """through which targets is the LUN accessible?"""
        self.vdsprovctl("lun", "show", "data")
        found = self.read("lun", "show", "data")["targets"]
        self.check([entry["id"] for entry in found] == [self.target], f"the answer is our target, not {found}")
        self.check(found[0]["connectedInitiators"] == [self.initiator], "this initiator is connected")

    def import_target(self) -> None:
        """set this host's import target, and read it"""
        self.fail(NO_IMPORT_TARGET, "import-target", "show")
        self.vdsprovctl("import-target", "set", self.iqn)
        self._check_import_target()

    def sabotage(self) -> None:
        """remove the portal behind the daemon's back"""
        self.show("rmdir", str(self._listener))
        self._listener.rmdir()
        found = self.read("lun", "show", "data")["targets"]
        self.check(len(found) == 1, "queries are answered from the cache")
        self.tell("no command has needed the portal yet: queries are answered from the cache")

    def prove(self) -> None:
        """a command needs the portal, and proves that the cache is wrong"""
        self.fail(CORRUPT, "portal-group", "remove-portal", self.iqn, self.portal, "--yes")
        self.fail(CORRUPT, "import-target", "show")
        self.fail(CORRUPT, "lun", "show", "data")
        self.fail(CORRUPT, "call", "HwProvider.Refresh")
        self.tell(
            "Refresh alone does not help: nothing was discovered since. The initiator does not notice any of this:"
        )
        self._check_data()
        self._write("meanwhile", b"written while the cache was corrupt")
        self.tell("it reads the file with the same checksum, and writes another")

    def recover(self) -> None:
        """recover: Reenumerate, then Refresh"""
        self.vdsprovctl("recover")
        self.check(self._listener.exists(), "the portal is in the kernel again")
        self._check_import_target()
        found = self.read("lun", "show", "data")["targets"]
        self.check([entry["id"] for entry in found] == [self.target], "the LUN is associated as before")
        self.tell("healthy: the queries answer, and the portal is in the kernel again")

    def read_again(self) -> None:
        """log out, log in through the recovered portal, and compare the checksum"""
        self.run("umount", str(self.mount))
        self.run("iscsiadm", "-m", "node", "-T", self.iqn, "-p", self.portal, "--logout")
        self.wait(lambda: self._disk() is None, "the disk to go", 30)
        self.run("iscsiadm", "-m", "node", "-T", self.iqn, "-p", self.portal, "--login")
        self.wait(self._disk_opens, "the disk", 30)
        self.run("mount", str(self._disk()), str(self.mount))
        self.show("sha256sum", str(self.mount / "data"))
        self._check_data()
        self.tell(f"{self.checksum}: as it was written")

    # What steps share.

    def vdsprovctl(self, *words: str, secret: str = "") -> None:
        """Run vdsprovctl, and show the command and what it prints. A secret goes through a pipe."""
        command = ["vdsprovctl", *words]
        if secret:
            self.tell(f"$ echo '***' | {shlex.join(command)}")
            said = self._run(*command, input=secret)
        else:
            self.show(*command)
            said = self._run(*command)
        self.tell(*said.splitlines())

    def read(self, *words: str) -> Any:
        """What vdsprovctl shows, for a check."""
        return json.loads(self._run("vdsprovctl", *words, "--json"))

    def fail(self, code: str, *words: str) -> None:
        """Run vdsprovctl, which shall fail with that code."""
        try:
            self.vdsprovctl(*words)
        except FailedError as error:
            said = str(error)
            self.check(code in said, f"{shlex.join(words)} ends with {code}; {said}")
            # The whole message once.
            self.tell(*([f"... {code}"] if code in self._told else said.partition(": ")[2].splitlines()))
            self._told.add(code)
        else:
            raise FailedError(f"expected: {shlex.join(words)} ends with {code}; it succeeded")

    def run(self, *words: str) -> str:
        """Show a command and run it; gives its output. Raises `FailedError` when it fails."""
        self.show(*words)
        return self._run(*words)

    def _run(self, *words: str, input: str | None = None, timeout: float = 60) -> str:
        try:
            done = subprocess.run(
                words,
                input=input,
                stdin=subprocess.DEVNULL if input is None else None,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise FailedError(f"{words[0]} does not end; it was given {timeout:g} seconds") from None
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise FailedError(f"{words[0]} ended with status {done.returncode}: {said}")
        return done.stdout

    def check(self, fact: bool, expectation: str) -> None:
        """Fail with what was expected when it is not so."""
        if not fact:
            raise FailedError(f"expected: {expectation}")

    def wait(self, ready: Callable[[], object], what: str, seconds: float) -> None:
        """Wait until it is ready, as long as the daemon runs."""
        end = time.monotonic() + seconds
        while not ready():
            if self.daemon and self.daemon.poll() is not None:
                raise FailedError(f"the daemon ended with status {self.daemon.returncode}")
            if time.monotonic() > end:
                raise FailedError(f"waited {seconds:g} seconds for {what}")
            time.sleep(0.05)

    def show(self, *words: str) -> None:
        """Print a command line as a reader would type it."""
        self.tell("$ " + " ".join(word if word in ("&", ">") else shlex.quote(word) for word in words))

    def tell(self, *lines: str) -> None:
        """Print lines under the step's title."""
        for line in lines:
            print(f"        {line}", flush=True)

    # What is there.

    @property
    def _listener(self) -> Path:
        """The portal in configfs."""
        return TARGETS / self.iqn / "tpgt_1" / "np" / self.portal

    def _serving(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0 and b"ready:" in self.log.read_bytes()

    def _session(self) -> Path | None:
        """The initiator's session with the target."""
        for session in SESSIONS.glob("session*"):
            with contextlib.suppress(OSError):
                if (session / "targetname").read_text().strip() == self.iqn:
                    return session
        return None

    def _disk(self) -> Path | None:
        """The disk that the initiator made of the LUN."""
        session = self._session()
        found = session.glob("device/target*/*:*:*:*/block/*") if session else ()
        return next((Path("/dev", disk.name) for disk in found if Path("/dev", disk.name).exists()), None)

    def _disk_opens(self) -> bool:
        """Whether that disk is there to be used: the kernel shows it a moment before it can be opened."""
        if not (disk := self._disk()):
            return False
        try:
            os.close(os.open(disk, os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            return False
        return True

    def _records(self) -> list[Path]:
        """The files that are open-iscsi's record of the target."""
        return [path for place in RECORDS for path in (place / self.iqn).rglob("*") if path.is_file()]

    def _write_record(self, secret: str) -> None:
        """Make open-iscsi's record of the target and put the secret into its file: as an argument of iscsiadm,
        everybody on this host could read it."""
        self.run("iscsiadm", "-m", "node", "-o", "new", "-T", self.iqn, "-p", self.portal)
        records = self._records()
        self.check(len(records) == 1, f"open-iscsi has one record of the target, not {records}")
        settings = {"authmethod": "CHAP", "username": self.initiator, "password": secret}
        settings = {f"node.session.auth.{name}": value for name, value in settings.items()}
        lines = [line for line in records[0].read_text().splitlines() if line.partition(" =")[0] not in settings]
        end = lines.index("# END RECORD")
        lines[end:end] = [f"{name} = {value}" for name, value in settings.items()]
        records[0].chmod(0o600)
        records[0].write_text("\n".join(lines) + "\n")
        self.tell(f"the same secret goes into {records[0]}, which only root can read")

    def _write(self, name: str, data: bytes) -> None:
        with (self.mount / name).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def _check_data(self) -> None:
        """Read the file from the LUN, not from memory, and compare its checksum."""
        with (self.mount / "data").open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
        self.check(checksum == self.checksum, f"the checksum {self.checksum}; it is {checksum}")

    def _check_import_target(self) -> None:
        name = self.read("import-target", "show")["iscsiName"]
        self.check(name == self.iqn, f"the import target is {self.iqn}, not {name}")

    # The end.

    def shell(self) -> None:
        """Give the caller a shell, with everything in place."""
        print(HINTS.format(mount=self.mount, folder=self.folder, listener=self._listener), flush=True)
        subprocess.run([os.environ.get("SHELL", "/bin/bash"), "-i"], check=False)

    def clean_up(self) -> None:
        """take everything down again"""
        problems: list[str] = []
        for part in (self._leave, self._delete, self._stop):
            try:
                part()
            except (FailedError, OSError) as error:
                problems.append(str(error))
        left = [str(path) for path in (TARGETS / self.iqn, STORAGE_OBJECTS) if self._ours(path)]
        left += [f"{self.mount} is mounted"] if self.mount.is_mount() else []
        left += ["the initiator is logged in"] if self._session() else []
        if left:
            raise FailedError("\n".join([*problems, f"left on this host: {', '.join(left)}; see {self.folder}"]))
        shutil.rmtree(self.folder)
        if problems:
            raise FailedError("\n".join(problems))

    def _ours(self, path: Path) -> bool:
        return path.exists() if path != STORAGE_OBJECTS else bool(self.lun) and any(path.glob(f"fileio_*/{self.lun}"))

    def _leave(self) -> None:
        if self.mount.is_mount():
            self.run("umount", str(self.mount))
        if self._session():
            self.run("iscsiadm", "-m", "node", "-T", self.iqn, "--logout")
        if self._records():
            self.run("iscsiadm", "-m", "node", "-T", self.iqn, "-o", "delete")

    def _delete(self) -> None:
        """By whatever is there, not by what the steps came to: the one that failed may have made something."""
        if not self.daemon:
            return
        if self.daemon.poll() is not None:
            self.start()
        # Cures a cache that a failed step left corrupt, and harms no other.
        self.vdsprovctl("recover")
        for noun in ("lun", "target"):
            if ids := [entry["id"] for entry in self.read(noun, "list")]:
                self.vdsprovctl(noun, "delete", *ids, "--yes")

    def _stop(self) -> None:
        if not self.daemon or self.daemon.poll() is not None:
            return
        self.show("kill", str(self.daemon.pid))
        self.daemon.terminate()
        try:
            status = self.daemon.wait(30)
        except subprocess.TimeoutExpired:
            self.daemon.kill()
            raise FailedError("the daemon did not stop within 30 seconds, and was killed") from None
        self.check(status == 0, f"the daemon ends with status 0, not {status}")


HINTS = """
The daemon runs, and the LUN is mounted at {mount}. What to type:
    vdsprovctl status           how all is, on one screen
    vdsprovctl lun list         what the daemon knows; also target, portal, pool, drive
    vdsprovctl events &         notifications, as they come
    iscsiadm -m session -P 3    what the initiator sees
    vdsprovctl recover          Reenumerate, then Refresh; after you broke something, such as
        rmdir {listener}
    less {folder}/log
`exit` takes everything down."""

STEPS = (
    Tour.look,
    Tour.configure,
    Tour.start,
    Tour.create_lun,
    Tour.create_target,
    Tour.create_portal_group,
    Tour.associate,
    Tour.unmask,
    Tour.log_in,
    Tour.write,
    Tour.query_associated_targets,
    Tour.import_target,
    Tour.sabotage,
    Tour.prove,
    Tour.recover,
    Tour.read_again,
    Tour.clean_up,
)


def _free_port() -> int:
    """iSCSI's own port where nobody has it."""
    for port in (3260, 0):
        with socket.socket(socket.AF_INET) as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise UnsuitableError("this host has no free TCP port on 127.0.0.1")


def _initiator_names() -> list[str]:
    lines = INITIATOR_NAME.read_text().splitlines() if INITIATOR_NAME.exists() else []
    return [line.partition("=")[2].strip() for line in lines if line.startswith("InitiatorName=")]


def _interrupted(number: int, _frame: FrameType | None) -> NoReturn:
    raise FailedError(f"interrupted by {signal.Signals(number).name}")


def main() -> int:
    parser = argparse.ArgumentParser(description="The main job of vdsprovd on this host's kernel, step by step.")
    parser.add_argument("--keep", action="store_true", help="a shell before everything is taken down again")
    options = parser.parse_args()
    for interruption in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(interruption, _interrupted)
    begun = time.monotonic()
    tour = Tour()
    for number, step in enumerate(STEPS, 1):
        try:
            if step is Tour.clean_up and options.keep:
                tour.shell()
            print(f"\n[{number:2}/{len(STEPS)}] {step.__doc__}", flush=True)
            step(tour)
        except Exception as error:  # a bug in here is no reason to leave things behind
            return _failed(tour, step, number, error)
    print(
        f"\nDone in {time.monotonic() - begun:.1f} s: {LUN_SIZE // MIB} MiB provisioned, logged in to with CHAP, written "
        "and read;\nthe cache was broken and recovered; the checksum is the same; nothing is left on this host."
    )
    return 0


def _failed(tour: Tour, step: Callable[[Tour], None], number: int, error: Exception) -> int:
    """Say what failed, show the daemon's log, and take down what is there."""
    for interruption in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(interruption, signal.SIG_IGN)
    text = str(error) if isinstance(error, FailedError | UnsuitableError) else f"{type(error).__name__}: {error}"
    print(f"\ntour: step {number} failed: {text}", file=sys.stderr)
    if tour.log.exists():
        print("tour: the daemon's log:", file=sys.stderr)
        sys.stderr.writelines(f"  | {line}\n" for line in tour.log.read_text(errors="replace").splitlines()[-40:])
    if step is not Tour.clean_up:
        print("\ncleaning up", flush=True)
        try:
            tour.clean_up()
        except Exception as second:
            print(f"tour: {second}", file=sys.stderr)
    return EX_UNAVAILABLE if isinstance(error, UnsuitableError) else 1


if __name__ == "__main__":
    sys.exit(main())
