"""The daemon with each version of rtslib: `VDSPROVD_RTSLIB` names one of the lab's, without it there is the newest.

What touches rtslib is in `tests/lab/test_kernel.py`, `tests/lab/test_boot.py` and `tests/contract/test_target.py`, which
scripts/test runs once with each.
"""

import inspect
import os
import re
import subprocess
from pathlib import Path

import pytest
from rtslib_fb import FabricModule, Target

from vdsprovd.hardware import Group, Mismatch, Refused, Step
from vdsprovd.hardware.lio import Lio, configfs, rtslib

pytestmark = [pytest.mark.lab, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

NAME = "iqn.2026-11.org.example:rtslib"


def test_the_version_is_the_one_that_was_asked_for() -> None:
    """What these tests, and the daemons that they start, have loaded."""
    wanted = os.environ.get("VDSPROVD_RTSLIB")
    found = Path(inspect.getfile(rtslib.FabricModule)).parents[1]
    assert str(found) == f"/opt/rtslib/{wanted}" if wanted else found.is_relative_to("/opt/vdsprovd")


def test_one_of_its_two_copies_is_loaded() -> None:
    """The other has exceptions of its own, which nobody would catch."""
    program = "import sys, vdsprovd.hardware.lio; print(*(name for name in sys.modules if name.startswith('rtslib')))"
    loaded = subprocess.run(["python3", "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "rtslib_fb.root" in loaded
    assert not [name for name in loaded if re.match(r"rtslib(\.|$)", name)]


def test_what_is_not_in_the_kernel_is_a_mismatch() -> None:
    """Whatever its exception is called, which 2.2 has renamed."""
    hardware = Lio({})
    with pytest.raises(Mismatch, match=NAME):
        hardware.take(Step(None, Group(NAME, 1, enabled=False, authentication=True, alias="")))


def test_what_the_kernel_refuses_has_its_reason() -> None:
    """Each version hides the kernel's errno in a text of its own; it is found all the same."""
    Lio({})
    with pytest.raises(Refused, match="Invalid argument"), configfs.Door("add a target"):
        Target(FabricModule("iscsi"), f"iqn.2026-11.org.example:{'x' * 230}", "create")


def test_reservations_have_one_place() -> None:
    """Debian's build has a folder of its own, which need not exist; with each build the kernel keeps them in the same."""
    Lio({})
    assert configfs.read(configfs.ROOT / "dbroot") == rtslib.STATE
