"""The shell at a terminal: Tab, others' changes, Ctrl-C, and what stays when it ends."""

import os
import signal
import time
from pathlib import Path

from tests.arrays import SimulatedArray
from tests.cli.shell.conftest import Open, plain
from tests.cli.vdsprovctl import MIB, Daemon

WEB = "iqn.2026-11.org.example:web"


def test_tab(daemon: Daemon, shell: Open) -> None:
    """Paths, commands, parameters and values are completed with what there is now."""
    daemon.make_target(WEB, "web")
    with shell(daemon) as prompt:
        prompt.type("cd arr\tl\t")
        prompt.expect("array0/luns/")
        prompt.says("", "/array0/luns> ")
        # An unambiguous beginning is completed to its end, an ambiguous one shown.
        prompt.type("cre\tsiz\t10M po\tf\tweb0\r")
        assert "Created LUN web0" in prompt.expect("/array0/luns> ")
        assert "create size=10M pool=files0 web0" in plain(prompt.terminal.shown)
        prompt.type("web\t ass\tiqn\t\r")
        assert f"is reached through {WEB}" in prompt.expect("/array0/luns> ")
        prompt.type("web0/\t\t")
        shown = prompt.expect("targets/")
        assert "mask/" in shown and "luns" not in shown
        prompt.type("\x15create web1 size=1M type=\t\t")
        prompt.expect("non_fault_tolerant")
        prompt.type("\x15ls /array0/targets/\t")
        prompt.expect(f"{WEB}/")
        # Others make one: the next Tab knows it.
        daemon.make_lun("web1")
        prompt.type("\x15delete \t\t")
        assert "web0" in prompt.expect("web1")
        prompt.type("\x15exit\r")
        assert prompt.terminal.end() == 0


def test_no_completion_does_harm(daemon: Daemon, shell: Open) -> None:
    """What is not there, or is written wrong, has none, and the line can be finished."""
    with shell(daemon) as prompt:
        for line in ("/nowhere/\t\t", "ls 'a\t\t", "frob x\t\t", "/array0/luns create size=\t\t", "/*/\t\t", "..\t\t"):
            prompt.type(line + "\x15")
        assert "/" in prompt.says("pwd", "/> ")


def test_what_others_change_is_shown(daemon: Daemon, shell: Open) -> None:
    """The next look shows it; a node whose object is gone is left, and what was to be done there is not done."""
    lun, other = daemon.make_lun("web0"), daemon.make_lun("web1")
    with shell(daemon) as prompt:
        prompt.says("cd /array0/luns/web0", "/array0/luns/web0> ")
        daemon.client.call("LunNaming.SetFriendlyName", id=lun, friendlyName="renamed")
        assert "1.0 MiB" in prompt.says("ls", "/array0/luns/renamed> ")
        prompt.says("cd mask", "/array0/luns/renamed/mask> ")
        daemon.client.call("Lun.Delete", id=lun)
        said = prompt.says("add iqn.2026-11.org.example:a", "/array0/luns> ")
        assert "LUN renamed is gone; you are in /array0/luns now" in said
        assert "so nothing was done" in said
        assert daemon.client.luns(daemon.sub_system())[0]["unmaskingList"] == ""
        daemon.make_lun("web2")
        assert "web2" in prompt.says("ls", "/array0/luns> ")
        # One's own deletion is no other's.
        prompt.says("cd web1", "/array0/luns/web1> ")
        assert "is gone; you are in /array0/luns now" in prompt.says("delete yes=true", "/array0/luns> ")
        assert other not in [entry["id"] for entry in daemon.client.luns(daemon.sub_system())]


def test_the_daemon_is_started_anew(array: tuple[SimulatedArray, Daemon], shell: Open) -> None:
    """The shell goes on where it was; meanwhile it says that there is no daemon."""
    simulated, daemon = array
    lun = simulated.make_lun()
    with shell(daemon) as prompt:
        prompt.says(f"cd /array0/luns/{lun}", f"{lun}> ")
        simulated.restart()
        assert "1.0 MiB" in prompt.says("ls", f"{lun}> ")
        simulated.stop()
        prompt.type("\r")
        assert "(no daemon)" in prompt.expect("> ")
        simulated.start()
        prompt.type("\r")
        prompt.expect(f"{lun}> ")
        assert "1.0 MiB" in prompt.says("ls", f"{lun}> ")


def test_a_corrupt_cache_is_marked(array: tuple[SimulatedArray, Daemon], shell: Open) -> None:
    """In the prompt, until it is sound again."""
    simulated, daemon = array
    with shell(daemon) as prompt:
        prompt.says("cd array0", "/array0> ")
        simulated.prove_corruption()
        prompt.type("\r")
        assert plain(prompt.expect("(cache corrupt)")).endswith("/array0 ")
        prompt.expect("> ")
        prompt.type("/ recover\r")
        prompt.expect("/array0> ")


def test_ctrl_c(daemon: Daemon, shell: Open) -> None:
    """It ends what is typed, asked or watched, and not the shell."""
    daemon.make_lun("web0")
    with shell(daemon) as prompt:
        for line, shown in (
            ("/array0/luns/web0 delete", "delete"),
            ("/array0/luns/web0 delete\r", "Go on? [y/N]: "),
            ("/array0/luns/web0 show watch=true\r", "Serial number"),
            ("events\r", "following"),
        ):
            prompt.type(line)
            prompt.expect(shown)
            # What was shown last comes a moment before the program waits.
            time.sleep(0.5)
            prompt.type("\x03")
            prompt.expect("/> ")
        assert "1 LUN" in prompt.says("ls", "/> ")
        prompt.type("\x04")
        prompt.expect("exit")
        assert prompt.terminal.end() == 0


def test_errors_end_nothing(daemon: Daemon, shell: Open) -> None:
    """Neither those of who types nor the daemon's."""
    with shell(daemon) as prompt:
        for line, told in (
            ("cd /nowhere", "there is no /nowhere"),
            ("rename 'a", "a quotation mark is missing"),
            ("/array0/luns create size=99999G", "VDS_E_NOT_ENOUGH_SPACE"),
            ("cd <", "Reached"),
            ("", ""),
            ("# nothing", ""),
        ):
            assert told in prompt.says(line, "/> ")


def test_where_one_was(daemon: Daemon, shell: Open) -> None:
    """`cd <` and `cd >` go back and forth; what is no longer there is passed over."""
    daemon.make_lun("web0")
    with shell(daemon) as prompt:
        prompt.says("cd array0", "/array0> ")
        prompt.says("cd luns/web0", "/array0/luns/web0> ")
        prompt.says("cd /", "/> ")
        prompt.says("cd <", "/array0/luns/web0> ")
        prompt.says("/ cd /", "/> ")
        daemon.shows("lun", "delete", "web0", "--yes")
        prompt.says("cd <", "/array0> ")
        prompt.says("cd", "/> ")


def test_history(daemon: Daemon, shell: Open, home: Path) -> None:
    """Commands come back in the next shell; answers and secrets do not, nor are they on the terminal."""
    daemon.make_target(WEB)
    daemon.make_lun("web0")
    with shell(daemon) as prompt:
        prompt.says(f"cd /array0/targets/{WEB}", "web> ")
        prompt.type("chap/ set\r")
        prompt.expect("CHAP secret: ")
        prompt.type("twelve-bytes\r")
        prompt.expect("Repeat for confirmation: ")
        prompt.type("twelve-bytes\r")
        prompt.expect("is set")
        prompt.expect("web> ")
        prompt.type("/array0/luns/web0 delete\r")
        prompt.expect("Go on? [y/N]: ")
        prompt.type("n\r")
        prompt.expect("not confirmed")
        prompt.expect("web> ")
        prompt.says("""call IscsiTarget.SetSharedSecret '{"targetSharedSecret": "another-secret"}'""", "web> ")
        assert "twelve-bytes" not in prompt.terminal.shown
        # The terminal goes away.
        os.kill(prompt.terminal.process.pid, signal.SIGKILL)
    file = home / ".local/state/vdsprovd/shell-history"
    assert file.read_text().splitlines() == [f"cd /array0/targets/{WEB}", "chap/ set", "/array0/luns/web0 delete"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path for path in home.rglob("*") if path.is_file()] == [file]
    with shell(daemon) as prompt:
        prompt.type("\x1b[A\x1b[A\x1b[A\r")
        prompt.expect("web> ")


def test_an_open_shell_costs_nothing(array: tuple[SimulatedArray, Daemon], shell: Open) -> None:
    """While nobody types it makes no call, and holds nothing that others need: LUNs come and go."""
    simulated, daemon = array
    with shell(daemon) as prompt:
        prompt.says("cd /array0/luns", "/array0/luns> ")
        pid = prompt.terminal.process.pid
        # setsid may have become the shell, or have started it.
        pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text() or pid)
        before = _at_rest(pid)
        for _ in range(5):
            lun = simulated.make_lun(10 * MIB)
            simulated.call("Lun.Delete", id=lun)
        time.sleep(1)
        assert _used(pid) == before


def _at_rest(pid: int) -> tuple[int, int]:
    """What it has used once it waits for somebody to type: the prompt can be read before that."""
    used, deadline = _used(pid), time.monotonic() + 10
    while True:
        time.sleep(0.3)
        before, used = used, _used(pid)
        if used == before:
            return used
        assert time.monotonic() < deadline, "it does not come to rest"


def _used(pid: int) -> tuple[int, int]:
    """The processor time of a process, and how often it gave up the processor to wait."""
    status = Path(f"/proc/{pid}/status").read_text()
    (switches,) = [int(line.split()[1]) for line in status.splitlines() if line.startswith("voluntary_ctxt_switches")]
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12]), switches


def test_a_long_path_leaves_room(daemon: Daemon, shell: Open) -> None:
    """The prompt cuts a path in its middle where it would take more than half of the line."""
    daemon.make_reachable_target(WEB)
    with shell(daemon, 80) as prompt:
        prompt.type(f"cd /array0/targets/{WEB}/portal-groups/1/portals\r")
        prompt.expect("…")
        shown = prompt.expect("portals> ")
        assert len(shown) <= 40
        assert prompt.says("pwd", "portals> ").startswith(f"/array0/targets/{WEB}/portal-groups/1/portals\n")
