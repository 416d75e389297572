"""Clients that we did not write, each behind the same few methods, so that one test is about all of them.

Names of methods are without org.vdsprov, parameters and replies are JSON's.
"""

import asyncio
import json
import os
import shutil
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import asyncvarlink
import varlink

Reply = dict[str, Any]

SERVICE = "org.varlink.service"
SOURCES = Path(__file__).parent
GOPATH = Path("/usr/share/gocode")
"""Where Debian has Go's libraries."""


class Refused(Exception):
    """The daemon answered with an error: its name, and its parameters."""

    def __init__(self, name: str, parameters: Reply) -> None:
        super().__init__(name, parameters)
        self.name = name
        self.parameters = parameters


class Foreign(ABC):
    """A client for a socket."""

    def __init__(self, socket: Path) -> None:
        self.socket = str(socket)

    def interfaces(self) -> list[str]:
        """The names of the interfaces that the service has."""
        found: list[str] = self.call(f"{SERVICE}.GetInfo")["interfaces"]
        return found

    def description(self, interface: str) -> str:
        """An interface as the service describes it, and as this client could read it."""
        return str(self.call(f"{SERVICE}.GetInterfaceDescription", interface=interface)["description"])

    @abstractmethod
    def call(self, method: str, /, **parameters: Any) -> Reply:
        """Call a method; raises `Refused`."""

    @abstractmethod
    def replies(self, method: str, /, **parameters: Any) -> AbstractContextManager[Iterator[Reply]]:
        """Call a method with `more`: its replies as they come, until one has enough."""


def full(method: str) -> str:
    """The full name of a method."""
    return f"org.vdsprov.{method}" if method.count(".") == 1 else method


class Program(Foreign):
    """A program that makes one call and prints JSON."""

    @abstractmethod
    def command(self, more: bool, method: str, parameters: Reply) -> list[str]:
        """The program and its arguments."""

    @abstractmethod
    def refused(self, done: subprocess.CompletedProcess[str]) -> Refused:
        """What a call that failed says."""

    def call(self, method: str, /, **parameters: Any) -> Reply:
        command = self.command(False, full(method), parameters)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise self.refused(done)
        # varlinkctl says nothing of a reply without parameters.
        reply: Reply = json.loads(done.stdout or "{}")
        return reply

    @contextmanager
    def replies(self, method: str, /, **parameters: Any) -> Iterator[Iterator[Reply]]:
        command = self.command(True, full(method), parameters)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            # JSON text sequences have a character before each text.
            yield (json.loads(line.strip("\x1e")) for line in process.stdout if line.strip("\x1e\n"))
            process.kill()


class Varlinkctl(Program):
    """systemd's varlinkctl."""

    def command(self, more: bool, method: str, parameters: Reply) -> list[str]:
        options = ["--more", "--timeout=infinity"] if more else []
        return ["varlinkctl", "call", *options, "--json=short", self.socket, method, json.dumps(parameters)]

    def refused(self, done: subprocess.CompletedProcess[str]) -> Refused:
        # The method's name, which has brackets, comes before the error's.
        *_, name = (word for word in done.stderr.split() if word.startswith(("org.vdsprov.", SERVICE)))
        return Refused(name, json.loads(done.stdout))

    def interfaces(self) -> list[str]:
        done = subprocess.run(
            ["varlinkctl", "list-interfaces", self.socket], capture_output=True, text=True, check=True
        )
        return done.stdout.split()

    def description(self, interface: str) -> str:
        # It parses what it gets, says what it does not like, and writes it anew.
        command = ["varlinkctl", "introspect", self.socket, interface]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return done.stdout


class Compiled(Program):
    """A program of ours on somebody else's library."""

    program: Path

    def command(self, more: bool, method: str, parameters: Reply) -> list[str]:
        return [str(self.program), self.socket, "more" if more else "call", method, json.dumps(parameters)]

    def refused(self, done: subprocess.CompletedProcess[str]) -> Refused:
        assert done.returncode == 1, done.stderr
        failure = json.loads(done.stdout)
        return Refused(failure["error"], failure["parameters"])


class CompiledC(Compiled):
    """client.c, which is on libsystemd's sd-varlink."""

    @classmethod
    def build(cls, folder: Path) -> None:
        """Compile it."""
        cls.program = folder / "client"
        command = ["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter"]
        subprocess.run(
            [*command, str(SOURCES / "client.c"), "-lsystemd", "-o", str(cls.program)], check=True, timeout=100
        )


class CompiledGo(Compiled):
    """client.go, which is on Debian's golang-github-varlink-go-dev."""

    @classmethod
    def build(cls, folder: Path) -> None:
        """Compile it."""
        cls.program = folder / "client"
        go(folder, "build", "-o", str(cls.program), str(SOURCES / "client.go"))

    @staticmethod
    def missing() -> str:
        """What is not there to compile it, as packages of Debian; "" if all is there."""
        there = {
            "golang-go": shutil.which("go"),
            "golang-github-varlink-go-dev": (GOPATH / "src/github.com/varlink/go/varlink").is_dir(),
            "varlink-go": shutil.which("varlink-go-interface-generator"),
        }
        return " ".join(package for package, found in there.items() if not found)


def go(folder: Path, *arguments: str) -> None:
    """Run Go's command with the packages of a folder and Debian's, and nothing from elsewhere."""
    settings = {"GOPATH": f"{folder}:{GOPATH}", "GOCACHE": str(folder / "cache"), "GO111MODULE": "off", "GOFLAGS": ""}
    subprocess.run(["go", *arguments], cwd=folder, env=os.environ | settings, check=True, timeout=110)


class PyPI(Foreign):
    """The package `varlink`, which makes methods of the descriptions."""

    def description(self, interface: str) -> str:
        with varlink.Client(f"unix:{self.socket}") as client:
            return str(client.get_interface(interface).get_description())

    def call(self, method: str, /, **parameters: Any) -> Reply:
        interface, _, name = full(method).rpartition(".")
        with varlink.Client(f"unix:{self.socket}") as client, client.open(interface) as connection:
            try:
                return dict(getattr(connection, name)(**parameters))
            except varlink.VarlinkError as error:
                raise Refused(error.error(), error.parameters()) from error

    @contextmanager
    def replies(self, method: str, /, **parameters: Any) -> Iterator[Iterator[Reply]]:
        interface, _, name = full(method).rpartition(".")
        with varlink.Client(f"unix:{self.socket}") as client, client.open(interface) as connection:
            yield iter(getattr(connection, name)(**parameters, _more=True))


class Asyncvarlink(Foreign):
    """The package `asyncvarlink`, on a loop in a thread of its own."""

    def __init__(self, socket: Path) -> None:
        super().__init__(socket)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the loop."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _connect(self) -> Any:
        _, protocol = await asyncvarlink.connect_unix_varlink(asyncvarlink.VarlinkClientProtocol, self.socket)
        return protocol

    @staticmethod
    def _reply(answer: Any) -> Reply:
        reply, _ = answer
        if reply.error is not None:
            raise Refused(reply.error, reply.parameters)
        return dict(reply.parameters)

    def call(self, method: str, /, **parameters: Any) -> Reply:
        async def work() -> Reply:
            with closing(await self._connect()) as protocol:
                return self._reply(await protocol.call(asyncvarlink.VarlinkMethodCall(full(method), parameters)))

        reply: Reply = self._run(work())
        return reply

    @contextmanager
    def replies(self, method: str, /, **parameters: Any) -> Iterator[Iterator[Reply]]:
        protocol = self._run(self._connect())
        answers = protocol.call_more(asyncvarlink.VarlinkMethodCall(full(method), parameters, more=True))

        async def following() -> Any:
            return await anext(answers)

        def each() -> Iterator[Reply]:
            more = True
            while more:
                answer = self._run(following())
                more = bool(answer[0].continues)
                yield self._reply(answer)

        async def leave() -> None:
            protocol.close()
            with suppress(ConnectionError):
                await answers.aclose()

        yield each()
        self._run(leave())
