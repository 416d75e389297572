"""The log as entries of the journal: what is sent to its socket, and what is not."""

import contextlib
import logging
import os
import queue
import re
import socket
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.arrays import SECRET, SimulatedArray
from tests.contract.test_reload import soon
from vdsprovd import journal
from vdsprovd.hresult import Hresult

Entry = dict[str, str]


def decoded(datagram: bytes) -> Entry:
    """An entry's fields; written to the protocol's text, not to our encoder."""
    fields = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + size], rest[8 + size :]
            assert rest[:1] == b"\n"
            rest = rest[1:]
        fields[name.decode()] = value.decode()
        datagram = rest
    return fields


class Journal:
    """A socket in the place of journald's, read as fast as it is: the kernel keeps about ten datagrams for who does not."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._came: queue.Queue[Entry] = queue.Queue()
        self._reader = threading.Thread(target=self._take)
        self._reader.start()
        self.entries: list[Entry] = []

    def _take(self) -> None:
        while datagram := self._socket.recv(1 << 20):
            self._came.put(decoded(datagram))

    def read(self) -> list[Entry]:
        """All that came."""
        with contextlib.suppress(queue.Empty):
            while True:
                self.entries.append(self._came.get(timeout=0.3))
        return self.entries

    def of(self, event: journal.Event) -> list[Entry]:
        """The entries of that kind."""
        return [entry for entry in self.read() if entry.get("MESSAGE_ID") == event.id]

    def close(self) -> None:
        """No more is taken."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"", self._socket.getsockname())
        self._reader.join()
        self._socket.close()


@pytest.fixture
def entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    """The journal, and everything that is logged sent there."""
    path = tmp_path / "journal"
    monkeypatch.setattr(journal, "SOCKET", str(path))
    found, handler, root = Journal(path), journal.Handler(), logging.getLogger()
    handler.setFormatter(logging.Formatter("%(message)s"))
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield found
    root.setLevel(before)
    root.removeHandler(handler)
    handler.close()
    found.close()


def test_who_changed_what(entries: Journal, simulated: SimulatedArray) -> None:
    """A command, what it made, and one that failed are there with all that is known; queries are not."""
    array = simulated
    array.call("HwProvider.QuerySubSystems")
    sub_system = array.sub_system
    lun = array.make_lun()
    assert array.error("Lun.Extend", id=lun, numberOfBytesToAdd=1 << 62) == "VDS_E_NOT_ENOUGH_SPACE"
    array.error("Lun.GetProperties", id="x")
    array.call("Lun.Delete", id=lun)
    assert array.error("Lun.Delete", id=lun) == "VDS_E_OBJECT_DELETED"
    uid, pid = str(os.getuid()), str(os.getpid())
    by = {"VDS_CALLER_UID": uid, "VDS_CALLER_PID": pid}
    created, deleted = entries.of(journal.CALL_MADE)
    assert (
        created.items()
        >= {"VDS_METHOD": "SubSystem.CreateLun", "VDS_OBJECT": sub_system, "PRIORITY": "6", **by}.items()
    )
    (done,) = entries.of(journal.OPERATION_DONE)
    assert (
        done.items() >= {"VDS_OBJECT": lun, "VDS_OPERATION": created["VDS_OPERATION"], "VDS_CODE": "S_OK", **by}.items()
    )
    assert deleted.items() >= {"VDS_METHOD": "Lun.Delete", "VDS_OBJECT": lun, "VDS_HRESULT": "0x00000000", **by}.items()
    full, gone = entries.of(journal.CALL_FAILED)
    assert (full["VDS_CODE"], full["PRIORITY"]) == ("VDS_E_NOT_ENOUGH_SPACE", "4")
    assert gone.items() >= {"VDS_HRESULT": "0x8004240b", "VDS_OBJECT": lun, "PRIORITY": "6", **by}.items()
    assert not [entry for entry in entries.entries if "Query" in entry.get("VDS_METHOD", "")]


def test_trouble_has_a_kind(entries: Journal, simulated: SimulatedArray) -> None:
    """Of an operation that failed, of a corrupt cache and its recovery, of what others changed, and of a lost LUN."""
    array = simulated
    lun = array.make_lun()
    target, group = array.make_reachable_target()
    array.lose_portal(array.name_of(target))
    assert soon(lambda: entries.of(journal.DEVIATION))
    reply = array.call("IscsiPortalGroup.RemovePortal", id=group, portalId=array.portals_of(group)[0])
    assert array.result(reply)["hresult"] == Hresult.VDS_E_PROVIDER_CACHE_CORRUPT
    (failed,) = entries.of(journal.OPERATION_FAILED)
    expected = {"VDS_OPERATION": reply["async"], "VDS_OBJECT": group, "VDS_CODE": "VDS_E_PROVIDER_CACHE_CORRUPT"}
    assert failed.items() >= expected.items()
    (corrupt,) = entries.of(journal.CACHE_CORRUPT)
    assert corrupt["PRIORITY"] == "3"
    assert not entries.of(journal.CACHE_SOUND)
    array.call("HwProvider.Reenumerate")
    array.call("HwProvider.Refresh")
    assert entries.of(journal.CACHE_SOUND)
    array.break_volume(lun)
    array.call("HwProvider.Refresh")
    assert soon(lambda: [entry for entry in entries.of(journal.LUN_LOST) if entry["VDS_OBJECT"] == lun])


def test_no_secret_is_there(entries: Journal, simulated: SimulatedArray) -> None:
    """Not of a call that sets one, nor of one that fails."""
    target, _ = simulated.make_reachable_target()
    simulated.call("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret=SECRET)
    simulated.error("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret=f"{SECRET}-and-more-than-fits")
    simulated.error("IscsiTarget.SetSharedSecret", id="x", targetSharedSecret=SECRET)
    methods = [entry.get("VDS_METHOD") for entry in entries.read()]
    assert methods.count("IscsiTarget.SetSharedSecret") == 3
    assert SECRET not in repr(entries.entries)


def test_a_line_cannot_pass_for_a_field(entries: Journal) -> None:
    """Whatever a name has in it, an entry's fields are those that we gave."""
    text = "a name\nVDS_CALLER_UID=0\nMESSAGE_ID=x"
    logging.getLogger("test").warning("%s", text, extra=journal.about(journal.DEVIATION, object=text))
    (entry,) = entries.of(journal.DEVIATION)
    assert (entry["MESSAGE"], entry["VDS_OBJECT"], "VDS_CALLER_UID" in entry) == (text, text, False)


def test_a_long_line_is_cut(entries: Journal) -> None:
    """One that no datagram holds comes cut."""
    logging.getLogger("test").warning("x" * (32 << 20))
    (entry,) = entries.read()
    assert set(entry["MESSAGE"]) == {"x"}
    assert len(entry["MESSAGE"]) >= 1000


def test_a_traceback_is_in_the_message(entries: Journal) -> None:
    """On as many lines as it has."""
    try:
        raise ZeroDivisionError("on purpose")
    except ZeroDivisionError:
        logging.getLogger("test").exception("a bug")
    (entry,) = entries.read()
    assert entry["MESSAGE"].startswith("a bug\nTraceback")
    assert entry["CODE_FUNC"] == "test_a_traceback_is_in_the_message"


def test_a_journal_that_is_away_keeps_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it did not take is counted in the next line that it does."""
    path = tmp_path / "journal"
    monkeypatch.setattr(journal, "SOCKET", str(path))
    handler = journal.Handler()
    record = logging.LogRecord("test", logging.INFO, __file__, 1, "a line", (), None)
    handler.emit(record)
    handler.emit(record)
    back = Journal(path)
    handler.emit(record)
    handler.emit(record)
    handler.close()
    first, second = [entry["MESSAGE"] for entry in back.read()]
    assert "2 lines" in first
    assert second == "a line"
    back.close()


def test_only_what_systemd_connected_is_the_journal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A variable that somebody inherited, whose standard error is a file, is none."""
    status = os.fstat(2)
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    assert not journal.is_our_stderr()
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    assert journal.is_our_stderr()
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino + 1}")
    assert not journal.is_our_stderr()


def test_ids_are_ids() -> None:
    """Random, each another one, and every kind of event is in the table."""
    events = [value for value in vars(journal).values() if isinstance(value, journal.Event)]
    assert list(journal.EVENTS) == events
    assert len({event.id for event in events}) == len({event.name for event in events}) == len(events)
    for event in events:
        assert uuid.UUID(event.id).version == 4
        assert set(re.findall(r"@(\w+)@", event.subject + event.text)) <= set(journal.FIELDS)
