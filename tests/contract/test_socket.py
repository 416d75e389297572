"""The socket: who is let in, what is refused, and what garbage does to it."""

import os
import socket
import struct
import time
from contextlib import suppress

import pytest

from tests.arrays import INITIATOR, MIB, Array, Failed, SimulatedArray
from vdsprovd.config import RolesConfig
from vdsprovd.hresult import Hresult
from vdsprovd.provider.api import Role, Rules
from vdsprovd.provider.interfaces import INTERFACES, describe
from vdsprovd.server import Gate, group_roles
from vdsprovd.varlink import VarlinkError
from vdsprovd.varlink.call import Peer

GARBAGE = [
    pytest.param(os.urandom(1 << 20), id="1 MiB of noise"),
    pytest.param(b"x" * (1 << 21), id="2 MiB without an end"),
    pytest.param(b'{"method": "org.vdsprov.Provider.GetProp', id="half a message"),
    pytest.param(b"\0" * 1000, id="empty messages"),
    pytest.param(b"[1]\0", id="no call"),
    pytest.param(b'{"method": 1}\0', id="a method that is a number"),
    pytest.param(b"{" * 100_000 + b"\0", id="deep nesting"),
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_ends_that_connection_and_no_other(array: Array, garbage: bytes) -> None:
    """Whatever comes, other clients are served, nothing changes, and the daemon goes on."""
    before = array.kernel()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(array.socket))
        try:
            sock.sendall(garbage)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert array.call("Provider.GetProperties")["hresult"] == 0
    assert array.kernel() == before


def test_the_socket_is_for_root_and_the_group(array: Array) -> None:
    """The socket's mode is 0660 from the start."""
    assert array.socket.stat().st_mode & 0o777 == 0o660


def test_roles_include_the_ones_before(simulated: SimulatedArray) -> None:
    """Each caller gets the highest role of its groups; a method beyond it is E_ACCESSDENIED; no group, no service."""
    gate = Gate(owner=1000, groups={10: Role.VIEWER, 20: Role.OPERATOR, 30: Role.ADMIN})
    gate.ready = True
    peers = {
        None: Peer(1, 2000, 2000, ()),
        Role.VIEWER: Peer(1, 2000, 2000, (5, 10)),
        Role.OPERATOR: Peer(1, 2000, 10, (20,)),
        Role.ADMIN: Peer(1, 2000, 2000, (10, 30)),
    }
    assert gate.role(Peer(1, 0, 0, ())) is gate.role(Peer(1, 1000, 1, ())) is Role.ADMIN
    for role, peer in peers.items():
        assert gate.role(peer) is role
        for interface in describe(simulated.context):
            for method in interface.methods:
                try:
                    gate.authorize(peer, method)
                except VarlinkError as error:
                    denied = "org.varlink.service.PermissionDenied" if role is None else "org.vdsprov.AccessDenied"
                    assert error.name == denied
                    assert role is None or role < method.metadata.role
                else:
                    assert role is not None
                    assert role >= method.metadata.role


def test_every_method_states_its_role(simulated: SimulatedArray) -> None:
    """Each method has rules with a role; one without would be refused, even to root."""
    methods = [method for interface in describe(simulated.context) for method in interface.methods]
    assert len(methods) > 60
    assert all(isinstance(method.metadata, Rules) for method in methods)
    gate = Gate(owner=0, groups={})
    gate.ready = True
    import dataclasses

    with pytest.raises(VarlinkError, match="PermissionDenied"):
        gate.authorize(Peer(1, 0, 0, ()), dataclasses.replace(methods[0], metadata=None))


def test_a_group_that_does_not_exist_has_no_role() -> None:
    """Roles go by groups that the host has."""
    assert group_roles(RolesConfig(viewer=("no-such-group",), admin=("root",))) == {0: Role.ADMIN}


def test_calls_before_the_provider_is_ready(simulated: SimulatedArray) -> None:
    """While the host is still being rebuilt every method answers VDS_E_INITIALIZE_NOT_CALLED."""
    for _ in range(20):
        simulated.make_target()
    simulated.stop()
    simulated.hardware.facts.clear()
    simulated.hardware.delay = 0.05
    import threading

    starting = threading.Thread(target=simulated.start, daemon=True)
    starting.start()
    codes = set()
    while starting.is_alive() and Hresult.VDS_E_INITIALIZE_NOT_CALLED.error_name not in codes:
        try:
            with simulated.connect() as connection:
                connection.call("org.vdsprov.HwProvider.QuerySubSystems", {})
        except VarlinkError as error:
            codes.add(error.name.rpartition(".")[2])
        except OSError:
            pass
    starting.join()
    simulated.hardware.delay = 0.0
    assert Hresult.VDS_E_INITIALIZE_NOT_CALLED.error_name in codes
    assert simulated.call("HwProvider.QuerySubSystems")["subSystems"]


def test_a_client_that_goes_away_does_not_stop_its_change(simulated: SimulatedArray) -> None:
    """A mutation whose caller vanished is completed; nothing is half done."""
    lun, (target, _) = simulated.make_lun(mask=INITIATOR), simulated.make_reachable_target()
    simulated.hardware.delay = 0.1
    connection = simulated.connect()
    connection.oneway("org.vdsprov.LunIscsi.AssociateTargets", {"id": lun, "targetIds": [target]})
    raw: socket.socket = connection._socket
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    simulated.hardware.delay = 0.0
    deadline = time.monotonic() + 20
    while True:
        with suppress(Failed):  # while it is under way
            if simulated.associated(lun) == [target]:
                break
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_descriptions_name_every_interface(array: Array) -> None:
    """GetInfo lists every interface, and each describes itself."""
    info = array.connection.call("org.varlink.service.GetInfo", {})
    assert {f"org.vdsprov.{interface.__name__}" for interface in INTERFACES} < set(info["interfaces"])
    for name in info["interfaces"]:
        text = array.connection.call("org.varlink.service.GetInterfaceDescription", {"interface": name})["description"]
        assert f"interface {name}\n" in text
    errors = array.connection.call("org.varlink.service.GetInterfaceDescription", {"interface": "org.vdsprov"})
    for code in Hresult:
        assert (f"error {code.error_name} (" in errors["description"]) == code.failed


def test_no_secret_comes_out(array: Array, caplog: pytest.LogCaptureFixture) -> None:
    """A CHAP secret is in no reply, no error, no log and no description of an object."""
    secret, other_secret = "Sesame4Sesame4", "Open4Open4Open"
    target, _ = array.make_reachable_target()
    lun = array.make_lun(MIB, mask=INITIATOR)
    array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    seen: list[object] = [
        array.call("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret=secret),
        array.call(
            "IscsiTarget.RememberInitiatorSharedSecret",
            id=target,
            initiatorName=INITIATOR,
            initiatorSharedSecret=other_secret,
        ),
        array.call("IscsiTarget.GetProperties", id=target),
        array.call("SubSystemIscsi.QueryTargets", id=array.sub_system),
    ]
    array.lose_portal(array.name_of(target))
    seen.append(array.call("HwProvider.Reenumerate"))
    seen.append(array.call("HwProvider.Refresh"))
    seen.append(array.error("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret=secret, initiatorName="x"))
    log = getattr(array, "log", None)
    text = caplog.text + (log.read_text() if log else "")
    assert secret not in str(seen) + text
    assert other_secret not in str(seen) + text
    store = array.folder / "state" / "vdsprovd.sqlite"
    assert store.stat().st_mode & 0o777 == 0o600
    assert store.parent.stat().st_mode & 0o777 == 0o700
