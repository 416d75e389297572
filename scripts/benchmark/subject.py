"""The vdsprovd that is measured."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmark import AS_SERVICE, figures, floor
from benchmark.client import Client
from benchmark.disk import disk
from vdsprovd.varlink.client import Connection

CHECKOUT = Path(__file__).resolve().parents[2]
TARGET = "iqn.2026-11.org.example:target1"
INITIATOR = "iqn.2026-11.org.example:host1"
MIB = 1 << 20
AUDIT = 300
"""Seconds between audits, as by default."""
MOST = 1000
"""LUNs that one call may make."""
_LOADED = b"the code is loaded"
_CODE = f"""
import os, socket, sys
import vdsprovd.__main__, vdsprovd.hardware.lio
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as who_waits:
    who_waits.sendto({_LOADED!r}, os.environ["NOTIFY_SOCKET"])
sys.exit(vdsprovd.__main__.main())
"""
IDLE = 0.015
"""Seconds of processor time in half a second of a daemon that has nothing to do."""


class Daemon:
    """A vdsprovd with a pool of sparse files and one target, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "pool").mkdir()
        self.audit = AUDIT
        self.process: subprocess.Popen[bytes] | None = None
        self.target = ""
        """The id of the one that `make` makes."""
        self.luns = 0
        """How many `make` has made."""

    def start(self) -> float:
        """Start it; gives the seconds from when its code is loaded until it tells that it is ready."""
        (self.folder / "vdsprovd.toml").write_text(
            f'[provider]\nsocket = "{self.folder}/socket"\nstate = "{self.folder}/state"\naudit = {self.audit}\n'
            '[[subsystem]]\nname = "array0"\niqn-prefix = "iqn.2026-11.org.example"\nportals = ["127.0.0.1:3260"]\n'
            f'[[subsystem.pool]]\nname = "files0"\nkind = "files"\npath = "{self.folder}/pool"\nsparse = true\n'
        )
        (self.folder / "socket").unlink(missing_ok=True)
        (self.folder / "notify").unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, (self.folder / "log").open("ab") as log:
            # As systemd has it: who asks whether it is ready yet takes from it what it is measured by.
            told.bind(str(self.folder / "notify"))
            told.settimeout(1)
            begun = 0.0
            command = [sys.executable, "-c", _CODE, "--config", str(self.folder / "vdsprovd.toml")]
            environment = os.environ | AS_SERVICE | {"NOTIFY_SOCKET": str(self.folder / "notify")}
            self.process = subprocess.Popen(command, stderr=log, cwd=CHECKOUT, env=environment)
            while True:
                with suppress(TimeoutError):
                    message = told.recv(4096)
                    if message == _LOADED:
                        begun = time.monotonic()
                    if b"READY=1" in message.splitlines():
                        break
                if self.process.poll() is not None:
                    sys.exit((self.folder / "log").read_text())
            took = time.monotonic() - begun
        self.connection = Connection(str(self.folder / "socket"))
        return took

    def settle(self) -> None:
        """Wait until what a start leaves to be done is done: a backup, watches, a look at everything."""
        used = self.processor()
        while True:
            time.sleep(0.5)
            before, used = used, self.processor()
            if used - before < IDLE:
                return

    def stop(self) -> None:
        """Stop it; its exports stay."""
        assert self.process
        self.connection.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def client(self) -> Client:
        """A connection that has nothing of ours."""
        assert self.process
        return Client(self.folder / "socket", self.process.pid)

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Call a method, by its name without org.vdsprov, and wait for what it begins."""
        reply = dict(self.connection.call(f"org.vdsprov.{method}", parameters))
        if "async" in reply:
            reply = dict(self.connection.call("org.vdsprov.Async.Wait", {"id": reply["async"]}))
        return reply

    def make(self, count: int) -> None:
        """See that there are so many LUNs, which one initiator reaches in one target."""
        (sub_system,) = self.call("HwProvider.QuerySubSystems")["subSystems"]
        id = sub_system["id"]
        if not self.target:
            self.target = self.call("SubSystemIscsi.CreateTarget", id=id, iscsiName=TARGET)["object"]
            group = self.call("IscsiTarget.CreatePortalGroup", id=self.target)["object"]
            (portal,) = self.call("SubSystemIscsi.QueryPortals", id=id)["portals"]
            self.call("IscsiPortalGroup.AddPortal", id=group, portalId=portal["id"])
        new = {"sizeInBytes": MIB, "unmaskingList": INITIATOR, "targetIds": [self.target]}
        for present in range(self.luns, count, MOST):
            figures.tell(f"{present} of {count} LUNs are there")
            if self.call("Provisioning.CreateLuns", id=id, luns=[new] * min(MOST, count - present))["hresult"]:
                raise AssertionError((self.folder / "log").read_text())
        self.luns = max(self.luns, count)

    def processor(self) -> float:
        """The seconds of processor time that it has used."""
        assert self.process
        return figures.processor(self.process.pid)


@contextmanager
def daemon(count: int) -> Iterator[Daemon]:
    """A daemon that has so many LUNs, on a disk of its own, and a kernel that has nothing else."""
    floor.clear()
    with disk() as folder:
        made = Daemon(folder)
        made.start()
        try:
            made.make(count)
            yield made
        finally:
            made.stop()
            floor.clear()
