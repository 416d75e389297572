"""vdsprovctl lun list and its like: for people and for programs."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.arrays import SimulatedArray
from tests.cli.vdsprovctl import GIB, MIB, Daemon
from vdsprovd.client import Client

TARGET = "iqn.2026-11.org.example:disks"
HOSTS = ("iqn.2026-11.org.example:host1", "iqn.2026-11.org.example:host2")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def filled(shared_daemon: Daemon) -> Iterator[Daemon]:
    """A daemon with a reachable target and LUNs."""
    target = shared_daemon.make_reachable_target(TARGET, "Büro")
    data = shared_daemon.make_lun("data", 3 * GIB // 2, ";".join(HOSTS))
    shared_daemon.make_lun("[red]notes", MIB)
    shared_daemon.client.call("LunIscsi.AssociateTargets", id=data, targetIds=[target])
    yield shared_daemon
    shared_daemon.client.call("LunIscsi.AssociateTargets", id=data)


def rows(table: str) -> list[list[str]]:
    """The cells of a table's lines, headings first."""
    return [re.split(r" {2,}", line) for line in table.splitlines()]


def test_luns_table(filled: Daemon) -> None:
    """`lun list` shows name, size, state, mask and targets; of several initiators the first and how many more."""
    headings, *found = rows(filled.shows("lun", "list"))
    assert headings == ["NAME", "ID", "SIZE", "STATUS", "HEALTH", "POOL", "MASK", "TARGETS"]
    by_name = {row[0]: row for row in found}
    assert by_name["data"][2:] == ["1.5 GiB", "online", "healthy", "files0", f"{HOSTS[0]} +1", TARGET]
    assert by_name["[red]notes"][2:] == ["1.0 MiB", "online", "healthy", "files0", "nobody", "-"]


def test_luns_long(filled: Daemon) -> None:
    """--long shows whole ids and every initiator."""
    row = next(row for row in rows(filled.shows("lun", "list", "--long")) if row[0] == "data")
    assert len(row[1]) == 36
    assert row[6] == ", ".join(HOSTS)


def test_luns_json(filled: Daemon) -> None:
    """--json gives the API's properties, and the keys that the help lists."""
    lun = next(lun for lun in filled.json("lun", "list", "--json") if lun["friendlyName"] == "data")
    target = next(entry for entry in filled.json("target", "list", "--json") if entry["iscsiName"] == TARGET)
    added = {key: lun.pop(key) for key in ("subSystem", "pool", "targets")}
    assert lun == filled.client.call("Lun.GetProperties", id=lun["id"])["properties"]
    pool = next(entry for entry in filled.client.pools() if entry["name"] == "files0")
    assert added == {
        "subSystem": {"id": filled.sub_system(), "friendlyName": "array0"},
        "pool": {"id": pool["id"], "name": "files0"},
        "targets": [{"id": target["id"], "iscsiName": TARGET}],
    }


def test_targets(filled: Daemon) -> None:
    """`target list` shows names, CHAP, LUNs, and portals after the tag of their group."""
    headings, *found = rows(filled.shows("target", "list"))
    assert headings == ["ISCSI NAME", "NAME", "ID", "CHAP", "LUNS", "GROUP: PORTALS", "INITIATORS"]
    (row,) = [row for row in found if row[0] == TARGET]
    assert [row[1], *row[3:]] == ["Büro", "yes", "1", "1: 127.0.0.1:3260", "-"]


def test_targets_json(filled: Daemon) -> None:
    """--json gives the portal groups with their portals, the LUNs and who is logged in."""
    target = next(entry for entry in filled.json("target", "list", "--json") if entry["iscsiName"] == TARGET)
    (group,) = target["portalGroups"]
    assert (group["tag"], [entry["address"]["textAddress"] for entry in group["portals"]]) == (1, ["127.0.0.1"])
    assert len(target["lunIds"]) == 1
    assert target["connectedInitiators"] == []


def test_portals(filled: Daemon) -> None:
    """`portal list` shows addresses as one writes them, and --json the API's properties."""
    assert rows(filled.shows("portal", "list")) == [
        ["ADDRESS", "ID", "STATUS", "DEVIATION"],
        ["127.0.0.1:3260", filled.client.portals(filled.sub_system())[0]["id"][:8], "online", "-"],
    ]
    assert filled.json("portal", "list", "--json")[0]["address"] == {
        "type": "ipv4",
        "textAddress": "127.0.0.1",
        "port": 3260,
    }


def test_pools(filled: Daemon) -> None:
    """`pool list` shows space and how much of it is used, and --json the API's properties."""
    headings, (name, _, total, free, used, *_, description), drives = rows(filled.shows("pool", "list"))
    assert headings == ["NAME", "ID", "TOTAL", "FREE", "USED", "STATUS", "HEALTH", "DESCRIPTION"]
    assert (name, total, description) == ("files0", "100.0 GiB", "files in /simulated")
    assert re.fullmatch(r"9\d\.\d GiB", free)
    assert re.fullmatch(r"\d %", used)
    assert (drives[0], drives[-1]) == ("vg0", "LVM volumes in simulated")
    assert filled.json("pool", "list", "--json") == filled.client.pools()


def test_subsystems(filled: Daemon) -> None:
    """`subsystem list` counts what is in them, and --json adds the keys that the help lists."""
    headings, row = rows(filled.shows("subsystem", "list"))
    assert headings == ["NAME", "ID", "STATUS", "HEALTH", "LUNS", "TARGETS", "IMPORT TARGET"]
    (entry,) = filled.json("subsystem", "list", "--json")
    assert row == [
        "array0",
        filled.sub_system()[:8],
        "online",
        "healthy",
        str(entry["lunCount"]),
        str(entry["targetCount"]),
        "none",
    ]
    assert (entry["importTarget"], entry["importTargetDangles"]) == (None, False)


@pytest.mark.parametrize(("noun", "advice"), [("lun", "vdsprovctl lun create"), ("target", "vdsprovctl target create")])
def test_nothing_there(daemon: Daemon, noun: str, advice: str) -> None:
    """An empty list says which command makes the first object; its JSON is []."""
    assert advice in daemon.shows(noun, "list")
    assert daemon.json(noun, "list", "--json") == []


@pytest.mark.parametrize("noun", ["subsystem", "pool", "portal", "target", "lun"])
def test_fits_a_terminal(filled: Daemon, noun: str) -> None:
    """On a terminal of 80 columns no line is longer, the ends of names are to be seen, and states have colours."""
    shown = filled.on_terminal(80, noun, "list")
    plain = COLOUR.sub("", shown)
    assert shown != plain
    assert max(len(line) for line in plain.splitlines()) <= 80
    if noun == "lun":
        assert re.search(r"^data .*…\S*host1 \+1 +\S+…\S*disks", plain, re.MULTILINE)


def test_no_colour(filled: Daemon) -> None:
    """NO_COLOR turns colours off."""
    assert not COLOUR.search(filled.on_terminal(80, "lun", "list", NO_COLOR="1"))


def test_wide_terminal_cuts_nothing(filled: Daemon) -> None:
    """On a terminal of 200 columns nothing is cut."""
    assert "…" not in filled.on_terminal(200, "lun", "list")


def test_several_subsystems(array: tuple[SimulatedArray, Daemon]) -> None:
    """Where the objects are of several subsystems a column tells them apart."""
    simulated, daemon = array
    simulated.make_lun(sub_system=simulated.sub_systems()["array1"])
    assert rows(daemon.shows("lun", "list"))[0][-1] == "TARGETS"
    simulated.make_lun()
    assert {row[-1] for row in rows(daemon.shows("lun", "list"))} == {"SUBSYSTEM", "array0", "array1"}
    assert [entry["importTarget"] for entry in daemon.json("subsystem", "list", "--json")] == [None, None]


@pytest.mark.parametrize("noun", ["lun", "target", "portal", "pool", "drive", "controller", "controller-port"])
def test_those_of_one_subsystem(array: tuple[SimulatedArray, Daemon], noun: str) -> None:
    """A list can be that of one subsystem; together they are all."""
    simulated, daemon = array
    simulated.add_drives()
    for name, id in simulated.sub_systems().items():
        simulated.make_lun(sub_system=id)
        daemon.make("SubSystemIscsi.CreateTarget", id=id, iscsiName=f"iqn.2026-11.org.example:{name}")
    everything = daemon.json(noun, "list", "--json")
    found = [daemon.json(noun, "list", "--subsystem", name, "--json") for name in simulated.sub_systems()]
    assert all(found) or noun == "drive"
    assert sorted(entry["id"] for each in found for entry in each) == sorted(entry["id"] for entry in everything)


def test_dangling_import_target(daemon: Daemon) -> None:
    """An import target whose target was deleted is still shown, with a warning."""
    target = daemon.make_target("iqn.2026-11.org.example:import")
    daemon.client.call(
        "SubSystemImportTarget.SetImportTarget", id=daemon.sub_system(), iscsiName="iqn.2026-11.org.example:import"
    )
    assert daemon.shows("subsystem", "list").rstrip().endswith("  iqn.2026-11.org.example:import")
    daemon.make("IscsiTarget.Delete", id=target)
    assert "WARNING dangling: iqn.2026-11.org.example:import" in daemon.shows("subsystem", "list")
    (entry,) = daemon.json("subsystem", "list", "--json")
    assert (entry["importTarget"], entry["importTargetDangles"]) == ("iqn.2026-11.org.example:import", True)


def test_order(daemon: Daemon) -> None:
    """Names are in the order of people: numbers in them count as numbers."""
    for name in ("web10", "Web9", "web2", "", "db1"):
        daemon.make_lun(name)
    listed = [lun["friendlyName"] for lun in daemon.json("lun", "list", "--json")]
    assert listed == ["", "db1", "web2", "Web9", "web10"]


def test_no_call_for_each_lun(daemon: Daemon, calls: Counter[str]) -> None:
    """`lun list` takes as many calls for forty LUNs as for one."""
    target = daemon.make_target("iqn.2026-11.org.example:many")
    for _ in range(40):
        daemon.client.call("LunIscsi.AssociateTargets", id=daemon.make_lun(), targetIds=[target])
    calls.clear()
    done = daemon.run_here("lun", "list", "--json")
    assert len(msgspec.json.decode(done.stdout)) == 40
    assert calls == {
        "HwProvider.QuerySubSystems": 2,
        "SubSystem.QueryLuns": 1,
        "SubSystemIscsi.QueryTargets": 1,
        "IscsiTarget.QueryAssociatedLuns": 1,
        "HwProviderStoragePools.QueryStoragePools": 1,
        "StoragePool.QueryAllocatedLuns": 2,
    }


def test_deleted_meanwhile(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that is deleted while targets are listed is left out."""
    target = daemon.make_target("iqn.2026-11.org.example:short-lived")
    query = Client.portal_groups

    def late(self: Client, target_id: str) -> list[dict[str, Any]]:
        daemon.make("IscsiTarget.Delete", id=target)
        return query(self, target_id)

    monkeypatch.setattr(Client, "portal_groups", late)
    done = daemon.run_here("target", "list", "--json")
    assert (done.returncode, done.stdout) == (0, "[]\n")


def test_socket_option(shared_daemon: Daemon, tmp_path: Path) -> None:
    """--socket names the socket, and goes before the environment."""
    shared_daemon.shows("--socket", str(shared_daemon.socket), "portal", "list")
    wrong = shared_daemon.environment() | {"VDSPROVD_SOCKET": str(tmp_path / "none")}
    done = shared_daemon.run("--socket", str(shared_daemon.socket), "portal", "list", env=wrong)
    assert done.returncode == 0
