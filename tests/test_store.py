"""The store: what it keeps, how it is opened, and what it refuses."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from rpds import HashTrieMap

from vdsprovd.hardware import Secret
from vdsprovd.inventory import Association, Entity, Lun, Portal, PortalGroup, StoragePool, SubSystem, Target
from vdsprovd.model import LunType
from vdsprovd.store import REMEMBERED, Store, StoreError

SUB_SYSTEM = SubSystem("s", "array0", "", "Array", True, online=False)
POOL = StoragePool("p", "s", "files0", "")
TARGET = Target(
    "t",
    "s",
    "iqn.x:t",
    "T",
    True,
    HashTrieMap({"": Secret("default-secret")}),
    HashTrieMap({"i": Secret("mutual-secret")}),
)
PORTAL = Portal("a", "s", "10.77.0.1", 3260, online=False)
GROUP = PortalGroup("g", "t", 1, ("a",))
LUN = Lun("l", "s", "p", 7, "/x/l.lun", "name", 4096, LunType.SIMPLE, ("i", "j"), False, (Association("t", 3),))
ALL: tuple[Entity, ...] = (SUB_SYSTEM, POOL, TARGET, PORTAL, GROUP, LUN)


def test_what_was_put_is_loaded_again(tmp_path: Path) -> None:
    """Every kind of object comes back with all that must last, from another process's view of the file."""
    store = Store(tmp_path)
    provider = store.load().provider_id
    store.finish(None, put=ALL)
    store.set_import_target("host", "s", "iqn.x:t")
    store.close()
    store = Store(tmp_path)
    found = store.load()
    assert set(found.entities) == set(ALL)
    assert found.provider_id == provider
    assert dict(found.import_targets) == {("host", "s"): "iqn.x:t"}
    store.close()


def test_dropped_objects_are_remembered_up_to_a_limit(tmp_path: Path) -> None:
    """The ids of deleted objects are kept, the newest so many of them."""
    store = Store(tmp_path)
    store.finish(None, put=(SUB_SYSTEM,))
    portals = [Portal(f"portal{number}", "s", "10.77.0.1", number) for number in range(REMEMBERED + 5)]
    store.finish(None, put=portals)
    store.finish(None, drop=portals)
    deleted = store.load().deleted
    assert len(deleted) == REMEMBERED
    assert deleted[-1] == portals[-1].id
    assert store.load().entities == (SUB_SYSTEM,)
    store.close()


def test_a_step_is_pending_until_it_is_finished(tmp_path: Path) -> None:
    """What was begun is found after a restart, with its detail; what was finished is not."""
    store = Store(tmp_path)
    first, second = store.begin("create_lun", lun="x", number=1), store.begin("change", claims=["iqn.x"])
    store.finish(first, put=ALL)
    store.close()
    store = Store(tmp_path)
    (pending,) = store.load().pending
    assert (pending.number, pending.kind, pending.detail) == (second, "change", {"claims": ["iqn.x"]})
    store.close()


def test_an_outcome_is_all_or_nothing(tmp_path: Path) -> None:
    """When one row of an outcome cannot be written none is, and the step stays pending."""
    store = Store(tmp_path)
    number = store.begin("change")
    with pytest.raises(sqlite3.IntegrityError):
        store.finish(number, put=(SUB_SYSTEM, POOL, Lun("l", "s", "nowhere", 1, "/x", "", 1, LunType.SIMPLE)))
    assert store.load().entities == ()
    assert [step.number for step in store.load().pending] == [number]
    store.close()


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    """Folder, database and lock are the owner's alone: CHAP secrets rest there."""
    store = Store(tmp_path / "state")
    store.finish(None, put=ALL)
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    for file in (tmp_path / "state").iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
    assert "secret" not in repr(store.load()).replace("secrets", "")
    store.close()


def test_whether_it_can_be_written_is_tried_by_writing(tmp_path: Path) -> None:
    """What is tried is a write to the disk, which a full one refuses, though it changes nothing."""
    store = Store(tmp_path)
    before, log = store.load(), tmp_path / "vdsprovd.sqlite-wal"
    size = log.stat().st_size
    store.try_write()
    assert log.stat().st_size > size
    assert store.load() == before
    store.close()


def test_a_second_daemon_is_refused_with_the_first_s_pid(tmp_path: Path) -> None:
    """Two processes on one store: the second says who has it."""
    store = Store(tmp_path)
    program = "import sys, pathlib; from vdsprovd.store import *; Store(pathlib.Path(sys.argv[1]))"
    second = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=False)
    assert second.returncode != 0
    import os

    assert f"another vdsprovd (pid {os.getpid()}) uses it" in second.stderr
    store.close()
    Store(tmp_path).close()


def test_damage_and_the_future_are_refused(tmp_path: Path) -> None:
    """A file that is no database, a damaged one, and one of a newer version are not opened."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "vdsprovd.sqlite").write_bytes(b"nonsense" * 1000)
    with pytest.raises(StoreError, match="not a database"):
        Store(tmp_path / "a")
    store = Store(tmp_path / "b")
    store.finish(None, put=ALL)
    store.close()
    file = tmp_path / "b" / "vdsprovd.sqlite"
    pages = bytearray(file.read_bytes())
    pages[4096:8192] = b"\xff" * 4096
    file.write_bytes(pages)
    with pytest.raises(StoreError, match="restore a backup"):
        Store(tmp_path / "b")
    store = Store(tmp_path / "c")
    store._db.execute("PRAGMA user_version = 99")
    store.close()
    with pytest.raises(StoreError, match="newer vdsprovd"):
        Store(tmp_path / "c")


def test_what_a_full_disk_did_not_take_is_written_later(tmp_path: Path) -> None:
    """The end of a step that is over is owed while the disk is full, with its outcome, and written before what is put
    next; the error that comes out is the disk's."""
    store = Store(tmp_path)
    store.finish(None, put=(SUB_SYSTEM, POOL))
    step = store.begin("create_lun", lun="l", pool="p")
    (pages,) = store._rows("PRAGMA page_count")[0]
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    many = [Portal(f"portal{number}", "s", "10.77.0.1", number) for number in range(1000)]
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.finish(None, put=many)
    assert "full" in str(store.owe(step, many))
    assert [entry.number for entry in store.load().pending] == [step]
    store._db.execute("PRAGMA max_page_count = 100000")
    store.finish(None, drop=many[:1])
    assert store.load().pending == ()
    assert len([entry for entry in store.load().entities if isinstance(entry, Portal)]) == 999
    store.close()


def test_an_intent_is_told_more(tmp_path: Path) -> None:
    """What is added to a step's intent is there after a crash, with what it said before."""
    store = Store(tmp_path)
    step = store.begin("add_plex", lun="l", source="m")
    store.advance(step, absorbed=True)
    store.close()
    store = Store(tmp_path)
    assert store.load().pending[0].detail == {"lun": "l", "source": "m", "absorbed": True}
    store.close()
