"""Backups of the store: what they have, which are kept, and what is none."""

import errno
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.stored import ALL, LUN
from vdsprovd import backups, digests
from vdsprovd.store import Store


def test_backups(tmp_path: Path) -> None:
    """A backup has everything, is made while the store is in use, and only when something changed; it is the owner's alone,
    and one that is damaged does not count."""
    store = Store(tmp_path)
    store.finish(None, put=ALL)
    first = backups.make(tmp_path, 3)
    assert first
    assert backups.make(tmp_path, 3) is None
    store.finish(store.begin("change"), drop=(LUN,))
    second = backups.make(tmp_path, 3)
    assert second
    store.close()
    assert list(backups.good_ones(tmp_path)) == [second, first]
    assert first.stat().st_mode & 0o777 == 0o600
    assert first.parent.stat().st_mode & 0o777 == 0o700
    second.write_bytes(second.read_bytes().replace(b"iqn.x:t", b"iqn.x:u"))
    assert list(backups.good_ones(tmp_path)) == [first]
    (tmp_path / backups.NAME).write_bytes(first.read_bytes())
    store = Store(tmp_path)
    assert set(store.load().entities) == set(ALL)
    store.close()


def test_what_is_damaged_is_not_backed_up(tmp_path: Path) -> None:
    """A backup that would be of a damaged store fails, and leaves no file."""
    store = Store(tmp_path)
    store.finish(None, put=ALL)
    with closing(sqlite3.connect(tmp_path / backups.NAME, isolation_level=None)) as db:
        db.execute("UPDATE lun SET size = 1")
    with pytest.raises(digests.Damaged):
        backups.make(tmp_path, 3)
    assert list((tmp_path / backups.FOLDER).iterdir()) == []
    store.close()


def test_backups_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backup for which there is no room leaves those that there are, and nothing of itself."""
    store = Store(tmp_path)
    first = backups.make(tmp_path, 1)
    assert first
    store.finish(None, put=ALL)

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(backups, "sync", full)
    with pytest.raises(OSError, match="No space left"):
        backups.make(tmp_path, 1)
    assert list((tmp_path / backups.FOLDER).iterdir()) == [first]
    store.close()


def test_the_ages_of_backups_are_spread(tmp_path: Path) -> None:
    """Of a backup every ten minutes for ten days, those kept are of minutes, hours and days ago."""
    begin, files = datetime(2026, 11, 1, tzinfo=UTC), list[Path]()
    for number in range(1440):
        time = begin + timedelta(minutes=10 * number)
        files.insert(0, tmp_path / f"vdsprovd-{time.strftime('%Y%m%dT%H%M%S.%fZ')}.sqlite")
        for gone in backups._thinned(files, 8):
            files.remove(gone)
    ages = [number * 10 for number in range(1440) if any(_at(begin, 1439 - number) in file.name for file in files)]
    assert len(ages) == 8
    assert ages[0] == 0
    assert ages[1] <= 60
    assert ages[2] <= 300
    assert ages[4] <= 3000
    assert ages[-1] == 14390


def _at(begin: datetime, number: int) -> str:
    return (begin + timedelta(minutes=10 * number)).strftime("%Y%m%dT%H%M%S")
