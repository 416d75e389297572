"""--watch: what is shown is shown again when it changes, and not otherwise."""

import signal
from typing import IO

import msgspec

from tests.cli.vdsprovctl import PROGRAM, Daemon
from tests.terminal import on_terminal


def document(stream: IO[str] | None) -> list[dict[str, object]]:
    """The next document of a stream of JSON."""
    assert stream is not None
    found: list[dict[str, object]] = msgspec.json.decode(stream.readline())
    return found


def test_json(daemon: Daemon) -> None:
    """Into a pipe, --json gives a document a line: at first, and after each change; Ctrl-C ends it with status 0."""
    with daemon.start("lun", "list", "--json", "--watch") as process:
        assert document(process.stdout) == []
        daemon.make_lun()
        while not (found := document(process.stdout)):
            pass
        assert len(found) == 1
        daemon.client.call("LunNaming.SetFriendlyName", id=found[0]["id"], friendlyName="new")
        while document(process.stdout)[0]["friendlyName"] != "new":
            pass
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == ("", "")
        assert process.returncode == 0


def test_only_what_it_is_about(daemon: Daemon) -> None:
    """Changes of other kinds of objects are not read for; nothing is printed that is as it was."""
    lun = daemon.make_lun("same")
    with daemon.start("portal", "list", "--json", "--watch") as process:
        document(process.stdout)
        daemon.make_lun()
        (portal,) = daemon.client.portals(daemon.sub_system())
        daemon.client.call("LunNaming.SetFriendlyName", id=lun, friendlyName="other")
        daemon.client.call("IscsiPortal.SetStatus", id=portal["id"], status="offline")
        assert document(process.stdout)[0]["status"] == "offline"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30)[0] == ""


def test_at_a_terminal(daemon: Daemon) -> None:
    """At a terminal the list is drawn over what was there, and what has no room is counted; it has fifty lines here."""
    with on_terminal(
        [*PROGRAM, "lun", "list", "--watch"], daemon.socket.parent, daemon.environment() | {"TERM": "xterm"}
    ) as terminal:
        terminal.expect("No LUNs.")
        daemon.make_lun("seen")
        assert "\x1b[H" in terminal.expect("seen")
        for number in range(60):
            daemon.make_lun(f"lun{number}")
        terminal.expect("... and 14 more lines")
        terminal.type("\x03")
        assert terminal.end() == 0


def test_what_is_gone_ends_it(daemon: Daemon) -> None:
    """Watching one object ends when it is deleted; status 6."""
    lun = daemon.make_lun("short-lived")
    with daemon.start("lun", "show", lun, "--json", "--watch") as process:
        document(process.stdout)
        daemon.client.call("Lun.Delete", id=lun)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 6
    assert "VDS_E_OBJECT" in said
