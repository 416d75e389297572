"""vdsprovctl lun: create, delete, resize, mask, associate, and the like."""

import re

import pytest

from tests.arrays import SimulatedArray
from tests.cli.vdsprovctl import GIB, MIB, Daemon

HOST1, HOST2 = "iqn.2026-11.org.example:host1", "iqn.2026-11.org.example:host2"


def test_life(daemon: Daemon) -> None:
    """A LUN is created with all that makes it reachable, in one command; it is resized, and deleted with its data."""
    daemon.shows("target", "create", "iqn.2026-11.org.example:web", "--name", "Netz", "--portal", "all")
    created = daemon.shows(
        "lun", "create", "web0", "--size", "1G", "--pool", "files0", "--target", "web", "--initiator", HOST1
    )
    (lun,) = daemon.client.luns(daemon.sub_system())
    assert created == f"Created LUN web0 ({lun['id']}): 1.0 GiB, simple.\n"
    assert (lun["friendlyName"], lun["size"], lun["unmaskingList"]) == ("web0", GIB, HOST1)
    (target,) = daemon.client.query("LunIscsi.QueryAssociatedTargets", id=lun["id"])
    assert target["friendlyName"] == "Netz"
    assert daemon.json("lun", "extend", "web0", "--by", "512M", "--json")["size"] == 3 * GIB // 2
    assert daemon.json("lun", "resize", "web0", "--size", "2G", "--json")["size"] == 2 * GIB
    assert daemon.json("lun", "shrink", "web0", "--by", "512MiB", "--yes", "--json")["size"] == 3 * GIB // 2
    assert daemon.json("lun", "resize", "web0", "--size", "1G", "--yes", "--json")["size"] == GIB
    assert daemon.json("lun", "rename", "web0", "Größe", "--json")["friendlyName"] == "Größe"
    shown = daemon.shows("lun", "show", "Größe")
    for line in ("Name:          Größe", f"Mask:          {HOST1}", "nobody connected"):
        assert line in shown
    assert daemon.shows("lun", "offline", "Größe") == f"LUN Größe ({lun['id']}) is offline.\n"
    assert daemon.shows("lun", "online", "Größe") == f"LUN Größe ({lun['id']}) is online.\n"
    assert daemon.json("lun", "delete", "Größe", "--yes", "--json") == {"deleted": [lun["id"]]}
    assert daemon.client.luns(daemon.sub_system()) == []


def test_max(daemon: Daemon) -> None:
    """The size "max" takes what there is room for, in a new LUN and in one that there is."""
    pool = next(pool for pool in daemon.client.pools() if pool["name"] == "files0")
    small = daemon.json("lun", "create", "--size", "10M", "--pool", "files0", "--json")
    assert daemon.json("lun", "extend", small["id"], "--by", "max", "--json")["size"] > pool["remainingFreeSpace"] - MIB
    daemon.shows("lun", "delete", small["id"], "-y")
    made = daemon.json("lun", "create", "--size", "max", "--pool", "files0", "--json")
    assert made["size"] > pool["remainingFreeSpace"] - MIB


def test_delete_says_what_is_lost(shared_daemon: Daemon) -> None:
    """--dry-run names size, targets and who is connected, and deletes nothing."""
    target = shared_daemon.make_target("iqn.2026-11.org.example:lost")
    lun = shared_daemon.make_lun("lost", GIB)
    shared_daemon.client.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    assert shared_daemon.shows("lun", "delete", "lost", "--dry-run") == (
        f"Would delete LUN lost ({lun}), with all data.\n"
        "  lost: 1.0 GiB, reached through iqn.2026-11.org.example:lost, connected now: nobody\n"
    )
    assert list(shared_daemon.json("lun", "delete", "lost", "--dry-run", "--json")) == ["would", "losses"]
    assert lun in [entry["id"] for entry in shared_daemon.client.luns(shared_daemon.sub_system())]


def test_nobody_confirms(shared_daemon: Daemon) -> None:
    """Without a terminal and without --yes nothing is destroyed; status 14."""
    lun = shared_daemon.make_lun("kept", 2 * MIB)
    for command in (["delete", "kept"], ["shrink", "kept", "--by", "1M"], ["resize", "kept", "--size", "1M"]):
        done = shared_daemon.run_here("lun", *command)
        assert (done.returncode, done.stdout) == (14, "")
        assert "give --yes" in done.stderr
    assert shared_daemon.client.call("Lun.GetProperties", id=lun)["properties"]["size"] == 2 * MIB


def test_a_mistake_leaves_no_lun(shared_daemon: Daemon) -> None:
    """What create is given is looked up before anything is made."""
    before = shared_daemon.client.luns(shared_daemon.sub_system())
    for more, status in (
        (["--pool", "nowhere"], 6),
        (["--target", "nowhere"], 6),
        (["web0", "--count", "2"], 2),
        (["web0", "web1", "--size", "max"], 2),
        (["--count", "1001"], 11),
        (["--initiator", "not an iqn"], 11),
        (["--size", "100000T"], 9),
    ):
        done = shared_daemon.run_here("lun", "create", "--size", "1G", *more)
        assert done.returncode == status, done.stderr
    assert shared_daemon.client.luns(shared_daemon.sub_system()) == before


def test_several_at_once(daemon: Daemon) -> None:
    """One for each name, or so many without names, each with all that was said."""
    daemon.shows("target", "create", "iqn.2026-11.org.example:web", "iqn.2026-11.org.example:db", "--portal", "all")
    shown = daemon.shows(
        *("lun", "create", "web0", "web1", "--size", "1M", "--target", "web", "--target", "db", "--initiator", HOST1)
    )
    assert re.fullmatch(
        r"Created LUN web0 \(\S+\): 1.0 MiB, simple.\nCreated LUN web1 \(\S+\): 1.0 MiB, simple.\n", shown
    )
    for name in ("web0", "web1"):
        (lun,) = (entry for entry in daemon.json("lun", "list", "--json") if entry["friendlyName"] == name)
        assert lun["unmaskingList"] == HOST1
        through = daemon.client.query("LunIscsi.QueryAssociatedTargets", id=lun["id"])
        assert [target["iscsiName"][-4:] for target in through] == [":web", "e:db"]
    made = daemon.json("lun", "create", "--count", "3", "--size", "1M", "--json")
    assert [entry["friendlyName"] for entry in made] == ["", "", ""]
    later = daemon.shows("lun", "create", "later", "--size", "1M", "--target", "web", "--no-wait").strip()
    daemon.shows("operation", "wait", later)
    assert len(daemon.json("lun", "list", "--json")) == 6


def test_mask(shared_daemon: Daemon) -> None:
    """add and remove change the list that SetMask replaces; names come in their normal form."""
    shared_daemon.make_lun("masked")
    show = ("lun", "mask", "show", "masked")
    assert shared_daemon.shows(*show) == "nobody\n"
    assert shared_daemon.shows("lun", "mask", "add", "masked", HOST1.upper().replace("IQN", "iqn")) == f"{HOST1}\n"
    assert shared_daemon.json("lun", "mask", "add", "masked", HOST2, HOST1, "--json") == [HOST1, HOST2]
    assert shared_daemon.shows("lun", "mask", "remove", "masked", HOST1) == f"{HOST2}\n"
    missing = shared_daemon.run_here("lun", "mask", "remove", "masked", HOST1)
    assert missing.returncode == 2
    assert "not in the mask of LUN masked" in missing.stderr
    assert shared_daemon.run_here("lun", "mask", "add", "masked", "*").returncode == 11
    assert shared_daemon.shows(*show) == f"{HOST2}\n"
    assert shared_daemon.shows("lun", "mask", "set", "masked", "*") == "*\n"
    assert shared_daemon.shows("lun", "mask", "set", "masked", "--nobody") == "nobody\n"
    assert shared_daemon.run_here("lun", "mask", "set", "masked").returncode == 2


def test_associate(shared_daemon: Daemon) -> None:
    """associate and dissociate change the list that AssociateTargets replaces."""
    lun = shared_daemon.make_lun("reached")
    one, two = (shared_daemon.make_target(f"iqn.2026-11.org.example:assoc-{name}") for name in ("one", "two"))

    def reached() -> list[str]:
        return [entry["id"] for entry in shared_daemon.client.query("LunIscsi.QueryAssociatedTargets", id=lun)]

    shared_daemon.shows("lun", "associate", "reached", "assoc-one")
    shared_daemon.shows("lun", "associate", "reached", "assoc-two", "assoc-one")
    assert reached() == [one, two]
    shared_daemon.shows("lun", "dissociate", "reached", "assoc-one")
    assert reached() == [two]
    assert shared_daemon.run_here("lun", "dissociate", "reached", "assoc-one").returncode == 2
    assert shared_daemon.run_here("lun", "dissociate", "reached").returncode == 2
    shown = shared_daemon.shows("lun", "dissociate", "reached", "--all")
    assert shown == f"LUN reached ({lun}) is reached through no target.\n"
    assert reached() == []


def test_no_wait(array: tuple[SimulatedArray, Daemon]) -> None:
    """--no-wait prints the id of the operation alone, which goes on."""
    simulated, daemon = array
    operation = daemon.shows("lun", "create", "--size", "1M", "--subsystem", "array0", "--no-wait").strip()
    made = daemon.client.wait(operation)
    assert made["object"] in [lun["id"] for lun in daemon.client.luns(simulated.sub_system)]
    assert daemon.json("lun", "extend", made["object"], "--by", "1M", "--no-wait", "--json").keys() == {"operation"}


def test_several_subsystems(array: tuple[SimulatedArray, Daemon]) -> None:
    """Where there are several subsystems, create wants to know which, or a pool."""
    done = array[1].run_here("lun", "create", "--size", "1M")
    assert done.returncode == 2
    assert "choose one with --subsystem: array0 (" in done.stderr


def test_long_name(daemon: Daemon) -> None:
    """A name that is too long is cut, and that is told."""
    daemon.make_lun("short")
    done = daemon.run_here("lun", "rename", "short", "ü" * 200)
    assert done.returncode == 0
    assert "cut to 255 bytes" in done.stderr


@pytest.mark.parametrize("size", ["10X", "0", "-1G", "max"])
def test_wrong_sizes(shared_daemon: Daemon, size: str) -> None:
    """What is no size is a usage error that says how to write one; "max" is one where there is a largest."""
    done = shared_daemon.run_here("lun", "shrink", "any", f"--by={size}")
    assert done.returncode == 2
    assert "size" in done.stderr
