"""The store: what it keeps, how it is opened, and what it refuses."""

import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import msgspec
import pytest

from tests.stored import ALL, POOL, SUB_SYSTEM
from vdsprovd import backups, digests
from vdsprovd.backups import StoreError
from vdsprovd.inventory import Lun, Portal
from vdsprovd.model import LunType
from vdsprovd.store import REMEMBERED, Store


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


@pytest.mark.parametrize("many", [1, 15, 16, 17, 32, 100])
def test_many_of_a_kind_come_back_as_few_do(tmp_path: Path, many: int) -> None:
    """Rows are written some at a time: all of them, once each, also over those that are there; and their sums are right."""
    made = [portal(number) for number in range(many)]
    changed = [msgspec.structs.replace(one, online=False) for one in made]
    with closing(Store(tmp_path)) as store:
        store.finish(None, put=(SUB_SYSTEM, *made))
        assert store.load().entities == (SUB_SYSTEM, *made)
        store.finish(None, put=changed)
    with closing(Store(tmp_path)) as store:  # which looks at the sums
        assert store.load().entities == (SUB_SYSTEM, *changed)


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


def at_once(store: Store, *writes: Callable[[], object]) -> list[object]:
    """Do all of these in threads that come while somebody else has the store; gives what each returned or raised."""

    def outcome(write: Callable[[], object]) -> object:
        try:
            return write()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(writes)) as threads:
        with store._lock:
            found = [threads.submit(outcome, write) for write in writes]
            while store._arriving < len(writes):
                time.sleep(0.001)
        return [future.result(30) for future in found]


def portals_of(folder: Path) -> set[str]:
    """The ids of the portals in the database, as another process reads them."""
    with closing(sqlite3.connect(folder / backups.NAME)) as db:
        return {id for (id,) in db.execute("SELECT id FROM portal")}


def portal(number: int) -> Portal:
    """One of many."""
    return Portal(f"portal{number}", "s", "10.77.0.1", number)


def test_what_many_write_at_once_is_one_transaction(tmp_path: Path) -> None:
    """Each has what it wrote on the disk when its call returns, at the cost of one."""
    with closing(Store(tmp_path)) as store:
        store.finish(None, put=(SUB_SYSTEM,))
        statements: list[str] = []
        store._db.set_trace_callback(statements.append)

        def write(number: int, step: object) -> bool:
            store.finish(int(str(step)), put=(portal(number),))
            return f"portal{number}" in portals_of(tmp_path)

        steps = at_once(store, *[partial(store.begin, "change", number=number) for number in range(16)])
        assert statements.count("COMMIT") == 1
        assert len({*steps}) == 16
        assert at_once(store, *[partial(write, number, step) for number, step in enumerate(steps)]) == [True] * 16
        assert statements.count("COMMIT") == 2
        assert store.load().pending == ()
        store.finish(None, put=(portal(100),))
        assert statements.count("COMMIT") == 3
        store.check()


@pytest.mark.parametrize("seed", range(10))
def test_one_of_many_that_cannot_be_written(tmp_path: Path, seed: int) -> None:
    """Nothing of it is, and all of the others."""
    with closing(Store(tmp_path)) as store:
        store.finish(None, put=(SUB_SYSTEM,))
        bad = set(random.Random(seed).sample(range(8), 3))
        orphan = Lun("l", "s", "nowhere", 1, "/x", "", 1, LunType.SIMPLE)
        writes = [
            partial(store.finish, None, (portal(number), orphan) if number in bad else (portal(number),))
            for number in range(8)
        ]
        for number, outcome in enumerate(at_once(store, *writes)):
            assert isinstance(outcome, sqlite3.IntegrityError) == (number in bad)
        assert portals_of(tmp_path) == {f"portal{number}" for number in range(8)} - {
            f"portal{number}" for number in bad
        }
        store.check()


@pytest.mark.parametrize("room", [0, 1, 2, 4, 8, 16, 32])
def test_a_disk_that_is_full_for_some_of_many(tmp_path: Path, room: int) -> None:
    """Who is told that it was written finds it on the disk; who is told that it was not does not, and each is told by an
    error of its own."""
    with closing(Store(tmp_path)) as store:
        store.finish(None, put=(SUB_SYSTEM,))
        (pages,) = store._rows("PRAGMA page_count")[0]
        store._db.execute(f"PRAGMA max_page_count = {pages + room}")
        parts = [[portal(1000 * part + number) for number in range(40 * part)] for part in range(1, 9)]
        outcomes = at_once(store, *[partial(store.finish, None, part) for part in parts])
        there = portals_of(tmp_path)
        for part, outcome in zip(parts, outcomes, strict=True):
            assert {entry.id for entry in part} & there == (set() if outcome else {entry.id for entry in part})
        errors = [outcome for outcome in outcomes if outcome]
        assert all(isinstance(error, sqlite3.OperationalError) and "full" in str(error) for error in errors)
        assert len({id(error) for error in errors}) == len(errors)
        store._db.execute("PRAGMA max_page_count = 100000")
        store.finish(None, put=(portal(1),))
        store.check()


def test_many_of_whom_none_is_written_in_the_end(tmp_path: Path) -> None:
    """When the transaction cannot be ended, each is told so by an error of its own: notes are made in it."""
    with closing(Store(tmp_path)) as store:
        store.finish(None, put=(SUB_SYSTEM,))

        def spoil() -> None:
            with store._transaction():
                store._db.execute("PRAGMA defer_foreign_keys = ON")
                store._db.execute("INSERT INTO port (id, controller_id, online) VALUES ('p', 'nowhere', 1)")

        outcomes = at_once(store, *[partial(store.finish, None, (portal(number),)) for number in range(4)], spoil)
        assert all(isinstance(outcome, sqlite3.IntegrityError) for outcome in outcomes)
        assert len({id(outcome) for outcome in outcomes}) == 5
        assert all(getattr(outcome, "sqlite_errorcode", 0) for outcome in outcomes)
        assert portals_of(tmp_path) == set()
        store.finish(None, put=(portal(1),))
        store.check()


def test_many_that_write_what_is_damaged(tmp_path: Path) -> None:
    """All are refused, and none waits for another."""
    with closing(Store(tmp_path)) as store:
        store.finish(None, put=(SUB_SYSTEM,))
        store.damage = "a page of it is not what was written"
        outcomes = at_once(store, *[partial(store.finish, None, (portal(number),)) for number in range(8)])
        assert all(isinstance(outcome, digests.Damaged) for outcome in outcomes)
        store.damage = ""
        store.finish(None, put=(portal(9),))
        assert portals_of(tmp_path) == {"portal9"}


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
    with pytest.raises(StoreError, match="vdsprovd --rescue"):
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


def test_a_store_of_an_older_version_is_taken_over(tmp_path: Path) -> None:
    """One without checksums is migrated with all that is in it, and has them then."""
    store = Store(tmp_path)
    store.finish(None, put=ALL)
    store.close()
    with closing(sqlite3.connect(tmp_path / backups.NAME, isolation_level=None)) as db:
        db.execute("DROP TABLE digest")
        db.execute("ALTER TABLE lun DROP COLUMN product")
        db.execute("ALTER TABLE secret DROP COLUMN user")
        db.execute("PRAGMA user_version = 3")
    store = Store(tmp_path)
    assert set(store.load().entities) == set(ALL)
    store.check()
    store.close()


def test_a_store_is_closed_when_what_was_begun_with_it_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon may be stopped while a refresh makes the store anew in another thread; SQLite would end the process."""
    store = Store(tmp_path)
    store.finish(None, put=ALL)
    truth = store.load()
    begun, go_on, place = threading.Event(), threading.Event(), backups.place

    def late(new: Path, folder: Path) -> Path | None:
        begun.set()
        assert go_on.wait(20)
        return place(new, folder)

    monkeypatch.setattr(backups, "place", late)
    renewing, closing_it = threading.Thread(target=store.renew, args=(truth,)), threading.Thread(target=store.close)
    renewing.start()
    assert begun.wait(20)
    closing_it.start()
    closing_it.join(0.2)
    assert closing_it.is_alive()
    go_on.set()
    renewing.join(20)
    closing_it.join(20)
    with closing(Store(tmp_path)) as after:
        assert after.load() == truth
        # The folder has another holder now.
        with pytest.raises(StoreError, match="closed"):
            store.renew(truth)


def test_a_store_is_made_anew_while_it_is_read(tmp_path: Path) -> None:
    """Its audit and its backup read the file by its name, which is another one's in the next moment."""
    store = Store(tmp_path)
    store.finish(None, put=ALL)
    truth, over = store.load(), threading.Event()

    def read() -> None:
        while not over.is_set():
            store.check()
            store.back_up(2)

    with ThreadPoolExecutor(2) as threads:
        readers = [threads.submit(read) for _ in range(2)]
        for _ in range(20):
            store.renew(truth)
        over.set()
        for reader in readers:
            reader.result()
    assert not store.damage
    assert store.load() == truth
    store.close()


@pytest.mark.parametrize("moment", range(4))
def test_a_new_store_takes_the_place_of_the_old_one_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """Whenever the power fails meanwhile, the next start has the old one or the new one."""
    store = Store(tmp_path)
    store.finish(None, put=(SUB_SYSTEM,))
    with closing(Store(None)) as new:
        new.finish(None, put=ALL)
        rename, left = Path.rename, iter(range(moment, -1, -1))

        def cut(self: Path, target: Path) -> Path:
            if next(left) == 0:
                raise KeyboardInterrupt
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", cut)
        with pytest.raises(KeyboardInterrupt):
            new.put_into(tmp_path)
    monkeypatch.undo()
    store.close()
    store = Store(tmp_path)
    assert set(store.load().entities) == ({SUB_SYSTEM} if moment <= 1 else set(ALL))
    store.close()


def test_a_store_that_is_gone_is_not_begun_anew(tmp_path: Path) -> None:
    """Where there are backups of a store, or its log, a missing or empty file is damage."""
    store = Store(tmp_path)
    store.finish(None, put=ALL)
    backups.make(tmp_path, 3)
    store.close()
    (tmp_path / backups.NAME).unlink()
    with pytest.raises(StoreError, match=r"it is gone; the newest good backup is .*backups/vdsprovd-"):
        Store(tmp_path)
    (tmp_path / backups.NAME).touch()
    with pytest.raises(StoreError, match="it is empty; the newest good backup is"):
        Store(tmp_path)


def test_a_change_counts_once_it_lasts(tmp_path: Path) -> None:
    """A backup that is made before lacks it, and must not be taken for the last that is needed."""
    with closing(Store(tmp_path)) as store:
        store.finish(None, put=(SUB_SYSTEM,))
        before = store.changes
        with store._transaction():
            store._db.execute("UPDATE sub_system SET name = 'another'")
            store.back_up(1)
            assert store.changes == before
        assert store.changes != before
        assert store.back_up(1), "it says something else than the first"
        now = store.changes
        store.renew(store.load())
        assert store.changes != now
