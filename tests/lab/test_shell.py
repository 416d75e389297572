"""`vdsprovctl shell` on the kernel's target: what is typed there is in the kernel, and what others do there is seen."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.arrays import ADDRESS, LioArray
from tests.cli.vdsprovctl import Daemon
from tests.terminal import Terminal, on_terminal

pytestmark = pytest.mark.lab

WEB = "iqn.2026-11.org.example:shell"
TARGET = Path(f"/sys/kernel/config/target/iscsi/{WEB}")
GROUP = TARGET / "tpgt_1"


def test_a_walk(lio: LioArray, tmp_path: Path) -> None:
    """A LUN is made, given to an initiator and taken away, with Tab; a portal that somebody removes is missed, and put
    back."""
    daemon = Daemon(lio.socket)
    environment = daemon.environment() | {"HOME": str(tmp_path)}
    with on_terminal([sys.executable, "-m", "vdsprovd.cli", "shell"], tmp_path, environment) as terminal:
        terminal.expect("/> ")

        def says(line: str, prompt: str) -> str:
            terminal.type(f"{line}\r")
            terminal.expect("\n")
            return terminal.expect(prompt)

        says("cd array0/tar\t", "/array0/targets> ")
        assert "Created target" in says(f"create {WEB} portal={ADDRESS}:3260", "/array0/targets> ")
        assert (GROUP / "np" / f"{ADDRESS}:3260").is_dir()
        assert "Created LUN web0" in says("../luns/ create web0 size=8M target=\t", "/array0/targets> ")
        assert list(GROUP.glob("lun/lun_*/*")), "it is not linked into the target"
        says("cd ../luns/web0", "/array0/luns/web0> ")
        says("mask/ add iqn.2026-11.org.example:host9", "/array0/luns/web0> ")
        assert (GROUP / "acls/iqn.2026-11.org.example:host9").is_dir()
        assert "iqn.2026-11.org.example:host9" in says("ls", "/array0/luns/web0> ")
        _secret(terminal)
        # Somebody else.
        (GROUP / "np" / f"{ADDRESS}:3260").rmdir()
        group = f"/array0/targets/{WEB}/portal-groups/1"
        terminal.type(f"{group} remove-portal {ADDRESS}:3260 yes=true\r")
        terminal.expect("VDS_E_PROVIDER_CACHE_CORRUPT")
        terminal.expect("(cache corrupt)")
        says("/ recover", "/array0/luns/web0> ")
        assert (GROUP / "np" / f"{ADDRESS}:3260").is_dir()
        says("delete yes=true", "/array0/luns> ")
        assert not list(GROUP.glob("lun/lun_*"))
        says(f"{group} remove-portal {ADDRESS}:3260 yes=true", "/array0/luns> ")
        says(f"{group} delete yes=true", "/array0/luns> ")
        says(f"../targets/{WEB} delete yes=true", "/array0/luns> ")
        assert not TARGET.exists()
        terminal.type("exit\r")
        assert terminal.end() == 0
    daemon.client.close()


def _secret(terminal: Terminal) -> None:
    terminal.type(f"/array0/targets/{WEB}/chap set\r")
    for question in ("CHAP secret: ", "Repeat for confirmation: "):
        terminal.expect(question)
        terminal.type("twelve-bytes\r")
    terminal.expect("/array0/luns/web0> ")
    assert (GROUP / "acls/iqn.2026-11.org.example:host9/auth/password").read_text().strip() == "twelve-bytes"
    assert "twelve-bytes" not in terminal.shown


def test_what_others_have(lio: LioArray) -> None:
    """It is read from the kernel when it is looked at, and only then."""
    theirs = Path("/sys/kernel/config/target/iscsi/iqn.2003-01.org.example:theirs")
    theirs.mkdir()
    try:
        command = [sys.executable, "-m", "vdsprovd.cli", "--socket", str(lio.socket), "shell", "ls"]
        shown = subprocess.run([*command, "/foreign"], capture_output=True, text=True, check=True).stdout
        assert "o- foreign" in shown
        assert "iqn.2003-01.org.example:theirs" in shown
        shown = subprocess.run([*command, "/"], capture_output=True, text=True, check=True).stdout
        assert "read when it is looked at" in shown
    finally:
        theirs.rmdir()
