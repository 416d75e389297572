"""Damage to the store, and power cuts: what is noticed, and that nothing that was acknowledged is lost."""

import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.stored import ALL, GROUP, LUN, POOL, PORTAL, SUB_SYSTEM, TARGET
from vdsprovd import backups, digests
from vdsprovd.backups import StoreError
from vdsprovd.inventory import Lun
from vdsprovd.model import LunType
from vdsprovd.store import Store

FLIPS = int(os.environ.get("VDSPROVD_STORE_FLIPS", "300"))
"""How many bits are tried."""


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    """Whichever bit of the file flips: the store is refused with what to do, or it says what it said before, because the bit
    was in a part that is not used."""
    store = Store(tmp_path)
    store.finish(None, put=ALL)
    store.set_import_target("host", "s", "iqn.x:t")
    store.begin("change", claims=["iqn.x:t"])
    truth = store.load()
    store.close()
    file = tmp_path / backups.NAME
    whole, chance = file.read_bytes(), random.Random(1)
    used = [place for place, byte in enumerate(whole) if byte]
    refused = 0
    for _ in range(FLIPS):
        pages = bytearray(whole)
        pages[chance.choice(used)] ^= 1 << chance.randrange(8)
        file.write_bytes(pages)
        try:
            store = Store(tmp_path)
        except StoreError:
            refused += 1
            assert file.read_bytes() == pages, "what is damaged is kept as it is"
        else:
            found = store.load()
            store.close()
            assert sorted(map(repr, found.entities)) == sorted(map(repr, truth.entities))
            assert (found.provider_id, found.import_targets, found.pending) == (
                truth.provider_id,
                truth.import_targets,
                truth.pending,
            )
    assert refused > FLIPS // 2


def test_every_change_keeps_the_checksums(tmp_path: Path) -> None:
    """Rows that are added, changed, replaced and deleted, with what hangs on them, leave sums that are right."""
    store = Store(tmp_path)
    store.finish(None, put=ALL)
    store.check()
    store.finish(store.begin("x"), put=(Lun("l", "s", "p", 7, "/x", "other", 8192, LunType.SIMPLE, (), True),))
    step = store.begin("y", lun="l")
    store.advance(step, more=1)
    for name in ("iqn.x:t", "iqn.x:u", None):
        store.set_import_target("host", "s", name)
        store.check()
    store.finish(None, drop=(LUN, GROUP, TARGET, PORTAL))
    store.finish(None, put=(PORTAL,))
    store.finish(None, drop=(PORTAL,))
    store.check()
    assert len(store.load().pending) == 1
    store.close()
    Store(tmp_path).close()


def test_damage_under_an_open_store(tmp_path: Path) -> None:
    """A text that somebody changes in the file is found by the next check; then nothing is written any more, until the store
    is made anew from what is known, with the steps under way. The damaged one is kept."""
    store = Store(tmp_path)
    step, over = store.begin("delete_lun", lun="l"), store.begin("change")
    store.finish(over, put=ALL)
    truth = store.load()
    with closing(sqlite3.connect(tmp_path / backups.NAME, isolation_level=None)) as db:
        db.execute("UPDATE lun SET mask = 'i;k'")
    with pytest.raises(digests.Damaged, match="rows of lun"):
        store.check()
    with pytest.raises(digests.Damaged, match="rows of lun"):
        store.begin("change")
    kept = store.renew(truth)
    store.check()
    assert store.load() == truth
    assert [entry.number for entry in truth.pending] == [step]
    store.finish(store.begin("change"), drop=(LUN,))
    store.close()
    assert kept
    assert "rows of lun" in backups.check(kept)
    store = Store(tmp_path)
    assert LUN not in store.load().entities
    store.close()


CUTS = int(os.environ.get("VDSPROVD_STORE_CUTS", "60"))
"""How many power cuts are tried."""


def test_what_was_written_outlives_a_power_cut(tmp_path: Path) -> None:
    """Whatever of the log that was not waited for is on the disk, whole, in part or as junk: the store opens, is sound, has
    all that was acknowledged, and of what was not, each step as a whole or not at all."""
    folder, chance = tmp_path / "state", random.Random(2)
    store = Store(folder)
    store.finish(None, put=(SUB_SYSTEM, POOL))
    file, log = folder / backups.NAME, folder / f"{backups.NAME}-wal"
    acknowledged = [log.stat().st_size]
    """How long the log is after each command."""
    for number in range(20):
        step = store.begin("create_lun", lun=f"l{number}")
        store.finish(step, put=[Lun(f"l{number}", "s", "p", number, "/x", "", 4096, LunType.SIMPLE)])
        acknowledged.append(log.stat().st_size)
    database, whole = file.read_bytes(), log.read_bytes()
    for number in range(CUTS):
        end = chance.randint(acknowledged[0], len(whole))
        rest = bytes(chance.randbytes(chance.randint(0, 9000))) if chance.random() < 0.5 else b""
        state = tmp_path / f"cut{number}"
        state.mkdir()
        (state / backups.NAME).write_bytes(database)
        (state / f"{backups.NAME}-wal").write_bytes(whole[:end] + rest)
        after = Store(state)
        after.check()
        found = {entry.id for entry in after.load().entities if isinstance(entry, Lun)}
        least = sum(size <= end for size in acknowledged) - 1
        assert found == {f"l{number}" for number in range(len(found))}
        assert least <= len(found) <= least + 1
        assert len(after.load().pending) <= 1
        after.close()
    store.close()


def test_damage_within_the_log_is_noticed(tmp_path: Path) -> None:
    """A bit that flips in the log of a daemon that was killed: the store is refused, and not a byte of it changed, or nothing
    but the last step is lost, for that is what a power cut may do."""
    folder, chance = tmp_path / "state", random.Random(3)
    store = Store(folder)
    store.finish(None, put=(SUB_SYSTEM, POOL))
    for number in range(20):
        store.finish(None, put=[Lun(f"l{number}", "s", "p", number, "/x", "", 4096, LunType.SIMPLE)])
    log = folder / f"{backups.NAME}-wal"
    database, whole = (folder / backups.NAME).read_bytes(), log.read_bytes()
    store.close()
    refused = 0
    for number in range(FLIPS // 3):
        pages = bytearray(whole)
        pages[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        state = tmp_path / f"flip{number}"
        state.mkdir()
        files = {state / backups.NAME: database, state / log.name: bytes(pages)}
        for file, content in files.items():
            file.write_bytes(content)
        try:
            after = Store(state)
        except StoreError as error:
            refused += 1
            assert "vdsprovd --rescue" in str(error)
            assert all(file.read_bytes() == content for file, content in files.items())
        else:
            found = {entry.id for entry in after.load().entities if isinstance(entry, Lun)}
            assert {f"l{number}" for number in range(19)} <= found
            after.close()
    assert refused > FLIPS // 4
