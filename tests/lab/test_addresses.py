"""Portals follow the host's addresses."""

import time

import pytest

from tests.arrays import LioArray, run

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
