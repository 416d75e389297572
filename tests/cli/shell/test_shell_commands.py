"""Commands at a node: the verbs of vdsprovctl, in the shell's way of writing."""

import pytest

from tests.arrays import SimulatedArray
from tests.cli.vdsprovctl import GIB, MIB, Daemon

WEB = "iqn.2026-11.org.example:web"


def luns(daemon: Daemon) -> dict[str, int]:
    """The sizes of the LUNs by name."""
    return {lun["friendlyName"]: lun["size"] for lun in daemon.client.luns(daemon.sub_system())}


@pytest.mark.parametrize(
    "line",
    [
        "create web0 size=10M pool=files0",
        "create size=10M pool=files0 name=web0",
        "create name=web0 pool=files0 size=10MiB json=false",
        "create web0 --size=10M --pool=files0",
        "create pool=files0 size=10M no_wait=false -- web0",
    ],
)
def test_parameters(daemon: Daemon, line: str) -> None:
    """In their order or by their names, as options are named; vdsprovctl's own way of writing works, too."""
    daemon.shows("shell", "/array0/luns", *line.replace(" -- ", " ").split())
    assert luns(daemon) == {"web0": 10 * MIB}


def test_parameters_that_can_be_given_several_times(daemon: Daemon) -> None:
    """Each adds one."""
    daemon.make_target(WEB)
    daemon.make_target(f"{WEB}2")
    created = daemon.json(
        "shell",
        "/array0/luns",
        *(["create", "size=1M", "target=web", "target=web2", "initiator=iqn.2026-11.org.example:a", "json=true"]),
    )
    assert created["unmaskingList"] == "iqn.2026-11.org.example:a"
    through = daemon.client.query("LunIscsi.QueryAssociatedTargets", id=created["id"])
    assert {target["iscsiName"] for target in through} == {WEB, f"{WEB}2"}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("create web0", "create: size is missing: size=SIZE"),
        ("create web0 size=much", "create: size: 'much' is no size"),
        ("create web0 sizee=10M", "create: create has no parameter 'sizee'; it has: name, size, count, pool,"),
        ("create web0 size=10M type=raid99", "create: type: 'raid99' is not one of"),
        ("create web0 size=10M no-wait=perhaps", "create: no-wait is true or false, not 'perhaps'"),
        ("create web0 web1 size=max", "create: only one LUN can have all that there is room for"),
        ("create web0 name=web1 size=10M", "create: 'web0' is too much"),
        ("create web0 --sizes=10M", "create: No such option"),
        ("creat web0 size=10M", "there is no command 'creat' in /array0/luns; did you mean create?"),
        ("frobnicate", "there is no command 'frobnicate' in /array0/luns; see: help"),
        ("there", "there is no command 'there' in /array0/luns; to go there: there/"),
        ("help frobnicate", "cannot help: there is no command 'frobnicate' in /array0/luns; see: help"),
        ("ls depth=deep", "ls: depth: 'deep' is not a valid integer"),
        ("ls depth=-1", "ls: depth: -1 is not in the range"),
        ("cd . .", "cd: '.' is too much: cd [PATH]"),
        ("there/ rename", "rename: name is missing: NAME"),
    ],
)
def test_what_is_written_wrong(shared_daemon: Daemon, line: str, told: str) -> None:
    """It is told in the shell's own words, and nothing is done."""
    before = luns(shared_daemon)
    if "there" not in before:
        shared_daemon.make_lun("there")
        before = luns(shared_daemon)
    path, *words = line.split()
    done = shared_daemon.run_here(
        "shell", *(["/array0/luns/" + path] if "/" in path else ["/array0/luns", path]), *words
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"vdsprovctl: {told}")
    assert luns(shared_daemon) == before


def test_an_error_of_the_daemons(daemon: Daemon) -> None:
    """It is told as by vdsprovctl, with the same status."""
    done = daemon.run_here("shell", "/array0/luns", "create", "web0", "size=1000000G")
    assert done.returncode == 9
    assert "VDS_E_NOT_ENOUGH_SPACE" in done.stderr


def test_the_object_of_the_node_is_given(daemon: Daemon) -> None:
    """Its verbs take it for their first parameter, and the subsystem where they need one."""
    daemon.make_lun("web0", 10 * MIB)
    daemon.make_target(WEB)
    daemon.shows("shell", "/array0/luns/web0", "extend", "by=10M")
    daemon.shows("shell", "/array0/luns/web0", "associate", "web")
    daemon.shows("shell", "/array0/luns/web0/mask", "add", "iqn.2026-11.org.example:a")
    daemon.shows("shell", "/array0/luns/web0", "rename", "a b=c d")
    daemon.shows("shell", f"/array0/targets/{WEB}/portal-groups", "create")
    daemon.shows("shell", f"/array0/targets/{WEB}/portal-groups/1", "add-portal", "127.0.0.1:3260")
    daemon.shows("shell", "/array0/import-target", "set", WEB)
    assert luns(daemon) == {"a b=c d": 20 * MIB}
    shown = daemon.shows("shell", "ls", "/array0/targets", "depth=6")
    assert "127.0.0.1:3260" in shown
    daemon.shows("shell", f"/array0/targets/{WEB}/portal-groups", "remove-portal", "1", "127.0.0.1", "yes=true")
    assert "127.0.0.1:3260" not in daemon.shows("shell", "ls", "/array0/targets", "depth=6")
    assert daemon.shows("shell", "/array0/import-target", "show") == f"{WEB}\n"


def test_a_word_with_an_equals_sign(daemon: Daemon) -> None:
    """What is no parameter's name is refused unless it is quoted, or the verb takes such words."""
    daemon.make_lun("web0", 10 * MIB)
    done = daemon.run("shell", stdin="/array0/luns/web0 rename a=b")
    assert done.returncode == 2
    daemon.shows("shell", stdin="/array0/luns/web0 rename 'a=b'")
    assert luns(daemon).keys() == {"a=b"}
    (id,) = [lun["id"] for lun in daemon.client.luns(daemon.sub_system())]
    daemon.shows("shell", f"/array0/luns/{id}/hints", "set", "writeThroughCachingEnabled=true")


def test_all_nodes_of_a_folder(daemon: Daemon) -> None:
    """A * means all of them, and each is told before what it says."""
    for name in ("a", "b"):
        daemon.make_lun(name)
    shown = daemon.shows("shell", "/array0/luns/*", "offline")
    assert shown.count("is offline") == 2
    assert "[/array0/luns/a]\n" in shown
    assert {lun["status"] for lun in daemon.client.luns(daemon.sub_system())} == {"offline"}
    assert "[/array0/luns/b]\no- b" in daemon.shows("shell", "/array0/luns/*")


def test_what_destroys_needs_to_be_confirmed(daemon: Daemon) -> None:
    """Nobody is there to confirm it: it is told what would be lost, and only `yes` does it."""
    daemon.make_lun("web0", GIB)
    shown = daemon.shows("shell", "/array0/luns/web0", "delete", "dry-run=true")
    assert shown.startswith("Would delete LUN web0")
    done = daemon.run_here("shell", "/array0/luns/web0", "delete")
    assert done.returncode == 14
    assert "web0: 1.0 GiB, reached through no target" in done.stderr
    assert luns(daemon) == {"web0": GIB}
    daemon.shows("shell", "/array0/luns/web0", "delete", "yes=true")
    assert luns(daemon) == {}


def test_a_secret_comes_from_standard_input(daemon: Daemon) -> None:
    """A command that is given as arguments has it to itself."""
    daemon.make_target(WEB)
    shown = daemon.shows("shell", f"/array0/targets/{WEB}/chap", "set", stdin="twelve-bytes\n")
    assert "is set" in shown


def test_help(daemon: Daemon) -> None:
    """It is made of the verb's help, of its parameters, and of what the API says of the methods behind it."""
    daemon.make_lun("web0")
    shown = daemon.shows("shell", "/array0/luns/web0", "help", "extend")
    assert shown.startswith("extend by=SIZE [drive=DRIVE]... [no-wait=true] [json=true]\n")
    assert "Make a LUN larger by at least so much. New bytes read as zeros;" in shown
    assert 'by=SIZE How much larger, such as 10G, or "max".' in " ".join(shown.split())
    assert "Lun.Extend" in shown.partition("Methods of the API:")[2]
    assert "Grow the LUN by at least so many bytes; all or nothing." in " ".join(shown.split())
    shown = daemon.shows("shell", "/array0/luns/web0", "help")
    assert "associate TARGET... ..." in shown
    assert "create" not in shown.partition("Commands in /array0/luns/web0:")[2]
    # The help of the folder has what makes one, and no command twice.
    assert daemon.shows("shell", "/array0/luns", "help").count("  create [NAME]... size=SIZE ...") == 1


def test_help_needs_no_daemon(daemon: Daemon) -> None:
    """Nor does leaving."""
    done = daemon.run("--socket", "/nowhere/sock", "shell", "help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "recover" in done.stdout


def test_a_corrupt_cache(array: tuple[SimulatedArray, Daemon]) -> None:
    """Whoever looks is told, with its own status and what to do; recover does it."""
    simulated, daemon = array
    simulated.prove_corruption()
    done = daemon.run_here("shell", "ls")
    assert done.returncode == 4
    assert "vdsprovctl recover" in done.stderr
    daemon.shows("shell", "recover")
    daemon.shows("shell", "ls")
