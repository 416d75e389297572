"""The initiator of this host: open-iscsi's adapters and portals, and the ports of Fibre Channel adapters.

`iscsiadm` is called with a list of arguments, and none of them is ever a secret.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vdsprovd.diskraid.problems import HostFailed

if TYPE_CHECKING:
    from vdsprovd.diskraid.session import Session

PATIENCE: Final = 180
"""Seconds that a program of the host's may take: open-iscsi tries logins for two minutes."""

_FC_HOSTS: Final = Path("/sys/class/fc_host")
_INITIATOR_NAME: Final = Path("/etc/iscsi/initiatorname.iscsi")

_NOTHING_THERE: Final = 21
"""iscsiadm's ISCSI_ERR_NO_OBJS_FOUND."""


def hba_ports(_: Session, __: str) -> list[dict[str, Any]]:
    """The ports of this host's Fibre Channel adapters."""
    return [
        {
            "id": host.name,
            "status": (host / "port_state").read_text().strip(),
            "nodeWwn": _wwn(host / "node_name"),
            "portWwn": _wwn(host / "port_name"),
        }
        for host in sorted(_FC_HOSTS.glob("host*"))
    ]


def adapters(_: Session, __: str) -> list[dict[str, Any]]:
    """open-iscsi's interfaces: with the record `default`, which is bound to no network interface, first."""
    found = []
    # Each line: name transport,hwaddress,ipaddress,net_ifacename,initiatorname
    for line in iscsiadm("-m", "iface").splitlines():
        name, *rest = line.split(maxsplit=1)
        fields = [*"".join(rest).split(","), "", "", "", ""]
        transport, interface = fields[0], fields[3]
        found.append({"id": name, "transport": transport, "interface": "" if interface == "<empty>" else interface})
    return sorted(found, key=lambda adapter: (adapter["id"] != "default", adapter["id"]))


def portals(session: Session, adapter: str) -> list[dict[str, Any]]:
    """The addresses from which an adapter can reach targets."""
    (bound,) = [entry["interface"] for entry in adapters(session, "") if entry["id"] == adapter] or [""]
    return [
        # Two interfaces may have the same address, such as a link-local one.
        {
            "id": f"{address['local']}%{link['ifname']}",
            "address": address["local"],
            "interface": link["ifname"],
        }
        for link in json.loads(run("ip", "-json", "address", "show", "up"))
        for address in link.get("addr_info", [])
        if bound in ("", link["ifname"])
    ]


def initiator_name() -> str:
    """The iSCSI name of this host's initiator."""
    try:
        text = _INITIATOR_NAME.read_text()
    except OSError as error:
        raise HostFailed(f"cannot read {_INITIATOR_NAME}, which has the initiator's name: {error.strerror}") from error
    for line in text.splitlines():
        key, _, name = line.partition("=")
        if key.strip() == "InitiatorName" and name.strip():
            return name.strip()
    raise HostFailed(f"{_INITIATOR_NAME} has no InitiatorName")


def iscsiadm(*arguments: str) -> str:
    """Run iscsiadm, and give what it prints; nothing where it finds nothing."""
    return run("iscsiadm", *arguments, none=_NOTHING_THERE)


def run(*command: str, none: int = 0) -> str:
    """Run a program of the host's, and give what it prints. Its exit status `none` means that there is nothing."""
    program = command[0]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    except FileNotFoundError:
        package = {"iscsiadm": "open-iscsi", "ip": "iproute2"}.get(program, program)
        raise HostFailed(f"there is no {program} on this host; install the package {package}") from None
    except subprocess.TimeoutExpired:
        raise HostFailed(f"this host's {program} did not end within {PATIENCE} s") from None
    if done.returncode and done.returncode != none:
        said = (done.stderr or done.stdout).strip() or "it said nothing"
        raise HostFailed(f"this host's {program} failed with status {done.returncode}: {said}")
    return done.stdout


def _wwn(file: Path) -> str:
    return file.read_text().strip().removeprefix("0x").upper()
