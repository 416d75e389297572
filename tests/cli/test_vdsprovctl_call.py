"""vdsprovctl call: any method, with JSON in and out."""

import signal
import time

import msgspec
import pytest

from tests.arrays import SimulatedArray
from tests.cli.vdsprovctl import GIB, Daemon

SECRET = "correct-horse-9"


def parameters(**values: object) -> str:
    """The parameters as one gives them in the arguments."""
    return msgspec.json.encode(values).decode()


@pytest.mark.parametrize("method", ["Provider.GetProperties", "org.vdsprov.Provider.GetProperties"])
def test_method_names(shared_daemon: Daemon, method: str) -> None:
    """A method goes by its interface and name, with or without org.vdsprov; the reply is one line of JSON."""
    shown = shared_daemon.shows("call", method)
    assert msgspec.json.decode(shown)["properties"]["type"] == "hardware"
    assert shown.count("\n") == 1


def test_other_interfaces(shared_daemon: Daemon) -> None:
    """A full name of another interface is called as it is."""
    assert "org.vdsprov.Lun" in shared_daemon.json("call", "org.varlink.service.GetInfo")["interfaces"]


def test_pretty_on_a_terminal(shared_daemon: Daemon) -> None:
    """On a terminal the reply is indented."""
    assert '\n  "properties": {\n    "id"' in shared_daemon.on_terminal(80, "call", "Provider.GetProperties")


def test_parameters(shared_daemon: Daemon) -> None:
    """Parameters come from the argument, or with - from standard input."""
    given = parameters(id=shared_daemon.sub_system())
    from_argument = shared_daemon.json("call", "SubSystem.GetProperties", given)
    assert from_argument == shared_daemon.json("call", "SubSystem.GetProperties", "-", stdin=given)
    assert from_argument["properties"]["friendlyName"] == "array0"


def test_more(daemon: Daemon) -> None:
    """--more prints every reply on a line of its own."""
    lines = daemon.shows("call", "--more", "HwProvider.QuerySubSystems").splitlines()
    assert [list(msgspec.json.decode(line)) for line in lines] == [["subSystems"]]


def test_wait(shared_daemon: Daemon) -> None:
    """--wait prints the result of the operation that the call started."""
    done = shared_daemon.json(
        "call",
        "--wait",
        "SubSystem.CreateLun",
        parameters(id=shared_daemon.sub_system(), type="default", sizeInBytes=GIB),
    )
    assert (done["hresult"], done["type"]) == (0, "create_lun")
    assert done["object"] in [lun["id"] for lun in shared_daemon.client.luns(shared_daemon.sub_system())]
    # A method without an operation is done when it replies.
    assert shared_daemon.json("call", "--wait", "Lun.Delete", parameters(id=done["object"])) == {}


def test_wait_shows_progress(array: tuple[SimulatedArray, Daemon]) -> None:
    """On a terminal, --wait shows a progress bar, if there is something to wait for."""
    simulated, daemon = array
    for pool in simulated.hardware.pools.values():
        pool.delay = 2.0  # type: ignore[attr-defined]  # it is a SimulatedPool
    given = parameters(id=simulated.sub_system, type="default", sizeInBytes=4096)
    shown = daemon.on_terminal(80, "call", "--wait", "SubSystem.CreateLun", given)
    assert "SubSystem.CreateLun" in shown
    assert "━" in shown
    assert '"type": "create_lun"' in shown


def test_wait_for_what_fails(array: tuple[SimulatedArray, Daemon]) -> None:
    """An operation that fails is a failure, with its code and message."""
    simulated, daemon = array
    target, group = simulated.make_reachable_target()
    portal = simulated.portals_of(group)[0]
    simulated.lose_portal(simulated.name_of(target))
    done = daemon.run("call", "--wait", "IscsiPortalGroup.RemovePortal", parameters(id=group, portalId=portal))
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("vdsprovctl: cannot call IscsiPortalGroup.RemovePortal: ")
    assert "VDS_E_PROVIDER_CACHE_CORRUPT 0x8004241f" in done.stderr


def test_wait_shows_the_calls_own_code(shared_daemon: Daemon) -> None:
    """--wait tells of a success code that the call itself had."""
    target = shared_daemon.make_target("iqn.2026-11.org.example:full")
    for _ in range(64):
        shared_daemon.make("IscsiTarget.CreatePortalGroup", id=target)
    done = shared_daemon.run("call", "--wait", "IscsiTarget.CreatePortalGroup", parameters(id=target))
    assert done.returncode == 0
    assert "IscsiTarget.CreatePortalGroup answered VDS_S_ALREADY_EXISTS (0x00042714)" in done.stderr


def test_interrupted_wait(array: tuple[SimulatedArray, Daemon]) -> None:
    """Ctrl-C during --wait says that the operation goes on and how to wait again, and the status is 130."""
    simulated, daemon = array
    for pool in simulated.hardware.pools.values():
        pool.delay = 5.0  # type: ignore[attr-defined]  # it is a SimulatedPool
    given = parameters(id=simulated.sub_system, type="default", sizeInBytes=4096)
    with daemon.start("call", "--wait", "SubSystem.CreateLun", given) as process:
        while not simulated.context.operations._operations:
            time.sleep(0.02)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "the operation goes on" in said
    (operation,) = simulated.context.operations._operations.values()
    assert operation.id in said
    operation.cancel()


def test_secret_on_standard_input(shared_daemon: Daemon) -> None:
    """A CHAP secret on standard input is set, and shown nowhere."""
    target = shared_daemon.make_target("iqn.2026-11.org.example:chap")
    given = parameters(id=target, targetSharedSecret=SECRET)
    done = shared_daemon.run("call", "IscsiTarget.SetSharedSecret", "-", stdin=given)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{}\n", "")


def test_nothing_on_standard_input(shared_daemon: Daemon) -> None:
    """Nothing where parameters were promised is a usage error."""
    done = shared_daemon.run("call", "Lun.GetProperties", "-")
    assert done.returncode == 2
    assert "standard input is no JSON object" in done.stderr


@pytest.mark.parametrize("given", [{"targetSharedSecret": SECRET}, {"more": [{"initiatorSharedSecret": SECRET}]}])
def test_secret_in_the_arguments(shared_daemon: Daemon, given: dict[str, object]) -> None:
    """A CHAP secret in the arguments is warned of, whether the call succeeds or not, and not repeated."""
    target = shared_daemon.client.targets(shared_daemon.sub_system())
    done = shared_daemon.run_here(
        "call", "IscsiTarget.SetSharedSecret", parameters(id=target[0]["id"] if target else "x", **given)
    )
    assert "warning: every user of this host could read the secret" in done.stderr
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize("given", [[f'{{"targetSharedSecret": "{SECRET}"'], ["{targetSharedSecret:", f"{SECRET}}}"]])
def test_broken_json_is_not_repeated(shared_daemon: Daemon, given: list[str]) -> None:
    """What is no JSON object, perhaps for want of quotes, is a usage error that does not show what was given."""
    done = shared_daemon.run_here("call", "IscsiTarget.SetSharedSecret", *given)
    assert (done.returncode, done.stdout) == (2, "")
    assert "JSON" in done.stderr
    assert SECRET not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["GetProperties"],
        ["Lun.GetProperties", "[]"],
        ["Lun.GetProperties", "--more", "--wait"],
    ],
)
def test_wrong_usage(shared_daemon: Daemon, arguments: list[str]) -> None:
    """A method without interface, parameters that are no object, options that contradict each other: status 2."""
    assert shared_daemon.run_here("call", *arguments).returncode == 2
