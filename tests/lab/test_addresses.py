"""Portals follow the host's addresses."""

import time

import pytest

from tests.arrays import LioArray, run
from tests.scene import Sink

pytestmark = pytest.mark.lab


def test_an_address_that_appears_is_a_portal_at_once(lio: LioArray) -> None:
    """Without configured portals a new address arrives as a portal within a second, is notified, can be used, and
    departs with the address."""
    for sub_system in lio.configuration["subsystem"]:
        del sub_system["portals"]
    lio.restart()

    def addresses() -> set[str]:
        found = lio.call("SubSystemIscsi.QueryPortals", id=lio.sub_system)["portals"]
        return {entry["address"]["textAddress"] for entry in found}

    before = addresses()
    assert "10.77.0.1" in before
    assert "127.0.0.1" not in before
    with lio.connect() as connection:
        replies = iter(connection.stream("org.vdsprov.Service.Advise", {}))
        next(replies)
        began = time.monotonic()
        run("ip", "address", "add", "10.99.0.1/32", "dev", "lo")
        try:
            arrived = next(replies)["notifications"]
            assert time.monotonic() - began < 1
            assert {entry["event"] for entry in arrived} == {"portal_arrive"}
            assert addresses() == {*before, "10.99.0.1"}
        finally:
            run("ip", "address", "delete", "10.99.0.1/32", "dev", "lo")
        departed = next(replies)["notifications"]
        assert {(entry["event"], entry["id"]) for entry in departed} <= {
            ("portal_depart", entry["id"]) for entry in arrived
        }
        gone = departed[0]["id"]
        assert lio.error("IscsiPortal.GetProperties", id=gone) == "VDS_E_OBJECT_DELETED"
    assert addresses() == before


def test_a_cable(lio: LioArray) -> None:
    """A portal whose link is set down, or loses its cable, is not ready, within two seconds, and is when it is up again;
    it departs with its address alone."""
    del lio.configuration["subsystem"][0]["portals"]
    run("ip", "link", "add", "vdsprovd0", "type", "dummy")
    run("ip", "link", "set", "vdsprovd0", "up")
    try:
        lio.restart()
        sink = Sink(lio)
        run("ip", "address", "add", "10.99.0.1/32", "dev", "vdsprovd0")
        ((event, portal),) = sink.take()
        assert event == "portal_arrive"

        def status() -> str:
            return str(lio.call("IscsiPortal.GetProperties", id=portal)["properties"]["status"])

        assert status() == "online"
        for down, up in (("down", "up"), ("carrier off", "carrier on")):
            for setting, wanted in ((down, "not_ready"), (up, "online")):
                run("ip", "link", "set", "vdsprovd0", *setting.split())
                sink.until({("portal_modify", portal)})
                assert status() == wanted
        run("ip", "address", "delete", "10.99.0.1/32", "dev", "vdsprovd0")
        sink.until({("portal_depart", portal)})
        sink.close()
    finally:
        run("ip", "link", "delete", "vdsprovd0")
