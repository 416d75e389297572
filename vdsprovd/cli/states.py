"""`rename` and `online`, which several nouns have, and what is told of an object's state."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from vdsprovd.cli import errors
from vdsprovd.cli.objects import Kind, Named, Object, find
from vdsprovd.cli.output import json_option, tell
from vdsprovd.cli.session import Session
from vdsprovd.cli.verbs import Noun

if TYPE_CHECKING:
    from vdsprovd.client import Client

Title = Callable[[Object], str]
"""What an object is called in a sentence."""


def add_rename(noun: Noun, kind: Kind, naming: str, title: Title, help: str) -> None:
    """Add `rename`, by SetFriendlyName of that interface."""

    @noun.verb("rename", f"rename {kind.noun} {{what}}", f"{naming}.SetFriendlyName", f"{kind.interface}.GetProperties")
    @click.argument("what", type=Named(kind))
    @click.argument("name")
    @json_option(f"the {kind.noun}'s properties")
    @click.pass_obj
    def rename(session: Session, what: str, name: str, as_json: bool) -> None:
        client = session.client
        id = find(client, kind, what)["id"]
        if client.call(f"{naming}.SetFriendlyName", id=id, friendlyName=name)["hresult"]:
            errors.warn("the name was too long, and is cut to 255 bytes of UTF-8")
        now = properties(client, kind, id)
        tell(f"Renamed {title(now)}.", now, as_json)

    rename.help = help


def add_status(noun: Noun, kind: Kind, status: str, title: Title, help: str) -> None:
    """Add a verb that sets that status, and is called like it."""

    @noun.verb(
        status, f"set {kind.noun} {{what}} {status}", f"{kind.interface}.SetStatus", f"{kind.interface}.GetProperties"
    )
    @click.argument("what", type=Named(kind))
    @json_option(f"the {kind.noun}'s properties")
    @click.pass_obj
    def set_status(session: Session, what: str, as_json: bool) -> None:
        id = find(session.client, kind, what)["id"]
        session.client.call(f"{kind.interface}.SetStatus", id=id, status=status)
        tell_state(session.client, kind, id, title, as_json)

    set_status.help = help


def tell_state(client: Client, kind: Kind, id: str, title: Title, as_json: bool) -> None:
    """Say how the object is now."""
    now = properties(client, kind, id)
    health = now.get("health", "healthy")
    sentence = f"{title(now)} is {now['status']}{'' if health == 'healthy' else f', its health is {health}'}."
    tell(sentence[0].upper() + sentence[1:], now, as_json)


def properties(client: Client, kind: Kind, id: str) -> Object:
    """The object's properties as they are now."""
    found: Object = client.call(f"{kind.interface}.GetProperties", id=id)["properties"]
    return found
