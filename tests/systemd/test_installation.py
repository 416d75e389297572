"""The installation without a package, as docs/configuration.md has it, in a clean guest with systemd."""

import re
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.boots_lab, pytest.mark.timeout(300)]


def test_the_commands_of_the_document_install_it() -> None:
    """All but the first, which needs a network, and whose work the lab has done; then the daemon answers a client."""
    document = (CHECKOUT / "docs/configuration.md").read_text()
    (block,) = re.findall(r"^```sh\n(python3 -m venv .*?)^```", document, re.MULTILINE | re.DOTALL)
    first, *commands = block.splitlines()
    assert first == "python3 -m venv /opt/vdsprovd && /opt/vdsprovd/bin/pip install '.[daemon]'"
    script = ["set -ex", f"cd {CHECKOUT}", "test -x /opt/vdsprovd/bin/vdsprovd", "! command -v vdsprovctl"]
    script += ["install -d -m 700 /srv/luns", *commands, "vdsprovctl lun create --size 1M", "vdsprovctl status"]
    lab = [str(CHECKOUT / "scripts/lab"), "--systemd", "--clean", "--timeout", "240", "--"]
    done = subprocess.run([*lab, "bash", "-c", "\n".join(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "LUNs:       1, online, healthy" in done.stdout
