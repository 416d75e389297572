"""Work in threads, in as many as pays."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from vdsprovd.asking import asked
from vdsprovd.side_by_side import MOST, side_by_side


@pytest.fixture
def workers() -> Iterator[ThreadPoolExecutor]:
    """Threads for it."""
    with ThreadPoolExecutor(MOST) as executor:
        yield executor


def test_what_sleeps_is_done_side_by_side(workers: ThreadPoolExecutor) -> None:
    """The results come in the order of the items, and all threads are used."""
    threads = set()

    def doubled(number: int) -> int:
        threads.add(threading.get_ident())
        time.sleep(0.02)
        return 2 * number

    assert side_by_side(workers, doubled, range(200), str) == list(range(0, 400, 2))
    assert len(threads) == MOST


def test_what_does_not_sleep_is_done_by_one(workers: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the processors look idle, as they do on a virtual machine while another one has them."""
    monkeypatch.setattr(time, "process_time", lambda: 0.0)
    threads = set()

    def work(_: int) -> None:
        threads.add(threading.get_ident())
        end = time.perf_counter() + 0.001
        while time.perf_counter() < end:
            pass

    side_by_side(workers, work, range(300), str)
    assert len(threads) == 1


def test_one_that_hangs_keeps_no_other_from_being_done(workers: ThreadPoolExecutor) -> None:
    """Who looks sees for which the caller waits; what is raised comes out."""
    answer, done = threading.Event(), threading.Semaphore(0)
    caller, seen = threading.get_ident(), []

    def work(number: int) -> None:
        if number == 1:
            assert answer.wait(60)
            raise ValueError("an answer at last")
        done.release()

    def watch() -> None:
        for _ in range(9):
            done.acquire(timeout=60)
        while not (question := asked(caller)) or question.what != "do 1":
            time.sleep(0.01)
        seen.append(question.what)
        answer.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    with pytest.raises(ValueError, match="at last"):
        side_by_side(workers, work, range(10), lambda number: f"do {number}")
    watcher.join(60)
    assert seen == ["do 1"]
