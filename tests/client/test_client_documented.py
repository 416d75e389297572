"""docs/client.md: what it shows works as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.arrays import GIB, SimulatedArray
from vdsprovd.client import Client
from vdsprovd.hardware.simulator import SimulatedPool

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs/client.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_examples(simulated: SimulatedArray, example: str) -> None:
    """Each example runs against a daemon, but for the path of its socket as it is, and says nothing on standard error."""
    simulated.pools["array0", "files0"] = SimulatedPool(100 * GIB)
    simulated.restart()
    program = example.replace("Client()", f"Client({str(simulated.socket)!r})")
    assert program != example
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    if '"database"' in example:
        with Client(simulated.socket) as vds:
            (lun,) = vds.sub_system(simulated.sub_system).query_luns()
        assert (lun.friendly_name, lun.size) == ("database", 10 * GIB)


def test_every_kind_of_object_is_named() -> None:
    """The kinds of object that a client has stand in the document."""
    for name in ("Client", "AsyncClient", "operation", *vars(Client.__mro__[1])):
        if not name.startswith("_"):
            assert re.search(rf"`(?:vds\.)?{name}\b", DOCUMENT), name
