"""vdsprovctl subsystems, pools, portals, targets, luns: for people and for programs."""

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
    """`luns` shows name, size, state, mask and targets; of several initiators the first and how many more."""
    headings, *found = rows(filled.shows("luns"))
    assert headings == ["NAME", "ID", "SIZE", "STATUS", "HEALTH", "MASK", "TARGETS"]
    by_name = {row[0]: row for row in found}
    assert by_name["data"][2:] == ["1.5 GiB", "online", "healthy", f"{HOSTS[0]} +1", TARGET]
    assert by_name["[red]notes"][2:] == ["1.0 MiB", "online", "healthy", "nobody", "-"]


def test_luns_long(filled: Daemon) -> None:
    """--long shows whole ids and every initiator."""
    row = next(row for row in rows(filled.shows("luns", "--long")) if row[0] == "data")
    assert len(row[1]) == 36
    assert row[5] == ", ".join(HOSTS)


def test_luns_json(filled: Daemon) -> None:
    """--json gives the API's properties, and the keys that the help lists."""
    lun = next(lun for lun in filled.json("luns", "--json") if lun["friendlyName"] == "data")
    target = next(entry for entry in filled.json("targets", "--json") if entry["iscsiName"] == TARGET)
    added = {"subSystem": lun.pop("subSystem"), "targets": lun.pop("targets")}
    assert lun == filled.client.call("Lun.GetProperties", id=lun["id"])["properties"]
    assert added == {"subSystem": filled.sub_system(), "targets": [{"id": target["id"], "iscsiName": TARGET}]}


def test_targets(filled: Daemon) -> None:
    """`targets` shows names, CHAP, LUNs, and portals after the tag of their group."""
    headings, *found = rows(filled.shows("targets"))
    assert headings == ["ISCSI NAME", "NAME", "ID", "CHAP", "LUNS", "GROUP: PORTALS", "INITIATORS"]
    (row,) = [row for row in found if row[0] == TARGET]
    assert [row[1], *row[3:]] == ["Büro", "yes", "1", "1: 127.0.0.1:3260", "-"]


def test_targets_json(filled: Daemon) -> None:
    """--json gives the portal groups with their portals, the LUNs and who is logged in."""
    target = next(entry for entry in filled.json("targets", "--json") if entry["iscsiName"] == TARGET)
    (group,) = target["portalGroups"]
    assert (group["tag"], [entry["address"]["textAddress"] for entry in group["portals"]]) == (1, ["127.0.0.1"])
    assert len(target["lunIds"]) == 1
    assert target["connectedInitiators"] == []


def test_portals(filled: Daemon) -> None:
    """`portals` shows addresses as one writes them, and --json the API's properties."""
    assert rows(filled.shows("portals")) == [
        ["ADDRESS", "ID", "STATUS"],
        ["127.0.0.1:3260", filled.client.portals(filled.sub_system())[0]["id"][:8], "online"],
    ]
    assert filled.json("portals", "--json")[0]["address"] == {
        "type": "ipv4",
        "textAddress": "127.0.0.1",
        "port": 3260,
    }


def test_pools(filled: Daemon) -> None:
    """`pools` shows space and how much of it is used, and --json the API's properties."""
    headings, (name, _, total, free, used, *_, description), drives = rows(filled.shows("pools"))
    assert headings == ["NAME", "ID", "TOTAL", "FREE", "USED", "STATUS", "HEALTH", "DESCRIPTION"]
    assert (name, total, description) == ("files0", "100.0 GiB", "files in /simulated")
    assert re.fullmatch(r"9\d\.\d GiB", free)
    assert re.fullmatch(r"\d %", used)
    assert (drives[0], drives[-1]) == ("vg0", "LVM volumes in simulated")
    assert filled.json("pools", "--json") == filled.client.pools()


def test_subsystems(filled: Daemon) -> None:
    """`subsystems` counts what is in them, and --json adds the keys that the help lists."""
    headings, row = rows(filled.shows("subsystems"))
    assert headings == ["NAME", "ID", "STATUS", "HEALTH", "LUNS", "TARGETS", "IMPORT TARGET"]
    (entry,) = filled.json("subsystems", "--json")
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


@pytest.mark.parametrize(("command", "advice"), [("luns", "SubSystem.CreateLun"), ("targets", "CreateTarget")])
def test_nothing_there(daemon: Daemon, command: str, advice: str) -> None:
    """An empty list has its header and the command that makes the first object, ready to be run; its JSON is []."""
    shown = daemon.shows(command)
    assert "NAME" in shown.splitlines()[0]
    assert advice in shown
    parameters = shown[shown.index("{") : shown.index("}") + 1]
    assert msgspec.json.decode(parameters)["id"] == daemon.sub_system()
    assert daemon.json(command, "--json") == []


@pytest.mark.parametrize("command", ["subsystems", "pools", "portals", "targets", "luns"])
def test_fits_a_terminal(filled: Daemon, command: str) -> None:
    """On a terminal of 80 columns no line is longer, the ends of names are to be seen, and states have colours."""
    shown = filled.on_terminal(80, command)
    plain = COLOUR.sub("", shown)
    assert shown != plain
    assert max(len(line) for line in plain.splitlines()) <= 80
    if command == "luns":
        assert re.search(r"^data .*…\S*host1 \+1 +\S+…\S*disks", plain, re.MULTILINE)


def test_no_colour(filled: Daemon) -> None:
    """NO_COLOR turns colours off."""
    assert not COLOUR.search(filled.on_terminal(80, "luns", NO_COLOR="1"))


def test_wide_terminal_cuts_nothing(filled: Daemon) -> None:
    """On a terminal of 200 columns nothing is cut."""
    assert "…" not in filled.on_terminal(200, "luns")


def test_several_subsystems(array: tuple[SimulatedArray, Daemon]) -> None:
    """Where there are several subsystems a column tells them apart; one without import targets has none."""
    simulated, daemon = array
    simulated.make_lun(sub_system=simulated.sub_systems()["array1"])
    (_, row) = rows(daemon.shows("luns"))
    assert row[-1] == "array1"
    assert {row[-1] for row in rows(daemon.shows("portals"))} == {"SUBSYSTEM", "array0", "array1"}
    assert [entry["importTarget"] for entry in daemon.json("subsystems", "--json")] == [None, None]


def test_dangling_import_target(daemon: Daemon) -> None:
    """An import target whose target was deleted is still shown, with a warning in the table and on standard error."""
    target = daemon.make_target("iqn.2026-11.org.example:import")
    daemon.client.call(
        "SubSystemImportTarget.SetImportTarget", id=daemon.sub_system(), iscsiName="iqn.2026-11.org.example:import"
    )
    assert daemon.shows("subsystems").rstrip().endswith("  iqn.2026-11.org.example:import")
    daemon.make("IscsiTarget.Delete", id=target)
    table, found = daemon.run("subsystems"), daemon.run("subsystems", "--json")
    assert "WARNING dangling: iqn.2026-11.org.example:import" in table.stdout
    for done in (table, found):
        assert done.returncode == 0
        assert "vdsprovctl: warning: the import target of subsystem array0 dangles" in done.stderr
    (entry,) = msgspec.json.decode(found.stdout)
    assert (entry["importTarget"], entry["importTargetDangles"]) == ("iqn.2026-11.org.example:import", True)


def test_no_call_for_each_lun(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """`luns` takes as many calls for forty LUNs as for one."""
    calls = Counter[str]()
    query = Client.query

    def counted(self: Client, method: str, /, **parameters: Any) -> list[Any]:
        calls[method] += 1
        return query(self, method, **parameters)

    monkeypatch.setattr(Client, "query", counted)
    target = daemon.make_target("iqn.2026-11.org.example:many")
    for _ in range(40):
        daemon.client.call("LunIscsi.AssociateTargets", id=daemon.make_lun(), targetIds=[target])
    calls.clear()
    done = daemon.run_here("luns", "--json")
    assert len(msgspec.json.decode(done.stdout)) == 40
    assert calls == {
        "HwProvider.QuerySubSystems": 1,
        "SubSystem.QueryLuns": 1,
        "SubSystemIscsi.QueryTargets": 1,
        "IscsiTarget.QueryAssociatedLuns": 1,
    }


def test_deleted_meanwhile(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that is deleted while targets are listed is left out."""
    target = daemon.make_target("iqn.2026-11.org.example:short-lived")
    query = Client.portal_groups

    def late(self: Client, target_id: str) -> list[dict[str, Any]]:
        daemon.make("IscsiTarget.Delete", id=target)
        return query(self, target_id)

    monkeypatch.setattr(Client, "portal_groups", late)
    done = daemon.run_here("targets", "--json")
    assert (done.returncode, done.stdout) == (0, "[]\n")


def test_socket_option(shared_daemon: Daemon, tmp_path: Path) -> None:
    """--socket names the socket, and goes before the environment."""
    shared_daemon.shows("--socket", str(shared_daemon.socket), "portals")
    wrong = shared_daemon.environment() | {"VDSPROVD_SOCKET": str(tmp_path / "none")}
    done = shared_daemon.run("--socket", str(shared_daemon.socket), "portals", env=wrong)
    assert done.returncode == 0
