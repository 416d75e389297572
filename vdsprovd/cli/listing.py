"""`vdsprovctl subsystems|pools|portals|targets|luns|foreign`: what there is, as a table or as JSON.

A list costs a few calls, and some for each target; never one for each LUN.
"""

from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import click

from vdsprovd.cli import errors
from vdsprovd.cli.output import print_json
from vdsprovd.client import Client
from vdsprovd.hresult import Hresult, VdsError

P = ParamSpec("P")
T = TypeVar("T")

Object = dict[str, Any]


def _options(function: Callable[..., None]) -> Callable[..., None]:
    function = click.option("--json", "as_json", is_flag=True, help="Print a JSON array of the API's properties.")(
        function
    )
    function = click.option("--long", is_flag=True, help="Cut nothing: whole ids, and all names of a cell.")(function)
    return click.pass_obj(function)


@click.command()
@_options
def subsystems(socket: str, as_json: bool, long: bool) -> None:
    """List the subsystems, with the import target of the daemon's host at each.

    An import target is a name only: that of a target that was deleted stays, and is warned of.

    --json adds lunCount, targetCount, importTarget (null where none is set) and importTargetDangles (whether the
    subsystem has no target of that name).
    """
    with errors.cannot("list the subsystems"), Client(socket) as client:
        found = [entry | _contents(client, entry["id"]) for entry in client.subsystems()]
    for entry in found:
        if entry["importTargetDangles"]:
            warn_of_dangling(entry, entry["importTarget"])
    if as_json:
        print_json(found)
        return
    from vdsprovd.cli.tables import Column  # noqa: PLC0415  # rich takes longer to load than a list to make

    _table(
        found,
        long,
        Column("NAME", lambda entry: entry["friendlyName"], cut=True),
        _id(long),
        Column("STATUS", lambda entry: entry["status"]),
        Column("HEALTH", lambda entry: entry["health"]),
        Column("LUNS", lambda entry: entry["lunCount"], right=True),
        Column("TARGETS", lambda entry: entry["targetCount"], right=True),
        Column("IMPORT TARGET", _import_target, cut=True),
        empty="No subsystems. Add a table [[subsystem]] to /etc/vdsprovd/vdsprovd.toml and restart vdsprovd.",
    )


@click.command()
@_options
def pools(socket: str, as_json: bool, long: bool) -> None:
    """List the storage pools, with the space that is free in each."""
    with errors.cannot("list the storage pools"), Client(socket) as client:
        found = client.pools()
    if as_json:
        print_json(found)
        return
    from vdsprovd.cli.tables import Column, size  # noqa: PLC0415

    def space(key: str) -> Callable[[Object], str]:
        # A pool that cannot be read has no size, which is not a size of 0.
        return lambda pool: size(pool[key]) if pool["totalManagedSpace"] else ""

    _table(
        found,
        long,
        Column("NAME", lambda pool: pool["name"], cut=True),
        _id(long),
        Column("TOTAL", space("totalManagedSpace"), right=True),
        Column("FREE", space("remainingFreeSpace"), right=True),
        Column("USED", _used, right=True),
        Column("STATUS", lambda pool: pool["status"]),
        Column("HEALTH", lambda pool: pool["health"]),
        Column("DESCRIPTION", lambda pool: pool["description"], cut=True),
        empty="No storage pools. Add a table [[subsystem.pool]] to /etc/vdsprovd/vdsprovd.toml and restart vdsprovd.",
    )


@click.command()
@_options
def portals(socket: str, as_json: bool, long: bool) -> None:
    """List the portals: addresses of the host, with a TCP port, that portal groups can have.

    --json adds subSystem, the id of the portal's subsystem.
    """
    with errors.cannot("list the portals"), Client(socket) as client:
        sub_systems = client.subsystems()
        found = _of_each(sub_systems, client.portals)
    found.sort(key=lambda portal: (portal["subSystem"], address(portal)))
    if as_json:
        print_json(found)
        return
    from vdsprovd.cli.tables import Column  # noqa: PLC0415

    _table(
        found,
        long,
        Column("ADDRESS", address),
        _id(long),
        Column("STATUS", lambda portal: portal["status"]),
        *_sub_system(sub_systems),
        empty="No portals. Give the host an address, or set portals in /etc/vdsprovd/vdsprovd.toml and restart vdsprovd.",
    )


@click.command()
@_options
def targets(socket: str, as_json: bool, long: bool) -> None:
    """List the iSCSI targets: whether they need a CHAP secret, where they are reached, who is logged in.

    Portals stand after the tag of their portal group.

    --json adds subSystem (its id), portalGroups (each with id, tag and portals), lunIds and connectedInitiators.
    """
    with errors.cannot("list the targets"), Client(socket) as client:
        sub_systems = client.subsystems()
        found = [
            target | related
            for target in _of_each(sub_systems, client.targets)
            if (related := _unless_deleted(_relations, client, target["id"])) is not None
        ]
    found.sort(key=lambda target: target["iscsiName"])
    if as_json:
        print_json(found)
        return
    from vdsprovd.cli.tables import Column  # noqa: PLC0415

    _table(
        found,
        long,
        Column("ISCSI NAME", lambda target: target["iscsiName"], cut=True),
        Column("NAME", lambda target: target["friendlyName"], cut=True),
        _id(long),
        Column("CHAP", lambda target: "yes" if target["chapEnabled"] else "no"),
        Column("LUNS", lambda target: len(target["lunIds"]), right=True),
        Column("GROUP: PORTALS", lambda target: [_group(group) for group in target["portalGroups"]], cut=True),
        Column("INITIATORS", lambda target: target["connectedInitiators"], cut=True),
        *_sub_system(sub_systems),
        empty="No targets. Create one:\n" + _create("SubSystemIscsi.CreateTarget", sub_systems),
    )


@click.command()
@_options
def luns(socket: str, as_json: bool, long: bool) -> None:
    """List the LUNs: who may reach them, and through which targets.

    The mask names the initiators that may reach the LUN; * stands for those of the daemon's host.

    --json adds subSystem (its id) and targets (each with id and iscsiName).
    """
    with errors.cannot("list the LUNs"), Client(socket) as client:
        sub_systems = client.subsystems()
        found = _of_each(sub_systems, client.luns)
        reached: dict[str, list[Object]] = {lun["id"]: [] for lun in found}
        for target in _of_each(sub_systems, client.targets):
            name = {"id": target["id"], "iscsiName": target["iscsiName"]}
            for lun in _unless_deleted(client.luns_of_target, target["id"]) or ():
                # A LUN that was created since the LUNs were listed is not in the list.
                if lun["id"] in reached:
                    reached[lun["id"]].append(name)
    for lun in found:
        lun["targets"] = reached[lun["id"]]
    found.sort(key=lambda lun: (lun["friendlyName"], lun["id"]))
    if as_json:
        print_json(found)
        return
    from vdsprovd.cli.tables import Column, size  # noqa: PLC0415

    _table(
        found,
        long,
        Column("NAME", lambda lun: lun["friendlyName"], cut=True),
        _id(long),
        Column("SIZE", lambda lun: size(lun["size"]), right=True),
        Column("STATUS", lambda lun: lun["status"]),
        Column("HEALTH", lambda lun: lun["health"]),
        Column("MASK", lambda lun: lun["unmaskingList"].split(";") if lun["unmaskingList"] else "nobody", cut=True),
        Column("TARGETS", lambda lun: [target["iscsiName"] for target in lun["targets"]], cut=True),
        *_sub_system(sub_systems),
        empty="No LUNs. Create one:\n"
        + _create("SubSystem.CreateLun", sub_systems, ',\n     "type": "default", "sizeInBytes": 1073741824'),
    )


@click.command()
@_options
def foreign(socket: str, as_json: bool, long: bool) -> None:
    """List what this host's target holds that is not the daemon's, and that it leaves alone: targetcli's, another daemon's."""
    with errors.cannot("list what others have"), Client(socket) as client:
        found = client.call("Service.QueryForeignObjects")["objects"]
    if as_json:
        print_json(found)
        return
    from vdsprovd.cli.tables import Column  # noqa: PLC0415

    _table(
        found,
        long,
        Column("TYPE", lambda entry: entry["type"].replace("_", " ")),
        Column("NAME", lambda entry: entry["name"], cut=True),
        Column("DETAIL", lambda entry: entry["detail"], cut=True),
        empty="Nothing: all of it is the daemon's.",
    )


def warn_of_dangling(sub_system: Object, name: str) -> None:
    """Say that the subsystem has no target of the name that is its import target."""
    errors.warn(
        f"the import target of subsystem {sub_system['friendlyName']} dangles: it has no target {name}; "
        "create that target, or set another: vdsprovctl import-target --set IQN"
    )


def address(portal: Object) -> str:
    """A portal as one writes it: 10.77.0.1:3260 or [fd00::1]:3260."""
    where = portal["address"]
    host = f"[{where['textAddress']}]" if where["type"] == "ipv6" else where["textAddress"]
    return f"{host}:{where['port']}"


def _of_each(sub_systems: list[Object], query: Callable[[str], list[Object]]) -> list[Object]:
    """What every subsystem has, with the id of the subsystem."""
    return [entry | {"subSystem": owner["id"]} for owner in sub_systems for entry in query(owner["id"])]


def _contents(client: Client, sub_system: str) -> Object:
    targets = client.targets(sub_system)
    try:
        name = client.import_target(sub_system)
    except VdsError as error:
        # The configuration can do without import targets.
        if error.code is not Hresult.VDS_E_NOT_SUPPORTED:
            raise
        name = None
    return {
        "lunCount": len(client.luns(sub_system)),
        "targetCount": len(targets),
        "importTarget": name,
        "importTargetDangles": name is not None and name not in [target["iscsiName"] for target in targets],
    }


def _relations(client: Client, target: str) -> Object:
    return {
        "portalGroups": [
            group | {"portals": client.portals_of_group(group["id"])} for group in client.portal_groups(target)
        ],
        "lunIds": [lun["id"] for lun in client.luns_of_target(target)],
        "connectedInitiators": client.connected_initiators(target),
    }


def _unless_deleted(query: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """What the query gives, None where its object was deleted since it was listed."""
    try:
        return query(*args, **kwargs)
    except VdsError as error:
        if error.code in (Hresult.VDS_E_OBJECT_DELETED, Hresult.VDS_E_OBJECT_NOT_FOUND):
            return None
        raise


# Columns and cells.


def _table(found: list[Object], long: bool, *columns: Any, empty: str) -> None:
    from vdsprovd.cli.tables import print_table  # noqa: PLC0415

    print_table(columns, found, whole=long)
    if not found:
        click.echo(empty)


def _id(long: bool) -> Any:
    from vdsprovd.cli.tables import Column, short  # noqa: PLC0415

    return Column("ID", lambda entry: entry["id"] if long else short(entry["id"]))


def _sub_system(sub_systems: list[Object]) -> Iterator[Any]:
    """The column for the subsystem, where there are several."""
    from vdsprovd.cli.tables import Column  # noqa: PLC0415

    names = {entry["id"]: entry["friendlyName"] for entry in sub_systems}
    if len(names) > 1:
        yield Column("SUBSYSTEM", lambda entry: names[entry["subSystem"]], cut=True)


def _create(method: str, sub_systems: list[Object], more: str = "") -> str:
    """The command that makes the first object, in lines that a narrow terminal does not break."""
    id = sub_systems[0]["id"] if sub_systems else "..."
    return f"""  vdsprovctl call {method} --wait \\\n    '{{"id": "{id}"{more}}}'"""


def _import_target(sub_system: Object) -> str:
    name: str = sub_system["importTarget"] or "none"
    return f"WARNING dangling: {name}" if sub_system["importTargetDangles"] else name


def _used(pool: Object) -> str:
    total, free = pool["totalManagedSpace"], pool["remainingFreeSpace"]
    return f"{100 * (total - free) / total:.0f} %" if total else ""


def _group(group: Object) -> str:
    return f"{group['tag']}: {', '.join(map(address, group['portals'])) or 'none'}"
