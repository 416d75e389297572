"""Exports that somebody makes with targetcli, and takes away again."""

import subprocess
from collections.abc import Iterable
from pathlib import Path


def targetcli(*lines: str) -> str:
    """Commands of targetcli's, in one run of it, which takes more than a second; gives what it said. One that fails is told
    in it, and the others are done."""
    done = subprocess.run(
        ["targetcli"], input="\n".join((*lines, "exit", "")), capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout + done.stderr


def backstore(kind: str, name: str, device: Path | str, *settings: str) -> str:
    """A storage object of that kind, fileio or block."""
    return " ".join((f"/backstores/{kind} create", name, str(device), *settings))


def exported(
    name: str, backstores: Iterable[str], initiators: dict[str, tuple[str, str] | None], portal: str = ""
) -> Iterable[str]:
    """A target that shows the storage objects, such as fileio/disk0, to the initiators, each with a CHAP name and secret or
    without. It listens at the portal, or at every address."""
    group = f"/iscsi/{name}/tpg1"
    yield f"/iscsi create {name}"
    yield from (f"{group}/luns create /backstores/{path}" for path in backstores)
    for initiator, chap in initiators.items():
        yield f"{group}/acls create {initiator}"
        if chap:
            user, secret = chap
            yield f"{group}/acls/{initiator} set auth userid={user} password={secret}"
            yield f"{group} set attribute authentication=1"
    if portal:
        address, port = portal.rsplit(":", 1)
        yield f"{group}/portals delete 0.0.0.0 3260"
        yield f"{group}/portals create {address} {port}"


def forget(names: Iterable[str] = (), backstores: Iterable[str] = ()) -> Iterable[str]:
    """The targets and storage objects of these names are not any more."""
    yield from (f"/iscsi delete {name}" for name in names)
    for path in backstores:
        kind, _, name = path.partition("/")
        yield f"/backstores/{kind} delete {name}"
