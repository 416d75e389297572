"""open-iscsi's records of targets: how this host's initiator logs in to each, and the CHAP secrets for it.

Secrets are written into the records' files, which only root can read: an argument of iscsiadm could be read by every
user of the host.
"""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vdsprovd.diskraid import host
from vdsprovd.diskraid.problems import HostFailed

_FOLDERS: Final = (Path("/etc/iscsi/nodes"), Path("/var/lib/iscsi/nodes"))
_END: Final = "# END RECORD"

_AUTH: Final = "node.session.auth."
PASSWORD: Final = _AUTH + "password"
USER: Final = _AUTH + "username"
PASSWORD_IN: Final = _AUTH + "password_in"
USER_IN: Final = _AUTH + "username_in"
METHOD: Final = _AUTH + "authmethod"


@dataclass(frozen=True)
class Way:
    """A way to a target: the target's name, its portal, the tag of the portal's group, and this host's interface."""

    target: str
    address: str
    port: int
    tag: int
    interface: str

    @property
    def node(self) -> tuple[str, ...]:
        """The arguments with which iscsiadm means it."""
        where = f"[{self.address}]" if ":" in self.address else self.address
        portal = f"{where}:{self.port},{self.tag}"
        return "-m", "node", "-T", self.target, "-p", portal, "-I", self.interface


def ensure(way: Way) -> Path:
    """The file of the record, made with open-iscsi's defaults, and the secrets of the target's others, if need be."""
    found = _find(way)
    if found is None:
        inherited = secrets(way.target)
        host.iscsiadm(*way.node, "-o", "new")
        found = _find(way)
        if found is None:
            raise HostFailed(f"open-iscsi made no record of {way.target}, or not where it is looked for")
        write(found, inherited)
    return found


def secrets(target: str) -> dict[str, str]:
    """What the target's records have of CHAP: names and secrets."""
    for file in _files(target):
        found = {key: value for key, value in read(file).items() if key in (USER, PASSWORD, USER_IN, PASSWORD_IN)}
        if found:
            return found
    return {}


def set_secrets(target: str, settings: Mapping[str, str]) -> int:
    """Write names and secrets into all records of the target; an empty one is removed. Gives how many records."""
    files = _files(target)
    for file in files:
        write(file, settings)
    return len(files)


def read(file: Path) -> dict[str, str]:
    """What a record says."""
    pairs = (line.partition(" = ") for line in _text(file).splitlines() if not line.startswith("#"))
    return {key.strip(): value for key, equals, value in pairs if equals}


def write(file: Path, settings: Mapping[str, str]) -> None:
    """Change a record: an empty setting is taken out of it. The file is as it was, or as it shall be, at any time."""
    lines = [line for line in _text(file).splitlines() if line.partition(" = ")[0].strip() not in settings]
    end = lines.index(_END) if _END in lines else len(lines)
    lines[end:end] = [f"{key} = {value}" for key, value in settings.items() if value]
    try:
        # Beside the records, for iscsiadm takes every file among them for a record.
        root = next(folder for folder in _FOLDERS if file.is_relative_to(folder))
        with tempfile.NamedTemporaryFile("w", dir=root.parent, prefix=".vdsprovctl-", delete=False) as new:
            new.write("\n".join(lines) + "\n")
        os.replace(new.name, file)  # noqa: PTH105
    except OSError as error:
        raise HostFailed(f"cannot write open-iscsi's record {file}: {error.strerror}") from error


def _find(way: Way) -> Path | None:
    wanted = {
        "node.conn[0].address": way.address,
        "node.conn[0].port": str(way.port),
        "node.tpgt": str(way.tag),
        "iface.iscsi_ifacename": way.interface,
    }
    for file in _files(way.target):
        said = read(file)
        if all(said.get(key) == value for key, value in wanted.items()):
            return file
    return None


def _files(target: str) -> list[Path]:
    try:
        return sorted(file for folder in _FOLDERS for file in (folder / target).rglob("*") if file.is_file())
    except OSError as error:
        raise HostFailed(f"cannot look at open-iscsi's records: {error.strerror}; are you root?") from error


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError as error:
        raise HostFailed(f"cannot read open-iscsi's record {file}: {error.strerror}; are you root?") from error
