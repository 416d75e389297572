"""Objects' ids."""

import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vdsprovd.ids import new_id


def test_ids_are_random_uuids_and_never_the_same() -> None:
    """More of them than are made at once, by several threads."""
    with ThreadPoolExecutor(8) as threads:
        made = [id for some in threads.map(lambda _: [new_id() for _ in range(500)], range(8)) for id in some]
    assert len(set(made)) == 4000
    parsed = [uuid.UUID(id) for id in made]
    assert [str(id) for id in parsed] == made
    assert {(id.version, id.variant) for id in parsed} == {(4, uuid.RFC_4122)}


def test_a_forked_process_has_ids_of_its_own(tmp_path: Path) -> None:
    """Those that were made before it began are its parent's."""
    new_id()  # others are ready now
    child = os.fork()
    if not child:
        (tmp_path / "ids").write_text("\n".join(new_id() for _ in range(100)))
        os._exit(0)
    os.waitpid(child, 0)
    theirs = set((tmp_path / "ids").read_text().split())
    assert len(theirs) == 100
    assert theirs.isdisjoint(new_id() for _ in range(100))
