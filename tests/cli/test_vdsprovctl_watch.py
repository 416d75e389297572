"""--watch: what is shown is shown again when it changes, and not otherwise."""

import signal
from typing import IO, Any

import msgspec

from tests.cli.vdsprovctl import PROGRAM, Daemon
from tests.terminal import on_terminal


def document(stream: IO[str] | None) -> Any:
    """The next document of a stream of JSON."""
    assert stream is not None
    return msgspec.json.decode(stream.readline())


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


def test_a_mask_and_an_import_target(daemon: Daemon) -> None:
    """They are shown again when the LUN is masked to somebody else, and when the target comes that the name was set for."""
    lun, name = daemon.make_lun("masked"), "iqn.2026-11.org.example:imported"
    with daemon.start("lun", "mask", "show", "masked", "--json", "--watch") as process:
        assert document(process.stdout) == []
        daemon.client.call("Lun.SetMask", id=lun, unmaskingList=name)
        assert document(process.stdout) == [name]
        process.send_signal(signal.SIGINT)
    assert daemon.run("import-target", "set", name).returncode == 0
    with daemon.start("import-target", "show", "--json", "--watch") as process:
        assert document(process.stdout) == {"iscsiName": name, "dangles": True}
        daemon.make_target(name)
        assert document(process.stdout) == {"iscsiName": name, "dangles": False}
        process.send_signal(signal.SIGINT)


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
