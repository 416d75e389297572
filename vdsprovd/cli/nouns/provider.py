"""`vdsprovctl provider`: the daemon itself, as VDS sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vdsprovd.cli import views
from vdsprovd.cli.objects import Object
from vdsprovd.cli.output import fields
from vdsprovd.cli.session import Session
from vdsprovd.cli.verbs import Noun

if TYPE_CHECKING:
    from vdsprovd.client import Client

provider = Noun("provider", help="The daemon itself, as VDS sees it: a hardware provider.")


@provider.verb(
    "show",
    "show the provider",
    "Provider.GetProperties",
    "ProviderSupport.GetVersionSupport",
    "HwProviderType2.GetProviderType2",
)
@views.options
@click.pass_obj
def show(session: Session, how: views.How) -> None:
    """Show the provider: its name, its version, what it is.

    --json adds to the API's properties: versionSupport and hwProviderType.
    """

    def read(client: Client) -> Object:
        found: Object = client.call("Provider.GetProperties")["properties"]
        return found | {
            "versionSupport": client.call("ProviderSupport.GetVersionSupport")["versionSupport"],
            "hwProviderType": client.call("HwProviderType2.GetProviderType2")["type"],
        }

    def render(found: Object) -> str:
        return fields(
            ("Name", found["name"]),
            ("Id", found["id"]),
            ("Version", found["version"]),
            ("Type", f"{found['type']}, {found['hwProviderType']}"),
            ("VDS", ", ".join(version.replace("_", ".").removeprefix("v") for version in found["versionSupport"])),
        )

    views.show(session, how, read, render, about=())
