"""What the clients do when the daemon goes away and comes back."""

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.arrays import MIB, SimulatedArray
from tests.daemon import SimulatedProcess
from vdsprovd.client import AnswerLost, AsyncClient, Client, Notifications, Unreachable
from vdsprovd.client.notifications import Gaps
from vdsprovd.model import LunType, Notification, NotificationEvent, ObjectType
from vdsprovd.replies import AdviseReply

PROPERTIES = b'{"parameters":{"lunNumber":7}}'


def later(seconds: float, function: Callable[[], object]) -> threading.Timer:
    """Have that done, in a thread."""
    timer = threading.Timer(seconds, function)
    timer.start()
    return timer


def kill(process: SimulatedProcess) -> None:
    """End the daemon in the midst of what it does."""
    process.connection.close()
    os.kill(process.pid, signal.SIGKILL)
    process.process.wait()


@contextmanager
def unsteady(path: Path, *answers: bytes | None) -> Iterator[list[bytes]]:
    """A server that reads a call and sends that answer, None for none, and closes, connection by connection.

    Gives the calls that it got.
    """
    calls: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            with suppress(OSError):
                for answer in answers:
                    connection, _ = listener.accept()
                    with connection:
                        if call := connection.recv(65536):
                            calls.append(call)
                        if answer is not None:
                            connection.sendall(answer + b"\0")

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        yield calls
        listener.shutdown(socket.SHUT_RDWR)
        server.join(10)


def test_the_daemon_is_restarted_between_calls(simulated: SimulatedArray) -> None:
    """The next call, whatever it is, finds the new daemon: it had not left."""
    with Client(simulated.socket) as vds:
        lun = vds.lun(simulated.make_lun())
        simulated.restart()
        lun.set_friendly_name("first")
        simulated.restart()
        assert lun.get_properties().properties.friendly_name == "first"

    async def main() -> None:
        async with AsyncClient(simulated.socket) as vds:
            name = vds.lun(lun.id).set_friendly_name
            await name("second")
            await asyncio.to_thread(simulated.restart)
            await name("third")
            await asyncio.to_thread(simulated.restart)
            assert (await vds.lun(lun.id).get_properties()).properties.friendly_name == "third"

    asyncio.run(main())


def test_a_daemon_that_is_away_is_waited_for(simulated: SimulatedArray) -> None:
    """A call while there is no daemon, or one that is still starting, waits for it; with `reconnect` 0 it does not."""
    lun = simulated.make_lun()
    with Client(simulated.socket) as vds, Client(simulated.socket, reconnect=0) as impatient:
        simulated.stop()
        with pytest.raises(Unreachable, match="lost connection"):
            impatient.lun(lun).get_properties()
        simulated.hardware.delay = 0.2
        start = later(0.3, simulated.start)
        vds.lun(lun).set_mask("*")
        assert vds.lun(lun).get_properties().properties.unmasking_list == "*"
        start.join()
        simulated.hardware.delay = 0.0


def test_an_answer_that_is_lost(process: SimulatedProcess) -> None:
    """A change whose answer is lost is not sent again, and the error says so; the client goes on with the next daemon."""
    lun = process.make_lun()
    target, _ = process.make_reachable_target()
    process.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    with Client(process.socket) as vds, process.slow():
        killed = later(0.5, lambda: kill(process))
        with pytest.raises(AnswerLost, match=r"whether Lun.SetMask was carried out is not known") as lost:
            vds.lun(lun).set_mask("*")
        assert (lost.value.what, lost.value.connected) == ("Lun.SetMask", True)
        killed.join()
        process.start()
        assert len(list(vds.provider.query_sub_systems())) == 2


def test_an_operation_ends_with_its_daemon(process: SimulatedProcess) -> None:
    """Who waits for an operation is told that the daemon was started anew; a lost connection alone does no harm."""

    def start_anew() -> None:
        kill(process)
        process.start()

    with Client(process.socket) as vds, process.slow():
        operation = vds.sub_system(process.sub_system).create_lun(LunType.SIMPLE, MIB)
        again = later(0.2, start_anew)
        with pytest.raises(AnswerLost, match=f"started anew meanwhile; whether operation {operation.id} was"):
            operation.wait()
        again.join()

    async def main() -> None:
        async with AsyncClient(process.socket) as vds:
            with process.slow():
                operation = await vds.sub_system(process.sub_system).create_lun(LunType.SIMPLE, MIB)
                again = later(0.2, start_anew)
                with pytest.raises(AnswerLost, match="started anew"):
                    await operation
                await asyncio.to_thread(again.join)

    asyncio.run(main())


def test_a_query_is_sent_again_once(tmp_path: Path) -> None:
    """A query whose answer is lost is sent again, once: it may be what brings the daemon down."""
    with unsteady(tmp_path / "s", None, PROPERTIES) as calls, Client(tmp_path / "s") as vds:
        assert vds.lun("x").get_lun_number().lun_number == 7
        assert len(calls) == 2
    with unsteady(tmp_path / "t", None, None, PROPERTIES) as calls, Client(tmp_path / "t") as vds:
        with pytest.raises(Unreachable, match="lost connection") as lost:
            vds.lun("x").get_lun_number()
        assert not isinstance(lost.value, AnswerLost)
        assert len(calls) == 2


def test_a_change_is_sent_once(tmp_path: Path) -> None:
    """A change whose answer is lost is not sent again."""
    with unsteady(tmp_path / "s", None, b"{}") as calls:
        with Client(tmp_path / "s") as vds, pytest.raises(AnswerLost, match="look at what there is"):
            vds.lun("x").delete()
        assert len(calls) == 1

    async def main() -> None:
        async with AsyncClient(tmp_path / "t") as vds:
            with pytest.raises(AnswerLost, match="look at what there is"):
                await vds.lun("x").delete()

    with unsteady(tmp_path / "t", None, b"{}") as calls:
        asyncio.run(main())
        assert len(calls) == 1


def test_a_timeout(tmp_path: Path) -> None:
    """What is not answered in time is not sent again, and a change may have been carried out."""
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "t"))
        silent.listen()
        with Client(tmp_path / "t", timeout=0.1) as vds:
            with pytest.raises(AnswerLost, match="does not answer in time"):
                vds.lun("x").delete()
            with pytest.raises(Unreachable, match="does not answer in time") as late:
                vds.lun("x").get_properties()
            assert not isinstance(late.value, AnswerLost)


def test_a_listing_that_breaks_off(tmp_path: Path) -> None:
    """A listing is a snapshot: one that breaks off is not continued by another."""
    portal = b'{"id":"p","address":{"type":"ipv4","textAddress":"10.0.0.1","port":1},"status":"online"}'
    part = b'{"parameters":{"portals":[%s]},"continues":true}' % portal
    with unsteady(tmp_path / "s", part, part) as calls, Client(tmp_path / "s") as vds:
        portals = vds.sub_system("x").query_portals()
        assert next(portals).id == "p"
        with pytest.raises(Unreachable, match="lost connection"):
            next(portals)
        assert len(calls) == 1


def test_notifications_survive_a_restart(simulated: SimulatedArray) -> None:
    """They go on with the new daemon, and say that some may have been missed."""
    with Client(simulated.socket) as vds:
        notifications = vds.notifications()
        first = next(notifications)
        assert first.missed
        lun = simulated.make_lun()
        told = next(notifications)
        assert (told.epoch, told.missed) == (first.epoch, False)
        assert (NotificationEvent.LUN_ARRIVE, lun) in {(entry.event, entry.id) for entry in told.notifications}
        simulated.stop()
        start = later(0.2, simulated.start)
        again = next(notifications)
        start.join()
        assert again.missed
        assert again.epoch != first.epoch
        simulated.call("Lun.Delete", id=lun)
        assert NotificationEvent.LUN_DEPART in {entry.event for entry in next(notifications).notifications}


def test_notifications_survive_a_restart_with_asyncio(simulated: SimulatedArray) -> None:
    """As with the blocking client."""

    async def main() -> None:
        async with AsyncClient(simulated.socket) as vds:
            notifications = vds.notifications()
            first = await anext(notifications)
            await asyncio.to_thread(simulated.restart)
            again = await anext(notifications)
            assert (first.missed, again.missed, again.epoch != first.epoch) == (True, True, True)
            lun = await asyncio.to_thread(simulated.make_lun)
            assert lun in {entry.id for entry in (await anext(notifications)).notifications}
            await notifications.aclose()

    asyncio.run(main())


def test_to_close_ends_what_another_thread_waits_for(simulated: SimulatedArray) -> None:
    """A thread that waits for notifications is told that the client is closed."""
    with Client(simulated.socket) as vds:
        notifications = vds.notifications()
        next(notifications)
        close = later(0.2, vds.close)
        begin = time.monotonic()
        with pytest.raises(Unreachable, match="the client is closed"):
            next(notifications)
        assert time.monotonic() - begin < 5
        close.join()


def told(sequence: int, count: int = 1, epoch: str = "e") -> AdviseReply:
    """A group of so many notifications."""
    one = Notification(ObjectType.LUN, NotificationEvent.LUN_MODIFY, "x")
    return AdviseReply(epoch, sequence, notifications=(one,) * count)


def established(sequence: int, epoch: str = "e") -> AdviseReply:
    """The first reply of an advise sink."""
    return AdviseReply(epoch, sequence, established=True)


@pytest.mark.parametrize(
    ("replies", "missed"),
    [
        ([established(0), told(1)], [True, False]),
        ([established(3), established(3), told(4)], [True, None, False]),
        ([established(3), told(4), established(4), told(5)], [True, False, None, False]),
        ([established(3), told(4), established(5), told(6)], [True, False, True, False]),
        ([established(3), established(3, "f")], [True, True]),
        # Of a group that comes in parts, the rest may have been lost.
        ([established(3), told(4, 100), established(4)], [True, False, True]),
        ([established(3), told(4, 100), told(4, 7), established(4)], [True, False, False, None]),
        ([established(0), AdviseReply("e", 9, overrun=True), told(10)], [True, True, False]),
    ],
)
def test_gaps(replies: list[AdviseReply], missed: list[bool | None]) -> None:
    """Whoever listens is told to look again where something may be missed, and not where a lost connection missed nothing."""
    gaps = Gaps()
    given: list[Notifications | None] = [gaps.take(reply) for reply in replies]
    assert [entry and entry.missed for entry in given] == missed
