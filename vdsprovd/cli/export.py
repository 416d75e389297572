"""`vdsprovctl export`: what the daemon exports, as a saveconfig.json that targetcli's tools restore elsewhere."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from vdsprovd.cli import errors
from vdsprovd.cli.session import Session
from vdsprovd.cli.verbs import Verb

_TARGETS = Path("/sys/kernel/config/target/iscsi")
_SECRETS = {
    "chap_userid": "userid",
    "chap_password": "password",
    "chap_mutual_userid": "userid_mutual",
    "chap_mutual_password": "password_mutual",
}
"""What rtslib calls an ACL's attributes in the kernel."""


@click.command(
    cls=Verb,
    purpose="export the configuration",
    calls=("Service.GetSaveconfig",),
    epilog="""\b
Examples:
  vdsprovctl export > saveconfig.json
  vdsprovctl export --with-secrets saveconfig.json""",
)
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--with-secrets", is_flag=True, help="Put the CHAP secrets in: as root, into a FILE that only root can read."
)
@click.pass_obj
def export(session: Session, file: Path | None, with_secrets: bool) -> None:
    """Write what the daemon exports as a saveconfig.json, into FILE or to standard output: `targetctl restore FILE` makes the
    same exports on a host without vdsprovd, with the same serial numbers, LUN numbers, ACLs and portals.

    CHAP secrets are not in it, for the daemon gives them to nobody. Targets that ask for CHAP go on asking, so nobody logs in
    to them before the secrets are there. With --with-secrets they are read from this host's kernel, which root can.
    """
    if with_secrets and file is None:
        raise click.UsageError("--with-secrets needs a FILE: secrets are not written to standard output")
    if with_secrets and "://" in session.socket:
        raise click.UsageError("--with-secrets reads the kernel of this host; run it on the host that exports")
    reply = session.client.call("Service.GetSaveconfig")
    text, missing, secrets = reply["configuration"], list(reply.get("missing", ())), reply.get("secrets", ())
    if with_secrets:
        text = _with_secrets(text, len(secrets))
    elif secrets:
        plural = "" if len(secrets) == 1 else "s"
        missing.append(
            f"the CHAP secrets of {len(secrets)} ACL{plural}, without which nobody logs in there: --with-secrets"
        )
    if file is None:
        click.echo(text, nl=False)
    else:
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w") as out:
                out.write(text)
        except OSError as error:
            raise errors.Failure(f"cannot write {file}: {error.strerror}", errors.FAILED) from error
    for what in missing:
        errors.warn(f"not in it: {what}")


def _with_secrets(text: str, wanted: int) -> str:
    configuration = json.loads(text)
    found = 0
    for target in configuration["targets"]:
        for group in target["tpgs"]:
            for acl in group["node_acls"]:
                folder = _TARGETS / target["wwn"] / f"tpgt_{group['tag']}" / "acls" / acl["node_wwn"] / "auth"
                secrets = _read(folder)
                acl.update(secrets)
                found += bool(secrets)
    if found < wanted:
        raise errors.Failure(
            f"the kernel has secrets for {found} ACLs, and there are {wanted}; is this the host?", errors.FAILED
        )
    return json.dumps(configuration, indent=2, sort_keys=True) + "\n"


def _read(folder: Path) -> dict[str, Any]:
    found = {}
    try:
        for name, attribute in _SECRETS.items():
            with suppress(FileNotFoundError):
                value = (folder / attribute).read_text().rstrip("\n")
                if value not in ("", "NULL"):
                    found[name] = value
    except PermissionError:
        raise errors.Failure("only root can read the secrets in the kernel", errors.DENIED) from None
    return found
