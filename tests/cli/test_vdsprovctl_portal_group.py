"""vdsprovctl portal-group and portal."""

import pytest

from tests.cli.vdsprovctl import Daemon

IQN = "iqn.2026-11.org.example:groups"


@pytest.fixture
def grouped(daemon: Daemon) -> Daemon:
    """A daemon with a target that has two portal groups, the first with the portal."""
    daemon.make_target(IQN)
    assert daemon.shows("portal-group", "create", "groups", "--portal", "127.0.0.1") == (
        f"Created portal group {IQN}:1 with 1 portal.\n"
    )
    daemon.shows("group", "create", "groups")
    return daemon


def test_list_and_show(grouped: Daemon) -> None:
    """The list has all targets' groups with their portals; one is shown with its target."""
    found = grouped.json("portal-group", "list", "--json")
    assert [(entry["target"]["iscsiName"], entry["tag"], len(entry["portals"])) for entry in found] == [
        (IQN, 1, 1),
        (IQN, 2, 0),
    ]
    assert found == grouped.json("portal-group", "list", "groups", "--json")
    assert f"{IQN}    1  " in grouped.shows("portal-group", "list")
    assert "Portals:   127.0.0.1:3260 online" in grouped.shows("portal-group", "show", "groups:1")
    assert grouped.json("portal", "show", "127.0.0.1", "--json")["portalGroups"][0]["iscsiName"] == IQN


def test_names(grouped: Daemon) -> None:
    """A group goes by target and tag, by its id, or by a target that has no other."""
    id = grouped.json("portal-group", "list", "--json")[1]["id"]
    for text in ("groups:2", f"{IQN}:2", id):
        done = grouped.run_here("portal-group", "show", text, "--json")
        assert f'"id":"{id}"' in done.stdout
    several = grouped.run_here("portal-group", "show", "groups")
    assert several.returncode == 2
    assert "several portal groups: 1, 2" in several.stderr
    assert grouped.run_here("portal-group", "show", "groups:3").returncode == 6
    grouped.make_target(f"{IQN}:2")
    none = grouped.run_here("portal-group", "show", f"{IQN}:2")
    assert none.returncode == 6
    assert f"target {IQN}:2 has no portal group; it has none" in none.stderr


def test_portals_come_and_go(grouped: Daemon) -> None:
    """Portals are put into a group and taken out; a group that has some is deleted only with them."""
    assert grouped.run("portal-group", "remove-portal", "groups:1", "127.0.0.1").returncode == 14
    shown = grouped.shows("portal-group", "remove-portal", "groups:1", "127.0.0.1", "--yes")
    assert shown == "The portals of the group are now: none.\n"
    shown = grouped.shows("portal-group", "add-portal", "groups:2", "127.0.0.1")
    assert shown == "The portals of the group are now: 127.0.0.1:3260.\n"
    again = grouped.run_here("portal-group", "add-portal", "groups:2", "127.0.0.1")
    assert again.returncode == 7
    assert grouped.run_here("portal-group", "delete", "groups:2", "--yes").returncode == 7
    assert "connected to" in grouped.shows("portal-group", "delete", "groups:2", "--dry-run")
    assert grouped.shows("portal-group", "delete", "groups:2", "--yes", "--with-portals") == (
        f"Deleted portal group {IQN}:2.\n"
    )
    assert len(grouped.json("portal-group", "list", "--json")) == 1


def test_portal_offline(grouped: Daemon) -> None:
    """A portal is set offline after it was said which targets lose it, and online again."""
    told = grouped.shows("portal", "offline", "127.0.0.1", "--dry-run")
    assert f"{IQN}, group 1: connected to the target now: nobody" in told
    assert grouped.shows("portal", "offline", "127.0.0.1", "--yes") == "Portal 127.0.0.1:3260 is offline.\n"
    assert grouped.shows("portal", "online", "127.0.0.1") == "Portal 127.0.0.1:3260 is online.\n"
