"""The network: who listens at iSCSI's port, and whether packets get there."""

import os
import re
from collections.abc import Iterator
from typing import Final

from vdsprovd.cli.checks.host import Finding, Host

ISCSI: Final = 3260
_LISTENS: Final = "0A"
_PORTALS: Final = "/sys/kernel/config/target/iscsi"


def portals(host: Host) -> Iterator[Finding]:
    """At which portals the kernel listens; a port that somebody else has is not the kernel's to take."""
    ours = sorted({folder.name for folder in host.path(_PORTALS).glob("*/tpgt_*/np/*")})
    listening = _ports(host)
    missing = [name for name in ours if int(name.rpartition(":")[2]) not in listening]
    if missing:
        yield Finding(
            "fail",
            "portals",
            f"nobody listens at {', '.join(missing)}",
            "vdsprovctl recover; dmesg says what the kernel could not do",
        )
    elif ours:
        yield Finding("ok", "portals", f"the kernel listens at {', '.join(ours)}")
    elif ISCSI in listening:
        yield Finding(
            "fail",
            "portals",
            f"a program other than the kernel's target listens at TCP port {ISCSI}",
            f"ss -ltnp 'sport = :{ISCSI}' names it; stop it (tgt, istgt, another array's software)",
        )
    else:
        yield Finding("ok", "portals", "no target has a portal yet, and the port is free")


def _ports(host: Host) -> set[int]:
    found = set()
    for name in ("tcp", "tcp6"):
        for line in host.read(f"/proc/net/{name}").splitlines()[1:]:
            columns = line.split()
            if len(columns) > 3 and columns[3] == _LISTENS:
                found.add(int(columns[1].rpartition(":")[2], 16))
    return found


def firewall(host: Host) -> Iterator[Finding]:
    """Whether a firewall that lets nothing in by itself has a rule for iSCSI. It can tell but whether there is one."""
    if os.geteuid() != 0:
        yield Finding("warn", "firewall", "only root can look at it", "run this as root")
        return
    rules = host.run("nft", "list", "ruleset")
    if rules is None:
        rules = host.run("iptables-save")
    if rules is None:
        yield Finding("ok", "firewall", "there is neither nft nor iptables")
    elif not _closed(rules):
        yield Finding("ok", "firewall", "what comes in is let in unless a rule forbids it")
    elif re.search(rf"\b({ISCSI}|iscsi-target)\b", rules):
        yield Finding("ok", "firewall", f"it is closed, and has a rule for port {ISCSI}")
    else:
        yield Finding(
            "warn",
            "firewall",
            f"it is closed, and has no rule for TCP port {ISCSI}: initiators may not get through",
            "firewall-cmd --permanent --add-service=iscsi-target, or: nft add rule inet filter input tcp dport 3260 accept",
        )


def _closed(rules: str) -> bool:
    return bool(
        re.search(r"hook input [^}]*policy drop", rules)
        or re.search(r"^:INPUT (DROP|REJECT)", rules, re.MULTILINE)
        or re.search(r"hook input .*?\n\s*reject", rules, re.DOTALL)
    )
