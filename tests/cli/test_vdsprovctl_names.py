"""Which object a person means, and what it costs to find out."""

from collections import Counter

import pytest

from tests.cli.vdsprovctl import Daemon

IQN = "iqn.2026-11.org.example:names"


@pytest.fixture(scope="module")
def named(shared_daemon: Daemon) -> Daemon:
    """A daemon with LUNs called alike, and a target."""
    for name in ("mail", "mail-archive", "twin", "twin", "Größe 1"):
        shared_daemon.make_lun(name)
    shared_daemon.make_target(IQN, "people's name")
    return shared_daemon


def shown(daemon: Daemon, text: str) -> str:
    """The name of the LUN whose mask is shown for the text."""
    done = daemon.run_here("lun", "rename", text, "found")
    assert (done.returncode, done.stderr) == (0, "")
    (id,) = [lun["id"] for lun in daemon.client.luns(daemon.sub_system()) if lun["friendlyName"] == "found"]
    return str(id)


def test_by_name_and_beginning(named: Daemon) -> None:
    """A name goes before what begins like it; the beginning of a name or an id will do if nothing else has it."""
    luns = {lun["friendlyName"]: lun["id"] for lun in named.client.luns(named.sub_system())}
    for text, name in (("mail", "mail"), ("mail-", "mail-archive"), ("Größe 1", "Größe 1"), (luns["mail"], "mail")):
        assert shown(named, text) == luns[name]
        named.client.call("LunNaming.SetFriendlyName", id=luns[name], friendlyName=name)
    assert shown(named, luns["mail"][:12]) == luns["mail"]
    named.client.call("LunNaming.SetFriendlyName", id=luns["mail"], friendlyName="mail")


@pytest.mark.parametrize("text", [IQN, IQN[:-1], "people's name", "people", "names"])
def test_targets_by_any_of_their_names(named: Daemon, text: str) -> None:
    """A target goes by its iSCSI name, by what stands after the colon in it, or by its name for people."""
    done = named.run_here("target", "show", text)
    assert f"iSCSI name:    {IQN}" in done.stdout


@pytest.mark.parametrize("text", ["twin", "mai", ""])
def test_ambiguous(named: Daemon, text: str) -> None:
    """What could be several objects is an error that names them with their ids; status 2."""
    done = named.run_here("lun", "delete", text, "--yes")
    assert done.returncode == (6 if text == "" else 2)
    if text:
        matching = [lun["id"] for lun in named.client.luns(named.sub_system()) if lun["friendlyName"].startswith(text)]
        assert len(matching) >= 2
        assert all(id in done.stderr for id in matching)


def test_not_there(named: Daemon) -> None:
    """What is not there is an error that has the nearest name and says where all are listed; status 6."""
    done = named.run_here("lun", "show", "mial")
    assert done.returncode == 6
    assert done.stderr == (
        "vdsprovctl: cannot show LUN mial: there is no LUN 'mial'; did you mean mail?; see: vdsprovctl lun list\n"
    )
    done = named.run_here("lun", "show", "00000000-0000-4000-8000-000000000000")
    assert done.returncode == 6
    assert "VDS_E_OBJECT_NOT_FOUND" in done.stderr


def test_a_few_digits_are_no_id(named: Daemon) -> None:
    """The beginning of an id has four characters at least."""
    id = named.make_lun("few")
    assert named.run_here("lun", "show", id[:3]).returncode == 6
    assert named.run_here("lun", "show", id[:8]).returncode == 0


def test_an_id_is_not_listed_for(named: Daemon, calls: Counter[str]) -> None:
    """An id takes one call, which is about that object; names take one listing, however many they are."""
    luns = named.client.luns(named.sub_system())
    calls.clear()
    assert named.run_here("lun", "mask", "show", luns[0]["id"]).returncode == 0
    assert calls == {"Lun.GetProperties": 1}
    calls.clear()
    assert named.run_here("lun", "delete", "--dry-run", "mail", "mail-", "Größe").returncode == 0
    assert calls["SubSystem.QueryLuns"] == 1
    assert calls["Lun.GetProperties"] == 0
