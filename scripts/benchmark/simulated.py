"""A vdsprovd with many LUNs and no kernel, for what does not need one: its store is written, not filled by commands.

As a program (`python -m benchmark.simulated FOLDER`) it is that daemon, on the simulator.
"""

import asyncio
import gc
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmark import AS_SERVICE
from benchmark.client import Client
from vdsprovd.__main__ import serve, settle
from vdsprovd.config import check
from vdsprovd.hardware.simulator import SimulatedPool, Simulator
from vdsprovd.inventory import Association, Entity, Lun, Plex, Portal, PortalGroup, StoragePool, SubSystem, Target
from vdsprovd.model import LunType
from vdsprovd.store import Store, Stored
from vdsprovd.varlink import activation

CHECKOUT = Path(__file__).resolve().parents[2]
INITIATOR = "iqn.2026-11.org.example:host1"
MIB = 1 << 20
ADDRESS, PORT = "127.0.0.1", 3260
PREFIX = "iqn.2026-11.org.example"
_ENVIRONMENT = AS_SERVICE | {"PYTHONPATH": f"{CHECKOUT}/scripts:{CHECKOUT}"}
_SETTLES = 2.0
"""Seconds in which a start is over: after it, the store is backed up."""
CONFIGURATION = {
    "subsystem": [
        {
            "name": "array0",
            "iqn-prefix": PREFIX,
            "portals": [f"{ADDRESS}:{PORT}"],
            "pool": [{"name": "files0", "kind": "files", "path": "/simulated"}],
        }
    ]
}


def stored(count: int, pool: str = "/simulated") -> Stored:
    """What a store holds of so many LUNs in one target, which one initiator reaches."""
    sub_system = SubSystem(str(uuid.uuid4()), "array0", "", "array0", True)
    files = StoragePool(str(uuid.uuid4()), sub_system.id, "files0", "")
    portal = Portal(str(uuid.uuid4()), sub_system.id, ADDRESS, PORT)
    target = Target(str(uuid.uuid4()), sub_system.id, f"{PREFIX}:target0", "", True)
    group = PortalGroup(str(uuid.uuid4()), target.id, 1, (portal.id,))
    entities: list[Entity] = [sub_system, files, portal, target, group]
    for index in range(count):
        id = str(uuid.uuid4())
        entities.append(
            Lun(
                id=id,
                sub_system_id=sub_system.id,
                pool_id=files.id,
                number=index + 1,
                path=f"{pool}/{id}.lun",
                name=f"lun {index}",
                size=MIB,
                type=LunType.SIMPLE,
                mask=(INITIATOR,),
                associations=(Association(target.id, index),),
            )
        )
        entities.append(Plex(str(uuid.uuid4()), id, 0))
    return Stored(
        str(uuid.uuid4()), tuple(entities), {(socket.gethostname().lower(), sub_system.id): target.iscsi_name}, (), ()
    )


@contextmanager
def simulated(count: int, *, metrics: bool = False) -> Iterator[Client]:
    """A daemon on the simulator that has so many LUNs, and a connection to it. With `metrics`, they are served beside its
    socket."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        with closing(Store(folder / "state")) as store:
            store.fill(stored(count))
        command = [sys.executable, "-m", "benchmark.simulated", str(folder), *(["metrics"] if metrics else [])]
        with serving(command, folder / "socket") as client:
            client.until_ready()
            time.sleep(_SETTLES)
            yield client


@contextmanager
def started(count: int, *, metrics: bool = False) -> Iterator[Client]:
    """The same on the kernel's target: a daemon that rebuilt so many LUNs, in sparse files."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pool").mkdir()
        settings = f'socket = "{folder}/socket"\nstate = "{folder}/state"'
        sub_system = f'name = "array0"\niqn-prefix = "{PREFIX}"\nportals = ["{ADDRESS}:{PORT}"]'
        pool = f'name = "files0"\nkind = "files"\npath = "{folder}/pool"\nsparse = true'
        watched = f'[metrics]\nlisten = "{folder}/metrics"\n' if metrics else ""
        toml = f"[provider]\n{settings}\n{watched}[[subsystem]]\n{sub_system}\n[[subsystem.pool]]\n{pool}\n"
        (folder / "vdsprovd.toml").write_text(toml)
        known = stored(count, f"{folder}/pool")
        for lun in (entity for entity in known.entities if isinstance(entity, Lun)):
            with Path(lun.path).open("wb") as file:
                file.truncate(lun.size)
        with closing(Store(folder / "state")) as store:
            store.fill(known)
        command = [sys.executable, "-m", "vdsprovd", "--config", str(folder / "vdsprovd.toml")]
        try:
            with serving(command, folder / "socket") as client:
                client.until_ready()
                time.sleep(_SETTLES)
                yield client
        finally:
            subprocess.run([*command, "--teardown"], cwd=CHECKOUT, check=True, capture_output=True)


@contextmanager
def serving(command: list[str], path: Path) -> Iterator[Client]:
    """A process that serves that socket, and a connection to it."""
    process = subprocess.Popen(command, cwd=CHECKOUT, env=os.environ | _ENVIRONMENT)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                client = Client(path, process.pid)
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, "it does not serve"
                time.sleep(0.01)
        with closing(client):
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


async def _main(folder: Path, *, metrics: bool) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    with closing(Store(folder / "state")) as store:
        pool = SimulatedPool(1 << 50)
        pool.sizes = {entry.id: entry.size for entry in store.load().entities if isinstance(entry, Lun)}
        hardware = Simulator({("array0", "files0"): pool}, [ADDRESS], [INITIATOR])
        listener = activation.bind(folder / "socket", 0o660, -1)
        watched = {"metrics": {"listen": str(folder / "metrics")}} if metrics else {}
        configuration = check(CONFIGURATION | watched, "benchmark")
        await serve(configuration, store, hardware, listener, stop, on_ready=lambda _: settle(gc.get_threshold()))


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    asyncio.run(_main(Path(sys.argv[1]), metrics="metrics" in sys.argv[2:]))
