"""The tree: what is where, what it costs to look, and that every verb has its place."""

from collections import Counter
from collections.abc import Iterator

import click
import pytest

from tests.arrays import SimulatedArray
from tests.cli.vdsprovctl import MIB, Daemon
from vdsprovd.cli.__main__ import vdsprovctl
from vdsprovd.cli.session import Session as CliSession
from vdsprovd.shell.nodes import Place, Thing
from vdsprovd.shell.session import Session

WEB = "iqn.2026-11.org.example:web"


@pytest.fixture
def web(daemon: Daemon) -> Daemon:
    """A daemon with a LUN, web0, that is reached through a target by two initiators."""
    lun = daemon.make_lun("web0", 10 * MIB, "iqn.2026-11.org.example:host1;iqn.2026-11.org.example:host2")
    target = daemon.make_reachable_target(WEB, "web")
    daemon.client.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    return daemon


def names(shown: str) -> list[str]:
    """The names in a tree, indented by its levels."""
    lines = [line.replace("|", " ").partition("o- ") for line in shown.splitlines()]
    return [margin + name.split(" ")[0] for margin, _, name in lines]


def texts(shown: str) -> dict[str, str]:
    """What is told of each name in a tree."""
    rows = [line.partition("o- ")[2].partition(" ") for line in shown.splitlines()]
    return {name: text.strip(" .").removeprefix("[").removesuffix("]") for name, _, text in rows}


def test_the_root_shows_how_much_there_is(web: Daemon) -> None:
    """The subsystem with its folders, and what belongs to no subsystem."""
    shown = web.shows("shell", "ls")
    assert names(shown) == [
        "/",
        "  array0",
        "    controllers",
        "    drives",
        "    import-target",
        "    luns",
        "    pools",
        "    portals",
        "    targets",
        "  foreign",
        "  operations",
    ]
    told = texts(shown)
    assert told["array0"] == "online, healthy"
    assert (told["luns"], told["targets"], told["pools"]) == ("1 LUN", "1 target", "2 pools")
    assert told["import-target"] == "none"


def test_a_lun_and_a_target(web: Daemon) -> None:
    """What is below a LUN and below a target, and how they are."""
    shown = web.shows("shell", "ls", "/array0/luns/web0")
    assert texts(shown)["web0"] == "10.0 MiB, online, healthy"
    assert names(shown)[3:8] == [
        "  hints",
        "  mask",
        "    iqn.2026-11.org.example:host1",
        "    iqn.2026-11.org.example:host2",
        "  plexes",
    ]
    assert names(shown)[-2:] == ["  targets", f"    {WEB}"]
    shown = web.shows("shell", f"/array0/targets/{WEB}", "ls", "depth=0")
    assert names(shown) == [
        WEB,
        "  chap",
        "  initiators",
        "  luns",
        "    web0",
        "  portal-groups",
        "    1",
        "      portals",
        "        127.0.0.1:3260",
    ]
    assert texts(shown)["chap"] == "a secret is needed"
    assert texts(shown)["initiators"] == "nobody is logged in"


def test_everything_can_be_shown(web: Daemon) -> None:
    """A depth of 0 ends, though LUNs and targets refer to each other."""
    shown = web.shows("shell", "ls", "/", "depth=0")
    assert names(shown).count("        web0") == 0
    assert "      web0" in names(shown)
    assert web.shows("shell", "ls", "depth=1").count("\n") == 4


@pytest.mark.parametrize(("width", "taken"), [(40, 40), (80, 80), (200, 80)])
def test_a_line_fits_the_terminal(web: Daemon, width: int, taken: int) -> None:
    """Where there is room for the name and a little more; it is no longer than it needs to be."""
    shown = web.on_terminal(width, "shell", "ls", "/array0/luns", NO_COLOR="1")
    assert [len(line) for line in shown.splitlines()] == [taken, taken]


def test_a_long_name_takes_room_where_there_is_some(web: Daemon) -> None:
    """Names are never cut, what is told of them is; the lines are as long as the longest needs."""
    name = "n" * 100
    web.make_lun(name)
    shown = web.on_terminal(200, "shell", "ls", "/array0/luns", NO_COLOR="1").splitlines()
    assert {len(line) for line in shown} == {len(f"  o- {name} .... [1.0 MiB, online, healthy]")}
    assert any(name in line for line in web.on_terminal(120, "shell", "ls", "/array0/luns", NO_COLOR="1").splitlines())


def test_names_that_do_not_fit_a_path(daemon: Daemon) -> None:
    """LUNs of one name, without a name, or with signs that mean something in a path go by their ids."""
    ids = [daemon.make_lun(name) for name in ("twin", "twin", "", "a b", "a/b", "*", "..", "@a", "good-1.2:3")]
    told = texts(daemon.shows("shell", "ls", "/array0/luns"))
    assert set(told) == {"luns", "good-1.2:3", *ids[:-1]}
    assert told[ids[0]].startswith("'twin', 1.0 MiB")
    assert told[ids[2]].startswith("1.0 MiB")
    assert daemon.json("shell", f"/array0/luns/{ids[3]}", "show", "json=true")["friendlyName"] == "a b"


def test_a_subsystem_with_the_name_of_a_folder(daemon: Daemon) -> None:
    """It goes by its id, and hides nothing."""
    daemon.shows("subsystem", "rename", "array0", "foreign")
    assert names(daemon.shows("shell", "ls", "depth=1"))[1:] == [
        f"  {daemon.sub_system()}",
        "  foreign",
        "  operations",
    ]
    assert names(daemon.shows("shell", f"/{daemon.sub_system()}/luns", "ls")) == ["luns"]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/array0/luns/web0/", "web0"),
        ("//array0//luns/./web0/../web0", "web0"),
        ("array0/luns/web0", "web0"),
        ("/array0/luns/..", "array0"),
        ("/../..", "/"),
        ("/array0/targets/iqn.2026", WEB),
    ],
)
def test_paths(web: Daemon, path: str, told: str) -> None:
    """They are written as in a file system; the beginning of a name is enough if it is long enough, and nobody else's."""
    assert names(web.shows("shell", "ls", path, "depth=1"))[0] == told


@pytest.mark.parametrize("path", ["/array1", "/array0/luns/web", "/array0/luns/web0/mask/nobody", "/foreign/x", "/a b"])
def test_what_is_not_there(web: Daemon, path: str) -> None:
    """The path is told, and the status is that of an object that is not there."""
    web.make_lun("web1")
    done = web.run_here("shell", "ls", path)
    assert (done.returncode, done.stdout) == (6, "")
    assert done.stderr == f"vdsprovctl: cannot ls: there is no {path}\n"


def test_a_name_is_one_of_the_subsystem_where_one_is(array: tuple[SimulatedArray, Daemon]) -> None:
    """Of two LUNs of the same name in two subsystems, the one of the path is meant, and no other is ever taken."""
    simulated, daemon = array
    ids = {}
    for name, sub_system in simulated.sub_systems().items():
        ids[name] = simulated.make_lun(sub_system=sub_system)
        daemon.client.call("LunNaming.SetFriendlyName", id=ids[name], friendlyName="same")
    for name, id in ids.items():
        assert daemon.json("shell", f"/{name}/luns", "show", "same", "json=true")["id"] == id
        assert daemon.json("shell", f"/{name}/luns/same", "show", "json=true")["id"] == id
        assert [entry["id"] for entry in daemon.json("shell", f"/{name}/luns", "list", "json=true")] == [id]
    daemon.client.call("LunNaming.SetFriendlyName", id=ids["array1"], friendlyName="other")
    done = daemon.run_here("shell", "/array0/luns", "delete", "other", "yes=true")
    assert done.returncode == 6
    assert "there is no LUN 'other'" in done.stderr
    assert texts(daemon.shows("shell", "ls", "/array1/pools")).keys() == {"pools", "spare0"}


def test_what_it_costs_to_look(daemon: Daemon, calls: Counter[str]) -> None:
    """With a thousand LUNs: a listing is one, and what is not looked at is not asked for."""
    for number in range(1000):
        daemon.make_lun(f"lun{number}")
    look = {
        "/": {
            "HwProvider.QuerySubSystems": 1,
            "HwProviderStoragePools.QueryStoragePools": 1,
            "Service.QueryOperations": 1,
            "SubSystem.QueryControllers": 1,
            "SubSystem.QueryDrives": 1,
            "SubSystem.QueryLuns": 1,
            "SubSystemImportTarget.GetImportTarget": 1,
            "SubSystemIscsi.QueryPortals": 1,
            "SubSystemIscsi.QueryTargets": 1,
        },
        "/array0/luns": {"HwProvider.QuerySubSystems": 1, "SubSystem.QueryLuns": 1},
        "/array0/pools": {"HwProvider.QuerySubSystems": 1, "HwProviderStoragePools.QueryStoragePools": 1},
        "/array0/luns/lun77": {
            "HwProvider.QuerySubSystems": 1,
            "SubSystem.QueryLuns": 1,
            "Lun.QueryActiveControllers": 1,
            "Lun.QueryPlexes": 1,
            "LunIscsi.QueryAssociatedTargets": 1,
        },
    }
    for path, expected in look.items():
        calls.clear()
        done = daemon.run_here("shell", "ls", path)
        assert (done.returncode, done.stderr) == (0, "")
        assert dict(calls) == expected


@pytest.fixture
def session(web: Daemon) -> Iterator[Session]:
    """A shell of this process."""
    with click.Context(vdsprovctl, info_name="vdsprovctl", obj=CliSession(str(web.socket))) as context:
        yield Session(context)
        context.obj.close()


def id_of(session: Session, name: str) -> str:
    """The id of a LUN of that name."""
    lun = session.place.find(f"/array0/luns/{name}")
    assert isinstance(lun, Thing)
    return lun.id


def test_what_it_costs_to_go_where_one_has_looked(web: Daemon, session: Session, calls: Counter[str]) -> None:
    """What was listed before is not listed again: one question for the subsystem and one for the LUN, which may have
    another name now, or be gone."""
    ids = {name: web.make_lun(name) for name in ("one", "two", "three")}
    luns = session.place.find("/array0/luns")
    assert set(luns.names()) == {"one", "three", "two", "web0"}
    calls.clear()
    assert id_of(session, "one") == ids["one"]
    assert dict(calls) == {"HwProvider.QuerySubSystems": 1, "Lun.GetProperties": 1}
    # Others change it: the old name is nobody's, or that of another LUN.
    web.client.call("LunNaming.SetFriendlyName", id=ids["one"], friendlyName="first")
    web.client.call("LunNaming.SetFriendlyName", id=ids["two"], friendlyName="one")
    assert id_of(session, "one") == ids["two"]
    web.client.call("Lun.Delete", id=ids["two"])
    assert web.make_lun("one") == id_of(session, "one")


def test_every_verb_has_its_place(session: Session) -> None:
    """Every command of vdsprovctl can be said somewhere, but those that are shells themselves or for other ones."""
    said: set[tuple[str, ...]] = set()

    def walk(place: Place) -> None:
        said.update((*command.within, command.name) for command in place.verbs())
        for row in place.rows():
            walk(place.open(row))

    walk(session.place)
    expected: set[tuple[str, ...]] = set()

    def gather(group: click.Group, path: tuple[str, ...]) -> None:
        for name in group.list_commands(session.context):
            command = group.get_command(session.context, name)
            if isinstance(command, click.Group):
                gather(command, (*path, name))
            else:
                expected.add((*path, name))

    gather(vdsprovctl, ())
    assert expected - said == {
        ("shell",),
        ("diskraid",),
        ("bridge",),
        ("completion",),
        # `ls /` lists them.
        ("subsystem", "list"),
    }
