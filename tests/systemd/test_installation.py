"""The installation without a package, as docs/configuration.md has it, in a clean guest with systemd; and what docs/watching.md
has of journalctl, there."""

import re
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.boots_lab, pytest.mark.timeout(300)]


def block(document: str, start: str) -> list[str]:
    """The lines of the one block of commands in a document that begins so."""
    text = (CHECKOUT / f"docs/{document}.md").read_text()
    (found,) = re.findall(rf"^```sh\n({re.escape(start)} .*?)^```", text, re.MULTILINE | re.DOTALL)
    return str(found).splitlines()


def test_the_commands_of_the_document_install_it() -> None:
    """All but the first, which needs a network, and whose work the lab has done; then the daemon answers a client."""
    first, *commands = block("configuration", "python3 -m venv")
    assert first == "python3 -m venv /opt/vdsprovd && /opt/vdsprovd/bin/pip install '.[daemon]'"
    script = ["set -ex", f"cd {CHECKOUT}", "test -x /opt/vdsprovd/bin/vdsprovd", "! command -v vdsprovctl"]
    script += ["install -d -m 700 /srv/luns", *commands, "vdsprovctl lun create --size 1M", "vdsprovctl status"]
    script += [*block("watching", "journalctl"), *block("configuration", "systemctl enable --now")]
    lab = [str(CHECKOUT / "scripts/lab"), "--systemd", "--clean", "--timeout", "240", "--"]
    done = subprocess.run([*lab, "bash", "-c", "\n".join(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "LUNs:       1, online, healthy" in done.stdout
