"""The least that a service costs: the floor's operations behind a socket, for one who asks as vdsprovd is asked.

What it does beside the floor is what vdsprovd promises and the floor does not: it is asked through a socket, in three calls a
LUN; it answers others meanwhile, so what blocks is in a thread; and a crash between any two operations leaves it knowing what
it was about, so a command's intent is in SQLite before, and its outcome after them, each for sure (WAL, synchronous=FULL). It
checks nothing, knows no rules, and nobody is told of anything.

As a program (`python -m benchmark.contenders.service FOLDER`) it is that service.
"""

import asyncio
import json
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec

from benchmark import floor
from benchmark.client import Client
from benchmark.contenders import SIZE, Cost, Work
from benchmark.figures import peak, processor
from benchmark.owed import Owed
from benchmark.simulated import serving


class Service:
    """Such a service in a process of its own."""

    name = "the least service"
    luns = 50

    def do(self, work: Work, patience: float) -> Cost:
        """One connection, one call after the other."""
        with _begun(work) as (client, cost):
            begun = perf_counter()
            if work.new_targets:
                for target in work.targets:
                    _call(client, "target", target, work.initiators)
            for target, number in work.each():
                moment = perf_counter()
                _call(client, "create", number, work.file(number))
                _call(client, "wait", number)
                _call(client, "associate", number, work.file(number), target, work.initiators)
                cost.seconds.append(perf_counter() - moment)
                if perf_counter() - begun > patience:
                    raise TimeoutError
        return cost


class ServiceAtOnce:
    """The same service, which is asked for all targets in one call and for all LUNs in another, waits for each to be done, and
    does what is owed, too."""

    name = "the least service at once, with what is owed"
    luns = 50

    def do(self, work: Work, patience: float) -> Cost:
        """One connection, four calls."""
        with _begun(work) as (client, cost):
            for call in (["targets", work.targets, work.initiators], ["luns", [*_luns(work)], work.initiators]):
                _call(client, *call)
                _call(client, "wait", 0)
        return cost


def _luns(work: Work) -> Iterator[tuple[str, int, str]]:
    return ((target, number, work.file(number)) for target, number in work.each())


@contextmanager
def _begun(work: Work) -> Iterator[tuple[Client, Cost]]:
    """A connection to a service that has just begun, and what is asked for while the context lasts costs."""
    with serving([sys.executable, "-m", __name__, work.folder], Path(work.folder) / "socket") as client:
        cost = Cost()
        used, begun = processor(client.pid), perf_counter()
        yield client, cost
        cost.total = perf_counter() - begun
        cost.processor, cost.peak = processor(client.pid) - used, peak(client.pid)


def _call(client: Client, *call: object) -> None:
    reply = client.exchange(json.dumps(call).encode() + b"\0")
    assert reply == b"{}\0", reply


class _Server:
    def __init__(self, folder: Path) -> None:
        self.database = sqlite3.connect(folder / "store", isolation_level=None, check_same_thread=False)
        self.database.execute("PRAGMA journal_mode = WAL")
        self.database.execute("PRAGMA synchronous = FULL")
        self.database.execute("CREATE TABLE step (number INTEGER PRIMARY KEY, call TEXT)")
        self.database.execute("CREATE TABLE object (number INTEGER PRIMARY KEY, call TEXT)")
        self.executor = ThreadPoolExecutor(1)
        self.kernel = Owed()

    async def serve(self, socket: Path) -> None:
        server = await asyncio.get_running_loop().create_unix_server(lambda: _Connection(self), socket)
        await server.serve_forever()

    async def answer(self, call: list[Any]) -> None:
        """Do what a call asks for."""
        match call:
            case ["wait", _]:
                pass
            case ["target", name, initiators]:
                await self._lastingly(call, lambda: floor.add_target(name, initiators))
            case ["create", number, file]:
                await self._lastingly(call, lambda: floor.add_disk(number, file, SIZE))
            case ["associate", number, file, target, initiators]:
                await self._lastingly(call, lambda: floor.add_unit(target, number, file, initiators))
            case ["targets", names, initiators]:
                await self._lastingly(call, lambda: self._add_targets(names, initiators), names)
            case ["luns", luns, initiators]:
                await self._lastingly(call, lambda: self._add_luns(luns, initiators), luns)

    def _add_targets(self, names: list[str], initiators: list[str]) -> None:
        for name in names:
            self.kernel.add_target(name, initiators)

    def _add_luns(self, luns: list[tuple[str, int, str]], initiators: list[str]) -> None:
        for target, number, file in luns:
            self.kernel.add_lun(target, number, file, SIZE, initiators)

    async def _lastingly(self, call: list[Any], work: Callable[[], None], objects: Sequence[object] = ()) -> None:
        """Do the work of a call that makes these objects; one, of which the call says all, if none are given."""
        rows = [(msgspec.json.encode(some),) for some in objects or [call]]
        await asyncio.get_running_loop().run_in_executor(
            self.executor, self._step, msgspec.json.encode(call), rows, work
        )

    def _step(self, call: bytes, rows: list[tuple[bytes]], work: Callable[[], None]) -> None:
        step = self.database.execute("INSERT INTO step (call) VALUES (?)", (call,)).lastrowid
        work()
        self.database.execute("BEGIN")
        self.database.executemany("INSERT INTO object (call) VALUES (?)", rows)
        self.database.execute("DELETE FROM step WHERE number = ?", (step,))
        self.database.execute("COMMIT")


class _Connection(asyncio.Protocol):
    def __init__(self, server: _Server) -> None:
        self._server = server
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *messages, self._read = (self._read + data).split(b"\0")
        for message in messages:
            self._answering = asyncio.create_task(self._answer(msgspec.json.decode(message)))

    async def _answer(self, call: list[Any]) -> None:
        try:
            await self._server.answer(call)
        except OSError as error:
            self._transport.write(str(error).encode() + b"\0")
        else:
            self._transport.write(b"{}\0")


if __name__ == "__main__":
    asyncio.run(_Server(Path(sys.argv[1])).serve(Path(sys.argv[1]) / "socket"))
