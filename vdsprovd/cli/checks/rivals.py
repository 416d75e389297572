"""Other tools that configure the same kernel target."""

from collections.abc import Iterator
from typing import Final

from vdsprovd.cli.checks.host import Finding, Host

SERVICES: Final = (
    "target.service",
    "rtslib-fb-targetctl.service",
    "targetclid.service",
    "targetd.service",
    "tgt.service",
)
SAVED: Final = ("/etc/rtslib-fb-target/saveconfig.json", "/etc/target/saveconfig.json")


def services(host: Host) -> Iterator[Finding]:
    """Services that restore a configuration of their own at boot, and clear the kernel's first."""
    enabled = []
    for name in SERVICES:
        told = host.run("systemctl", "show", "-p", "UnitFileState,ActiveState", name)
        state = dict(line.partition("=")[::2] for line in (told or "").splitlines())
        if state.get("UnitFileState") == "enabled" or state.get("ActiveState") == "active":
            enabled.append(name)
    if enabled:
        yield Finding(
            "warn",
            "other tools",
            f"enabled or running: {', '.join(enabled)}; what restores a configuration clears the kernel's first",
            f"systemctl disable --now {' '.join(enabled)} (stopping target.service takes its exports down)",
        )
    else:
        yield Finding("ok", "other tools", "no service of targetcli, targetd or tgt is enabled")


def saved(host: Host) -> Iterator[Finding]:
    """A configuration that targetcli saved, and that its service would restore."""
    for path in SAVED:
        text = host.read(path)
        if '"wwn"' in text:
            yield Finding(
                "warn",
                "targetcli",
                f"{path} has targets; what is there in the kernel stays theirs",
                "vdsprovctl foreign list shows what others have in the kernel's target now",
            )
            return
    yield Finding("ok", "targetcli", "it has saved no targets")
