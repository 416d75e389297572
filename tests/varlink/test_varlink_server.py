"""Who may call, who is told what went wrong, and how many may connect."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.varlink.sample import INTERFACE, NAME, Nothing, Raw, call, method, service, serving, until, with_methods
from vdsprovd.varlink.call import Call
from vdsprovd.varlink.interface import Interface, Method, VarlinkError
from vdsprovd.varlink.server import Peer
from vdsprovd.varlink.service_interface import permission_denied


def test_authorize_is_asked_first(tmp_path: Path) -> None:
    """Every known method is authorized before its parameters are read, those of org.varlink.service too."""
    asked: list[tuple[int, str]] = []

    def authorize(peer: Peer, method: Method) -> None:
        asked.append((peer.pid, method.name))
        if method.metadata is None:
            raise permission_denied()

    async def main() -> None:
        async with serving(tmp_path / "s", authorize=authorize), Raw.to(tmp_path / "s") as raw:
            denied = {"error": "org.varlink.service.PermissionDenied"}
            assert await raw.ask(call("Echo", {"count": "wrong"})[:-1]) == denied
            assert await raw.ask(call("org.varlink.service.GetInfo")[:-1]) == denied
            await raw.ask(call("Unknown")[:-1])

    asyncio.run(main())
    assert asked == [(os.getpid(), "Echo"), (os.getpid(), "GetInfo")]


def test_value_errors_are_the_callers_own(tmp_path: Path) -> None:
    """A value that its type does not have gets the error of the service's choice, a wrong shape the protocol's."""
    told: list[tuple[str, str, str]] = []

    def invalid(method: str, parameter: str, message: str) -> VarlinkError:
        told.append((method, parameter, message))
        return VarlinkError(f"{NAME}.Failed", {"message": message, "code": 1})

    async def main() -> None:
        async with serving(tmp_path / "s", invalid_parameter=invalid), Raw.to(tmp_path / "s") as raw:
            answer = await raw.ask(call("Echo", {"count": 1, "color": "green"})[:-1])
            assert answer["error"] == f"{NAME}.Failed"
            answer = await raw.ask(call("Echo", {"count": 1, "color": 5})[:-1])
            assert answer == {"error": "org.varlink.service.InvalidParameter", "parameters": {"parameter": "color"}}

    asyncio.run(main())
    assert told == [(f"{NAME}.Echo", "color", "Invalid enum value 'green'")]


def test_bugs_are_answered_by_the_hook(tmp_path: Path) -> None:
    """A bug in a handler goes to the hook, and its caller gets the error that the hook makes."""
    bugs: list[tuple[str, BaseException]] = []

    def unexpected(method: str, error: BaseException) -> VarlinkError:
        bugs.append((method, error))
        return VarlinkError(f"{NAME}.Empty")

    async def main() -> None:
        async with serving(tmp_path / "s", unexpected=unexpected), Raw.to(tmp_path / "s") as raw:
            for message in (call("Break"), call("Break", more=True)):
                assert await raw.ask(message[:-1]) == {"error": f"{NAME}.Empty"}
            assert await raw.ask(call("Echo", {"count": 1})[:-1]) == {"parameters": {"number": 1}}

    asyncio.run(main())
    assert [(name, type(error)) for name, error in bugs] == [(f"{NAME}.Break", ZeroDivisionError)] * 2


def test_reply_that_cannot_be_sent_is_a_bug(tmp_path: Path) -> None:
    """A reply that is no reply is answered like any other bug, with nothing of it on the wire."""

    async def main() -> None:
        async def wrong(call: Call, parameters: Nothing) -> Any:
            return object()

        methods = (
            method("Wrong", Nothing, Nothing, lambda call, parameters: object()),
            method("WrongLater", Nothing, Nothing, wrong),
        )
        async with (
            serving(
                tmp_path / "s",
                with_methods(*methods),
                unexpected=lambda name, error: VarlinkError(f"{NAME}.Empty"),
            ),
            Raw.to(tmp_path / "s") as raw,
        ):
            for name in ("Wrong", "WrongLater"):
                assert await raw.ask(call(name)[:-1]) == {"error": f"{NAME}.Empty"}

    asyncio.run(main())


def test_bug_without_hook_closes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without a hook a bug is logged and closes the connection: the protocol has no error for it."""

    async def main() -> None:
        async with serving(tmp_path / "s"), Raw.to(tmp_path / "s") as raw:
            assert await raw.ask(call("Break")[:-1]) is None

    asyncio.run(main())
    assert "ZeroDivisionError: a bug" in caplog.text


def test_connections_are_capped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Connections over the limit, of all users or of one, are closed, which is logged once; others are served."""

    async def main(**limit: int) -> None:
        path = tmp_path / "-".join(limit)
        async with serving(path, **limit) as served, Raw.to(path) as first, Raw.to(path) as second:
            for raw in (first, second):
                assert await raw.ask(call("Nothing")[:-1]) == {}
            for _ in range(5):
                async with Raw.to(path) as refused:
                    assert await refused.receive() is None
            assert served.connections == 2
            assert await first.ask(call("Nothing")[:-1]) == {}
            first.writer.close()
            await first.writer.wait_closed()
            await until(lambda: served.connections == 1)
            async with Raw.to(path) as third:
                assert await third.ask(call("Nothing")[:-1]) == {}

    for limit in ("max_connections", "max_connections_per_uid"):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            asyncio.run(main(**{limit: 2}))
        assert len(caplog.records) == 1


def test_many_clients_at_once(tmp_path: Path) -> None:
    """Hundreds of clients that connect at the same instant are all served."""

    async def one(path: Path) -> Any:
        async with Raw.to(path) as raw:
            return await raw.ask(call("Nothing")[:-1])

    async def main() -> None:
        async with serving(tmp_path / "s"):
            assert await asyncio.gather(*[one(tmp_path / "s") for _ in range(300)]) == [{}] * 300

    asyncio.run(main())


CLIENT = """
import os, socket, sys
sys.stdin.readline()
os.setgroups(range(1000, 1000 + int(sys.argv[2])))
os.setgid(1234)
os.setuid(2345)
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
client.sendall(b'{"method":"org.example.Sample.Nothing"}\\0')
client.recv(100)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
@pytest.mark.parametrize("groups", [0, 3, 300])
def test_peer_credentials(tmp_path: Path, groups: int) -> None:
    """A handler is told the process, user, group and all groups of its caller."""
    peers: list[Peer] = []
    # The child is somebody else and must get at the socket.
    for directory in (tmp_path, *tmp_path.parents[:3]):
        if directory.stat().st_uid == os.geteuid() and directory != Path("/tmp"):
            directory.chmod(0o755)

    async def main() -> int:
        async with serving(tmp_path / "s", authorize=lambda peer, method: peers.append(peer)):
            (tmp_path / "s").chmod(0o666)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", CLIENT, str(tmp_path / "s"), str(groups), stdin=subprocess.PIPE
            )
            async with asyncio.timeout(20):
                await process.communicate(b"\n")
            assert process.returncode == 0
            return process.pid

    pid = asyncio.run(main())
    assert peers == [Peer(pid, 2345, 1234, tuple(range(1000, 1000 + groups)))]


def test_names_are_unique() -> None:
    """An interface, or a method of it, that is there twice is refused."""
    with pytest.raises(ValueError, match="there twice"):
        service(INTERFACE, INTERFACE)
    with pytest.raises(ValueError, match="there twice"):
        service(Interface(NAME, INTERFACE.methods[:1] * 2))
