"""Nobody looks for garbage while everything is looked at."""

import gc

import pytest

from vdsprovd import garbage


def test_garbage_is_left_alone_until_the_last_who_wants_that_is_done() -> None:
    """Two scans may overlap, and one may break off."""
    assert gc.isenabled()
    with garbage.left_alone():
        with pytest.raises(RuntimeError), garbage.left_alone():
            raise RuntimeError
        assert not gc.isenabled()
    assert gc.isenabled()
