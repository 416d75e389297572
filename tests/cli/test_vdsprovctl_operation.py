"""vdsprovctl operation, and what Ctrl-C does while one is waited for."""

import re
import signal
import time

from tests.arrays import SimulatedArray
from tests.cli.vdsprovctl import PROGRAM, Daemon
from tests.terminal import on_terminal

SIZE = 8 << 20


def slow(array: SimulatedArray, seconds: float) -> None:
    """Have the work on LUNs' bytes take so long."""
    for pool in array.hardware.pools.values():
        pool.delay = seconds  # type: ignore[attr-defined]  # it is a SimulatedPool


def test_found_and_waited_for(array: tuple[SimulatedArray, Daemon]) -> None:
    """An operation that was left running is found, by the beginning of its id too, and waited for."""
    simulated, daemon = array
    slow(simulated, 4.0)
    create = ("lun", "create", "--size", "8M", "--subsystem", "array0")
    id = daemon.shows(*create, "--no-wait").strip()
    (entry,) = daemon.json("operation", "list", "--json")
    assert (entry["id"], entry["type"]) == (id, "create_lun")
    assert "runs" in daemon.shows("operation", "show", id)
    made = daemon.shows("operation", "wait", id[:13]).strip()
    assert made in [lun["id"] for lun in daemon.client.luns(simulated.sub_system)]
    assert daemon.shows("operation", "list") == "No operation runs.\n"
    assert [(entry["id"], entry["hresult"]) for entry in daemon.json("operation", "list", "--all", "--json")] == [
        (id, 0)
    ]
    assert "S_OK" in daemon.shows("operation", "list", "--all")
    assert daemon.run_here("operation", "wait", "nothing").returncode == 6


def test_cancel(array: tuple[SimulatedArray, Daemon]) -> None:
    """What is cancelled is undone; who waits for it learns that with status 13; what has ended cannot be cancelled."""
    simulated, daemon = array
    slow(simulated, 5.0)
    id = daemon.shows("lun", "create", "--size", "8M", "--subsystem", "array0", "--no-wait").strip()
    with daemon.start("operation", "wait", id) as waiting:
        assert daemon.shows("operation", "cancel", id) == f"Operation {id} was cancelled, and what it did is undone.\n"
        _, said = waiting.communicate(timeout=30)
    assert waiting.returncode == 13
    assert "VDS_E_OPERATION_CANCELED" in said
    assert daemon.client.luns(simulated.sub_system) == []
    assert daemon.run_here("operation", "cancel", id).returncode == 13


def test_interrupt_without_a_terminal(array: tuple[SimulatedArray, Daemon]) -> None:
    """Ctrl-C leaves the operation running where nobody can be asked, and says how to wait again; status 130."""
    simulated, daemon = array
    slow(simulated, 5.0)
    with daemon.start("lun", "create", "--size", "8M", "--subsystem", "array0") as process:
        while not simulated.context.operations.all():
            time.sleep(0.02)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    (operation,) = simulated.context.operations.all()
    assert said == (
        f"vdsprovctl: the operation goes on; to wait for it again: vdsprovctl operation wait {operation.id}\n"
    )
    operation.cancel()


def test_at_a_terminal(array: tuple[SimulatedArray, Daemon]) -> None:
    """At a terminal there is a bar with rate and time left, and Ctrl-C asks: to leave goes on, to cancel undoes."""
    simulated, daemon = array
    slow(simulated, 6.0)
    command = [*PROGRAM, "lun", "create", "slow", "--size", "8M", "--subsystem", "array0"]
    environment = daemon.environment() | {"TERM": "xterm-256color"}
    with on_terminal(command, daemon.socket.parent, environment) as terminal:
        terminal.expect("creating LUN slow")
        bar = terminal.expect("0:00:0")
        assert re.search(r"\d+%.*\d/8\.4 MB|\d+%.*/8\.0 MiB", bar)
        terminal.type("\x03")
        terminal.expect("leave it running?")
        terminal.type("leave\r")
        terminal.expect("the operation goes on")
        assert terminal.end() == 130
    (operation,) = simulated.context.operations.all()
    assert not operation.finished
    with on_terminal([*PROGRAM, "operation", "wait", operation.id], daemon.socket.parent, environment) as terminal:
        terminal.expect("create lun")
        terminal.type("\x03")
        terminal.expect("leave it running?")
        terminal.type("cancel\r")
        terminal.expect("VDS_E_OPERATION_CANCELED")
        assert terminal.end() == 13
    assert daemon.client.luns(simulated.sub_system) == []
