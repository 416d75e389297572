"""The typed proxies of the blocking client, against a daemon."""

import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.arrays import MIB, SimulatedArray
from tests.cli.vdsprovctl import answering
from vdsprovd.client import Client, Hresult, VdsError
from vdsprovd.client.reading import read
from vdsprovd.hardware import Refused, Step
from vdsprovd.model import Health, Hints, LunStatus, LunType, ObjectType
from vdsprovd.replies import AdviseReply, ForeignObjectsReply, LunPropertiesReply


def make_luns(vds: Client, sub_system: str, count: int) -> list[str]:
    """So many LUNs; gives their ids."""
    return [vds.sub_system(sub_system).create_lun(LunType.SIMPLE, 4096).wait().object for _ in range(count)]


def test_the_main_job(simulated: SimulatedArray) -> None:
    """A LUN, a target with a portal, a mask and an association, all of it typed."""
    with Client(simulated.socket) as vds:
        array = vds.sub_system(next(entry.id for entry in vds.provider.query_sub_systems()))
        operation = array.create_lun(LunType.DEFAULT, 10 * MIB, hints=Hints(mostly_reads=True))
        assert list(operation)[-1] == 100
        lun = vds.lun(operation.wait().object)
        assert lun.get_properties().properties.size == 10 * MIB
        assert lun.query_hints().hints.mostly_reads is True
        lun.set_mask("iqn.2026-11.org.example:host1")
        assert lun.set_friendly_name("x" * 300).hresult == Hresult.VDS_S_NAME_TRUNCATED
        made = array.create_target(friendly_name="web").wait()
        target = vds.target(made.object)
        group = vds.portal_group(target.create_portal_group().wait().object)
        portal = next(array.query_portals())
        assert group.add_portal(portal.id).wait().object == ""
        lun.associate_targets([target.id])
        assert [entry.id for entry in lun.query_associated_targets()] == [target.id]
        lun.set_status(LunStatus.OFFLINE)
        assert lun.get_properties().properties.status is LunStatus.OFFLINE
        assert vds.service.get_object(lun.id, ObjectType.LUN).object == lun.id
        lun.delete()
        with pytest.raises(VdsError) as gone:
            lun.get_properties()
        assert (gone.value.code, gone.value.object) == (Hresult.VDS_E_OBJECT_DELETED, lun.id)


def test_calls_inside_a_stream(simulated: SimulatedArray) -> None:
    """While LUNs are iterated over, they can be asked and changed, also while others are iterated over."""
    with Client(simulated.socket) as vds:
        luns = make_luns(vds, simulated.sub_system, 3)
        seen = []
        for lun in vds.sub_system(simulated.sub_system).query_luns():
            vds.lun(lun.id).set_friendly_name(f"name of {lun.id}")
            seen += [other.id for other in vds.sub_system(simulated.sub_system).query_luns() if other.id == lun.id]
        assert sorted(seen) == sorted(luns)
        names = {lun.friendly_name for lun in vds.sub_system(simulated.sub_system).query_luns()}
        assert names == {f"name of {lun}" for lun in luns}


def test_success_codes(simulated: SimulatedArray) -> None:
    """An operation has the success code of the method that started it."""
    with Client(simulated.socket) as vds:
        target = vds.target(simulated.make_target())
        answers = []
        for _ in range(65):
            operation = target.create_portal_group()
            operation.wait()
            answers.append(operation.hresult)
        assert answers[-2:] == [Hresult.S_OK, Hresult.VDS_S_ALREADY_EXISTS]


def test_an_operation_that_fails(simulated: SimulatedArray) -> None:
    """Its failure is raised by `wait` and at the end of the percentages, each time; its status is data."""
    with Client(simulated.socket) as vds:
        lun = vds.lun(simulated.make_lun())

        def refuse(_: Step) -> None:
            raise Refused("no more")

        simulated.hardware.fault = refuse
        operation = lun.extend(MIB)
        for _ in range(2):
            with pytest.raises(VdsError, match="no more") as failed:
                operation.wait()
            assert failed.value.code.failed
        with pytest.raises(VdsError, match="no more"):
            list(operation)
        assert operation.query_status().hresult == failed.value.code


def test_many_luns_in_little_memory(simulated: SimulatedArray) -> None:
    """A listing of many LUNs is never here as a whole: a hundred of them are, at most."""
    with Client(simulated.socket) as vds:
        make_luns(vds, simulated.sub_system, 700)
        luns = vds.sub_system(simulated.sub_system).query_luns()
        next(luns)
        tracemalloc.start()
        try:
            # Only what this thread keeps: the daemon, in another one, makes the elements as it sends them.
            count, sizes = 1, set()
            for lun in luns:
                count += 1
                if count % 100 == 50:
                    kept = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/client/reading.py")])
                    sizes.add(sum(trace.size for trace in kept.traces))
                assert lun.size == 4096
        finally:
            tracemalloc.stop()
        assert count == 700
        assert max(sizes) < 400_000


@pytest.mark.parametrize("status", ["sleeping", "online"])
def test_words_of_a_newer_daemon(status: str) -> None:
    """An enumeration's value that this version does not know is kept, as a value that is none of those it knows."""
    properties = {
        "id": "x",
        "size": 7,
        "friendlyName": "",
        "identification": "",
        "unmaskingList": "",
        "flags": ["levitating", "snapshot"],
        "type": "simple",
        "status": status,
        "health": "healthy",
        "transitionState": "stable",
        "rebuildPriority": 0,
        "colour": "blue",
    }
    found = read(
        msgspec.Raw(msgspec.json.encode({"hresult": 0, "properties": properties})), LunPropertiesReply
    ).properties
    assert found.status.value == status
    assert (found.status is LunStatus.ONLINE) is (status == "online")
    assert [flag.value for flag in found.flags] == ["levitating", "snapshot"]
    assert found.flags[0].number == -1
    assert (found.size, found.health) == (7, Health.HEALTHY)
    assert msgspec.json.decode(msgspec.json.encode(found))["status"] == status


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        ({"hresult": 0, "properties": {"id": "x"}}, LunPropertiesReply),
        ({"hresult": 0, "properties": {"status": 7}}, LunPropertiesReply),
        ({"hresult": "0", "properties": {}}, LunPropertiesReply),
        ({"epoch": "x"}, AdviseReply),
        ({"objects": {}}, ForeignObjectsReply),
        ([], ForeignObjectsReply),
    ],
)
def test_what_is_no_reply(raw: Any, kind: type) -> None:
    """A reply that lacks something, or has something of another type, is an error."""
    with pytest.raises(msgspec.ValidationError):
        read(msgspec.Raw(msgspec.json.encode(raw)), kind)


def test_newer_notifications(tmp_path: Path) -> None:
    """Events that this version does not know are told as they came."""
    told = (
        b'{"parameters":{"epoch":"e","sequence":1,"established":true},"continues":true}\0'
        b'{"parameters":{"epoch":"e","sequence":2,"notifications":'
        b'[{"objectType":"snapshot","event":"snapshot_arrive","id":"x"}]},"continues":true}'
    )
    with answering(tmp_path / "s", told), Client(tmp_path / "s", reconnect=0) as vds:
        notifications = vds.notifications()
        assert next(notifications).missed
        (notification,) = next(notifications).notifications
        assert (notification.object_type.value, notification.event.value) == ("snapshot", "snapshot_arrive")
