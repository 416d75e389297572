"""Starts the guests and relays for them until COMMAND has ended; runs in the namespaces (labhost.namespaces)."""

import contextlib
import os
import resource
import selectors
import shlex
import socket
import subprocess
import time
import tty
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from labhost import network, qemu, uml
from labhost.ending import GUEST_DIED, TIMED_OUT, LabError, say
from labhost.guest import Wiring
from labhost.namespaces import Json

BOOT_LIMIT = 60.0  # seconds until COMMAND starts; boots take 2 to 10
EMULATED_BOOT_LIMIT = 400.0
# What an emulated processor falls over, one boot in some, when the other one has just changed the instruction that it runs:
# the breakpoint that stood there meanwhile is gone, and it hits it all the same. It says nothing of the kernel or of COMMAND.
STALE_BREAKPOINT = b"Oops: int3"
STARTS = 3  # of a guest that falls over it before COMMAND
CHUNK = 1 << 16
# What --state keeps: where the project's files are, and a place for pools.
STATE = ("/etc/vdsprovd", "/var/lib/vdsprovd", "/srv/state")
CONSOLE_LIMIT = 1 << 22
ESCAPE = b"\x1d"  # Ctrl-], three times: the guest gets every other key, so a hung one could not be left


@dataclass
class Guest:
    number: int
    process: subprocess.Popen[bytes]
    control: bytes = b""
    console: bytearray = field(default_factory=bytearray)
    booted: bool = False
    dead: bool = False
    starts: int = 1


def inside(task: Json) -> int:
    return Session(task).run()


class Session:
    """One run of the lab."""

    def __init__(self, task: Json) -> None:
        self._task = task
        self._root = Path(cast(str, task["root"]))
        self._hosts = cast(int, task["hosts"])
        self._memory = cast(int, task["memory"])
        self._timeout = cast(float | None, task["timeout"])
        self._terminal = cast(bool, task["terminal"])
        self._emulated = task["kernel"] is not None
        console = cast(str | None, task["console"])
        self._log = Path(console).open("wb", buffering=0) if console else None  # noqa: SIM115 -- open to the end
        self._selector = selectors.DefaultSelector()
        self._guests: list[Guest] = []
        self._links: list[socket.socket] = []
        self._status: int | None = None
        self._escapes = 0

    def run(self) -> int:
        # A panic ends in abort(); nobody wants two gigabytes of core.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        self._mount()
        self._write_task()
        self._start()
        if self._terminal:
            tty.setraw(0)
        return self._relay()

    # Before the guests

    def _mount(self) -> None:
        root = self._root
        memory = self._hosts * (self._memory + 64) + 64
        _mount("--bind", str(root), str(root))
        _mount("--rbind", "/dev", str(root / "dev"))
        try:
            _mount("-t", "proc", "proc", str(root / "proc"))
        except LabError:
            _mount("--rbind", "/proc", str(root / "proc"))  # where a new one is forbidden
        _mount("-t", "tmpfs", "-o", f"mode=1777,size={memory}m", "lab", str(root / "tmp"))
        _mount("-t", "tmpfs", "-o", "mode=755", "lab", str(root / "lab/run"))
        _mount("--bind", cast(str, self._task["guest_scripts"]), str(root / "lab/guest"))
        if self._emulated:
            _mount("--bind", f"{self._task['kernel']}/modules", str(root / "usr/lib/modules"))
        for index, folder in enumerate(self._mounts().values()):
            place = root / "lab/run/mount" / str(index)
            place.mkdir(parents=True)
            _mount("--rbind", folder, str(place))

    def _mounts(self) -> dict[str, str]:
        """Places in the guest and the host's folders that are seen there; parents come before children."""
        checkout = cast(str, self._task["checkout"])
        places = {checkout: checkout, **{path: path for path in cast(list[str], self._task["shares"])}}
        if state := cast(str | None, self._task["state"]):
            for path in STATE:
                folder = Path(state, path.strip("/").replace("/", "-"))
                folder.mkdir(parents=True, exist_ok=True)
                places[path] = str(folder)
        return dict(sorted(places.items()))

    def _write_task(self) -> None:
        task = self._task
        rows, columns = 24, 80
        if self._terminal:
            columns, rows = os.get_terminal_size(0)
        words: dict[str, str | int | list[str]] = {
            "LAB_COMMAND": cast(list[str], task["command"]),
            "LAB_FOLDER": cast(str, task["folder"]),
            "LAB_CHECKOUT": cast(str, task["checkout"]),
            "LAB_ENVIRONMENT": cast(list[str], task["environment"]),
            "LAB_SYSTEMD": int(cast(bool, task["systemd"])),
            "LAB_CLEAN": int(cast(bool, task["clean"])),
            "LAB_HOSTS": self._hosts,
            "LAB_NETWORK": qemu.NETWORK_DEVICE if self._emulated else uml.NETWORK_DEVICE,
            "LAB_TERMINAL": int(self._terminal),
            "LAB_ROWS": rows,
            "LAB_COLUMNS": columns,
            "LAB_MERGE": int(_same_file(1, 2)),
        }
        lines = [f"{name}={_shell(value)}\n" for name, value in words.items()]
        (self._root / "lab/run/task").write_text("".join(lines))
        (self._root / "lab/run/fstab").write_text(self._table())

    def _table(self) -> str:
        """All that scripts/guest/init mounts, in the form of fstab(5)."""
        shares = cast(list[str], self._task["shares"])
        rows = [
            ("overlay", "", "overlay", "lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work"),
            ("proc", "/proc", "proc", "defaults"),
            ("sysfs", "/sys", "sysfs", "defaults"),
            ("configfs", "/sys/kernel/config", "configfs", "defaults"),
            ("devtmpfs", "/dev", "devtmpfs", "mode=755"),
            ("devpts", "/dev/pts", "devpts", "gid=5,mode=620,ptmxmode=666,x-mount.mkdir"),
            ("shm", "/dev/shm", "tmpfs", "mode=1777,x-mount.mkdir"),  # noqa: S108 -- the guest's
            ("run", "/run", "tmpfs", "mode=755"),
            # Memory is taken when something is written, so the sizes may add up to more than there is.
            ("tmp", "/tmp", "tmpfs", "mode=1777,size=100%"),  # noqa: S108 -- the guest's
            ("srv", "/srv", "tmpfs", "mode=755,size=100%"),
        ]
        for index, path in enumerate(self._mounts()):
            below = f"/lab/run/mount/{index}"
            if path != self._task["checkout"] or path in shares:
                rows.append((below, path, "none", "bind,x-mount.mkdir"))
            else:
                options = f"lowerdir={below},upperdir=/mnt/checkout-upper,workdir=/mnt/checkout-work,x-mount.mkdir"
                rows.append(("checkout", path, "overlay", options))
        lines = [f"{what} {_escaped('/mnt/root' + where)} {kind} {how} 0 0\n" for what, where, kind, how in rows]
        # mount itself wants to see what is mounted.
        return "".join(["proc /proc proc defaults 0 0\n", *lines])

    def _start(self) -> None:
        # Kept open: a guest whose neighbour's end is closed is interrupted without end.
        self._links = network.join(self._hosts)
        for number in range(1, self._hosts + 1):
            link = self._links[number - 1] if self._links else None
            self._guests.append(self._start_one(number, link))

    def _start_one(self, number: int, link: socket.socket | None) -> Guest:
        console_in, console_out = os.pipe()
        output_in, output_out = os.pipe()
        error_in, error_out = os.pipe()
        control_in, control_out = os.pipe()
        terminal, terminal_theirs = socket.socketpair()
        wiring = Wiring(
            console=console_out,
            output=output_out,
            error=error_out,
            control=control_out,
            terminal=terminal_theirs.fileno(),
            network=link.fileno() if link else None,
        )
        if self._emulated:
            kernel = Path(cast(str, self._task["kernel"]))
            process = qemu.start(self._root, kernel, number, self._memory, wiring)
        else:
            process = uml.start(self._root, number, self._memory, wiring)
        guest = Guest(number, process)
        terminal_theirs.close()
        for end in (console_out, output_out, error_out, control_out):
            os.close(end)
        read = selectors.EVENT_READ
        self._selector.register(console_in, read, lambda data: self._on_console(guest, data))
        self._selector.register(output_in, read, lambda data: _write(1, data))
        self._selector.register(error_in, read, lambda data: _write(2, data))
        self._selector.register(control_in, read, lambda data: self._on_control(guest, data))
        self._selector.register(terminal, read, lambda data: _write(1, data))
        if number == 1 and self._terminal:
            self._selector.register(0, read, lambda data: self._on_key(terminal, data))
        return guest

    # While they run

    def _relay(self) -> int:
        begun = time.monotonic()
        boot_limit = EMULATED_BOOT_LIMIT if self._emulated else BOOT_LIMIT
        if self._hosts > 1:
            boot_limit *= self._hosts
        while self._status is None:
            now = time.monotonic() - begun
            first = self._guests[0]
            if not first.booted and now > boot_limit:
                raise self._death(f"the guest did not reach COMMAND within {boot_limit:.0f} seconds")
            if self._timeout is not None and now > self._timeout:
                self._show_console(first)
                raise LabError(f"ended after --timeout {self._timeout:g} seconds", TIMED_OUT)
            self._pass_on(0.2)
            for guest in list(self._guests):
                if not guest.dead and guest.process.poll() is not None:
                    guest.dead = True
                    self._pass_on_rest()
                    if self._status is None:
                        self._bury(guest)
        self._pass_on_rest()
        return self._status

    def _pass_on(self, wait: float) -> bool:
        ready = self._selector.select(wait)
        for key, _ in ready:
            try:
                data = os.read(key.fd, CHUNK)
            except OSError:  # a terminal that went away
                data = b""
            if data:
                key.data(data)
            else:
                self._selector.unregister(key.fd)
        return bool(ready)

    def _pass_on_rest(self) -> None:
        if self._terminal:
            with contextlib.suppress(KeyError):
                self._selector.unregister(0)
        while self._selector.get_map() and self._pass_on(0):
            pass

    def _on_console(self, guest: Guest, data: bytes) -> None:
        guest.console += data
        del guest.console[:-CONSOLE_LIMIT]
        if self._log:
            self._log.write(data)

    def _on_control(self, guest: Guest, data: bytes) -> None:
        *lines, guest.control = (guest.control + data).split(b"\n")
        for line in lines:
            word, _, rest = line.decode(errors="replace").strip().partition(" ")
            if word == "booted":
                if guest.booted and guest.number == 1:
                    raise self._death("host1 has restarted, and COMMAND was lost")
                guest.booted = True
            elif word == "exit":
                self._status = int(rest)
            elif word == "failed":
                raise self._death(rest)

    def _on_key(self, terminal: socket.socket, data: bytes) -> None:
        others = data.rstrip(ESCAPE)
        self._escapes = len(data) - len(others) + (0 if others else self._escapes)
        if self._escapes >= 3:
            raise LabError("left with Ctrl-] three times\r", 130)
        terminal.sendall(data)

    def _bury(self, guest: Guest) -> None:
        if self._emulated and not guest.booted and STALE_BREAKPOINT in guest.console and guest.starts < STARTS:
            link = self._links[guest.number - 1] if self._links else None
            self._guests[guest.number - 1] = again = self._start_one(guest.number, link)
            again.starts = guest.starts + 1
            return
        panic = b"Kernel panic" in guest.console
        what = "panicked" if panic else f"ended by itself (status {guest.process.returncode})"
        if guest.number != 1 and self._guests[0].booted:
            # A test of what happens when a host dies may mean it.
            say(f"host{guest.number} {what}")
            return
        raise self._death(f"the kernel of host{guest.number} {what}" if panic else f"host{guest.number} {what}")

    def _death(self, message: str) -> LabError:
        for guest in self._guests:
            self._show_console(guest)
        return LabError(f"{message} (--console FILE keeps all that the kernels say)", GUEST_DIED)

    def _show_console(self, guest: Guest) -> None:
        lines = guest.console.decode(errors="replace").splitlines()[-25:]
        if lines:
            shown = "\n".join(f"  | {line}" for line in lines)
            say(f"the last words of host{guest.number}'s kernel:\n{shown}")


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"mount {' '.join(arguments)}: {done.stderr.strip()}", GUEST_DIED)


def _same_file(one: int, other: int) -> bool:
    try:
        return os.path.sameopenfile(one, other)
    except OSError:
        return False


def _escaped(path: str) -> str:
    return path.replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011").replace("\n", "\\012")


def _shell(value: str | int | list[str]) -> str:
    if isinstance(value, list):
        return "(" + " ".join(shlex.quote(word) for word in value) + ")"
    return shlex.quote(str(value))


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BrokenPipeError:
            # As a command would end whose reader has gone (`scripts/lab -- pytest | head`).
            raise LabError("nobody reads the output any more", 141) from None
