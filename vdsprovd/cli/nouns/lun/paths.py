"""`vdsprovctl lun paths`, `controller` and `of-disk`: how initiators see a LUN."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from vdsprovd.cli import errors, views
from vdsprovd.cli.nouns.lun.noun import NAMED, lun, title
from vdsprovd.cli.objects import CONTROLLER, LUN, PORTAL, Named, Object, address, find, find_all, with_sub_system
from vdsprovd.cli.output import json_option, tell
from vdsprovd.cli.session import Session

if TYPE_CHECKING:
    from vdsprovd.client import Client

SYSFS: Final = Path("/sys/class/block")


@lun.verb("paths", "show the paths to LUN {lun}", "LunMpio.GetPathInfo", "LunMpio.GetLoadBalancePolicy", *PORTAL.lists)
@click.argument("lun", type=NAMED)
@views.options
@click.pass_obj
def paths(session: Session, how: views.How, lun: str) -> None:
    """List the paths by which initiators that are logged in reach a LUN.

    Which of them an initiator's multipath uses is its own choice. Nobody is told of sessions: --watch shows new ones when
    something else changes.

    --json prints the API's paths, each with primaryPath and portal (as the API gives it, null if it is not known).
    """

    def read(client: Client) -> list[Object]:
        id = find(client, LUN, lun)["id"]
        portals = {portal["id"]: portal for portal in PORTAL.listing(client)}
        policies = client.call("LunMpio.GetLoadBalancePolicy", id=id)["paths"]
        primary = {policy["pathId"]["pathId"]: policy["primaryPath"] for policy in policies}
        return [
            path
            | {
                "primaryPath": primary.get(path["pathId"]["pathId"], False),
                "portal": portals.get(path["targetPortalId"]),
            }
            for path in client.call("LunMpio.GetPathInfo", id=id)["paths"]
        ]

    def render(found: list[Object]) -> str:
        if not found:
            return "No paths: no initiator that may reach the LUN is logged in."
        from vdsprovd.cli.tables import Column, table

        return table(
            [
                Column("PATH", lambda path: path["pathId"]["pathId"], right=True),
                Column("INITIATOR", lambda path: path["initiatorPortalIpAddr"]["textAddress"]),
                Column("PORTAL", lambda path: address(path["portal"]) if path["portal"] else ""),
                Column("STATUS", lambda path: path["status"]),
                Column("PRIMARY", lambda path: "yes" if path["primaryPath"] else "no"),
            ],
            found,
            whole=how.long,
        )

    views.show(session, how, read, render, about=("lun", "target", "portal"))


@lun.verb("of-disk", "find the LUN of {device}", "HwProviderPrivate.QueryIfCreatedLun", "Lun.GetProperties")
@click.argument("device", type=click.Path(exists=True))
@json_option("the LUN's properties")
@click.pass_obj
def of_disk(session: Session, device: str, as_json: bool) -> None:
    """Tell which LUN is behind a disk of this host, such as /dev/sdb, by its serial number (VPD page 0x80)."""
    information = {"serialNumber": _serial(device)}
    reply = session.client.call("HwProviderPrivate.QueryIfCreatedLun", devicePath=device, lunInformation=information)
    if not reply["lunId"]:
        raise errors.Failure(f"{device} is none of this provider's LUNs", errors.NOT_FOUND)
    found = session.client.call("Lun.GetProperties", id=reply["lunId"])["properties"]
    tell(f"{device} is {title(found)}.", found, as_json)


def _serial(device: str) -> str:
    name = Path(device).resolve().name
    disk = SYSFS / name
    # A multipath device has the disks of its paths below it, a partition its disk above it.
    disks = [disk, *(SYSFS / slave.name for slave in (disk / "slaves").glob("*")), disk.resolve().parent]
    for candidate in disks:
        try:
            page = (candidate / "device/vpd_pg80").read_bytes()
        except OSError:
            continue
        length = int.from_bytes(page[2:4], "big")
        return page[4 : 4 + length].rstrip(b"\0").decode(errors="replace")
    raise errors.Failure(f"{device} has no serial number that can be read: it is no SCSI disk", errors.INVALID)


controller = lun.noun("controller", "Through which controllers a LUN is reached.")


@controller.verb("list", "list the controllers of LUN {lun}", "Lun.QueryActiveControllers")
@click.argument("lun", type=NAMED)
@views.options
@click.pass_obj
def list_(session: Session, how: views.How, lun: str) -> None:
    """List the controllers that are active for a LUN.

    --json prints the API's properties.
    """

    def read(client: Client) -> list[Object]:
        return client.query("Lun.QueryActiveControllers", id=find(client, LUN, lun)["id"])

    def render(found: list[Object]) -> str:
        return "\n".join(CONTROLLER.name(entry) for entry in found) or "none: initiators find the LUN standing by"

    views.show(session, how, read, render, about=("lun", "controller"))


_CALLS = (
    "Lun.GetSubSystem",
    "SubSystem.GetProperties",
    "SubSystem.QueryControllers",
    "Lun.QueryActiveControllers",
    "Lun.AssociateControllers",
)


@controller.verb("activate", "activate controllers for LUN {lun}", *_CALLS)
@click.argument("lun", type=NAMED)
@click.argument("controllers", type=Named(CONTROLLER), nargs=-1, required=True, metavar="CONTROLLER...")
@json_option("an array of the active controllers")
@click.pass_obj
def activate(session: Session, lun: str, controllers: tuple[str, ...], as_json: bool) -> None:
    """Let a LUN be reached through these controllers, too."""
    _associate(session, lun, controllers, as_json, active=True)


@controller.verb("deactivate", "deactivate controllers for LUN {lun}", *_CALLS)
@click.argument("lun", type=NAMED)
@click.argument("controllers", type=Named(CONTROLLER), nargs=-1, required=True, metavar="CONTROLLER...")
@json_option("an array of the active controllers")
@click.pass_obj
def deactivate(session: Session, lun: str, controllers: tuple[str, ...], as_json: bool) -> None:
    """Let initiators find a LUN standing by through these controllers (SPC-4 5.15.2)."""
    _associate(session, lun, controllers, as_json, active=False)


def _associate(session: Session, text: str, controllers: tuple[str, ...], as_json: bool, *, active: bool) -> None:
    client = session.client
    entry = find(client, LUN, text)
    named = {found["id"] for found in find_all(client, CONTROLLER, controllers)}
    where = with_sub_system(client, "Lun", entry)["subSystem"]["id"]
    every = {found["id"] for found in client.query("SubSystem.QueryControllers", id=where)}
    before = {found["id"] for found in client.query("Lun.QueryActiveControllers", id=entry["id"])}
    after = before | named if active else before - named
    # Each controller of the subsystem is in one of the lists; one of another subsystem is the daemon's to refuse.
    client.call(
        "Lun.AssociateControllers",
        id=entry["id"],
        activeControllerIds=sorted(after),
        inactiveControllerIds=sorted((every | named) - after),
    )
    now = client.query("Lun.QueryActiveControllers", id=entry["id"])
    tell(f"{title(entry)} is active on: {', '.join(map(CONTROLLER.name, now)) or 'no controller'}.", now, as_json)
