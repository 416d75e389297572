"""IVdsController, IVdsControllerControllerPort, IVdsControllerPort, and what they do to LUNs."""

import pytest

from tests.arrays import INITIATOR, Array


def node(array: Array) -> tuple[str, str]:
    """The ids of array0's controller and of its port."""
    (controller,) = array.call("SubSystem.QueryControllers", id=array.sub_system)["controllers"]
    (port,) = array.call("ControllerControllerPort.QueryControllerPorts", id=controller["id"])["controllerPorts"]
    return controller["id"], port["id"]


def active(array: Array, lun: str) -> tuple[int, int]:
    """How many controllers and ports a LUN is accessible through."""
    return (
        len(array.call("Lun.QueryActiveControllers", id=lun)["controllers"]),
        len(array.call("LunControllerPorts.QueryActiveControllerPorts", id=lun)["controllerPorts"]),
    )


@pytest.mark.shows("SubSystem.QueryControllers")
@pytest.mark.shows("Controller.GetProperties")
@pytest.mark.shows("Controller.GetSubSystem")
@pytest.mark.shows("Controller.GetPortProperties", "S_OK", "VDS_E_NOT_SUPPORTED")
@pytest.mark.shows("ControllerControllerPort.QueryControllerPorts")
@pytest.mark.shows("ControllerPort.GetProperties")
@pytest.mark.shows("ControllerPort.GetController")
def test_a_subsystem_has_a_controller_with_a_port(array: Array) -> None:
    """The host is the subsystem's controller, with one port; both keep their ids."""
    controller, port = node(array)
    found = array.call("Controller.GetProperties", id=controller)["properties"]
    assert (found["status"], found["health"], found["numberOfPorts"]) == ("online", "healthy", 1)
    assert array.call("Controller.GetSubSystem", id=controller) == {"subSystem": array.sub_system}
    properties = array.call("ControllerPort.GetProperties", id=port)["properties"]
    assert properties["status"] == "online"
    assert array.call("Controller.GetPortProperties", id=controller, portNumber=0)["properties"] == properties
    assert array.error("Controller.GetPortProperties", id=controller, portNumber=1) == "VDS_E_NOT_SUPPORTED"
    assert array.call("ControllerPort.GetController", id=port) == {"controller": controller}
    array.restart()
    assert node(array) == (controller, port)


@pytest.mark.shows("Controller.SetStatus", "S_OK", "VDS_E_NOT_SUPPORTED", "E_INVALIDARG")
@pytest.mark.shows("ControllerPort.SetStatus", "S_OK", "VDS_E_NOT_SUPPORTED", "E_INVALIDARG")
@pytest.mark.shows("Controller.QueryAssociatedLuns")
@pytest.mark.shows("ControllerPort.QueryAssociatedLuns")
@pytest.mark.parametrize("kind", ["Controller", "ControllerPort"])
def test_an_offline_node_serves_nothing(array: Array, kind: str) -> None:
    """While the controller or its port is offline every LUN is unavailable, also after a reboot; online again all is as
    it was."""
    controller, port = node(array)
    lun = array.make_lun(mask=INITIATOR)
    before = array.kernel()
    id, other = (controller, port) if kind == "Controller" else (port, controller)
    array.call(f"{kind}.SetStatus", id=id, status="offline")
    assert array.access(lun) == "unavailable"
    for interface, subject in (("Controller", controller), ("ControllerPort", port)):
        assert array.call(f"{interface}.QueryAssociatedLuns", id=subject) == {"luns": []}
    array.reboot()
    assert array.access(lun) == "unavailable"
    assert array.call(f"{kind}.GetProperties", id=id)["properties"]["status"] == "offline"
    array.call(f"{kind}.SetStatus", id=id, status="online")
    assert array.access(lun) == "active"
    assert array.kernel() == before
    for interface, subject in (("Controller", controller), ("ControllerPort", port)):
        (found,) = array.call(f"{interface}.QueryAssociatedLuns", id=subject)["luns"]
        assert found["id"] == lun
        assert array.error(f"{interface}.SetStatus", id=subject, status="unknown") == "E_INVALIDARG"
        assert array.error(f"{interface}.SetStatus", id=subject, status="failed") == "VDS_E_NOT_SUPPORTED"
    other_kind = "ControllerPort" if kind == "Controller" else "Controller"
    array.call(f"{other_kind}.SetStatus", id=other, status="online")


@pytest.mark.shows("SubSystem.SetControllerStatus", "S_OK", "VDS_E_OBJECT_NOT_FOUND", "E_INVALIDARG")
def test_every_controller_at_once(array: Array) -> None:
    """Each controller must be in exactly one of the two lists."""
    controller, _ = node(array)
    lun, id = array.make_lun(), array.sub_system
    array.call("SubSystem.SetControllerStatus", id=id, offlineControllerIds=[controller])
    assert array.access(lun) == "unavailable"
    assert array.error("SubSystem.SetControllerStatus", id=id) == "E_INVALIDARG"
    both = {"onlineControllerIds": [controller], "offlineControllerIds": [controller]}
    assert array.error("SubSystem.SetControllerStatus", id=id, **both) == "E_INVALIDARG"
    unknown = {"onlineControllerIds": [controller, "x"]}
    assert array.error("SubSystem.SetControllerStatus", id=id, **unknown) == "VDS_E_OBJECT_NOT_FOUND"
    assert array.access(lun) == "unavailable"
    array.call("SubSystem.SetControllerStatus", id=id, onlineControllerIds=[controller])
    assert array.access(lun) == "active"


@pytest.mark.shows("Lun.AssociateControllers", "S_OK", "VDS_E_OBJECT_NOT_FOUND", "E_INVALIDARG")
@pytest.mark.shows("Lun.QueryActiveControllers")
@pytest.mark.shows("LunControllerPorts.AssociateControllerPorts", "S_OK", "VDS_E_OBJECT_NOT_FOUND", "E_INVALIDARG")
@pytest.mark.shows("LunControllerPorts.QueryActiveControllerPorts")
@pytest.mark.parametrize(
    ("method", "active_ids", "inactive_ids", "place"),
    [
        ("Lun.AssociateControllers", "activeControllerIds", "inactiveControllerIds", 0),
        ("LunControllerPorts.AssociateControllerPorts", "activeControllerPortIds", "inactiveControllerPortIds", 1),
    ],
)
def test_a_lun_that_stands_by(array: Array, method: str, active_ids: str, inactive_ids: str, place: int) -> None:
    """A LUN whose controller or port is inactive stands by, also after a reboot; other LUNs are served. Both methods, and
    both enumerations, are about one thing."""
    mine = node(array)[place]
    lun, other = array.make_lun(), array.make_lun()
    array.call(method, id=lun, **{inactive_ids: [mine]})
    array.reboot()
    assert (array.access(lun), array.access(other)) == ("standby", "active")
    assert (active(array, lun), active(array, other)) == ((0, 0), (1, 1))
    for wrong, code in (
        ({}, "E_INVALIDARG"),
        ({active_ids: [mine], inactive_ids: [mine]}, "E_INVALIDARG"),
        ({active_ids: [mine, "x"]}, "VDS_E_OBJECT_NOT_FOUND"),
    ):
        assert array.error(method, id=lun, **wrong) == code
    assert array.access(lun) == "standby"
    array.call(method, id=lun, **{active_ids: [mine]})
    assert array.access(lun) == "active"
    for interface, ids in (("Lun.AssociateControllers", 0), ("LunControllerPorts.AssociateControllerPorts", 1)):
        names = ("activeControllerIds",) if ids == 0 else ("activeControllerPortIds",)
        assert array.error(interface, id=lun) == "E_INVALIDARG"
        assert array.error(interface, id=lun, **{names[0]: ["x"]}) == "VDS_E_OBJECT_NOT_FOUND"
        array.call(interface, id=lun, **{names[0]: [node(array)[ids]]})


@pytest.mark.shows("Controller.FlushCache")
@pytest.mark.shows("Controller.InvalidateCache")
@pytest.mark.shows("Controller.Reset")
@pytest.mark.shows("ControllerPort.Reset")
def test_caches_and_resets_change_nothing_that_lasts(array: Array) -> None:
    """What is cached is written and dropped, sessions end; the kernel's configuration is as before."""
    controller, port = node(array)
    lun, (target, _) = array.make_lun(mask=INITIATOR), array.make_reachable_target()
    array.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    before = array.kernel()
    for method, id in (
        ("Controller.FlushCache", controller),
        ("Controller.InvalidateCache", controller),
        ("Controller.Reset", controller),
        ("ControllerPort.Reset", port),
    ):
        array.call(method, id=id)
        assert array.kernel() == before
