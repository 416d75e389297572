"""Objects' ids."""

import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vdsprovd.ids import an_id, is_id, new_id

LUN = "0f8fad5b-d9cb-469f-a165-70867728950e"


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


@pytest.mark.parametrize(
    "text",
    [
        "",
        "../../etc/passwd",
        "0F8FAD5B-D9CB-469F-A165-70867728950E",
        f"{LUN}\n",
        f" {LUN}",
        LUN.replace("-", ""),
        f"{LUN}0",
    ],
)
def test_what_is_no_id(text: str) -> None:
    """What would be another path, or another name of the same object, is no id."""
    assert not is_id(text)
    with pytest.raises(ValueError, match="no id of an object"):
        an_id(text)


def test_what_is_an_id() -> None:
    """Of whichever version the UUID is: another provider may have made it."""
    for text in (LUN, new_id(), str(uuid.uuid1())):
        assert is_id(text)
        assert an_id(text) == text
